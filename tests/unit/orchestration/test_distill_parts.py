import dataclasses
import json
from pathlib import Path

import pytest
import tiny

from diffusiontalker.config import ConfigError, from_plain
from diffusiontalker.data.corpus import TEACHER_GENERATOR
from diffusiontalker.models import STUDENT_SIZES
from diffusiontalker.orchestration import ChainConfig, DistillJobConfig, chain_stages
from diffusiontalker.orchestration.distill_plan import planned_networks
from diffusiontalker.orchestration.progress import ProgressLine, Span
from diffusiontalker.training import DistillationObjectiveConfig, TeacherObjectiveConfig

CHAIN = ChainConfig(warm_up_steps=10, first_steps=100, halving_steps=20, halving_learning_rate=1e-4)


def test_a_chain_halves_from_the_teachers_steps_to_one():
    stages = chain_stages(CHAIN, teacher_steps=16, learning_rate=1e-3)
    assert [stage.name for stage in stages] == ["warm_up", "8_steps", "4_steps", "2_steps", "1_step"]
    assert [stage.training_steps for stage in stages] == [10, 100, 20, 20, 20]
    assert [stage.learning_rate for stage in stages] == [1e-3, 1e-3, 1e-4, 1e-4, 1e-4]


def test_a_chain_may_end_early_and_do_without_warm_up():
    short = dataclasses.replace(CHAIN, warm_up_steps=0, until=2)
    assert [stage.student_steps for stage in chain_stages(short, teacher_steps=8, learning_rate=1e-3)] == [4, 2]


@pytest.mark.parametrize(("teacher_steps", "until"), [(16, 3), (12, 1), (2, 2), (1, 1)])
def test_steps_that_halving_cannot_reach_are_refused(teacher_steps, until):
    with pytest.raises(ConfigError, match=rf"chain.until is {until}, but halving {teacher_steps} diffusion steps"):
        chain_stages(dataclasses.replace(CHAIN, until=until), teacher_steps=teacher_steps, learning_rate=1e-3)


def networks(**changes):
    config = from_plain(DistillJobConfig, {"seeds": [0, 1], "more_sizes": ["small"]} | changes)
    return planned_networks(config, num_steps=170)


def test_the_first_seed_of_everything_comes_before_the_other_seeds_of_the_student():
    names = [(plan.name, plan.seed) for plan in networks()]
    assert names == [
        ("student", 0), ("direct", 0), ("without L_pc", 0), ("without L_dyn", 0), ("without L_ae", 0), ("small", 0),
        ("student", 1),
    ]  # fmt: skip
    assert len({plan.run_name for plan in networks()}) == len(names)


def test_controls_may_be_repeated_with_the_student():
    plans = networks(seeds=[0, 1, 2], more_sizes=[], controls=["direct", "without_enhancer"],
                     repeated_controls=["without_enhancer"])  # fmt: skip
    assert [(plan.name, plan.seed) for plan in plans if plan.name != "direct"] == [
        (name, seed) for seed in (0, 1, 2) for name in ("student", "without L_pc")
    ]


def test_only_the_student_is_distilled_further_than_what_is_compared():
    until = {plan.name: plan.chain.until for plan in networks() if plan.chain}
    assert until == {"student": 1, "without L_pc": 2, "without L_dyn": 2, "without L_ae": 2, "small": 2}


def test_each_control_differs_from_the_student_in_one_thing():
    plans = {plan.name: plan for plan in networks(seeds=[0])}
    student, direct = plans["student"], plans["direct"]
    objective = student.training.objective
    assert isinstance(objective, DistillationObjectiveConfig)
    assert student.talker == STUDENT_SIZES["nano"]
    assert plans["without L_pc"].training.objective == dataclasses.replace(objective, enhancer_weight=0.0)
    assert plans["without L_dyn"].training.objective == dataclasses.replace(objective, dynamics_weight=0.0)
    assert plans["without L_ae"].training.objective == dataclasses.replace(objective, feature_weight=0.0)
    chain, longer = student.chain, plans["without L_ae"].chain
    assert (longer.warm_up_steps, longer.first_steps) == (0, chain.first_steps + chain.warm_up_steps)
    assert plans["small"].talker == STUDENT_SIZES["small"]
    assert isinstance(direct.training.objective, TeacherObjectiveConfig)
    assert direct.training.talker == student.talker
    assert (direct.training.num_steps, direct.training.batch_size) == (170, student.training.batch_size)
    assert direct.training.objective.noise_levels == objective.noise_levels


def test_a_custom_size_is_the_network_of_the_training():
    talker = {"encoder": {"width": 24}}
    training = {"talker": talker, "objective": {"kind": "distillation"}}
    (plan,) = networks(seeds=[0], size="custom", more_sizes=[], controls=[], training=training)
    assert plan.talker.encoder.width == 24


def test_a_custom_size_may_be_one_of_several():
    training = {"talker": {"encoder": {"width": 24}}, "objective": {"kind": "distillation"}}
    plans = {plan.name: plan for plan in networks(seeds=[0], more_sizes=["custom"], controls=[], training=training)}
    assert plans["custom"].talker.encoder.width == 24
    assert plans["student"].talker == STUDENT_SIZES["nano"]


def test_direct_training_has_all_recordings_but_nothing_that_a_teacher_made_up(tmp_path):
    recorded = tiny.tiny_corpus(tmp_path / "recorded").uri
    labelled = tiny.tiny_corpus(tmp_path / "labelled").uri
    index = Path(labelled) / "corpus.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    index.write_text(json.dumps(content | {"source": {"generator": TEACHER_GENERATOR}}), encoding="utf-8")
    extra = [str(recorded), str(labelled)]
    training = {"objective": {"kind": "distillation"}, "extra_corpora": extra}
    plans = {plan.name: plan for plan in networks(seeds=[0], training=training)}
    assert plans["student"].training.extra_corpora == tuple(extra)
    assert plans["direct"].training.extra_corpora == (str(recorded),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, "name is 'a/b'"),
        ({"seeds": [1, 1]}, "seeds"),
        ({"seeds": []}, "seeds"),
        ({"controls": ["direct"], "repeated_controls": ["without_enhancer"]}, "repeated_controls holds"),
        ({"training": {"objective": {"kind": "diffusion"}}}, "expected 'distillation'"),
        ({"chain": {"first_steps": 0}}, "first_steps is 0"),
    ],
)
def test_a_config_that_cannot_run_says_why(changes, message):
    with pytest.raises(ConfigError, match=message):
        from_plain(DistillJobConfig, changes)


def test_progress_of_a_chain_counts_all_its_steps(caplog):
    line = ProgressLine(span=Span(title="student, stage 2 of 3", steps_before=50, steps_in_all=200), num_steps=50)
    with caplog.at_level("INFO"):
        line.update(25, {"train/loss": 0.5})
    assert "student, stage 2 of 3: step 25 of 50 (50 %, of all steps 37 %), loss 0.5000" in caplog.text
