"""The teacher objective: a batch of windows in, named losses out. One gradient pass serves several noise levels.

The same objective with `kind: regression` trains the deterministic control: always pure (zero) noise at t = 1, so the
network learns the conditional mean and one step from zero noise evaluates it.

All random choices of an example come from its own seed, so a batch split over ranks gives the same gradients.
"""

import dataclasses
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from diffusiontalker.data import Batch
from diffusiontalker.diffusion import add_noise
from diffusiontalker.losses import motion_velocity_loss, pair_contrast, prototype_contrast, reconstruction_loss
from diffusiontalker.models import Talker, frame_mask
from diffusiontalker.training.ranks import Ranks


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TeacherObjectiveConfig:
    """Weights and probabilities of the teacher objective."""

    kind: Literal["diffusion", "regression"] = "diffusion"
    """`diffusion`: the method. `regression`: the deterministic control of the same network."""
    noise_levels: int = 4
    """Noise levels per window and step, stratified over [0, 1]; the speech encoder runs once for all of them."""
    pure_noise_probability: float = 0.1
    """Chance that a noise level is t = 1, where the prediction is the conditional mean and sampling starts."""
    velocity_weight: float = 1.0
    """Weight of the motion velocity loss."""
    prototype_weight: float = 0.1
    """Weight of the audio-to-prototype contrast (identity and emotion)."""
    pair_weight: float = 0.05
    """Weight of the contrast between two crops."""
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
    """(batch, levels) noise levels."""
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


def draw(seeds: Tensor, *, config: TeacherObjectiveConfig, frames: int, channels: int, device: torch.device) -> Draws:
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
        noise = generator.standard_normal((frames, levels, channels), dtype=np.float32).swapaxes(0, 1)
        if config.kind == "regression":
            time, noise, dropped = np.ones_like(time), np.zeros_like(noise), np.zeros_like(dropped)
        rows.append((time.astype(np.float32), noise, dropped, choices))
    time, noise, dropped, choices = (np.stack(column) for column in zip(*rows, strict=True))
    unknown, reference, identity_prototype, emotion_prototype = torch.from_numpy(choices).to(device).unbind(dim=1)
    return Draws(
        time=torch.from_numpy(time).to(device),
        noise=torch.from_numpy(noise).to(device),
        is_dropped=torch.from_numpy(dropped).to(device),
        is_unknown=unknown,
        use_reference=reference,
        use_identity_prototype=identity_prototype,
        use_emotion_prototype=emotion_prototype,
    )


class TeacherObjective(nn.Module):
    """Losses of a talker on a batch; a module so that DistributedDataParallel can wrap it."""

    def __init__(self, talker: Talker, config: TeacherObjectiveConfig, *, ranks: Ranks = Ranks()) -> None:  # noqa: B008
        super().__init__()
        self.talker, self.config, self.ranks = talker, config, ranks

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """`loss` (to be minimized; its gradient averaged over ranks is that of the whole batch) and its parts."""
        config, talker = self.config, self.talker
        draws = draw(
            batch.seeds,
            config=config,
            frames=batch.motion.shape[1],
            channels=batch.motion.shape[2],
            device=batch.motion.device,
        )
        features, speech_mask = self._features(batch.speech, batch.lengths)
        reference, reference_mask = self._features(batch.reference, batch.reference_lengths)
        own = talker.personalizer.embed(features, speech_mask)
        other = talker.personalizer.embed(reference, reference_mask)
        personalized = self._personalized(own, other, batch, draws)
        losses = self._motion_losses(features, personalized, batch, draws) | self._contrasts(own, other, batch)
        losses["loss"] = (
            losses["loss_motion"]
            + config.velocity_weight * losses["loss_velocity"]
            + config.prototype_weight * losses["loss_prototype"]
            + config.pair_weight * losses["loss_pair"]
        )
        return losses

    def _features(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Speech features and mask; a frozen encoder's features arrive ready-made."""
        if speech.ndim == 3:
            return self.talker.hold_last(speech, lengths)
        return self.talker.encode(speech, lengths)

    def _personalized(
        self, own: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], batch: Batch, draws: Draws
    ) -> Tensor:
        """Personalized embeddings from audio, prototypes or `unknown`, as drawn.

        The embeddings are detached: what they mean is set by the contrast alone, so that they cannot become a side
        channel for what is said.
        """
        personalizer = self.talker.personalizer
        prototypes = personalizer.prototypes()
        chosen = []
        for audio, reference, table, labels, use_prototype in zip(
            own,
            other,
            prototypes,
            (batch.speaker, batch.emotion),
            (draws.use_identity_prototype, draws.use_emotion_prototype),
            strict=True,
        ):
            embedding = torch.where(draws.use_reference[:, None], reference, audio).detach()
            is_known = (use_prototype & (labels >= 0))[:, None]
            chosen.append(torch.where(is_known, table[labels.clamp_min(0)].detach(), embedding))
        unknown = nn.functional.normalize(personalizer.unknown_identity, dim=-1)
        identity = torch.where(draws.is_unknown[:, None], unknown, chosen[0])
        return personalizer(identity, chosen[1])

    def _motion_losses(self, features: Tensor, personalized: Tensor, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        talker, levels = self.talker, self.config.noise_levels
        frames = batch.motion.shape[1]
        target = talker.statistics.normalize(batch.motion).repeat_interleave(levels, dim=0)
        mask = frame_mask(batch.frames, frames)[..., None].to(target.dtype).repeat_interleave(levels, dim=0)
        time, noise = draws.time.flatten(), draws.noise.flatten(0, 1)
        noisy = add_noise(target, noise, time) * mask
        aligned = talker.to_motion_rate(features, frames=frames).repeat_interleave(levels, dim=0)
        condition = talker.denoiser.drop_condition(
            aligned, personalized.repeat_interleave(levels, dim=0), draws.is_dropped.flatten()
        )
        predicted = talker.predict_clean(noisy, time, *condition, mask)
        # Every rank divides by the mean count of the ranks: the average of their gradients is the batch's gradient.
        count = self.ranks.total(mask.sum()) / self.ranks.world_size
        return {
            "loss_motion": reconstruction_loss(predicted, target, mask, count=count),
            "loss_velocity": motion_velocity_loss(predicted, target, mask, count=count),
        }

    def _contrasts(self, own: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Contrasts over the batches of all ranks."""
        gather = self.ranks.gather
        prototype = pair = batch.motion.new_zeros(())
        for audio, reference, table, labels in zip(
            own, other, self.talker.personalizer.prototypes(), (batch.speaker, batch.emotion), strict=True
        ):
            audio, reference, labels = gather(audio), gather(reference), gather(labels)
            is_known = labels >= 0
            if is_known.any():
                prototype = prototype + prototype_contrast(audio[is_known], table, labels[is_known])
                prototype = prototype + prototype_contrast(reference[is_known], table, labels[is_known])
            pair = pair + pair_contrast(audio, reference, labels)
        return {"loss_prototype": prototype / 4.0, "loss_pair": pair / 2.0}
