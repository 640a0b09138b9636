"""The style cache: computed once, the same afterwards, within its budget, whoever is cancelled."""

import asyncio
import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_loop import eventually, in_loop
from personalizers import DIGEST, DIM, Clock, Personalizer, cache_of, is_same, key_of, pair_of

from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.style_cache import ENTRY_OVERHEAD_BYTES, StyleCache, StyleCacheConfig
from diffusiontalker.serving.style_entry import EntryError, StylePair, decode_entry, encode_entry, style_key

ENTRY_BYTES = 2 * 4 * DIM + ENTRY_OVERHEAD_BYTES


def num_requests(cache: StyleCache) -> int:
    counters = cache.counters
    return counters.hits_memory + counters.hits_shared + counters.misses + counters.joined


def test_keys_tell_recordings_and_bundles_apart() -> None:
    waveform = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    changed = waveform.copy()
    changed[999] = np.nextafter(changed[999], np.float32(9))
    keys = {
        style_key(waveform, bundle_digest=DIGEST),
        style_key(waveform, bundle_digest="b" * 64),
        style_key(waveform[:-1], bundle_digest=DIGEST),
        style_key(changed, bundle_digest=DIGEST),
    }
    assert len(keys) == 4
    strided = np.repeat(waveform, 2)[::2]
    assert (
        style_key(strided, bundle_digest=DIGEST)
        == cache_of().key(waveform)
        == style_key(waveform, bundle_digest=DIGEST)
    )


@in_loop
async def test_an_entry_is_computed_once_and_then_the_same() -> None:
    cache, compute = cache_of(), Personalizer()
    pairs = [await cache.get_or_compute(key_of(0), compute) for _ in range(3)]
    assert compute.num_calls == 1
    assert all(is_same(pair, compute.pair) for pair in pairs)
    assert pairs[0].identity.dtype == np.float32
    for pair in pairs:
        pair.identity[:] = 0.0  # Callers may do what they like with theirs.
    assert is_same(await cache.get_or_compute(key_of(0), compute), compute.pair)
    assert (cache.counters.misses, cache.counters.computed, cache.counters.hits_memory) == (1, 1, 3)
    await cache.close()


@in_loop
async def test_a_burst_computes_once_and_survives_the_cancellation_of_whoever_came_first() -> None:
    gate = asyncio.Event()
    cache, compute = cache_of(), Personalizer(gate=gate)
    callers = [asyncio.create_task(cache.get_or_compute(key_of(0), compute)) for _ in range(20)]
    await eventually(lambda: compute.num_calls == 1)
    callers[0].cancel()
    callers[7].cancel()
    gate.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [n in (0, 7) for n in range(20)]
    assert all(is_same(result, compute.pair) for result in results if not isinstance(result, BaseException))
    assert compute.num_calls == 1
    assert (cache.counters.misses, cache.counters.joined) == (1, 19)
    await cache.close()


@in_loop
async def test_when_all_callers_are_cancelled_the_result_is_still_kept() -> None:
    gate = asyncio.Event()
    cache, compute = cache_of(), Personalizer(gate=gate)
    caller = asyncio.create_task(cache.get_or_compute(key_of(0), compute))
    await eventually(lambda: compute.num_calls == 1)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gate.set()
    await eventually(lambda: cache.counters.computed == 1)
    await cache.get_or_compute(key_of(0), compute)
    assert compute.num_calls == 1
    await cache.close()


@in_loop
async def test_an_error_reaches_everybody_and_is_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    cache, failing = cache_of(), Personalizer(error=ServingError("busy", "too many"))
    results = await asyncio.gather(
        *(cache.get_or_compute(key_of(0), failing) for _ in range(5)), return_exceptions=True
    )
    assert failing.num_calls == 1
    assert [getattr(result, "code", None) for result in results] == ["busy"] * 5
    assert (cache.counters.misses, cache.counters.computed, cache.memory_used_bytes) == (1, 0, 0)
    compute = Personalizer()
    assert is_same(await cache.get_or_compute(key_of(0), compute), compute.pair)
    await cache.close()
    assert caplog.text == ""


@in_loop
async def test_what_is_no_pair_of_unit_vectors_is_refused() -> None:
    cache, compute = cache_of(), Personalizer()
    for bad in (compute.pair.identity * 2, compute.pair.identity * np.nan, np.eye(DIM, dtype=np.float32)):
        compute.pair = StylePair(bad, compute.pair.emotion)
        with pytest.raises(EntryError, match="is no unit vector"):
            await cache.get_or_compute(key_of(0), compute)
    await cache.close()


@in_loop
async def test_closing_ends_what_is_under_way_with_a_clear_error() -> None:
    cache, compute = cache_of(), Personalizer(gate=asyncio.Event())
    running = asyncio.create_task(cache.get_or_compute(key_of(0), compute))
    await eventually(lambda: compute.num_calls == 1)
    not_begun = asyncio.ensure_future(cache.get_or_compute(key_of(1), compute))
    await asyncio.sleep(0)
    await cache.close()
    for waiter in (running, not_begun, cache.get_or_compute(key_of(2), compute)):
        with pytest.raises(ServingError, match="stopping") as caught:
            await waiter
        assert caught.value.code == "unavailable"


@in_loop
async def test_a_compute_that_is_cancelled_from_within_is_an_error_not_a_hang() -> None:
    async def cancelled() -> tuple[np.ndarray, np.ndarray]:
        raise asyncio.CancelledError

    cache = cache_of()
    with pytest.raises(ServingError) as caught:
        await cache.get_or_compute(key_of(0), cancelled)
    assert caught.value.code == "unavailable"
    await cache.close()


@in_loop
async def test_the_time_to_live_is_exact_and_counts_from_the_computation() -> None:
    clock = Clock()
    cache, compute = cache_of(clock=clock, ttl_s=10.0), Personalizer()
    for now, num_calls in ((0.0, 1), (9.999, 1), (10.0, 2), (19.999, 2), (20.0, 3)):
        clock.now = now
        await cache.get_or_compute(key_of(0), compute)
        assert compute.num_calls == num_calls
    assert cache.memory_used_bytes == ENTRY_BYTES
    assert cache.counters.evictions == 0
    await cache.close()


@in_loop
async def test_the_budget_is_exact_and_the_least_recently_used_goes_first() -> None:
    cache = cache_of(memory_bytes=3 * ENTRY_BYTES)
    computes = [Personalizer(number) for number in range(4)]

    async def ask(number: int) -> None:
        assert is_same(await cache.get_or_compute(key_of(number), computes[number]), pair_of(number))

    for number in (0, 1, 2, 0):
        await ask(number)
    assert (cache.memory_used_bytes, cache.counters.evictions) == (3 * ENTRY_BYTES, 0)
    await ask(3)  # Drops 1.
    assert (cache.memory_used_bytes, cache.counters.evictions) == (3 * ENTRY_BYTES, 1)
    for number in (0, 2, 3):
        await ask(number)
    assert [compute.num_calls for compute in computes] == [1, 1, 1, 1]
    await ask(1)
    assert computes[1].num_calls == 2
    await cache.close()


@pytest.mark.parametrize("memory_bytes", [0, ENTRY_BYTES - 1])
@in_loop
async def test_an_entry_beyond_the_budget_is_not_kept(memory_bytes: int) -> None:
    cache, compute = cache_of(memory_bytes=memory_bytes), Personalizer()
    for _ in range(2):
        await cache.get_or_compute(key_of(0), compute)
    assert (compute.num_calls, cache.memory_used_bytes, cache.counters.evictions) == (2, 0, 0)
    await cache.close()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40), st.integers(0, 4))
def test_every_request_is_counted_once_and_the_budget_holds_in_any_order(asked, num_kept: int) -> None:
    async def ask() -> None:
        cache = cache_of(memory_bytes=num_kept * ENTRY_BYTES)
        for number, is_failing in asked:
            compute = Personalizer(number, error=OSError("no") if is_failing else None)
            results = await asyncio.gather(
                *(cache.get_or_compute(key_of(number), compute) for _ in range(2)), return_exceptions=True
            )
            assert all(isinstance(result, OSError) or is_same(result, pair_of(number)) for result in results)
            assert cache.memory_used_bytes <= num_kept * ENTRY_BYTES
        assert num_requests(cache) == 2 * len(asked)
        await cache.close()

    asyncio.run(ask())


@given(st.data())
def test_entries_give_back_exactly_what_was_stored_or_nothing(data: st.DataObject) -> None:
    key, number = key_of(0), data.draw(st.integers(0, 1000))
    whole = encode_entry(pair_of(number), key=key, bundle_digest=DIGEST)
    assert is_same(decode_entry(whole, key=key, bundle_digest=DIGEST), pair_of(number))
    position = data.draw(st.integers(0, len(whole)))
    damaged = whole[:position] + data.draw(st.binary(max_size=20)) + whole[position + data.draw(st.integers(0, 9)) :]
    if damaged != whole:
        with pytest.raises(EntryError):
            decode_entry(damaged, key=key, bundle_digest=DIGEST)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(StyleCacheConfig)])
def test_settings_out_of_range_are_refused(field: str) -> None:
    if field == "shared_url":
        assert StyleCacheConfig().shared_url == ""
        return
    for value in (-1, float("nan")) if field != "memory_bytes" else (-1,):
        with pytest.raises(ValueError, match=f"{field} is "):
            StyleCacheConfig(**{field: value})


def test_redis_is_only_imported_when_configured() -> None:
    code = "import sys; from diffusiontalker.serving import style_cache; print('redis' in sys.modules)"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert completed.stdout.strip() == "False"
