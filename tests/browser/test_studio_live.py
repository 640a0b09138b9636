"""The Studio's live mode: a microphone that plays a file, frames that move the head, and how late they are."""

import httpx
import numpy as np
import pytest
import soundfile
from endpoint import Endpoint
from studio_page import studio

pytestmark = [pytest.mark.slow, pytest.mark.serve, pytest.mark.timeout(300)]
OFFSET_MS = 50.0

WATCH = """async pictures => {
    const { session, stage } = diffusiontalker;
    const shown = [], stated = [];
    while (shown.length < pictures) {
        const now = await new Promise(requestAnimationFrame);
        shown.push([now - session.clock.pageMs((1000 * session.firstSample) / session.sampleRateHz),
            stage.heads[0].weight("jawOpen")]);
        stated.push([session.latencyMs.value, session.latencyParts.value.lookAheadMs]);
    }
    return [shown, stated];
}"""
"""[[ms since the sound began, jawOpen that is shown], ...], [[stated latency, look-ahead], ...]"""


@pytest.fixture(scope="module")
def speaking(launch, speech, tmp_path_factory):
    """A browser whose microphone says a sentence again and again."""
    samples, rate = soundfile.read(speech)
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    soundfile.write(path, samples, rate, subtype="PCM_16")
    fakes = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    return launch(*fakes, f"--use-file-for-fake-audio-capture={path}")


@pytest.fixture(scope="module")
def served(student, tmp_path_factory):
    """`diffusiontalker serve`, in processes of its own as in life: what it computes must not wait for this one."""
    endpoint = Endpoint(student, tmp_path_factory.mktemp("served"))
    endpoint.wait()
    yield endpoint.url
    endpoint.end()


def best_lag_ms(shown, take, fps):
    """By how much a face that was watched lags behind the sound, of whose frames it is made."""
    time_ms, jaw = shown
    lags = np.arange(0.0, 1500.0, 5.0)
    frames = np.arange(len(take)) * 1000.0 / fps
    errors = [np.abs(np.interp(time_ms - lag, frames, take) - jaw).mean() for lag in lags]
    return lags[int(np.argmin(errors))]


def test_the_face_follows_the_microphone_as_late_as_it_is_said_and_the_take_is_kept(speaking, served):
    # A small picture: software draws it, and the test is about time.
    with studio(speaking, f"{served}/studio/", size=(420, 560)) as page:
        page.choose("Voice", "amber")
        page.choose("Emotion", "Neutral")
        page.settings.get_by_text("Live", exact=True).click()
        page.settings.get_by_role("button", name="Start speaking").click()
        page.until("diffusiontalker.session?.latencyMs.value != null")
        page.page.wait_for_timeout(2000)  # the delay settles
        shown, stated = (np.array(part).T for part in page.page.evaluate(WATCH, 60))
        page.settings.get_by_role("button", name="Stop and keep the take").click()
        page.until("diffusiontalker.state.motionA.value !== null")
        take = page.column("jawOpen")
        fps = page.page.evaluate("diffusiontalker.state.motionA.value.fps")
        sound = page.page.evaluate(
            "async () => [...new Uint8Array(await diffusiontalker.state.sound.value.upload.arrayBuffer())]"
        )
    again = httpx.post(f"{served}/v1/animations?voice=amber&emotion=neutral", content=bytes(sound), timeout=60.0).json()
    whole = np.array(again["frames"])[:, again["names"].index("jawOpen")]
    assert np.ptp(shown[1]) > 0.2, "the head moves"
    assert len(whole) - len(take) in (0, 1)
    np.testing.assert_allclose(take, whole[: len(take)], atol=0.02)  # live and at once are the same animation
    lag, latency, look_ahead = best_lag_ms(shown, take, fps), *np.median(stated, axis=1)
    print(f"the face is {lag:.0f} ms late, stated {latency:.0f} ms, of which look-ahead {look_ahead:.0f} ms")
    assert abs(lag - latency) < OFFSET_MS, (lag, latency, look_ahead)
