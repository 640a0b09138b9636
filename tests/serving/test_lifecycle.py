"""Reconfiguring, killing and swapping: what clients notice of it."""

import asyncio
import os
import random
import signal
import threading
from collections import Counter

import httpx
import numpy as np
import pytest
import redis_process
from endpoint import Cluster, wait_for
from sounds import speech, wav
from tiny_student import tiny_bundle

from diffusiontalker.client import AsyncClient, Client, EndpointError
from diffusiontalker.inference import animate, enroll, load_bundle, save_bundle

pytestmark = [pytest.mark.ray, pytest.mark.serve]


class Load:
    """Clients that send one clip after the other, in threads, and count what they are told."""

    def __init__(self, url: str, *, clients: int = 3) -> None:
        self.outcomes: Counter[str] = Counter()
        self._url, self._is_over = url, threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.outcomes["ok"] > 5, what=lambda: f"answers, got {self.outcomes}")
        return self

    def __exit__(self, *error):
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self, *, answers: int = 20) -> None:
        """Waits for further answers."""
        goal = self.outcomes["ok"] + answers
        wait_for(lambda: self.outcomes["ok"] >= goal, what=lambda: f"answers, got {self.outcomes}", seconds=60.0)

    def _send(self, number: int) -> None:
        content = wav(speech(seed=number, seconds=0.5))
        with Client(self._url, retries=0, timeout_s=30.0) as client:
            while not self._is_over.is_set():
                try:
                    client.animate(content)
                    self.outcomes["ok"] += 1
                except EndpointError as error:
                    self.outcomes[error.code] += 1
                except httpx.HTTPError as error:
                    self.outcomes[type(error).__name__] += 1


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        started.wait()
        yield started
    finally:
        started.end()


@pytest.fixture(scope="module")
def arguments(bundle_path, tmp_path_factory):
    """The same in every test, so that the replicas of one serve the next."""
    return {"bundle": str(bundle_path), "voices": str(tmp_path_factory.mktemp("voices"))}


def test_limits_change_without_a_restart(cluster, arguments):
    cluster.deploy(arguments, by_command=True)
    before = cluster.replica_pids("Talker")
    with Client(cluster.url, retries=0) as client:
        client.animate(wav(speech(seconds=2.0)))
        cluster.deploy(arguments, talker={"user_config": {"limits": {"max_seconds": 1.0}, "max_batch_frames": 100}})
        with pytest.raises(EndpointError, match="too_large"):
            client.animate(wav(speech(seconds=2.0)))
        client.animate(wav(speech(seconds=0.5)))
    assert cluster.replica_pids("Talker") == before


def test_a_killed_replica_loses_only_what_it_had_in_hand(cluster, arguments):
    cluster.deploy(arguments, talker={"num_replicas": 2, "health_check_period_s": 1.0})
    clients = 3
    with Load(cluster.url, clients=clients) as load:
        name, pid = next(iter(cluster.replica_pids("Talker").items()))
        os.kill(pid, signal.SIGKILL)
        load.goes_on(answers=50)
        wait_for(lambda: len(set(cluster.replica_pids("Talker")) - {name}) == 2, what=lambda: "a new replica")
    failures = Counter(load.outcomes)
    del failures["ok"]
    assert failures.total() <= clients, load.outcomes
    assert set(failures) <= {"unavailable", "internal", "http_500", "http_503", "RemoteProtocolError"}, load.outcomes


def test_another_student_takes_over_without_a_failed_request(cluster, arguments, tmp_path):
    cluster.deploy(arguments, talker={"num_replicas": 2})
    second = tmp_path / "second"
    save_bundle(tiny_bundle(seed=7), second)
    digest = load_bundle(second).digest
    with Load(cluster.url) as load:
        cluster.deploy(arguments | {"bundle": str(second)}, talker={"num_replicas": 2})
        with Client(cluster.url) as client:
            wait_for(lambda: client.about()["digest"] == digest, what=lambda: "the other student")
        load.goes_on()
    assert set(load.outcomes) == {"ok"}, load.outcomes


@pytest.mark.skipif(redis_process.BINARY is None, reason=redis_process.REASON)
def test_a_thousand_requests_for_fifty_voices_compute_fifty_embeddings(cluster, arguments, bundle_path, tmp_path):
    redis = redis_process.RedisProcess(tmp_path)
    redis.start()
    references = [speech(seed=100 + number, seconds=1.0) for number in range(50)]
    order = [number % 50 for number in range(1000)]
    random.Random(0).shuffle(order)
    samples = speech(seed=1, seconds=0.2)
    try:
        cluster.deploy(
            arguments | {"cache": {"shared_url": redis.url, "shared_retry_s": 0.5}},
            talker={"num_replicas": 2},
            personalizer={"num_replicas": 2},
        )

        async def ask(numbers):
            async with AsyncClient(cluster.url) as client:
                gate = asyncio.Semaphore(8)

                async def one(number):
                    async with gate:
                        return await client.animate(wav(samples), reference=wav(references[number]))

                return dict(zip(numbers, await asyncio.gather(*map(one, numbers)), strict=True))

        # Until both talkers have met all voices: what Redis then loses, they still know.
        answers = asyncio.run(ask(order[:800]))
        redis.stop()
        asyncio.run(ask(order[800:900]))
        redis.start()
        asyncio.run(ask(order[900:]))

        def sources() -> Counter[tuple[str, str]]:
            counted: Counter[tuple[str, str]] = Counter()
            for labels, value in cluster.samples("style_cache_total"):
                counted[labels["deployment"], labels["source"]] += int(value)
            return counted

        def are_told() -> bool:
            counted = sources()
            of = {name: sum(value for (one, _), value in counted.items() if one == name) for name, _ in counted}
            return of.get("Talker", 0) >= 1000 and of.get("Personalizer", 0) == counted["Talker", "computed"]

        wait_for(are_told, what=lambda: f"the counters, {sources()}")
        counted = sources()
        assert 50 <= counted["Talker", "computed"] <= 100, counted
        assert counted["Personalizer", "computed"] == 50, counted
        bundle = load_bundle(bundle_path)
        for number in (0, 17, 49):
            voice = enroll(bundle, [references[number]], name="v")
            expected = animate(bundle, samples, voice=voice).coefficients
            np.testing.assert_allclose(answers[number].coefficients, expected, atol=2e-5)
    finally:
        redis.stop()
