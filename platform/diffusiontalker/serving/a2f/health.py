"""`grpc.health.v1.Health` over a callable that says whether the server is ready; public, as probes hold no key.

The messages come from the installed `grpc_health`: a process can hold one definition of them only.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)


class Health:
    """Answers for the whole server (service name "") and for each of its services alike.

    Args:
        is_ready: asked for each answer.
        services: full names of the services there are.
        poll_s: how often watchers look, in seconds.
    """

    def __init__(self, is_ready: Callable[[], bool], *, services: Iterable[str], poll_s: float = 1.0) -> None:
        self._is_ready, self._services, self._poll_s = is_ready, ("", *services), poll_s

    async def Check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:  # noqa: N802
        """The status now; NOT_FOUND for a service that does not exist."""
        response = self._response(request.service)
        if response.status == HealthCheckResponse.SERVICE_UNKNOWN:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details(f"no service {request.service!r}; there are {', '.join(map(repr, self._services))}")
        return response

    async def List(self, request: HealthListRequest, context: Any) -> HealthListResponse:  # noqa: N802
        """The status of every service."""
        return HealthListResponse(statuses={service: self._response(service) for service in self._services})

    async def Watch(  # noqa: N802
        self, request: HealthCheckRequest, context: Any
    ) -> AsyncGenerator[HealthCheckResponse, None]:
        """The status now and whenever it changes, until the client leaves."""
        last = None
        while True:
            response = self._response(request.service)
            if response != last:
                last = response
                yield response
            await asyncio.sleep(self._poll_s)

    def _response(self, service: str) -> HealthCheckResponse:
        if service not in self._services:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        status = HealthCheckResponse.SERVING if self._is_ready() else HealthCheckResponse.NOT_SERVING
        return HealthCheckResponse(status=status)
