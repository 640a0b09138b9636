"""The application: routes, errors in one shape, health, what is loaded, measurements."""

import time
from typing import Any

from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diffusiontalker import __version__
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.http.access import access
from diffusiontalker.serving.http.animations import animation_routes
from diffusiontalker.serving.http.bodies import BodyLimits
from diffusiontalker.serving.http.problems import add_problems
from diffusiontalker.serving.http.schemas import ERRORS, About, State, StudentName, writable_formats
from diffusiontalker.serving.http.stream import stream_route
from diffusiontalker.serving.http.studio import studio_routes
from diffusiontalker.serving.http.voices import voice_routes
from diffusiontalker.serving.metrics import Metrics, PrometheusMetrics
from diffusiontalker.serving.process_times import cpu_seconds

_DESCRIPTION = """Speech in, 3D facial animation out: ARKit coefficients by name, whole files or live.

Live streams: WebSocket `/v1/stream`. First message, JSON: `{"type": "start", "sample_rate_hz": 16000, "sample_format":
"int16", "voice": "...", "frames": "json"}`; answer: `{"type": "ready", ...}`. Then sound as binary messages, at last
`{"type": "end"}`. Frames arrive as they can be known, then `{"type": "end"}`; errors as `{"type": "error", "error":
{...}}`.
"""


def build_http(core: Core) -> FastAPI:
    """The ASGI application of one replica."""
    app = FastAPI(
        title="DiffusionTalker",
        version=__version__,
        description=_DESCRIPTION,
        docs_url="/docs",
        redoc_url=None,
        redirect_slashes=False,
        responses=ERRORS,
    )
    app.add_middleware(BodyLimits, core=core)
    app.add_middleware(Measured, metrics=core.metrics)
    app.include_router(animation_routes(core))
    app.include_router(voice_routes(core))
    app.include_router(stream_route(core))
    app.include_router(studio_routes())
    _add_state(app, core)
    add_problems(app)
    return app


def _add_state(app: FastAPI, core: Core) -> None:
    formats = writable_formats()

    @app.get("/health", tags=["state"], summary="Alive: the process answers")
    @app.get("/v1/health/live", include_in_schema=False)
    async def health() -> State:
        return State(status="alive")

    @app.get("/ready", tags=["state"], summary="Ready: requests are taken; 503 while draining")
    @app.get("/v1/health/ready", include_in_schema=False)
    async def ready() -> State:
        if core.is_closing:
            raise ServingError("unavailable", "the server is shutting down; try again", retry_after_s=1)
        return State(status="ready")

    @app.get(
        "/v1/bundle",
        tags=["state"],
        summary="What is loaded: students, voices, emotions, formats, limits, measured numbers",
        dependencies=[access(core)],
    )
    async def about(student: StudentName = None) -> About:
        return About(**core.about(student), formats=formats)

    metrics = core.metrics
    if isinstance(metrics, PrometheusMetrics):

        @app.get("/metrics", include_in_schema=False)
        async def exported() -> Response:
            text = metrics.text(cpu_seconds=cpu_seconds(core.decoder.process_ids))
            return Response(text, media_type="text/plain; version=0.0.4")


class Measured:
    """ASGI middleware that counts and times requests, failed ones too.

    Args:
        app: what is measured.
        metrics: where numbers go.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route: Any = scope.get("route")
            path = getattr(route, "path", "other")
            self._metrics.observe("request_seconds", time.perf_counter() - begin, route=path)
            self._metrics.count("requests_total", route=path, code=str(status))
