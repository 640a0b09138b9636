"""The gRPC services that Audio2Face-3D clients call, over the core; on a plain server or behind Ray Serve.

How a stream ends: its last message is always a status, SUCCESS when all went well, WARNING when motion is complete but
something the client asked for was not done, ERROR when it failed; then the call ends in the gRPC status of the error as
well, so that clients, proxies and metrics that read no messages see it too. A failed stream never ends in SUCCESS.
Source: the interface of Audio2Face-3D 1.3; the messages are described in `protos`.
"""

import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from typing import Any

import grpc
import yaml
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from diffusiontalker.serving.a2f.generated.a2f_controller_service_pb2_grpc import (
    add_A2FControllerServiceServicer_to_server,
)
from diffusiontalker.serving.a2f.generated.a2x_export_config_service_pb2 import A2XConfig, ConfigsTypeRequest
from diffusiontalker.serving.a2f.generated.a2x_export_config_service_pb2_grpc import (
    add_A2XExportConfigServiceServicer_to_server,
)
from diffusiontalker.serving.a2f.generated.controller_pb2 import AnimationDataStream, AudioStream
from diffusiontalker.serving.a2f.generated.status_pb2 import Status
from diffusiontalker.serving.a2f.health import Health
from diffusiontalker.serving.a2f.limits import A2FLimits
from diffusiontalker.serving.a2f.stream import Report, animate
from diffusiontalker.serving.errors import Caller, ServingError
from diffusiontalker.serving.service import Service

logger = logging.getLogger(__name__)

VOICE_KEY = "voice"
"""Metadata of a call that names the voice to speak with."""
STUDENT_KEY = "student"
"""Metadata of a call that names the student that animates. Nothing else of ours can be added by a client."""

SERVICE_NAMES = (
    "nvidia_ace.services.a2f_controller.v1.A2FControllerService",
    "nvidia_ace.services.a2x_export_config.v1.A2XExportConfigService",
    "grpc.health.v1.Health",
)


class A2FEdge:
    """Answers the calls; its methods are named as gRPC and Ray Serve look them up.

    `context` needs `invocation_metadata`, `set_code`, `set_details` and `set_trailing_metadata`: `grpc.aio`'s and Ray
    Serve's both do. A class that delegates should close the generators it gets (`contextlib.aclosing`), so that a
    stream is freed the moment its client leaves.

    Args:
        service: the core.
        authenticate: who calls, by the metadata of the call; raises `ServingError` to refuse.
        is_ready: whether health checks should pass.
        configs: file name -> YAML text, for clients that ask how the server is configured.
        limits: what clients may send.
        health_poll_s: how often those who watch the health look at `is_ready`, in seconds.
    """

    def __init__(
        self,
        service: Service,
        *,
        authenticate: Callable[[Mapping[str, str]], Caller],
        is_ready: Callable[[], bool],
        configs: Mapping[str, str] | None = None,
        limits: A2FLimits | None = None,
        health_poll_s: float = 1.0,
    ) -> None:
        self._service, self._authenticate = service, authenticate
        self._configs, self._limits = dict(configs or {}), limits or A2FLimits()
        self._health = Health(is_ready, services=SERVICE_NAMES, poll_s=health_poll_s)

    def add_to_server(self, server: grpc.aio.Server) -> None:
        """Registers every service on a plain server."""
        add_A2FControllerServiceServicer_to_server(self, server)
        add_A2XExportConfigServiceServicer_to_server(self, server)
        add_HealthServicer_to_server(self, server)

    async def ProcessAudioStream(  # noqa: N802
        self, request_stream: AsyncIterable[AudioStream], context: Any
    ) -> AsyncGenerator[AnimationDataStream, None]:
        """Animates one recording while it arrives: header, frames, event, status."""
        report = Report()
        try:
            metadata = _metadata(context)
            caller = self._authenticate(metadata)
            messages = animate(
                aiter(request_stream),
                self._service,
                caller=caller,
                voice=metadata.get(VOICE_KEY) or None,
                student=metadata.get(STUDENT_KEY) or None,
                limits=self._limits,
                report=report,
            )
            async with contextlib.aclosing(messages):
                async for message in messages:
                    yield message
        except Exception as error:
            refusal = _refusal(error)
            _end_with(context, refusal)
            yield AnimationDataStream(status=Status(code=Status.ERROR, message=refusal.message))
            return
        done = f"{report.num_frames} frames for {report.seconds:.3f} s of sound"
        logger.info("%s: %s", caller.name, done)
        status = Status(
            code=Status.WARNING if report.remarks else Status.SUCCESS, message="; ".join([done, *report.remarks])
        )
        yield AnimationDataStream(status=status)

    async def GetConfigs(  # noqa: N802
        self, request: ConfigsTypeRequest, context: Any
    ) -> AsyncGenerator[A2XConfig, None]:
        """How the server is configured, a file each, as YAML or JSON."""
        try:
            self._authenticate(_metadata(context))
        except Exception as error:
            _end_with(context, _refusal(error))
            return
        for name, text in self._configs.items():
            if request.config_type == ConfigsTypeRequest.JSON:
                name = f"{name.removesuffix('.yaml').removesuffix('.yml')}.json"
                text = json.dumps(yaml.safe_load(text), indent=2)
            yield A2XConfig(name=name, content=text)

    async def Check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:  # noqa: N802
        """Whether the server is ready."""
        return await self._health.Check(request, context)

    async def List(self, request: HealthListRequest, context: Any) -> HealthListResponse:  # noqa: N802
        """Whether each service is ready."""
        return await self._health.List(request, context)

    async def Watch(  # noqa: N802
        self, request: HealthCheckRequest, context: Any
    ) -> AsyncGenerator[HealthCheckResponse, None]:
        """Whether the server is ready, and whenever that changes."""
        async with contextlib.aclosing(self._health.Watch(request, context)) as responses:
            async for response in responses:
                yield response


def _metadata(context: Any) -> dict[str, str]:
    """The text entries of a call's metadata; gRPC spells the keys in lower case."""
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def _refusal(error: Exception) -> ServingError:
    """What the client is told: our own errors as they are, of any other only that there was one."""
    if isinstance(error, ServingError):
        return error
    logger.error("a call of an Audio2Face-3D client failed", exc_info=error)
    return ServingError("internal", "the server failed; the cause is in its log, try again or tell its operator")


def _end_with(context: Any, error: ServingError) -> None:
    """Makes the call end in the error's gRPC status.

    Set, not aborted with: Ray Serve's context has no `abort`, and takes what is set before the last message.
    """
    context.set_code(grpc.StatusCode[error.grpc_status])
    context.set_details(error.message)
    if error.retry_after_s is not None:
        context.set_trailing_metadata([("retry-after", f"{error.retry_after_s:g}")])
