"""Parts of the actor pool that need no Ray; with it, it is tested by the jobs that use it."""

import collections

import pyarrow as pa
import pytest

from diffusiontalker.orchestration.actor_pool import PoolConfig, PoolWork, _Actor, grouped

RESULTS = pa.schema([("item", pa.string()), ("length", pa.int64())])


def counted(items: pa.Table) -> pa.Table:
    return pa.table({"item": items["item"], "length": [len(item) for item in items["item"].to_pylist()]})


def work_of(weights: dict[str, int], *, max_items: int, max_weight: float) -> PoolWork:
    return PoolWork(
        make=lambda: counted,
        results=RESULTS,
        table=lambda keys: pa.table({"item": list(keys)}),
        weight=weights.__getitem__,
        max_items=max_items,
        max_weight=max_weight,
    )


def test_groups_hold_like_sizes_and_neither_too_many_nor_too_much():
    weights = {"a": 1, "b": 700, "c": 2, "d": 3, "e": 900, "f": 200}
    groups = grouped(work_of(weights, max_items=9, max_weight=800), list(weights), max_items=3)
    assert groups == [["e"], ["b"], ["f", "d", "c"], ["a"]]


def test_work_that_was_begun_too_often_is_left_undone():
    begun = collections.Counter()

    def begin(name: str) -> int:
        begun[name] += 1
        return begun[name]

    actor = _Actor(lambda: counted, RESULTS, begin=begin, max_attempts=1)
    items = pa.table({"item": ["a", "bc"]})
    assert actor(items).to_pylist() == [{"item": "a", "length": 1}, {"item": "bc", "length": 2}]
    assert len(actor(items)) == 0
    assert len(actor(items.slice(1))) == 1, "other work"


@pytest.mark.parametrize(("name", "value"), [("num_actors", -1), ("cpus_per_actor", 0), ("gpus_per_actor", 1.5)])
def test_impossible_pools_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        PoolConfig(**{name: value})
