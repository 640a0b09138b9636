import base64
import dataclasses
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from diffusiontalker.audio.waveform import read_waveform
from diffusiontalker.data import Clip
from diffusiontalker.evaluation.played_clips import LONGEST_S, PlayedClip, Playing, choose_clips
from diffusiontalker.evaluation.scoring import ClipScorer
from diffusiontalker.face import CHANNELS, MotionClip, Rig

FIXTURE = Path(__file__).parents[1] / "studio" / "played_clips.json"
"""What the page's reader is tested with, too."""


def clip_of(coefficients: np.ndarray, names: tuple[str, ...], *, seconds: float | None = None) -> Clip:
    motion = MotionClip(coefficients=coefficients, fps=25.0, channel_names=names)
    samples = round(16_000 * (motion.duration_s if seconds is None else seconds))
    waveform = 0.25 * np.sin(2 * np.pi * 200.0 * np.arange(samples) / 16_000)
    return Clip(
        clip_id="anna_001", waveform=waveform, motion=motion, speaker="anna", emotion="joy", split="test"
    )  # fmt: skip


def played(*clips: PlayedClip, names: tuple[str, ...] = ("jawOpen", "mouthFunnel")) -> Playing:
    return Playing(system="teacher", clips=clips, channel_names=names, curves=("jawOpen", "tongueOut"))


def decoded(encoded: dict, side: str) -> np.ndarray:
    steps = np.frombuffer(base64.b64decode(encoded[side]["steps"]), dtype="<u2").reshape(encoded["frames"], -1)
    lowest, highest = (np.asarray(encoded[side][key]) for key in ("lowest", "highest"))
    return lowest + steps / 65535 * (highest - lowest)


def test_the_fixture_that_the_page_reads_is_what_is_written():
    truth = np.array([[0.0, 0.5], [0.25, 0.5], [0.5, 0.5], [1.0, 0.5]])
    one = PlayedClip(
        clip=clip_of(truth, ("jawOpen", "mouthFunnel")), prediction=truth[::-1] * [0.5, 0.2], lip_error_mm=1.5,
        place="median",
    )  # fmt: skip
    written = played(one).encoded(head=b"a head")
    expected = json.loads(FIXTURE.read_text(encoding="utf-8"))
    sounds = [
        read_waveform(base64.b64decode(content["clips"][0].pop("sound"))) for content in (written, expected)
    ]  # fmt: skip
    np.testing.assert_array_equal(*sounds)
    heads = [gzip.decompress(base64.b64decode(content.pop("head"))) for content in (written, expected)]
    assert heads == [b"a head", b"a head"]
    assert json.loads(json.dumps(written)) == expected


def test_coefficients_come_back_within_a_step_of_their_range_and_only_what_is_scored():
    generator = np.random.default_rng(0)
    truth, prediction = generator.uniform(0.0, 1.2, (30, 52)), generator.uniform(-0.1, 1.0, (30, 2))
    one = PlayedClip(clip=clip_of(truth, CHANNELS), prediction=prediction, lip_error_mm=1.0, place="only")
    (encoded,) = played(one).encoded(head=b"")["clips"]
    columns = [CHANNELS.index(name) for name in ("jawOpen", "mouthFunnel")]
    np.testing.assert_allclose(decoded(encoded, "truth"), truth[:, columns], atol=1.2 / 131070 + 1e-7)
    np.testing.assert_allclose(decoded(encoded, "prediction"), prediction, atol=1.1 / 131070 + 1e-7)


def test_curves_that_are_not_scored_are_left_out():
    assert played().encoded(head=b"")["curves"] == ["jawOpen"]


def test_long_clips_are_cut():
    frames = round(25 * (LONGEST_S + 3.0))
    one = PlayedClip(
        clip=clip_of(np.zeros((frames, 2)), ("jawOpen", "mouthFunnel")), prediction=np.zeros((frames, 2)),
        lip_error_mm=0.0, place="only",
    )  # fmt: skip
    (encoded,) = played(one).encoded(head=b"")["clips"]
    assert encoded["frames"] == 25 * LONGEST_S
    assert len(read_waveform(base64.b64decode(encoded["sound"]))) == 16_000 * LONGEST_S
    assert encoded["seconds"] == LONGEST_S + 3.0


@pytest.mark.parametrize(
    ("count", "places"),
    [
        (0, {}),
        (1, {"median": 2}),
        (2, {"best": 0, "worst": 4}),
        (3, {"best": 0, "median": 2, "worst": 4}),
        (9, {"best": 0, "rank 2 of 5": 1, "median": 2, "rank 4 of 5": 3, "worst": 4}),
    ],
)
def test_clips_are_chosen_by_their_lip_error(rig: Rig, count: int, places: dict[str, int]):
    """Clip `i` is wrong by `i` tenths of jawOpen, which moves the lower lip 20 mm."""
    names = ("jawOpen", "mouthFunnel", "browInnerUp")
    clips = [
        dataclasses.replace(clip_of(np.full((4, 3), 0.5), names), clip_id=str(number)) for number in (3, 0, 4, 1, 2)
    ]
    predictions = [clip.motion.coefficients - 0.1 * int(clip.clip_id) * np.eye(3)[0] for clip in clips]
    scorer = ClipScorer(rig, channel_names=names)
    terms = [scorer.terms(clip, sample[np.newaxis])[0] for clip, sample in zip(clips, predictions, strict=True)]
    chosen = choose_clips(clips, predictions, terms, count=count)
    assert {one.place: int(one.clip.clip_id) for one in chosen} == places
    for one in chosen:
        assert one.lip_error_mm == pytest.approx(2.0 * int(one.clip.clip_id), abs=1e-4)
        np.testing.assert_array_equal(one.prediction, predictions[clips.index(one.clip)])
