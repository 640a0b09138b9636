"""Voices are the same whatever store holds them, replicas see each other's changes, and damage is shown, not fatal."""

import asyncio
import datetime
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import fsspec
import numpy as np
import pytest
from in_loop import in_loop
from object_store import bucket_on_s3

from diffusiontalker.inference import Voice, VoiceStore
from diffusiontalker.inference.voices import make_voice, voice_to_json
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.folder_store import FolderStore, StoreError
from diffusiontalker.serving.voice_registry import VoiceRegistry

DIGEST = "a" * 64
NOON = datetime.datetime(2001, 2, 3, 12, tzinfo=datetime.UTC)
BAD_IDS = ["../secret", "..", "a/b", "/etc/passwd", "a\\b", "", "-a", "A", "a.b", "a\n", "x" * 65, "a\0", "s3://b/c"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_voice(name: str = "Anna", *, seed: int = 0, digest: str = DIGEST) -> Voice:
    identity, emotion = np.random.default_rng(seed).standard_normal((2, 128))
    return make_voice(name=name, identity=identity, emotion=emotion, bundle_digest=digest, provenance={"seed": seed})


def put(uri: str, name: str, content: bytes) -> None:
    """Writes a file past the registry, as another program would."""
    filesystem, root = fsspec.core.url_to_fs(uri)
    filesystem.makedirs(root, exist_ok=True)
    filesystem.pipe_file(f"{root}/{name}", content)


async def refusal(action) -> ServingError:
    with pytest.raises(ServingError) as caught:
        await action
    return caught.value


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with bucket_on_s3("voices") as url:
        yield url


@pytest.fixture(params=["local", "memory", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "voices")
    root = "memory://registry" if request.param == "memory" else request.getfixturevalue("bucket")
    return f"{root}/{uuid.uuid4().hex}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(uri: str, clock: Clock) -> Iterator[VoiceRegistry]:
    registry = VoiceRegistry(uri, clock=clock, now=lambda: NOON)
    yield registry
    registry.close()


@in_loop
async def test_a_voice_lives_through_create_get_rename_and_delete(registry: VoiceRegistry) -> None:
    assert (await registry.list()).entries == ()
    voice = a_voice("Žofie 🎙")
    stored = await registry.create(voice)
    again = await registry.get(voice.voice_id)
    assert np.array_equal(again.identity, voice.identity)
    assert np.array_equal(again.emotion, voice.emotion)
    assert again.provenance == stored.provenance == {"created_at": "2001-02-03T12:00:00+00:00", "seed": 0}
    renamed = await registry.rename(voice.voice_id, name="Sophie")
    assert (renamed.voice_id, renamed.name) == (voice.voice_id, "Sophie")
    assert (await registry.get(voice.voice_id)).name == "Sophie"
    assert [entry.voice_id for entry in (await registry.list()).entries] == [voice.voice_id]
    await registry.delete(voice.voice_id)
    assert (await registry.list()).entries == ()
    assert (await refusal(registry.get(voice.voice_id))).code == "unknown_voice"


@in_loop
async def test_what_is_not_there_cannot_be_read_renamed_or_deleted(registry: VoiceRegistry) -> None:
    for action in (registry.get("nobody"), registry.rename("nobody", name="x"), registry.delete("nobody")):
        error = await refusal(action)
        assert error.code == "unknown_voice"
        assert "no voice 'nobody'" in error.message


@in_loop
async def test_a_voice_is_created_once_even_by_many_at_once(registry: VoiceRegistry) -> None:
    outcomes = await asyncio.gather(*(registry.create(a_voice()) for _ in range(8)), return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, ServingError)]
    assert len(errors) == 7
    assert {error.code for error in errors} == {"voice_exists"}
    assert a_voice().voice_id in errors[0].message


@in_loop
async def test_pages_cover_all_voices_in_order(registry: VoiceRegistry) -> None:
    ids = sorted([(await registry.create(a_voice(f"v{number}", seed=number))).voice_id for number in range(7)])
    found, after = [], None
    while True:
        page = await registry.list(limit=3, after=after)
        found += [entry.voice_id for entry in page.entries]
        after = page.next_after
        if after is None:
            break
    assert found == ids
    assert len((await registry.list(limit=7)).entries) == 7
    assert (await registry.list(limit=7)).next_after is None
    for limit in (0, -1, 1001):
        assert (await refusal(registry.list(limit=limit))).code == "invalid_parameter"
    assert (await refusal(registry.list(after="../x"))).code == "invalid_parameter"


@in_loop
async def test_damaged_files_are_marked_and_the_rest_is_listed(registry: VoiceRegistry, uri: str) -> None:
    voice = await registry.create(a_voice())
    whole = voice_to_json(voice)
    plain = json.loads(whole)
    damaged = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "binary": bytes(range(256)),
        "foreign": b'{"hello": 1}',
        "moved": whole,
        "long": json.dumps(plain | {"voice_id": "long", "identity": [9.0, 9.0]}).encode(),
        "nan": json.dumps(plain | {"voice_id": "nan", "identity": [float("nan")] * 128}).encode(),
        "deep": b"[" * 100_000,
    }
    for voice_id, content in damaged.items():
        put(uri, f"{voice_id}.json", content)
    put(uri, "README.txt", b"not a voice")
    put(uri, "UPPER.json", b"not a voice's name")
    fresh = VoiceRegistry(uri)
    page = await fresh.list()
    fresh.close()
    assert [entry.voice_id for entry in page.entries] == sorted([*damaged, voice.voice_id])
    for entry in page.entries:
        assert (entry.voice is None) == (entry.voice_id in damaged)
        assert (entry.problem is None) == (entry.voice_id not in damaged)
        if entry.problem is not None:
            assert entry.problem.startswith(f"voice '{entry.voice_id}'")
            assert uri not in entry.problem
    error = await refusal(registry.get("cut"))
    assert error.code == "unknown_voice"
    assert "damaged, delete it" in error.message
    await registry.delete("cut")
    assert (await refusal(registry.get("cut"))).message.startswith("there is no voice 'cut'")


@in_loop
async def test_replicas_see_each_others_changes_after_the_cache_time(uri: str) -> None:
    clock = Clock()
    first, second = (VoiceRegistry(uri, cache_seconds=2.0, clock=clock) for _ in range(2))
    assert (await second.list()).entries == ()
    voice = await first.create(a_voice())
    assert (await second.list()).entries == ()
    assert (await second.get(voice.voice_id)).name == "Anna"  # Nobody remembers that a voice was not there.
    clock.now = 2.0
    assert len((await second.list()).entries) == 1
    await first.rename(voice.voice_id, name="Berta")
    assert (await first.get(voice.voice_id)).name == "Berta"
    clock.now = 3.999
    assert (await second.get(voice.voice_id)).name == "Anna"
    clock.now = 4.0
    assert (await second.get(voice.voice_id)).name == "Berta"
    await first.delete(voice.voice_id)
    clock.now = 6.0
    assert (await refusal(second.get(voice.voice_id))).code == "unknown_voice"
    assert (await second.list()).entries == ()
    first.close()
    second.close()


@in_loop
async def test_what_another_program_puts_into_a_bucket_is_seen(bucket: str) -> None:
    clock, folder = Clock(), uuid.uuid4().hex
    registry = VoiceRegistry(f"{bucket}/{folder}", clock=clock)
    await registry.create(a_voice())
    assert len((await registry.list()).entries) == 1
    other = a_voice("Berta")
    key = f"{folder}/{other.voice_id}.json"
    boto3.client("s3").put_object(Bucket="voices", Key=key, Body=voice_to_json(other))
    clock.now += 2.0
    assert len((await registry.list()).entries) == 2
    registry.close()


@in_loop
async def test_a_blend_is_stored_like_any_voice(registry: VoiceRegistry) -> None:
    voices = [await registry.create(a_voice(name, seed=seed)) for seed, name in enumerate(("a", "b"))]
    ids = [voice.voice_id for voice in voices]
    mixed = await registry.blend(ids, weights=[1.0, 3.0], name="mix")
    stored = await registry.get(mixed.voice_id)
    assert stored.provenance == {
        "created_at": "2001-02-03T12:00:00+00:00",
        "blend": {ids[0]: 0.25, ids[1]: 0.75},
    }
    assert np.linalg.norm(stored.identity) == pytest.approx(1.0, abs=1e-6)
    other = await registry.create(a_voice("other bundle", digest="b" * 64))
    for voice_ids, weights in (
        (ids, [1.0]), (ids, [0.0, 0.0]), ([], []), (ids * 17, [1.0] * 34), ([ids[0], other.voice_id], [1.0, 1.0]),
    ):  # fmt: skip
        assert (await refusal(registry.blend(voice_ids, weights=weights, name="mix2"))).code == "invalid_parameter"
    assert (await refusal(registry.blend([*ids, "nobody"], weights=[1, 1, 1], name="x"))).code == "unknown_voice"
    assert (await refusal(registry.blend(ids, weights=[1.0, 3.0], name="mix"))).code == "voice_exists"


@pytest.mark.parametrize("voice_id", BAD_IDS)
def test_ids_cannot_leave_the_folder(tmp_path: Path, voice_id: str) -> None:
    secret = tmp_path / "secret.json"
    secret.write_bytes(voice_to_json(a_voice()))

    async def actions(registry: VoiceRegistry) -> None:
        for action in (
            registry.get(voice_id),
            registry.delete(voice_id),
            registry.rename(voice_id, name="x"),
            registry.list(after=voice_id),
            registry.blend([voice_id], weights=[1.0], name="x"),
        ):
            assert (await refusal(action)).code == "invalid_parameter"

    registry = VoiceRegistry(tmp_path / "voices")
    asyncio.run(actions(registry))
    registry.close()
    assert secret.read_bytes() == voice_to_json(a_voice())
    assert sorted(tmp_path.iterdir()) == [secret]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
@in_loop
async def test_a_voice_keeps_its_name_when_the_new_one_is_unusable(tmp_path: Path, name: str) -> None:
    registry = VoiceRegistry(tmp_path)
    voice = await registry.create(a_voice())
    assert (await refusal(registry.rename(voice.voice_id, name=name))).code == "invalid_parameter"
    assert (await registry.get(voice.voice_id)).name == "Anna"
    registry.close()


@in_loop
async def test_a_folder_of_enrolled_voices_can_be_served_as_it_is(tmp_path: Path) -> None:
    voice = a_voice()
    VoiceStore(tmp_path).save(voice)
    registry = VoiceRegistry(tmp_path)
    assert (await registry.get(voice.voice_id)).name == "Anna"
    created = await registry.create(a_voice("Berta"))
    registry.close()
    assert VoiceStore(tmp_path).load(created.voice_id).name == "Berta"


@in_loop
async def test_a_store_that_fails_is_unavailable_and_its_address_stays_inside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    registry = VoiceRegistry(tmp_path / "file")
    for action in (registry.create(a_voice()), registry.get("anna"), registry.delete("anna"), registry.list()):
        error = await refusal(action)
        assert error.code == "unavailable"
        assert error.retry_after_s == 5.0
        assert str(tmp_path) not in error.message
    assert str(tmp_path) in caplog.text
    registry.close()
    assert (await refusal(registry.get("anna"))).code == "unavailable"


@in_loop
async def test_a_store_that_hangs_is_given_up_in_time(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # Opening it waits for a writer.
    store = FolderStore(tmp_path, timeout_s=0.05)
    with pytest.raises(StoreError, match=r"no answer within 0\.05 s"):
        await store.read("pipe")
    with (tmp_path / "pipe").open("wb"):
        store.close()


def test_unknown_schemes_are_refused() -> None:
    with pytest.raises(StoreError, match="nowhere://x: cannot be opened"):
        FolderStore("nowhere://x")
