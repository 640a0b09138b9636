"""What a driver makes lands in the object store, and a later driver finds it there whole."""

import logging
import re
import time

import pytest
from object_store import bucket_on_s3

from diffusiontalker.storage import MANIFEST_NAME, WorkingCopy, open_filesystem, working_copy
from diffusiontalker.storage.working_copy import INDEX_NAME


@pytest.fixture(scope="module")
def bucket():
    with bucket_on_s3("copies") as url:
        yield url


def put(copy: WorkingCopy, name: str, content: str) -> None:
    path = copy.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def files(copy: WorkingCopy) -> dict[str, str]:
    return {
        path.relative_to(copy.folder).as_posix(): path.read_text(encoding="utf-8")
        for path in copy.folder.rglob("*")
        if path.is_file()
    }


def stored(uri: str, content: str | None = None) -> str:
    """What is in the store; or puts something there."""
    filesystem, path = open_filesystem(uri)
    if content is not None:
        with filesystem.open_output_stream(path) as stream:
            stream.write(content.encode())
        return content
    with filesystem.open_input_stream(path) as stream:
        return stream.read().decode()


def test_what_one_copy_made_the_next_one_finds(bucket):
    with WorkingCopy.opened(f"{bucket}/next") as copy:
        assert copy.is_empty()
        put(copy, "report.json", "{}")
        put(copy, "bundle/weights", "w")
        put(copy, "bundle/.half", "unfinished")
        assert copy.address(copy.folder / "bundle") == f"{bucket}/next/bundle"
    with WorkingCopy.opened(f"{bucket}/next") as copy:
        assert not copy.is_empty()
        assert files(copy) == {"report.json": "{}", "bundle/weights": "w"}


def test_what_is_taken_away_is_taken_away_there_too(bucket):
    with WorkingCopy.opened(f"{bucket}/gone") as copy:
        put(copy, "a", "1")
        put(copy, "b", "1")
        copy.push()
        (copy.folder / "a").unlink()
    with WorkingCopy.opened(f"{bucket}/gone") as copy:
        assert files(copy) == {"b": "1"}
        (copy.folder / "b").unlink()
    with WorkingCopy.opened(f"{bucket}/gone") as copy:
        assert copy.is_empty()


def test_only_what_changed_is_written(bucket):
    with WorkingCopy.opened(f"{bucket}/changes") as copy:
        put(copy, "a", "1")
        put(copy, "b", "1")
        copy.push()
        stored(f"{bucket}/changes/a", "touched by somebody else")
        put(copy, "b", "2")
    assert stored(f"{bucket}/changes/a") == "touched by somebody else"
    assert stored(f"{bucket}/changes/b") == "2"


def test_a_folder_left_half_written_is_dropped_as_a_whole_and_said(bucket, caplog):
    with WorkingCopy.opened(f"{bucket}/half") as copy:
        put(copy, "config.yaml", "c")
        put(copy, "bundle/weights", "old")
        put(copy, f"bundle/{MANIFEST_NAME}", "old")
        put(copy, "bundle/plots/picture", "old")
        put(copy, f"bundle/inside/{MANIFEST_NAME}", "fine")
    stored(f"{bucket}/half/bundle/weights", "new, but the driver died before the index")
    with caplog.at_level(logging.WARNING), WorkingCopy.opened(f"{bucket}/half") as copy:
        assert files(copy) == {"config.yaml": "c", f"bundle/inside/{MANIFEST_NAME}": "fine"}
    with WorkingCopy.opened(f"{bucket}/half") as copy:
        assert files(copy) == {"config.yaml": "c", f"bundle/inside/{MANIFEST_NAME}": "fine"}
    assert "half/bundle was left half written" in caplog.text


def test_a_log_that_grew_after_the_last_push_is_kept(bucket):
    with WorkingCopy.opened(f"{bucket}/log") as copy:
        put(copy, "metrics.jsonl", "1\n")
        copy.push()
        stored(f"{bucket}/log/metrics.jsonl", "1\n2\n")
        put(copy, "metrics.jsonl", "1\n")
    stored(f"{bucket}/log/metrics.jsonl", "1\n2\n")
    with WorkingCopy.opened(f"{bucket}/log") as copy:
        assert files(copy)["metrics.jsonl"] == "1\n2\n"


def test_a_driver_killed_before_its_first_push_was_done_leaves_a_folder_that_can_be_resumed(bucket):
    stored(f"{bucket}/young/config.yaml", "c")
    stored(f"{bucket}/young/train/checkpoint/state", "not ours to copy")
    with WorkingCopy.opened(f"{bucket}/young") as copy:
        assert not copy.is_empty()
        assert files(copy) == {"config.yaml": "c"}


def test_a_file_at_the_top_that_is_newer_than_the_index_is_kept(bucket):
    with WorkingCopy.opened(f"{bucket}/top") as copy:
        put(copy, "config.yaml", "old")
    stored(f"{bucket}/top/config.yaml", "new, but the driver died before the index")
    with WorkingCopy.opened(f"{bucket}/top") as copy:
        assert files(copy) == {"config.yaml": "new, but the driver died before the index"}


def test_an_index_that_was_cut_off_is_as_none(bucket):
    with WorkingCopy.opened(f"{bucket}/cut") as copy:
        put(copy, "config.yaml", "c")
    stored(f"{bucket}/cut/{INDEX_NAME}", "{")
    with WorkingCopy.opened(f"{bucket}/cut") as copy:
        assert files(copy) == {"config.yaml": "c"}


def test_a_new_log_is_named_by_the_index_before_its_stage_is_done(bucket, monkeypatch):
    monkeypatch.setattr(working_copy, "_LOG_SECONDS", 0.05)
    with WorkingCopy.opened(f"{bucket}/growing") as copy:
        put(copy, "networks/one/metrics.jsonl", "1\n")
        deadline = time.monotonic() + 20
        while INDEX_NAME not in copy.names():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with WorkingCopy.opened(f"{bucket}/growing") as other:
            assert files(other) == {"networks/one/metrics.jsonl": "1\n"}


def test_why_a_driver_failed_is_told_even_when_the_store_is_gone(bucket, monkeypatch, caplog):
    with pytest.raises(RuntimeError, match="the reason"), WorkingCopy.opened(f"{bucket}/away") as copy:
        put(copy, "a", "1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        raise RuntimeError("the reason")
    assert "what was made last is lost" in caplog.text


def test_what_a_failing_driver_made_is_pushed(bucket):
    with pytest.raises(RuntimeError), WorkingCopy.opened(f"{bucket}/failing") as copy:
        put(copy, "a", "1")
        raise RuntimeError
    with WorkingCopy.opened(f"{bucket}/failing") as copy:
        assert files(copy) == {"a": "1"}


def test_the_index_is_written_last_and_a_manifest_after_its_folder(bucket, caplog):
    with WorkingCopy.opened(f"{bucket}/order") as copy, caplog.at_level(logging.INFO, logger="werkzeug"):
        put(copy, "bundle/weights", "w")
        put(copy, f"bundle/{MANIFEST_NAME}", "m")
        put(copy, "zzz", "z")
        copy.push()
    written = re.findall(r"PUT /copies/order/(\S*[^/\s]) HTTP", caplog.text)  # as the server saw it
    assert sorted(written) == sorted(["bundle/weights", f"bundle/{MANIFEST_NAME}", "zzz", INDEX_NAME])
    assert written.index("bundle/weights") < written.index(f"bundle/{MANIFEST_NAME}")
    assert written[-1] == INDEX_NAME


def test_a_local_folder_is_its_own_copy(tmp_path):
    with WorkingCopy.opened(tmp_path / "run") as copy:
        assert copy.is_empty()
        put(copy, "a", "1")
        copy.push()
        assert copy.address(copy.folder / "a") == str(tmp_path / "run" / "a")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["a"]
