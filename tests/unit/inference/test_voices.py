"""Voices survive the disk unchanged, never leave their folder, and only work with their own bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusiontalker.config import ArtefactError
from diffusiontalker.inference import Voice, VoiceError, VoiceStore, blend, read_voice, write_voice
from diffusiontalker.inference.voices import make_voice

DIGEST = "a" * 64


def a_voice(name: str = "Anna", *, seed: int = 0, digest: str = DIGEST) -> Voice:
    identity, emotion = np.random.default_rng(seed).standard_normal((2, 128))
    return make_voice(name=name, identity=identity, emotion=emotion, bundle_digest=digest, provenance={"seed": seed})


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(lambda t: t.isprintable() and t.strip()))
def test_any_printable_name_gets_a_safe_id(name: str) -> None:
    voice = a_voice(name)
    assert voice.name == name
    assert set(voice.voice_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_voice_comes_back_from_the_disk_unchanged(tmp_path: Path) -> None:
    voice = a_voice("Žofie 🎙 / ..")
    path = Path(VoiceStore(tmp_path / "voices").save(voice))
    again = VoiceStore(tmp_path / "voices").load(voice.voice_id)
    assert np.array_equal(again.identity, voice.identity)
    assert np.array_equal(again.emotion, voice.emotion)
    assert again.identity.dtype == np.float32
    assert (again.voice_id, again.name, again.bundle_digest) == (voice.voice_id, "Žofie 🎙 / ..", DIGEST)
    assert again.provenance == {"seed": 0}
    assert path.parent == tmp_path / "voices"
    assert read_voice(path).voice_id == voice.voice_id


def test_the_store_lists_finds_and_deletes(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    voices = [a_voice("Anna", seed=1), a_voice("Björn", seed=2)]
    for voice in voices:
        store.save(voice)
    (tmp_path / "notes.txt").write_text("not a voice")
    assert [voice.name for voice in store.list()] == ["Anna", "Björn"]
    assert store.find("björn").voice_id == voices[1].voice_id
    assert store.find(voices[0].voice_id).name == "Anna"
    store.delete(voices[0].voice_id)
    assert store.ids() == [voices[1].voice_id]


def test_two_voices_of_one_name_are_told_apart_by_id(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    ids = [Path(store.save(a_voice("Anna", seed=seed))).stem for seed in (1, 2)]
    assert len(set(ids)) == 2
    with pytest.raises(VoiceError, match="2 voices are called 'Anna'; give one of their ids") as caught:
        store.find("Anna")
    assert all(voice_id in str(caught.value) for voice_id in ids)


def test_a_stored_voice_is_not_replaced_unasked(tmp_path: Path) -> None:
    store, voice = VoiceStore(tmp_path), a_voice()
    store.save(voice)
    with pytest.raises(ArtefactError, match="already exists"):
        store.save(voice)
    store.save(voice, overwrite=True)


@pytest.mark.parametrize(
    "voice_id", ["../secret", "..", "a/b", "/etc/passwd", "a\\b", "", "-a", "A", "a.b", "a\n", "x" * 65, "a\0"]
)
def test_ids_cannot_leave_the_folder(tmp_path: Path, voice_id: str) -> None:
    store = VoiceStore(tmp_path / "voices")
    write_voice(a_voice(), tmp_path / "secret.json")
    for action in (store.load, store.delete):
        with pytest.raises(VoiceError, match="is not allowed; use 1 to 64 of"):
            action(voice_id)
    assert (tmp_path / "secret.json").exists()


def test_unknown_voices_are_named_with_a_suggestion(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    with pytest.raises(VoiceError, match="no voice is stored there yet"):
        store.find("Anna")
    store.save(a_voice("Anna"))
    with pytest.raises(VoiceError, match="no voice 'Ana'; perhaps you meant 'Anna'"):
        store.find("Ana")
    for action in (store.load, store.delete):
        with pytest.raises(VoiceError, match="no voice 'nobody'"):
            action("nobody")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read as a voice"),
        ("[]", "not a diffusiontalker-voice"),
        ('{"format": "diffusiontalker-voice", "version": 9}', "of version 1"),
        ('{"format": "diffusiontalker-voice", "version": 1, "extra": 1}', "'extra' is not a known key"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "anna.json").write_text(content)
    with pytest.raises(VoiceError, match=message) as caught:
        VoiceStore(tmp_path).load("anna")
    assert str(tmp_path / "anna.json") in str(caught.value)


def test_changed_embeddings_and_renamed_files_are_refused(tmp_path: Path) -> None:
    store, voice = VoiceStore(tmp_path), a_voice()
    path = Path(store.save(voice))
    plain = json.loads(path.read_text())
    path.rename(tmp_path / "other.json")
    with pytest.raises(VoiceError, match=f"rename the file to {voice.voice_id}"):
        store.load("other")
    plain["identity"][0] += 3.0
    path.write_text(json.dumps(plain))
    with pytest.raises(VoiceError, match=r"identity embedding of shape .* is no unit vector"):
        store.load(voice.voice_id)


def test_a_voice_only_works_with_the_bundle_it_was_enrolled_with() -> None:
    a_voice().check_bundle(DIGEST)
    with pytest.raises(
        VoiceError, match="enrolled with bundle aaaaaaaaaaaa, but this bundle is bbbbbbbbbbbb; enroll it"
    ):
        a_voice().check_bundle("b" * 64)


def test_a_blend_with_all_weight_on_one_voice_is_that_voice() -> None:
    first, second = a_voice(seed=1), a_voice(seed=2)
    mixed = blend([first, second], weights=[3.0, 0.0], name="mix")
    np.testing.assert_allclose(mixed.identity, first.identity, atol=1e-6)
    np.testing.assert_allclose(mixed.emotion, first.emotion, atol=1e-6)


def test_an_even_blend_lies_at_equal_angles_and_has_unit_length() -> None:
    first, second = a_voice(seed=1), a_voice(seed=2)
    mixed = blend([first, second], weights=[2.0, 2.0], name="mix")
    assert np.linalg.norm(mixed.identity) == pytest.approx(1.0, abs=1e-6)
    assert mixed.identity @ first.identity == pytest.approx(mixed.identity @ second.identity, abs=1e-6)
    assert mixed.provenance == {"blend": {first.voice_id: 0.5, second.voice_id: 0.5}}


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_blends_with_unusable_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(VoiceError, match="weights"):
        blend([a_voice(seed=1), a_voice(seed=2)], weights=weights, name="mix")


def test_blends_across_bundles_and_of_opposites_are_refused() -> None:
    voice = a_voice()
    with pytest.raises(VoiceError, match="was enrolled with bundle"):
        blend([voice, a_voice(digest="b" * 64)], weights=[1.0, 1.0], name="mix")
    opposite = make_voice(
        name="anti", identity=-voice.identity, emotion=voice.emotion, bundle_digest=DIGEST, provenance={}
    )
    with pytest.raises(VoiceError, match="cancel out"):
        blend([voice, opposite], weights=[1.0, 1.0], name="mix")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_names_must_be_printable_and_short(name: str) -> None:
    with pytest.raises(VoiceError, match="printable"):
        a_voice(name)
