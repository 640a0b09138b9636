"""The application: routes, errors in one shape, health, what is loaded."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from diffusiontalker import __version__
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.errors import Code, ServingError
from diffusiontalker.serving.http.animations import animation_routes
from diffusiontalker.serving.http.bodies import BodyLimits
from diffusiontalker.serving.http.schemas import ERRORS, About, State
from diffusiontalker.serving.http.stream import stream_route
from diffusiontalker.serving.http.voices import voice_routes
from diffusiontalker.serving.metrics import PrometheusMetrics

logger = logging.getLogger(__name__)

_DESCRIPTION = """Speech in, 3D facial animation out: ARKit coefficients by name, whole files or live.

Live streams: WebSocket `/v1/stream`. First message, JSON: `{"type": "start", "sample_rate_hz": 16000, "sample_format":
"int16", "voice": "...", "frames": "json"}`; answer: `{"type": "ready", ...}`. Then sound as binary messages, at last
`{"type": "end"}`. Frames arrive as they can be known, then `{"type": "end"}`; errors as `{"type": "error", "error":
{...}}`.
"""
_STATUS: dict[int, Code] = {401: "unauthenticated", 403: "forbidden", 404: "unknown_path", 405: "unknown_path"}


def build_http(core: Core) -> FastAPI:
    """The ASGI application of one replica."""
    app = FastAPI(
        title="DiffusionTalker",
        version=__version__,
        description=_DESCRIPTION,
        docs_url="/docs",
        redoc_url=None,
        responses=ERRORS,
    )
    app.add_middleware(BodyLimits, core=core)
    app.include_router(animation_routes(core))
    app.include_router(voice_routes(core))
    app.include_router(stream_route(core))
    _add_health(app, core)
    _add_errors(app)
    _add_measuring(app, core)
    return app


def _add_health(app: FastAPI, core: Core) -> None:
    @app.get("/health", tags=["state"], summary="Alive: the process answers")
    @app.get("/v1/health/live", include_in_schema=False)
    async def health() -> State:
        return State(status="alive")

    @app.get("/ready", tags=["state"], summary="Ready: requests are taken; 503 while draining")
    @app.get("/v1/health/ready", include_in_schema=False)
    async def ready() -> State:
        if core.is_draining:
            raise ServingError("unavailable", "the server is shutting down; try again", retry_after_s=1)
        return State(status="ready")

    @app.get("/v1/bundle", tags=["state"], summary="What is loaded: voices, emotions, limits, measured numbers")
    async def about(request: Request) -> About:
        core.authenticate(request.headers.get("authorization"))
        return About(**core.about())

    metrics = core.metrics
    if isinstance(metrics, PrometheusMetrics):

        @app.get("/metrics", include_in_schema=False)
        async def exported() -> Response:
            return Response(metrics.text(), media_type="text/plain; version=0.0.4")


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(ServingError)
    async def on_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ServingError)
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        problems = [f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in error.errors()]
        return error_response(ServingError("invalid_parameter", "; ".join(problems[:8])))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _STATUS.get(error.status_code, "bad_request")
        response = error_response(
            ServingError(code, f"{request.method} {request.url.path}: {error.detail}; see /docs for what there is")
        )
        if error.status_code == 405:
            response.status_code = 405
            response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def on_fault(request: Request, error: Exception) -> Response:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return error_response(ServingError("internal", "the server failed at this request; its log says why"))


def error_response(error: ServingError) -> JSONResponse:
    """The one JSON shape, with what HTTP adds."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if error.code == "unauthenticated":
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(error.body(), status_code=error.http_status, headers=headers)


def _add_measuring(app: FastAPI, core: Core) -> None:
    @app.middleware("http")
    async def measured(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        begin = time.perf_counter()
        response = await call(request)
        route: Any = request.scope.get("route")
        path = getattr(route, "path", "other")
        core.metrics.observe("request_seconds", time.perf_counter() - begin, route=path)
        core.metrics.count("requests_total", route=path, code=str(response.status_code))
        return response
