"""Elastic training on real nodes: one dies as a machine dies, the rest go on, another comes, the loss is the same."""

import itertools

import pytest
import torch
from ray_nodes import RayNodes, logged

from diffusiontalker.config import load_config
from diffusiontalker.data import Corpus
from diffusiontalker.orchestration import MainJobConfig
from diffusiontalker.training import TrainingConfig, train

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

# Without dropout, whose masks are drawn per rank; more steps than there is time for.
OVERRIDES = [
    *("--training.talker.encoder.dropout", "0", "--training.talker.denoiser.dropout", "0"),
    *("--training.precision", "float32", "--training.num-steps", "4000"),
    *("--training.checkpoint-every", "4", "--training.log-every", "1"),
    *("--orchestration.num-workers", "2", "--orchestration.min-workers", "1"),
    # Ray takes one checkpoint per health check: 8 steps a second, however fast the machine is.
    *("--orchestration.health-check-interval-s", "0.5", "--orchestration.resize-check-interval-s", "1"),
    *("--orchestration.start-timeout-s", "5"),
]


class Enough(Exception):  # noqa: N818
    """As many steps as are needed."""


class Until:
    """A telemetry sink that ends the training at a step."""

    def __init__(self, step: float) -> None:
        self.rows, self._step = dict[int, dict[str, float]](), step

    def log(self, step: int, values: dict[str, float]) -> None:
        self.rows[step] = values
        if step >= self._step:
            raise Enough

    def close(self) -> None:
        pass


def undisturbed(config: TrainingConfig, corpus: Corpus, *, until: float) -> dict[int, dict[str, float]]:
    """What the plain loop logs in this process, on one thread as in a worker."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    telemetry = Until(until)
    try:
        with pytest.raises(Enough):
            train(config, corpus, telemetry=telemetry)
    finally:
        torch.set_num_threads(threads)
    return telemetry.rows


@pytest.fixture
def fresh_cluster(tmp_path_factory):
    """Nodes of its own: Ray keeps for three minutes what a training that was killed had asked for."""
    with RayNodes(tmp_path_factory.mktemp("nodes")) as nodes:
        nodes.start_head()
        nodes.start_workers({}, {})
        yield nodes


def test_a_training_goes_on_without_a_dead_node_grows_with_a_new_one_and_learns_the_same(
    fresh_cluster, repository_root, tmp_path
):
    out = tmp_path / "run"
    smoke = "jobs/configs/smoke.yaml"
    job = fresh_cluster.submit(
        "python", "jobs/train_teacher.py", "--config", smoke, "--out", out, *OVERRIDES, source=repository_root
    )
    workers = lambda: [int(row["train/workers"]) for row in logged(out)]  # noqa: E731
    job.wait_for(lambda: len(workers()) >= 12)
    fresh_cluster.nodes[1].kill()
    job.wait_for(lambda: workers()[-1] == 1)
    fresh_cluster.start_workers({})
    job.wait_for(lambda: workers()[-1] == 2)
    grown = len(workers())
    job.wait_for(lambda: len(workers()) >= grown + 8)
    job.stop()
    assert [number for number, _ in itertools.groupby(workers())] == [2, 1, 2]
    rows = logged(out)
    config = load_config(MainJobConfig, path=repository_root / smoke, overrides=OVERRIDES)
    expected = undisturbed(config.training, Corpus.open(out / "corpus"), until=max(row["step"] for row in rows))
    for row in rows:
        losses = {name: value for name, value in row.items() if "loss" in name}
        undisturbed_losses = {name: expected[row["step"]][name] for name in losses}
        assert losses == pytest.approx(undisturbed_losses, rel=1e-4), row["step"]
