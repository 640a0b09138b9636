"""The Studio in Chromium against a real endpoint: what a person does, and what they then see."""

import os
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect
from studio_page import Studio, studio

from diffusiontalker.face import read_motion

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
FIRST_LOAD_BYTES = 1_500_000
FRAME_MS = 4.0


def served_motion(endpoint, sound: Path, **parameters):
    """What the endpoint answers to the same request: channel -> (frames,), and the frame rate."""
    answer = httpx.post(
        f"{endpoint.url}/v1/animations", params=parameters, content=sound.read_bytes(), timeout=60.0
    ).json()
    frames = np.array(answer["frames"])
    return dict(zip(answer["names"], frames.T, strict=True)), answer["fps"]


def test_a_recording_that_is_uploaded_moves_the_face_as_the_endpoint_says(page, endpoint, speech, tmp_path):
    page.choose_sound(speech)
    page.animate()
    motion, fps = served_motion(endpoint, speech)
    jaw = motion["jawOpen"]
    silent, open_ = int(jaw.argmin()), int(jaw.argmax())
    assert jaw[open_] - jaw[silent] > 0.3
    pictures = {}
    for frame in (silent, open_):
        page.show(frame / fps)
        for channel in ("jawOpen", "mouthClose", "browInnerUp", "eyeBlinkLeft"):
            assert page.weight(channel) == pytest.approx(motion[channel][frame], abs=1e-4), (frame, channel)
        pictures[frame] = page.picture()
    change = np.abs(pictures[open_] - pictures[silent]).mean(axis=2)
    half = len(change) // 2
    assert change[half:].sum() > 4 * change[:half].sum(), "the mouth must change, the brow hardly"
    assert (change > 0.1).mean() > 0.005


def test_while_it_plays_every_picture_shows_the_instant_that_is_heard(page, speech):
    page.choose_sound(speech)
    page.animate()
    page.show(0.0)
    page.page.evaluate("diffusiontalker.state.settings.speed.value = 0.25")  # a slow machine draws a picture a second
    page.page.get_by_role("button", name="Play", exact=True).click()
    seen = page.page.evaluate(
        """async () => {
            const { player, stage } = diffusiontalker;
            const pose = stage.beforeRender;
            const seen = [];
            stage.beforeRender = (now) => {
                const before = player.now();
                pose(now);
                seen.push([before, player.now(), stage.heads[0].weight("jawOpen")]);
            };
            while (seen.length < 6 && player.isPlaying.value) await new Promise(requestAnimationFrame);
            stage.beforeRender = pose;
            return seen;
        }"""
    )
    page.page.get_by_role("button", name="Pause", exact=True).click()
    page.page.evaluate("diffusiontalker.state.settings.speed.value = 1")
    before, after, shown = np.array(seen).T
    jaw, fps = page.column("jawOpen"), page.fps
    assert after[-1] > before[0], "time goes on"
    frames = np.arange(len(jaw)) / fps
    ends = np.stack([np.interp(time, frames, jaw) for time in (before, after)])
    assert (shown >= ends.min(axis=0) - 1e-3).all()
    assert (shown <= ends.max(axis=0) + 1e-3).all()


def test_a_voice_is_enrolled_listed_used_and_deleted(page, endpoint, speech):
    page.choose_sound(speech)
    page.animate()
    before = page.column("browInnerUp")
    page.settings.get_by_role("button", name="Enrol from this recording").click()
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Anna")
    dialog.get_by_role("button", name="Enrol", exact=True).click()
    expect(dialog).to_be_hidden()
    [voice] = [one for one in endpoint.http.get("/v1/voices").json()["voices"] if one["name"] == "Anna"]
    expect(page.settings.get_by_label("Voice", exact=True)).to_have_value(voice["id"])
    page.choose("Emotion", "Happy")
    page.animate()
    motion, _ = served_motion(endpoint, speech, voice=voice["id"], emotion="happy")
    np.testing.assert_allclose(page.column("browInnerUp"), motion["browInnerUp"], atol=1e-4)
    assert np.abs(page.column("browInnerUp") - before).max() > 0.01
    page.settings.get_by_role("button", name="Delete Anna").click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(page.settings.get_by_label("Voice", exact=True)).to_have_value("")
    assert endpoint.http.get(f"/v1/voices/{voice['id']}").status_code == 404


def test_two_emotions_are_seen_side_by_side(page, speech):
    page.choose_sound(speech)
    page.choose("Compare with", "Another emotion")
    second = page.settings.get_by_role("group", name="B settings")
    page.choose("Emotion", "Angry", within=second)
    page.animate("Animate both")
    page.show(1.0)
    assert page.page.evaluate("diffusiontalker.stage.heads.length") == 2
    differences = {
        channel: np.abs(page.column(channel) - page.column(channel, result="B")).mean()
        for channel in ("browDownLeft", "browInnerUp", "mouthSmileLeft")
    }
    assert max(differences.values()) > 0.02, differences
    frame = round(1.0 * page.fps)
    for head, result in enumerate("AB"):
        assert page.weight("jawOpen", head=head) == pytest.approx(
            page.column("jawOpen", result=result)[frame], abs=1e-3
        )


def test_two_students_are_seen_side_by_side(page, endpoint, speech):
    page.choose_sound(speech)
    page.choose("Compare with", "Another student")
    second = page.settings.get_by_role("group", name="B settings")
    page.choose("Student", "untrained", within=second)
    page.animate("Animate both")
    for result, student in (("A", "student"), ("B", "untrained")):
        motion, _ = served_motion(endpoint, speech, student=student)
        np.testing.assert_allclose(page.column("jawOpen", result=result), motion["jawOpen"], atol=1e-4)
    expect(page.page.get_by_role("region", name="Head")).to_contain_text("untrained")


def test_a_head_of_ones_own_speaks(page, endpoint, speech, tmp_path):
    answer = endpoint.http.post("/v1/animations?format=glb", content=speech.read_bytes())
    (tmp_path / "mine.glb").write_bytes(answer.content)
    page.page.get_by_role("button", name="Head", exact=True).click()
    with page.page.expect_file_chooser() as chooser:
        page.page.get_by_role("button", name="Another head").click()
    chooser.value.set_files(tmp_path / "mine.glb")
    page.until("diffusiontalker.state.heads.fileName.value === 'mine.glb'")
    page.choose_sound(speech)
    page.animate()
    jaw = page.column("jawOpen")
    page.show(int(jaw.argmax()) / page.fps)
    assert page.weight("jawOpen") == pytest.approx(jaw.max(), abs=1e-4)
    page.page.get_by_role("button", name="Head", exact=True).click()
    page.page.get_by_role("button", name="The built-in head").click()
    page.until("diffusiontalker.state.heads.fileName.value === null")


def test_a_prediction_is_held_against_the_truth_in_a_file(page, endpoint, speech, tmp_path):
    answer = endpoint.http.post("/v1/animations?format=csv&seed=5", content=speech.read_bytes())
    truth = tmp_path / "truth.csv"
    truth.write_bytes(answer.content)
    page.choose_sound(speech)
    page.choose("Compare with", "A file: ground truth")
    with page.page.expect_file_chooser() as chooser:
        page.settings.get_by_role("button", name="Choose a csv or json file").click()
    chooser.value.set_files(truth)
    page.animate()
    motion, _ = served_motion(endpoint, speech, seed=5)
    np.testing.assert_allclose(page.column("jawOpen", result="B"), motion["jawOpen"], atol=1e-4)
    assert page.page.evaluate("diffusiontalker.stage.heads.length") == 2


def test_every_format_that_is_offered_can_be_downloaded_and_read(page, endpoint, speech, tmp_path):
    page.choose_sound(speech)
    page.animate()
    jaw = page.column("jawOpen")
    formats = endpoint.http.get("/v1/bundle").json()["formats"]
    assert {"csv", "json", "glb", "livelink", "usda"} <= {one["name"] for one in formats}
    page.page.get_by_role("button", name="Download").click()
    for known in formats:
        item = page.page.get_by_role("button", name=known["suffix"], exact=False).filter(has_text=known["suffix"])
        with page.page.expect_download() as started:
            item.get_by_text(known["suffix"], exact=True).click()
        file = tmp_path / started.value.suggested_filename
        started.value.save_as(file)
        assert file.name == f"hello{known['suffix']}"
        np.testing.assert_allclose(read_motion(file).column("jawOpen"), jaw, atol=2e-3, err_msg=known["name"])


def test_what_was_chosen_is_in_the_address(browser, endpoint, page):
    page.choose("Emotion", "Happy")
    page.page.get_by_text("More settings").click()
    page.settings.get_by_label("Seed").fill("7")
    page.page.keyboard.press("Tab")
    page.until("location.hash.includes('seed=7')")
    with studio(browser, page.page.url) as shared:
        expect(shared.settings.get_by_label("Emotion", exact=True)).to_have_value("happy")
        assert shared.page.evaluate("diffusiontalker.state.settings.a.seed.value") == 7


def test_the_page_is_small_quick_and_asks_nobody_else(browser, endpoint, speech):
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    opened = context.new_page()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(f"{endpoint.url}/studio/")
    view = Studio(opened)
    view.until("window.diffusiontalker?.stage?.heads.length > 0")
    sizes = opened.evaluate(
        "performance.getEntries().filter(one => 'encodedBodySize' in one).map(one => one.encodedBodySize)"
    )
    assert sum(sizes) < FIRST_LOAD_BYTES, sizes
    view.choose_sound(speech)
    view.animate()
    opened.evaluate("diffusiontalker.player.play()")
    opened.wait_for_timeout(1500)
    milliseconds = opened.evaluate("diffusiontalker.stage.scriptMs")
    print(f"first load {sum(sizes) / 1e3:.0f} kB, script {milliseconds:.1f} ms a picture")
    assert 0 < milliseconds < 4 * FRAME_MS  # wide, as others use the machine, too; alone it is below FRAME_MS
    others = [url for url in asked if not url.startswith((endpoint.url, "blob:", "data:"))]
    assert others == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_of_the_page(browser, endpoint, speech, tmp_path, scheme):
    """Made for the README, too: set DIFFUSIONTALKER_PICTURES to the folder that gets them."""
    with studio(browser, f"{endpoint.url}/studio/", size=(1440, 900), color_scheme=scheme) as page:
        page.choose_sound(speech)
        page.choose("Emotion", "Happy")
        page.animate()
        jaw = page.column("jawOpen")
        fps = page.fps
        page.show(int(jaw.argmax()) / fps)
        page.page.mouse.move(5, 5)
        picture = tmp_path / f"studio-{scheme}.png"
        page.page.screenshot(path=picture)
        background = page.picture()[:8].mean()
        assert background > 0.6 if scheme == "light" else background < 0.4
        if folder := os.environ.get("DIFFUSIONTALKER_PICTURES"):
            shutil.copy(picture, folder)


def test_a_phone_shows_everything_in_one_column(browser, endpoint):
    with studio(browser, f"{endpoint.url}/studio/", size=(360, 740)) as page:
        width = page.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360
        button = page.settings.get_by_role("button", name="Animate", exact=True)
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        for name in ("Head", "Download"):
            page.page.get_by_role("button", name=name, exact=True).click()
            box = page.page.get_by_role("group", name=name, exact=True).bounding_box()
            assert box is not None
            assert 0 <= box["x"] <= box["x"] + box["width"] <= 360, name
            page.page.keyboard.press("Escape")
