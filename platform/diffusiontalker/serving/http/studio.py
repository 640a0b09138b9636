"""`/studio/`: the Studio's page and the head that it shows. Public: it holds nothing secret, and the API wants the key.

Files are held in memory, compressed once; only what the page's folder holds can be asked for.
"""

import asyncio
import dataclasses
import gzip
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from diffusiontalker.face import builtin_rig
from diffusiontalker.face.writers import head_glb_bytes
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.http.bodies import shown
from diffusiontalker.studio import PageError, page_folder

logger = logging.getLogger(__name__)

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8", ".glb": "model/gltf-binary", ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8", ".json": "application/json", ".png": "image/png",
    ".svg": "image/svg+xml", ".wasm": "application/wasm", ".woff2": "font/woff2",
}  # fmt: skip
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self' blob: data:",  # 'self' covers the WebSocket in all browsers (CSP 3; Safari since 2022)
    "img-src": "'self' blob: data:",
    "media-src": "'self' blob:",
    "worker-src": "'self' blob:",
    "font-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_HEADERS = {
    "content-security-policy": "; ".join(f"{name} {sources}" for name, sources in _POLICY.items()),
    "permissions-policy": "microphone=(self)",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_ASK_AGAIN = "no-cache"
_FOR_EVER = "public, max-age=31536000, immutable"
_COMPRESSION = 6
_METHODS = ["GET", "HEAD"]
_NOT_BUILT = """The page of the Studio has not been built: whoever runs this endpoint can do so with `make studio`.

All else of the endpoint works, see /docs
"""


@dataclasses.dataclass(frozen=True, slots=True)
class _File:
    """A file as it is sent."""

    content: bytes
    compressed: bytes | None
    """With gzip; None where that saves next to nothing."""
    headers: Mapping[str, str]


class _Page:
    """The files of the page, read again when it has been built anew."""

    def __init__(self) -> None:
        self._version: object = None
        self._files: dict[str, _File] = {}
        self._reading = asyncio.Lock()

    async def file(self, name: str) -> _File | None:
        """The file of this name, such as `assets/index.js`.

        Raises:
            PageError: when the page has not been built.
        """
        async with self._reading:
            folder = page_folder()
            version = (folder / "index.html").stat().st_mtime_ns
            if version != self._version:
                self._files, self._version = await asyncio.to_thread(_read, folder), version
            return self._files.get(name)


class _Head:
    """The built-in head, made when somebody asks for the first time."""

    def __init__(self) -> None:
        self._made: asyncio.Task[_File] | None = None

    async def file(self) -> _File:
        if self._made is None:
            self._made = asyncio.create_task(asyncio.to_thread(_make_head))
        return await asyncio.shield(self._made)


def studio_routes() -> APIRouter:
    """The routes."""
    router = APIRouter(include_in_schema=False)
    page, head = _Page(), _Head()

    # Relative, so that they hold behind a proxy that adds a prefix, too.
    @router.api_route("/", methods=_METHODS)
    @router.api_route("/studio", methods=_METHODS)
    async def to_page() -> Response:
        return RedirectResponse("studio/")

    @router.api_route("/studio/head.glb", methods=_METHODS)
    async def head_file(request: Request) -> Response:
        return _sent(await head.file(), request)

    @router.api_route("/studio/{name:path}", methods=_METHODS)
    async def page_file(request: Request, name: str) -> Response:
        try:
            file = await page.file(name or "index.html")
        except PageError as error:
            logger.warning("%s", error)
            return PlainTextResponse(_NOT_BUILT, status_code=404, headers=_HEADERS)
        if file is None:
            raise ServingError("unknown_path", f"the Studio has no file {shown(name)}; open /studio/")
        return _sent(file, request)

    return router


def _sent(file: _File, request: Request) -> Response:
    """The file, or that the client has it already."""
    asked = request.headers
    known = [tag.strip() for tag in asked.get("if-none-match", "").split(",")]
    if file.headers["etag"] in known or "*" in known:
        return Response(status_code=304, headers=dict(file.headers))
    if file.compressed is not None and _takes_gzip(asked.get("accept-encoding", "")):
        return Response(file.compressed, headers={**file.headers, "content-encoding": "gzip"})
    return Response(file.content, headers=dict(file.headers))


def _takes_gzip(accepted: str) -> bool:
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _read(folder: Path) -> dict[str, _File]:
    return {
        path.relative_to(folder).as_posix(): _file(
            path.read_bytes(),
            suffix=path.suffix,
            # vite names these by their content.
            caching=_FOR_EVER if path.is_relative_to(folder / "assets") else _ASK_AGAIN,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _make_head() -> _File:
    return _file(head_glb_bytes(builtin_rig()), suffix=".glb", caching=_ASK_AGAIN)


def _file(content: bytes, *, suffix: str, caching: str) -> _File:
    compressed = gzip.compress(content, _COMPRESSION, mtime=0)
    headers: dict[str, Any] = {
        **_HEADERS,
        "cache-control": caching,
        "content-type": _MEDIA_TYPES.get(suffix, "application/octet-stream"),
        # Weak: one tag for the file, compressed or not.
        "etag": f'W/"{hashlib.sha256(content).hexdigest()[:32]}"',
        "vary": "accept-encoding",
    }
    return _File(content, compressed if len(compressed) < 0.95 * len(content) else None, headers)
