"""Several students behind one endpoint: each answers for itself over every protocol, limits hold over all of them."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from a2f_calls import END as END_OF_AUDIO
from a2f_calls import connected, cut, edge, header, talk, weights_of
from decoding_pools import refusal
from http_calls import is_close, post, told
from in_loop import in_loop
from serving_app import TOLERANCE, Server, core_of, served
from sounds import speech, wav
from stream_talks import conversation, refused, streamed
from tiny_student import tiny_bundle

from diffusiontalker.client import AsyncClient, Client
from diffusiontalker.face import FORMATS
from diffusiontalker.inference import animate, enroll, save_bundle
from diffusiontalker.serving.a2f import STUDENT_KEY, VOICE_KEY
from diffusiontalker.serving.arguments import ServingArguments
from diffusiontalker.serving.errors import Caller
from diffusiontalker.serving.service import SamplingRequest, StyleRequest

SMALL, TEACHER = tiny_bundle(), tiny_bundle(seed=7, steps=3, fps=50.0)
SAMPLING = SamplingRequest()
ALLOWED = "there are small, teacher"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("students")
    save_bundle(TEACHER, path / "teacher")
    return path


@pytest.fixture(scope="module")
def both(folder) -> dict:
    """The arguments that host both."""
    return {"name": "small", "others": {"teacher": str(folder / "teacher")}}


@pytest.fixture(scope="module")
def server(folder, both) -> Iterator[Server]:
    with served(folder, **both) as started:
        yield started


@pytest.fixture(scope="module")
def client(server) -> httpx.Client:
    return server.http


def test_the_endpoint_lists_its_students_and_tells_about_each(client):
    first, teacher = (client.get("/v1/bundle", params=asked).json() for asked in ({}, {"student": "teacher"}))
    assert first["students"] == teacher["students"] == ["small", "teacher"]
    assert (first["student"], first["digest"], first["fps"]) == ("small", SMALL.digest, 25.0)
    assert (teacher["student"], teacher["digest"], teacher["fps"]) == ("teacher", TEACHER.digest, 50.0)
    assert client.get("/v1/bundle", params={"student": "small"}).json() == first
    assert first["limits"] == teacher["limits"]


def test_the_formats_that_can_be_written_here_are_listed(client):
    formats = client.get("/v1/bundle").json()["formats"]
    assert {"name": "livelink", "suffix": ".livelink.csv", "media_type": "text/csv"} in formats
    for one in formats:
        response = post(client, format=one["name"])
        assert response.status_code == 200
        assert response.headers["content-type"].partition(";")[0] == one["media_type"]
        assert response.headers["content-disposition"].endswith(f'{one["suffix"]}"')


def test_formats_whose_packages_are_missing_are_not_listed(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pxr" else object())
    with served(folder) as server:
        names = [one["name"] for one in server.http.get("/v1/bundle").json()["formats"]]
    assert names == [name for name, known in FORMATS.items() if known.encode and not known.needs_usd]


def test_every_student_animates_as_it_does_offline(client):
    is_close(post(client), animate(SMALL, speech(1.2)).coefficients)
    is_close(post(client, student="small"), animate(SMALL, speech(1.2)).coefficients)
    of_teacher = animate(TEACHER, speech(1.2)).coefficients
    is_close(post(client, student="teacher"), of_teacher)
    form = client.post("/v1/animations", files={"audio": wav(speech(1.2))}, data={"student": "teacher"})
    is_close(form, of_teacher)
    assert form.json()["fps"] == 50.0
    assert post(client, student="teacher", fps=25).json()["fps"] == 25.0


def test_a_reference_is_heard_by_the_student_that_animates(client):
    reference = speech(2.0, seed=4)
    for name, bundle in (("small", SMALL), ("teacher", TEACHER)):
        files = {"audio": wav(speech(1.2)), "reference": wav(reference)}
        answer = client.post("/v1/animations", files=files, params={"student": name})
        is_close(answer, animate(bundle, speech(1.2), voice=enroll(bundle, [reference], name="r")).coefficients)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/bundle"), ("POST", "/v1/animations"), ("GET", "/v1/voices"), ("POST", "/v1/voices?name=A"),
        ("GET", "/v1/voices/anna-1"), ("PATCH", "/v1/voices/anna-1"), ("POST", "/v1/voices/blend"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["nobody", "Teacher", "", "sm\x1ball"])
def test_an_unknown_student_is_told_with_those_that_there_are(client, method, path, name):
    options = {"content": wav(speech(2.0))} if method == "POST" else {}
    if path.endswith("blend"):
        options = {"json": {"name": "B", "voices": [{"id": "anna-1"}]}}
    if method == "PATCH":
        options = {"json": {"name": "B"}}
    message = told(
        client.request(method, httpx.URL(path).copy_merge_params({"student": name}), **options), 404, "unknown_student"
    )
    assert message.endswith(ALLOWED)
    assert "\x1b" not in message


def test_a_student_is_named_once(client):
    response = client.post(
        "/v1/animations", files={"audio": wav(speech())}, data={"student": "teacher"}, params={"student": "small"}
    )
    assert "student: given twice" in told(response, 422, "invalid_parameter")
    response = client.post("/v1/voices", files={"audio": wav(speech(2.0))}, data={"student": "no", "name": "A"})
    assert ALLOWED in told(response, 404, "unknown_student")


def test_a_voice_belongs_to_the_student_it_was_enrolled_with(client):
    reference = speech(2.0, seed=9)
    query = client.post("/v1/voices", params={"name": "Query", "student": "teacher"}, content=wav(reference))
    form = client.post("/v1/voices", files={"audio": wav(reference)}, data={"name": "Form", "student": "teacher"})
    ids = [response.json()["id"] for response in (query, form)]
    assert all(one.status_code == 201 and one.json()["is_usable"] for one in (query, form))

    def usable(**asked: str) -> dict[str, bool]:
        listed = client.get("/v1/voices", params=asked).json()["voices"]
        return {one["id"]: one["is_usable"] for one in listed if one["id"] in ids}

    assert usable(student="teacher") == dict.fromkeys(ids, True)
    assert usable(student="small") == usable() == dict.fromkeys(ids, False)
    assert client.get(f"/v1/voices/{ids[0]}", params={"student": "teacher"}).json()["is_usable"]
    assert not client.get(f"/v1/voices/{ids[0]}").json()["is_usable"]
    expected = animate(TEACHER, speech(1.2), voice=enroll(TEACHER, [reference], name="v")).coefficients
    for voice_id in ids:
        is_close(post(client, voice=voice_id, student="teacher"), expected)
        told(post(client, voice=voice_id), 404, "unknown_voice")
        client.delete(f"/v1/voices/{voice_id}")


def test_the_clients_name_students(server):
    async def enrolled() -> tuple[dict, list[dict], dict]:
        async with AsyncClient(server.url) as client:
            voice = await client.enroll("Async", wav(speech(2.0)), student="teacher")
            return voice, await client.voices(student="teacher"), await client.about(student="teacher")

    with Client(server.url) as client:
        voice = client.enroll("Client", wav(speech(2.0)), student="teacher")
        other, listed, about = asyncio.run(enrolled())
        assert voice["is_usable"]
        assert other["is_usable"]
        assert about == client.about(student="teacher") != client.about()
        assert [one["is_usable"] for one in listed] == [True, True]
        assert client.voices(student="teacher") == listed
        assert [one["is_usable"] for one in client.voices()] == [False, False]
        for one in listed:
            client.delete(one["id"])


@in_loop
async def test_streams_speak_with_the_student_they_ask_for(server):
    waveform = speech(1.4)
    for asked, bundle in (({}, SMALL), ({"student": "small"}, SMALL), ({"student": "teacher"}, TEACHER)):
        if bundle is SMALL:
            got = await streamed(server, waveform.tobytes(), sample_format="float32", voice="anna", **asked)
            whole = animate(bundle, waveform, voice="anna", emotion="neutral").coefficients
            np.testing.assert_allclose(got, whole, atol=TOLERANCE)
        else:
            async with conversation(server, **asked) as socket:
                assert json.loads(await socket.recv())["fps"] == 50.0
    async with conversation(server, student="nobody") as socket:
        assert ALLOWED in await refused(socket, code="unknown_student", close=1007)


@in_loop
async def test_calls_of_audio2face_clients_name_a_student_in_their_metadata(folder, both):
    async with core_of(folder, **both) as core, connected(edge(core)) as channel:
        sound = (speech(1.0) * 32767).astype("<i2")
        messages = [header(), *cut(sound.tobytes(), 3200), END_OF_AUDIO]
        heard = sound.astype(np.float32) / 32768
        for student, bundle in (((), SMALL), (((STUDENT_KEY, "teacher"),), TEACHER)):
            answers, call = await talk(channel, *messages, metadata=((VOICE_KEY, "anna"), *student))
            assert await call.code() == grpc.StatusCode.OK
            whole = animate(bundle, heard, voice="anna", emotion="neutral")
            np.testing.assert_allclose(weights_of(answers, "JawOpen"), whole.column("jawOpen"), atol=TOLERANCE)
        answers, call = await talk(channel, header(), metadata=((STUDENT_KEY, "nobody"),))
        assert await call.code() == grpc.StatusCode.NOT_FOUND
        assert ALLOWED in answers[-1].status.message


@in_loop
async def test_a_caller_has_only_so_many_streams_with_all_students_together(folder, both):
    async with core_of(folder, limits={"max_streams_per_key": 2}, **both) as core:
        anna = Caller("anna")
        styles = [StyleRequest(student=name) for name in ("small", "teacher")]
        streams = [await core.open_stream(style, SAMPLING, anna) for style in styles]
        for style in styles:
            assert (await refusal(core.open_stream(style, SAMPLING, anna))).code == "busy"
        await streams[0].close()
        streams.append(await core.open_stream(styles[1], SAMPLING, anna))
        assert core.student("small").engine.is_idle
        assert core.student("teacher").engine.streams.num_open == 2
        assert (await refusal(core.open_stream(StyleRequest(student="x"), SAMPLING, anna))).code == "unknown_student"
        for stream in streams:
            await stream.close()
        assert not core._streams_of


@in_loop
async def test_each_student_has_its_own_embeddings_and_a_share_of_the_cache(folder, both):
    async with core_of(folder, cache={"memory_bytes": 10_000}, **both) as core:
        reference = speech(2.0, seed=3)
        for name in ("small", "teacher"):
            style = StyleRequest(student=name, reference=reference)
            await asyncio.gather(*(core.animate(speech(), style, SAMPLING) for _ in range(3)))
        caches = [student.personalizer._cache for student in core.students.values()]
        assert [cache.counters.computed for cache in caches] == [1, 1]
        assert caches[0].key(reference) != caches[1].key(reference)
        assert [cache._memory._max_bytes for cache in caches] == [5_000, 5_000]
        text = core.metrics.text().decode()
        for name in ("small", "teacher"):
            assert f'diffusiontalker_batch_jobs_sum{{student="{name}"}} 3.0' in text
        core.reconfigure(max_batch_frames=7, max_waiting=3)
        batchers = [student.engine.batcher for student in core.students.values()]
        assert [(one.max_size, one.max_waiting) for one in batchers] == [(7, 3), (7, 3)]
    for student in core.students.values():
        error = await refusal(student.animate(speech(), StyleRequest(), SAMPLING))
        assert error.code == "unavailable"


def test_one_student_has_the_whole_cache():
    arguments = ServingArguments(bundle="b", cache={"memory_bytes": 10_000, "shared_url": "redis://r"})
    assert arguments.students == {"student": "b"}
    assert arguments.cache_of_each() == arguments.cache
    assert arguments.cache_of_each(is_shared=False).shared_url == ""


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bundle": ""}, "the bundle of 'student' is empty"),
        ({"bundle": "b", "others": {"teacher": ""}}, "the bundle of 'teacher' is empty"),
        ({"bundle": "b", "others": {"student": "c"}}, "'student' is the name of two students"),
        ({"bundle": "b", "others": {"": "c"}}, "'' is no name of a student"),
        ({"bundle": "b", "name": "a\nb"}, "is no name of a student"),
    ],
)
def test_students_without_a_name_or_a_bundle_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ServingArguments(**wrong)
