"""Every student size keeps its promise as a saved bundle, everything counted."""

from pathlib import Path

import pytest
import torch

from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.inference import Bundle, Precision, load_bundle, save_bundle
from diffusiontalker.models import STUDENT_SIZES, PersonalizerConfig, Talker

LIMIT_MB = {"base": 45.0, "small": 12.0, "nano": 6.8}
HALF_LIMIT_MB = {"base": 22.5, "small": 6.0, "nano": 3.4}


@pytest.fixture(scope="module", params=sorted(STUDENT_SIZES))
def student(request: pytest.FixtureRequest) -> tuple[str, Talker]:
    with torch.random.fork_rng(devices=[]):
        talker = Talker(
            STUDENT_SIZES[request.param],
            speakers=[f"speaker{index}" for index in range(20)],
            emotions=[f"emotion{index}" for index in range(8)],
            channel_names=CHANNELS,
            motion_fps=30.0,
        )
    return request.param, talker.eval()


@pytest.mark.parametrize(("precision", "limits"), [("float32", LIMIT_MB), ("float16", HALF_LIMIT_MB)])
def test_a_saved_student_stays_within_its_limit(
    student: tuple[str, Talker], precision: Precision, limits: dict[str, float], tmp_path: Path
) -> None:
    name, talker = student
    save_bundle(Bundle(talker=talker, precision=precision), tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle")
    files = ("config.json", "model.safetensors", "prototypes.safetensors", "statistics.json")
    num_bytes = sum((tmp_path / "bundle" / file).stat().st_size for file in files)
    assert num_bytes == loaded.file_bytes
    assert 0.85 * limits[name] < num_bytes / 1e6 <= limits[name]


def test_every_size_is_much_smaller_than_the_one_before() -> None:
    counts = {}
    for name, config in STUDENT_SIZES.items():
        with torch.device("meta"):
            talker = Talker(config, speakers=["a"], emotions=["neutral"], channel_names=CHANNELS, motion_fps=30.0)
        counts[name] = sum(parameter.numel() for parameter in talker.parameters())
    assert set(counts) == set(LIMIT_MB)
    assert counts["base"] > 3 * counts["small"]
    assert counts["small"] > 1.5 * counts["nano"]


def test_voices_fit_every_size_and_the_default_teacher() -> None:
    dims = {config.personalizer.embedding_dim for config in STUDENT_SIZES.values()}
    assert dims == {PersonalizerConfig().embedding_dim} == {128}


def test_students_learn_without_dropout() -> None:
    assert {(config.encoder.dropout, config.denoiser.dropout) for config in STUDENT_SIZES.values()} == {(0.0, 0.0)}
