"""The comparison: teacher, students and ablations beside the controls without which a distillation claim is empty.

The teacher is shown in every number of steps without distillation; a name with several bundles is one thing trained
with several seeds, and gives the spread that differences are held against.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffusiontalker.config import require_new, to_plain
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation.ablation import Values, ablation_table
from diffusiontalker.evaluation.comparison_checks import Evidence, comparison_checks, comparison_headline
from diffusiontalker.evaluation.controls import MeanFace, Ridge, ShuffledAudio, Truth
from diffusiontalker.evaluation.enrolled_voices import enrolled_voice_scores, plan_enrollments
from diffusiontalker.evaluation.measuring import EvaluationConfig, Measurement, Stage, headline_figures, measure
from diffusiontalker.evaluation.pictures import make_pictures, playing, size_and_speed
from diffusiontalker.evaluation.protocol import DEFAULT_SPLITS, report_content
from diffusiontalker.evaluation.report import Report, write_report
from diffusiontalker.evaluation.scoring import EvaluationError
from diffusiontalker.evaluation.style_retrieval import StyleTest
from diffusiontalker.evaluation.systems import BundleSystem, System
from diffusiontalker.face import Rig
from diffusiontalker.inference import Bundle

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonConfig:
    """Which bundle plays which part, and how thoroughly they are compared."""

    teacher: str = ""
    """Name of the teacher; empty: the first name."""
    student: str = ""
    """Name of the student that the claims are about; empty: the second name."""
    direct: str = ""
    """Name of a student of the same size that was trained on the data without a teacher; empty: there is none."""
    without_enhancer: str = ""
    """Name of a student that was distilled without the personalizer enhancer; empty: there is none."""
    respaced_steps: tuple[int, ...] = (16, 8, 4, 2, 1)
    """Numbers of steps in which the teacher is shown without distillation; the student's is always among them."""
    ablations: tuple[str, ...] = ()
    """Names held against the student in the ablation table; empty: all but teacher and student."""
    splits: tuple[str, ...] = DEFAULT_SPLITS
    """Splits of the corpus that are measured; the first one gives the headline numbers."""
    num_samples: int = 4
    """Predictions per clip of a stochastic system; takes the place of the evaluation's."""
    latency_repeats: int = 5
    """Timed rounds, in each of which every system runs once; takes the place of the evaluation's."""
    style_clips: int = 12
    """Held-out clips animated in every known voice and emotion."""
    enrollment_seconds: tuple[float, ...] = (5.0, 10.0, 30.0)
    """Seconds of audio from which voices are enrolled."""
    enrollment_draws: int = 10
    """Different choices of the clips that speakers are enrolled from."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        for field in ("num_samples", "latency_repeats", "style_clips", "enrollment_draws"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}, expected at least 1")
        if not self.splits:
            raise ValueError("splits is empty, expected at least one, such as test")
        if any(steps < 1 for steps in self.respaced_steps):
            raise ValueError(f"respaced_steps is {self.respaced_steps}, expected numbers from 1")
        if not self.enrollment_seconds or any(seconds < 1 for seconds in self.enrollment_seconds):
            raise ValueError(f"enrollment_seconds is {self.enrollment_seconds}, expected lengths of at least 1 s")

    def resolved(self, names: Sequence[str]) -> "ComparisonConfig":
        """The configuration with every part played by a name.

        Raises:
            EvaluationError: when a name has no bundle, or teacher and student are not two.
        """
        if len(names) < 2:
            raise EvaluationError(
                f"comparison: got the bundles {list(names)}, expected a teacher and a student at least"
            )
        teacher = self.teacher or next(name for name in names if name != self.student)
        student = self.student or next(name for name in names if name != teacher)
        ablations = self.ablations or tuple(name for name in names if name not in (teacher, student))
        parts = {"teacher": teacher, "student": student, "direct": self.direct} | {
            "without_enhancer": self.without_enhancer
        } | {f"ablations[{index}]": name for index, name in enumerate(ablations)}  # fmt: skip
        for part, name in parts.items():
            if name and name not in names:
                raise EvaluationError(
                    f"comparison.{part} is '{name}', but the bundles are {', '.join(names)}; use one of these names"
                )
        if teacher == student:
            raise EvaluationError(f"comparison: '{teacher}' is teacher and student; name two different bundles")
        return dataclasses.replace(self, teacher=teacher, student=student, ablations=ablations)


def compare(
    corpus: Corpus,
    bundles: Mapping[str, Sequence[Bundle]],
    *,
    rig: Rig,
    out: Path,
    comparison: ComparisonConfig | None = None,
    evaluation: EvaluationConfig | None = None,
    training_log: Path | None = None,
) -> Report:
    """Compares bundles and controls, and writes `report.json`, `report.html` and pictures into the folder `out`.

    Args:
        corpus: where held-out and training clips are.
        bundles: name -> its trainings; the first of each fills the rows, all of them decide.
        rig: turns coefficients into vertices.
        out: a folder that does not exist yet.
        comparison: see `ComparisonConfig`.
        evaluation: see `EvaluationConfig`; its `num_samples` and `latency_repeats` give way to the comparison's.
        training_log: JSON-lines file of the student's training, drawn as curves.

    Raises:
        EvaluationError: when a name in `comparison` has no bundle, there are fewer than two, there are no clips, or a
            motion does not fit the corpus.
        ArtefactError: when `out` exists or cannot be written.
    """
    comparison, evaluation = comparison or ComparisonConfig(), evaluation or EvaluationConfig(title="Comparison")
    cast = comparison.resolved(list(bundles))
    config = dataclasses.replace(evaluation, num_samples=cast.num_samples, latency_repeats=cast.latency_repeats)
    require_new(out, remedy="choose another folder for the report, or move the old one away")
    stage = Stage.open(corpus, rig=rig, splits=cast.splits, config=config)
    systems = comparison_systems(corpus, {name: trainings[0] for name, trainings in bundles.items()}, cast)
    measurement = measure(stage, systems, with_means=False)
    content = report_content(corpus, rig, stage, measurement)
    content |= _findings(corpus, bundles, cast, stage, measurement)
    content["comparison"] |= {"asked_for": to_plain(comparison), "evaluation_asked_for": to_plain(evaluation)}
    hero_first = sorted(systems, key=lambda system: system.name != cast.student)
    pictures, extras = make_pictures(
        measurement.showcase, hero_first, content, rig=rig, clips=stage.everyone, channels=config.curve_channels,
        scored_channels=stage.scorer.channel_names, seed=config.seed, training_log=training_log,
    )  # fmt: skip
    chart = size_and_speed(content["systems"], teacher=cast.teacher, where=content["headline_group"])
    shown = playing(
        measurement.showcase, hero_first, scored_channels=stage.scorer.channel_names, channels=config.curve_channels
    )
    content |= extras | {"played": shown.summary() if shown else None}
    return write_report(Report(directory=out, content=content), [*chart, *pictures], playing=shown)


def comparison_systems(corpus: Corpus, bundles: Mapping[str, Bundle], config: ComparisonConfig) -> list[System]:
    """Truth, fitted controls, the teacher in all its numbers of steps, the other bundles, and shuffled audio.

    Bundles keep their own temperature. Only teacher and student, who must be named, also hear shuffled audio.
    """
    teacher = BundleSystem(bundle=bundles[config.teacher], name=config.teacher)
    respaced = [
        dataclasses.replace(teacher, name=respaced_name(config.teacher, steps), num_steps=steps, family=teacher.name)
        for steps in sorted({*config.respaced_steps, bundles[config.student].sampling.num_steps}, reverse=True)
        if steps != teacher.num_steps
    ]
    others = [
        BundleSystem(bundle=bundle, name=name) for name, bundle in bundles.items() if name != config.teacher
    ]  # fmt: skip
    shuffled = [
        ShuffledAudio(system=system)
        for system in (teacher, *others)
        if system.name in (config.teacher, config.student)
    ]  # fmt: skip
    controls = [Truth(), MeanFace.fit(corpus.clips("train")), Ridge.fit(corpus.clips("train"))]
    return [*controls, teacher, *respaced, *others, *shuffled]


def respaced_name(teacher: str, steps: int) -> str:
    """What the teacher is called in a report when it takes another number of steps than its own."""
    return f"{teacher} in {steps} step{'s' if steps != 1 else ''}"


def _findings(
    corpus: Corpus, bundles: Mapping[str, Sequence[Bundle]], config: ComparisonConfig, stage: Stage,
    measurement: Measurement,
) -> dict[str, Any]:  # fmt: skip
    """Headline, checks and the report field `comparison`."""
    seed = stage.config.seed
    style_test = StyleTest.fit(corpus, stage.first_split, num_clips=config.style_clips, seed=seed)
    plans = plan_enrollments(
        corpus, stage.everyone, seconds=config.enrollment_seconds, draws=config.enrollment_draws, seed=seed
    )
    rows = {row["system"]: row for row in measurement.rows[stage.groups[0].name]}
    styles: dict[str, list[dict[str, Any]]] = {}
    enrolled: dict[str, list[list[dict[str, Any]]]] = {}
    results: dict[str, dict[str, Values]] = {}
    for name, trainings in bundles.items():
        styles[name] = [style_test.scores(bundle, num_samples=config.num_samples) for bundle in trainings]
        enrolled[name] = [enrolled_voice_scores(bundle, plans) for bundle in trainings]
        repeated = [
            headline_figures(stage, BundleSystem(bundle=bundle, name=f"{name}, training {number}"))
            for number, bundle in enumerate(trainings[1:], start=2)
        ]
        errors = _errors([rows[name], *repeated], measurement.by_seed[name])
        results[name] = errors | _styles(styles[name]) | _identity(enrolled[name])
        logger.info("'%s': style and voices measured, trainings: %d", name, len(trainings))
    pool = [name for name in bundles if name != config.teacher]
    steps = rows[config.student]["num_steps"]
    respaced = config.teacher if steps == rows[config.teacher]["num_steps"] else respaced_name(config.teacher, steps)
    results.setdefault(respaced, _errors([rows[respaced]], measurement.by_seed[respaced]))
    evidence = Evidence(
        teacher=config.teacher, student=config.student, rows=rows, results=results, pool=pool,
        respaced=respaced, enrolled=enrolled,
        direct=config.direct, without_enhancer=config.without_enhancer,
    )  # fmt: skip
    return {
        "headline": comparison_headline(evidence),
        "checks": comparison_checks(evidence),
        "comparison": {
            "config": to_plain(config),
            "bundles": {name: [bundle.digest for bundle in trainings] for name, trainings in bundles.items()},
            "ablation": ablation_table(
                results, student=config.student, names=(*config.ablations, config.teacher), pool=pool
            ),
            "style": styles,
            "enrolled_voices": enrolled,
        },
    }


def _errors(rows: Sequence[Mapping[str, Any]], by_seed: Sequence[Mapping[str, Any]]) -> dict[str, Values]:
    def figures(row: Mapping[str, Any]) -> dict[str, float]:
        ratio = row["jitter"] / max(row["jitter_truth"], 1e-12)
        return {field: row[field] for field in ("lve_m2", "eve_m2", "fdd_abs")} | {"jitter_ratio": ratio}

    trainings, seeds = [figures(row) for row in rows], [figures(row) for row in by_seed]
    return {
        field: Values(trainings=tuple(row[field] for row in trainings), seeds=tuple(row[field] for row in seeds))
        for field in trainings[0]
    }


def _styles(scores: Sequence[Mapping[str, Any]]) -> dict[str, Values]:
    return {
        f"{field}_{kind}": Values(
            trainings=tuple(training[kind][measure] for training in scores),
            seeds=tuple(scores[0][kind][f"{measure}_by_seed"]),
        )
        for kind in scores[0]
        for field, measure in (("style", "accuracy"), ("displacement", "upper_face_displacement"))
    }


def _identity(scores: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Values]:
    """From the shortest enrollment, which is the hardest."""
    shortest = [min(training, key=lambda entry: entry["seconds"]) for training in scores]
    if shortest[0]["accuracy"] is None:
        return {}
    accuracies = tuple(entry["accuracy"] for entry in shortest)
    return {"identity": Values(trainings=accuracies, seeds=tuple(shortest[0]["accuracy_by_draw"]))}
