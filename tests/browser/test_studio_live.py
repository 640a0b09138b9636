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
    const pose = stage.beforeRender;
    const seen = [];
    stage.beforeRender = (now) => {
        pose(now);
        const since = now - session.clock.pageMs((1000 * session.firstSample) / session.sampleRateHz);
        seen.push([since, stage.heads[0].weight("jawOpen"), session.latencyMs.value]);
    };
    while (seen.length < pictures) await new Promise(requestAnimationFrame);
    stage.beforeRender = pose;
    return [seen, session.latencyParts.value.lookAheadMs];
}"""
"""[[ms since the sound began, jawOpen that is shown, latency that is stated], ...], look-ahead in ms"""


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


def offset_ms(seen, take, fps):
    """How much later than stated a face that was watched is, whose sound is animated as `take`."""
    time_ms, jaw, latency_ms = seen
    frames = np.arange(len(take)) * 1000.0 / fps
    offsets = np.arange(-400.0, 401.0, 5.0)
    errors = [np.abs(np.interp(time_ms - latency_ms - offset, frames, take) - jaw).mean() for offset in offsets]
    return offsets[int(np.argmin(errors))]


def test_the_face_follows_the_microphone_as_late_as_it_is_said_and_the_take_is_kept(speaking, served):
    # A small picture: software draws it, and the test is about time.
    with studio(speaking, f"{served}/studio/", size=(420, 560)) as page:
        page.choose("Voice", "amber")
        page.choose("Emotion", "Neutral")
        page.settings.get_by_text("Live", exact=True).click()
        page.settings.get_by_role("button", name="Start speaking").click()
        page.until("diffusiontalker.session?.latencyMs.value != null")
        page.page.wait_for_timeout(2000)  # the delay settles
        seen, look_ahead = page.page.evaluate(WATCH, 40)
        page.settings.get_by_role("button", name="Stop and keep the take").click()
        page.until("diffusiontalker.state.motionA.value !== null")
        take = page.column("jawOpen")
        fps = page.page.evaluate("diffusiontalker.state.motionA.value.fps")
        sound = page.page.evaluate(
            "async () => [...new Uint8Array(await diffusiontalker.state.sound.value.upload.arrayBuffer())]"
        )
    again = httpx.post(f"{served}/v1/animations?voice=amber&emotion=neutral", content=bytes(sound), timeout=60.0).json()
    whole = np.array(again["frames"])[:, again["names"].index("jawOpen")]
    seen = np.array(seen).T
    assert np.ptp(seen[1]) > 0.2, "the head moves"
    assert len(whole) - len(take) in (0, 1)
    np.testing.assert_allclose(take, whole[: len(take)], atol=0.02)  # live and at once are the same animation
    offset, latency = offset_ms(seen, take, fps), np.median(seen[2])
    print(f"the face is {latency:.0f} ms late, {look_ahead:.0f} of them look-ahead; {offset:.0f} ms later than stated")
    assert abs(offset) < OFFSET_MS
