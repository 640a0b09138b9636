"""Hostile input on a real server: whatever is sent, no answer is a fault, none takes long, and nothing stays open."""

import io
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import schemathesis
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving_app import Server, served, wait_until
from sounds import encoded, speech, tone, wav, with_data_size, with_rate

MAX_SECONDS = 10.0
SOUNDS = st.sampled_from([wav(speech(0.3)), encoded(tone(0.5), kind="FLAC"), b"", b"RIFF", wav(speech(31.0))])
for media_type in ("audio/wav", "audio/flac", "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, SOUNDS)
EXTREMES = [0, 1, 1 << 16, (1 << 31) - 1, (1 << 32) - 1]
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    limits = {"max_seconds": 30.0, "max_upload_megabytes": 8.0, "max_decode_seconds": 5.0, "idle_seconds": 5.0}
    with served(tmp_path_factory.mktemp("fuzz"), limits=limits) as started:
        yield started
        wait_until(lambda: started.core.student().engine.is_idle)
        assert started.metric("requests_total", code="500") == 0.0


@pytest.fixture(scope="module")
def schema(server):
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


ROUTES = [
    ("POST", "/v1/animations"), ("POST", "/v1/voices"), ("GET", "/v1/voices"), ("POST", "/v1/voices/blend"),
    ("GET", "/v1/voices/{voice_id}"), ("PATCH", "/v1/voices/{voice_id}"), ("DELETE", "/v1/voices/{voice_id}"),
    ("GET", "/v1/bundle"), ("GET", "/health"), ("GET", "/ready"),
]  # fmt: skip


def test_every_route_that_is_described_is_tried(schema):
    operations = [result.ok() for result in schema.get_all_operations()]
    assert sorted((one.method.upper(), one.path) for one in operations) == sorted(ROUTES)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_whatever_is_sent_is_answered_as_described(schema, method, path, mode):
    @settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(schema[path][method].as_strategy(generation_mode=mode))
    def sends(case):
        case.call_and_validate(checks=CHECKS)

    if mode == GenerationMode.POSITIVE or path not in ("/v1/bundle", "/health", "/ready"):  # those take nothing
        sends()


def files() -> dict[str, bytes]:
    """Good ones of every family."""
    stereo = np.stack([tone(1.0, rate_hz=44_100)] * 2, axis=1)
    return {
        "wav": encoded(tone(1.5)),
        "float wav": wav(speech()),
        "stereo wav": encoded(stereo, rate_hz=44_100, subtype="PCM_24"),
        "flac": encoded(tone(1.5), kind="FLAC"),
        "ogg": encoded(tone(1.5), kind="OGG"),
        "mp3": encoded(tone(1.5, rate_hz=22_050), rate_hz=22_050, kind="MP3"),
    }


def mutated(content: bytes, generator: np.random.Generator) -> bytes:
    """Some bytes changed, removed, repeated or replaced by extreme numbers, mostly near the beginning."""
    data = bytearray(content)
    for _ in range(int(generator.integers(1, 8))):
        reach = len(data) if generator.random() < 0.3 else min(len(data), 64)
        place = int(generator.integers(0, max(1, reach)))
        match int(generator.integers(0, 6)):
            case 0:
                data[place : place + 1] = generator.bytes(1)
            case 1:
                data[place : place + 4] = struct.pack("<I", int(generator.choice(EXTREMES)))
            case 2:
                del data[place : place + int(generator.integers(1, 200))]
            case 3:
                data[place:place] = data[place : place + int(generator.integers(1, 2000))]
            case 4:
                data = data[: max(1, len(data) - int(generator.integers(1, len(data) + 1)))]
            case _:
                data[place : place + 64] = generator.bytes(64)
    return bytes(data)


def answered(server: Server, content: bytes, label: str) -> int:
    """The status of an animation of this file, which came in time and in the one shape."""
    begin = time.monotonic()
    response = server.http.post("/v1/animations", content=content, params={"format": "npz"})
    assert time.monotonic() - begin < MAX_SECONDS, label
    assert response.status_code in (200, 400, 413, 415), f"{label}: {response.text}"
    if response.status_code != 200:
        assert set(response.json()["error"]) == {"code", "message"}, label
        assert response.json()["error"]["message"].isprintable(), label
    return response.status_code


@pytest.mark.slow
def test_mutated_recordings_are_animated_or_refused(server):
    generator, statuses = np.random.default_rng(0), []
    for name, content in files().items():
        assert answered(server, content, name) == 200
        statuses += [answered(server, mutated(content, generator), f"{name}, number {number}") for number in range(25)]
    assert {200, 400, 415} <= set(statuses), "some of each"
    assert len(server.core.decoder.process_ids) == 1


def silence(seconds: int, *, kind: str) -> bytes:
    """A small file of many seconds."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 8_000, 1, format=kind) as sound:
        for _ in range(seconds // 60):
            sound.write(np.zeros(60 * 8_000, dtype=np.float32))
    return buffer.getvalue()


def bombs() -> Iterator[tuple[str, bytes, int]]:
    """What design/serving.md lists of libsndfile, with the status it deserves."""
    good, nothing, not_a_number = encoded(tone(1.5)), encoded(tone(0.0)), tone(1.5)
    not_a_number[7] = np.nan
    yield "minutes of silence as FLAC", silence(900, kind="FLAC"), 413
    yield "minutes of silence as Vorbis", silence(900, kind="OGG"), 413
    yield "a rate of 2^31 - 1", with_rate(good, 2**31 - 1), 400
    yield "a rate of 1", with_rate(good, 1), 400
    yield "1024 channels", encoded(np.zeros((100, 1024), np.float32)), 400
    yield "NaN", encoded(not_a_number, subtype="FLOAT"), 400
    yield "infinity", encoded(tone(1.5) + np.float32(np.inf), subtype="DOUBLE"), 400
    yield "huge floats", encoded(tone(1.5) * 1e30, subtype="FLOAT"), 400
    yield "declares 4 GB", with_data_size(nothing, 0xFFFF_FFFF), 400
    yield "declares 2 GB", with_data_size(good, 0x7000_0000), 400
    yield "an odd number of bytes", with_data_size(good, 47_999)[:-1], 400
    yield "no samples", nothing, 400
    yield "an empty chunk after the other", good[:12] + b"junk\0\0\0\0" * 100_000 + good[12:], 400
    yield "a chunk that declares 4 GB", good[:12] + b"junk\xff\xff\xff\xff" + good[12:], 400
    yield "ID3 of nothing", b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(100_000), 400
    yield "Ogg pages of nothing", b"OggS" + bytes(100_000), 400
    yield "FLAC of nothing", b"fLaC" + bytes(100_000), 400
    yield "zip", b"PK\x03\x04" + bytes(1000), 415
    yield "8 MB and more", good + bytes(8_000_000), 413


def test_bombs_are_refused_in_time_and_memory(server):
    before = resident_bytes()
    for label, content, status in bombs():
        assert answered(server, content, label) == status, label
        assert answered(server, encoded(tone(0.2)), f"after {label}") == 200
    assert resident_bytes() - before < 100e6


def resident_bytes() -> int:
    """Of this process, in which the server is too."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
