"""Folders in an object store: nobody ever reads half of one."""

import contextlib
import threading
from pathlib import Path

import pytest
from object_store import bucket_on_s3

from diffusiontalker.config import ArtefactError
from diffusiontalker.storage import MANIFEST_NAME, StorageError, absolute_uri, local_copy, new_folder, open_filesystem


@pytest.fixture(scope="module")
def bucket():
    with bucket_on_s3("folders") as url:
        yield url


def write(uri, *, content: str, overwrite: bool = False) -> None:
    with new_folder(uri, overwrite=overwrite) as folder:
        for name in ("one", "two"):
            (folder / name).write_text(content, encoding="utf-8")
        (folder / MANIFEST_NAME).write_text(content, encoding="utf-8")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def delete(uri: str) -> None:
    filesystem, path = open_filesystem(uri)
    filesystem.delete_file(path)


def test_a_folder_is_published_and_read_back_and_its_copy_ends_with_the_block(bucket):
    write(f"{bucket}/plain", content="a")
    with local_copy(f"{bucket}/plain", is_guarded=True) as folder:
        assert contents(folder) == {"one": "a", "two": "a", MANIFEST_NAME: "a"}
    assert not folder.exists()


def test_nothing_is_overwritten_unless_it_is_asked_for(bucket):
    write(f"{bucket}/twice", content="a")
    with pytest.raises(ArtefactError, match=r"s3://folders/twice already exists"):
        write(f"{bucket}/twice", content="b")
    write(f"{bucket}/twice", content="b", overwrite=True)
    with local_copy(f"{bucket}/twice", is_guarded=True) as folder:
        assert set(contents(folder).values()) == {"b"}


def test_a_block_that_fails_publishes_nothing(bucket):
    with pytest.raises(RuntimeError), new_folder(f"{bucket}/failed") as folder:
        (folder / "one").touch()
        raise RuntimeError
    with pytest.raises(StorageError, match=r"s3://folders/failed: there is nothing"), local_copy(f"{bucket}/failed"):
        pass


def test_readers_of_a_folder_that_is_overwritten_again_and_again_never_see_a_mixture(bucket):
    uri = f"{bucket}/changing"
    write(uri, content="0")
    is_over = threading.Event()

    def keep_writing() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            write(uri, content=str(number), overwrite=True)
            is_over.wait(0.3)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        seen = []
        for _ in range(6):
            with contextlib.suppress(StorageError), local_copy(uri, is_guarded=True) as folder:
                found = contents(folder)
                if MANIFEST_NAME in found:  # else: no luck, and whoever reads it refuses it as unfinished
                    seen.append(set(found.values()))
        assert seen
        assert all(len(values) == 1 for values in seen), seen
        assert len(set.union(*seen)) > 1, "nothing was overwritten while it was read"
    finally:
        is_over.set()
        writer.join()


def test_a_reader_waits_a_little_for_a_writer_that_is_not_done(bucket):
    uri = f"{bucket}/late"
    write(uri, content="a")
    delete(f"{uri}/{MANIFEST_NAME}")
    writer = threading.Timer(1.0, write, args=(uri,), kwargs={"content": "b", "overwrite": True})
    writer.start()
    with local_copy(uri, is_guarded=True) as folder:
        assert contents(folder) == {"one": "b", "two": "b", MANIFEST_NAME: "b"}
    writer.join()


def test_local_paths_are_made_absolute_and_urls_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_uri("corpus") == str(tmp_path / "corpus")
    assert absolute_uri("s3://bucket/corpus") == "s3://bucket/corpus"


def test_local_paths_are_used_where_they_are(tmp_path):
    write(tmp_path / "local", content="a")
    with local_copy(tmp_path / "local", is_guarded=True) as folder:
        assert folder == tmp_path / "local"


@pytest.mark.parametrize("url", ["nowhere://bucket/x", "s3:///no-bucket"])
def test_urls_that_cannot_be_used_are_refused(url):
    with pytest.raises(StorageError, match=r"s3://bucket/folder"):
        open_filesystem(url)
