"""Which Ray a process works with: the cluster it was submitted to, or a small one of its own."""

import contextlib
import logging
import math
import os
import random
import socket
from collections.abc import Iterator, Mapping

import ray

logger = logging.getLogger(__name__)

_LOCAL_OBJECT_STORE_BYTES = 256 * 1024 * 1024


@contextlib.contextmanager
def ray_cluster(*, num_cpus: float = 1) -> Iterator[None]:
    """Connects to Ray for the length of the block.

    To the cluster this process already works with, else to the one `RAY_ADDRESS` names (`ray job submit` sets it),
    else to a local one that starts and ends with the block.

    Args:
        num_cpus: Logical CPUs the work needs; a local cluster gets at least these, even on a smaller machine.
    """
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address:
        logger.info("joining the Ray cluster at %s", address)
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    else:
        with environment(_of_local_cluster()):
            ray.init(
                address="local",
                include_dashboard=False,
                num_cpus=max(os.cpu_count() or 1, math.ceil(num_cpus)),
                object_store_memory=_LOCAL_OBJECT_STORE_BYTES,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
    try:
        yield
    finally:
        ray.shutdown()


def _of_local_cluster() -> dict[str, str]:
    """The environment in which a cluster starts, and which all its processes inherit."""
    port = _free_port()
    return {
        "RAY_USAGE_STATS_ENABLED": os.environ.get("RAY_USAGE_STATS_ENABLED", "0"),
        # Ray Train asks "the" cluster of this machine whether its controller lives: this one, not one that was started
        # beside it or died and left its address behind.
        "RAY_GCS_SERVER_PORT": str(port),
        "RAY_ADDRESS": f"{ray.util.get_node_ip_address()}:{port}",
        # Nobody takes this node away: a process less.
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    }


def _free_port() -> int:
    """One that nobody uses, nor gets by asking for any."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("", port))
            return port


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables for the length of the block: where Ray takes settings in no other way."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
