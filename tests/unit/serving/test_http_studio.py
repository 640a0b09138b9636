"""The Studio's page and head over HTTP: what is sent, what is not sent again, and that nothing else can be had."""

import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from http_calls import told
from in_loop import in_loop
from serving_app import Server, served
from starlette.applications import Starlette
from starlette.routing import Mount

import diffusiontalker.studio
from diffusiontalker.face import CHANNELS
from diffusiontalker.serving.auth import new_key
from diffusiontalker.serving.http import build_http
from diffusiontalker.studio import PageError, page_folder

PAGE = '<!doctype html><script type="module" src="./assets/index-1.js"></script>'
SCRIPT = "console.log('x');" * 200
PICTURE = bytes(range(256))


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A room of Python with a built page, and a file beside it that is nobody's business."""
    room = tmp_path_factory.mktemp("studio")
    (room / "page" / "assets").mkdir(parents=True)
    (room / "page" / "index.html").write_text(PAGE)
    (room / "page" / "assets" / "index-1.js").write_text(SCRIPT)
    (room / "page" / "assets" / "picture-1.png").write_bytes(PICTURE)
    (room / "secret.txt").write_text("secret")
    return room


@pytest.fixture(scope="module")
def server(tmp_path_factory, room) -> Iterator[Server]:
    """With keys, which the page does not want."""
    folder = tmp_path_factory.mktemp("http")
    (folder / "keys.txt").write_text(new_key("anna")[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diffusiontalker.studio, "__file__", str(room / "__init__.py"))
        with served(folder, keys_file=str(folder / "keys.txt")) as started:
            yield started


@pytest.fixture(scope="module")
def client(server) -> httpx.Client:
    return server.http


@pytest.mark.parametrize("path", ["/", "/studio"])
def test_the_way_to_the_page_holds_behind_a_proxy_that_adds_a_prefix(client, path):
    response = client.get(path)
    assert response.status_code == 307
    assert response.headers["location"] == "studio/"
    assert client.get(path, follow_redirects=True).text == PAGE


@in_loop
async def test_the_page_lies_below_a_prefix_of_the_server_too(server):
    app = Starlette(routes=[Mount("/face", build_http(server.core))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        for path in ("/face/", "/face/studio"):
            page = await client.get(path, follow_redirects=True)
            assert (page.url.path, page.text) == ("/face/studio/", PAGE)
        assert (await client.get("/face/studio/assets/index-1.js")).text == SCRIPT
        assert (await client.get("/studio/")).status_code == 404


def test_the_page_is_public_and_the_api_behind_it_is_not(client):
    assert client.get("/studio/").text == client.get("/studio/index.html").text == PAGE
    told(client.get("/v1/bundle"), 401, "unauthenticated")


def test_the_page_runs_nothing_but_its_own_scripts(client):
    headers = client.get("/studio/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"].split()[0] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]
    assert headers["permissions-policy"] == "microphone=(self)"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "media_type", "caching"),
    [
        ("/studio/", "text/html; charset=utf-8", "no-cache"),
        ("/studio/assets/index-1.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/studio/assets/picture-1.png", "image/png", "public, max-age=31536000, immutable"),
        ("/studio/head.glb", "model/gltf-binary", "no-cache"),
    ],
)
def test_what_is_known_is_not_sent_again(client, path, media_type, caching):
    whole = client.get(path)
    assert whole.status_code == 200
    assert (whole.headers["content-type"], whole.headers["cache-control"]) == (media_type, caching)
    tag = whole.headers["etag"]
    for known in (tag, f'"other", {tag}', "*"):
        again = client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(path, headers={"if-none-match": '"other"'}).content == whole.content
    only = client.head(path)
    assert (only.status_code, only.content) == (200, b"")
    assert only.headers["content-length"] == whole.headers["content-length"]
    assert client.post(path).status_code == 405


def test_files_are_compressed_for_those_who_take_it(client):
    def sent(path: str, accepted: str) -> tuple[bytes, str | None]:
        with client.stream("GET", path, headers={"accept-encoding": accepted}) as response:
            assert response.headers["vary"] == "accept-encoding"
            return b"".join(response.iter_raw()), response.headers.get("content-encoding")

    for accepted in ("gzip", "br, gzip;q=0.5", "GZIP"):
        content, coding = sent("/studio/assets/index-1.js", accepted)
        assert coding == "gzip"
        assert len(content) < 200
        assert gzip.decompress(content).decode() == SCRIPT
    for accepted in ("", "identity", "br", "gzip;q=0", "gzip; q=0.0"):
        assert sent("/studio/assets/index-1.js", accepted) == (SCRIPT.encode(), None)
    assert sent("/studio/assets/picture-1.png", "gzip") == (PICTURE, None)


@pytest.mark.parametrize(
    "path",
    [
        "/studio/../secret.txt", "/studio/..%2fsecret.txt", "/studio/%2e%2e/secret.txt", "/studio//secret.txt",
        "/studio/assets/../../secret.txt", "/studio/secret.txt", "/studio/%2fetc%2fpasswd", "/studio//etc/passwd",
        "/studio/assets", "/studio/assets/", "/studio/..", "/studio/index.html/", "/studio/index.html%00.js",
        "/studio/INDEX.HTML",
    ],
)  # fmt: skip
def test_nothing_outside_the_page_can_be_had(server, path):
    """Sent as it stands: clients tidy paths."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
    assert " 404 " in answer.splitlines()[0]
    assert json.loads(answer.partition("\r\n\r\n")[2])["error"]["code"] == "unknown_path"
    assert "root:" not in answer


def test_the_head_has_all_shapes_and_no_animation(client):
    response = client.get("/studio/head.glb")
    assert int(response.headers["content-length"]) < 1_000_000
    content = response.content
    document = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    assert tuple(document["meshes"][0]["extras"]["targetNames"]) == CHANNELS
    assert "animations" not in document
    assert client.get("/studio/head.glb").content == content


def test_a_page_that_is_built_anew_is_sent_anew(client, room):
    before = client.get("/studio/").headers["etag"]
    (room / "page" / "assets" / "new-1.js").write_text("new")
    (room / "page" / "index.html").write_text(PAGE + "<p>new</p>")
    after = client.get("/studio/")
    assert after.text == PAGE + "<p>new</p>"
    assert after.headers["etag"] != before
    assert client.get("/studio/assets/new-1.js").text == "new"


def test_without_a_page_the_endpoint_says_how_to_build_it_and_works_on(client, room):
    (room / "page").rename(room / "elsewhere")
    try:
        response = client.get("/studio/")
        assert response.status_code == 404
        assert response.headers["content-type"].startswith("text/plain")
        assert "make studio" in response.text
        assert client.get("/ready").status_code == 200
        assert client.get("/studio/head.glb").status_code == 200
        with pytest.raises(PageError, match="make studio"):
            page_folder()
    finally:
        (room / "elsewhere").rename(room / "page")
    assert client.get("/studio/").status_code == 200
