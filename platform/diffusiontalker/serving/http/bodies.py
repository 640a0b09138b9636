"""Bodies under limits, in both directions: how large, how slow; multipart or raw; and what when the client leaves."""

import asyncio
import dataclasses
import re
from collections import Counter
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from fastapi import Request
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, UploadFile
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diffusiontalker.serving.arguments import Limits
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.service import Upload

UPLOAD_PATHS = frozenset({"/v1/animations", "/v1/voices"})
"""Where sound is sent; all other bodies are a little JSON."""

_MOST_JSON_BYTES = 1 << 16
_MOST_FIELDS = 32
_SENT_BYTES = 1 << 18
_CONTROL = re.compile(r"[^\x20-\x7e]+")

ResultT = TypeVar("ResultT")


class _SlowReaderError(Exception):
    """The client does not read its answer."""


class BodyLimits:
    """ASGI middleware: a body that is too large, or a client too slow to send or read one, ends the request.

    Args:
        app: what is protected.
        core: whose limits.
    """

    def __init__(self, app: ASGIApp, *, core: Core) -> None:
        self._app, self._core, self._held_bytes = app, core, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits, loop = self._core.limits, asyncio.get_running_loop()
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        most = limits.max_upload_bytes if path in UPLOAD_PATHS else _MOST_JSON_BYTES
        declared = Headers(scope=scope).get("content-length", "")
        deadline = loop.time() + limits.wall_seconds
        received, is_whole = 0, False

        async def limited() -> Message:
            nonlocal received, is_whole
            if is_whole:
                return await receive()
            if declared.isascii() and declared.isdigit() and int(declared) > most:
                raise _too_large(declared, most)
            message = await _in_time(receive, limits, deadline)
            size = len(message.get("body", b""))
            received, self._held_bytes = received + size, self._held_bytes + size
            is_whole = not message.get("more_body", False)
            if received > most:
                raise _too_large(f"more than {most}", most)
            if self._held_bytes > max(most, limits.max_held_bytes):
                raise ServingError("busy", "too much is being uploaded at the moment; try again", retry_after_s=2)
            return message

        async def patient(message: Message) -> None:
            for part in _parts(message):
                try:
                    async with asyncio.timeout(limits.idle_seconds):
                        await send(part)
                except TimeoutError:
                    raise _SlowReaderError from None

        try:
            await self._app(scope, limited, patient)
        except _SlowReaderError:
            return
        finally:
            self._held_bytes -= received


@dataclasses.dataclass(frozen=True, slots=True)
class Body:
    """What a request carries."""

    files: dict[str, list[Upload]]
    """Part -> its files; a raw body is the part `audio`."""
    fields: dict[str, str]
    """Form fields."""

    def require(self, *, files: set[str]) -> None:
        """Refuses files as other parts than these, and these parts as text.

        Raises:
            ServingError: `bad_request`.
        """
        wrong = sorted(map(shown, (self.files.keys() - files) | (self.fields.keys() & files)))
        if wrong:
            raise ServingError(
                "bad_request",
                f"parts {', '.join(wrong)}: expected the files {' and '.join(sorted(files))} (with file names), "
                "everything else as text",
            )


async def read_body(request: Request, *, core: Core) -> Body:
    """A multipart body taken apart, or a raw one as the file `audio`.

    Raises:
        ServingError: `too_large`, `too_slow`, `busy`; `bad_request` for a malformed form; `invalid_parameter` for a
            parameter that is given twice, in the URL or in the form.
    """
    _require_once(name for name, _ in request.query_params.multi_items())
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        content = await request.body()
        return Body(files={"audio": [Upload("audio", content)]} if content else {}, fields={})
    files: dict[str, list[Upload]] = {}
    fields: list[tuple[str, str]] = []
    try:
        async with request.form(max_files=core.limits.max_references + 1, max_fields=_MOST_FIELDS) as form:
            for part, value in form.multi_items():
                if isinstance(value, UploadFile):
                    files.setdefault(part, []).append(Upload(shown(value.filename or "audio"), await value.read()))
                else:
                    fields.append((part, value))
    except (FormParserError, UnicodeError) as error:  # what starlette finds itself is an HTTPException
        raise ServingError("bad_request", f"the form cannot be read: {shown(str(error))}; see /docs") from None
    _require_once(name for name, _ in [*request.query_params.multi_items(), *fields])
    return Body(files=files, fields=dict(fields))


async def while_connected(request: Request, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """The result of `work`, which is cancelled when the client leaves.

    Args:
        request: one whose body has been read.
        work: makes its answer.

    Raises:
        ClientDisconnect: when the client leaves first.
    """
    task, leaving = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        task.cancel()
        leaving.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)


def shown(text: str) -> str:
    """A client's text, safe in messages and logs."""
    return _CONTROL.sub("?", text)[:80]


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _in_time(receive: Receive, limits: Limits, deadline: float) -> Message:
    now = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(min(now + limits.idle_seconds, deadline)):
            return await receive()
    except TimeoutError:
        raise ServingError(
            "too_slow",
            f"nothing came for {limits.idle_seconds:g} s, or not all of it within {limits.wall_seconds:g} s; send the "
            "body at once",
        ) from None


def _parts(message: Message) -> Iterator[Message]:
    """A part of an answer in pieces, so that a client that reads, however slowly, is told from one that does not."""
    body = message.get("body", b"")
    if len(body) <= _SENT_BYTES:
        yield message
        return
    for begin in range(0, len(body), _SENT_BYTES):
        end = begin + _SENT_BYTES
        yield {**message, "body": body[begin:end], "more_body": end < len(body) or message.get("more_body", False)}


def _require_once(names: Iterator[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ServingError("invalid_parameter", f"{', '.join(map(shown, twice[:8]))}: given twice; give it once")


def _too_large(what: str, most: int) -> ServingError:
    return ServingError(
        "too_large", f"the request has {what} bytes, at most {most} are allowed; shorten or compress it"
    )
