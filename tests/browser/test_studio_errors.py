"""What the Studio says when something is wrong: in words, where it arises, and nothing is lost."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect
from serving_app import Server, slow_batches
from studio_page import studio

from diffusiontalker.serving.arguments import ServingArguments
from diffusiontalker.serving.auth import new_key

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def pick(page, path):
    """Chooses a file that may be refused."""
    with page.page.expect_file_chooser() as chooser:
        page.settings.get_by_role("button", name="Choose a file", exact=True).click()
    chooser.value.set_files(path)


def test_a_file_that_is_no_sound_is_called_that(page, tmp_path):
    path = tmp_path / "notes.wav"
    path.write_text("These are no samples.")
    pick(page, path)
    expect(page.settings.get_by_role("alert")).to_contain_text("notes.wav")
    expect(page.settings.get_by_role("button", name="Animate", exact=True)).to_be_disabled()


def test_a_recording_beyond_the_limit_is_refused_before_it_is_sent(browser, endpoint, tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, 16_000 * 4), 16_000)
    with endpoint.limits(max_seconds=2.0), studio(browser, f"{endpoint.url}/studio/") as page:
        methods = []
        page.page.on("request", lambda request: methods.append(request.method))
        pick(page, path)
        expect(page.settings.get_by_role("alert")).to_contain_text("2 s")
        assert "POST" not in methods


def test_a_file_that_is_no_head_leaves_the_head_that_was_there(page, tmp_path):
    path = tmp_path / "chair.glb"
    path.write_bytes(b"glTF, but not really")
    page.page.get_by_role("button", name="Head").click()
    with page.page.expect_file_chooser() as chooser:
        page.page.get_by_role("button", name="Another head").click()
    chooser.value.set_files(path)
    expect(page.page.get_by_role("region", name="Head").get_by_role("alert")).to_contain_text("chair.glb")
    assert page.page.evaluate("diffusiontalker.stage.heads.length") == 1


def test_ground_truth_that_is_damaged_is_told_by_row_and_column(page, tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("time_s,jawOpen\n0.00,0.1\n0.04,wide\n")
    page.choose("Compare with", "A file: ground truth")
    with page.page.expect_file_chooser() as chooser:
        page.settings.get_by_role("button", name="Choose a csv or json file").click()
    chooser.value.set_files(path)
    told = page.settings.get_by_role("alert")
    for part in ("truth.csv", "3", "jawOpen", "wide"):
        expect(told).to_contain_text(part)


def test_a_busy_endpoint_is_waited_for_with_a_countdown(page, endpoint, speech):
    page.choose_sound(speech)
    endpoint.run(lambda: endpoint.core.reconfigure(max_waiting=1))
    send = lambda: httpx.post(f"{endpoint.url}/v1/animations", content=speech.read_bytes(), timeout=60.0)  # noqa: E731
    with ThreadPoolExecutor(4) as others:
        with slow_batches(endpoint.core):
            answers = [others.submit(send) for _ in range(4)]
            while not any(one.done() and one.result().status_code == 429 for one in answers):
                page.page.wait_for_timeout(20)
            page.settings.get_by_role("button", name="Animate", exact=True).click()
            expect(page.settings).to_contain_text("The server is busy. Trying again in")
        page.until("diffusiontalker.state.motionA.value !== null")
    endpoint.run(lambda: endpoint.core.reconfigure(max_waiting=64))


def test_waiting_for_a_busy_endpoint_can_be_given_up(page, endpoint, speech):
    page.choose_sound(speech)
    with slow_batches(endpoint.core):
        page.settings.get_by_role("button", name="Animate", exact=True).click()
        page.settings.get_by_role("button", name="Cancel").click()
        expect(page.settings.get_by_role("button", name="Animate", exact=True)).to_be_enabled()
    assert page.page.evaluate("diffusiontalker.state.motionA.value") is None


def test_a_microphone_that_is_refused_is_explained(page):
    page.settings.get_by_role("button", name="Record", exact=True).click()
    expect(page.settings.get_by_role("alert")).to_contain_text("microphone")


def test_a_key_is_asked_for_once_and_kept_in_this_tab_alone(browser, student, tmp_path):
    key, line = new_key("anna")
    (tmp_path / "keys.txt").write_text(line + "\n")
    server = Server(
        ServingArguments(bundle=str(student), voices=str(tmp_path / "voices"), keys_file=str(tmp_path / "keys.txt"))
    )
    try:
        with studio(browser, f"{server.url}/studio/") as page:
            dialog = page.page.get_by_role("dialog", name="This endpoint needs a key")
            dialog.get_by_label("Key").fill("dt_wrong")
            dialog.get_by_role("button", name="Use this key").click()
            expect(dialog.get_by_role("alert")).to_be_visible()
            dialog.get_by_label("Key").fill(key)
            dialog.get_by_role("button", name="Use this key").click()
            expect(dialog).to_be_hidden()
            page.until("diffusiontalker.state.catalogue.abouts.value.size > 0")
            page.page.reload()
            page.until("diffusiontalker?.state.catalogue.abouts.value.size > 0")
            assert key not in page.page.url
            assert key not in page.page.evaluate("JSON.stringify(localStorage) + document.cookie")
    finally:
        server.close()
