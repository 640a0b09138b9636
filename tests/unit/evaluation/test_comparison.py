import json
from pathlib import Path

import pytest

from diffusiontalker.config import ArtefactError
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation import ComparisonConfig, EvaluationConfig, EvaluationError, Report, compare
from diffusiontalker.face import Rig
from diffusiontalker.inference import Bundle, SamplingConfig

pytestmark = pytest.mark.slow

NAMES = ["big", "small", "other"]
CONFIG = ComparisonConfig(
    respaced_steps=(4, 1), direct="direct", num_samples=2, latency_repeats=1, style_clips=2,
    enrollment_seconds=(1.0, 2.0), enrollment_draws=2,
)  # fmt: skip


def resampled(bundle: Bundle, *, num_steps: int, temperature: float = 1.0) -> Bundle:
    return Bundle(talker=bundle.talker, sampling=SamplingConfig(num_steps=num_steps, temperature=temperature))


@pytest.fixture(scope="module")
def report(
    corpus: Corpus, bundle: Bundle, regression_bundle: Bundle, rig: Rig, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    bundles = {
        "teacher": [resampled(bundle, num_steps=4)],
        "student": [bundle, resampled(bundle, num_steps=2, temperature=0.5)],
        "student-1step": [resampled(bundle, num_steps=1)],
        "direct": [regression_bundle],
    }
    return compare(
        corpus, bundles, rig=rig, out=tmp_path_factory.mktemp("comparison") / "report", comparison=CONFIG,
        evaluation=EvaluationConfig(headline_speaker="anna", num_curve_clips=1, latency_audio_s=1.0),
    )  # fmt: skip


def test_rows_are_controls_the_teacher_in_all_steps_all_bundles_and_shuffled_audio(report: Report):
    assert [row["name"] for row in report.rows()] == [
        "truth", "mean face", "ridge from log-mel", "teacher", "teacher in 2 steps", "teacher in 1 step", "student",
        "student-1step", "direct", "teacher (shuffled audio)", "student (shuffled audio)",
    ]  # fmt: skip
    assert {len(group["systems"]) for group in report.content["groups"]} == {11}


def test_the_teacher_is_always_shown_in_the_students_number_of_steps(report: Report):
    assert report.content["comparison"]["config"]["respaced_steps"] == [4, 1]
    (check,) = [check for check in report.content["checks"] if "skipping steps" in check["text"]]
    assert check["text"].startswith("Distillation beats skipping steps (teacher in 2 steps, not distilled)")


def test_the_same_weights_in_the_same_steps_give_the_same_figures(report: Report):
    student, skipping = report.row("student"), report.row("teacher in 2 steps")
    assert student["lve_m2"] == pytest.approx(skipping["lve_m2"], rel=1e-6)
    checks = {check["text"].split(" (")[0]: check["holds"] for check in report.content["checks"]}
    assert checks["Distillation beats skipping steps"] is False


def test_sizes_precision_and_speeds_stand_in_every_talkers_row(report: Report):
    row = report.row("student")
    assert row["precision"] == "float32"
    assert row["frames_per_s"] == pytest.approx(25.0 / row["rtf"])
    assert row["latency"]["repeats"] == 1
    assert report.row("truth")["frames_per_s"] is None


def test_replicates_give_the_spread_and_no_rows(report: Report):
    ablation = report.content["comparison"]["ablation"]
    assert [(row["name"], row["trainings"]) for row in ablation["rows"]] == [
        ("student", 2), ("student-1step", 1), ("direct", 1), ("teacher", 1)
    ]  # fmt: skip
    assert {cell["margin_over"] for row in ablation["rows"][1:] for cell in row["cells"]} == {"trainings"}
    first = {cell["field"]: cell for cell in ablation["rows"][0]["cells"]}
    assert first["lve_m2"]["trainings"][0] == pytest.approx(report.row("student")["lve_m2"])
    assert first["lve_m2"]["trainings"][0] != first["lve_m2"]["trainings"][1]
    assert len(first["lve_m2"]["seeds"]) == 2
    assert {"jitter_ratio", "style_voice", "style_emotion", "displacement_voice", "identity"} <= set(first)


def test_styles_and_voices_are_scored_for_every_training(report: Report):
    comparison = report.content["comparison"]
    counts = {"teacher": 1, "student": 2, "student-1step": 1, "direct": 1}
    assert {name: len(trainings) for name, trainings in comparison["style"].items()} == counts
    assert {name: len(trainings) for name, trainings in comparison["enrolled_voices"].items()} == counts
    assert [entry["seconds"] for entry in comparison["enrolled_voices"]["student"][0]] == [1.0, 2.0]


def test_the_page_shows_every_section_and_the_json_is_whole(report: Report):
    page = (report.directory / "report.html").read_text(encoding="utf-8")
    for heading in (
        "Error, size and speed", "What each part is worth", "Does another voice move the upper face?",
        "Does another emotion move the upper face?", "Are enrolled voices told apart?", "Prediction against truth",
    ):  # fmt: skip
        assert page.count(f"<h2>{heading}</h2>") == 1
    assert "student, training 2" in page
    assert (report.directory / "plots" / "size_and_speed.png").is_file()
    content = json.loads((report.directory / "report.json").read_text(encoding="utf-8"))
    assert content["headline"].startswith("From teacher (4 steps)")
    assert len(content["comparison"]["bundles"]["student"]) == 2
    assert content["config"]["num_samples"] == 2


def test_an_existing_report_is_left_alone(corpus: Corpus, bundle: Bundle, rig: Rig, report: Report):
    with pytest.raises(ArtefactError, match="already exists"):
        compare(corpus, {"a": [bundle], "b": [bundle]}, rig=rig, out=report.directory)


def test_parts_not_named_are_played_in_the_order_given():
    cast = ComparisonConfig().resolved(NAMES)
    assert (cast.teacher, cast.student, cast.ablations) == ("big", "small", ("other",))
    cast = ComparisonConfig(student="big").resolved(NAMES)
    assert (cast.teacher, cast.student, cast.ablations) == ("small", "big", ("other",))
    assert ComparisonConfig(ablations=("small",)).resolved(NAMES).ablations == ("small",)


@pytest.mark.parametrize(
    ("config", "names", "message"),
    [
        (ComparisonConfig(), ["big"], r"got the bundles \['big'\], expected a teacher and a student"),
        (ComparisonConfig(teacher="huge"), NAMES, "comparison.teacher is 'huge', but the bundles are big, small"),
        (ComparisonConfig(without_enhancer="x"), NAMES, "comparison.without_enhancer is 'x'"),
        (ComparisonConfig(ablations=("other", "x")), NAMES, r"comparison.ablations\[1\] is 'x'"),
        (ComparisonConfig(teacher="big", student="big"), NAMES, "'big' is teacher and student"),
    ],
)
def test_parts_that_cannot_be_played_are_named(config: ComparisonConfig, names: list[str], message: str):
    with pytest.raises(EvaluationError, match=message):
        config.resolved(names)


@pytest.mark.parametrize(
    "values", [{"num_samples": 0}, {"respaced_steps": (2, 0)}, {"enrollment_seconds": ()}, {"style_clips": 0}]
)
def test_settings_that_measure_nothing_are_refused(values: dict):
    with pytest.raises(ValueError, match="expected"):
        ComparisonConfig(**values)


def test_nothing_is_written_when_a_part_is_missing(corpus: Corpus, bundle: Bundle, rig: Rig, tmp_path: Path):
    with pytest.raises(EvaluationError):
        compare(corpus, {"a": [bundle]}, rig=rig, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
