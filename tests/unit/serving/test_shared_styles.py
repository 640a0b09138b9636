"""Sharing embeddings: every store gives them back, damage heals, and a store that fails costs little else."""

import asyncio
import hashlib
import importlib.util
import logging
import struct
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from in_loop import eventually, in_loop
from object_store import bucket_on_s3
from personalizers import DIGEST, Clock, Personalizer, cache_of, is_same, key_of, pair_of
from redis_process import BINARY, REASON, RedisProcess

from diffusiontalker.serving.shared_styles import open_style_store
from diffusiontalker.serving.style_entry import StylePair, encode_entry


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    if BINARY is None or importlib.util.find_spec("redis") is None:
        pytest.skip(REASON if BINARY is None else "the package redis is not installed")
    server = RedisProcess(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def bucket() -> Iterator[str]:
    with bucket_on_s3("styles") as url:
        yield f"{url}/of/embeddings"


@pytest.fixture(params=["local", "memory", "s3", "redis"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "local":
            return str(tmp_path / "styles")
        case "memory":
            return f"memory://styles/{uuid.uuid4().hex}"
        case "s3":
            return request.getfixturevalue("bucket")
        case _:
            return request.getfixturevalue("redis").url


@in_loop
async def test_entries_survive_a_restart_of_the_process_in_every_store(shared_url: str) -> None:
    first, compute = cache_of(shared_url), Personalizer()
    await first.get_or_compute(key_of(0), compute)
    await eventually(lambda: not first._tasks)
    await first.close()
    second = cache_of(shared_url)
    results = await asyncio.gather(*(second.get_or_compute(key_of(0), compute) for _ in range(5)))
    assert all(is_same(result, compute.pair) for result in results)
    assert compute.num_calls == 1
    assert (second.counters.hits_shared, second.counters.joined, second.counters.misses) == (1, 4, 0)
    assert first.counters.shared_errors == second.counters.shared_errors == 0
    await second.close()


def damaged_entries() -> dict[str, bytes]:
    whole = encode_entry(pair_of(0), key=key_of(0), bundle_digest=DIGEST)

    def sealed(body: bytes) -> bytes:
        return whole[:8] + hashlib.sha256(body).digest() + body

    body = whole[40:]
    not_unit = StylePair(pair_of(0).identity * 2, pair_of(0).emotion)
    not_finite = StylePair(pair_of(0).identity * np.nan, pair_of(0).emotion)
    flipped = bytearray(whole)
    flipped[-4] ^= 1  # The least bit of a number.
    return {
        "empty": b"",
        "one byte": b"D",
        "text": b"hello, this is not an entry" * 9,
        "json": b'{"identity": [1.0]}',
        "cut": whole[:-1],
        "header only": whole[:40],
        "longer": whole + b"\0",
        "one bit": bytes(flipped),
        "next version": whole[:7] + b"\x02" + whole[8:],
        "other recording": encode_entry(pair_of(0), key=key_of(1), bundle_digest=DIGEST),
        "other bundle": encode_entry(pair_of(0), key=key_of(0), bundle_digest="b" * 64),
        "other bundle's length": encode_entry(pair_of(0), key=key_of(0), bundle_digest=""),
        "short but sealed": sealed(body[:20]),
        "declares gigabytes": sealed(body[:34] + struct.pack("<II", 2**32 - 1, 2**32 - 1) + body[42:]),
        "digest beyond the end": sealed(body[:32] + b"\xff\xff" + body[34:]),
        "no embeddings": sealed(body[:34] + struct.pack("<II", 0, 0) + DIGEST.encode()),
        "not unit length": encode_entry(not_unit, key=key_of(0), bundle_digest=DIGEST),
        "not finite": encode_entry(not_finite, key=key_of(0), bundle_digest=DIGEST),
    }


@in_loop
async def test_every_damaged_entry_is_a_miss_that_heals(shared_url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = open_style_store(shared_url, ttl_s=60.0, timeout_s=5.0, lock_s=1.0)
    cache, compute = cache_of(shared_url, memory_bytes=0), Personalizer()
    for number, (label, content) in enumerate(damaged_entries().items(), start=1):
        await store.write(key_of(0), content)
        assert is_same(await cache.get_or_compute(key_of(0), compute), compute.pair), label
        await eventually(lambda: not cache._tasks)
        assert cache.counters.damaged == compute.num_calls == number, label
        assert is_same(await cache.get_or_compute(key_of(0), compute), compute.pair)
        assert compute.num_calls == number, label
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    assert cache.counters.shared_errors == 0
    await cache.close()
    await store.close()


@in_loop
async def test_with_redis_replicas_compute_once(redis: RedisProcess) -> None:
    gate = asyncio.Event()
    caches, compute = [cache_of(redis.url, lock_wait_s=30.0) for _ in range(4)], Personalizer(gate=gate)
    callers = [asyncio.create_task(cache.get_or_compute(key_of(0), compute)) for cache in caches for _ in range(3)]
    await eventually(lambda: compute.num_calls == 1)
    gate.set()
    assert all(is_same(result, compute.pair) for result in await asyncio.gather(*callers))
    assert compute.num_calls == 1
    assert sum(cache.counters.computed for cache in caches) == 1
    assert sum(cache.counters.hits_shared for cache in caches) == 3
    await asyncio.gather(*(cache.close() for cache in caches))


@in_loop
async def test_a_replica_takes_over_when_the_other_fails_and_waits_no_longer_than_allowed(redis: RedisProcess) -> None:
    gate, hang = asyncio.Event(), asyncio.Event()
    first, second, third = (cache_of(redis.url, lock_wait_s=wait_s) for wait_s in (30.0, 30.0, 0.1))
    failing = Personalizer(gate=gate, error=OSError("out of memory"))
    caller = asyncio.create_task(first.get_or_compute(key_of(0), failing))
    await eventually(lambda: failing.num_calls == 1)
    compute = Personalizer()
    waiting = asyncio.create_task(second.get_or_compute(key_of(0), compute))
    gate.set()
    with pytest.raises(OSError, match="out of memory"):
        await caller
    assert is_same(await waiting, compute.pair)
    slow = Personalizer(1, gate=hang)
    caller = asyncio.create_task(first.get_or_compute(key_of(1), slow))
    await eventually(lambda: slow.num_calls == 1)
    impatient = Personalizer(1)
    assert is_same(await third.get_or_compute(key_of(1), impatient), impatient.pair)
    assert impatient.num_calls == 1
    hang.set()
    await caller
    await asyncio.gather(*(cache.close() for cache in (first, second, third)))


@in_loop
async def test_the_turn_of_a_dead_replica_runs_out(redis: RedisProcess) -> None:
    dead = open_style_store(redis.url, ttl_s=60.0, timeout_s=5.0, lock_s=0.2)
    other = open_style_store(redis.url, ttl_s=60.0, timeout_s=5.0, lock_s=60.0)
    assert await dead.try_lock("k")
    assert not await other.try_lock("k")
    deadline = time.monotonic() + 30.0
    while not await other.try_lock("k"):
        assert time.monotonic() < deadline
    await dead.unlock("k")  # It came back late: the turn is another's now.
    assert not await dead.try_lock("k")
    await other.unlock("k")
    assert await dead.try_lock("k")
    await dead.close()
    await other.close()


@in_loop
async def test_redis_forgets_entries_after_their_time(redis: RedisProcess) -> None:
    store = open_style_store(redis.url, ttl_s=0.05, timeout_s=5.0, lock_s=1.0)
    await store.write("k", b"content")
    deadline = time.monotonic() + 30.0
    while await store.read("k") is not None:
        assert time.monotonic() < deadline
    await store.close()


@in_loop
async def test_a_stopped_redis_costs_a_few_errors_and_comes_back_by_itself(
    redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    cache = cache_of(redis.url, clock=clock, memory_bytes=0, shared_retry_s=5.0)
    caplog.set_level(logging.INFO)
    await cache.get_or_compute(key_of(0), Personalizer(0))
    await eventually(lambda: not cache._tasks)
    redis.stop()
    for number in range(20):
        compute = Personalizer(number)
        assert is_same(await cache.get_or_compute(key_of(number), compute), compute.pair)
        assert compute.num_calls == 1
        await eventually(lambda: not cache._tasks)
    assert cache.counters.shared_errors == 3  # Then it is left alone.
    clock.now += 5.0
    await cache.get_or_compute(key_of(0), Personalizer(0))
    await eventually(lambda: not cache._tasks)
    assert cache.counters.shared_errors == 4  # One request asked again.
    redis.start()
    await cache.get_or_compute(key_of(0), Personalizer(0))
    await eventually(lambda: not cache._tasks)
    assert cache.counters.hits_shared == 0
    clock.now += 5.0
    compute = Personalizer(0)
    for _ in range(2):
        await cache.get_or_compute(key_of(0), compute)
        await eventually(lambda: not cache._tasks)
    assert (compute.num_calls, cache.counters.hits_shared, cache.counters.shared_errors) == (1, 1, 4)
    messages = [record.getMessage() for record in caplog.records if "shared_styles" in record.name]
    assert len(messages) == 2
    assert "does not answer" in messages[0]
    assert "answers again" in messages[1]
    await cache.close()


@in_loop
async def test_a_restart_of_redis_between_requests_goes_unnoticed(redis: RedisProcess) -> None:
    cache = cache_of(redis.url, memory_bytes=0)
    for number in range(3):
        compute = Personalizer(number)
        for _ in range(2):
            assert is_same(await cache.get_or_compute(key_of(number), compute), compute.pair)
            await eventually(lambda: not cache._tasks)
        assert compute.num_calls == 1
        redis.stop()
        redis.start()
    assert cache.counters.shared_errors == 0
    await cache.close()


@in_loop
async def test_a_frozen_redis_slows_requests_by_little(redis: RedisProcess) -> None:
    cache = cache_of(redis.url, memory_bytes=0, shared_timeout_s=0.1, shared_retry_s=600.0)
    redis.freeze()
    started = time.monotonic()
    for number in range(50):
        compute = Personalizer(number)
        assert is_same(await cache.get_or_compute(key_of(number), compute), compute.pair)
        await eventually(lambda: not cache._tasks)
    assert cache.counters.shared_errors == 3
    assert time.monotonic() - started < 3.0  # Three times 0.1 s and room for a busy machine, not fifty times.
    await cache.close()


@in_loop
async def test_a_folder_that_cannot_be_written_is_counted_and_harmless(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    cache, compute = cache_of(str(tmp_path / "file"), memory_bytes=0), Personalizer()
    for number in range(1, 4):
        assert is_same(await cache.get_or_compute(key_of(0), compute), compute.pair)
        await eventually(lambda: not cache._tasks)
        assert compute.num_calls == number
    assert cache.counters.shared_errors == 3
    await cache.close()


def test_passwords_do_not_reach_the_name() -> None:
    pytest.importorskip("redis")
    store = open_style_store("redis://user:p@ss@127.0.0.1:1/0?password=s", ttl_s=1.0, timeout_s=1.0, lock_s=1.0)
    assert store.name == "redis://127.0.0.1:1/0"
