"""Request bodies under limits: how large, how slow; multipart or raw."""

import asyncio
import dataclasses
import re

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diffusiontalker.serving.core import Core
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.service import Upload

_MOST_FIELDS = 32
_CONTROL = re.compile(r"[^\x20-\x7e]+")


class BodyLimits:
    """ASGI middleware: a body that is too large, or a client too slow to send it, ends the request with an error."""

    def __init__(self, app: ASGIApp, *, core: Core) -> None:
        self._app, self._core = app, core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received, is_whole, limits = 0, False, self._core.limits

        async def limited() -> Message:
            nonlocal received, is_whole
            if is_whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), limits.idle_seconds)
            except TimeoutError:
                raise ServingError(
                    "too_slow", f"nothing came for {limits.idle_seconds:g} s; send the body at once"
                ) from None
            received += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if received > limits.max_upload_bytes:
                raise too_large(f"more than {limits.max_upload_bytes}", limits.max_upload_bytes)
            return message

        await self._app(scope, limited, send)


def too_large(what: str, most: int) -> ServingError:
    """For a body of `what` bytes."""
    return ServingError(
        "too_large", f"the request has {what} bytes, at most {most} are allowed; shorten or compress it"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Body:
    """What a request carries."""

    files: dict[str, list[Upload]]
    """Part -> its files; a raw body is the part `audio`."""
    fields: dict[str, str]
    """Form fields."""


async def read_body(request: Request, *, core: Core) -> Body:
    """A multipart body taken apart, or a raw one as the file `audio`.

    Raises:
        ServingError: `too_large`, `bad_request` for a malformed form.
    """
    most, declared = core.limits.max_upload_bytes, request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise too_large(declared, most)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        content = await request.body()
        return Body(files={"audio": [Upload("audio", content)]} if content else {}, fields={})
    files: dict[str, list[Upload]] = {}
    fields: dict[str, str] = {}
    try:
        async with request.form(max_files=core.limits.max_references + 1, max_fields=_MOST_FIELDS) as form:
            for part, value in form.multi_items():
                if isinstance(value, UploadFile):
                    files.setdefault(part, []).append(Upload(_shown(value.filename), await value.read()))
                else:
                    fields[part] = value
    except (MultiPartException, MultipartParseError, KeyError, UnicodeError) as error:
        raise ServingError("bad_request", f"the form cannot be read: {_shown(str(error))}; see /docs") from None
    return Body(files=files, fields=fields)


def _shown(name: str | None) -> str:
    """A client's text, safe in messages and logs."""
    return _CONTROL.sub("?", name or "audio")[:80]
