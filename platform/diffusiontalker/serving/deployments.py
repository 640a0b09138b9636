"""The deployments of Ray Serve: thin wrappers that give a `Core` its replica, its handle and its protocols.

The talker's replica holds protocols, engine and batcher, so no chunk of a stream leaves the process; the personalizer
has replicas of its own and is asked once per request or stream. Why: docs/serving.md.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import numpy as np
import yaml
from fastapi import FastAPI
from ray import serve
from ray.serve.config import BackpressureConfig
from ray.serve.handle import DeploymentHandle

from diffusiontalker.inference import load_bundle
from diffusiontalker.serving.a2f import A2FEdge
from diffusiontalker.serving.arguments import ServingArguments, UserConfig
from diffusiontalker.serving.errors import Caller, ServingError
from diffusiontalker.serving.http import build_http
from diffusiontalker.serving.personalizer import BatchedEmbedder, Personalizer
from diffusiontalker.serving.plain import make_core
from diffusiontalker.serving.ray_metrics import RayMetrics
from diffusiontalker.serving.style_cache import StyleCache
from diffusiontalker.serving.style_entry import StylePair


class PersonalizerReplica:
    """Recordings in, embeddings out, as each student hears them."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        settings, metrics = ServingArguments(**arguments), RayMetrics(deployment="Personalizer")
        self._personalizers: dict[str, Personalizer] = {}
        for name, uri in settings.students.items():
            bundle = load_bundle(uri, device=settings.personalizer_device)
            cache = StyleCache(settings.cache_of_each(), bundle_digest=bundle.digest)
            self._personalizers[name] = Personalizer(BatchedEmbedder(bundle), cache, metrics=metrics)

    async def embed(self, waveform: np.ndarray, student: str) -> StylePair:
        """See `Personalizer`."""
        return await self._personalizers[student].embed(waveform)

    async def __del__(self) -> None:
        """Called by Ray Serve when the replica has drained."""
        personalizers = getattr(self, "_personalizers", {})
        await asyncio.gather(*(one.close() for one in personalizers.values()))


class RemoteEmbedder:
    """Asks the personalizers' deployment for the embeddings of one student."""

    def __init__(self, handle: DeploymentHandle, student: str) -> None:
        self._handle, self._student = handle, student

    async def embed(self, waveform: np.ndarray) -> StylePair:
        """See `Embedder`."""
        try:
            return await self._handle.embed.remote(waveform, self._student)
        except Exception as error:
            cause = getattr(error, "cause", error)  # Ray wraps what a replica raised
            if isinstance(cause, ServingError):
                raise cause from None
            raise ServingError("unavailable", "the personalizer does not answer; try again", retry_after_s=1) from error

    async def close(self) -> None:
        """Nothing: the deployment ends by itself."""


class TalkerReplica:
    """HTTP, WebSocket and gRPC of the students."""

    def __init__(self, arguments: dict[str, Any], personalizer: DeploymentHandle) -> None:
        self.core = make_core(
            ServingArguments(**arguments),
            metrics=RayMetrics(deployment="Talker"),
            embedder_of=lambda student: RemoteEmbedder(personalizer, student),
        )
        first, *others = self.core.students
        self._edge = A2FEdge(
            self.core,
            authenticate=self._authenticate,
            is_ready=lambda: not self.core.is_closing,
            configs={"bundle.yaml": self._about(first)} | {f"bundle-{name}.yaml": self._about(name) for name in others},
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Ray Serve when the replica is there."""
        return build_http(self.core)

    def reconfigure(self, settings: dict[str, Any]) -> None:
        """Takes other limits and batch sizes from `user_config`; what it leaves out is as in the arguments."""
        changed = UserConfig(**settings).over(self.core.arguments)
        engine = changed.engine
        self.core.reconfigure(
            limits=changed.limits, max_batch_frames=engine.max_batch_frames, max_waiting=engine.max_waiting
        )

    async def ProcessAudioStream(  # noqa: N802
        self, request_stream: Any, grpc_context: Any = None
    ) -> AsyncGenerator[Any, None]:
        """Audio2Face-3D's call."""
        async with contextlib.aclosing(self._edge.ProcessAudioStream(request_stream, grpc_context)) as messages:
            async for message in messages:
                yield message

    async def GetConfigs(self, request: Any, grpc_context: Any = None) -> AsyncGenerator[Any, None]:  # noqa: N802
        """Audio2Face-3D's export of the configuration."""
        async with contextlib.aclosing(self._edge.GetConfigs(request, grpc_context)) as messages:
            async for message in messages:
                yield message

    async def Check(self, request: Any, grpc_context: Any = None) -> Any:  # noqa: N802
        """GRPC's health check."""
        return await self._edge.Check(request, grpc_context)

    async def Watch(self, request: Any, grpc_context: Any = None) -> AsyncGenerator[Any, None]:  # noqa: N802
        """GRPC's health, whenever it changes."""
        async with contextlib.aclosing(self._edge.Watch(request, grpc_context)) as messages:
            async for message in messages:
                yield message

    def _about(self, student: str) -> str:
        return yaml.safe_dump(self.core.about(student), sort_keys=False, allow_unicode=True)

    def _authenticate(self, metadata: Mapping[str, str]) -> Caller:
        return self.core.authenticate(metadata.get("authorization"))

    async def __del__(self) -> None:
        """Called by Ray Serve when the replica has drained."""
        core = getattr(self, "core", None)
        if core is not None:
            await core.close()


# The classes keep names of their own, so that Ray finds them by name in a replica instead of copying them there.
PERSONALIZER = serve.deployment(name="Personalizer", max_ongoing_requests=64, max_queued_requests=512)(
    PersonalizerReplica
)
TALKER = serve.deployment(
    name="Talker",
    max_ongoing_requests=512,
    max_queued_requests=512,
    backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
    graceful_shutdown_timeout_s=60.0,
    health_check_period_s=5.0,
)(serve.ingress()(TalkerReplica))
