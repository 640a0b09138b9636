"""`/v1/voices`: enrol, list, get, rename, blend, delete."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from diffusiontalker.inference import Voice
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.http.access import access
from diffusiontalker.serving.http.bodies import Body, read_body, shown, while_connected
from diffusiontalker.serving.http.schemas import Blend, NewName, StoredVoice, StudentName, VoiceList
from diffusiontalker.serving.student import Student

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Recordings of one speaker, 10 s or more in all are good: one as the whole body (with the name "
        "in the URL), or several as parts `audio` of a form.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["audio"],
                    "properties": {
                        "name": {"type": "string"},
                        "student": {"type": "string"},
                        "audio": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            },
            "audio/wav": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def voice_routes(core: Core) -> APIRouter:
    """The routes, on this core."""
    router = APIRouter(prefix="/v1/voices", tags=["voices"], dependencies=[access(core)])

    async def asked_for(student: StudentName = None) -> Student:
        return core.student(student)

    asked = Depends(asked_for)

    def stored(voice: Any, student: Student) -> StoredVoice:
        return StoredVoice.of(voice, digest=student.bundle.digest)

    @router.post("", status_code=201, summary="Enrol a voice from recordings", openapi_extra=_BODY)
    async def enroll(
        request: Request,
        name: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
        student: StudentName = None,
    ) -> StoredVoice:
        body = await read_body(request, core=core)
        chosen = core.student(body.fields.get("student", student))
        return stored(await while_connected(request, _enrolled(core, chosen, body, name)), chosen)

    @router.get("", summary="The enrolled voices, by id")
    async def list_voices(
        student: Annotated[Student, asked],
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: Annotated[str | None, Query(max_length=200)] = None,
    ) -> VoiceList:
        page = await core.voices.list(limit=limit, after=after)
        return VoiceList(voices=[stored(entry, student) for entry in page.entries], next_after=page.next_after)

    @router.post("/blend", status_code=201, summary="A voice between voices")
    async def blend(wanted: Blend, student: Annotated[Student, asked]) -> StoredVoice:
        parts = {part.id: part.weight for part in wanted.voices}
        if len(parts) < len(wanted.voices):
            raise ServingError("invalid_parameter", "a voice is named twice; give each one weight")
        voice = await core.voices.blend(list(parts), weights=list(parts.values()), name=wanted.name)
        return stored(voice, student)

    @router.get("/{voice_id}", summary="One voice")
    async def get(voice_id: str, student: Annotated[Student, asked]) -> StoredVoice:
        return stored(await core.voices.get(voice_id), student)

    @router.patch("/{voice_id}", summary="Rename a voice; its id stays")
    async def rename(voice_id: str, wanted: NewName, student: Annotated[Student, asked]) -> StoredVoice:
        return stored(await core.voices.rename(voice_id, name=wanted.name), student)

    @router.delete("/{voice_id}", status_code=204, summary="Delete a voice")
    async def delete(voice_id: str) -> Response:
        await core.voices.delete(voice_id)
        return Response(status_code=204)

    return router


async def _enrolled(core: Core, student: Student, body: Body, name: str | None) -> Voice:
    body.require(files={"audio"})
    unknown = sorted(map(shown, body.fields.keys() - {"name", "student"}))
    if unknown:
        raise ServingError("invalid_parameter", f"unknown parameters {', '.join(unknown)}; expected name, student")
    names = [one for one in (name, body.fields.get("name")) if one is not None]
    if len(names) != 1:
        raise ServingError("invalid_parameter", f"{len(names)} names; give one, in the URL or in the form")
    uploads = body.files.get("audio", [])
    if not 1 <= len(uploads) <= core.limits.max_references:
        raise ServingError(
            "bad_request", f"{len(uploads)} recordings; send 1 to {core.limits.max_references} parts 'audio'"
        )
    return await student.enroll(await asyncio.gather(*map(core.decode, uploads)), name=names[0])
