"""A teacher's own ways from noise to motion, taken once and kept in files, for many students to learn from.

What students of any size need is the same: the log-mel frames they hear, their teacher's speech features and
embeddings, and where it stands after every few of its steps. A search trains many students; asking the teacher in
each step of each of them would be most of the work.
"""

import dataclasses
import itertools
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffusiontalker.audio.log_mel import log_mel
from diffusiontalker.config import ConfigError, publish_file
from diffusiontalker.data import Corpus, Window, mixed, write_windows
from diffusiontalker.data.collate import Batch, collate
from diffusiontalker.diffusion import ddim_step, time_grid
from diffusiontalker.inference import load_bundle
from diffusiontalker.models import autocast, frame_mask
from diffusiontalker.training.build import build_objective, require_fitting
from diffusiontalker.training.loop import TrainingConfig
from diffusiontalker.training.objectives import DistillationObjective, DistillationObjectiveConfig
from diffusiontalker.training.objectives.conditioning import Heard, personalize
from diffusiontalker.training.ranks import Ranks
from diffusiontalker.training.windows import Windows, window_source

_LOG = logging.getLogger(__name__)

_SPLITS = ("train", "validation")
_ORIGIN = "origin.json"
_LINE_SECONDS = 5.0


def record_teacher_paths(config: TrainingConfig, corpus: Corpus, folder: Path, *, states: int, per_clip: int) -> None:
    """Takes a teacher's paths on windows of a corpus; a split that `folder` holds already is left as it is.

    Args:
        config: windows, augmentation, seed and batch, and a distillation objective that names the teacher. Students
            hear sound: their network's size does not matter, its encoder must not be a pretrained one.
        corpus: its `train` and `validation` splits are used.
        folder: gets a `WindowStore` per split, for `objective.paths`.
        states: steps that a path is kept in, which the steps of every student must divide; a divisor of the teacher's.
        per_clip: windows drawn from every training clip; a validation clip has one.

    Raises:
        ConfigError: when `states` does not divide the teacher's steps, the corpus does not fit the teacher, or `folder`
            holds paths of another teacher or on another corpus.
    """
    assert isinstance(config.objective, DistillationObjectiveConfig)
    bundle = load_bundle(config.objective.teacher)
    if bundle.sampling.num_steps % states:
        raise ConfigError(
            f"the teacher takes {bundle.sampling.num_steps} diffusion steps, which a student of {states} steps cannot "
            f"follow; choose a divisor of {bundle.sampling.num_steps}"
        )
    require_fitting(corpus, bundle.talker)
    objective_config = dataclasses.replace(config.objective, condition_dropout=0.0, student_steps=states, paths="")
    config = dataclasses.replace(config, objective=objective_config)
    objective = build_objective(bundle.talker, config, ranks=Ranks()).eval()
    assert isinstance(objective, DistillationObjective)
    _require_same_origin(folder, {"teacher": bundle.digest, "corpus": corpus.info.digest})
    for split in _SPLITS:
        if split in corpus.info.splits and not (folder / split).exists():
            source = window_source(config, corpus, bundle.talker, split=split)
            rounds = per_clip if split == "train" else 1
            walk = _walked(source, objective, config, num_steps=bundle.sampling.num_steps, rounds=rounds)
            write_windows(folder / split, _told(walk, split=split, total=rounds * len(source)))


def _require_same_origin(folder: Path, origin: dict[str, str]) -> None:
    """Writes down what paths are made from, or compares with what was written down."""
    path = folder / _ORIGIN
    if not path.exists():
        with publish_file(path) as temporary:
            temporary.write_text(json.dumps(origin) + "\n", encoding="utf-8")
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    for what, digest in origin.items():
        if before.get(what) != digest:
            raise ConfigError(
                f"{folder} was made with another {what} ({str(before.get(what))[:12]}, now {digest[:12]}); put the old "
                "one back, or start a new run with --out"
            )


def _walked(
    source: Windows, objective: DistillationObjective, config: TrainingConfig, *, num_steps: int, rounds: int
) -> Iterator[Window]:
    """Windows with what the teacher makes of them."""
    drawn = itertools.product(range(rounds), range(len(source)))
    while numbers := list(itertools.islice(drawn, config.batch_size)):
        windows = [source.window(index, seed=mixed(config.seed, number, index, 4)) for number, index in numbers]
        with autocast(config.precision, torch.device("cpu")):
            batch = with_paths(collate(windows), objective, num_steps=num_steps)
        assert batch.path is not None
        assert batch.taught_embeddings is not None
        for window, path, embeddings in zip(windows, batch.path, batch.taught_embeddings, strict=True):
            yield dataclasses.replace(
                window,
                speech=_mels(window.speech),
                reference=_mels(window.reference),
                path=path[: len(window.motion)].numpy(),
                taught_embeddings=embeddings.numpy(),
            )


def _mels(waveform: np.ndarray) -> np.ndarray:
    """What students hear of it: the same for all of them."""
    return log_mel(torch.from_numpy(waveform)[None])[0].numpy()


@torch.no_grad()
def with_paths(batch: Batch, objective: DistillationObjective, *, num_steps: int) -> Batch:
    """The batch with the teacher's embeddings, and its path in the states that the objective's student takes.

    Args:
        batch: windows.
        objective: its `student_steps` divide `num_steps`.
        num_steps: steps of the teacher from noise to motion.
    """
    heard = objective.hear_as_teacher(batch)
    embeddings = torch.stack([torch.stack(pair, dim=1) for pair in (heard.own, heard.reference)], dim=1)
    path = _path(objective, heard, batch, num_steps=num_steps)
    return dataclasses.replace(batch, path=path, taught_embeddings=embeddings.float())


def _path(objective: DistillationObjective, heard: Heard, batch: Batch, *, num_steps: int) -> Tensor:
    """(batch, frames, states, channels) normalized, from clean motion (state 0) back to the noise it began as."""
    teacher, every = objective.teacher, num_steps // objective.config.student_steps
    draws, (speaker, emotion) = objective.draw(batch)
    style = personalize(teacher, heard, speaker=speaker, emotion=emotion, draws=draws)
    frames = batch.motion.shape[1]
    features = teacher.to_motion_rate(heard.features, frames=frames)
    mask = frame_mask(batch.frames, frames)[..., None].to(batch.motion.dtype)
    noisy = draws.noise[:, -1] * mask
    states = [noisy]
    for step, (now, then) in enumerate(itertools.pairwise(time_grid(num_steps)), start=1):
        here, there = (noisy.new_full((len(noisy),), value) for value in (now, then))
        clean = teacher.predict_clean(noisy, here, features, style, mask).float()
        noisy = ddim_step(noisy, clean, here, there) * mask
        if step % every == 0:
            states.append(noisy)
    return torch.stack(states[::-1], dim=2)


def _told(windows: Iterator[Window], *, split: str, total: int) -> Iterator[Window]:
    """Logs a line every few seconds."""
    said_s = time.monotonic()
    for number, window in enumerate(windows, start=1):
        yield window
        if number == total or time.monotonic() - said_s >= _LINE_SECONDS:
            said_s = time.monotonic()
            _LOG.info("teacher's paths, split %s: window %d of %d", split, number, total)
