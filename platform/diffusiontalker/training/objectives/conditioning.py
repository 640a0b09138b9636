"""What every objective shares: an example's random choices, what a talker hears, and in which style it speaks.

All random choices of an example come from its own seed, so a batch split over ranks gives the same gradients.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from diffusiontalker.audio import timebase
from diffusiontalker.audio.log_mel import log_mel
from diffusiontalker.data.collate import Batch
from diffusiontalker.models import LogMelEncoder, Talker


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ConditioningConfig:
    """How noise levels, speech and personalization are drawn, and what else objectives share."""

    noise_levels: int = 4
    """Noise levels per window and step, stratified over [0, 1]; the speech encoder runs once for all of them."""
    pure_noise_probability: float = 0.1
    """Chance that a noise level is t = 1, where the prediction is the conditional mean and sampling starts."""
    velocity_weight: float = 1.0
    """Weight of the motion velocity loss."""
    condition_dropout: float = 0.1
    """Chance that speech and personalization are dropped, for classifier-free guidance."""
    unknown_identity_probability: float = 0.1
    """Chance that the identity is replaced by the learnt `unknown` prototype."""
    prototype_probability: float = 0.3
    """Chance, for identity and emotion apart, that the label's prototype stands in for the audio's embedding."""
    reference_probability: float = 0.3
    """Chance that the personalizer's embeddings come from the reference crop instead of the window itself."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith(("_probability", "_dropout")) and not 0.0 <= value <= 1.0:
                raise ValueError(f"{field.name} is {value}, expected a probability between 0 and 1")
            if field.name.endswith("_weight") and value < 0.0:
                raise ValueError(f"{field.name} is {value}, expected 0 or more")
        if self.noise_levels < 1:
            raise ValueError(f"noise_levels is {self.noise_levels}, expected at least 1")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Draws:
    """The random choices of a batch, a pure function of its seeds."""

    time: Tensor
    """(batch, levels) noise levels, rising."""
    noise: Tensor
    """(batch, levels, frames, channels) standard normal."""
    is_dropped: Tensor
    """(batch, levels) bool: without condition."""
    is_unknown: Tensor
    """(batch,) bool: identity is replaced by `unknown`."""
    use_reference: Tensor
    """(batch,) bool: embeddings come from the reference crop."""
    use_identity_prototype: Tensor
    """(batch,) bool."""
    use_emotion_prototype: Tensor
    """(batch,) bool."""
    swap: Tensor
    """(batch, 3) uniform in [0, 1): whether to swap the style, and for which speaker and emotion."""


def draw(seeds: Tensor, *, config: ConditioningConfig, frames: int, channels: int, device: torch.device) -> Draws:
    """Everything random about a batch; example `i` depends on `seeds[i]` alone, not on its neighbours or padding."""
    rows = []
    levels = config.noise_levels
    for seed in seeds.tolist():
        generator = np.random.default_rng(seed)
        time = (np.arange(levels) + generator.random()) / levels
        time = np.where(generator.random(levels) < config.pure_noise_probability, 1.0, time)
        dropped = generator.random(levels) < config.condition_dropout
        choices = generator.random(4) < (
            config.unknown_identity_probability,
            config.reference_probability,
            config.prototype_probability,
            config.prototype_probability,
        )
        swap = generator.random(3, dtype=np.float32)
        noise = generator.standard_normal((frames, levels, channels), dtype=np.float32).swapaxes(0, 1)
        rows.append((time.astype(np.float32), noise, dropped, choices, swap))
    columns = zip(*rows, strict=True)
    time, noise, dropped, choices, swap = (torch.from_numpy(np.stack(column)).to(device) for column in columns)
    unknown, reference, identity_prototype, emotion_prototype = choices.unbind(dim=1)
    return Draws(
        time=time,
        noise=noise,
        is_dropped=dropped,
        is_unknown=unknown,
        use_reference=reference,
        use_identity_prototype=identity_prototype,
        use_emotion_prototype=emotion_prototype,
        swap=swap,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What a talker makes of the sound of a batch."""

    features: Tensor
    """(batch, speech_frames, features) at 50 Hz, the last frame held."""
    mask: Tensor
    """(batch, speech_frames) bool."""
    own: tuple[Tensor, Tensor]
    """Identity and emotion embedding of the window, (batch, embedding) each."""
    reference: tuple[Tensor, Tensor]
    """The same of the reference crop."""


def hear(talker: Talker, batch: Batch) -> Heard:
    """Features and embeddings; a frozen encoder's features arrive ready-made."""
    features, mask = listen(talker, batch.speech, batch.lengths)
    reference, reference_mask = listen(talker, batch.reference, batch.reference_lengths)
    return Heard(
        features=features,
        mask=mask,
        own=talker.personalizer.embed(features, mask),
        reference=talker.personalizer.embed(reference, reference_mask),
    )


def with_mels(batch: Batch, talkers: Sequence[Talker]) -> Batch:
    """The batch with sound as log-mel frames, made once for all of the talkers; as it was where one hears other things.

    Log-mel frames are the same for encoders of every size.
    """
    if batch.speech.ndim != 2 or not all(isinstance(talker.encoder, LogMelEncoder) for talker in talkers):
        return batch
    return dataclasses.replace(
        batch,
        speech=log_mel(batch.speech),
        lengths=_mel_lengths(batch.lengths),
        reference=log_mel(batch.reference),
        reference_lengths=_mel_lengths(batch.reference_lengths),
    )


def _mel_lengths(num_samples: Tensor) -> Tensor:
    """Two for every speech frame."""
    return torch.tensor([2 * timebase.speech_frames(number) for number in num_samples.tolist()]).to(num_samples)


def listen(talker: Talker, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """(batch, speech_frames, features) and their mask, from waveforms or from what was made of them before."""
    if speech.ndim == 2:
        return talker.encode(speech, lengths)
    if isinstance(talker.encoder, LogMelEncoder):
        lengths = lengths // 2
        speech = talker.encoder.of_mels(speech, lengths)
    return talker.hold_last(speech, lengths)


def personalize(talker: Talker, heard: Heard, *, speaker: Tensor, emotion: Tensor, draws: Draws) -> Tensor:
    """(batch, personalized) from audio, prototypes or `unknown`, as drawn.

    The embeddings are detached: what they mean is set by losses of their own, so that they cannot become a side channel
    for what is said.
    """
    personalizer = talker.personalizer
    chosen = []
    for own, reference, table, labels, use_prototype in zip(
        heard.own,
        heard.reference,
        personalizer.prototypes(),
        (speaker, emotion),
        (draws.use_identity_prototype, draws.use_emotion_prototype),
        strict=True,
    ):
        embedding = torch.where(draws.use_reference[:, None], reference, own).detach()
        is_known = (use_prototype & (labels >= 0))[:, None]
        chosen.append(torch.where(is_known, table[labels.clamp_min(0)].detach(), embedding))
    unknown = nn.functional.normalize(personalizer.unknown_identity, dim=-1)
    return personalizer(torch.where(draws.is_unknown[:, None], unknown, chosen[0]), chosen[1])
