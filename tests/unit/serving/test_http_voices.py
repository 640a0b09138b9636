"""`/v1/voices` on a real server: enrolled as offline, listed in pages, renamed, blended, deleted; refusals by name."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from serving_app import Server, served, wait_until
from sounds import speech, wav
from tiny_student import tiny_bundle

from diffusiontalker.inference import Voice, VoiceStore, blend, enroll, make_voice

BUNDLE = tiny_bundle()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("voices")) as started:
        yield started


@pytest.fixture
def client(server) -> Iterator[httpx.Client]:
    """Of a server without voices."""
    yield server.http
    for voice in server.http.get("/v1/voices", params={"limit": 1000}).json()["voices"]:
        assert server.http.delete(f"/v1/voices/{voice['id']}").status_code == 204
    assert server.http.get("/v1/voices").json() == {"voices": [], "next_after": None}


def enrolled(client: httpx.Client, name: str, *, seed: int = 0) -> dict:
    response = client.post("/v1/voices", params={"name": name}, content=wav(speech(2.0, seed=seed)))
    assert response.status_code == 201, response.text
    return response.json()


def stored(server: Server, voice_id: str) -> Voice:
    return VoiceStore(Path(server.core.arguments.voices)).load(voice_id)


def refused(response: httpx.Response, status: int, code: str) -> str:
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code
    return response.json()["error"]["message"]


def is_same(voice: Voice, other: Voice) -> None:
    np.testing.assert_allclose(voice.identity, other.identity, atol=1e-5)
    np.testing.assert_allclose(voice.emotion, other.emotion, atol=1e-5)


def test_a_voice_of_several_recordings_is_the_one_enrolled_offline(server, client):
    recordings = [speech(seconds, seed=seed) for seed, seconds in enumerate((0.7, 2.0, 1.1))]
    parts = [("audio", (f"{number}.wav", wav(recording))) for number, recording in enumerate(recordings)]
    expected = enroll(BUNDLE, recordings, name="Änne 2")
    for options in ({"params": {"name": "Änne 2"}, "files": parts}, {"data": {"name": "Änne 2"}, "files": parts}):
        response = client.post("/v1/voices", **options)
        assert response.status_code == 201, response.text
        told = response.json()
        assert told["name"] == "Änne 2"
        assert told["id"].startswith("anne-2-")
        assert told["is_usable"]
        assert told["bundle_digest"] == BUNDLE.digest
        assert told["provenance"].items() >= expected.provenance.items()
        assert set(told) == {"id", "name", "bundle_digest", "is_usable", "provenance", "problem"}, "no embeddings"
        is_same(stored(server, told["id"]), expected)
        assert client.delete(f"/v1/voices/{told['id']}").status_code == 204


def test_one_recording_may_be_the_whole_body(server, client):
    voice = enrolled(client, "Anna")
    is_same(stored(server, voice["id"]), enroll(BUNDLE, [speech(2.0)], name="Anna"))
    again = client.post("/v1/voices", params={"name": "Anna"}, content=wav(speech(2.0)))
    assert "already" in refused(again, 409, "voice_exists")


REFUSED = {
    "no name": ({"content": wav(speech(2.0))}, 422, "invalid_parameter", "0 names"),
    "two names": ({"params": {"name": "a"}, "data": {"name": "b"}, "files": [("audio", ("a", b"x"))]}, 422,
                  "invalid_parameter", "name: given twice"),
    "an empty name": ({"params": {"name": ""}, "content": wav(speech(2.0))}, 422, "invalid_parameter", "name"),
    "a long name": ({"params": {"name": "x" * 201}, "content": wav(speech(2.0))}, 422, "invalid_parameter", "name"),
    "a long name in the form": ({"data": {"name": "x" * 201}, "files": [("audio", ("a", wav(speech(2.0))))]}, 422,
                                "invalid_parameter", "1 to 200 printable"),
    "an odd name": ({"params": {"name": "a\x07"}, "content": wav(speech(2.0))}, 422, "invalid_parameter", "printable"),
    "no sound": ({"params": {"name": "a"}}, 400, "bad_request", "0 recordings"),
    "too many": ({"params": {"name": "a"}, "files": [("audio", (str(n), wav(speech(0.2)))) for n in range(17)]}, 400,
                 "bad_request", "send 1 to 16"),
    "too short": ({"params": {"name": "a"}, "content": wav(speech(0.5))}, 422, "invalid_parameter", "at least 1 s"),
    "silence": ({"params": {"name": "a"}, "content": wav(np.zeros(32_000, np.float32))}, 422, "invalid_parameter",
                "digital silence"),
    "no audio": ({"params": {"name": "a"}, "content": b"hello" * 9}, 415, "unsupported_format", "unknown format"),
    "one bad of two": ({"params": {"name": "a"}, "files": [("audio", ("good.wav", wav(speech(2.0)))),
                                                           ("audio", ("bad.wav", b"RIFFnoWAVE"))]},
                       415, "unsupported_format", "bad.wav"),
    "unknown field": ({"params": {"name": "a"}, "data": {"pitch": "1"}, "files": [("audio", ("a", b"x"))]}, 422,
                      "invalid_parameter", "unknown parameters pitch"),
    "unknown file": ({"params": {"name": "a"}, "files": [("reference", ("a", b"x"))]}, 400, "bad_request", "reference"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_no_voice_is_made_of_what_is_none(client, what):
    options, status, code, message = REFUSED[what]
    assert message in refused(client.post("/v1/voices", **options), status, code)
    assert client.get("/v1/voices").json()["voices"] == []


def test_voices_are_listed_in_pages_by_id(client):
    made = {enrolled(client, name, seed=seed)["id"] for seed, name in enumerate("dcbae")}
    found, after, num_pages = [], None, 0
    while True:
        page = client.get("/v1/voices", params={"limit": 2} | ({"after": after} if after else {})).json()
        found += [voice["id"] for voice in page["voices"]]
        num_pages, after = num_pages + 1, page["next_after"]
        if after is None:
            break
    assert found == sorted(made)
    assert num_pages == 3
    for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"after": "../x"}):
        refused(client.get("/v1/voices", params=wrong), 422, "invalid_parameter")


def test_one_voice_is_shown_renamed_and_deleted(server, client):
    voice = enrolled(client, "Anna")
    path = f"/v1/voices/{voice['id']}"
    assert client.get(path).json() == voice
    renamed = client.patch(path, json={"name": "Anna Maria"})
    assert renamed.json() == voice | {"name": "Anna Maria"}
    assert client.get(path).json()["name"] == "Anna Maria"
    assert stored(server, voice["id"]).name == "Anna Maria"
    assert client.delete(path).status_code == 204
    for method, options in (("GET", {}), ("PATCH", {"json": {"name": "x"}}), ("DELETE", {})):
        refused(client.request(method, path, **options), 404, "unknown_voice")
        refused(client.request(method, "/v1/voices/Not%20an%20id", **options), 422, "invalid_parameter")
    animated = client.post("/v1/animations", params={"voice": voice["id"]}, content=wav(speech()))
    refused(animated, 404, "unknown_voice")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "JSON decode error"),
        (b"", "Field required"),
        (b"[]", "valid dictionary"),
        (b'{"name": 5}', "name: Input should be a valid string"),
        (b'{"name": ""}', "name: String should have at least 1 character"),
        (b'{"name": "a", "x": 1}', "x: Extra inputs are not permitted"),
        (b'{"name": "a", "\\ud800": 1}', "valid string"),
        (b'{"name": "\\ud800"}', "name"),
        (b'{"name": "a\\u0000"}', "printable"),
    ],
)
def test_a_name_that_is_none_is_refused(client, body, message):
    path = f"/v1/voices/{enrolled(client, 'Anna')['id']}"
    response = client.patch(path, content=body, headers={"content-type": "application/json"})
    assert message in refused(response, 422, "invalid_parameter")


def test_json_that_is_too_deep_is_refused(client):
    response = client.post("/v1/voices/blend", content=b"[" * 50_000, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert set(response.json()) == {"error"}


def test_voices_are_blended_as_offline(server, client):
    parts = [enrolled(client, name, seed=seed) for seed, name in enumerate(("Anna", "Ben"))]
    wanted = [{"id": parts[0]["id"], "weight": 3.0}, {"id": parts[1]["id"]}]
    response = client.post("/v1/voices/blend", json={"name": "Both", "voices": wanted})
    assert response.status_code == 201, response.text
    expected = blend([stored(server, part["id"]) for part in parts], weights=[3.0, 1.0], name="Both")
    is_same(stored(server, response.json()["id"]), expected)
    assert response.json()["provenance"]["blend"] == pytest.approx({parts[0]["id"]: 0.75, parts[1]["id"]: 0.25})
    for voices, status, code in (
        ([], 422, "invalid_parameter"),
        ([{"id": parts[0]["id"]}] * 2, 422, "invalid_parameter"),
        ([{"id": parts[0]["id"], "weight": -1.0}], 422, "invalid_parameter"),
        ([{"id": parts[0]["id"], "weight": 0.0}], 422, "invalid_parameter"),
        ([{"id": "nobody"}], 404, "unknown_voice"),
        ([{"id": "No Body"}], 422, "invalid_parameter"),
        ([{"id": f"v{number}"} for number in range(33)], 422, "invalid_parameter"),
        ([{"id": parts[0]["id"], "share": 1.0}], 422, "invalid_parameter"),
    ):
        refused(client.post("/v1/voices/blend", json={"name": "Both", "voices": voices}), status, code)
    for weight in (b"NaN", b"Infinity", b"1e999"):
        content = b'{"name": "x", "voices": [{"id": "%s", "weight": %s}]}' % (parts[0]["id"].encode(), weight)
        response = client.post("/v1/voices/blend", content=content, headers={"content-type": "application/json"})
        refused(response, 422, "invalid_parameter")


def test_voices_of_another_bundle_and_damaged_ones_are_shown_as_such(server, client):
    store = VoiceStore(Path(server.core.arguments.voices))
    foreign = make_voice(name="foreign", identity=np.ones(8), emotion=np.ones(8), bundle_digest="f" * 64, provenance={})
    store.save(foreign)
    Path(store.uri, "damaged.json").write_text("{")

    def entries_by_id() -> dict[str, dict]:
        return {voice["id"]: voice for voice in client.get("/v1/voices").json()["voices"]}

    wait_until(lambda: len(entries_by_id()) == 2)  # after what the registry keeps in memory
    entries = entries_by_id()
    assert not entries[foreign.voice_id]["is_usable"]
    assert entries["damaged"]["problem"]
    for voice_id in (foreign.voice_id, "damaged"):
        response = client.post("/v1/animations", params={"voice": voice_id}, content=wav(speech()))
        refused(response, 404, "unknown_voice")
    refused(client.get("/v1/voices/damaged"), 404, "unknown_voice")
