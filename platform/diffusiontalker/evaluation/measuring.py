"""Measuring: every system predicts every clip of the chosen splits, and each prediction becomes figures.

Stochastic systems predict several times, with seeds that depend on the clip and the sample alone. Rows are computed per
group of clips: each split, and each split's clips of the headline speaker. Knows nothing about reports.
"""

import dataclasses
import logging
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffusiontalker.data import Clip, Corpus
from diffusiontalker.evaluation.controls import ShuffledAudio, Truth
from diffusiontalker.evaluation.latency import Latency, joined_clip, measure_side_by_side
from diffusiontalker.evaluation.pictures import Showcase
from diffusiontalker.evaluation.played_clips import choose_clips
from diffusiontalker.evaluation.scoring import ClipScorer, ClipTerms, EvaluationError, pool
from diffusiontalker.evaluation.systems import BundleSystem, System
from diffusiontalker.face import Rig

logger = logging.getLogger(__name__)


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
    report_clips: int = 3
    """Held-out clips that the page plays, sound and faces inside it, from the least lip error to the largest; 0 leaves
    them out, as some corpora must not be passed on."""
    latency_audio_s: float = 10.0
    """Length of the audio for the real-time factor, in seconds; 0 leaves the measurement out."""
    latency_repeats: int = 3
    """Timed runs per system."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        for field, lowest in (
            ("num_samples", 1), ("max_clips", 0), ("num_curve_clips", 1), ("report_clips", 0), ("latency_repeats", 1)
        ):  # fmt: skip
            if getattr(self, field) < lowest:
                raise ValueError(f"{field} is {getattr(self, field)}, expected at least {lowest}")
        if self.latency_audio_s < 0:
            raise ValueError(f"latency_audio_s is {self.latency_audio_s}, expected 0 (off) or a positive number")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Group:
    """Clips whose figures make one table."""

    name: str
    split: str
    speaker: str | None
    """The only speaker, None for everybody in the split."""
    clips: dict[int, Clip]
    """Index within the split -> clip."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stage:
    """What all systems are measured on."""

    config: EvaluationConfig
    clips: dict[str, list[Clip]]
    """Split -> its clips."""
    groups: list[Group]
    """The headline group first."""
    scorer: ClipScorer

    @classmethod
    def open(cls, corpus: Corpus, *, rig: Rig, splits: Sequence[str], config: EvaluationConfig) -> "Stage":
        """Loads the clips; splits the corpus lacks are left out with a warning.

        Raises:
            EvaluationError: when there are no clips, or none of the headline speaker.
        """
        clips = _load(corpus, splits, config)
        scorer = ClipScorer(rig, channel_names=corpus.info.channel_names, missing_channels=corpus.info.missing_channels)
        return cls(config=config, clips=clips, groups=_groups(clips, config), scorer=scorer)

    @property
    def first_split(self) -> list[Clip]:
        """Clips of the split that gives the headline numbers."""
        return next(iter(self.clips.values()))

    @property
    def everyone(self) -> list[Clip]:
        """Clips of all splits."""
        return [clip for chosen in self.clips.values() for clip in chosen]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Measurement:
    """The figures of several systems."""

    rows: dict[str, list[dict[str, Any]]]
    """Group -> rows."""
    by_seed: dict[str, list[dict[str, Any]]]
    """System -> figures of the headline group, once per sampling seed."""
    showcase: Showcase
    """Predictions for the clips that are drawn."""


def measure(stage: Stage, systems: Sequence[System], *, with_means: bool = True) -> Measurement:
    """Rows of every system in every group.

    Args:
        stage: clips and scorer.
        systems: measured one after the other, but timed side by side.
        with_means: give stochastic systems a second row, for the mean of their samples.

    Raises:
        EvaluationError: when names repeat, or a system's motion does not fit the corpus.
    """
    _require_unique(systems)
    config, headline = stage.config, stage.groups[0]
    latencies = _latencies(stage, systems)
    rows: dict[str, list[dict[str, Any]]] = {group.name: [] for group in stage.groups}
    by_seed: dict[str, list[dict[str, Any]]] = {}
    drawn = list(headline.clips)[: config.num_curve_clips]
    showcase = Showcase(clips=[headline.clips[index] for index in drawn])
    for number, system in enumerate(systems, start=1):
        begin = time.perf_counter()
        facts = _facts(system, latencies.get(system.name), fps=stage.first_split[0].motion.fps)
        for split, clips in stage.clips.items():
            predictions = _predict(system, clips, stage.scorer, config)
            estimates = _estimates(system, clips, predictions, stage.scorer, with_means=with_means)
            for group in (group for group in stage.groups if group.split == split):
                rows[group.name] += _rows(
                    system, facts, list(group.clips), predictions, estimates, stage.scorer, with_means=with_means
                )
            if split == headline.split:
                showcase.keep(system, [predictions[index] for index in drawn])
                singles = [next(iter(estimates.values()))[index] for index in headline.clips]
                by_seed[system.name] = _by_seed(singles, stage.scorer)
                showcase.played[system.name] = choose_clips(
                    list(headline.clips.values()), [predictions[index][0] for index in headline.clips],
                    [samples[0] for samples in singles], count=config.report_clips,
                )  # fmt: skip
        seconds = time.perf_counter() - begin
        logger.info("system %d of %d, '%s': measured in %.1f s", number, len(systems), system.name, seconds)
    return Measurement(rows=rows, by_seed=by_seed, showcase=showcase)


def headline_figures(stage: Stage, system: System) -> dict[str, Any]:
    """Figures of one more system on the headline group alone, all samples pooled; no speed."""
    clips = list(stage.groups[0].clips.values())
    predictions = _predict(system, clips, stage.scorer, stage.config)
    terms = [
        term
        for clip, samples in zip(clips, predictions, strict=True)
        for term in stage.scorer.terms(clip, samples)
    ]  # fmt: skip
    return pool(terms, channel_names=stage.scorer.channel_names)


def sampling_seeds(clips: Sequence[Clip], *, seed: int, sample: int) -> list[int]:
    """One seed per clip: the same clip and sample get the same noise in every system."""
    return [zlib.crc32(f"{seed}/{clip.clip_id}/{sample}".encode()) for clip in clips]


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


def _groups(clips: dict[str, list[Clip]], config: EvaluationConfig) -> list[Group]:
    """The headline group first."""
    groups = []
    for split, chosen in clips.items():
        everyone = dict(enumerate(chosen))
        of_speaker = {index: clip for index, clip in everyone.items() if clip.speaker == config.headline_speaker}
        if of_speaker:
            name = f"{split}, {config.headline_speaker} only"
            groups.append(Group(name=name, split=split, speaker=config.headline_speaker, clips=of_speaker))
        groups.append(Group(name=split, split=split, speaker=None, clips=everyone))
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
        system.predict(clips, seeds=sampling_seeds(clips, seed=config.seed, sample=sample)) for sample in range(count)
    ]
    per_clip = zip(*draws, strict=True)
    return [scorer.samples(clip, motions, system=system.name) for clip, motions in zip(clips, per_clip, strict=True)]


def _estimates(
    system: System, clips: Sequence[Clip], predictions: Sequence[np.ndarray], scorer: ClipScorer, *, with_means: bool
) -> dict[str, list[list[ClipTerms]]]:
    """Estimate -> per clip the terms of its samples, or of their mean."""
    count = len(predictions[0])
    arrays = {"one sample" if unshuffled(system).is_stochastic else "deterministic": predictions}
    if count > 1 and with_means:
        arrays[f"mean of {count}"] = [samples.mean(axis=0, keepdims=True) for samples in predictions]
    return {
        estimate: [scorer.terms(clip, samples) for clip, samples in zip(clips, chosen, strict=True)]
        for estimate, chosen in arrays.items()
    }


def _rows(
    system: System, facts: dict[str, Any], indices: Sequence[int], predictions: Sequence[np.ndarray],
    estimates: dict[str, list[list[ClipTerms]]], scorer: ClipScorer, *, with_means: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """One row per estimate, over the clips at `indices`."""
    rows = []
    for estimate, per_clip in estimates.items():
        name = f"{system.name} ({estimate})" if system.is_stochastic and with_means else system.name
        row: dict[str, Any] = {"name": name, "system": system.name, "estimate": estimate} | facts
        terms = [term for index in indices for term in per_clip[index]]
        row |= pool(terms, channel_names=scorer.channel_names)
        row |= {"diversity_upper": None, "diversity_lips": None}
        if estimate == "one sample" and len(predictions[0]) > 1:
            row |= scorer.diversity([predictions[index] for index in indices])
        if estimate.startswith("mean") and row["rtf"] is not None:
            count = len(predictions[0])
            row |= {"rtf": row["rtf"] * count, "frames_per_s": row["frames_per_s"] / count, "latency": None}
        rows.append(row)
    return rows


def _by_seed(per_clip: Sequence[Sequence[ClipTerms]], scorer: ClipScorer) -> list[dict[str, Any]]:
    return [pool(terms, channel_names=scorer.channel_names) for terms in zip(*per_clip, strict=True)]


def _latencies(stage: Stage, systems: Sequence[System]) -> Mapping[str, Latency]:
    config = stage.config
    timed = [system for system in systems if not isinstance(system, Truth | ShuffledAudio)]
    if not config.latency_audio_s or not timed:
        return {}
    clip = joined_clip(stage.first_split, seconds=config.latency_audio_s)
    return measure_side_by_side(
        {system.name: lambda system=system: system.predict([clip], seeds=[config.seed]) for system in timed},
        audio_seconds=config.latency_audio_s,
        repeats=config.latency_repeats,
        devices={system.name: system.device for system in timed if isinstance(system, BundleSystem)},
    )


def _facts(system: System, latency: Latency | None, *, fps: float) -> dict[str, Any]:
    """What does not depend on the group: kind, size, speed."""
    inner = unshuffled(system)
    kind = "truth" if isinstance(system, Truth) else "shuffled" if isinstance(system, ShuffledAudio) else (
        "talker" if isinstance(system, BundleSystem) else "control")  # fmt: skip
    talker = inner if isinstance(inner, BundleSystem) else None
    return {
        "kind": kind,
        "family": talker.family if talker else inner.name,
        "training_steps": talker.training_steps if talker else None,
        "num_steps": system.num_steps,
        "temperature": talker.temperature if talker else None,
        "parameters": system.parameters,
        "precision": talker.precision if talker else None,
        "file_bytes": system.file_bytes,
        "rtf": latency.rtf if latency else None,
        "frames_per_s": fps / latency.rtf if latency else None,
        "latency": dataclasses.asdict(latency) if latency else None,
    }


def unshuffled(system: System) -> System:
    """The system itself, or the one that hears another clip's audio."""
    return system.system if isinstance(system, ShuffledAudio) else system


def _require_unique(systems: Sequence[System]) -> None:
    names = [system.name for system in systems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise EvaluationError(
            f"systems: got {len(names)}, with the names {twice} more than once; give at least one, each its own name"
        )
