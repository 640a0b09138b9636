"""The evaluation protocol: measures systems on held-out clips and ends in a report with pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffusiontalker.config import config_digest, require_new, run_provenance, to_plain
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation.findings import headline_and_checks, personalization_checks
from diffusiontalker.evaluation.measuring import EvaluationConfig, Measurement, Stage, measure
from diffusiontalker.evaluation.pictures import make_pictures, playing
from diffusiontalker.evaluation.report import FORMAT, VERSION, Report, write_report
from diffusiontalker.evaluation.systems import System
from diffusiontalker.face import Rig

DEFAULT_SPLITS = ("test", "test_unseen_speaker")


def evaluate(
    corpus: Corpus,
    systems: Sequence[System],
    *,
    rig: Rig,
    out: Path,
    splits: Sequence[str] = DEFAULT_SPLITS,
    config: EvaluationConfig | None = None,
    training_log: Path | None = None,
) -> Report:
    """Measures `systems` on held-out clips and writes `report.json`, `report.html` and pictures into the folder `out`.

    Args:
        corpus: where the clips are; splits it lacks are left out with a warning.
        systems: see `controls.standard_systems`; the first talker among them is what the report is about.
        rig: turns coefficients into vertices.
        out: a folder that does not exist yet.
        splits: the first one gives the headline numbers.
        config: see `EvaluationConfig`.
        training_log: JSON-lines file of a training run, drawn as curves.

    Raises:
        EvaluationError: when there are no clips, names repeat, or a system's motion does not fit the corpus.
        ArtefactError: when `out` exists or cannot be written.
    """
    config = config or EvaluationConfig()
    require_new(out, remedy="choose another folder for the report, or move the old one away")
    stage = Stage.open(corpus, rig=rig, splits=splits, config=config)
    measurement = measure(stage, systems)
    content = report_content(corpus, rig, stage, measurement)
    content["headline"], content["checks"] = headline_and_checks(content["groups"])
    pictures, extras = make_pictures(
        measurement.showcase, systems, content, rig=rig, clips=stage.everyone, channels=config.curve_channels,
        scored_channels=stage.scorer.channel_names, seed=config.seed, training_log=training_log,
    )  # fmt: skip
    content |= extras
    content["checks"] += personalization_checks(content)
    shown = playing(
        measurement.showcase, systems, scored_channels=stage.scorer.channel_names, channels=config.curve_channels
    )
    content["played"] = shown.summary() if shown else None
    return write_report(Report(directory=out, content=content), pictures, playing=shown)


def report_content(corpus: Corpus, rig: Rig, stage: Stage, measurement: Measurement) -> dict[str, Any]:
    """The report's JSON but for what its numbers say: `headline` and `checks` are still empty."""
    described = [
        {
            "name": group.name,
            "split": group.split,
            "speaker": group.speaker,
            "speakers": sorted({clip.speaker for clip in group.clips.values()}),
            "num_clips": len(group.clips),
            "seconds": round(sum(clip.seconds for clip in group.clips.values()), 3),
            "systems": measurement.rows[group.name],
        }
        for group in stage.groups
    ]
    info = corpus.info
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": stage.config.title,
        "headline": "",
        "checks": [],
        "headline_group": stage.groups[0].name,
        "systems": measurement.rows[stage.groups[0].name],
        "groups": described,
        "corpus": {
            "uri": corpus.uri, "digest": info.digest, "motion_fps": info.motion_fps, "splits": info.splits,
            "speakers": info.speakers, "emotions": info.emotions, "missing_channels": info.missing_channels,
            "source": info.source,
        },
        "rig": rig_facts(rig),
        "splits": list(stage.clips),
        "config": to_plain(stage.config),
        "config_digest": config_digest(stage.config),
        "provenance": run_provenance(),
    }  # fmt: skip


def rig_facts(rig: Rig) -> dict[str, Any]:
    """What a report says about its rig: name and numbers of vertices."""
    return {
        "name": rig.name,
        "vertices": rig.num_vertices,
        "lip_vertices": len(rig.lip_vertices),
        "upper_face_vertices": len(rig.upper_face_vertices),
    }
