import numpy as np
import pytest

from diffusiontalker.data import Clip, Corpus
from diffusiontalker.evaluation.enrolled_voices import (
    Enrollment,
    enrolled_voice_scores,
    nearest_voice_accuracy,
    plan_enrollments,
)
from diffusiontalker.inference import Bundle, embed, enroll

CLIP_S = 1.2


def plans(corpus: Corpus, clips: list[Clip], *, seconds: tuple[float, ...], draws: int = 1) -> list[Enrollment]:
    held_out = [clip for clip in clips if clip.split != "train"]
    return plan_enrollments(corpus, held_out, seconds=seconds, draws=draws, seed=0)


def test_known_speakers_are_enrolled_from_training_and_unseen_ones_from_clips_no_longer_tested(corpus, clips):
    (plan,) = plans(corpus, clips, seconds=(CLIP_S,))
    assert {name: len(references) for name, references in plan.references.items()} == {
        "anna": 1, "bert": 1, "new0": 1, "new1": 1
    }  # fmt: skip
    assert {clip.split for name in ("anna", "bert") for clip in plan.references[name]} == {"train"}
    for name, own in (("new0", {"new0_020", "new0_022"}), ("new1", {"new1_021", "new1_023"})):
        enrolled = {clip.clip_id for clip in plan.references[name]}
        tested = {clip.clip_id for clip in plan.tests if clip.speaker == name}
        assert (len(enrolled), enrolled | tested, enrolled & tested) == (1, own, set())


def test_as_many_clips_are_taken_as_the_seconds_need_and_speakers_with_less_are_left_out(corpus, clips):
    two, many = plans(corpus, clips, seconds=(1.5 * CLIP_S, 3 * CLIP_S))
    assert {len(references) for references in two.references.values()} == {2}
    assert set(many.references) == {"anna", "bert"}
    assert {clip.speaker for clip in many.tests} == {"anna", "bert"}


def test_draws_differ_and_are_the_same_again(corpus, clips):
    def drawn(name: str) -> list[list[str]]:
        chosen = plans(corpus, clips, seconds=(CLIP_S,), draws=6)
        return [[clip.clip_id for clip in plan.references[name]] for plan in chosen]

    for name in ("anna", "new0"):
        assert len({tuple(ids) for ids in drawn(name)}) > 1
        assert drawn(name) == drawn(name)


def test_accuracy_is_a_mean_over_speakers(corpus, clips):
    (plan,) = plans(corpus, clips, seconds=(CLIP_S,))
    axes = dict(zip(("anna", "bert", "new0", "new1"), np.eye(4), strict=True))
    right = {clip.clip_id: axes[clip.speaker] for clip in clips}
    assert nearest_voice_accuracy(plan, right) == 1.0
    anna = next(clip for clip in plan.tests if clip.speaker == "anna")
    tested = sum(clip.speaker == "anna" for clip in plan.tests)
    assert nearest_voice_accuracy(plan, right | {anna.clip_id: axes["bert"]}) == pytest.approx(1 - 1 / tested / 4)


def test_voices_are_those_that_enrolling_makes(corpus, clips, bundle: Bundle):
    (plan,) = plans(corpus, clips, seconds=(1.5 * CLIP_S,))
    voices = {
        name: enroll(bundle, [clip.waveform for clip in references], name=name).identity
        for name, references in plan.references.items()
    }
    right: dict[str, list[bool]] = {}
    for clip in plan.tests:
        own = embed(bundle, clip.waveform)[0]
        right.setdefault(clip.speaker, []).append(max(voices, key=lambda name: voices[name] @ own) == clip.speaker)
    expected = np.mean([np.mean(hits) for hits in right.values()])
    (scores,) = enrolled_voice_scores(bundle, [plan])
    assert scores["accuracy"] == pytest.approx(expected)
    assert (scores["speakers"], scores["clips"], scores["chance"]) == (4, len(plan.tests), 0.25)


def test_lengths_nobody_has_are_reported_as_unknown(corpus, clips, bundle: Bundle):
    (scores,) = enrolled_voice_scores(bundle, plans(corpus, clips, seconds=(100.0,)))
    assert (scores["seconds"], scores["accuracy"], scores["speakers"]) == (100.0, None, 0)
