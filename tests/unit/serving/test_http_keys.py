"""Keys on every HTTP route of a real server."""

import hashlib
from collections.abc import Iterator

import pytest
from http_calls import SOUND, told
from serving_app import Server, served


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("http")) as started:
        yield started


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
