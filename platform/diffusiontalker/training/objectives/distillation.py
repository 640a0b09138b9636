"""The distillation objective: a student learns to do in one DDIM step what its teacher does in two.

    L = L_dis + w_vel L_velocity + w_ae L_ae + w_id L_id + w_pc L_pc + w_dyn L_dyn + w_gt L_truth

Only sound is needed: the recorded motion serves as starting point of the noise, and as truth where there is some.
What a voice means is the teacher's to say: its prototypes stay as they are, and the student's personalizer learns to
embed sound as the teacher does, in more voices than were recorded. With `student_steps: 0` nothing but the small
encoder and the personalizer learn: the warm-up before the first halving.
Source: Salimans & Ho 2022 (arXiv 2202.00512); DiffusionTalker (arXiv 2503.18159).
"""

import dataclasses
from typing import Literal

import torch
from torch import Tensor, nn

from diffusiontalker.data.collate import Batch
from diffusiontalker.diffusion import add_noise, ddim_step
from diffusiontalker.face.arkit import CHANNELS, LIP_CHANNELS, UPPER_FACE_CHANNELS
from diffusiontalker.losses import (
    distillation_loss,
    dynamics_loss,
    embedding_alignment_loss,
    enhancer_loss,
    feature_alignment_loss,
    moments_over_time,
    motion_velocity_loss,
    progressive_target,
    reconstruction_loss,
    truncated_snr_weight,
)
from diffusiontalker.models import MotionEncoder, StyleEncoder, Talker, frame_mask
from diffusiontalker.training.objectives.conditioning import (
    ConditioningConfig,
    Draws,
    Heard,
    draw,
    hear,
    listen,
    personalize,
    with_mels,
)
from diffusiontalker.training.ranks import Ranks


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DistillationObjectiveConfig(ConditioningConfig):
    """Whom the student learns from, and what."""

    kind: Literal["distillation"] = "distillation"
    """Names this objective."""
    teacher: str = ""
    """Folder of the teacher's bundle; every worker must see it."""
    teacher_digest: str = ""
    """Digest the teacher's bundle must have; empty: not checked."""
    paths: str = ""
    """Folder of ready-made windows with the teacher's own way from noise to motion (`training.teacher_paths`); every
    worker must see it. Empty: windows are cut from the corpus, and the teacher is asked in every step."""
    precompute: bool = True
    """Compute the teacher's speech features of the windows once per clip instead of in every step; their sound is then
    varied for the student only, and not in speed."""
    student_steps: int = 8
    """Diffusion steps n of the student; its teacher takes 2n. 0: the encoder's warm-up, without any motion."""
    noise_levels: int = 2
    """Noise levels per window and step, stratified over the student's n times."""
    feature_weight: float = 0.5
    """w_ae: the student's speech features against the teacher's."""
    embedding_weight: float = 4.0
    """w_id: the student's identity and emotion embeddings against the teacher's."""
    voice_range: float = 1.6
    """Reference crops are played up to so many times faster or slower, for student and teacher alike, so that the
    student learns voices that nobody recorded. 1: as recorded. Without effect where either speech encoder is
    pretrained: its features are computed before."""
    enhancer_weight: float = 0.5
    """w_pc: the personalizer enhancer."""
    dynamics_weight: float = 8.0
    """w_dyn: how much every upper-face channel moves, against how much the teacher moves it."""
    truth_weight: float = 0.5
    """w_gt: predicted lips and jaw against recorded ones, where there are some. The upper face is left to the teacher:
    speech decides little about it, and the truth would draw it towards a still mean."""
    swap_probability: float = 0.25
    """Chance that an example is spoken in the prototype of a random speaker and emotion, from pure noise."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        ConditioningConfig.__post_init__(self)
        if self.student_steps < 0:
            raise ValueError(f"student_steps is {self.student_steps}, expected 0 (warm-up) or more")
        if not 1.0 <= self.voice_range <= 2.0:
            raise ValueError(f"voice_range is {self.voice_range}, expected 1 (voices as they are) to 2")
        if self.paths and self.condition_dropout:
            raise ValueError(
                f"condition_dropout is {self.condition_dropout:g}, but the teacher went every path with its condition; "
                "set it to 0"
            )


def hears_references(student: Talker, teacher: Talker) -> bool:
    """Whether a teacher hears the student's reference crops in every step: a pretrained encoder would take too long."""
    return not (student.config.encoder.is_frozen or teacher.config.encoder.is_frozen)


class DistillationObjective(nn.Module):
    """Losses of a student on a batch, and the networks that only judge it.

    Args:
        talker: the student.
        config: weights and probabilities.
        teacher: frozen, in eval mode, of the same speakers, emotions, channels and embedding size.
        ranks: position in the process group.
    """

    def __init__(
        self,
        talker: Talker,
        config: DistillationObjectiveConfig,
        *,
        teacher: Talker,
        ranks: Ranks = Ranks(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.talker, self.config, self.ranks = talker, config, ranks
        # In a tuple, so that it is no submodule: neither trained nor checkpointed.
        self._teacher = (teacher,)
        width, taught_width = talker.encoder.feature_dim, teacher.encoder.feature_dim
        self.feature_projection = nn.Identity() if width == taught_width else nn.Linear(width, taught_width)
        self.leaves_unused = config.student_steps == 0
        self.lip_columns = _columns(talker.channel_names, LIP_CHANNELS)
        self.upper_columns = _columns(talker.channel_names, UPPER_FACE_CHANNELS)
        if config.enhancer_weight:
            self.motion_encoder = MotionEncoder(len(self.upper_columns))
            self.style_encoder = StyleEncoder(talker.config.personalizer.personalized_dim)

    @property
    def teacher(self) -> Talker:
        """The network to learn from."""
        return self._teacher[0]

    def validating(self, talker: Talker) -> "DistillationObjective":
        """The same objective for validating other weights: always with its condition, in one process."""
        config = dataclasses.replace(self.config, condition_dropout=0.0)
        other = DistillationObjective(talker, config, teacher=self.teacher)
        for name in ("feature_projection", "motion_encoder", "style_encoder"):
            if hasattr(self, name):
                setattr(other, name, getattr(self, name))
        return other.eval()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """`loss` (to be minimized; its gradient averaged over ranks is that of the whole batch) and its parts."""
        config = self.config
        with torch.no_grad():
            batch = with_mels(batch, (self.talker, self.teacher))
            taught = self.hear_as_teacher(batch)
        heard = hear(self.talker, batch)
        losses = self._alignment(heard, taught)
        if config.student_steps:
            losses |= self._motion_losses(heard, taught, batch)
        weights = {
            "loss_feature": config.feature_weight,
            "loss_embedding": config.embedding_weight,
            "loss_distillation": 1.0,
            "loss_velocity": config.velocity_weight,
            "loss_enhancer": config.enhancer_weight,
            "loss_dynamics": config.dynamics_weight,
            "loss_truth": config.truth_weight,
        }
        losses["loss"] = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        return losses

    def hear_as_teacher(self, batch: Batch) -> Heard:
        """What the teacher makes of the sound of a batch; ready-made where the batch holds it."""
        teacher = self.teacher
        if batch.taught is None or batch.taught_lengths is None:
            features, mask = listen(teacher, batch.speech, batch.lengths)
        else:
            features, mask = teacher.hold_last(batch.taught, batch.taught_lengths)
        if batch.taught_embeddings is not None:
            own, reference = ((pair[:, 0], pair[:, 1]) for pair in batch.taught_embeddings.unbind(dim=1))
            return Heard(features=features, mask=mask, own=own, reference=reference)
        own = reference = teacher.personalizer.embed(features, mask)
        if hears_references(self.talker, teacher):
            reference = teacher.personalizer.embed(*listen(teacher, batch.reference, batch.reference_lengths))
        return Heard(features=features, mask=mask, own=own, reference=reference)

    def _alignment(self, heard: Heard, taught: Heard) -> dict[str, Tensor]:
        mask = heard.mask[..., None].to(heard.features.dtype)
        mine, its = heard.own, taught.own
        if hears_references(self.talker, self.teacher):
            mine, its = mine + heard.reference, its + taught.reference
        return {
            "loss_feature": feature_alignment_loss(
                self.feature_projection(heard.features), taught.features, mask, count=self._count(mask)
            ),
            "loss_embedding": torch.stack([*map(embedding_alignment_loss, mine, its)]).mean(),
        }

    def _motion_losses(self, heard: Heard, taught: Heard, batch: Batch) -> dict[str, Tensor]:
        """L_dis, velocity, L_dyn, L_pc and the distance to the truth."""
        levels = self.config.noise_levels
        draws, labels = self.draw(batch)
        speaker, emotion = labels
        personalized = personalize(self.talker, heard, speaker=speaker, emotion=emotion, draws=draws)
        frames = batch.motion.shape[1]
        clean = self.talker.statistics.normalize(batch.motion).repeat_interleave(levels, dim=0)
        mask = frame_mask(batch.frames, frames)[..., None].to(clean.dtype).repeat_interleave(levels, dim=0)
        time = draws.time.flatten()
        if batch.path is None:
            noisy = add_noise(clean, draws.noise.flatten(0, 1), time) * mask
            with torch.no_grad():
                style = personalize(self.teacher, taught, speaker=speaker, emotion=emotion, draws=draws)
                condition = self._condition(self.teacher, taught, style, draws, frames=frames)
                target = self._two_teacher_steps(noisy, time, condition, mask)
        else:
            noisy, target = self._on_path(batch.path.repeat_interleave(levels, dim=0), time)
        predicted = self.talker.predict_clean(
            noisy, time, *self._condition(self.talker, heard, personalized, draws, frames=frames), mask
        ).float()
        count = self._count(mask)
        weight = truncated_snr_weight(time)
        losses = {
            "loss_distillation": distillation_loss(predicted, target, weight, mask, count=count),
            "loss_velocity": motion_velocity_loss(predicted, target, mask, count=count),
        }
        upper = self.upper_columns
        student, teacher = (moments_over_time(motion[..., upper], mask) for motion in (predicted, target))
        (_, deviation), (_, taught_deviation) = student, teacher
        losses["loss_dynamics"] = dynamics_loss(deviation, taught_deviation)
        if self.config.enhancer_weight:
            losses["loss_enhancer"] = self._enhancer(
                personalized, student, teacher, draws, self._style_labels(batch, draws, labels)
            )
        if self.config.truth_weight:
            # Not in a swapped style; that `unknown` or a changed voice speaks is accepted, as lips hardly show it.
            has_truth = batch.is_recorded & (draws.swap[:, 0] >= self.config.swap_probability)
            known = mask * has_truth.to(mask.dtype).repeat_interleave(levels)[:, None, None]
            lips = self.lip_columns
            losses["loss_truth"] = reconstruction_loss(
                predicted[..., lips], clean[..., lips], known, count=self._count(known)
            )
        return losses

    def draw(self, batch: Batch) -> tuple[Draws, tuple[Tensor, Tensor]]:
        """The random choices with times on the student's grid; and the speakers and emotions, some of them swapped."""
        config, steps = self.config, self.config.student_steps
        _, frames, channels = batch.motion.shape
        draws = draw(batch.seeds, config=config, frames=frames, channels=channels, device=batch.motion.device)
        is_swapped = draws.swap[:, 0] < config.swap_probability
        prototypes = self.talker.personalizer.prototypes()
        labels = tuple(
            torch.where(is_swapped, (draws.swap[:, column] * len(table)).long(), own)
            for column, table, own in zip((1, 2), prototypes, (batch.speaker, batch.emotion), strict=True)
        )
        time = ((draws.time * steps).floor() + 1.0).clamp_max(steps) / steps
        draws = dataclasses.replace(
            draws,
            time=torch.where(is_swapped[:, None], 1.0, time),
            is_unknown=draws.is_unknown & ~is_swapped,
            use_identity_prototype=draws.use_identity_prototype | is_swapped,
            use_emotion_prototype=draws.use_emotion_prototype | is_swapped,
        )
        return draws, (labels[0], labels[1])

    def _condition(
        self, talker: Talker, heard: Heard, personalized: Tensor, draws: Draws, *, frames: int
    ) -> tuple[Tensor, Tensor]:
        """Features at motion rate and personalized embeddings, one row per noise level."""
        levels = self.config.noise_levels
        aligned = talker.to_motion_rate(heard.features, frames=frames).repeat_interleave(levels, dim=0)
        return talker.denoiser.drop_condition(
            aligned, personalized.repeat_interleave(levels, dim=0), draws.is_dropped.flatten()
        )

    def _two_teacher_steps(self, noisy: Tensor, time: Tensor, condition: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """The clean motion that takes the student in one step where the teacher gets in two."""
        half = 0.5 / self.config.student_steps
        middle, landing = time - half, (time - 2.0 * half).clamp_min(0.0)
        first = self.teacher.predict_clean(noisy, time, *condition, mask).float()
        halfway = ddim_step(noisy, first, time, middle)
        second = self.teacher.predict_clean(halfway, middle, *condition, mask).float()
        landed = ddim_step(halfway, second, middle, landing)
        return progressive_target(noisy, landed, time, landing)

    def _on_path(self, path: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Where the teacher was at these times, and the clean motion that leads to where it was one step later.

        Source: learning from a sampler's whole path, Luhman & Luhman 2021 (arXiv 2101.02388), here step by step.
        """
        stride, rest = divmod(path.shape[2] - 1, self.config.student_steps)
        assert not rest, f"a path of {path.shape[2] - 1} steps cannot be taken in {self.config.student_steps}"
        state = (time * (path.shape[2] - 1)).round().long()
        rows = torch.arange(len(path), device=path.device)
        noisy, landed = path[rows, :, state], path[rows, :, state - stride]
        return noisy, progressive_target(noisy, landed, time, (time - 1.0 / self.config.student_steps).clamp_min(0.0))

    def _enhancer(
        self,
        personalized: Tensor,
        student: tuple[Tensor, Tensor],
        teacher: tuple[Tensor, Tensor],
        draws: Draws,
        labels: Tensor,
    ) -> Tensor:
        """L_pc on the upper level of every example that has its condition there, over the batches of all ranks."""
        levels, gather = self.config.noise_levels, self.ranks.gather
        has_condition = ~gather(draws.is_dropped[:, -1])
        rows = (
            self.style_encoder(personalized),
            *(self.motion_encoder(*(row[levels - 1 :: levels] for row in moments)) for moments in (student, teacher)),
            labels,
        )
        if not has_condition.any():
            return 0.0 * torch.stack([row.float().sum() for row in rows[:3]]).sum()
        return enhancer_loss(*(gather(row)[has_condition] for row in rows))

    def _style_labels(self, batch: Batch, draws: Draws, labels: tuple[Tensor, Tensor]) -> Tensor:
        """(batch,) equal where two examples are of one speaker, or both of nobody, in one emotion."""
        speaker, emotion = torch.where(draws.is_unknown, -1, labels[0]), labels[1]
        is_known = (emotion >= 0) & (draws.is_unknown | (speaker >= 0))
        emotions = len(self.talker.emotions)
        unique = -1 - emotions - batch.seeds.to(speaker)
        return torch.where(is_known, speaker * emotions + emotion, unique)

    def _count(self, mask: Tensor) -> Tensor:
        """Frames per rank: every rank divides by the mean count, so averaged gradients are the batch's gradient."""
        return self.ranks.total(mask.sum()) / self.ranks.world_size


def _columns(channel_names: tuple[str, ...], region: tuple[int, ...]) -> list[int]:
    """Columns of a face region; all of them where the channels are none of ARKit's (vertices, say)."""
    names = {CHANNELS[index] for index in region}
    columns = [column for column, name in enumerate(channel_names) if name in names]
    return columns or list(range(len(channel_names)))
