"""A real Redis, started as in the cluster: embeddings without a password, all else only with it."""

import asyncio
import shutil
import socket
import subprocess
import time

import pytest
import redis
from kustomized import built, needs_kubectl, one
from redis.backoff import NoBackoff
from redis.retry import Retry

from diffusiontalker.serving.shared_styles import open_style_store

pytestmark = [
    needs_kubectl,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed"),
]


def client_of(port, **options):
    """One that gives up at once."""
    return redis.Redis(port=port, retry=Retry(NoBackoff(), 0), **options)


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Of the server that the manifest describes."""
    (container,) = one(built("overlays/cpu-small"), "StatefulSet")["spec"]["template"]["spec"]["containers"]
    folder = tmp_path_factory.mktemp("redis")
    arguments = [one.replace("$(REDIS_PASSWORD)", "s3cret").replace("/data", str(folder)) for one in container["args"]]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    command = [*container["command"], "--bind", "127.0.0.1", "--port", str(number), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 20.0
    while True:
        with client_of(number) as client:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.02)
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    pytest.fail(f"redis-server does not start: {process.communicate()[0]}")
    yield number
    process.terminate()
    process.communicate(timeout=10.0)


def test_replicas_share_embeddings_without_a_password(port):
    async def use():
        store = open_style_store(f"redis://127.0.0.1:{port}/0", ttl_s=60.0, timeout_s=5.0, lock_s=5.0)
        assert await store.read("a") is None
        assert await store.try_lock("a")
        assert not await store.try_lock("a")
        await store.write("a", b"content")
        await store.unlock("a")
        assert await store.try_lock("a")
        assert await store.read("a") == b"content"
        await store.close()

    asyncio.run(use())


def test_without_a_password_nothing_else_can_be_read_or_changed(port):
    with client_of(port, username="ray", password="s3cret") as ray:
        ray.set("RAY@gcs", "tables")
        with client_of(port) as anybody:
            for command in ("GET RAY@gcs", "DEL RAY@gcs", "FLUSHALL", "CONFIG GET *", "KEYS *", "ACL WHOAMI"):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    anybody.execute_command(*command.split())
        assert ray.get("RAY@gcs") == b"tables"
        assert ray.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}


def test_a_wrong_password_is_refused(port):
    with client_of(port, username="ray", password="guess") as client, pytest.raises(redis.AuthenticationError):
        client.ping()
