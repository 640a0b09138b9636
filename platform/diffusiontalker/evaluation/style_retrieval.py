"""Does another voice or emotion move the upper face, and recognizably so?

A classifier learns speakers (or emotions) from the upper faces of true training clips. Then the talker animates
held-out clips in every voice it knows, and the classifier must tell from the generated face which one was asked for.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from diffusiontalker.data import Clip, Corpus
from diffusiontalker.evaluation.measuring import sampling_seeds
from diffusiontalker.face import MotionClip
from diffusiontalker.face.arkit import CHANNELS, LIP_CHANNELS, UPPER_FACE_CHANNELS
from diffusiontalker.inference import Bundle, Style, animate_batch

SHRINKAGE = 0.1
"""Share of the spherical covariance in the shrunk one; on real speakers 0.01 to 0.5 recognize held-out clips alike."""

_BATCH = 16
"""Clips animated at once."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StyleClassifier:
    """Linear discriminant analysis with a shrunk covariance and equal priors, whatever the classes' sizes."""

    labels: tuple[str, ...]
    """One per class."""
    weight: Float[np.ndarray, "features classes"]
    bias: Float[np.ndarray, "classes"]

    @classmethod
    def fit(cls, features: Float[np.ndarray, "clips features"], labels: Sequence[str]) -> "StyleClassifier":
        """Solves for the classifier in closed form.

        Features are standardized; the covariance S within classes is the mean of the classes' own, so that a class of
        many clips does not decide its shape, and is shrunk to (1 - a) S + a tr(S)/d I with a = `SHRINKAGE`.

        Raises:
            ValueError: with fewer than two classes.
        """
        names, y = tuple(sorted(set(labels))), np.asarray(labels)
        if len(names) < 2:
            raise ValueError(f"style classifier: got the classes {list(names)}, expected at least two")
        x = features.astype(np.float64)
        centre, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        x = (x - centre) / scale
        means = np.stack([x[y == name].mean(axis=0) for name in names])
        spread = np.mean([np.atleast_2d(np.cov(x[y == name].T, bias=True)) for name in names], axis=0)
        size = len(spread)
        ball = max(float(np.trace(spread)) / size, 1e-12) * np.eye(size)
        weight = np.linalg.solve((1.0 - SHRINKAGE) * spread + SHRINKAGE * ball, means.T)
        bias = -0.5 * np.einsum("cf,fc->c", means, weight)
        return cls(labels=names, weight=weight / scale[:, None], bias=bias - (centre / scale) @ weight)

    def predict(self, features: Float[np.ndarray, "clips features"]) -> list[str]:
        """The most likely label of every clip."""
        return [self.labels[index] for index in (features @ self.weight + self.bias).argmax(axis=1)]

    def balanced_accuracy(self, features: Float[np.ndarray, "clips features"], labels: Sequence[str]) -> float:
        """Mean over the classes that occur of the share of their clips that is recognized; chance is 1 / classes."""
        found, y = np.asarray(self.predict(features)), np.asarray(labels)
        return float(np.mean([np.mean(found[y == name] == name) for name in sorted(set(labels))]))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StyleTest:
    """The classifiers of a corpus, and the held-out clips on which talkers are put to the test."""

    channel_names: tuple[str, ...]
    """Channels that exist in the source."""
    classifiers: Mapping[str, StyleClassifier]
    """`voice` and `emotion`; absent where the corpus has fewer than two of them in training."""
    ceiling: Mapping[str, float | None]
    """Balanced accuracy on the true upper faces of held-out clips."""
    clips: Sequence[Clip]
    """Held-out clips that are animated in every style."""
    seed: int

    @classmethod
    def fit(cls, corpus: Corpus, held_out: Sequence[Clip], *, num_clips: int, seed: int = 0) -> "StyleTest":
        """Learns from the corpus' `train` split.

        Args:
            corpus: where the true training clips are.
            held_out: clips for the ceiling; `num_clips` of them, evenly spaced, are animated.
            num_clips: how many clips are animated in every style.
            seed: changes the noise of the animations.
        """
        channels = tuple(name for name in corpus.info.channel_names if name not in corpus.info.missing_channels)
        train = list(corpus.clips("train"))
        features, truth = (upper_face_features([clip.motion for clip in c], channels) for c in (train, held_out))
        classifiers: dict[str, StyleClassifier] = {}
        ceiling: dict[str, float | None] = {}
        for kind, attribute in (("voice", "speaker"), ("emotion", "emotion")):
            labels = [getattr(clip, attribute) for clip in train]
            if len(set(labels)) < 2:
                continue
            classifiers[kind] = StyleClassifier.fit(features, labels)
            known = [index for index, clip in enumerate(held_out) if getattr(clip, attribute) in set(labels)]
            spoken = [getattr(held_out[index], attribute) for index in known]
            ceiling[kind] = classifiers[kind].balanced_accuracy(truth[known], spoken) if known else None
        count = min(num_clips, len(held_out))
        chosen = [held_out[index * len(held_out) // count] for index in range(count)]
        return cls(channel_names=channels, classifiers=classifiers, ceiling=ceiling, clips=chosen, seed=seed)

    def scores(self, bundle: Bundle, *, num_samples: int) -> dict[str, dict[str, Any]]:
        """How well the asked-for style is recognized in what the bundle animates, at its own sampling settings.

        Args:
            bundle: the talker.
            num_samples: sampling seeds, where its temperature is not 0.

        Returns:
            `voice` and `emotion` -> figures; kinds of which the bundle and the corpus share fewer than two are absent.
        """
        count = num_samples if bundle.sampling.temperature else 1
        styles = {
            "voice": {name: Style(voice=name) for name in bundle.talker.speakers},
            "emotion": {name: Style(emotion=name) for name in bundle.talker.emotions},
        }
        scores: dict[str, dict[str, Any]] = {}
        for kind, classifier in self.classifiers.items():
            known = {name: style for name, style in styles[kind].items() if name in classifier.labels}
            if len(known) < 2:
                continue
            draws = [self._draw(bundle, classifier, known, sample) for sample in range(count)]
            scores[kind] = {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
            for name in ("accuracy", "upper_face_displacement"):
                scores[kind][f"{name}_by_seed"] = [draw[name] for draw in draws]
            scores[kind] |= {"chance": 1.0 / len(classifier.labels), "classes": len(classifier.labels)}
            scores[kind] |= {"clips": len(self.clips), "ceiling": self.ceiling[kind]}
        return scores

    def _draw(
        self, bundle: Bundle, classifier: StyleClassifier, styles: Mapping[str, Style], sample: int
    ) -> dict[str, float]:
        """Every clip in every style with one seed per clip: what differs between styles is due to the style."""
        seeds = sampling_seeds(self.clips, seed=self.seed, sample=sample)
        motions = {name: _animated(bundle, self.clips, style, seeds=seeds) for name, style in styles.items()}
        features = upper_face_features([motion for row in motions.values() for motion in row], self.channel_names)
        asked_for = [name for name, row in motions.items() for _ in row]
        upper, lips = (_named(self.channel_names, region) for region in (UPPER_FACE_CHANNELS, LIP_CHANNELS))
        return {
            "accuracy": classifier.balanced_accuracy(features, asked_for),
            "upper_face_displacement": _displacement(list(motions.values()), upper),
            "lip_displacement": _displacement(list(motions.values()), lips),
        }


def upper_face_features(
    motions: Iterable[MotionClip], channel_names: Sequence[str]
) -> Float[np.ndarray, "clips features"]:
    """Per clip the mean and the standard deviation over time of every upper-face channel in `channel_names`."""
    upper = _named(channel_names, UPPER_FACE_CHANNELS)
    curves = [motion.with_channels(upper).coefficients for motion in motions]
    return np.stack([np.concatenate([curve.mean(axis=0), curve.std(axis=0)]) for curve in curves]).astype(np.float64)


def _animated(bundle: Bundle, clips: Sequence[Clip], style: Style, *, seeds: Sequence[int]) -> list[MotionClip]:
    motions: list[MotionClip] = []
    for begin in range(0, len(clips), _BATCH):
        waveforms = [clip.waveform for clip in clips[begin : begin + _BATCH]]
        chosen = list(seeds[begin : begin + _BATCH])
        motions += animate_batch(bundle, waveforms, seeds=chosen, styles=[style] * len(waveforms))
    return motions


def _displacement(motions: Sequence[Sequence[MotionClip]], channels: Sequence[str]) -> float:
    """Mean |difference| over all pairs of styles, clips, frames and channels (coefficients)."""
    curves = [np.concatenate([motion.with_channels(channels).coefficients for motion in row]) for row in motions]
    return float(np.mean([np.abs(a - b).mean() for a, b in itertools.combinations(curves, 2)]))


def _named(channel_names: Sequence[str], region: Sequence[int]) -> tuple[str, ...]:
    return tuple(CHANNELS[index] for index in region if CHANNELS[index] in channel_names)
