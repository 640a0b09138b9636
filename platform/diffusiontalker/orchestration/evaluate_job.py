"""The evaluation job: any number of trained talkers, compared on the held-out clips of a corpus.

One stage, one artefact: the report folder is there whole or not at all.
"""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffusiontalker.config import ArtefactError, ConfigError, expanded_path, to_plain
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation import (
    ComparisonConfig,
    EvaluationConfig,
    ablation_text,
    compare,
    results_table,
    rig_facts,
)
from diffusiontalker.face import Rig, load_rig
from diffusiontalker.inference import Bundle, load_bundle
from diffusiontalker.storage import WorkingCopy

logger = logging.getLogger(__name__)

_COLUMNS = {
    "num_steps": "d", "file_bytes": ",d", "frames_per_s": ",.0f", "lve_mm": ".2f", "lve_m2": ".2e", "eve_m2": ".2e",
    "fdd_abs": ".1e", "mae": ".4f",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateJobConfig:
    """Everything about one comparison."""

    corpus_uri: str = ""
    """Path or URL of a finished corpus; may name environment variables, as in ${RUNS}/corpus."""
    bundles: tuple[str, ...] = ()
    """NAME=PATH of every trained talker; a NAME given several times means trainings with several seeds. Paths may name
    environment variables."""
    name: str = "comparison"
    """Name of the report's folder under runs/."""
    comparison: ComparisonConfig = dataclasses.field(default_factory=ComparisonConfig)
    """Which name plays which part."""
    evaluation: EvaluationConfig = dataclasses.field(default_factory=lambda: EvaluationConfig(title="Comparison"))
    """What to measure."""
    rig: str = ""
    """Head for vertex errors: an .npz, a folder of OBJ files or a GLB; empty for the built-in one."""

    def __post_init__(self) -> None:
        """Checks the names."""
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is '{self.name}', expected a folder name such as 'comparison'")
        for bundle in self.bundles:
            name, _, path = bundle.partition("=")
            if not name or not path:
                raise ValueError(f"bundles holds '{bundle}', expected NAME=PATH such as student=runs/student/bundle")


def run_evaluate_job(config: EvaluateJobConfig, *, out: Path | str | None = None, resume: bool | None = False) -> str:
    """Compares the bundles and returns what to tell the user: both tables, the checks, and where the report lies.

    Args:
        config: the comparison.
        out: report folder, a path or URL; `runs/<name>` when None.
        resume: show the report that stands there, if one does, provided that nothing it is about has changed; None is
            the same.

    Raises:
        ArtefactError: when the folder exists (without `resume`) or cannot be written.
        BundleError: when a bundle cannot be loaded.
        ConfigError: without corpus or bundles, for an environment variable that is not set, or for a
            report about something else (with `resume`).
        CorpusError: when the corpus cannot be opened.
        EvaluationError: see `evaluation.compare`.
    """
    if not config.corpus_uri or not config.bundles:
        missing = "bundles" if config.corpus_uri else "corpus_uri"
        raise ConfigError(f"{missing} is empty; say what to compare: --corpus-uri CORPUS --bundles NAME=PATH NAME=PATH")
    with WorkingCopy.opened(out or Path("runs") / config.name) as copy:
        if resume is False and not copy.is_empty():
            raise ArtefactError(
                f"{copy.uri} already exists and nothing is overwritten; show that report with --resume, or give this "
                "one another folder with --out"
            )
        return _compared(config, copy)


def _compared(config: EvaluateJobConfig, copy: WorkingCopy) -> str:
    source = copy.folder / "report.json"
    rig = load_rig(expanded_path(config.rig, field="rig"))
    corpus = Corpus.open(expanded_path(config.corpus_uri, field="corpus_uri"))
    bundles = load_named_bundles(config.bundles)
    if source.is_file():
        content = json.loads(source.read_text(encoding="utf-8"))
        differs = changes_since(
            content, corpus=corpus, bundles=bundles, rig=rig, comparison=config.comparison, evaluation=config.evaluation
        )
        if differs:
            raise ConfigError(
                f"{source} was made with something else ({', '.join(differs)} changed); "
                "give this comparison another folder with --out"
            )
    else:
        logger.info("comparing %s on %s", ", ".join(bundles), corpus.uri)
        content = compare(
            corpus, bundles, rig=rig, out=copy.folder, comparison=config.comparison, evaluation=config.evaluation
        ).content
    where = copy.address(copy.folder)
    return f"{comparison_text(content)}\n\nreport       {where}/report.html\nfigures      {where}/report.json"


def load_named_bundles(specifications: Sequence[str]) -> dict[str, list[Bundle]]:
    """Bundles by name, in the order given; a name that comes several times has several.

    Args:
        specifications: NAME=PATH each.

    Raises:
        BundleError: when a bundle cannot be loaded.
        ConfigError: for an environment variable that is not set.
    """
    bundles: dict[str, list[Bundle]] = {}
    for specification in specifications:
        name, _, path = specification.partition("=")
        bundles.setdefault(name, []).append(load_bundle(expanded_path(path, field="bundles")))
    return bundles


def changes_since(
    content: Mapping[str, Any],
    *,
    corpus: Corpus,
    bundles: Mapping[str, Sequence[Bundle]],
    rig: Rig,
    comparison: ComparisonConfig,
    evaluation: EvaluationConfig,
) -> list[str]:
    """Names of what differs between a finished report and what is asked for now; empty: the report still answers.

    Args:
        content: what `report.json` holds.
        corpus: compared by its digest.
        bundles: name -> its trainings, compared by their digests, in order.
        rig: compared by what the report says about it, name and numbers of vertices.
        comparison: as it was given to `evaluation.compare`.
        evaluation: as it was given to `evaluation.compare`.
    """
    about = content.get("comparison", {})
    digests = {name: [bundle.digest for bundle in trainings] for name, trainings in bundles.items()}
    pairs = {
        "the corpus": (content["corpus"]["digest"], corpus.info.digest),
        "the bundles": (about.get("bundles"), digests),
        "the rig": (content["rig"], rig_facts(rig)),
        "comparison": (about.get("asked_for"), to_plain(comparison)),
        "evaluation": (about.get("evaluation_asked_for"), to_plain(evaluation)),
    }
    return [what for what, (then, now) in pairs.items() if then != now]


def comparison_text(content: dict[str, Any]) -> str:
    """Headline, tables and checks of a finished comparison (`report.json`), for the terminal."""
    checks = [f"{'yes' if check['holds'] else 'NO ':3} {check['text']}" for check in content["checks"]]
    tables = (
        results_table(content["systems"], columns=_COLUMNS),
        "Against the student: + better or - worse by more than twice the standard error of the difference, = neither\n"
        + ablation_text(content["comparison"]["ablation"]),
    )
    return "\n\n".join((content["headline"], *tables, "\n".join(checks)))
