"""What a bundle's model card says about the training that made it."""

from collections.abc import Sequence
from typing import Any

from diffusiontalker.config import config_digest, run_provenance
from diffusiontalker.data import Corpus
from diffusiontalker.inference import Bundle
from diffusiontalker.training import TrainingConfig

_METRICS = ("mae", "jaw_open_r", "mouth_funnel_r", "lve_mm", "lve_m2", "eve_m2", "fdd", "jitter", "rtf")


def training_card(
    training: TrainingConfig, corpus: Corpus, *, name: str, teacher: Bundle | None = None, steps_before: int = 0
) -> dict[str, Any]:
    """Name, description, data licences and training of a card; plain data.

    Args:
        training: what was trained.
        corpus: what it learnt from.
        name: heading of the card.
        teacher: whom it learnt from; its data count too.
        steps_before: training steps of earlier stages.
    """
    info = corpus.info
    licences = [_licence(one) for one in (corpus, *map(Corpus.open, training.extra_corpora))]
    licences += [entry for entry in (teacher.card.get("data_licences", []) if teacher else []) if entry not in licences]
    return {
        "name": name,
        "description": f"Speech to ARKit motion, trained by {training.objective.kind} on "
        f"{info.seconds / 60:.0f} minutes of {len(info.speakers)} speakers.",
        "data_licences": licences,
        "teacher_digest": teacher and teacher.digest,
        "training": {
            "config_digest": config_digest(training),
            "corpus_digest": info.digest,
            "num_steps": steps_before + training.num_steps,
            "batch_size": training.batch_size,
            "seed": training.seed,
            "provenance": run_provenance(),
        },
    }


def _licence(corpus: Corpus) -> dict[str, str]:
    source = corpus.info.source
    name = str(source.get("folder") or source.get("generator") or corpus.uri)
    return {"name": name} | {key: str(source[key]) for key in ("licence", "credit") if key in source}


def measured(rows: Sequence[dict[str, Any]], *, family: str) -> list[dict[str, Any]]:
    """The figures of a card from the rows of a report: those of one family of systems."""
    chosen = [row for row in rows if row["family"] == family and row["kind"] == "talker"]
    return [{"system": row["name"]} | {name: row.get(name) for name in _METRICS} for row in chosen]
