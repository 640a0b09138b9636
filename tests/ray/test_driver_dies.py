"""Submitted trainings that are stopped, or lose their driver: submitted again, they end as if nothing had happened."""

import os
import signal

import pytest
import torch
from ray_nodes import first_step_after, logged, wait_for

from diffusiontalker.inference import load_bundle

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

STEPS, CHECKPOINT_EVERY = 200, 20


def losses(run):
    """By step, of the last time that it was made."""
    return {row["step"]: {name: value for name, value in row.items() if "loss" in name} for row in logged(run)}


def differences(one, other):
    """Names of the weights that differ in two run folders."""
    talkers = [load_bundle(run / "bundle").talker.state_dict() for run in (one, other)]
    return [name for name, tensor in talkers[0].items() if not torch.equal(tensor, talkers[1][name])]


def test_a_training_that_was_stopped_and_then_lost_its_driver_ends_as_if_nothing_had_happened(
    cluster, submitted, repository_root, tmp_path
):
    assert submitted.ended.returncode == 0
    out = tmp_path / "run"
    command = [*submitted.command, "--out", out]
    brought = {"source": submitted.source, "flags": ["--runtime-env", "jobs/runtime_env.yaml"]}

    job = cluster.submit(*command, **brought)
    job.wait_for(lambda: len(logged(out)) >= 30)
    job.stop()
    stopped = len(logged(out))
    assert "continue with --resume" in job.logs()

    # From the checkout itself, whose package is installed on all nodes.
    job = cluster.submit(*command, "--resume", source=repository_root)
    job.wait_for(lambda: logged(out)[-1]["step"] >= 90)
    os.kill(int(job.info()["driver_info"]["pid"]), signal.SIGKILL)
    job.wait("FAILED")
    failed = len(logged(out))
    assert not (out / "bundle").exists()
    trainers = lambda: [pid for node in cluster.nodes for pid in node.processes("ray::RayTrainWorker")]  # noqa: E731
    wait_for(lambda: not trainers(), what=lambda: f"the workers to end, {trainers()}")

    job = cluster.submit(*command, "--resume", **brought)
    job.wait_for((out / "bundle").exists)
    job.stop()
    resumed = [first_step_after(out, rows=rows, checkpoint_every=CHECKPOINT_EVERY) for rows in (stopped, failed)]
    assert resumed[0] < resumed[1] < STEPS
    kept, whole = losses(out), losses(submitted.out)
    assert kept == {step: whole[step] for step in kept}
    assert len(kept) > STEPS - CHECKPOINT_EVERY  # the driver may take the rows of its last half second with it
    assert differences(out, submitted.out) == []
