"""The feature job: what a frozen speech encoder makes of a corpus, computed once by a pool of actors on Ray Data.

A block of 64 clips becomes one file where training looks for it, see `training.FeatureStore`; a job that was killed
goes on with the blocks that are not there.
"""

import dataclasses
import functools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from diffusiontalker.config import ConfigError, expanded_path, publish_file
from diffusiontalker.data import Block, Corpus, CorpusError
from diffusiontalker.inference import load_bundle
from diffusiontalker.models import SpeechEncoder, SpeechEncoderConfig, build_speech_encoder
from diffusiontalker.orchestration.actor_pool import BulkError, PoolConfig, PoolWork, pool_results, worker_pool
from diffusiontalker.orchestration.bulk_progress import BulkProgress
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.storage import StorageError, absolute_uri
from diffusiontalker.training import FeatureStore, encoder_digest

logger = logging.getLogger(__name__)

_FAILED, _SUMMARY = "failed.jsonl", "summary.json"
_CRASHED = "every process that encoded it died, perhaps for want of memory"
_MAX_BLOCKS = 4
_RESULTS = pa.schema(
    [("block", pa.string()), ("seconds", pa.float64()), ("reason", pa.string()), ("is_unwritable", pa.bool_())]
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FeaturesJobConfig:
    """What a frozen encoder shall hear."""

    corpus: str = ""
    """Corpus: a folder or URL; may name environment variables, as in ${RUNS}/corpus."""
    encoder: SpeechEncoderConfig = dataclasses.field(default_factory=SpeechEncoderConfig)
    """A pretrained encoder, as `talker.encoder` of the training that will use the features."""
    bundle: str = ""
    """Or the teacher whose encoder it is, for a distillation with `objective.precompute`: a folder or URL; may name
    environment variables."""
    feature_cache: str = ""
    """Where the features go, and `training.feature_cache` of the training: a folder or URL that may hold those of other
    corpora and encoders too; empty: `features/` in the run folder."""
    name: str = "features"
    """Name of the run folder under runs/."""
    orchestration: PoolConfig = dataclasses.field(default_factory=PoolConfig)
    """Where to compute."""

    def __post_init__(self) -> None:
        """Checks the name."""
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is '{self.name}', expected a folder name such as 'features'")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FeaturesOrder:
    """What every process must know; paths are absolute."""

    corpus: str
    """The corpus."""
    corpus_digest: str
    """The corpus found there must have this digest."""
    encoder: SpeechEncoderConfig
    """As in the job's configuration."""
    bundle: str
    """As in the job's configuration."""
    feature_cache: str
    """Where the features go."""
    device: str
    """Where to compute."""
    num_threads: int
    """Threads that computing may use."""

    def store(self) -> tuple[Corpus, FeatureStore]:
        """The corpus and the place of its features, with the encoder in memory.

        Raises:
            ConfigError: when the corpus is another one than was ordered.
            ValueError: of the package's own types, when corpus, bundle or encoder cannot be read.
        """
        corpus = Corpus.open(self.corpus)
        if corpus.info.digest != self.corpus_digest:
            raise ConfigError(
                f"{self.corpus}: the corpus seen here is {corpus.info.digest[:12]}, ordered was "
                f"{self.corpus_digest[:12]}; give one path or URL that is the same on every node"
            )
        encoder, config = self._encoder()
        digest = encoder_digest(encoder, config)
        return corpus, FeatureStore(encoder, root=self.feature_cache, digest=digest, corpus=corpus.info)

    def _encoder(self) -> tuple[SpeechEncoder, SpeechEncoderConfig]:
        if self.bundle:
            talker = load_bundle(self.bundle, device=self.device).talker
            return talker.encoder, talker.config.encoder
        return build_speech_encoder(self.encoder).to(self.device).eval(), self.encoder


class FeatureMaker:
    """Holds an encoder and makes features, block after block."""

    def __init__(self, order: FeaturesOrder) -> None:
        torch.set_num_threads(order.num_threads)
        self._corpus, self._store = order.store()
        self._blocks = _blocks(self._corpus)

    def __call__(self, items: pa.Table) -> pa.Table:
        """Makes the features of the blocks in column `block`; says what became of each."""
        rows = [self._made(name) for name in items["block"].to_pylist()]
        return pa.Table.from_pylist(rows, schema=_RESULTS)

    def _made(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = {"block": name, "seconds": 0.0, "reason": None, "is_unwritable": False}
        try:
            clips = self._corpus.read_block(self._blocks[name])
            self._store.of_block(self._blocks[name], clips)
        except StorageError as error:
            return row | {"reason": str(error), "is_unwritable": True}
        except (CorpusError, RuntimeError) as error:
            return row | {"reason": str(error)}
        return row | {"seconds": sum(clip.seconds for clip in clips)}


def run_features_job(config: FeaturesJobConfig, *, out: Path | str | None = None, resume: bool | None = False) -> str:
    """Makes the features that are not there yet, and returns what to tell the user.

    Blocks that fail are listed in `failed.jsonl`; training makes them itself, or tells why it cannot.

    Args:
        config: which encoder hears what.
        out: run folder, a path or URL; `runs/<name>` when None.
        resume: go on with what is missing; None: if it was begun.

    Raises:
        ArtefactError: when the folder exists (without `resume`) or cannot be written.
        BulkError: when features cannot be written, no block could be read, or Ray fails.
        ConfigError: without a corpus, or without one encoder.
        ValueError: of the package's own types, when corpus, bundle or encoder cannot be read.
    """
    if not config.corpus or config.encoder.is_frozen == bool(config.bundle):
        raise ConfigError(
            "say what hears what: --corpus CORPUS, and either --bundle TEACHER or a pretrained encoder "
            "(--encoder.family hugging_face --encoder.checkpoint FOLDER)"
        )
    corpus = Corpus.open(absolute_uri(expanded_path(config.corpus, field="corpus")))
    with RunFolder.opened(out or Path("runs") / config.name, config, resume=resume) as folder:
        order = _order(config, corpus, folder)
        blocks = _blocks(corpus)
        store = dataclasses.replace(order, device="cpu").store()[1]  # the GPU is the actors'
        pending = {name: block for name, block in blocks.items() if not store.has(block)}
        del store  # the encoder need not lie in this process's memory too
        if len(pending) < len(blocks):
            logger.info("%d of %d blocks have their features already", len(blocks) - len(pending), len(blocks))
        lines = _make(order, folder, pending, config=config) if pending else [f"all {len(blocks)} blocks are there"]
    return "\n".join([*lines, f"train with   --training.feature-cache {order.feature_cache}"])


def _order(config: FeaturesJobConfig, corpus: Corpus, folder: RunFolder) -> FeaturesOrder:
    places = {
        name: absolute_uri(expanded_path(getattr(config, name), field=name)) if getattr(config, name) else ""
        for name in ("bundle", "feature_cache")
    }
    encoder = config.encoder
    if encoder.checkpoint and Path(encoder.checkpoint).expanduser().is_dir():
        encoder = dataclasses.replace(encoder, checkpoint=absolute_uri(encoder.checkpoint))
    return FeaturesOrder(
        corpus=corpus.uri,
        corpus_digest=corpus.info.digest,
        encoder=encoder,
        bundle=places["bundle"],
        feature_cache=places["feature_cache"] or folder.copy.address(folder.root / "features"),
        device=config.orchestration.device,
        num_threads=config.orchestration.cpus_per_actor,
    )


def _blocks(corpus: Corpus) -> dict[str, Block]:
    return {block.name: block for split in corpus.info.splits for block in corpus.blocks(split)}


def _make(
    order: FeaturesOrder, folder: RunFolder, pending: dict[str, Block], *, config: FeaturesJobConfig
) -> list[str]:
    def table(names: Sequence[str]) -> pa.Table:
        return pa.table({"block": list(names)})

    work = PoolWork(
        make=functools.partial(FeatureMaker, order),
        results=_RESULTS,
        table=table,
        weight=lambda name: pending[name].num_clips,
        max_items=_MAX_BLOCKS,
    )
    total = sum(block.num_clips for block in pending.values())
    unreported = dict(pending)
    progress = BulkProgress("blocks", num_pending=len(pending), weight=total, failures_path=folder.root / _FAILED)
    with progress, worker_pool(config.orchestration) as num_actors:
        logger.info("encoding %d clips in %d blocks with %d actors", total, len(pending), num_actors)
        for block, row in pool_results(work, unreported, config=config.orchestration):
            if row["is_unwritable"]:
                raise BulkError(f"{row['reason']}; what is there is kept, mend this and go on with --resume")
            if row["reason"] is None:
                progress.done(seconds=row["seconds"], weight=block.num_clips)
            else:
                progress.failed(block.name, reason=row["reason"], weight=block.num_clips)
        for block in unreported.values():
            progress.failed(block.name, reason=_CRASHED, weight=block.num_clips)
    if not progress.num_done:
        raise BulkError(f"no block could be encoded; {folder.shown(folder.root / _FAILED)} says why")
    figures = {
        "blocks": progress.num_done,
        "failed": progress.num_failed,
        "audio_s": round(progress.audio_s, 3),
        "wall_s": round(progress.wall_s, 3),
        "x_real_time": round(progress.rates()["x_real_time"], 3),
        "actors": num_actors,
        "device": order.device,
    }
    with publish_file(folder.root / _SUMMARY, overwrite=True) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    lines = [
        f"features     of {progress.audio_s / 60:.1f} min of speech in {progress.wall_s:.1f} s, "
        f"{figures['x_real_time']:.1f} x real time"
    ]
    if progress.num_failed:
        lines.append(f"FAILED       {progress.num_failed} blocks: {folder.shown(folder.root / _FAILED)} says why")
    return lines
