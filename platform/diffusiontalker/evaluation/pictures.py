"""Which pictures a report shows and what they are made of; the drawing itself is in `plots`."""

import dataclasses
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffusiontalker.data import Clip
from diffusiontalker.evaluation import personalization, plots
from diffusiontalker.evaluation.controls import ShuffledAudio
from diffusiontalker.evaluation.played_clips import PlayedClip, Playing
from diffusiontalker.evaluation.systems import BundleSystem, System
from diffusiontalker.face import MotionClip, Rig

logger = logging.getLogger(__name__)

_FACE_FRAMES = 7
"""Instants shown in a strip of faces."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Picture:
    """One picture of a report, in a light and a dark version."""

    key: str
    """File name without suffix."""
    title: str
    caption: str
    png: dict[str, bytes]
    """Theme -> PNG."""


@dataclasses.dataclass(kw_only=True, slots=True, eq=False)
class Showcase:
    """The clips that are drawn, and what every system predicted for them."""

    clips: Sequence[Clip]
    predictions: dict[str, list[np.ndarray]] = dataclasses.field(default_factory=dict)
    """System name -> per clip (samples, frames, channels)."""
    played: dict[str, list[PlayedClip]] = dataclasses.field(default_factory=dict)
    """System name -> the clips that a page plays when it is about that system."""

    def keep(self, system: System, predictions: list[np.ndarray]) -> None:
        """Remembers what a system predicted for `clips`."""
        self.predictions[system.name] = predictions


def make_pictures(
    showcase: Showcase,
    systems: Sequence[System],
    content: dict[str, Any],
    *,
    rig: Rig,
    clips: Sequence[Clip],
    channels: Sequence[str],
    scored_channels: Sequence[str],
    seed: int,
    training_log: Path | None,
) -> tuple[list[Picture], dict[str, Any]]:
    """All pictures of a report, and the report fields that come up on the way (`personalizer`, `conditioning`)."""
    shown, rival = _protagonists(systems)
    extras: dict[str, Any] = {}
    pictures: list[Picture] = []
    if shown is not None:
        motions = {name: _motions(showcase, name, scored_channels) for name in showcase.predictions}
        pictures += _curves(showcase, motions, shown, rival, channels=channels)
        pictures += _channel_errors(content["systems"], shown)
        pictures += _faces(showcase, motions, shown, rig=rig)
    if isinstance(shown, BundleSystem):
        extras["personalizer"], embedding_picture = _personalizer(shown, clips)
        extras["conditioning"], variant_picture = _variants(shown, showcase.clips[0], seed=seed)
        pictures += embedding_picture + variant_picture
    if training_log is not None:
        pictures += _training(training_log)
    return pictures, extras


def size_and_speed(rows: Sequence[dict[str, Any]], *, teacher: str, where: str) -> list[Picture]:
    """The chart of errors, sizes and speeds of talkers and controls.

    Args:
        rows: of the headline group.
        teacher: family whose rows, in different numbers of steps, are joined by a line.
        where: name of the group.
    """
    shown = [row for row in rows if row["kind"] in ("talker", "control")]
    bubbles = [
        plots.Bubble(
            name=row["name"],
            lip_error=row["lve_m2"] * 1e5,
            eye_error=row["eve_m2"] * 1e5,
            megabytes=None if row["file_bytes"] is None else row["file_bytes"] / 1e6,
            frames_per_s=row["frames_per_s"] if row["kind"] == "talker" else None,
            is_path=row["family"] == teacher,
        )
        for row in shown
    ]
    caption = (
        f"Group: {where}. Area is the size of the files in MB, colour the speed; crosses are controls without files. "
        f"The dotted line joins '{teacher}' in different numbers of steps, without distillation. Lower left is better, "
        "but both errors also reward averaged, lifeless motion: |FDD| and jitter in the table tell where."
    )
    return [_picture("size_and_speed", "Error, size and speed", caption, lambda: plots.draw_bubbles(bubbles))]


def _protagonists(systems: Sequence[System]) -> tuple[System | None, System | None]:
    """The first talker (else the last control), and what it is drawn against."""
    bundles = [system for system in systems if isinstance(system, BundleSystem)]
    controls = [system for system in systems if not isinstance(system, BundleSystem | ShuffledAudio)][1:]
    if not bundles:
        return (controls[-1], None) if controls else (None, None)
    others = [system for system in bundles if system.family != bundles[0].family]
    return bundles[0], next(iter(others or reversed(controls)), None)


def playing(
    showcase: Showcase, systems: Sequence[System], *, scored_channels: Sequence[str], channels: Sequence[str]
) -> Playing | None:
    """What the page plays: clips of the system that it is about; None when there are none."""
    shown, _ = _protagonists(systems)
    clips = showcase.played.get(shown.name) if shown else None
    if shown is None or not clips:
        return None
    return Playing(system=shown.name, clips=clips, channel_names=scored_channels, curves=channels)


def _motions(showcase: Showcase, name: str, channels: Sequence[str]) -> list[list[MotionClip]]:
    """Per clip the samples as motion."""
    return [
        [MotionClip(coefficients=sample, fps=clip.motion.fps, channel_names=tuple(channels)) for sample in samples]
        for clip, samples in zip(showcase.clips, showcase.predictions[name], strict=True)
    ]


def _mean(samples: Sequence[MotionClip]) -> MotionClip:
    return dataclasses.replace(samples[0], coefficients=np.mean([sample.coefficients for sample in samples], axis=0))


def _label(system: System, samples: Sequence[MotionClip]) -> str:
    return f"{system.name} (mean of {len(samples)})" if len(samples) > 1 else system.name


def _curves(
    showcase: Showcase, motions: dict[str, list[list[MotionClip]]], shown: System, rival: System | None, *,
    channels: Sequence[str],
) -> list[Picture]:  # fmt: skip
    panels = []
    for index, clip in enumerate(showcase.clips):
        samples = motions[shown.name][index]
        lines = {_label(shown, samples): _mean(samples)}
        if rival is not None:
            lines[_label(rival, motions[rival.name][index])] = _mean(motions[rival.name][index])
        thin = samples if len(samples) > 1 else []
        panels.append(plots.CurvePanel(title=clip.clip_id, truth=clip.motion, samples=thin, lines=lines))
    caption = (
        "Coefficients over time on held-out clips. Thin lines are single samples with different seeds: they should "
        "agree on the mouth and may differ above it."
    )
    present = [
        name for name in channels if name in panels[0].lines[_label(shown, motions[shown.name][0])].channel_names
    ]
    return [
        _picture("curves", "Prediction against truth", caption, lambda: plots.draw_curves(panels, channels=present))
    ]


def _channel_errors(rows: Sequence[dict[str, Any]], shown: System) -> list[Picture]:
    own = [row for row in rows if row["system"] == shown.name]
    main = next((row for row in own if row["estimate"].startswith("mean")), own[0])
    firsts: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["kind"] in ("talker", "control") and row["family"] != main["family"]:
            firsts.setdefault(row["family"], row)
    compared = [main, *reversed(firsts.values())]
    errors = {row["name"]: row["channel_mae"] for row in compared}
    correlations = {row["name"]: row["channel_r"] for row in compared if any(row["channel_r"].values())}
    pictures = [_picture(
        "channel_error", "Error by channel",
        "Mean absolute error of every channel of the source. Long bars are channels that move a lot, or whose tracking "
        "drifts from clip to clip.",
        lambda: plots.draw_channel_bars(errors, quantity="mean absolute error (coefficient, 0 to 1)"),
    )]  # fmt: skip
    if main["name"] in correlations:
        pictures.append(_picture(
            "channel_correlation", "Correlation by channel",
            "Over all frames of all clips as one sequence. For channels that hardly move it means little.",
            lambda: plots.draw_channel_bars(correlations, quantity="correlation"),
        ))  # fmt: skip
    return pictures


def _faces(showcase: Showcase, motions: dict[str, list[list[MotionClip]]], shown: System, *, rig: Rig) -> list[Picture]:
    clip, sample = showcase.clips[0], motions[shown.name][0][0]
    rows = {"truth": clip.motion, "prediction": sample}
    times_s = _telling_instants(clip.motion, count=_FACE_FRAMES)
    caption = f"Clip {clip.clip_id} on the rig '{rig.name}': the recording above, one sample of {shown.name} below."
    strips = plots.render_face_strip(rig, rows, times_s)
    return [_picture("faces", "The face", caption, lambda: plots.draw_face_strip(strips, times_s))]


def _telling_instants(motion: MotionClip, *, count: int) -> list[float]:
    """One instant in each of `count` equal stretches, where the jaw is alternately most open and most closed."""
    jaw = motion.column("jawOpen")
    stretches = [part for part in np.array_split(np.arange(len(jaw)), count) if len(part)]
    picks = [part[jaw[part].argmax() if number % 2 else jaw[part].argmin()] for number, part in enumerate(stretches)]
    return [float(frame / motion.fps) for frame in picks]


def _personalizer(system: BundleSystem, clips: Sequence[Clip]) -> tuple[dict[str, Any], list[Picture]]:
    bundle = system.bundle
    embeddings = personalization.embed_clips(bundle, clips)
    cases = (
        ("identity", embeddings.identity, [clip.speaker for clip in clips], embeddings.identity_prototypes,
         bundle.talker.speakers),
        ("emotion", embeddings.emotion, [clip.emotion for clip in clips], embeddings.emotion_prototypes,
         bundle.talker.emotions),
    )  # fmt: skip
    panels = [
        plots.EmbeddingPanel(
            title=f"{kind} embeddings", embeddings=points, labels=labels, prototypes=stars, prototype_names=names
        )
        for kind, points, labels, stars, names in cases
        if len(set(labels) | set(names)) > 1 and len(points) > 1
    ]
    caption = (
        "Each dot is a clip, embedded from its own audio alone; stars are the learnt prototypes; hollow dots are "
        "speakers or emotions the model was never trained on. First two principal components."
    )
    picture = [_picture("embeddings", "Personalizer", caption, lambda: plots.draw_embeddings(panels))] if panels else []
    return personalization.personalizer_scores(bundle, embeddings), picture


def _variants(system: BundleSystem, clip: Clip, *, seed: int) -> tuple[list[dict[str, Any]], list[Picture]]:
    panels = personalization.spoken_in_variants(system.bundle, clip, seed=seed)
    if not panels:
        return [], []
    channels = ("jawOpen", *personalization.liveliest_channels(panels, count=3))
    caption = (
        f"The audio of clip {clip.clip_id} with the same seed. The jaw (first row) should stay in sync; the upper face "
        "should change. Shown are the upper-face channels that change most."
    )
    picture = _picture(
        "variants", "Same words, other emotion or voice", caption,
        lambda: plots.draw_variants(panels, channels=channels),
    )  # fmt: skip
    return personalization.variant_scores(panels), [picture]


def _training(log: Path) -> list[Picture]:
    """Curves of the run that made the bundle; a log that cannot be drawn costs the picture, not the report."""
    try:
        records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [_picture("training", "Training", f"From {log.name}.", lambda: plots.draw_training(records))]
    except (OSError, ValueError) as error:
        logger.warning("training log %s cannot be drawn (%s); the report has no training curves", log, error)
        return []


def _picture(key: str, title: str, caption: str, draw: Callable[[], plots.Figure]) -> Picture:
    return Picture(key=key, title=title, caption=caption, png=plots.render(draw))
