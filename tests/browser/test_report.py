"""The report of an evaluation, opened from the file system as somebody does who was sent it."""

import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from playwright.sync_api import Browser, Page, expect

from diffusiontalker.data import Clip, Corpus
from diffusiontalker.data.synthetic import SyntheticCorpusConfig, synthesize_corpus
from diffusiontalker.evaluation import EvaluationConfig, Report, Ridge, Truth, evaluate
from diffusiontalker.face import builtin_rig
from diffusiontalker.studio import page_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder: Path = tmp_path_factory.mktemp("evaluation") / "corpus"
    config = SyntheticCorpusConfig(
        num_speakers=2, num_unseen_speakers=0, emotions=("neutral",), sentences_per_speaker_emotion=10
    )
    synthesize_corpus(folder, config)
    return Corpus.open(folder)


@pytest.fixture(scope="module")
def report(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """About the linear control, which follows speech without having been trained for minutes."""
    if not (page_folder() / "player.js").is_file():
        pytest.skip("the player of reports is not built; run make studio")
    config = EvaluationConfig(curve_channels=("jawOpen", "browInnerUp"), num_curve_clips=1, latency_audio_s=0.0)
    out: Path = tmp_path_factory.mktemp("evaluation") / "report"
    systems = [Truth(), Ridge.fit(corpus.clips("train"))]
    return evaluate(corpus, systems, rig=builtin_rig(), out=out, splits=("test",), config=config)


@pytest.fixture
def median(report: Report, corpus: Corpus) -> Clip:
    """The clip that the player begins with."""
    return clip_at("median", report, corpus)


@dataclasses.dataclass
class Opened:
    """The report in a browser."""

    page: Page
    url: str
    requests: list[str]
    complaints: list[str]


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Report) -> Iterator[Opened]:
    """With its heads loaded."""
    page = browser.new_page(viewport={"width": 760, "height": 900})
    page.set_default_timeout(120_000)
    opened = Opened(page, (report.directory / "report.html").as_uri(), [], [])
    page.on("request", lambda request: opened.requests.append(request.url))
    page.on("console", lambda message: opened.complaints.append(message.text))
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.goto(opened.url)
    page.locator("#player").scroll_into_view_if_needed()
    expect(reading(page, "truth")).not_to_have_text("\N{EN DASH}", timeout=120_000)
    yield opened
    page.close()


@pytest.fixture
def page(opened: Opened) -> Page:
    """The median clip, paused."""
    opened.page.get_by_label("median").check(force=True)
    return opened.page


def clip_at(place: str, report: Report, corpus: Corpus) -> Clip:
    (wanted,) = (clip["clip_id"] for clip in report.content["played"]["clips"] if clip["place"] == place)
    return next(clip for clip in corpus.clips("test") if clip.clip_id == wanted)


def reading(page: Page, side: str, channel: str = "jawOpen"):
    """Where the page says that the head of a side stands."""
    return page.locator(f"[data-channel={channel}] output.{side}")


def weight(page: Page, side: str) -> float:
    return float(reading(page, side).inner_text())


def seek(page: Page, time_s: float) -> None:
    page.get_by_label("Where it stands").fill(f"{time_s:.2f}")
    expect(page.locator(".transport > output")).to_contain_text(f"{time_s:.2f} /")


def faces(page: Page) -> np.ndarray:
    """(height, width, 3) in [0, 1], the recording's face at the left."""
    return imread(io.BytesIO(page.locator(".faces canvas").screenshot()))[..., :3]


def at(clip: Clip, time_s: float) -> float:
    """jawOpen of the recording between its frames."""
    jaw = clip.motion.column("jawOpen")
    return float(np.interp(time_s * clip.motion.fps, np.arange(len(jaw)), jaw))


def test_the_recorded_face_is_posed_as_it_was_recorded(page: Page, median: Clip):
    jaw = median.motion.column("jawOpen")
    closed_s, open_s = (round(float(frame) / median.motion.fps, 2) for frame in (jaw.argmin(), jaw.argmax()))
    pictures = []
    for time_s in (closed_s, open_s):
        seek(page, time_s)
        expect(reading(page, "truth")).to_have_text(f"{at(median, time_s):.2f}")
        pictures.append(faces(page))
    change = np.abs(pictures[1] - pictures[0]).mean(axis=2)
    recorded = change[:, : change.shape[1] // 2]
    half = len(recorded) // 2
    assert recorded[half:].sum() > 2 * recorded[:half].sum(), "the mouth must change more than the brow"
    assert (recorded > 0.1).mean() > 0.002


def test_the_predicted_face_follows_the_speech_too(page: Page, median: Clip):
    jaw = median.motion.column("jawOpen")
    predicted = []
    for frame in (int(jaw.argmin()), int(jaw.argmax())):
        seek(page, frame / median.motion.fps)
        expect(reading(page, "truth")).to_have_text(f"{at(median, round(frame / median.motion.fps, 2)):.2f}")
        predicted.append(weight(page, "prediction"))
    assert predicted[1] - predicted[0] > 0.1


def test_it_plays_with_sound_and_pauses(page: Page, median: Clip):
    page.get_by_label("0.25").check(force=True)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(".transport > output")).to_have_text(re.compile(r"^(0\.[2-9]|[1-9])"), timeout=120_000)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    shown = page.locator(".transport > output").inner_text()
    stopped_s = float(shown.partition("/")[0])
    assert f"/ {median.motion.duration_s:.2f} s" in shown
    assert 0.2 < stopped_s < median.motion.duration_s
    # Time and weight are shown in hundredths, and the jaw moves within a hundredth of a second.
    near = [at(median, stopped_s + away_s) for away_s in np.linspace(-0.005, 0.005, 21)]
    allowed = {f"{value:.2f}" for value in np.arange(min(near) - 0.005, max(near) + 0.01, 0.005)}
    expect(reading(page, "truth")).to_have_text(re.compile("|".join(sorted(allowed))))
    assert page.locator(".waveform path").get_attribute("d")


def test_another_clip_is_chosen_by_its_place(page: Page, report: Report, corpus: Corpus):
    worst = report.content["played"]["clips"][-1]
    page.get_by_label("worst").check(force=True)
    expect(page.locator(".player header p")).to_have_text(
        f"{worst['clip_id']}: {worst['speaker']}, {worst['emotion']}; lip error {worst['lip_error_mm']:.2f} mm"
    )
    duration_s = clip_at("worst", report, corpus).motion.duration_s
    expect(page.locator(".transport > output")).to_have_text(f"0.00 / {duration_s:.2f} s")


def test_nothing_was_asked_of_anybody_and_nothing_was_forbidden(opened: Opened):
    elsewhere = [url for url in opened.requests if not url.startswith(("blob:", "data:"))]
    assert elsewhere == [opened.url]
    # Chromium says this of WebGL without a graphics card when pixels are read, as pictures of the page do.
    assert [text for text in opened.complaints if "GPU stall due to ReadPixels" not in text] == []
