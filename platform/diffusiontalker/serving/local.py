"""The endpoint on this machine, in one call: a small Ray cluster, Ray Serve, the application."""

import dataclasses
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import serve

from diffusiontalker.serving.app import GRPC_SERVICERS, build_app
from diffusiontalker.serving.arguments import ServingArguments

logger = logging.getLogger(__name__)

_OBJECT_STORE_BYTES = 256 * 1024 * 1024
APPLICATION = "diffusiontalker"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where the endpoint listens."""

    host: str = "127.0.0.1"
    """127.0.0.1: this machine alone; 0.0.0.0: everybody, so use keys."""
    port: int = 8000
    """HTTP and WebSocket."""
    grpc_port: int = 52000
    """gRPC; 0: none. Ray Serve opens it on all interfaces."""


@contextmanager
def serving(arguments: ServingArguments, address: Address) -> Iterator[None]:
    """The endpoint answers within the block. In the main thread only.

    Raises:
        RuntimeError: when it does not start; the log of the replicas says why.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=max(2, os.cpu_count() or 1),
        object_store_memory=_OBJECT_STORE_BYTES,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    signal.signal(signal.SIGTERM, on_sigterm)  # Ray had taken it
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        serve.start(
            http_options={"host": address.host, "port": address.port},
            grpc_options=(
                {"port": address.grpc_port, "grpc_servicer_functions": list(GRPC_SERVICERS)}
                if address.grpc_port
                else None
            ),
            logging_config={"log_level": "WARNING", "enable_access_log": False},
        )
        serve.run(build_app(arguments), name=APPLICATION, route_prefix="/")
        yield
        serve.delete(APPLICATION)  # waits for what is under way, which `shutdown` would cut off
    finally:
        serve.shutdown()
        ray.shutdown()


def wait_until_interrupted() -> None:
    """Sleeps until Ctrl-C or SIGTERM, which ends the process in the same way."""
    while True:
        time.sleep(3600.0)
