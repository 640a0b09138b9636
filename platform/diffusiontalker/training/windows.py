"""Which windows a training sees: those of a corpus and of what is added to it, in memory or streamed."""

import dataclasses
import logging
from typing import TYPE_CHECKING

import numpy as np

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.config import ConfigError
from diffusiontalker.data import (
    SILENCE,
    Block,
    Clip,
    Corpus,
    StreamedWindows,
    WindowSource,
    WindowStore,
)
from diffusiontalker.models import Talker
from diffusiontalker.storage import local_copy
from diffusiontalker.training.build import load_teacher, require_fitting
from diffusiontalker.training.objectives import DistillationObjectiveConfig, hears_references
from diffusiontalker.training.ranks import Ranks
from diffusiontalker.training.speech_features import FeatureStore, encoder_digest, silence_features

if TYPE_CHECKING:
    from diffusiontalker.training.loop import TrainingConfig

_LOG = logging.getLogger(__name__)

Windows = WindowSource | WindowStore | StreamedWindows


def window_source(
    config: "TrainingConfig",
    corpus: Corpus,
    talker: Talker,
    *,
    split: str,
    ranks: Ranks = Ranks(),  # noqa: B008
    teacher: Talker | None = None,
) -> Windows:
    """The windows of a split; augmented for training only, from ready-made features when the encoder is frozen.

    With `objective.paths` they are ready-made altogether. A student's teacher that is not given is loaded.

    Raises:
        ConfigError: when a corpus does not fit the talker, or lanes and batch or workers do not divide.
        CorpusError: when the corpus cannot be read, or has too few clips to be streamed.
    """
    if paths := _paths(config):
        with local_copy(f"{paths}/{split}") as folder:
            return WindowStore(folder)  # what is mapped into memory outlives its files
    reader = _SplitReader(config, corpus, talker, split=split, teacher=teacher)
    if not is_streamed(config, corpus, split=split):
        return reader.whole()
    if split == "train":
        require_lanes(config, num_workers=ranks.world_size)
    return StreamedWindows(
        [piece.block.num_clips for piece in reader.pieces],
        load=lambda number: reader.windows(reader.read(reader.pieces[number])),
        batch_size=config.batch_size,
        num_lanes=config.reading.num_lanes if split == "train" else 1,
    )


def is_streamed(config: "TrainingConfig", corpus: Corpus, *, split: str = "train") -> bool:
    """Whether a split, with all that is added to it, is larger than what is held in memory."""
    if _paths(config):
        return False
    extras = [Corpus.open(uri) for uri in config.extra_corpora] if split == "train" else []
    num_bytes = 0.0
    for info in (one.info for one in (corpus, *extras)):
        seconds = info.seconds * info.splits.get(split, 0) / info.num_clips
        num_bytes += seconds * 4 * (SAMPLE_RATE_HZ + info.motion_fps * len(info.channel_names))
    return num_bytes > config.reading.memory_gb * 1e9


def require_lanes(config: "TrainingConfig", *, num_workers: int) -> None:
    """Refuses numbers of lanes, workers and windows that do not divide.

    Raises:
        ConfigError: says which.
    """
    lanes = config.reading.num_lanes
    for what, number, divides in (
        ("batch_size", config.batch_size, config.batch_size % lanes == 0),
        ("the number of workers", num_workers, lanes % num_workers == 0),
    ):
        if not divides:
            raise ConfigError(
                f"the corpus is streamed, reading.num_lanes is {lanes}, {what} {number}; lanes must be a multiple of "
                "the workers, and the batch size a multiple of the lanes"
            )


def _paths(config: "TrainingConfig") -> str:
    """Where a teacher's ready-made paths lie; empty without any."""
    return config.objective.paths if isinstance(config.objective, DistillationObjectiveConfig) else ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Piece:
    """A block of one of the corpora."""

    corpus: Corpus
    block: Block
    mark: str
    """Begins the ids of its clips: file names repeat from folder to folder, ids must not."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Read:
    """Clips, and what frozen encoders make of them."""

    clips: list[Clip] = dataclasses.field(default_factory=list)
    features: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    taught: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    pseudo_labelled: set[str] = dataclasses.field(default_factory=set)

    def add(self, other: "_Read") -> None:
        self.clips.extend(other.clips)
        self.features.update(other.features)
        self.taught.update(other.taught)
        self.pseudo_labelled.update(other.pseudo_labelled)


class _SplitReader:
    """Reads a split, of the corpus and of all that is added to it, piece by piece."""

    def __init__(
        self, config: "TrainingConfig", corpus: Corpus, talker: Talker, *, split: str, teacher: Talker | None
    ) -> None:
        self._config, self._talker, self._split = config, talker, split
        self.pieces = [_Piece(corpus=corpus, block=block, mark="") for block in corpus.blocks(split)]
        corpora = [corpus]
        for uri in config.extra_corpora if split == "train" else ():
            extra = require_fitting(Corpus.open(uri), talker)
            corpora.append(extra)
            mark = f"{extra.info.digest[:8]}/"
            self.pieces += [_Piece(corpus=extra, block=block, mark=mark) for block in extra.blocks("train")]
        self._features: dict[str, FeatureStore] = {}
        self._taught: dict[str, FeatureStore] = {}
        self._silence: np.ndarray | None = None
        self._voice_range = 1.0
        if config.talker.encoder.is_frozen:
            self._features = self._stores(talker, corpora)
        if isinstance(config.objective, DistillationObjectiveConfig):
            teacher = teacher or load_teacher(config.objective, device=talker.statistics.mean.device).talker
            if config.objective.precompute:
                self._taught = self._stores(teacher, corpora)
                self._silence = silence_features(teacher.encoder, seconds=config.windows.seconds)
            if split == "train" and hears_references(talker, teacher):
                self._voice_range = config.objective.voice_range

    def read(self, piece: _Piece) -> _Read:
        """One piece."""
        clips = piece.corpus.read_block(piece.block)

        def marked(stores: dict[str, FeatureStore]) -> dict[str, np.ndarray]:
            store = stores.get(piece.corpus.uri)
            rows = store.of_block(piece.block, clips) if store else {}
            return {f"{piece.mark}{clip_id}": row for clip_id, row in rows.items()}

        named = [dataclasses.replace(clip, clip_id=f"{piece.mark}{clip.clip_id}") for clip in clips]
        return _Read(
            clips=named,
            features=marked(self._features),
            taught=marked(self._taught),
            pseudo_labelled={clip.clip_id for clip in named if piece.corpus.info.is_pseudo_labelled},
        )

    def whole(self) -> WindowSource:
        """Everything, in memory."""
        everything = _Read()
        for number, piece in enumerate(self.pieces):
            everything.add(self.read(piece))
            if (self._features or self._taught) and number:
                _LOG.info("speech features of %d of %d blocks are there", number + 1, len(self.pieces))
        return self.windows(everything)

    def windows(self, read: _Read) -> WindowSource:
        """The windows of some clips."""
        taught = None if self._silence is None else read.taught | {SILENCE: self._silence}
        return WindowSource(
            read.clips,
            speakers=self._talker.speakers,
            emotions=self._talker.emotions,
            config=self._config.windows,
            augment=self._config.augment if self._split == "train" else None,
            features=read.features if self._features else None,
            pseudo_labelled=read.pseudo_labelled,
            taught=taught,
            voice_range=self._voice_range,
        )

    def _stores(self, talker: Talker, corpora: list[Corpus]) -> dict[str, FeatureStore]:
        root = self._config.feature_cache
        digest = encoder_digest(talker.encoder, talker.config.encoder) if root is not None else ""
        return {
            corpus.uri: FeatureStore(talker.encoder, root=root, digest=digest, corpus=corpus.info) for corpus in corpora
        }
