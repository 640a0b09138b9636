"""The routes that say what is there, what is counted, and what a draining server still does."""

from collections.abc import Iterator

import httpx
import pytest
from http_calls import BUNDLE, post, told
from serving_app import Server, served

from diffusiontalker.face import CHANNELS


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("http")) as started:
        yield started


@pytest.fixture(scope="module")
def client(server) -> httpx.Client:
    return server.http


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
        "student", "voice", "emotion", "emotion_intensity", "num_steps", "temperature", "seed", "fps", "format"
    }  # fmt: skip
    assert {"400", "401", "413", "429", "503"} <= set(asking["responses"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1", 404), ("GET", "/v1/nothing", 404), ("GET", "/v1/voices/", 404), ("GET", "/v1/animations", 405),
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
        patch.setattr(server.core.student().engine, "animate", lambda *arguments, **options: 1 / 0)
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
