import dataclasses

import pytest

from diffusiontalker.evaluation.ablation import Values
from diffusiontalker.evaluation.comparison_checks import Evidence, comparison_checks, comparison_headline


def row(name: str, *, megabytes: float, rtf: float | None, lve: float, eve: float, fdd: float, steps: int) -> dict:
    return {
        "name": name, "num_steps": steps, "file_bytes": megabytes * 1e6, "rtf": rtf,
        "precision": "float32", "parameters": megabytes * 2.5e5,
        "frames_per_s": rtf and 25 / rtf, "latency": {"device": "cpu", "threads": 1},
        "lve_m2": lve * 1e-5, "eve_m2": eve * 1e-5, "fdd_abs": fdd * 1e-7,
    }  # fmt: skip


def values(*trainings: float) -> Values:
    return Values(trainings=trainings)


def figures(
    lve: float, eve: float, fdd: float, voice: float, *, moves: float = 0.05, spread: float = 0.0
) -> dict[str, Values]:
    """Two trainings, `spread` (a share of the mean) above and below it."""
    pairs = {
        "lve_m2": lve * 1e-5, "eve_m2": eve * 1e-5, "fdd_abs": fdd * 1e-7, "style_voice": voice,
        "displacement_voice": moves,
    }  # fmt: skip
    return {field: values(mean * (1 - spread), mean * (1 + spread)) for field, mean in pairs.items()}


def enrolled(*accuracies: float | None) -> list[list[dict]]:
    return [[{"seconds": 5.0 * (i + 1), "accuracy": accuracy} for i, accuracy in enumerate(accuracies)]]


GOOD = Evidence(
    teacher="teacher", student="student", respaced="teacher in 2 steps", pool=["student", "direct", "plain"],
    rows={
        "teacher": row("teacher", megabytes=100, rtf=0.08, lve=1.0, eve=1.0, fdd=1.0, steps=16),
        "teacher in 2 steps": row("teacher in 2 steps", megabytes=100, rtf=0.02, lve=2.0, eve=2.0, fdd=2.0, steps=2),
        "student": row("student", megabytes=13.6, rtf=0.01, lve=1.1, eve=0.9, fdd=0.9, steps=2),
    },
    results={
        "teacher": figures(1.0, 1.0, 1.0, 0.9), "teacher in 2 steps": figures(2.0, 2.0, 2.0, 0.9),
        "student": figures(1.1, 0.9, 0.9, 0.9, spread=0.01),
        "direct": figures(1.5, 1.2, 3.0, 0.5), "plain": figures(1.1, 0.9, 0.9, 0.6),
    },
    enrolled={"teacher": enrolled(1.0, 1.0, None), "student": enrolled(0.97, 1.0, None)},
    direct="direct", without_enhancer="plain",
)  # fmt: skip


def holding(evidence: Evidence) -> dict[str, bool]:
    return {check["text"].split(":")[0].split(" (")[0]: check["holds"] for check in comparison_checks(evidence)}


def with_student(**changes) -> Evidence:
    student = GOOD.rows["student"] | changes
    return dataclasses.replace(GOOD, rows={**GOOD.rows, "student": student})


def with_results(**results: dict[str, Values]) -> Evidence:
    return dataclasses.replace(GOOD, results={**GOOD.results, **results})


def text_of(evidence: Evidence, claim: str) -> str:
    (text,) = [check["text"] for check in comparison_checks(evidence) if check["text"].startswith(claim)]
    return text


def test_everything_holds_at_the_limits_of_the_claims():
    assert holding(GOOD) == {
        "Smaller": True, "Faster": True, "Lips as good": True, "EVE no worse than the teacher's": True,
        "|FDD| no worse than the teacher's": True, "Distillation beats skipping steps": True,
        "Distillation beats training without a teacher": True, "The personalizer enhancer pays": True,
        "Enrolled voices are told apart as well as the teacher's": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("evidence", "claim"),
    [
        (with_student(file_bytes=13.7e6), "Smaller"),
        (with_student(rtf=0.0101), "Faster"),
        (with_results(student=figures(1.115, 0.9, 0.9, 0.9, spread=0.01)), "Lips as good"),
        (with_results(student=figures(1.1, 1.01, 0.9, 0.9, spread=0.01)), "EVE no worse than the teacher's"),
        (with_results(student=figures(1.1, 0.9, 1.01, 0.9, spread=0.01)), "|FDD| no worse than the teacher's"),
        (
            with_results(**{"teacher in 2 steps": figures(1.1, 0.9, 0.9, 0.9)}),
            "Distillation beats skipping steps",
        ),
        (
            with_results(direct=figures(1.105, 0.9, 0.9, 0.5)),
            "Distillation beats training without a teacher",
        ),
        (
            with_results(plain=figures(1.1, 0.9, 0.9, 0.95)),
            "The personalizer enhancer pays",
        ),
        (
            with_results(plain=figures(0.8, 0.9, 0.9, 0.6)),
            "The personalizer enhancer pays",
        ),
        (
            dataclasses.replace(GOOD, enrolled=GOOD.enrolled | {"student": enrolled(1.0, 0.96, None)}),
            "Enrolled voices are told apart as well as the teacher's",
        ),
    ],
)
def test_each_claim_fails_alone_when_its_numbers_do(evidence: Evidence, claim: str):
    assert [name for name, holds in holding(evidence).items() if not holds] == [claim]


def test_all_trainings_count_not_the_first_alone():
    lucky = {field: values(pair.mean * 0.5, pair.mean * 1.7) for field, pair in GOOD.results["student"].items()}
    evidence = dataclasses.replace(
        with_results(student=lucky), enrolled=GOOD.enrolled | {"student": [*enrolled(1.0, 1.0), *enrolled(0.9, 1.0)]}
    )
    assert "EVE no worse than the teacher's: 0.990 against 1.000" in text_of(evidence, "EVE no worse")
    assert not holding(evidence)["Lips as good"]
    assert "5 s: 95.0 % against 100.0 %; 10 s: 100.0 %" in text_of(evidence, "Enrolled voices")
    assert "EVE 1.000 → 0.990" in comparison_headline(evidence)


def test_better_in_one_error_is_enough_and_the_text_says_which_are_worse():
    lively = with_results(direct=figures(0.5, 0.5, 3.0, 0.5))
    assert holding(lively)["Distillation beats training without a teacher"]
    text = text_of(lively, "Distillation beats training")
    assert text.startswith("Distillation beats training without a teacher (direct): better in |FDD|, worse in LVE and ")
    # pooled over both: s^2 = (2 (0.011)^2 + 0) / 2, two trainings each, so twice the standard error is 2 x 0.011
    assert "LVE 1.100 against 0.500·10⁻⁵ m² (+0.600 ± 0.022, worse)" in text
    assert "twice the standard error of the difference, over trainings" in text


def test_one_standard_deviation_in_one_error_beats_nothing():
    # 0.05 apart; s = sqrt(2) 0.033 = 0.047 on both sides would have let it pass, twice the standard error is 0.093
    spread = 0.03
    close = with_results(
        student=figures(1.1, 0.9, 0.9, 0.9, spread=spread), direct=figures(1.15, 0.9, 0.9, 0.5, spread=spread)
    )
    claim = "Distillation beats training without a teacher"
    assert not holding(close)[claim]
    assert "(direct): no difference beyond chance. LVE 1.100 against 1.150" in text_of(close, claim)
    apart = with_results(
        student=figures(1.1, 0.9, 0.9, 0.9, spread=spread), direct=figures(1.25, 0.9, 0.9, 0.5, spread=spread)
    )
    assert holding(apart)[claim]


@pytest.mark.parametrize(
    ("plain", "holds", "summary"),
    [
        (figures(1.1, 0.9, 0.9, 0.899), False, "no difference beyond chance"),
        (figures(1.1, 0.9, 0.9, 0.9, moves=0.04), True, "better in voice displacement"),
        (figures(1.1, 0.9, 0.9, 0.6, moves=0.06), False, "better in voice retrieval, worse in voice displacement"),
        (figures(1.1, 0.9, 0.9, 0.95, moves=0.04), False, "better in voice displacement, worse in voice retrieval"),
        (figures(0.8, 0.9, 0.9, 0.9, moves=0.04), False, "better in voice displacement, worse in LVE"),
    ],
)
def test_the_enhancer_pays_only_measurably(plain: dict[str, Values], holds: bool, summary: str):
    evidence = with_results(plain=plain)
    assert holding(evidence)["The personalizer enhancer pays"] is holds
    text = text_of(evidence, "The personalizer enhancer pays")
    assert f"(plain does without): {summary}. LVE" in text
    assert "voice displacement 0.0500 against" in text
    assert "mean |difference| of coefficients" in text


def test_without_repetitions_the_text_says_so():
    once = {
        name: {field: values(value.mean) for field, value in figures.items()} for name, figures in GOOD.results.items()
    }
    text = text_of(dataclasses.replace(GOOD, results=once), "Distillation beats skipping steps")
    assert "LVE 1.100 against 2.000·10⁻⁵ m² (-0.900, better)" in text
    assert "nothing was repeated, so every difference counts" in text


def test_claims_without_evidence_are_not_made():
    bare = dataclasses.replace(
        with_student(rtf=None, frames_per_s=None), direct="", without_enhancer="",
        enrolled={"teacher": enrolled(None), "student": enrolled(None)},
    )  # fmt: skip
    assert len(holding(bare)) == 5
    assert "faster" not in comparison_headline(bare)


def test_the_headline_is_the_papers_with_our_numbers():
    assert comparison_headline(GOOD) == (
        "From teacher (16 steps) of 100.00 MB to student (2 steps) of 13.60 MB: -86.4 % size, 8.0 times faster; "
        "LVE 1.000 → 1.100·10⁻⁵ m², EVE 1.000 → 0.900·10⁻⁵ m², |FDD| 1.00 → 0.90·10⁻⁷ m²."
    )
