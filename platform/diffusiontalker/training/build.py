"""What the loop works on: the talker and its objective, as the configuration describes them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from diffusiontalker.config import ConfigError
from diffusiontalker.data import Corpus, channel_statistics
from diffusiontalker.face import MotionClip
from diffusiontalker.inference import Bundle, load_bundle
from diffusiontalker.models import Talker, TalkerConfig
from diffusiontalker.training.objectives import (
    DistillationObjective,
    DistillationObjectiveConfig,
    TeacherObjective,
)
from diffusiontalker.training.ranks import Ranks

if TYPE_CHECKING:
    from diffusiontalker.training.loop import TrainingConfig

Objective = TeacherObjective | DistillationObjective


def build_talker(config: "TrainingConfig", corpus: Corpus, *, teacher: Talker | None = None) -> Talker:
    """The talker that training starts from: fresh, or with the weights of the bundle that the config names.

    A teacher has the labels and channel statistics of the corpus' training clips, a student those of its teacher.

    Args:
        config: the training.
        corpus: what is learnt from.
        teacher: a student's; loaded when it is not given.

    Raises:
        ConfigError: when the starting bundle or the teacher do not fit the config.
    """
    if isinstance(config.objective, DistillationObjectiveConfig):
        if config.talker.encoder.is_frozen and not config.objective.precompute:
            raise ConfigError(
                "objective.precompute is false, but the student's speech encoder is frozen and hears no sound in "
                "training; set precompute: true"
            )
        talker = student_of(teacher or load_teacher(config.objective).talker, config.talker)
        require_fitting(corpus, talker)
    else:
        talker = _talker_for(corpus, config.talker)
    if config.start_from:
        _start_from(talker, load_bundle(config.start_from).talker, where=config.start_from)
    return talker


def _start_from(talker: Talker, other: Talker, *, where: str) -> None:
    for what in ("speakers", "emotions", "channel_names", "motion_fps"):
        mine, its = getattr(talker, what), getattr(other, what)
        if mine != its:
            raise ConfigError(
                f"start_from {where}: its {what} are {its}, expected {mine}; start from a bundle of the same labels, "
                "or from none"
            )
    try:
        talker.load_state_dict(other.state_dict())
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"start_from {where}: its network is another one than talker describes ({reason}); start from a bundle of "
            "the same sizes, or from none"
        ) from None


def build_objective(
    talker: Talker, config: "TrainingConfig", *, ranks: Ranks, teacher: Talker | None = None
) -> Objective:
    """The objective around a talker, on the talker's device; a teacher that is not given is loaded."""
    if isinstance(config.objective, DistillationObjectiveConfig):
        device = talker.statistics.mean.device
        teacher = teacher or load_teacher(config.objective, device=device).talker
        return DistillationObjective(talker, config.objective, teacher=teacher, ranks=ranks).to(device)
    return TeacherObjective(talker, config.objective, ranks=ranks)


def student_of(teacher: Talker, config: TalkerConfig) -> Talker:
    """A fresh talker of another size with its teacher's labels, statistics and prototypes.

    No training changes the prototypes of speakers and emotions, so that they mean the same to teacher and student.

    Raises:
        ConfigError: when the embeddings differ in size, so that prototypes and voices could not be shared.
    """
    expected, given = teacher.config.personalizer.embedding_dim, config.personalizer.embedding_dim
    if given != expected:
        raise ConfigError(
            f"talker.personalizer.embedding_dim is {given}, the teacher's is {expected}; give the student the same, "
            "its size lies in hidden_dim, personalized_dim, encoder and denoiser"
        )
    student = Talker(
        config,
        speakers=teacher.speakers,
        emotions=teacher.emotions,
        channel_names=teacher.channel_names,
        motion_fps=teacher.motion_fps,
    )
    student.statistics.load_state_dict(teacher.statistics.state_dict())
    with torch.no_grad():
        for name in ("identity_prototypes", "emotion_prototypes", "unknown_identity"):
            getattr(student.personalizer, name).copy_(getattr(teacher.personalizer, name))
    for prototypes in (student.personalizer.identity_prototypes, student.personalizer.emotion_prototypes):
        prototypes.requires_grad_(False)
    return student


def load_teacher(objective: DistillationObjectiveConfig, *, device: torch.device | str = "cpu") -> Bundle:
    """The teacher's bundle.

    Raises:
        ConfigError: when none is named, or it is another one than the run began with.
        BundleError: when it cannot be loaded.
    """
    if not objective.teacher:
        raise ConfigError("objective.teacher is empty; distillation needs the folder of the teacher's bundle")
    bundle = load_bundle(objective.teacher, device=device)
    if objective.teacher_digest and bundle.digest != objective.teacher_digest:
        raise ConfigError(
            f"objective.teacher {objective.teacher} has the digest {bundle.digest[:12]}, expected "
            f"{objective.teacher_digest[:12]}: it was replaced since this run began; put the old one back, or start a "
            "new run"
        )
    return bundle


def require_fitting(corpus: Corpus, talker: Talker) -> Corpus:
    """The corpus, if its motion has the talker's rate and channels.

    Raises:
        ConfigError: when it has not.
    """
    info = corpus.info
    if info.motion_fps != talker.motion_fps:
        raise ConfigError(
            f"corpus {corpus.uri} has motion at {info.motion_fps:g} fps, the talker moves at {talker.motion_fps:g}; "
            "import or label it at the talker's rate"
        )
    if info.channel_names != talker.channel_names:
        raise ConfigError(
            f"corpus {corpus.uri} has {len(info.channel_names)} channels that are not, in this order, the talker's "
            f"{len(talker.channel_names)}; import it with the talker's channels"
        )
    return corpus


def _talker_for(corpus: Corpus, config: TalkerConfig) -> Talker:
    """A fresh talker with the labels of a corpus' training clips and their channel statistics."""
    speakers, emotions = set[str](), set[str]()

    def observed() -> Iterator[MotionClip]:
        for speaker, emotion, motion in corpus.faces("train"):
            speakers.add(speaker)
            emotions.add(emotion)
            yield motion

    mean, scale = channel_statistics(observed())
    talker = Talker(
        config,
        speakers=sorted(speakers),
        emotions=sorted(emotions, key=lambda name: (name != "neutral", name)),
        channel_names=corpus.info.channel_names,
        motion_fps=corpus.info.motion_fps,
    )
    talker.statistics.mean.copy_(torch.from_numpy(mean))
    talker.statistics.scale.copy_(torch.from_numpy(scale))
    return talker
