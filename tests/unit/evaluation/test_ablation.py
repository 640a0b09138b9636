import math

import pytest

from diffusiontalker.evaluation.ablation import (
    BY_FIELD,
    Values,
    ablation_table,
    ablation_text,
    pooled_spread,
    spread_of,
    verdict,
)

LVE, VOICE, JITTER = BY_FIELD["lve_m2"], BY_FIELD["style_voice"], BY_FIELD["jitter_ratio"]


def test_the_pooled_spread_weights_variances_by_degrees_of_freedom():
    # variances 2 (1 degree of freedom) and 1 (2 degrees of freedom): (2 + 2) / 3
    assert pooled_spread([[1.0, 3.0], [5.0, 6.0, 7.0]]) == pytest.approx(math.sqrt(4 / 3))


def test_samples_of_one_say_nothing_about_the_spread():
    assert pooled_spread([[1.0], [900.0]]) is None
    assert pooled_spread([[1.0], [4.0, 6.0]]) == pytest.approx(math.sqrt(2.0))


def test_trainings_come_before_sampling_seeds_and_nothing_comes_last():
    twice = {"lve_m2": Values(trainings=(1.0, 3.0), seeds=(0.0, 100.0))}
    once = {"lve_m2": Values(trainings=(2.0,), seeds=(4.0, 6.0))}
    still = {"lve_m2": Values(trainings=(2.0,), seeds=(4.0,))}
    results = {"a": twice, "b": once, "c": still}
    assert spread_of("lve_m2", results, names=["a", "b"]).over == "trainings"
    assert spread_of("lve_m2", results, names=["a", "b"]).value == pytest.approx(math.sqrt(2.0))
    seeds = spread_of("lve_m2", results, names=["b", "c"])
    assert (seeds.over, seeds.value) == ("sampling seeds", pytest.approx(math.sqrt(2.0)))
    nothing = spread_of("lve_m2", results, names=["c"])
    assert (nothing.over, nothing.value) == ("nothing", 0.0)


@pytest.mark.parametrize(
    ("figure", "mine", "other", "spread", "expected"),
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
def test_a_verdict_needs_more_than_the_spread(figure, mine, other, spread, expected):
    assert verdict(figure, mine, other, spread=spread) == expected


def test_the_table_holds_means_spreads_and_differences_to_the_student():
    results = {
        "teacher": {"lve_m2": Values(trainings=(9e-6,))},
        "student": {"lve_m2": Values(trainings=(2e-6, 4e-6)), "style_voice": Values(trainings=(0.8, 0.8))},
        "direct": {"lve_m2": Values(trainings=(6e-6,))},
    }
    table = ablation_table(results, student="student", names=["direct", "teacher"], pool=["student", "direct"])
    assert [row["name"] for row in table["rows"]] == ["student", "direct", "teacher"]
    assert [figure["field"] for figure in table["figures"]] == ["lve_m2", "style_voice"]
    assert table["spreads"]["lve_m2"]["value"] == pytest.approx(math.sqrt(2.0) * 1e-6)
    student, direct, teacher = table["rows"]
    assert student["trainings"] == 2
    assert student["cells"][0]["mean"] == pytest.approx(3e-6)
    assert student["cells"][0]["spread"] == pytest.approx(math.sqrt(2.0) * 1e-6)
    assert student["cells"][0]["verdict"] is None
    assert direct["cells"][0]["difference"] == pytest.approx(3e-6)
    assert (direct["cells"][0]["verdict"], direct["cells"][0]["difference_text"]) == ("worse", "+0.300")
    assert teacher["cells"][1]["mean"] is None


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
