"""`POST /v1/animations` on a real server: every format, every way to ask, every refusal."""

import csv
import functools
import importlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pygltflib
import pytest
from http_calls import SOUND, is_close, offline, post, told, voice_of
from serving_app import TOLERANCE, Server, served
from sounds import speech, wav

from diffusiontalker.face import CHANNELS, FORMATS, MotionClip
from diffusiontalker.serving.http.schemas import MEDIA_TYPES


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("http")) as started:
        yield started


@pytest.fixture(scope="module")
def client(server) -> httpx.Client:
    return server.http


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


def of_usd(content: bytes, *, suffix: str):
    usd, skel = importlib.import_module("pxr.Usd"), importlib.import_module("pxr.UsdSkel")
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        Path(file.name).write_bytes(content)
        stage = usd.Stage.Open(file.name)
        animation = skel.Animation.Get(stage, "/Head/Speech")
        weights = animation.GetBlendShapeWeightsAttr()
        frames = np.array([weights.Get(code) for code in weights.GetTimeSamples()])
        return frames, list(animation.GetBlendShapesAttr().Get()), stage.GetTimeCodesPerSecond()


def of_live_link(content: bytes):
    header, *rows = csv.reader(io.StringIO(content.decode()))
    assert (len(header), rows[1][:2]) == (63, ["00:00:00:01.000", "61"])
    names = [name[0].lower() + name[1:] for name in header[2:54]]
    return np.array([row[2:54] for row in rows], dtype=np.float64), names, 25.0


def of_beat(content: bytes):
    plain = json.loads(content)
    weights = [frame["weights"] for frame in plain["frames"]]
    return np.array(weights), plain["names"], 1 / plain["frames"][1]["time"]


def of_a2f(content: bytes):
    plain = json.loads(content)
    return np.array(plain["weightMat"]), plain["facsNames"], plain["exportFps"]


READERS = {
    "csv": of_csv,
    "json": of_json,
    "ndjson": of_ndjson,
    "npz": of_npz,
    "parquet": lambda content: of_table(pq.read_table(io.BytesIO(content))),
    "arrow": lambda content: of_table(pa.ipc.open_stream(content).read_all()),
    "glb": of_glb,
    "usda": functools.partial(of_usd, suffix=".usda"),
    "usdc": functools.partial(of_usd, suffix=".usdc"),
    "livelink": of_live_link,
    "beat": of_beat,
    "a2f": of_a2f,
}
SUFFIXES = {"livelink": "livelink.csv", "beat": "beat.json", "a2f": "a2f.json"}


@pytest.mark.parametrize("name", READERS)
def test_every_format_holds_the_same_motion_by_name(client, name):
    if FORMATS[name].needs_usd:
        pytest.importorskip("pxr.Usd", reason="usd-core is not installed (pip install 'diffusiontalker[usd]')")
    response = post(client, format=name, seed=4)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].partition(";")[0] == MEDIA_TYPES[name]
    assert response.headers["content-disposition"] == f'attachment; filename="animation.{SUFFIXES.get(name, name)}"'
    assert response.headers["x-animation-fps"] == "25"
    assert {part.partition(";")[0] for part in response.headers["server-timing"].split(", ")} == {
        "decode", "animate", "encode"
    }  # fmt: skip
    coefficients, names, fps = READERS[name](response.content)
    assert fps == pytest.approx(25.0)
    held = [channel for channel in CHANNELS if channel != "tongueOut" or name != "beat"]
    columns = [list(names).index(channel) for channel in held]
    expected = offline(seed=4)[:, [CHANNELS.index(channel) for channel in held]]
    np.testing.assert_allclose(coefficients[:, columns], expected, atol=TOLERANCE)


def test_every_format_has_a_reader_here():
    assert READERS.keys() == MEDIA_TYPES.keys()


def test_a_format_that_the_server_lacks_the_library_for_is_refused_before_the_work(client, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = told(post(client, format="usdc"), 422, "invalid_parameter")
    assert "format usdc: USD files need OpenUSD" in message


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
    assert server.core.student().engine.is_idle


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
