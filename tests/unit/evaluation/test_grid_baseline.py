"""The ridge baseline of the real corpus, measured by its makers with the pooled convention: 0.80 / 0.57 / 0.0216."""

import csv
from pathlib import Path

import pytest

from diffusiontalker.audio.waveform import read_waveform
from diffusiontalker.data import Clip
from diffusiontalker.evaluation import MeanFace, Ridge
from diffusiontalker.evaluation.scoring import ClipScorer, pool
from diffusiontalker.face import builtin_rig, read_motion
from diffusiontalker.face.arkit import CHANNELS


def read_clips(folder: Path, *, split: str, count: int) -> list[Clip]:
    with (folder / "manifest.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == split and row["speaker"] == "s1"]
    clips = [
        Clip(
            clip_id=row["clip_id"],
            waveform=read_waveform(folder / row["audio"]),
            motion=read_motion(folder / row["motion"], fps=25.0),
            speaker="s1",
            emotion="neutral",
            split=split,
        )
        for row in rows[:count]
    ]
    return [clip.aligned(motion_fps=25.0) for clip in clips]


def test_ridge_and_mean_face_reproduce_the_published_baseline(real_data: Path):
    folder = real_data / "grid_faces"
    train, test = read_clips(folder, split="train", count=250), read_clips(folder, split="test", count=70)
    scorer = ClipScorer(builtin_rig(), channel_names=CHANNELS, missing_channels=("tongueOut",))
    rows = {}
    for system in (MeanFace.fit(train), Ridge.fit(train)):
        motions = system.predict(test, seeds=[0] * len(test))
        terms = [
            term
            for clip, motion in zip(test, motions, strict=True)
            for term in scorer.terms(clip, scorer.samples(clip, [motion], system=system.name))
        ]
        rows[system.name] = pool(terms, channel_names=scorer.channel_names)
    ridge, mean_face = rows["ridge from log-mel"], rows["mean face"]
    assert ridge["jaw_open_r"] == pytest.approx(0.80, abs=0.03)
    assert ridge["mouth_funnel_r"] == pytest.approx(0.57, abs=0.05)
    assert ridge["mae"] == pytest.approx(0.0216, abs=0.0015)
    assert mean_face["mae"] == pytest.approx(0.0239, abs=0.001)
    assert ridge["lve_m2"] < 0.6 * mean_face["lve_m2"]
