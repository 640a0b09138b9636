"""The teacher objective: a batch of windows in, named losses out. One gradient pass serves several noise levels.

The same objective with `kind: regression` trains the deterministic control: always pure (zero) noise at t = 1, so the
network learns the conditional mean and one step from zero noise evaluates it.
"""

import dataclasses
from typing import Literal

import torch
from torch import Tensor, nn

from diffusiontalker.data.collate import Batch
from diffusiontalker.diffusion import add_noise
from diffusiontalker.losses import motion_velocity_loss, pair_contrast, prototype_contrast, reconstruction_loss
from diffusiontalker.models import Talker, frame_mask
from diffusiontalker.training.objectives.conditioning import (
    ConditioningConfig,
    Draws,
    Heard,
    draw,
    hear,
    personalize,
)
from diffusiontalker.training.ranks import Ranks


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TeacherObjectiveConfig(ConditioningConfig):
    """Weights and probabilities of the teacher objective."""

    kind: Literal["diffusion", "regression"] = "diffusion"
    """`diffusion`: the method. `regression`: the deterministic control of the same network."""
    prototype_weight: float = 0.1
    """Weight of the audio-to-prototype contrast (identity and emotion)."""
    pair_weight: float = 0.05
    """Weight of the contrast between two crops."""


class TeacherObjective(nn.Module):
    """Losses of a talker on a batch; a module so that DistributedDataParallel can wrap it."""

    leaves_unused = False
    """Whether a step may leave some parameters without gradient."""

    def __init__(self, talker: Talker, config: TeacherObjectiveConfig, *, ranks: Ranks = Ranks()) -> None:  # noqa: B008
        super().__init__()
        self.talker, self.config, self.ranks = talker, config, ranks

    def validating(self, talker: Talker) -> "TeacherObjective":
        """The same objective for validating other weights: always with its condition, in one process."""
        return TeacherObjective(talker, dataclasses.replace(self.config, condition_dropout=0.0)).eval()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """`loss` (to be minimized; its gradient averaged over ranks is that of the whole batch) and its parts."""
        config, talker = self.config, self.talker
        draws = self.draw(batch)
        heard = hear(talker, batch)
        personalized = personalize(talker, heard, speaker=batch.speaker, emotion=batch.emotion, draws=draws)
        losses = self._motion_losses(heard, personalized, batch, draws)
        losses |= self._contrasts(heard, batch)
        losses["loss"] = (
            losses["loss_motion"]
            + config.velocity_weight * losses["loss_velocity"]
            + config.prototype_weight * losses["loss_prototype"]
            + config.pair_weight * losses["loss_pair"]
        )
        return losses

    def draw(self, batch: Batch) -> Draws:
        """The random choices of a batch; the regression sees pure zero noise and always its condition."""
        _, frames, channels = batch.motion.shape
        draws = draw(batch.seeds, config=self.config, frames=frames, channels=channels, device=batch.motion.device)
        if self.config.kind == "diffusion":
            return draws
        return dataclasses.replace(
            draws,
            time=torch.ones_like(draws.time),
            noise=torch.zeros_like(draws.noise),
            is_dropped=torch.zeros_like(draws.is_dropped),
        )

    def _motion_losses(self, heard: Heard, personalized: Tensor, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        talker, levels = self.talker, self.config.noise_levels
        frames = batch.motion.shape[1]
        target = talker.statistics.normalize(batch.motion).repeat_interleave(levels, dim=0)
        mask = frame_mask(batch.frames, frames)[..., None].to(target.dtype).repeat_interleave(levels, dim=0)
        time, noise = draws.time.flatten(), draws.noise.flatten(0, 1)
        noisy = add_noise(target, noise, time) * mask
        aligned = talker.to_motion_rate(heard.features, frames=frames).repeat_interleave(levels, dim=0)
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

    def _contrasts(self, heard: Heard, batch: Batch) -> dict[str, Tensor]:
        """The personalizer's contrasts over the batches of all ranks: audio against prototypes, crop against crop."""
        gather, prototypes = self.ranks.gather, self.talker.personalizer.prototypes()
        prototype = pair = batch.motion.new_zeros(())
        for own, reference, table, labels in zip(
            heard.own, heard.reference, prototypes, (batch.speaker, batch.emotion), strict=True
        ):
            own, reference, labels = gather(own), gather(reference), gather(labels)
            is_known = labels >= 0
            if is_known.any():
                prototype = prototype + prototype_contrast(own[is_known], table, labels[is_known])
                prototype = prototype + prototype_contrast(reference[is_known], table, labels[is_known])
            # Every rank gives every parameter a gradient, also where no label is known.
            prototype = prototype + 0.0 * table.sum()
            # A clip without a label is nobody else's: only its own crops are known to belong together.
            nobody = -1 - torch.arange(len(labels), device=labels.device)
            pair = pair + pair_contrast(own, reference, torch.where(is_known, labels, nobody))
        return {"loss_prototype": prototype / 4.0, "loss_pair": pair / 2.0}
