"""Are enrolled voices told apart? Speakers are enrolled from some seconds of audio, held-out clips find the nearest.

Known speakers are enrolled from training clips, unseen ones from clips of their split, which are then not used for
testing. Which clips is drawn again and again: of an unseen speaker there are few, so that one choice says little.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from diffusiontalker.data import Clip, Corpus
from diffusiontalker.evaluation import metrics
from diffusiontalker.inference import Bundle, embed


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Enrollment:
    """One choice of references: who is enrolled from which clips, and who is then to be recognized."""

    seconds: float
    """Audio asked for per speaker; whole clips are taken until there is that much."""
    references: dict[str, list[Clip]]
    """Speaker -> clips; speakers with too little audio are absent."""
    tests: list[Clip]
    """Held-out clips of the enrolled speakers."""


def plan_enrollments(
    corpus: Corpus, held_out: Sequence[Clip], *, seconds: Sequence[float], draws: int, seed: int
) -> list[Enrollment]:
    """`draws` enrollments for every length, the same for every bundle.

    Args:
        corpus: where training clips are.
        held_out: clips of known and of unseen speakers.
        seconds: lengths of audio.
        draws: different choices of the clips that speakers are enrolled from.
        seed: changes the choices.
    """
    training: dict[str, list[Clip]] = {}
    for clip in corpus.clips("train"):
        training.setdefault(clip.speaker, []).append(clip)
    unseen: dict[str, list[Clip]] = {}
    for clip in held_out:
        if clip.speaker not in training:
            unseen.setdefault(clip.speaker, []).append(clip)
    generator = np.random.default_rng(seed)
    plans = []
    for length in seconds:
        for _ in range(draws):
            shuffled = {
                name: [clips[index] for index in generator.permutation(len(clips))]
                for name, clips in (training | unseen).items()
            }
            plans.append(_enrollment(shuffled, held_out, seconds=length))
    return plans


def enrolled_voice_scores(bundle: Bundle, plans: Sequence[Enrollment]) -> list[dict[str, Any]]:
    """Per length: how often the nearest enrolled voice is the speaker's own, by cosine of identity embeddings.

    Accuracies are means over speakers, so that one with many clips does not decide. A voice is the mean of its
    references' embeddings, as `inference.enroll` makes it.
    """
    embeddings: dict[str, np.ndarray] = {}
    for plan in plans:
        for clip in (*plan.tests, *(clip for clips in plan.references.values() for clip in clips)):
            if clip.clip_id not in embeddings:
                embeddings[clip.clip_id] = embed(bundle, clip.waveform)[0]
    scores = []
    for length in dict.fromkeys(plan.seconds for plan in plans):
        same = [plan for plan in plans if plan.seconds == length and len(plan.references) > 1 and plan.tests]
        accuracies = [nearest_voice_accuracy(plan, embeddings) for plan in same]
        scores.append({
            "seconds": length,
            "accuracy": float(np.mean(accuracies)) if same else None,
            "accuracy_by_draw": accuracies,
            "speakers": len(same[0].references) if same else 0,
            "clips": len(same[0].tests) if same else 0,
            "chance": 1.0 / len(same[0].references) if same else None,
        })  # fmt: skip
    return scores


def nearest_voice_accuracy(plan: Enrollment, embeddings: dict[str, Float[np.ndarray, "width"]]) -> float:
    """Mean over speakers of the share of their clips whose nearest voice is their own.

    Args:
        plan: who is enrolled from what.
        embeddings: clip id -> identity embedding, unit length.
    """
    names = list(plan.references)
    voices = np.stack([np.mean([embeddings[clip.clip_id] for clip in plan.references[name]], axis=0) for name in names])
    by_speaker: dict[str, list[np.ndarray]] = {}
    for clip in plan.tests:
        by_speaker.setdefault(clip.speaker, []).append(embeddings[clip.clip_id])
    shares = [
        metrics.nearest_prototype_accuracy(np.stack(rows), [name] * len(rows), prototypes=voices, names=names)
        for name, rows in by_speaker.items()
    ]
    return float(np.mean(shares))


def _enrollment(candidates: dict[str, list[Clip]], held_out: Sequence[Clip], *, seconds: float) -> Enrollment:
    references: dict[str, list[Clip]] = {}
    for name, clips in sorted(candidates.items()):
        totals = np.cumsum([clip.seconds for clip in clips])
        if totals[-1] >= seconds:
            references[name] = clips[: int(np.searchsorted(totals, seconds)) + 1]
    used = {clip.clip_id for clips in references.values() for clip in clips}
    tests = [clip for clip in held_out if clip.speaker in references and clip.clip_id not in used]
    return Enrollment(seconds=seconds, references=references, tests=tests)
