"""A real browser, and a real endpoint with a student whose mouth follows speech."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Browser, Playwright, sync_playwright
from serving_app import Server
from speaking_student import make_speaking_student
from studio_page import Studio, studio
from tiny_student import tiny_bundle

from diffusiontalker.data.synthetic import speak
from diffusiontalker.inference import save_bundle
from diffusiontalker.serving.arguments import ServingArguments

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
"""Nothing that a browser asks of other hosts by itself, and WebGL without a graphics card."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of this folder need Chromium."""
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.fspath).parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed; apt-get install chromium"))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Its driver."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def launch(playwright: Playwright) -> Iterator[Callable[..., Browser]]:
    """Starts browsers, with more flags where wanted; they are closed at the end."""
    opened: list[Browser] = []

    def start(*flags: str) -> Browser:
        opened.append(playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags]))
        return opened[-1]

    yield start
    for browser in opened:
        browser.close()


@pytest.fixture(scope="session")
def browser(launch: Callable[..., Browser]) -> Browser:
    """A browser without a microphone."""
    return launch()


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a bundle that opens its mouth to speech."""
    return make_speaking_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of speech that begin with silence, as a WAV file."""
    clip = speak(
        "Hello. My face moves as I speak, and you can watch every sound of it.",
        voice="amber", emotion="neutral", motion_fps=30.0, seed=3, clip_id="studio", split="test",
    )  # fmt: skip
    path = tmp_path_factory.mktemp("speech") / "hello.wav"
    soundfile.write(path, clip.waveform, 16_000)
    return path


@pytest.fixture(scope="session")
def endpoint(student: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The endpoint, which serves the Studio, too; a second student, `untrained`, stands beside the first."""
    folder = tmp_path_factory.mktemp("endpoint")
    save_bundle(tiny_bundle(), folder / "untrained")
    others = {"untrained": str(folder / "untrained")}
    server = Server(ServingArguments(bundle=str(student), others=others, voices=str(folder / "voices")))
    yield server
    server.close()


@pytest.fixture(scope="module")
def opened(browser: Browser, endpoint: Server) -> Iterator[Studio]:
    """The Studio, opened once: drawing it in software takes seconds."""
    with studio(browser, f"{endpoint.url}/studio/") as page:
        yield page


@pytest.fixture
def page(opened: Studio) -> Studio:
    """The Studio, as if just opened."""
    opened.clear()
    return opened
