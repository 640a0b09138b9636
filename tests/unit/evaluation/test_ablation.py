import math

import pytest

from diffusiontalker.evaluation.ablation import (
    BY_FIELD,
    Contrast,
    Margin,
    Values,
    ablation_table,
    ablation_text,
    contrast,
    margin_of,
    pooled_spread,
)

LVE, VOICE, JITTER = BY_FIELD["lve_m2"], BY_FIELD["style_voice"], BY_FIELD["jitter_ratio"]


def test_the_pooled_spread_weights_variances_by_degrees_of_freedom():
    # variances 2 (1 degree of freedom) and 1 (2 degrees of freedom): (2 + 2) / 3
    assert pooled_spread([[1.0, 3.0], [5.0, 6.0, 7.0]]) == pytest.approx(math.sqrt(4 / 3))


def test_samples_of_one_say_nothing_about_the_spread():
    assert pooled_spread([[1.0], [900.0]]) is None
    assert pooled_spread([[1.0], [4.0, 6.0]]) == pytest.approx(math.sqrt(2.0))


def lip_errors(**trainings: tuple[float, ...]) -> dict[str, dict[str, Values]]:
    return {name: {"lve_m2": Values(trainings=values)} for name, values in trainings.items()}


def test_the_margin_is_twice_the_standard_error_over_the_trainings_of_the_two():
    results = lip_errors(a=(1.0, 3.0), b=(5.0, 6.0, 7.0), other=(0.0, 900.0))
    margin = margin_of("lve_m2", results, sides=("a", "b"), pool=["a", "b", "other"])
    # s^2 = 4 / 3 is pooled over a and b alone: 2 sqrt(4 / 3 (1 / 2 + 1 / 3))
    assert (margin.value, margin.over) == (pytest.approx(2 * math.sqrt(4 / 3 * 5 / 6)), "trainings")
    assert margin == margin_of("lve_m2", results, sides=("b", "a"), pool=[])


def test_where_a_side_was_trained_once_the_pool_stands_in_and_it_counts_as_one():
    results = lip_errors(a=(1.0, 3.0), once=(9.0,), other=(5.0, 6.0, 7.0), outside=(0.0, 900.0))
    margin = margin_of("lve_m2", results, sides=("a", "once"), pool=["a", "once", "other"])
    assert (margin.value, margin.over) == (pytest.approx(2 * math.sqrt(4 / 3 * (1 / 2 + 1))), "trainings")


def test_sampling_seeds_stand_in_where_nothing_was_trained_twice():
    values = {"a": (1.0, 3.0), "b": (5.0, 6.0, 7.0), "still": (4.0,), "silent": ()}
    results = {name: {"lve_m2": Values(trainings=(2.0,), seeds=seeds)} for name, seeds in values.items()}
    margin = margin_of("lve_m2", results, sides=("a", "b"), pool=list(results))
    assert (margin.value, margin.over) == (pytest.approx(2 * math.sqrt(4 / 3 * 5 / 6)), "sampling seeds")
    for name in ("still", "silent"):
        margin = margin_of("lve_m2", results, sides=("a", name), pool=list(results))
        assert (margin.value, margin.over) == (pytest.approx(2 * math.sqrt(4 / 3 * 3 / 2)), "sampling seeds")
    nothing = margin_of("lve_m2", results, sides=("still", "silent"), pool=["still", "silent"])
    assert nothing == Margin(value=0.0, over="nothing")


def test_more_trainings_make_the_margin_smaller():
    few, many = lip_errors(a=(1.0, 3.0), b=(1.0, 3.0)), lip_errors(a=(1.0, 3.0) * 8, b=(1.0, 3.0) * 8)
    margins = [margin_of("lve_m2", results, sides=("a", "b"), pool=[]).value for results in (few, many)]
    assert margins == pytest.approx([2 * math.sqrt(2.0), 2 * math.sqrt(16 / 15 / 8)])


@pytest.mark.parametrize(
    ("figure", "mine", "other", "margin", "expected"),
    [
        (LVE, 1.0, 2.0, 0.5, "better"),
        (LVE, 2.0, 1.0, 0.5, "worse"),
        (LVE, 1.0, 2.0, 1.0, "within the spread"),
        (VOICE, 0.9, 0.5, 0.1, "better"),
        (VOICE, 0.5, 0.9, 0.1, "worse"),
        (JITTER, 1.1, 0.5, 0.1, "better"),
        (JITTER, 1.5, 0.9, 0.1, "worse"),
        (JITTER, 1.2, 0.8, 0.1, "within the spread"),
    ],
)
def test_a_verdict_needs_more_than_the_margin(figure, mine, other, margin, expected):
    held = Contrast(figure=figure, mine=mine, other=other, margin=Margin(value=margin, over="trainings"))
    assert held.verdict == expected


def test_a_difference_of_one_standard_deviation_is_chance():
    results = lip_errors(a=(1.0, 2.0, 3.0), b=(2.1, 3.1, 4.1))
    held = contrast("lve_m2", results, mine="a", other="b", pool=["a", "b"])
    assert held.other - held.mine > 1.0 == pooled_spread([results["a"]["lve_m2"].trainings])
    assert held.verdict == "within the spread"


def test_a_contrast_says_both_numbers_their_difference_and_its_margin():
    results = lip_errors(a=(1e-6, 3e-6), b=(8e-6, 8e-6))
    held = contrast("lve_m2", results, mine="a", other="b", pool=[])
    # pooled variance 1, two trainings each: the margin is 2
    assert held.text == "LVE 0.200 against 0.800·10⁻⁵ m² (-0.600 ± 0.200, better)"
    alone = contrast("lve_m2", lip_errors(a=(2e-6,), b=(8e-6,)), mine="b", other="a", pool=[])
    assert alone.text == "LVE 0.800 against 0.200·10⁻⁵ m² (+0.600, worse)"


def test_the_table_holds_means_spreads_and_differences_to_the_student():
    results = {
        "teacher": {"lve_m2": Values(trainings=(9e-6,))},
        "student": {"lve_m2": Values(trainings=(2e-6, 4e-6)), "style_voice": Values(trainings=(0.8, 0.8))},
        "direct": {"lve_m2": Values(trainings=(7e-6,))},
    }
    table = ablation_table(results, student="student", names=["direct", "teacher"], pool=["student", "direct"])
    assert [row["name"] for row in table["rows"]] == ["student", "direct", "teacher"]
    assert [figure["field"] for figure in table["figures"]] == ["lve_m2", "style_voice"]
    student, direct, teacher = table["rows"]
    assert student["trainings"] == 2
    assert student["cells"][0]["mean"] == pytest.approx(3e-6)
    assert student["cells"][0]["spread"] == pytest.approx(math.sqrt(2.0) * 1e-6)
    assert (student["cells"][0]["verdict"], student["cells"][0]["margin_over"]) == (None, None)
    assert direct["cells"][0]["difference"] == pytest.approx(4e-6)
    assert direct["cells"][0]["margin"] == pytest.approx(2 * math.sqrt(2.0 * 1.5) * 1e-6)
    assert (direct["cells"][0]["verdict"], direct["cells"][0]["difference_text"]) == ("worse", "+0.400 ± 0.346")
    assert teacher["cells"][1]["mean"] is None


def test_the_tables_verdicts_are_those_of_the_contrasts():
    results = lip_errors(student=(2e-6, 4e-6), near=(5.9e-6,), far=(6.9e-6,))
    table = ablation_table(results, student="student", names=["near", "far"], pool=list(results))
    for row in table["rows"][1:]:
        held = contrast("lve_m2", results, mine=row["name"], other="student", pool=list(results))
        assert row["cells"][0]["verdict"] == held.verdict
    assert [row["cells"][0]["verdict"] for row in table["rows"]] == [None, "within the spread", "worse"]


def test_the_text_of_the_table_marks_the_verdicts():
    results = {
        "student": {"lve_m2": Values(trainings=(2e-6,), seeds=(2e-6, 2e-6))},
        "direct": {"lve_m2": Values(trainings=(6e-6,))},
    }
    head, student, direct = ablation_text(
        ablation_table(results, student="student", names=["direct"], pool=["student", "direct"])
    ).splitlines()
    assert head.split()[:3] == ["bundle", "n", "LVE"]
    assert student.split() == ["student", "1", "0.200"]
    assert direct.split() == ["direct", "1", "0.600", "-"]
