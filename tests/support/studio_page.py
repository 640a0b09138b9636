"""The Studio as a person uses it, and what it holds, for tests."""

import contextlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imread
from playwright.sync_api import Browser, Page, expect

_PATIENCE_MS = 120_000


class Studio:
    """One open page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.settings = page.get_by_role("region", name="Settings")

    def choose_sound(self, path: Path) -> None:
        """As a person does who picks a file."""
        with self.page.expect_file_chooser() as chooser:
            self.settings.get_by_role("button", name="Choose a file", exact=True).click()
        chooser.value.set_files(path)
        expect(self.settings.get_by_title(path.name)).to_be_visible()

    def animate(self, button: str = "Animate") -> None:
        """Presses the button and waits for the result, which is then paused."""
        self.settings.get_by_role("button", name=button, exact=True).click()
        self.until("diffusiontalker.player.isPlaying.value")
        self.page.evaluate("diffusiontalker.player.pause()")

    def choose(self, label: str, option: str, *, within: Any = None) -> None:
        """Of a drop-down list."""
        (within or self.settings).get_by_label(label, exact=True).select_option(label=option)

    def until(self, condition: str) -> None:
        """Until a JavaScript expression holds. (Playwright's own way to wait needs `eval`, which the page forbids.)"""
        deadline = time.monotonic() + _PATIENCE_MS / 1000
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"waited in vain for {condition}"
            self.page.wait_for_timeout(30)

    def show(self, time_s: float) -> None:
        """The face at an instant."""
        self.page.evaluate("seconds => diffusiontalker.player.seek(seconds)", time_s)
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    @property
    def fps(self) -> float:
        """Of the result."""
        return self.page.evaluate("diffusiontalker.state.motionA.value.fps")

    def clear(self) -> None:
        """No sound, no result, nothing chosen."""
        self.page.evaluate("""() => {
            const { state } = diffusiontalker;
            state.removeSound();
            state.truth.value = null;
            state.settings.compare.value = "off";
            for (const { student, voice, emotion, seed } of [state.settings.a, state.settings.b]) {
                student.value = voice.value = emotion.value = "";
                seed.value = 0;
            }
        }""")

    def weight(self, channel: str, *, head: int = 0) -> float:
        """What a head shows of a channel."""
        return self.page.evaluate("([head, name]) => diffusiontalker.stage.heads[head].weight(name)", [head, channel])

    def column(self, channel: str, *, result: str = "A") -> np.ndarray:
        """One channel of a result, frame by frame."""
        values = self.page.evaluate(
            """([result, channel]) => {
                const { names, numFrames, weights } = diffusiontalker.state[`motion${result}`].value;
                const index = names.indexOf(channel);
                return Array.from({ length: numFrames }, (_, frame) => weights[frame * names.length + index]);
            }""",
            [result, channel],
        )
        return np.array(values)

    def picture(self) -> np.ndarray:
        """(height, width, 3) in [0, 1]: the head as it is seen now."""
        shot = self.page.get_by_role("region", name="Head").locator("canvas").screenshot()
        return imread(io.BytesIO(shot))[..., :3]


@contextlib.contextmanager
def studio(browser: Browser, url: str, *, size: tuple[int, int] = (900, 640), **options: Any) -> Iterator[Studio]:
    """The page, ready: the endpoint has answered and the head stands. Errors in the console fail the test."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Security Policy" in message.text else None)
    try:
        page.goto(url)
        opened = Studio(page)
        opened.until("window.diffusiontalker?.stage?.heads.length > 0")
        yield opened
        assert not complaints
    finally:
        context.close()
