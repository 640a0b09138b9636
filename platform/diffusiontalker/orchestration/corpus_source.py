"""Where the main job's corpus comes from: synthesized, imported from a folder of recordings, or already there."""

import dataclasses
import logging
from pathlib import Path
from typing import Literal

from diffusiontalker.config import ConfigError, expanded_path
from diffusiontalker.data import (
    Corpus,
    CorpusFormat,
    ImportConfig,
    MissingCorpusError,
    SyntheticCorpusConfig,
    discard_unfinished_corpus,
    import_corpus,
    synthesize_corpus,
)
from diffusiontalker.orchestration.bulk_progress import progress_lines

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CorpusSourceConfig:
    """What to train and evaluate on."""

    source: Literal["synthetic", "folder", "corpus"] = "synthetic"
    """`synthetic`: spoken by espeak-ng; `folder`: imported from recordings; `corpus`: a finished corpus at `uri`."""
    uri: str = ""
    """Path or URL of the corpus; with several machines, one that all of them see. Empty: inside the run folder."""
    folder: str = ""
    """For `folder`: where the recordings are; may name environment variables, as in ${RECORDINGS}/session_1."""
    format: CorpusFormat = "auto"
    """For `folder`: what it holds; `auto` looks."""
    synthetic: SyntheticCorpusConfig = dataclasses.field(default_factory=SyntheticCorpusConfig)
    """For `synthetic`: size and make-up."""
    importing: ImportConfig = dataclasses.field(default_factory=ImportConfig)
    """For `folder`: frame rate and strictness."""

    def __post_init__(self) -> None:
        """Checks that the source has what it needs."""
        if self.source == "corpus" and not self.uri:
            raise ValueError("uri is empty, source 'corpus' needs the path or URL of a finished corpus")
        if self.source == "folder" and not self.folder:
            raise ValueError("folder is empty, source 'folder' needs the folder of the recordings")


def open_corpus(config: CorpusSourceConfig, *, default_uri: Path | str, resume: bool) -> Corpus:
    """Makes the corpus, or opens it where it is already finished and may be used.

    Args:
        config: the source.
        default_uri: where the corpus goes when the configuration names no place.
        resume: use a corpus that an earlier start has finished.

    Raises:
        CorpusError: when there is no such corpus, or something stands where one is to be made.
        ConfigError: when `folder` names an environment variable that is not set.
    """
    uri = config.uri or str(default_uri)
    if config.source == "corpus":
        return Corpus.open(uri)
    if resume:
        try:
            return Corpus.open(uri)
        except MissingCorpusError as error:
            logger.info("no finished corpus yet (%s)", error)
            if not config.uri:  # what lies there is this run's own
                discard_unfinished_corpus(uri)
    if config.source == "synthetic":
        synthesize_corpus(uri, config.synthetic, progress=progress_lines("synthesizing"))
    else:
        report = import_corpus(
            Path(expanded_path(config.folder, field="corpus.folder")),
            uri,
            corpus_format=config.format,
            config=config.importing,
            progress=progress_lines("importing"),
        )
        logger.info("%s", report.text())
    return Corpus.open(uri)


def require_measurable(corpus: Corpus, *, headline_speaker: str) -> None:
    """Refuses a corpus that no report could be made of, before hours of training.

    Raises:
        ConfigError: when it has no `test` clips, or the speaker of the headline none at all.
    """
    if corpus.info.splits.get("test", 0) < 2:
        raise ConfigError(
            f"{corpus.uri} has {corpus.info.splits.get('test', 0)} clips in its split 'test', at least 2 are measured; "
            f"its splits are {corpus.info.splits}"
        )
    if headline_speaker and headline_speaker not in corpus.info.speakers:
        raise ConfigError(
            f"evaluation.headline_speaker is '{headline_speaker}', but {corpus.uri} has "
            f"{', '.join(corpus.info.speakers)}"
        )
