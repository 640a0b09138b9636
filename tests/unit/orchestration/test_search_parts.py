import dataclasses
import itertools
from pathlib import Path

import pytest
import tiny
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from diffusiontalker.config import ConfigError, from_plain, load_config, to_plain
from diffusiontalker.inference import Bundle, SamplingConfig
from diffusiontalker.orchestration import SearchJobConfig, searching
from diffusiontalker.orchestration.candidates import Candidates
from diffusiontalker.orchestration.search_results import _checks, _chosen, _importances, _mark_front, _row
from diffusiontalker.orchestration.search_space import LOOK_AHEAD_KEYS, Range, SearchSpace
from diffusiontalker.orchestration.searching import (
    OBJECTIVES,
    HalvingMemory,
    ParetoHalving,
    StudentSearch,
    objectives_of,
)
from diffusiontalker.training import TrainingConfig, build_talker

SPACE = {
    "talker.encoder.width": [8, 16],
    "talker.denoiser.dilations": [[1], [1, 2]],
    "objective.student_steps": [1, 2],
}
TRAINING = tiny.TINY_TRAINING | {
    "objective": {"kind": "distillation", "condition_dropout": 0.0}, "num_steps": 8, "batch_size": 4,
}  # fmt: skip


def search(**changes) -> SearchJobConfig:
    return from_plain(SearchJobConfig, {"space": SPACE, "training": TRAINING, "presets": []} | changes)


def base() -> TrainingConfig:
    return from_plain(TrainingConfig, TRAINING)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Bundle:
    corpus = tiny.tiny_corpus(tmp_path_factory.mktemp("corpora") / "tiny")
    return Bundle(talker=build_talker(tiny.tiny_training(), corpus).eval(), sampling=SamplingConfig(num_steps=4))


def suggestions(config: SearchJobConfig, teacher: Bundle, *, most: int = 50) -> list[dict]:
    searcher = StudentSearch(config, Candidates(config, teacher))
    found = []
    for number in range(most):
        suggestion = searcher.suggest(str(number))
        if suggestion == Searcher.FINISHED:
            break
        assert isinstance(suggestion, dict)
        found.append(suggestion)
        searcher.on_trial_complete(str(number), {"lve_m2": 1.0} | suggestion["cost"])
    return found


def test_a_point_changes_what_its_keys_name_and_nothing_else():
    space = SearchSpace(
        {"talker.encoder.width": (8, 24), "optimizer.learning_rate": Range(low=1e-3, high=2e-3)}, base()
    )
    changed = space.config_of({"talker.encoder.width": 24, "optimizer.learning_rate": 1.5e-3})
    assert (changed.talker.encoder.width, changed.optimizer.learning_rate) == (24, 1.5e-3)
    assert dataclasses.replace(changed, talker=base().talker, optimizer=base().optimizer) == base()


def test_lists_travel_to_optuna_and_back():
    space = SearchSpace({"talker.denoiser.dilations": ((1,), (1, 2)), "talker.encoder.width": (8, 16)}, base())
    point = {"talker.denoiser.dilations": [1, 2], "talker.encoder.width": 8}
    labels = space.labels_of(point)
    assert labels["talker.denoiser.dilations"] in space.distributions()["talker.denoiser.dilations"].choices
    assert space.point_of(labels) == point
    assert space.smallest() == {"talker.denoiser.dilations": (1,), "talker.encoder.width": 8}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "space is empty"),
        ({"talker.encoder.witdh": [8]}, "perhaps you meant 'talker.encoder.width'"),
        ({"objective.noise_levels": [1]}, "'objective.noise_levels', which a search cannot vary"),
        ({"talker.encoder.width": []}, "space.talker.encoder.width is empty"),
        ({"talker.encoder.width": [2]}, "width 2"),
        ({"talker.encoder.width": {"low": 8, "high": 9}}, "talker.encoder.width"),
    ],
)
def test_a_space_that_is_none_is_refused(space, message, teacher):
    with pytest.raises(ConfigError, match=message):
        Candidates(search(space=space), teacher)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, "name is 'a/b'"),
        ({"num_trials": 0}, "num_trials is 0"),
        ({"presets": ["nano", "nano"]}, "presets"),
        ({"training": {"objective": {"kind": "diffusion"}}}, "expected 'distillation'"),
        ({"training": {"objective": {"kind": "distillation"}}}, "condition_dropout is 0.1"),
        ({"space": {"optimizer.learning_rate": {"low": 2, "high": 1}}}, "low is 2, high is 1"),
        ({"trial": {"halving_factor": 1}}, "halving_factor is 1"),
        (
            {"training": {"objective": {"kind": "distillation", "condition_dropout": 0, "precompute": False}}},
            "precompute",
        ),
        ({"budget": {"max_megabytes": -1}}, "max_megabytes is -1"),
        ({"budget": {"max_look_ahead_ms": -1}}, "max_look_ahead_ms is -1"),
    ],
)
def test_a_config_that_cannot_run_says_why(changes, message):
    with pytest.raises(ConfigError, match=message):
        search(**changes)


def test_a_budget_nothing_meets_names_the_smallest_student(teacher):
    smallest = Candidates(search(), teacher).at({"talker.encoder.width": 8, "talker.denoiser.dilations": [1],
                                                 "objective.student_steps": 1})  # fmt: skip
    with pytest.raises(ConfigError, match=rf"takes {smallest.cost.file_bytes / 1e6:.2f} MB \(budget.max_megabytes is"):
        Candidates(search(budget={"max_megabytes": 1e-4}), teacher)
    with pytest.raises(ConfigError, match="ms per second of audio"):
        Candidates(search(budget={"max_ms_per_s": 1e-6}), teacher)


STREAMS = {
    "talker.encoder.look_ahead_frames": [0, 1, None],
    "talker.denoiser.dilations": [[2, 2], [1, 1, 1]],
    "talker.denoiser.look_ahead_frames": [1, None],
}


def test_look_aheads_may_be_without_limit_and_are_told_with_the_cost(teacher):
    config = search(space={key: STREAMS[key] for key in LOOK_AHEAD_KEYS})
    (first,) = suggestions(config, teacher, most=1)
    assert set(first["point"]) == set(LOOK_AHEAD_KEYS)
    candidates = Candidates(config, teacher)
    found = {one.name.rpartition(", ")[0]: one.cost for one in map(candidates.at, candidates.space.grid())}
    assert len(found) == 3 * 2
    near, far = found["encoder 0 ahead, denoiser 1 ahead"], found["encoder symmetric, denoiser symmetric"]
    assert near.look_ahead_s < far.look_ahead_s
    assert len({cost.rtf for cost in found.values()}) == 1, "they compute as much, so speed is measured once"
    assert candidates.space.smallest() == dict(zip(LOOK_AHEAD_KEYS, (0, 1), strict=True))


def test_a_student_is_named_by_its_sizes_and_look_aheads_where_both_vary(teacher):
    candidates = Candidates(search(space=STREAMS), teacher)
    point = {
        "talker.encoder.look_ahead_frames": 1,
        "talker.denoiser.dilations": [2, 2],
        "talker.denoiser.look_ahead_frames": None,
    }
    assert candidates.at(point).name.startswith("encoder 16x2 1 ahead, denoiser 16x2 symmetric, ")


def test_nothing_that_looks_further_than_the_budget_is_tried(teacher):
    space = {key: STREAMS[key] for key in LOOK_AHEAD_KEYS}
    candidates = Candidates(search(space=space), teacher)
    needed = [candidates.at(point).cost.look_ahead_s for point in candidates.space.grid()]
    limit_s = sorted(needed)[len(needed) // 2]
    limited = Candidates(search(space=space, budget={"max_look_ahead_ms": 1e3 * limit_s}), teacher)
    for point, needed_s in zip(limited.space.grid(), needed, strict=True):
        if needed_s <= limit_s:
            assert limited.at(point).cost.look_ahead_s == needed_s
        else:
            with pytest.raises(ConfigError, match=rf"looks {1e3 * needed_s:.1f} ms ahead \(budget.max_look_ahead_ms"):
                limited.at(point)


def test_a_budget_of_look_ahead_nothing_meets_names_the_least_there_is(teacher):
    """The smallest stack, [2, 2] without limit, looks further ahead than [1, 1, 1]: the least is said all the same."""
    space = {"talker.denoiser.dilations": [[2, 2], [1, 1, 1]]}
    shorter = Candidates(search(space=space), teacher).at({"talker.denoiser.dilations": [1, 1, 1]}).cost.look_ahead_s
    assert shorter is not None
    Candidates(search(space=space, budget={"max_look_ahead_ms": 1e3 * shorter}), teacher)
    with pytest.raises(ConfigError, match=rf"wait for {1e3 * shorter:.1f} ms .*talker.encoder.look_ahead_frames"):
        Candidates(search(space=space, budget={"max_look_ahead_ms": 1e3 * shorter - 1}), teacher)


def test_look_ahead_is_made_small_when_the_space_or_the_budget_is_about_it():
    assert objectives_of(search()) == OBJECTIVES
    for asked in (search(space=STREAMS), search(budget={"max_look_ahead_ms": 500})):
        assert objectives_of(asked) == (*OBJECTIVES, "look_ahead_s")


def test_a_trial_that_waits_for_less_sound_than_all_others_goes_on():
    def result(lve: float, ahead_s: float) -> dict:
        return {"step": 4, "lve_m2": lve, "file_bytes": 1, "rtf": 1.0, "look_ahead_s": ahead_s}

    for objectives, expected in (
        (OBJECTIVES, TrialScheduler.STOP),
        ((*OBJECTIVES, "look_ahead_s"), TrialScheduler.CONTINUE),
    ):
        halving = ParetoHalving(halving_factor=2, memory=HalvingMemory(), objectives=objectives)
        halving.on_trial_result(None, Trial("unregistered", trial_id="a", stub=True), result(1.0, 0.5))
        assert (
            halving.on_trial_result(None, Trial("unregistered", trial_id="b", stub=True), result(2.0, 0.1)) == expected
        )


def test_nothing_beyond_the_budget_is_tried_and_nothing_twice(teacher):
    everything = suggestions(search(), teacher)
    sizes = [one["cost"]["file_bytes"] for one in everything]
    assert len(everything) == 2 * 2 * 2
    assert len({str(one["point"]) for one in everything}) == len(everything)
    limit = sorted(sizes)[len(sizes) // 2]
    fitting = suggestions(search(budget={"max_megabytes": limit / 1e6}), teacher)
    assert sorted(one["cost"]["file_bytes"] for one in fitting) == sorted(size for size in sizes if size <= limit)


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_every_sampler_begins_with_the_presets(teacher, sampler):
    teacher = dataclasses.replace(teacher, talker=wide(teacher), digest="", file_bytes=0)
    found = suggestions(search(presets=["nano"], sampler=sampler, training=WIDE), teacher, most=4)
    assert [one["name"] for one in found[:1]] == ["nano (preset), 2 steps"]
    assert all(one["point"] for one in found[1:])


WIDE = TRAINING | {"talker": TRAINING["talker"] | {"personalizer": {"embedding_dim": 128, "personalized_dim": 8,
                                                                    "hidden_dim": 8, "num_heads": 2}}}  # fmt: skip


def wide(teacher: Bundle):
    """A teacher whose embeddings have the presets' size."""
    talker = teacher.talker
    config = from_plain(TrainingConfig, tiny.TINY_TRAINING | {"talker": WIDE["talker"]}).talker
    return type(talker)(
        config, speakers=talker.speakers, emotions=talker.emotions, channel_names=talker.channel_names,
        motion_fps=talker.motion_fps,
    ).eval()  # fmt: skip


def test_a_search_survives_being_stored(teacher, tmp_path):
    config = search(sampler="grid")
    searcher = StudentSearch(config, Candidates(config, teacher))
    first = searcher.suggest("a")
    searcher.save(str(tmp_path / "state"))
    assert (tmp_path / "state").stat().st_size < 20_000, "the teacher is stored with it"
    again = StudentSearch(config, Candidates(config, teacher))
    again.restore(str(tmp_path / "state"))
    assert again.suggest("b")["point"] != first["point"]


def measured(scheduler: ParetoHalving, name: str, *, lve: float, size: float, step: int = 4) -> str:
    result = {"step": step, "lve_m2": lve, "file_bytes": size, "rtf": size}
    return scheduler.on_trial_result(None, Trial("unregistered", trial_id=name, stub=True), result)


def test_a_dominated_trial_is_stopped_once_enough_were_measured():
    scheduler = ParetoHalving(halving_factor=3, memory=HalvingMemory())
    assert measured(scheduler, "small", lve=3.0, size=1.0) == TrialScheduler.CONTINUE
    assert measured(scheduler, "large", lve=1.0, size=3.0) == TrialScheduler.CONTINUE
    assert measured(scheduler, "worse than both", lve=4.0, size=4.0) == TrialScheduler.STOP


def test_the_best_of_its_size_goes_on_however_large_its_error():
    scheduler = ParetoHalving(halving_factor=2, memory=HalvingMemory())
    for number in range(6):
        assert measured(scheduler, str(number), lve=10.0 - number, size=1.0 + number) == TrialScheduler.CONTINUE


def test_trials_are_compared_after_as_many_steps():
    scheduler = ParetoHalving(halving_factor=2, memory=HalvingMemory())
    measured(scheduler, "a", lve=1.0, size=1.0, step=8)
    assert measured(scheduler, "b", lve=9.0, size=9.0, step=4) == TrialScheduler.CONTINUE


def test_what_was_measured_outlives_a_restart():
    before, after = HalvingMemory(), HalvingMemory()
    measured(ParetoHalving(halving_factor=2, memory=before), "good", lve=1.0, size=1.0)
    resumed = ParetoHalving(halving_factor=2, memory=after)
    after.set_state(before.get_state())
    assert measured(resumed, "bad", lve=2.0, size=2.0) == TrialScheduler.STOP


def test_no_trial_begins_when_time_is_up(teacher, monkeypatch):
    config = search(max_minutes=1.0)
    searcher = StudentSearch(config, Candidates(config, teacher))
    assert isinstance(searcher.suggest("a"), dict)
    later = searching.time.monotonic() + 61.0
    monkeypatch.setattr(searching.time, "monotonic", lambda: later)
    assert searcher.suggest("b") == Searcher.FINISHED


def row(name: str, lve: float, size: float, *, is_preset: bool = False, on_front: bool = True, **more) -> dict:
    return {
        "name": name, "lve_m2": lve, "eve_m2": 1.0, "fdd_abs": 1.0, "file_bytes": size, "rtf": size / 1e9, "step": 8,
        "look_ahead_s": 0.3,
        "state": "done", "is_preset": is_preset, "is_on_front": on_front, "is_chosen": False, "point": {},
    } | more  # fmt: skip


def test_the_least_error_within_the_budget_is_chosen_else_the_knee():
    rows = [row("tiny", 3e-6, 1e6), row("middle", 2e-6, 2e6), row("large", 1e-6, 9e6)]
    assert _chosen(rows, search(budget={"max_megabytes": 3.0}))["name"] == "middle"
    assert _chosen(rows, search(budget={"max_ms_per_s": 1.5}))["name"] == "tiny"
    assert _chosen(rows, search())["name"] == "middle"
    assert _chosen([], search()) is None


def test_the_chosen_student_meets_the_budget_of_look_ahead():
    rows = [row("far", 1e-6, 1e6, look_ahead_s=0.5), row("near", 2e-6, 1e6, look_ahead_s=0.1925)]
    assert _chosen(rows, search(budget={"max_look_ahead_ms": 192.5}))["name"] == "near"
    assert _chosen(rows, search(budget={"max_look_ahead_ms": 192})) is None
    assert _chosen([row("not known", 1e-6, 1e6, look_ahead_s=None)], search(budget={"max_look_ahead_ms": 500})) is None
    assert _chosen(rows, search(budget={"max_megabytes": 2.0}))["name"] == "far"


def test_a_preset_need_not_be_beaten_by_students_that_only_hear_less():
    preset, near = row("small (preset), 2 steps", 1e-6, 2e6, is_preset=True), row("near", 2e-6, 2e6)
    about_streams = search(space={key: [0, None] for key in LOOK_AHEAD_KEYS})
    assert all(check["holds"] for check in _checks([preset, near], near, about_streams))
    assert not all(check["holds"] for check in _checks([preset, near], near, search()))


def test_the_front_of_look_aheads_is_one_of_its_own():
    rows = [row("large", 1e-6, 9e6, look_ahead_s=0.5), row("small", 2e-6, 1e6, look_ahead_s=0.5)]
    rows.append(row("near", 3e-6, 9e6, look_ahead_s=0.1))
    _mark_front(rows, "is_best", ("lve_m2", "look_ahead_s"))
    assert [one["is_best"] for one in rows] == [True, False, True]
    _mark_front([], "is_best", ("lve_m2", "look_ahead_s"))


def trial(cost: dict) -> Trial:
    """As Tune keeps one that was stopped early."""
    stopped = Trial("unregistered", stub=True)
    stopped.config = {"name": "a", "point": {"talker.encoder.width": 8}, "cost": cost,
                      "training": {"objective": {"student_steps": 2}}}  # fmt: skip
    return stopped


def test_trials_from_before_look_aheads_were_counted_are_read():
    cost = {"parameters": 1, "file_bytes": 2, "operations_per_s": 3.0, "rtf": 0.1}
    before, now = _row(trial(cost), search()), _row(trial(cost | {"look_ahead_s": 0.3}), search())
    assert (before["look_ahead_s"], now["look_ahead_s"]) == (None, 0.3)
    assert before | {"look_ahead_s": 0.3} == now


def test_configurations_from_before_look_aheads_had_a_budget_are_the_same_as_now():
    plain = to_plain(search())
    del plain["budget"]["max_look_ahead_ms"]
    assert from_plain(SearchJobConfig, plain) == search()


def test_the_report_says_whether_a_preset_was_beaten():
    preset = row("nano (preset), 2 steps", 2e-6, 2e6, is_preset=True)
    better, worse = row("better", 1e-6, 2e6), row("worse", 3e-6, 1e6)
    assert [check["holds"] for check in _checks([preset, better], better, search())] == [True, True, True]
    assert [check["holds"] for check in _checks([preset, worse], worse, search())] == [True, False, True]
    still = row("still", 1e-6, 2e6, fdd_abs=5.0)
    assert [check["holds"] for check in _checks([preset, still], still, search())] == [True, True, False]
    larger = row("larger", 1e-6, 3e6)
    assert "No searched student is as small and as fast" in _checks([preset, larger], preset, search())[1]["text"]


def test_importance_is_given_to_the_key_that_decides():
    rows = [
        row(str(number), 1e-6 * width, 1e6,
            point={"talker.encoder.width": width, "talker.denoiser.dilations": dilations, "objective.student_steps": 1})
        for number, (width, dilations) in enumerate([*itertools.product((8, 16), ([1], [1, 2]))] * 3)
    ]  # fmt: skip
    shares = _importances(rows, search())
    assert max(shares, key=shares.__getitem__) == "talker.encoder.width"
    assert _importances(rows[:2], search()) == {}
    for one in rows:
        one["state"] = "done" if len(one["point"]["talker.denoiser.dilations"]) == 1 else "stopped"
    shares = _importances(rows, search())
    assert max(shares, key=shares.__getitem__) == "talker.denoiser.dilations"


@pytest.mark.parametrize("name", ["search.yaml", "look_ahead_search.yaml", "smoke_search.yaml"])
def test_shipped_searches_have_a_valid_space(name):
    config = load_config(SearchJobConfig, path=Path("jobs/configs") / name)
    SearchSpace(config.space, config.training)


def test_flags_leave_the_space_alone():
    path = Path("jobs/configs/smoke_search.yaml")
    changed = load_config(SearchJobConfig, path=path, overrides=["--budget.max-megabytes", "2"])
    assert changed.budget.max_megabytes == 2
    assert changed.space == load_config(SearchJobConfig, path=path).space
