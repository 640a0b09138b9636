import dataclasses
import json
import logging
import re
from pathlib import Path

import pytest

from diffusiontalker.config import ArtefactError
from diffusiontalker.data import Clip, Corpus
from diffusiontalker.evaluation import EvaluationConfig, EvaluationError, Report, Truth, evaluate, standard_systems
from diffusiontalker.face import Rig
from diffusiontalker.inference import Bundle

pytestmark = pytest.mark.slow

CONFIG = EvaluationConfig(
    title="A <small> test", headline_speaker="anna", num_samples=3, num_curve_clips=1, curve_channels=("jawOpen",),
    latency_audio_s=1.0, latency_repeats=1,
)  # fmt: skip
FIELDS = {
    "name", "training_steps", "num_steps", "parameters", "file_bytes",
    "lve_m2", "lve_mm", "eve_m2", "fdd", "fdd_abs", "jaw_open_r",
    "mouth_funnel_r", "mae", "jitter", "jitter_truth", "silence_closure", "diversity_upper", "diversity_lips", "rtf",
}  # fmt: skip


@pytest.fixture(scope="module")
def report(
    corpus: Corpus, bundle: Bundle, regression_bundle: Bundle, rig: Rig, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    folder: Path = tmp_path_factory.mktemp("report")
    log = folder / "metrics.jsonl"
    log.write_text('{"step": 1, "train/loss": 2.0}\n{"step": 2, "train/loss": 1.0}\n', encoding="utf-8")
    systems = standard_systems(corpus, {"teacher": bundle, "regression": regression_bundle})
    return evaluate(corpus, systems, rig=rig, out=folder / "report", config=CONFIG, training_log=log)


def test_the_json_holds_every_system_with_every_number(report: Report):
    content = json.loads((report.directory / "report.json").read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(report.content))
    assert [row["name"] for row in content["systems"]] == [
        "truth", "mean face", "ridge from log-mel", "teacher (one sample)", "teacher (mean of 3)",
        "teacher (temperature 0)", "teacher (shuffled audio)", "regression", "regression (shuffled audio)",
    ]  # fmt: skip
    assert all(set(row) >= FIELDS for row in content["systems"])
    assert re.fullmatch(r"[0-9a-f]{64}", content["corpus"]["digest"])
    assert content["config"]["num_samples"] == 3
    assert content["provenance"]["torch"]


def test_groups_are_each_split_and_the_headline_speaker_within_it(report: Report):
    groups = {group["name"]: (group["num_clips"], group["speakers"]) for group in report.content["groups"]}
    assert groups == {
        "test, anna only": (3, ["anna"]),
        "test": (5, ["anna", "bert"]),
        "test_unseen_speaker": (4, ["new0", "new1"]),
    }
    assert report.rows() == report.rows("test, anna only")


def test_the_truth_has_no_error(report: Report):
    row = report.row("truth", group="test")
    assert (row["lve_m2"], row["fdd"], row["mae"]) == (0.0, 0.0, 0.0)
    assert row["jitter"] == row["jitter_truth"] > 0
    assert row["silence_closure"] == row["silence_closure_truth"] == 1.0


def test_only_single_samples_have_a_diversity_and_means_cost_all_of_them(report: Report):
    single, mean = report.row("teacher (one sample)"), report.row("teacher (mean of 3)")
    assert single["diversity_upper"] > 0
    assert mean["diversity_upper"] is None
    assert mean["rtf"] == pytest.approx(3 * single["rtf"])
    assert single["latency"]["rtf"] == single["rtf"]
    assert single["latency"]["device"] == report.row("ridge from log-mel")["latency"]["device"] == "cpu"
    assert mean["latency"] is None
    assert report.row("regression")["diversity_upper"] is None


def test_means_have_less_error_than_samples(report: Report):
    assert report.row("teacher (mean of 3)")["mae"] < report.row("teacher (one sample)")["mae"]


def test_ridge_beats_the_mean_face_and_shuffled_audio_is_marked(report: Report):
    ridge, mean_face = report.row("ridge from log-mel", group="test"), report.row("mean face", group="test")
    assert ridge["jaw_open_r"] > 0.8
    assert ridge["lve_m2"] < mean_face["lve_m2"]
    assert report.row("teacher (shuffled audio)")["kind"] == "shuffled"
    assert report.row("teacher (shuffled audio)")["estimate"] == "one sample"
    assert report.row("regression (shuffled audio)")["estimate"] == "deterministic"


def test_rows_and_page_tell_how_long_each_bundle_was_trained(report: Report):
    steps = {row["system"]: row["training_steps"] for row in report.rows()}
    assert (steps["teacher"], steps["teacher (shuffled audio)"], steps["regression"]) == (20, 20, 10)
    assert steps["truth"] is steps["mean face"] is steps["ridge from log-mel"] is None
    assert ">trained<small>steps</small></th>" in (report.directory / "report.html").read_text(encoding="utf-8")


def test_checks_tell_what_an_untrained_talker_lacks(report: Report):
    verdicts = {check["text"].split(":")[0]: check["holds"] for check in report.content["checks"]}
    assert verdicts["Lower lip vertex error than ridge from log-mel"] is False
    assert {"Lower lip vertex error than regression", "Lower mean absolute error than regression"} <= set(verdicts)
    assert verdicts["Hears the identity"] is (report.content["personalizer"]["identity_accuracy"] >= 0.95)
    assert verdicts["Hears the emotion"] is (report.content["personalizer"]["emotion_accuracy"] >= 0.9)
    assert sum(text.startswith("Changes the face, not the words") for text in verdicts) == 2
    assert verdicts["Hears the words, not only the timing"] is False
    assert "Differs from seed to seed" in verdicts
    assert "3 held-out clips (test) of anna" in report.content["headline"]


def test_personalizer_and_conditioning_are_measured(report: Report):
    assert report.content["personalizer"]["identity_clips"] == 5
    assert report.content["personalizer"]["verification_genuine_pairs"] == 2
    assert [row["variant"] for row in report.content["conditioning"]] == ["neutral", "joy", "anna", "bert"]


def test_the_page_needs_no_other_file_and_escapes_what_it_shows(report: Report):
    page = (report.directory / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|srcset|href)="([^"]{0,30})', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "://" not in re.sub(r"base64,[^\"]*|<script.*?</script>", "", page, flags=re.DOTALL)
    assert "A &lt;small&gt; test" in page
    assert "not comparable" in page


def test_the_report_names_the_clips_that_its_page_plays(report: Report):
    played = report.content["played"]
    assert played["system"] == "teacher"
    assert [clip["place"] for clip in played["clips"]] == ["best", "median", "worst"]
    errors = [clip["lip_error_mm"] for clip in played["clips"]]
    assert errors == sorted(errors)
    assert {clip["speaker"] for clip in played["clips"]} == {"anna"}
    page = (report.directory / "report.html").read_text(encoding="utf-8")
    assert all(f"{clip['clip_id']} ({clip['place']}," in page for clip in played["clips"])


def test_pictures_lie_beside_the_page(report: Report):
    names = {path.stem for path in (report.directory / "plots").iterdir()}
    assert names == {
        "curves", "channel_error", "channel_correlation", "faces", "embeddings", "variants", "training"
    }  # fmt: skip


def test_evaluating_again_gives_the_same_numbers(
    corpus: Corpus, bundle: Bundle, rig: Rig, report: Report, tmp_path: Path
):
    systems = standard_systems(corpus, {"teacher": bundle})
    config = dataclasses.replace(CONFIG, latency_audio_s=0.0, report_clips=0)
    again = evaluate(corpus, systems, rig=rig, out=tmp_path / "again", config=config, splits=("test",))
    timed = {"rtf": None, "frames_per_s": None, "latency": None}
    for row in again.rows("test"):
        assert row | timed == report.row(row["name"], group="test") | timed
        assert row["rtf"] is None
    assert again.content["played"] is None
    assert "See and hear it" not in (again.directory / "report.html").read_text(encoding="utf-8")


def test_an_existing_report_is_left_alone(corpus: Corpus, rig: Rig, report: Report):
    before = (report.directory / "report.json").read_bytes()
    with pytest.raises(ArtefactError, match="already exists and nothing is overwritten"):
        evaluate(corpus, [Truth()], rig=rig, out=report.directory)
    assert (report.directory / "report.json").read_bytes() == before


def test_the_truth_alone_makes_a_report(corpus: Corpus, rig: Rig, tmp_path: Path):
    report = evaluate(corpus, [Truth()], rig=rig, out=tmp_path / "out", splits=("validation", "test"))
    assert report.content["played"] is None
    assert report.content["headline"] == "Only the truth was measured, on 5 held-out clips (test) of 2 speakers."


def test_splits_a_corpus_lacks_are_named_once(
    corpus: Corpus, rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING):
        evaluate(corpus, [Truth()], rig=rig, out=tmp_path / "out", splits=("test", "validation"))
    assert ["lacks 1 of the splits asked for: validation" in record.getMessage() for record in caplog.records] == [True]
    with pytest.raises(EvaluationError, match=r"none of the splits validation \(it has train, test, test_unseen"):
        evaluate(corpus, [Truth()], rig=rig, out=tmp_path / "other", splits=("validation",))


def test_a_failing_system_leaves_nothing_behind(corpus: Corpus, rig: Rig, tmp_path: Path):
    class Short(Faulty):
        def predict(self, clips: list[Clip], *, seeds: list[int]):
            return [dataclasses.replace(c.motion, coefficients=c.motion.coefficients[1:]) for c in clips]

    with pytest.raises(EvaluationError, match="system 'faulty', clip 'anna_010': predicted 29 frames"):
        evaluate(
            corpus, [Short()], rig=rig, out=tmp_path / "out", config=dataclasses.replace(CONFIG, latency_audio_s=0)
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("systems", "config", "message"),
    [
        ([], CONFIG, "got 0"),
        ([Truth(), Truth()], CONFIG, r"\['truth'\] more than once"),
        ([Truth()], EvaluationConfig(headline_speaker="carl"), "'carl' has no clip in split 'test'.*anna, bert"),
    ],
)
def test_bad_requests_say_what_is_allowed(
    corpus: Corpus, rig: Rig, tmp_path: Path, systems: list[Truth], config: EvaluationConfig, message: str
):
    with pytest.raises(EvaluationError, match=message):
        evaluate(corpus, systems, rig=rig, out=tmp_path / "out", config=config)


@pytest.mark.parametrize("field", ["num_samples", "num_curve_clips", "latency_repeats"])
def test_counts_below_one_are_refused(field: str):
    with pytest.raises(ValueError, match=f"{field} is 0, expected at least 1"):
        EvaluationConfig(**{field: 0})


class Faulty:
    name, num_steps, parameters, file_bytes, is_stochastic = "faulty", None, None, None, False
