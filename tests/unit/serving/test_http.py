"""`POST /v1/animations` and the state routes on a real server: every format, every way to ask, every refusal."""

import asyncio
import contextlib
import csv
import hashlib
import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pygltflib
import pytest
from decoding_pools import RATE_HZ, encoded
from in_loop import DEADLINE_S, in_loop
from serving_app import TOLERANCE, Server, served, slow_batches, speech, tiny_bundle, wait_until, wav

from diffusiontalker.face import CHANNELS, MotionClip
from diffusiontalker.inference import animate, embed, make_voice
from diffusiontalker.serving.http.bodies import BodyLimits
from diffusiontalker.serving.http.schemas import MEDIA_TYPES

BUNDLE = tiny_bundle()
SOUND = wav(speech(1.2))
SMALL = {"max_upload_megabytes": 0.2}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("http")) as started:
        yield started


@pytest.fixture(scope="module")
def client(server) -> httpx.Client:
    return server.http


def post(client: httpx.Client, content=SOUND, **query) -> httpx.Response:
    return client.post("/v1/animations", content=content, params=query)


def told(response: httpx.Response, status: int, code: str) -> str:
    """The message of an error in the one shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert list(response.json()) == ["error"]
    assert set(error) <= {"code", "message", "retry_after_s"}
    assert error["code"] == code
    if "retry_after_s" in error:
        assert int(response.headers["retry-after"]) >= error["retry_after_s"]
    return error["message"]


def is_close(response: httpx.Response, expected: np.ndarray) -> None:
    assert response.status_code == 200, response.text
    np.testing.assert_allclose(np.asarray(response.json()["frames"]), expected, atol=TOLERANCE)


def offline(**options) -> np.ndarray:
    return animate(BUNDLE, speech(1.2), **options).coefficients


def voice_of(waveform: np.ndarray):
    identity, emotion = embed(BUNDLE, waveform)
    return make_voice(name="v", identity=identity, emotion=emotion, bundle_digest=BUNDLE.digest, provenance={})


def of_csv(content: bytes):
    rows = list(csv.reader(io.StringIO(content.decode())))
    times = [float(row[0]) for row in rows[1:]]
    return np.array(rows[1:], dtype=np.float64)[:, 1:], rows[0][1:], 1 / times[1]


def of_json(content: bytes):
    plain = json.loads(content)
    return np.array(plain["frames"]), plain["names"], plain["fps"]


def of_ndjson(content: bytes):
    head, *frames = map(json.loads, content.splitlines())
    assert [frame["frame"] for frame in frames] == list(range(head["num_frames"]))
    return np.array([frame["weights"] for frame in frames]), head["names"], head["fps"]


def of_npz(content: bytes):
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return arrays["coefficients"], arrays["names"].tolist(), float(arrays["fps"])


def of_table(table: pa.Table):
    names = json.loads(table.schema.metadata[b"names"])
    return np.stack([table[name].to_numpy() for name in names], axis=1), names, float(table.schema.metadata[b"fps"])


def of_glb(content: bytes):
    document = pygltflib.GLTF2.load_from_bytes(content)
    (animation,) = document.animations
    accessor = document.accessors[animation.samplers[0].output]
    view = document.bufferViews[accessor.bufferView]
    weights = np.frombuffer(document.binary_blob(), np.float32, accessor.count, view.byteOffset)
    names = document.meshes[0].extras["targetNames"]
    return weights.reshape(-1, len(names)), names, animation.extras["fps"]


READERS = {
    "csv": of_csv,
    "json": of_json,
    "ndjson": of_ndjson,
    "npz": of_npz,
    "parquet": lambda content: of_table(pq.read_table(io.BytesIO(content))),
    "arrow": lambda content: of_table(pa.ipc.open_stream(content).read_all()),
    "glb": of_glb,
}


@pytest.mark.parametrize("name", READERS)
def test_every_format_holds_the_same_motion_by_name(client, name):
    response = post(client, format=name, seed=4)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].partition(";")[0] == MEDIA_TYPES[name]
    assert response.headers["content-disposition"] == f'attachment; filename="animation.{name}"'
    assert response.headers["x-animation-fps"] == "25"
    assert {part.partition(";")[0] for part in response.headers["server-timing"].split(", ")} == {
        "decode", "animate", "encode"
    }  # fmt: skip
    coefficients, names, fps = READERS[name](response.content)
    assert fps == pytest.approx(25.0)
    columns = [list(names).index(channel) for channel in CHANNELS]
    np.testing.assert_allclose(coefficients[:, columns], offline(seed=4), atol=TOLERANCE)


def test_however_sound_and_parameters_come_the_answer_is_the_same(client):
    options = {"voice": "Ben", "emotion": "happy", "emotion_intensity": "1.5", "num_steps": "3", "temperature": "0.5",
               "seed": "-9"}  # fmt: skip
    expected = offline(voice="Ben", emotion="happy", emotion_intensity=1.5, num_steps=3, temperature=0.5, seed=-9)
    files = {"audio": ("speech.wav", SOUND)}
    half = dict(list(options.items())[:3])
    rest = dict(list(options.items())[3:])
    is_close(post(client, **options), expected)
    is_close(client.post("/v1/animations", content=SOUND, params=options, headers={"content-type": "audio/wav"}),
             expected)  # fmt: skip
    is_close(client.post("/v1/animations", files=files, params=options), expected)
    is_close(client.post("/v1/animations", files=files, data=options), expected)
    is_close(client.post("/v1/animations", files=files, data=half, params=rest), expected)


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ([("seed", "1")], [("seed", "1")]),
        ([("seed", "1"), ("seed", "2")], []),
        ([], [("seed", "1"), ("seed", "2")]),
    ],
)
def test_a_parameter_that_is_given_twice_is_an_error(client, query, form):
    parts = [("audio", ("a.wav", SOUND)), *((name, (None, value)) for name, value in form)]
    response = client.post("/v1/animations", params=query, files=parts)
    assert told(response, 422, "invalid_parameter") == "seed: given twice; give it once"


def test_voices_speakers_references_and_nothing(server, client):
    reference = speech(2.0, seed=5)
    stored = client.post("/v1/voices", params={"name": "Carla"}, content=wav(reference))
    assert stored.status_code == 201, stored.text
    voice = voice_of(reference)
    is_close(post(client), offline())
    is_close(post(client, voice="anna"), offline(voice="anna"))
    is_close(post(client, voice=stored.json()["id"]), offline(voice=voice))
    is_close(post(client, voice=stored.json()["id"], emotion="sad"), offline(voice=voice, emotion="sad"))
    files = {"audio": ("a.wav", SOUND), "reference": ("r.wav", wav(reference))}
    is_close(client.post("/v1/animations", files=files), offline(voice=voice))
    both = client.post("/v1/animations", files=files, params={"voice": "anna"})
    assert "give one of them" in told(both, 422, "invalid_parameter")
    assert "anna, Ben" in told(post(client, voice="Dora"), 404, "unknown_voice")


@pytest.mark.parametrize("fps", [1.0, 24.0, 29.97, 60.0, 120.0])
def test_another_frame_rate_is_the_same_motion(client, fps):
    response = post(client, fps=fps)
    own = MotionClip(coefficients=offline(), fps=25.0)
    is_close(response, own.resampled(fps).coefficients)
    assert response.json()["fps"] == fps


def test_any_rate_and_several_channels_are_heard(client):
    stereo = np.stack([speech(1.0), -speech(1.0)], axis=1)
    response = post(client, wav(stereo, rate_hz=44_100))
    assert len(response.json()["frames"]) == 10
    assert post(client, wav(speech(1.0), rate_hz=8000)).status_code == 200


REFUSED = {
    "no body": ({}, b"", 400, "bad_request", "0 files 'audio'"),
    "silence without samples": ({}, wav(np.zeros(0, dtype=np.float32)), 400, "bad_audio", "holds no samples"),
    "cut off": ({}, SOUND[:-1000], 400, "bad_audio", "cut off"),
    "too long": ({}, wav(speech(3.1)), 413, "too_large", "longer than 3 s"),
    "text": ({}, b"hello" * 100, 415, "unsupported_format", "expected wav, flac"),
    "json": ({}, b'{"audio": ""}', 415, "unsupported_format", "unknown format"),
    "fps": ({"fps": "121"}, SOUND, 422, "invalid_parameter", "expected 1 to 120"),
    "fps of NaN": ({"fps": "nan"}, SOUND, 422, "invalid_parameter", "fps"),
    "fps of infinity": ({"fps": "inf"}, SOUND, 422, "invalid_parameter", "fps"),
    "fps of zero": ({"fps": "0"}, SOUND, 422, "invalid_parameter", "fps"),
    "temperature": ({"temperature": "nan"}, SOUND, 422, "invalid_parameter", "temperature"),
    "intensity": ({"emotion": "sad", "emotion_intensity": "nan"}, SOUND, 422, "invalid_parameter", "emotion_intensity"),
    "steps": ({"num_steps": "65"}, SOUND, 422, "invalid_parameter", "num_steps"),
    "seed": ({"seed": str(2**63)}, SOUND, 422, "invalid_parameter", "seed"),
    "format": ({"format": "fbx"}, SOUND, 422, "invalid_parameter", "format: Input should be 'csv', 'json'"),
    "emotion": ({"emotion": "hapy"}, SOUND, 422, "invalid_parameter", "perhaps you meant 'happy'"),
    "unknown parameter": ({"tempo": "1"}, SOUND, 422, "invalid_parameter", "tempo: Extra inputs are not permitted"),
    "voice": ({"voice": "nobody"}, SOUND, 404, "unknown_voice", "'nobody'"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_animated_is_refused_with_its_reason(server, client, what):
    query, content, status, code, message = REFUSED[what]
    with server.limits(max_seconds=3.0):
        assert message in told(post(client, content, **query), status, code)
    assert server.core.engine.is_idle


FORMS = {
    "no audio": ([("seed", (None, "1"))], 400, "bad_request", "0 files 'audio'"),
    "two": ([("audio", ("a", SOUND))] * 2, 400, "bad_request", "2 files 'audio'"),
    "audio as text": ([("audio", (None, "a.wav"))], 400, "bad_request", "parts audio: expected the files audio"),
    "unknown part": ([("audio", ("a", SOUND)), ("sound", ("b", SOUND))], 400, "bad_request", "parts sound"),
    "too many files": ([("audio", ("a", SOUND))] * 30, 400, "bad_request", "Too many files"),
    "too many fields": ([(f"f{number}", (None, "1")) for number in range(40)], 400, "bad_request", "Too many fields"),
    "unknown field": ([("audio", ("a", SOUND)), ("tempo", (None, "1"))], 422, "invalid_parameter", "tempo"),
    "bad reference": ([("audio", ("a", SOUND)), ("reference", ("r.mp3", b"x"))], 415, "unsupported_format", "r.mp3"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORMS)
def test_forms_that_make_no_sense_are_refused(client, what):
    parts, status, code, message = FORMS[what]
    assert message in told(client.post("/v1/animations", files=parts), status, code)


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"no boundary in here"),
        ("multipart/form-data; boundary=x", b"--x\r\ncontent-disposition: form-data\r\n\r\nabc\r\n--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\n\xff\xfe: \xff\r\n\r\nabc\r\n--x--"),
        ("multipart/form-data; boundary=" + "x" * 4000, b"abc"),
    ],
)
def test_malformed_forms_are_bad_requests(client, content_type, content):
    response = client.post("/v1/animations", content=content, headers={"content-type": content_type})
    told(response, 400, "bad_request")


def test_names_of_files_are_safe_in_messages(client):
    response = client.post("/v1/animations", files={"audio": ("\x1b[31m\nx\u2028" * 50, b"no sound")})
    message = told(response, 415, "unsupported_format")
    assert message.isprintable()
    assert len(message) < 300


def test_a_body_is_refused_by_its_declared_length_before_it_is_sent(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE_S)
    with server.limits(**SMALL), contextlib.closing(connection):
        connection.putrequest("POST", "/v1/animations")
        connection.putheader("content-length", "200001")
        connection.putheader("expect", "100-continue")
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 413
        assert "at most 200000 are allowed" in json.load(response)["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/animations", "/v1/voices?name=x"])
@pytest.mark.parametrize("is_form", [False, True])
def test_a_body_without_length_is_refused_when_it_is_too_long(server, client, path, is_form):
    head = b'--x\r\ncontent-disposition: form-data; name="audio"; filename="a"\r\n\r\n' if is_form else b""

    def chunks() -> Iterator[bytes]:
        yield head
        for _ in range(30):
            yield bytes(10_000)

    headers = {"content-type": "multipart/form-data; boundary=x"} if is_form else {}
    with server.limits(**SMALL):
        response = client.post(path, content=chunks(), headers=headers)
        assert "more than 200000 bytes" in told(response, 413, "too_large")
        assert post(client).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_json_bodies_are_small(client, method):
    path = "/v1/voices/blend" if method == "POST" else "/v1/voices/some"
    body = json.dumps({"name": "x" * 70_000}).encode()
    headers = {"content-type": "application/json"}
    told(client.request(method, path, content=body, headers=headers), 413, "too_large")
    told(client.request(method, path, content=iter([body[:100], body[100:]]), headers=headers), 413, "too_large")


@pytest.mark.parametrize(
    "limits", [{"idle_seconds": 0.2}, {"idle_seconds": 30.0, "wall_seconds": 0.2}], ids=["idle", "drip"]
)
def test_who_is_too_slow_with_a_body_is_let_go(server, limits):
    is_over = threading.Event()
    with server.limits(**limits), socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as raw:
        raw.sendall(b"POST /v1/animations HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not is_over.wait(0.01):
                    raw.sendall(b"x")

        dripping = threading.Thread(target=drip)
        if "wall_seconds" in limits:
            dripping.start()
        answer = raw.makefile("rb").read()
        is_over.set()
        if dripping.ident:
            dripping.join()
    assert answer.startswith(b"HTTP/1.1 408"), answer
    assert b'"too_slow"' in answer


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/v1/animations", "audio/wav"),
        ("/v1/animations", "multipart/form-data; boundary=x"),
        ("/v1/voices?name=a", "audio/wav"),
        ("/v1/voices/blend", "application/json"),
    ],
)
def test_who_leaves_in_the_middle_of_a_body_is_counted_and_no_fault(server, caplog, path, content_type):
    route = path.partition("?")[0]
    before = server.metric("requests_total", route=route, code="499")
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as raw:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\ncontent-length: 1000\r\n\r\n--x"
        raw.sendall(head.encode())
    wait_until(lambda: server.metric("requests_total", route=route, code="499") == before + 1)
    assert not [record for record in caplog.records if record.name.startswith("diffusiontalker")]


def test_too_many_bodies_at_the_same_time_are_refused(server, client):
    with server.limits(max_upload_megabytes=0.3, max_held_megabytes=0.4), contextlib.ExitStack() as stack:
        request = b"POST /v1/animations HTTP/1.1\r\nhost: x\r\ncontent-length: 250000\r\n\r\n" + bytes(240_000)
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S))
        slow.sendall(request)
        limits = next(one for one in layers(server) if isinstance(one, BodyLimits))
        wait_until(lambda: limits._held_bytes >= 240_000)
        message = told(post(client, bytes(250_000)), 429, "busy")
        assert "too much is being uploaded" in message
        slow.close()
        wait_until(lambda: limits._held_bytes == 0)
        told(post(client, bytes(250_000)), 415, "unsupported_format")


def layers(server: Server) -> Iterator[object]:
    layer = server._uvicorn.config.app.middleware_stack
    while layer is not None:
        yield layer
        layer = getattr(layer, "app", None) or getattr(layer, "_app", None)


@in_loop
async def test_a_client_that_leaves_is_not_computed_for(server):
    batcher = server.core.engine.batcher
    jobs = server.metric("batch_jobs_sum")
    async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_S) as client:
        with slow_batches(server.core) as gate:
            first = asyncio.create_task(client.post("/v1/animations", content=SOUND))
            await asyncio.to_thread(wait_until, lambda: not batcher.is_idle and batcher.waiting == 0)
            leaving = [asyncio.create_task(client.post("/v1/animations", content=SOUND)) for _ in range(3)]
            await asyncio.to_thread(wait_until, lambda: batcher.waiting == 3)
            for task in leaving:
                task.cancel()
            await asyncio.wait(leaving)
            await asyncio.to_thread(wait_until, lambda: batcher.waiting == 0)
            gate.set()
            assert (await first).status_code == 200
    await asyncio.to_thread(wait_until, lambda: batcher.is_idle)
    assert server.metric("batch_jobs_sum") == jobs + 1
    assert server.metric("requests_total", route="/v1/animations", code="499") >= 3


@in_loop
async def test_requests_that_come_together_are_computed_together_and_a_full_queue_is_busy(server):
    batches = server.metric("batch_seconds_count")
    server.run(lambda: server.core.reconfigure(max_waiting=3))
    async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_S) as client:
        with slow_batches(server.core) as gate:
            batcher = server.core.engine.batcher
            first = asyncio.create_task(client.post("/v1/animations", content=SOUND))
            await asyncio.to_thread(wait_until, lambda: not batcher.is_idle and batcher.waiting == 0)
            later = [
                asyncio.create_task(client.post("/v1/animations", content=SOUND, params={"seed": seed}))
                for seed in range(3)
            ]
            await asyncio.to_thread(wait_until, lambda: batcher.waiting == 3)
            told(await client.post("/v1/animations", content=SOUND), 429, "busy")
            gate.set()
            for seed, response in enumerate(await asyncio.gather(*later)):
                is_close(response, offline(seed=seed))
            assert (await first).status_code == 200
    server.run(lambda: server.core.reconfigure(max_waiting=256))
    assert server.metric("batch_seconds_count") == batches + 2


def test_who_does_not_read_the_answer_is_let_go(server):
    is_there = "requests_total", {"route": "/v1/animations", "code": "200"}
    before = server.metric(is_there[0], **is_there[1])
    sound = encoded(np.zeros(100 * RATE_HZ, dtype=np.float32), kind="FLAC")
    with server.limits(idle_seconds=1.0), socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(DEADLINE_S)
        raw.connect(("127.0.0.1", server.port))
        raw.sendall(
            b"POST /v1/animations?fps=120 HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(sound) + sound
        )
        wait_until(lambda: server.metric(is_there[0], **is_there[1]) == before + 1)


def test_alive_ready_and_what_is_loaded(server, client):
    for path in ("/health", "/v1/health/live"):
        assert client.get(path).json() == {"status": "alive"}
    for path in ("/ready", "/v1/health/ready"):
        assert client.get(path).json() == {"status": "ready"}
    about = client.get("/v1/bundle").json()
    assert about["digest"] == BUNDLE.digest
    assert about["channel_names"] == list(CHANNELS)
    assert about["limits"]["max_seconds"] == 300.0


def test_the_page_and_the_description_for_programs(client):
    assert "swagger" in client.get("/docs").text
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/v1/animations", "/v1/voices", "/v1/voices/blend", "/v1/voices/{voice_id}", "/v1/bundle", "/health", "/ready"
    }  # fmt: skip
    assert "HTTPBearer" in described["components"]["securitySchemes"]
    asking = described["paths"]["/v1/animations"]["post"]
    assert asking["security"] == [{"HTTPBearer": []}]
    assert {one["name"] for one in asking["parameters"]} == {
        "voice", "emotion", "emotion_intensity", "num_steps", "temperature", "seed", "fps", "format"
    }  # fmt: skip
    assert {"400", "401", "413", "429", "503"} <= set(asking["responses"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/v1/nothing", 404), ("GET", "/v1/voices/", 404), ("GET", "/v1/animations", 405),
     ("DELETE", "/health", 405), ("POST", "/v1/" + "%ff" * 3000, 404)],
)  # fmt: skip
def test_paths_and_methods_that_are_not_there_are_told_in_the_same_shape(client, method, path, status):
    response = client.request(method, path)
    assert len(told(response, status, "unknown_path")) < 300
    assert (status == 405) == ("allow" in response.headers)


def test_requests_are_counted_by_route_and_status_failed_ones_too(server, client, monkeypatch):
    def number(**labels) -> float:
        return server.metric("requests_total", **labels)

    before = [number(route="/v1/animations", code=code) for code in ("200", "415", "500")]
    post(client)
    post(client, b"no sound")
    with monkeypatch.context() as patch:
        patch.setattr(server.core.engine, "animate", lambda *arguments, **options: 1 / 0)
        message = told(post(client), 500, "internal")
    assert "ZeroDivision" not in message
    assert [number(route="/v1/animations", code=code) for code in ("200", "415", "500")] == [
        value + 1 for value in before
    ]
    client.get("/nowhere/at/all")
    assert number(route="other", code="404") >= 1
    assert "nowhere" not in client.get("/metrics").text
    assert server.metric("request_seconds_count", route="/v1/animations") >= 3
    for stage in ("decode", "animate", "encode"):
        assert server.metric("stage_seconds_count", stage=stage) >= 1
    assert server.metric("rtf_count") >= 1
    assert server.metric("audio_seconds_total", how="file") >= 1.0


def test_a_draining_server_takes_nothing_but_is_alive(server, client):
    server.core.is_closing = True
    try:
        for path in ("/ready", "/v1/health/ready", "/v1/bundle", "/v1/voices"):
            told(client.get(path), 503, "unavailable")
        response = post(client)
        told(response, 503, "unavailable")
        assert response.headers["retry-after"] == "1"
        assert client.get("/health").status_code == 200
    finally:
        server.core.is_closing = False
    assert post(client).status_code == 200


@pytest.fixture(scope="module")
def keyed(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("keyed")
    lines = [
        f"{name}:{hashlib.sha256(name.encode()).hexdigest()}{limit}"
        for name, limit in (("alice", ""), ("bob", ":0"), ("carol", ":3"))
    ]
    (folder / "keys.txt").write_text("\n".join(lines))
    with served(folder, keys_file=str(folder / "keys.txt")) as started:
        yield started


def ask(server: Server, header: str | None, method: str = "GET", path: str = "/v1/bundle", **options):
    headers = {} if header is None else {"authorization": header}
    return server.http.request(method, path, headers=headers, **options)


def test_only_known_keys_are_let_in_everywhere(keyed):
    routes = [
        ("GET", "/v1/bundle", {}), ("GET", "/v1/voices", {}), ("GET", "/v1/voices/a", {}),
        ("POST", "/v1/animations", {"content": SOUND}), ("POST", "/v1/voices?name=a", {"content": SOUND}),
        ("POST", "/v1/voices/blend", {"json": {}}), ("PATCH", "/v1/voices/a", {"json": {}}),
        ("DELETE", "/v1/voices/a", {}), ("POST", "/v1/animations?fps=nonsense", {}),
    ]  # fmt: skip
    for method, path, options in routes:
        for header in (None, "Bearer mallory", "Basic alice", "alice", "Bearer alice mallory"):
            response = ask(keyed, header, method, path, **options)
            told(response, 401, "unauthenticated")
            assert response.headers["www-authenticate"] == "Bearer"
        assert ask(keyed, "bearer alice", method, path, **options).status_code not in (401, 403)


def test_a_key_that_is_switched_off_is_forbidden(keyed):
    told(ask(keyed, "Bearer bob"), 403, "forbidden")


def test_a_key_is_good_for_so_many_requests_a_minute(keyed):
    answers = [ask(keyed, "Bearer carol") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    message = told(answers[3], 429, "busy")
    assert "key 'carol'" in message
    assert 10 <= int(answers[3].headers["retry-after"]) <= 20


def test_health_page_and_metrics_need_no_key(keyed):
    for path in ("/health", "/ready", "/docs", "/openapi.json", "/metrics"):
        assert ask(keyed, None, path=path).status_code == 200
    assert "alice" not in ask(keyed, None, path="/metrics").text
