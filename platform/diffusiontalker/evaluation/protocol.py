"""The evaluation protocol: which clips, which rows, which pictures; ends in a report.

Every system predicts every clip of the chosen splits; stochastic ones several times, with seeds that depend on the clip
and the sample alone. Rows are computed per group of clips: each split, and each split's clips of the headline speaker.
"""

import dataclasses
import logging
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffusiontalker.config import config_digest, require_new, run_provenance, to_plain
from diffusiontalker.data import Clip, Corpus
from diffusiontalker.evaluation.controls import ShuffledAudio, Truth
from diffusiontalker.evaluation.findings import headline_and_checks, personalization_checks
from diffusiontalker.evaluation.latency import joined_clip, measure_rtf
from diffusiontalker.evaluation.pictures import Showcase, make_pictures
from diffusiontalker.evaluation.report import FORMAT, VERSION, Report, write_report
from diffusiontalker.evaluation.scoring import ClipScorer, ClipTerms, EvaluationError, pool
from diffusiontalker.evaluation.systems import BundleSystem, System
from diffusiontalker.face import Rig

logger = logging.getLogger(__name__)

DEFAULT_SPLITS = ("test", "test_unseen_speaker")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """What to measure and to show."""

    title: str = "Evaluation"
    """Heading of the report."""
    headline_speaker: str = ""
    """Speaker whose clips of the first split give the headline numbers; empty: all clips of the first split."""
    num_samples: int = 8
    """Predictions per clip of a stochastic system, for its mean and its diversity."""
    seed: int = 0
    """Changes every random choice: samples, shuffling."""
    max_clips: int = 0
    """Clips used per split, the first ones; 0 means all."""
    num_curve_clips: int = 3
    """Clips whose curves are drawn."""
    curve_channels: tuple[str, ...] = ("jawOpen", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "browInnerUp",
                                       "eyeBlinkLeft")  # fmt: skip
    """Channels whose curves are drawn."""
    latency_audio_s: float = 10.0
    """Length of the audio for the real-time factor, in seconds; 0 leaves the measurement out."""
    latency_repeats: int = 3
    """Timed runs per system."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        for field, lowest in (("num_samples", 1), ("max_clips", 0), ("num_curve_clips", 1), ("latency_repeats", 1)):
            if getattr(self, field) < lowest:
                raise ValueError(f"{field} is {getattr(self, field)}, expected at least {lowest}")
        if self.latency_audio_s < 0:
            raise ValueError(f"latency_audio_s is {self.latency_audio_s}, expected 0 (off) or a positive number")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Group:
    name: str
    split: str
    speaker: str | None
    clips: dict[int, Clip]
    """Index within the split -> clip."""


def evaluate(
    corpus: Corpus,
    systems: Sequence[System],
    *,
    rig: Rig,
    out: Path,
    splits: Sequence[str] = DEFAULT_SPLITS,
    config: EvaluationConfig | None = None,
    training_log: Path | None = None,
) -> Report:
    """Measures `systems` on held-out clips and writes `report.json`, `report.html` and pictures into the folder `out`.

    Args:
        corpus: where the clips are; splits it lacks are left out with a warning.
        systems: see `controls.standard_systems`; the first talker among them is what the report is about.
        rig: turns coefficients into vertices.
        out: a folder that does not exist yet.
        splits: the first one gives the headline numbers.
        config: see `EvaluationConfig`.
        training_log: JSON-lines file of a training run, drawn as curves.

    Raises:
        EvaluationError: when there are no clips, names repeat, or a system's motion does not fit the corpus.
        ArtefactError: when `out` exists or cannot be written.
    """
    config = config or EvaluationConfig()
    require_new(out, remedy="choose another folder for the report, or move the old one away")
    _require_unique(systems)
    clips = _load(corpus, splits, config)
    groups = _groups(clips, config)
    scorer = ClipScorer(rig, channel_names=corpus.info.channel_names, missing_channels=corpus.info.missing_channels)
    rows: dict[str, list[dict[str, Any]]] = {group.name: [] for group in groups}
    showcase = Showcase(clips=list(groups[0].clips.values())[: config.num_curve_clips])
    for number, system in enumerate(systems, start=1):
        begin = time.perf_counter()
        facts = _facts(system, next(iter(clips.values())), config)
        for split, chosen in clips.items():
            predictions = _predict(system, chosen, scorer, config)
            estimates = _estimates(system, chosen, predictions, scorer)
            for group in (group for group in groups if group.split == split):
                rows[group.name] += _rows(system, facts, list(group.clips), predictions, estimates, scorer)
            if split == groups[0].split:
                showcase.keep(system, [predictions[index] for index in list(groups[0].clips)[: config.num_curve_clips]])
        seconds = time.perf_counter() - begin
        logger.info("system %d of %d, '%s': measured in %.1f s", number, len(systems), system.name, seconds)
    content = _content(corpus, rig, config, splits=list(clips), groups=groups, rows=rows)
    everyone = [clip for chosen in clips.values() for clip in chosen]
    pictures, extras = make_pictures(
        showcase, systems, content, rig=rig, clips=everyone, channels=config.curve_channels,
        scored_channels=scorer.channel_names, seed=config.seed, training_log=training_log,
    )  # fmt: skip
    content |= extras
    content["checks"] += personalization_checks(content)
    return write_report(Report(directory=out, content=content), pictures)


def _load(corpus: Corpus, splits: Sequence[str], config: EvaluationConfig) -> dict[str, list[Clip]]:
    absent = [split for split in splits if split not in corpus.info.splits]
    present = [split for split in splits if split in corpus.info.splits]
    if not present:
        raise EvaluationError(
            f"corpus {corpus.uri} has none of the splits {', '.join(splits)} (it has "
            f"{', '.join(corpus.info.splits)}); name one it has"
        )
    if absent:
        logger.warning("corpus %s lacks %d of the splits asked for: %s", corpus.uri, len(absent), ", ".join(absent))
    return {split: corpus.load(split)[: config.max_clips or None] for split in present}


def _groups(clips: dict[str, list[Clip]], config: EvaluationConfig) -> list[_Group]:
    """The headline group first."""
    groups = []
    for split, chosen in clips.items():
        everyone = dict(enumerate(chosen))
        of_speaker = {index: clip for index, clip in everyone.items() if clip.speaker == config.headline_speaker}
        if of_speaker:
            name = f"{split}, {config.headline_speaker} only"
            groups.append(_Group(name=name, split=split, speaker=config.headline_speaker, clips=of_speaker))
        groups.append(_Group(name=split, split=split, speaker=None, clips=everyone))
    first = next(iter(clips))
    if config.headline_speaker and groups[0].speaker is None:
        raise EvaluationError(
            f"headline speaker '{config.headline_speaker}' has no clip in split '{first}' (speakers there: "
            f"{', '.join(sorted({clip.speaker for clip in clips[first]}))}); name one of them or none"
        )
    return groups


def _predict(system: System, clips: Sequence[Clip], scorer: ClipScorer, config: EvaluationConfig) -> list[np.ndarray]:
    """(samples, frames, channels) per clip."""
    count = config.num_samples if system.is_stochastic else 1
    draws = [
        system.predict(clips, seeds=[zlib.crc32(f"{config.seed}/{clip.clip_id}/{sample}".encode()) for clip in clips])
        for sample in range(count)
    ]
    per_clip = zip(*draws, strict=True)
    return [scorer.samples(clip, motions, system=system.name) for clip, motions in zip(clips, per_clip, strict=True)]


def _estimates(
    system: System, clips: Sequence[Clip], predictions: Sequence[np.ndarray], scorer: ClipScorer
) -> dict[str, list[list[ClipTerms]]]:
    """Estimate -> per clip the terms of its samples, or of their mean."""
    count = len(predictions[0])
    arrays = {"one sample" if _unshuffled(system).is_stochastic else "deterministic": predictions}
    if count > 1:
        arrays[f"mean of {count}"] = [samples.mean(axis=0, keepdims=True) for samples in predictions]
    return {
        estimate: [scorer.terms(clip, samples) for clip, samples in zip(clips, chosen, strict=True)]
        for estimate, chosen in arrays.items()
    }


def _rows(
    system: System, facts: dict[str, Any], indices: Sequence[int], predictions: Sequence[np.ndarray],
    estimates: dict[str, list[list[ClipTerms]]], scorer: ClipScorer,
) -> list[dict[str, Any]]:  # fmt: skip
    """One row per estimate, over the clips at `indices`."""
    rows = []
    for estimate, per_clip in estimates.items():
        name = f"{system.name} ({estimate})" if system.is_stochastic else system.name
        row = {"name": name, "system": system.name, "estimate": estimate} | facts
        terms = [term for index in indices for term in per_clip[index]]
        row |= pool(terms, channel_names=scorer.channel_names)
        row |= {"diversity_upper": None, "diversity_lips": None}
        if estimate == "one sample" and len(predictions[0]) > 1:
            row |= scorer.diversity([predictions[index] for index in indices])
        if estimate.startswith("mean") and row["rtf"] is not None:
            row |= {"rtf": row["rtf"] * len(predictions[0]), "latency": None}
        rows.append(row)
    return rows


def _facts(system: System, clips: Sequence[Clip], config: EvaluationConfig) -> dict[str, Any]:
    """What does not depend on the group: kind, size, speed."""
    inner = _unshuffled(system)
    kind = "truth" if isinstance(system, Truth) else "shuffled" if isinstance(system, ShuffledAudio) else (
        "talker" if isinstance(system, BundleSystem) else "control")  # fmt: skip
    facts: dict[str, Any] = {
        "kind": kind,
        "family": inner.family if isinstance(inner, BundleSystem) else inner.name,
        "training_steps": inner.training_steps if isinstance(inner, BundleSystem) else None,
        "num_steps": system.num_steps,
        "temperature": inner.temperature if isinstance(inner, BundleSystem) else None,
        "parameters": system.parameters,
        "file_bytes": system.file_bytes,
        "rtf": None,
        "latency": None,
    }
    if config.latency_audio_s and kind in ("talker", "control"):
        clip = joined_clip(clips, seconds=config.latency_audio_s)
        measured = measure_rtf(
            lambda: system.predict([clip], seeds=[config.seed]),
            audio_seconds=config.latency_audio_s, repeats=config.latency_repeats,
            device=inner.device if isinstance(inner, BundleSystem) else "cpu",
        )  # fmt: skip
        facts |= {"rtf": measured.rtf, "latency": dataclasses.asdict(measured)}
    return facts


def _unshuffled(system: System) -> System:
    return system.system if isinstance(system, ShuffledAudio) else system


def _content(
    corpus: Corpus, rig: Rig, config: EvaluationConfig, *, splits: list[str], groups: list[_Group],
    rows: dict[str, list[dict[str, Any]]],
) -> dict[str, Any]:  # fmt: skip
    described = [
        {
            "name": group.name,
            "split": group.split,
            "speaker": group.speaker,
            "speakers": sorted({clip.speaker for clip in group.clips.values()}),
            "num_clips": len(group.clips),
            "seconds": round(sum(clip.seconds for clip in group.clips.values()), 3),
            "systems": rows[group.name],
        }
        for group in groups
    ]
    info = corpus.info
    headline, checks = headline_and_checks(described)
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": config.title,
        "headline": headline,
        "checks": checks,
        "headline_group": groups[0].name,
        "systems": rows[groups[0].name],
        "groups": described,
        "corpus": {
            "uri": corpus.uri, "digest": info.digest, "motion_fps": info.motion_fps, "splits": info.splits,
            "speakers": info.speakers, "emotions": info.emotions, "missing_channels": info.missing_channels,
            "source": info.source,
        },
        "rig": {
            "name": rig.name, "vertices": rig.num_vertices, "lip_vertices": len(rig.lip_vertices),
            "upper_face_vertices": len(rig.upper_face_vertices),
        },
        "splits": splits,
        "config": to_plain(config),
        "config_digest": config_digest(config),
        "provenance": run_provenance(),
    }  # fmt: skip


def _require_unique(systems: Sequence[System]) -> None:
    names = [system.name for system in systems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise EvaluationError(
            f"systems: got {len(names)}, with the names {twice} more than once; give at least one, each its own name"
        )
