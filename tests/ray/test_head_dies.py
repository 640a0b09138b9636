"""The head dies and comes back, and Redis has kept its tables: what clients, replicas and trainings notice of it."""

import dataclasses
import threading
from collections import Counter

import httpx
import pytest
import redis_process
import torch
from ray_nodes import RayNodes, first_step_after, free_ports, logged, wait_for
from sounds import speech, wav
from tiny_student import tiny_bundle

from diffusiontalker.client import Client, EndpointError
from diffusiontalker.config import load_config
from diffusiontalker.data import Corpus
from diffusiontalker.inference import load_bundle, save_bundle
from diffusiontalker.orchestration import MainJobConfig
from diffusiontalker.training import train

pytestmark = [
    pytest.mark.ray, pytest.mark.serve, pytest.mark.slow, pytest.mark.timeout(600),
    pytest.mark.skipif(redis_process.BINARY is None, reason=redis_process.REASON),
]  # fmt: skip


def told(url: str) -> str:
    """What one who asks is told: ok, or the code of an error."""
    try:
        with Client(url, retries=0, timeout_s=30.0) as client:
            client.animate(wav(speech(0.3)))
    except EndpointError as error:
        return error.code
    return "ok"


class Clients:
    """Somebody who asks every 50 ms over a new connection, which the system gives to one of the nodes' proxies."""

    def __init__(self, url: str) -> None:
        self.outcomes: Counter[str] = Counter()
        # One client that keeps no connection: a new client costs 25 ms of a processor, to get ready for TLS.
        self._http = httpx.Client(base_url=url, timeout=30.0, limits=httpx.Limits(max_keepalive_connections=0))
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        self.goes_on(answers=5)
        return self

    def __exit__(self, *error):
        self._is_over.set()
        self._thread.join()
        self._http.close()

    def goes_on(self, *, answers: int) -> None:
        """Waits for further answers."""
        goal = self.outcomes["ok"] + answers
        wait_for(lambda: self.outcomes["ok"] >= goal, what=lambda: f"answers, got {self.outcomes}")

    def _ask(self) -> None:
        sound = wav(speech(0.3))
        while not self._is_over.wait(0.05):
            try:
                answer = self._http.post("/v1/animations", content=sound)
                self.outcomes["ok" if answer.is_success else answer.text] += 1
            except httpx.HTTPError as error:
                self.outcomes[type(error).__name__] += 1


@dataclasses.dataclass
class Served:
    """An endpoint with a talker on each worker, deployed over the REST API of the head."""

    cluster: RayNodes
    port: int
    arguments: dict

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def deploy(self, user_config: dict) -> None:
        talker = {"num_replicas": 2, "max_replicas_per_node": 1, "user_config": user_config}
        config = {
            "proxy_location": "EveryNode",
            "http_options": {"host": "127.0.0.1", "port": self.port},
            "applications": [
                {
                    "name": "talker", "route_prefix": "/", "args": self.arguments,
                    "import_path": "diffusiontalker.serving.app:build_app",
                    "deployments": [
                        {"name": name, "ray_actor_options": {"num_cpus": 0.5}, **options}
                        for name, options in {"Talker": talker, "Personalizer": {}}.items()
                    ],
                }
            ],
        }  # fmt: skip
        self.cluster.http.put("/api/serve/applications/", json=config).raise_for_status()
        self.wait()

    def state(self) -> dict:
        return self.cluster.http.get("/api/serve/applications/").json()

    def wait(self) -> None:
        """Until all of it runs, with a proxy on each node that is alive."""

        def runs() -> bool:
            state = self.state()
            application = state.get("applications", {}).get("talker", {})
            deployments = [one["status"] for one in application.get("deployments", {}).values()]
            proxies = [one["status"] for one in state.get("proxies", {}).values()]
            return application.get("status") == "RUNNING" and {*deployments, *proxies} == {"HEALTHY"}

        wait_for(runs, what=lambda: f"the endpoint to run, {self.state()}")

    def replicas(self) -> set[int]:
        deployments = self.state()["applications"]["talker"]["deployments"].values()
        return {replica["pid"] for one in deployments for replica in one["replicas"]}


@pytest.fixture
def cluster(tmp_path, tmp_path_factory):
    redis = redis_process.RedisProcess(tmp_path)
    redis.start()
    try:
        with RayNodes(tmp_path_factory.mktemp("nodes"), redis=f"127.0.0.1:{redis.port}") as nodes:
            nodes.start_head()
            nodes.start_workers({}, {}, cpus=2)
            yield nodes
    finally:
        redis.stop()


def test_an_endpoint_answers_on_and_a_training_is_resumed_when_the_head_is_back(cluster, repository_root, tmp_path):
    out, (port,) = tmp_path / "run", free_ports(1)
    save_bundle(tiny_bundle(), tmp_path / "student")
    arguments = {"bundle": str(tmp_path / "student"), "voices": str(tmp_path / "voices")}
    served = Served(cluster, port, arguments)
    served.deploy({})
    replicas = served.replicas()
    overrides = [
        *("--training.num-steps", "200", "--training.checkpoint-every", "20", "--training.log-every", "1"),
        *("--orchestration.health-check-interval-s", "0.2", "--regression-steps", "0"),
    ]
    command = ["python", "jobs/train_teacher.py", "--config", "jobs/configs/smoke.yaml", "--out", out, *overrides]
    job = cluster.submit(*command, source=repository_root)
    job.wait_for(lambda: len(logged(out)) >= 30)

    with Clients(served.url) as clients:
        cluster.nodes[0].kill()
        assert not (out / "bundle").exists()
        before = len(logged(out))
        clients.goes_on(answers=40)
        cluster.start_head()
        served.wait()
        clients.goes_on(answers=20)
    failures = Counter(clients.outcomes)
    del failures["ok"]
    # Those whose connection the proxy of the head had in hand when it died.
    assert failures.total() <= 2, clients.outcomes
    assert served.replicas() == replicas
    served.deploy({"limits": {"max_seconds": 0.2}})
    wait_for(lambda: told(served.url) == "too_large", what=lambda: "the new limit")
    assert served.replicas() == replicas

    trainers = lambda: [pid for node in cluster.nodes for pid in node.processes("ray::RayTrainWorker")]  # noqa: E731
    wait_for(lambda: not trainers(), what=lambda: f"the orphaned workers to end, {trainers()}")
    again = cluster.submit(*command, "--resume", source=repository_root)
    again.wait_for((out / "bundle").exists)
    job.wait("FAILED")  # told only when the new head was asked for a job
    assert first_step_after(out, rows=before, checkpoint_every=20) < 200
    assert logged(out)[-1]["step"] == 200
    config = load_config(MainJobConfig, path=repository_root / "jobs" / "configs" / "smoke.yaml", overrides=overrides)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = train(config.training, Corpus.open(out / "corpus")).state_dict()
    finally:
        torch.set_num_threads(threads)
    weights = load_bundle(out / "bundle").talker.state_dict()
    assert [name for name, tensor in expected.items() if not torch.equal(tensor, weights[name])] == []
