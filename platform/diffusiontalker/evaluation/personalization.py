"""Does the personalizer know who speaks and how, and does the face follow it while the lips stay in sync?"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffusiontalker.data import Clip
from diffusiontalker.evaluation import metrics
from diffusiontalker.face import MotionClip
from diffusiontalker.face.arkit import CHANNELS, UPPER_FACE_CHANNELS
from diffusiontalker.inference import Bundle, Style, animate_batch, embed


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Embeddings:
    """Identity and emotion embeddings of clips, each from its own audio alone."""

    clips: Sequence[Clip]
    identity: np.ndarray
    """(clips, width), unit length."""
    emotion: np.ndarray
    """(clips, width), unit length."""
    identity_prototypes: np.ndarray
    """(speakers, width), unit length, in the order of the bundle's speakers."""
    emotion_prototypes: np.ndarray
    """(emotions, width), unit length, in the order of the bundle's emotions."""


def embed_clips(bundle: Bundle, clips: Sequence[Clip]) -> Embeddings:
    """Embeds every clip, one at a time."""
    pairs = [embed(bundle, clip.waveform) for clip in clips]
    identity, emotion = bundle.talker.personalizer.prototypes()
    return Embeddings(
        clips=clips,
        identity=np.stack([np.asarray(identity) for identity, _ in pairs]),
        emotion=np.stack([np.asarray(emotion) for _, emotion in pairs]),
        identity_prototypes=identity.detach().cpu().numpy(),
        emotion_prototypes=emotion.detach().cpu().numpy(),
    )


def personalizer_scores(bundle: Bundle, embeddings: Embeddings) -> dict[str, Any]:
    """How well embeddings tell speakers and emotions apart; None where there is nothing to tell apart.

    Accuracies are over clips of known speakers and emotions, verification is over all pairs of clips of speakers the
    bundle does not know.
    """
    speakers, emotions = bundle.talker.speakers, bundle.talker.emotions
    labels = [clip.speaker for clip in embeddings.clips]
    known = [index for index, label in enumerate(labels) if label in speakers]
    feeling = [index for index, clip in enumerate(embeddings.clips) if clip.emotion in emotions]
    unseen = [index for index, label in enumerate(labels) if label not in speakers]
    genuine, impostor = metrics.verification_scores(embeddings.identity[unseen], [labels[index] for index in unseen])
    return {
        "identity_accuracy": _accuracy(
            embeddings.identity, labels, known, prototypes=embeddings.identity_prototypes, names=speakers
        ),
        "identity_clips": len(known),
        "identity_classes": len(speakers),
        "emotion_accuracy": _accuracy(
            embeddings.emotion, [clip.emotion for clip in embeddings.clips], feeling,
            prototypes=embeddings.emotion_prototypes, names=emotions,
        ),
        "emotion_clips": len(feeling),
        "emotion_classes": len(emotions),
        "verification_eer": metrics.equal_error_rate(genuine, impostor) if len(genuine) and len(impostor) else None,
        "verification_speakers": sorted({labels[index] for index in unseen}),
        "verification_genuine_pairs": len(genuine),
        "verification_impostor_pairs": len(impostor),
    }  # fmt: skip


def spoken_in_variants(bundle: Bundle, clip: Clip, *, seed: int, most: int = 4) -> dict[str, dict[str, MotionClip]]:
    """One clip's audio in several emotions and in several known voices, same seed: panel title -> label -> motion.

    Panels with fewer than two variants are left out.
    """
    panels = {
        "same audio, other emotion": {name: Style(emotion=name) for name in bundle.talker.emotions[:most]},
        "same audio, other voice": {name: Style(voice=name) for name in bundle.talker.speakers[:most]},
    }
    spoken: dict[str, dict[str, MotionClip]] = {}
    for title, styles in panels.items():
        if len(styles) > 1:
            count = len(styles)
            motions = animate_batch(bundle, [clip.waveform] * count, seeds=[seed] * count, styles=list(styles.values()))
            spoken[title] = dict(zip(styles, motions, strict=True))
    return spoken


def variant_scores(panels: Mapping[str, Mapping[str, MotionClip]]) -> list[dict[str, Any]]:
    """Per variant: jawOpen correlation with the panel's first variant, and mean |difference| of the upper face."""
    rows = []
    for title, motions in panels.items():
        reference, *_ = motions.values()
        upper = [name for name in reference.channel_names if name in _UPPER_NAMES]
        for label, motion in motions.items():
            jaws = [m.column("jawOpen")[:, None] for m in (motion, reference)]
            difference = motion.with_channels(upper).coefficients - reference.with_channels(upper).coefficients
            correlation = float(metrics.pooled_correlation(jaws[:1], jaws[1:])[0])
            rows.append({
                "panel": title,
                "variant": label,
                "jaw_open_r_to_first": None if np.isnan(correlation) else correlation,
                "upper_face_difference_to_first": float(np.abs(difference).mean()),
            })  # fmt: skip
    return rows


def liveliest_channels(panels: Mapping[str, Mapping[str, MotionClip]], *, count: int) -> tuple[str, ...]:
    """The upper-face channels in which the variants of a panel differ most, over all panels."""
    spread: dict[str, float] = dict.fromkeys(_UPPER_NAMES, 0.0)
    for motions in panels.values():
        for name in _UPPER_NAMES:
            curves = [motion.column(name) for motion in motions.values() if name in motion.channel_names]
            spread[name] += float(np.std(curves, axis=0).mean()) if curves else 0.0
    return tuple(sorted(spread, key=lambda name: -spread[name])[:count])


_UPPER_NAMES = tuple(CHANNELS[index] for index in UPPER_FACE_CHANNELS)


def _accuracy(
    embeddings: np.ndarray, labels: list[str], chosen: list[int], *, prototypes: np.ndarray, names: Sequence[str]
) -> float | None:
    """None with fewer than two classes or no clips: there is nothing to tell apart."""
    if len(names) < 2 or not chosen:
        return None
    return metrics.nearest_prototype_accuracy(
        embeddings[chosen], [labels[index] for index in chosen], prototypes=prototypes, names=names
    )
