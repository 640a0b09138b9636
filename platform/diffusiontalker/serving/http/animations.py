"""`POST /v1/animations`: a recording in, an animation out, in one of many formats."""

import asyncio
import time
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query, Request, Response

from diffusiontalker.face import FORMATS, MotionError, encode_motion
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.http.access import access
from diffusiontalker.serving.http.bodies import Body, read_body, while_connected
from diffusiontalker.serving.http.problems import invalid
from diffusiontalker.serving.http.schemas import MEDIA_TYPES, AnimationParameters
from diffusiontalker.serving.metrics import timed
from diffusiontalker.serving.service import SamplingRequest, StyleRequest, Upload

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The recording: as the whole body, or as the part `audio` of a form; `reference`: somebody "
        "else's recording, whose voice to take. Parameters may be form fields, too.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["audio"],
                    "properties": {
                        "audio": {"type": "string", "format": "binary"},
                        "reference": {"type": "string", "format": "binary"},
                    },
                }
            },
            "audio/wav": {"schema": {"type": "string", "format": "binary"}},
            "audio/flac": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_MATRIX = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
_CONTENT: dict[str, Any] = {
    **{media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA_TYPES.values()},
    "application/json": {
        "schema": {
            "anyOf": [
                {
                    "title": "json",
                    "type": "object",
                    "required": ["fps", "names", "frames"],
                    "properties": {"fps": {"type": "number"}, "names": _TEXTS, "frames": _MATRIX},
                },
                {
                    "title": "beat",
                    "type": "object",
                    "required": ["names", "frames"],
                    "properties": {"names": _TEXTS, "frames": {"type": "array", "items": {"type": "object"}}},
                },
                {
                    "title": "a2f",
                    "type": "object",
                    "required": ["exportFps", "facsNames", "weightMat"],
                    "properties": {"exportFps": {"type": "number"}, "facsNames": _TEXTS, "weightMat": _MATRIX},
                },
            ]
        }
    },
}


def animation_routes(core: Core) -> APIRouter:
    """The route, on this core."""
    router = APIRouter(tags=["animations"], dependencies=[access(core)])

    @router.post(
        "/v1/animations",
        summary="Animate a recording",
        response_class=Response,
        responses={200: {"description": "The animation; names and frame rate are inside.", "content": _CONTENT}},
        openapi_extra=_BODY,
    )
    async def animate(request: Request, parameters: Annotated[AnimationParameters, Query()]) -> Response:
        body = await read_body(request, core=core)
        return await while_connected(request, _animated(core, body, _with_fields(parameters, body)))

    return router


async def _animated(core: Core, body: Body, parameters: AnimationParameters) -> Response:
    student = core.student(parameters.student)
    fps = student.fps if parameters.fps is None else parameters.fps
    if fps > core.limits.max_fps:
        raise ServingError("invalid_parameter", f"fps is {fps:g}, expected 1 to {core.limits.max_fps:g}")
    try:
        FORMATS[parameters.format].require_installed()
    except MotionError as error:
        raise ServingError("invalid_parameter", f"format {parameters.format}: {error} on the server") from None
    begin = time.perf_counter()
    waveform = await core.decode(_only(body, "audio"))
    reference = await core.decode(_only(body, "reference")) if "reference" in body.files else None
    decoded = time.perf_counter()
    clip = await core.animate(waveform, style_of(parameters, reference), sampling_of(parameters))
    animated = time.perf_counter()
    with timed(core.metrics, "stage_seconds", stage="encode"):
        content = await asyncio.to_thread(lambda: encode_motion(clip.resampled(fps), parameters.format))
    stages = {"decode": decoded - begin, "animate": animated - decoded, "encode": time.perf_counter() - animated}
    return Response(
        content,
        media_type=MEDIA_TYPES[parameters.format],
        headers={
            "content-disposition": f'attachment; filename="animation{FORMATS[parameters.format].suffix}"',
            "server-timing": ", ".join(f"{stage};dur={1e3 * seconds:.1f}" for stage, seconds in stages.items()),
            "x-animation-fps": f"{fps:g}",
        },
    )


def style_of(parameters: Any, reference: Any = None) -> StyleRequest:
    """The style that parameters ask for."""
    return StyleRequest(
        student=parameters.student,
        voice=parameters.voice,
        reference=reference,
        emotion=parameters.emotion,
        emotion_intensity=parameters.emotion_intensity,
    )


def sampling_of(parameters: Any) -> SamplingRequest:
    """The sampling that parameters ask for."""
    return SamplingRequest(num_steps=parameters.num_steps, temperature=parameters.temperature, seed=parameters.seed)


def _with_fields(parameters: AnimationParameters, body: Body) -> AnimationParameters:
    """Form fields count as parameters."""
    body.require(files={"audio", "reference"})
    try:
        return AnimationParameters.model_validate(parameters.model_dump(exclude_unset=True) | body.fields)
    except pydantic.ValidationError as error:
        raise invalid(error.errors()) from None


def _only(body: Body, part: str) -> Upload:
    """The one file of a part."""
    files = body.files.get(part, [])
    if len(files) != 1:
        raise ServingError(
            "bad_request",
            f"{len(files)} files '{part}'; send one recording as the body, or as the part '{part}' of a form",
        )
    return files[0]
