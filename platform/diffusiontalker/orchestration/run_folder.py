"""The folder of one run, at a path or URL: where each artefact lies, and who may write into it.

Every artefact appears under its name only when it is whole, so "is it there" is the same as "is its stage done":
a resumed run needs no other record. At a URL the driver works in a local copy and publishes what it made; what all
nodes write (corpus, checkpoints, trials) goes there directly.
"""

import contextlib
import dataclasses
import filecmp
import json
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from diffusiontalker.config import (
    ArtefactError,
    ConfigError,
    config_digest,
    from_plain,
    load_config,
    publish_file,
    run_provenance,
    sha256_of,
    to_plain,
    write_yaml,
)
from diffusiontalker.storage import INDEX_NAME, WorkingCopy, is_url

_MAY_CHANGE = (
    *("orchestration", "evaluation", "comparison", "hello"),
    *("seeds", "controls", "repeated_controls", "more_sizes"),
    *(f"importing.{name}" for name in ("max_rejected_fraction", "strict", "licence", "credit")),
)
"""Parts of a configuration, by dotted path, that change nothing about what a run has made already."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunFolder:
    """The named places of one run."""

    root: Path
    """The folder itself, or the local copy of what is at the URL; absolute."""
    copy: WorkingCopy
    """Connects both."""
    is_resumed: bool = False
    """Whether an earlier start may have left something here."""

    @property
    def config(self) -> Path:
        """The resolved configuration (YAML)."""
        return self.root / "config.yaml"

    @property
    def provenance(self) -> Path:
        """Package versions, git commit and machine of the first start (JSON)."""
        return self.root / "provenance.json"

    @property
    def corpus(self) -> str:
        """The corpus, when the run makes it and the configuration names no other place; path or URL."""
        return self.copy.address(self.root / "corpus")

    @property
    def training(self) -> str:
        """Storage of Ray Train unless the configuration names another: checkpoints by run name; path or URL."""
        return self.copy.address(self.root / "train")

    @property
    def trials(self) -> str:
        """Storage of Ray Tune; path or URL."""
        return self.copy.address(self.root / "tune")

    @property
    def bundle(self) -> Path:
        """The trained talker, ready to deploy."""
        return self.root / "bundle"

    @property
    def regression(self) -> Path:
        """The deterministic control of the same size, as a bundle."""
        return self.root / "controls" / "regression"

    @property
    def networks(self) -> Path:
        """Everything a distillation trains: a folder per network, in it a bundle per stage."""
        return self.root / "networks"

    def network(self, name: str) -> Path:
        """One of `networks`."""
        return self.networks / name

    @property
    def paths(self) -> Path:
        """A teacher's paths, shared by the trials of a search: a store of windows per split."""
        return self.root / "paths"

    @property
    def search(self) -> Path:
        """Figures of a finished search (JSON); `search.html` and `search.png` stand beside it."""
        return self.root / "search.json"

    @property
    def metrics(self) -> Path:
        """Training figures, one JSON object a line; `tensorboard/` stands beside it."""
        return self.root / "metrics.jsonl"

    @property
    def evaluation(self) -> Path:
        """The report as it was measured, with its plots as separate pictures."""
        return self.root / "evaluation"

    @property
    def report(self) -> Path:
        """Figures of the evaluation (JSON); `report.html` stands beside it."""
        return self.root / "report.json"

    def hello(self, suffix: str) -> Path:
        """One spoken sentence as `wav`, `csv` or `glb`."""
        return self.root / f"hello.{suffix}"

    def set_evaluation_aside(self) -> Path:
        """Renames a report that is about something else than what is asked for now; nothing is deleted."""
        name = sha256_of(self.evaluation / self.report.name)[:8]
        return self.evaluation.rename(self.root / f"evaluation-{name}")

    def publish_report(self) -> None:
        """Puts the report of the evaluation at the top of the folder, unless it is there."""
        for path in (self.report.with_suffix(".html"), self.report):
            made = self.evaluation / path.name
            if path.exists() and filecmp.cmp(made, path, shallow=False):
                continue
            with publish_file(path, overwrite=True) as temporary:
                shutil.copyfile(made, temporary)

    def shown(self, path: Path) -> str:
        """Where people find one of the artefacts: a path relative to here, or a URL."""
        if is_url(self.copy.uri) or not path.is_relative_to(Path.cwd()):
            return self.copy.address(path)
        return str(path.relative_to(Path.cwd()))

    def published(self, path: Path) -> str:
        """Makes everything made so far visible to other machines, and gives the path or URL of one artefact.

        Raises:
            ArtefactError: when it cannot be written.
        """
        self.copy.push()
        return self.copy.address(path)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, uri: Path | str, config: Any, *, resume: bool | None) -> Iterator["RunFolder"]:
        """The folder of a run for the length of the block; at its end everything is published, whatever happened.

        Args:
            uri: path or URL.
            config: the run's; a new run writes it, and its provenance, before anything else happens. When a run goes
                on, where to compute, what to show and which networks to add may differ; the rest must be as it was.
            resume: whether to go on with the run that is there; None: if there is one.

        Raises:
            ArtefactError: when something is there already (without `resume`), no run is there (with it), or nothing
                can be written there.
            ConfigError: when the run was started with another configuration; names what differs.
        """
        with WorkingCopy.opened(uri) as copy:
            folder = cls(root=copy.folder, copy=copy)
            if resume is None:
                resume = folder.config.is_file()
            folder = dataclasses.replace(folder, is_resumed=resume)
            (folder._reopen if resume else folder._create)(config)
            copy.push()
            yield folder

    def _create(self, config: Any) -> None:
        if not self.copy.is_empty():
            raise ArtefactError(
                f"{self.copy.uri} already exists and nothing is overwritten; continue that run with --resume, "
                "or give this one another folder with --out"
            )
        with publish_file(self.provenance) as temporary:
            temporary.write_text(json.dumps(run_provenance(), indent=2) + "\n", encoding="utf-8")
        write_yaml(config, self.config)

    def _reopen(self, config: Any) -> None:
        if not self.config.is_file():
            raise ArtefactError(f"{self.copy.uri} holds no run to resume (no config.yaml); start it without --resume")
        stored, now = to_plain(load_config(type(config), path=self.config)), to_plain(config)
        before = deepcopy(stored)
        for part in _MAY_CHANGE:
            _take_over(before, now, part.split("."))
        if config_digest(from_plain(type(config), before)) != config_digest(config):
            changes = "; ".join(_differences(before, now))
            raise ConfigError(
                f"{self.shown(self.config)}: this run was started with another configuration ({changes}); "
                "resume with the same one, or start a new run with --out"
            )
        if stored != now:
            write_yaml(config, self.config)

    def discard_if_nothing_was_made(self) -> None:
        """Removes a run that ended before its first artefact, so that it can be started again under its name."""
        if not self.is_resumed and set(self.copy.names()) <= {self.config.name, self.provenance.name, INDEX_NAME}:
            self.config.unlink()
            self.provenance.unlink()
            self.root.rmdir()


def _take_over(before: Any, now: Any, path: list[str]) -> None:
    """Puts what stands in `now` at a path into `before`, if it stands in both."""
    first, *rest = path
    if not (isinstance(before, dict) and isinstance(now, dict) and first in before and first in now):
        return
    if rest:
        _take_over(before[first], now[first], rest)
    else:
        before[first] = now[first]


def _differences(before: Any, now: Any, prefix: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [
            line
            for key in keys
            if before.get(key) != now.get(key)
            for line in _differences(before.get(key), now.get(key), f"{prefix}.{key}" if prefix else str(key))
        ]
    return [f"{prefix} was {before!r}, is {now!r}"]
