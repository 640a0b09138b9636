"""The folder of one run: where each artefact lies, and who may write into it.

Every artefact appears under its name only when it is whole, so "is it there" is the same as "is its stage done":
a resumed run needs no other record.
"""

import dataclasses
import filecmp
import json
import shutil
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

_MAY_CHANGE = (
    *("orchestration", "evaluation", "comparison", "hello"),
    *("seeds", "controls", "repeated_controls", "more_sizes"),
)
"""Parts of a configuration that change nothing about what a run has made already."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunFolder:
    """The named places of one run."""

    root: Path
    """The folder itself, absolute."""

    @property
    def config(self) -> Path:
        """The resolved configuration (YAML)."""
        return self.root / "config.yaml"

    @property
    def provenance(self) -> Path:
        """Package versions, git commit and machine of the first start (JSON)."""
        return self.root / "provenance.json"

    @property
    def corpus(self) -> Path:
        """The corpus, when the run makes it and the configuration names no other place."""
        return self.root / "corpus"

    @property
    def training(self) -> Path:
        """Storage of Ray Train unless the configuration names another: checkpoints by run name."""
        return self.root / "train"

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

    @classmethod
    def create(cls, root: Path, config: Any) -> "RunFolder":
        """A new run: writes the configuration and the provenance before anything else happens.

        Raises:
            ArtefactError: when something already stands at `root`, or it cannot be written.
        """
        folder = cls(root=root.expanduser().resolve())
        if folder.root.exists() and (not folder.root.is_dir() or any(folder.root.iterdir())):
            raise ArtefactError(
                f"{root} already exists and nothing is overwritten; continue that run with --resume, "
                "or give this one another folder with --out"
            )
        with publish_file(folder.provenance) as temporary:
            temporary.write_text(json.dumps(run_provenance(), indent=2) + "\n", encoding="utf-8")
        write_yaml(config, folder.config)
        return folder

    @classmethod
    def reopen(cls, root: Path, config: Any) -> "RunFolder":
        """The folder of an earlier start of the same run.

        Where to compute, what to show and which networks to add may differ; the rest must be as it was.

        Raises:
            ArtefactError: when no run stands at `root`.
            ConfigError: when the run was started with another configuration; names what differs.
        """
        folder = cls(root=root.expanduser().resolve())
        if not folder.config.is_file():
            raise ArtefactError(f"{root} holds no run to resume (no config.yaml); start it without --resume")
        stored, now = to_plain(load_config(type(config), path=folder.config)), to_plain(config)
        before = stored | {part: now[part] for part in _MAY_CHANGE if part in now}
        if config_digest(from_plain(type(config), before)) != config_digest(config):
            changes = "; ".join(_differences(before, now))
            raise ConfigError(
                f"{folder.config}: this run was started with another configuration ({changes}); "
                "resume with the same one, or start a new run with --out"
            )
        if stored != now:
            write_yaml(config, folder.config)
        return folder

    def discard_if_nothing_was_made(self) -> None:
        """Removes a run that ended before its first artefact, so that it can be started again under its name."""
        if {path.name for path in self.root.iterdir()} == {self.config.name, self.provenance.name}:
            self.config.unlink()
            self.provenance.unlink()
            self.root.rmdir()


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
