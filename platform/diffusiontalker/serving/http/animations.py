"""`POST /v1/animations`: a recording in, an animation out, in one of many formats."""

import asyncio
import time
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query, Request, Response

from diffusiontalker.face import encode_motion
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.http.bodies import Body, read_body
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
_CONTENT = {media: {"schema": {"type": "string", "format": "binary"}} for media in {*MEDIA_TYPES.values()}}


def animation_routes(core: Core) -> APIRouter:
    """The route, on this core."""
    router = APIRouter(tags=["animations"])

    @router.post(
        "/v1/animations",
        summary="Animate a recording",
        response_class=Response,
        responses={200: {"description": "The animation; names and frame rate are inside.", "content": _CONTENT}},
        openapi_extra=_BODY,
    )
    async def animate(request: Request, parameters: Annotated[AnimationParameters, Query()]) -> Response:
        core.authenticate(request.headers.get("authorization"))
        body = await read_body(request, core=core)
        parameters = _with_fields(parameters, body)
        fps = parameters.fps or core.fps
        if fps > core.limits.max_fps:
            raise ServingError("invalid_parameter", f"fps is {fps:g}, expected 1 to {core.limits.max_fps:g}")
        begin = time.perf_counter()
        waveform = await core.decode(_only(body, "audio"))
        reference = None
        if "reference" in body.files:
            reference = await core.decode(_only(body, "reference"))
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
                "content-disposition": f'attachment; filename="animation.{parameters.format}"',
                "server-timing": ", ".join(f"{stage};dur={1e3 * seconds:.1f}" for stage, seconds in stages.items()),
                "x-animation-fps": f"{fps:g}",
            },
        )

    return router


def style_of(parameters: Any, reference: Any = None) -> StyleRequest:
    """The style that parameters ask for."""
    return StyleRequest(
        voice=parameters.voice,
        reference=reference,
        emotion=parameters.emotion,
        emotion_intensity=parameters.emotion_intensity,
    )


def sampling_of(parameters: Any) -> SamplingRequest:
    """The sampling that parameters ask for."""
    return SamplingRequest(num_steps=parameters.num_steps, temperature=parameters.temperature, seed=parameters.seed)


def _with_fields(parameters: AnimationParameters, body: Body) -> AnimationParameters:
    """Form fields count as parameters; one that is given twice is an error."""
    given = parameters.model_dump(exclude_unset=True)
    twice = sorted(given.keys() & body.fields.keys())
    if twice:
        raise ServingError("invalid_parameter", f"{', '.join(twice)}: given in the URL and in the form; give it once")
    unknown = sorted(body.files.keys() - {"audio", "reference"})
    if unknown:
        raise ServingError("bad_request", f"unknown parts {', '.join(unknown)}; expected audio, and perhaps reference")
    try:
        return AnimationParameters.model_validate(given | body.fields)
    except pydantic.ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ServingError("invalid_parameter", "; ".join(problems[:8])) from None


def _only(body: Body, part: str) -> Upload:
    """The one file of a part."""
    files = body.files.get(part, [])
    if len(files) != 1:
        raise ServingError(
            "bad_request",
            f"{len(files)} files '{part}'; send one recording as the body, or as the part '{part}' of a form",
        )
    return files[0]
