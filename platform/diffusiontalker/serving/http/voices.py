"""`/v1/voices`: enrol, list, get, rename, blend, delete."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from diffusiontalker.serving.core import Core
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.http.bodies import read_body
from diffusiontalker.serving.http.schemas import Blend, NewName, StoredVoice, VoiceList

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
    router = APIRouter(prefix="/v1/voices", tags=["voices"])

    def let_in(request: Request) -> None:
        core.authenticate(request.headers.get("authorization"))

    def shown(voice: Any) -> StoredVoice:
        return StoredVoice.of(voice, digest=core.bundle.digest)

    @router.post("", status_code=201, summary="Enrol a voice from recordings", openapi_extra=_BODY)
    async def enroll(
        request: Request, name: Annotated[str | None, Query(min_length=1, max_length=200)] = None
    ) -> StoredVoice:
        let_in(request)
        body = await read_body(request, core=core)
        names = [one for one in (name, body.fields.get("name")) if one is not None]
        unknown = sorted((body.files.keys() - {"audio"}) | (body.fields.keys() - {"name"}))
        if unknown:
            raise ServingError("bad_request", f"unknown parts {', '.join(unknown)}; expected name and audio")
        if len(names) != 1:
            raise ServingError("invalid_parameter", f"{len(names)} names; give one, in the URL or in the form")
        uploads = body.files.get("audio", [])
        if not 1 <= len(uploads) <= core.limits.max_references:
            raise ServingError(
                "bad_request", f"{len(uploads)} recordings; send 1 to {core.limits.max_references} parts 'audio'"
            )
        waveforms = await asyncio.gather(*map(core.decode, uploads))
        return shown(await core.enroll(waveforms, name=names[0]))

    @router.get("", summary="The enrolled voices, by id")
    async def list_voices(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: Annotated[str | None, Query(max_length=200)] = None,
    ) -> VoiceList:
        let_in(request)
        page = await core.voices.list(limit=limit, after=after)
        return VoiceList(voices=[shown(entry) for entry in page.entries], next_after=page.next_after)

    @router.post("/blend", status_code=201, summary="A voice between voices")
    async def blend(request: Request, wanted: Blend) -> StoredVoice:
        let_in(request)
        parts = {part.id: part.weight for part in wanted.voices}
        if len(parts) < len(wanted.voices):
            raise ServingError("invalid_parameter", "a voice is named twice; give each one weight")
        return shown(await core.voices.blend(list(parts), weights=list(parts.values()), name=wanted.name))

    @router.get("/{voice_id}", summary="One voice")
    async def get(request: Request, voice_id: str) -> StoredVoice:
        let_in(request)
        return shown(await core.voices.get(voice_id))

    @router.patch("/{voice_id}", summary="Rename a voice; its id stays")
    async def rename(request: Request, voice_id: str, wanted: NewName) -> StoredVoice:
        let_in(request)
        return shown(await core.voices.rename(voice_id, name=wanted.name))

    @router.delete("/{voice_id}", status_code=204, summary="Delete a voice")
    async def delete(request: Request, voice_id: str) -> Response:
        let_in(request)
        await core.voices.delete(voice_id)
        return Response(status_code=204)

    return router
