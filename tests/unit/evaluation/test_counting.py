"""Counters against numbers worked out by hand; and what animations may cost: regressions show without a clock."""

from pathlib import Path

import torch
from tiny import tiny_hubert

from diffusiontalker.evaluation import Counts, count, count_animation, count_nodes
from diffusiontalker.face import CHANNELS
from diffusiontalker.inference import Bundle, SamplingConfig
from diffusiontalker.models import STUDENT_SIZES, SpeechEncoderConfig, Talker, TalkerConfig

SECONDS = 10.0


def student(size: str, *, steps: int) -> Bundle:
    return student_of(STUDENT_SIZES[size], steps=steps)


def student_of(config: TalkerConfig, *, steps: int) -> Bundle:
    with torch.random.fork_rng(devices=[]):
        talker = Talker(
            config, speakers=("anna", "ben"), emotions=("neutral", "happy"), channel_names=CHANNELS,
            motion_fps=30.0,
        )  # fmt: skip
    return Bundle(talker=talker.eval().requires_grad_(False), sampling=SamplingConfig(num_steps=steps))


def test_a_product_counts_two_operations_for_each_of_its_terms() -> None:
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    assert count(lambda: left @ right) == Counts(
        operations=2 * 3 * 5 * 7, calls=1, allocations=1, made_bytes=84, peak_bytes=84
    )


def test_views_and_changes_in_place_are_calls_that_make_nothing() -> None:
    given = torch.zeros(10, 10)
    assert count(lambda: given.view(100).add_(1.0)) == Counts(
        operations=0, calls=2, allocations=0, made_bytes=0, peak_bytes=0
    )


def test_what_is_let_go_counts_as_made_and_not_as_living_at_once() -> None:
    given = torch.zeros(1000)

    def one_after_another() -> None:
        for _ in range(5):
            given + 1.0

    def all_at_once() -> list[torch.Tensor]:
        return [given + 1.0 for _ in range(5)]

    assert count(one_after_another) == Counts(operations=0, calls=5, allocations=5, made_bytes=20_000, peak_bytes=4_000)
    assert count(all_at_once) == Counts(operations=0, calls=5, allocations=5, made_bytes=20_000, peak_bytes=20_000)


def test_a_view_keeps_what_it_looks_at_alive() -> None:
    given = torch.zeros(1000)

    def heads() -> list[torch.Tensor]:
        return [(given + 1.0)[:1] for _ in range(3)]

    assert count(heads) == Counts(operations=0, calls=6, allocations=3, made_bytes=12_000, peak_bytes=12_000)


def test_what_is_computed_once_is_not_counted() -> None:
    kept: list[torch.Tensor] = []
    assert count(lambda: kept or kept.append(torch.zeros(8))) == Counts(
        operations=0, calls=0, allocations=0, made_bytes=0, peak_bytes=0
    )


def test_backward_passes_count() -> None:
    weights = torch.ones(4, 6, requires_grad=True)
    found = count(lambda: (weights @ weights.T).sum().backward())
    assert found.operations == 3 * 2 * 4 * 6 * 4


def test_counting_again_gives_the_same() -> None:
    bundle = student("nano", steps=1)
    assert count_animation(bundle, seconds=1.0) == count_animation(bundle, seconds=1.0)


def test_the_small_student_in_two_steps_costs_no_more_than_it_did() -> None:
    """Operations exactly, as the network is what it is; the rest may only fall."""
    found = count_animation(student("small", steps=2), seconds=SECONDS)
    assert found.operations == 1_975_289_088
    assert found.calls <= 712
    assert found.allocations <= 459
    assert found.made_bytes <= 80.1e6
    assert found.peak_bytes <= 6.8e6


def test_onnx_runtime_is_given_no_more_nodes_than_it_was() -> None:
    one, two = (count_nodes(student("small", steps=steps)) for steps in (1, 2))
    assert one is not None
    assert two is not None
    assert one <= 276
    assert two <= 460


def test_a_pretrained_encoder_stays_in_torch(tmp_path: Path) -> None:
    config = TalkerConfig(
        encoder=SpeechEncoderConfig(family="hugging_face", checkpoint=str(tiny_hubert(tmp_path / "h")))
    )
    assert count_nodes(student_of(config, steps=1)) is None


def test_a_step_costs_the_denoiser_once_more() -> None:
    one, two, three = (count_animation(student("nano", steps=steps), seconds=1.0) for steps in (1, 2, 3))
    assert two.operations - one.operations == three.operations - two.operations
    assert two.calls - one.calls == three.calls - two.calls
    assert two.peak_bytes == three.peak_bytes


def test_cost_grows_no_faster_than_the_sound() -> None:
    ten, sixty = (count_animation(student("nano", steps=1), seconds=seconds) for seconds in (10.0, 60.0))
    assert sixty.operations <= 6.3 * ten.operations
    assert sixty.made_bytes <= 6.3 * ten.made_bytes
    assert sixty.calls <= 6.0 * ten.calls
