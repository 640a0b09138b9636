"""Findings from made-up numbers: what is said, what holds, what does not."""

from typing import Any

import pytest

from diffusiontalker.evaluation.findings import headline_and_checks, personalization_checks


def row(name: str, *, kind: str = "talker", family: str = "", estimate: str = "deterministic", **numbers: Any) -> dict:
    defaults = {
        "mae": 0.02, "lve_mm": 2.0, "jaw_open_r": 0.8, "fdd_abs": 1e-7, "jitter": 100.0, "jitter_truth": 100.0,
        "silence_closure": None, "diversity_upper": None, "diversity_lips": None,
    }  # fmt: skip
    return {"name": name, "kind": kind, "family": family or name, "estimate": estimate} | defaults | numbers


def sampled(**numbers: Any) -> dict:
    return row("teacher (one sample)", family="teacher", estimate="one sample", **numbers)


def group(*rows: dict) -> dict[str, Any]:
    return {"split": "test", "speakers": ["anna"], "num_clips": 3, "systems": list(rows)}


def verdicts(checks: list[dict[str, Any]]) -> dict[str, bool]:
    return {check["text"].split(":")[0]: check["holds"] for check in checks}


def test_the_regression_is_a_rival_beside_mean_face_and_ridge():
    headline, checks = headline_and_checks([group(
        row("mean face", kind="control", mae=0.03, lve_mm=4.0, jaw_open_r=None),
        sampled(mae=0.02, lve_mm=2.0),
        row("regression", mae=0.019, lve_mm=2.5),
        row("regression (shuffled audio)", kind="shuffled", family="regression"),
    )])  # fmt: skip
    assert headline.endswith("(beside it: mean face 0.0300 and 4.00 mm, regression 0.0190 and 2.50 mm).")
    found = verdicts(checks)
    assert found["Lower mean absolute error than regression"] is False
    assert found["Lower lip vertex error than regression"] is True
    assert found["Lower mean absolute error than mean face"] is True


def test_another_sampled_talker_at_temperature_0_is_no_regression():
    other = {"family": "student"}
    _, checks = headline_and_checks([group(
        sampled(), row("student (one sample)", estimate="one sample", **other), row("student (temperature 0)", **other)
    )])  # fmt: skip
    assert checks == []


@pytest.mark.parametrize(
    ("upper", "lips", "holds"), [(0.02, 0.01, True), (0.01, 0.02, False), (0.0, 0.0, False), (0.01, 0.0, True)]
)
def test_seeds_should_differ_more_in_the_upper_face_than_in_the_lips(upper: float, lips: float, holds: bool):
    _, (check,) = headline_and_checks([group(sampled(diversity_upper=upper, diversity_lips=lips))])
    assert check["text"].startswith("Differs from seed to seed")
    assert "expected: more in the upper face" in check["text"]
    assert check["holds"] is holds


def content(*, identity: float | None = 0.96, emotion: float | None = 0.89, emotions: tuple[str, ...] = ("a", "b")):
    return {
        "corpus": {"speakers": ("anna", "bert"), "emotions": emotions},
        "personalizer": {
            "identity_accuracy": identity, "identity_clips": 50, "identity_classes": 2,
            "emotion_accuracy": emotion, "emotion_clips": 40, "emotion_classes": 2,
        },
    }  # fmt: skip


def test_prototypes_should_be_found_and_the_number_of_clips_is_told():
    identity, emotion = personalization_checks(content())
    assert (identity["holds"], emotion["holds"]) == (True, False)
    assert "96.0% of 50 clips, among 2 speakers (expected: at least 95%)" in identity["text"]
    assert "89.0% of 40 clips, among 2 emotions (expected: at least 90%)" in emotion["text"]


def test_where_there_is_nothing_to_tell_apart_nothing_is_checked():
    assert list(verdicts(personalization_checks(content(emotions=("a",))))) == ["Hears the identity"]
    assert list(verdicts(personalization_checks(content(identity=None)))) == ["Hears the emotion"]
    assert personalization_checks({"corpus": {"speakers": (), "emotions": ()}}) == []


@pytest.mark.parametrize(
    ("difference", "correlation", "holds"),
    [(0.02, 0.95, True), (0.02, 0.9, True), (0.01, 0.95, False), (0.02, 0.89, False), (0.02, None, False)],
)
def test_the_worst_variant_decides_whether_style_changes_the_face_and_not_the_words(
    difference: float, correlation: float | None, holds: bool
):
    rows = [("neutral", 0.0, 1.0), ("happy", 0.05, 0.99), ("sad", difference, correlation)]
    variants = [
        {"panel": "emotion", "variant": name, "upper_face_difference_to_first": d, "jaw_open_r_to_first": r}
        for name, d, r in rows
    ]
    (check,) = personalization_checks({"corpus": {}, "conditioning": variants})
    assert check["holds"] is holds
    assert "(emotion; 2 against 'neutral')" in check["text"]
