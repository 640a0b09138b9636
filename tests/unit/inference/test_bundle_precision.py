"""Half precision is a matter of storage: what was rounded once is exactly what is loaded and computed with."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from diffusiontalker.config import sha256_of
from diffusiontalker.inference import Bundle, BundleError, animate, load_bundle, save_bundle

STATISTICS = ("statistics.mean", "statistics.scale")


@pytest.fixture
def half(bundle: Bundle) -> Bundle:
    return Bundle(talker=bundle.talker, sampling=bundle.sampling, precision="float16")


def replace_config(path: Path, **changes: str | None) -> None:
    """Changes keys of config.json (None: removes them) and makes the manifest agree."""
    plain = json.loads((path / "config.json").read_text()) | changes
    (path / "config.json").write_text(json.dumps({key: value for key, value in plain.items() if value is not None}))
    manifest = json.loads((path / "manifest.json").read_text())
    entry = {"sha256": sha256_of(path / "config.json"), "bytes": (path / "config.json").stat().st_size}
    manifest["files"]["config.json"] = entry
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_a_reloaded_half_bundle_equals_the_one_in_memory_bit_by_bit(half: Bundle, tmp_path: Path) -> None:
    save_bundle(half, tmp_path / "half")
    loaded = load_bundle(tmp_path / "half")
    assert (loaded.precision, loaded.digest, loaded.file_bytes) == ("float16", half.digest, half.file_bytes)
    before, after = half.talker.state_dict(), loaded.talker.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    waveform = np.random.default_rng(3).uniform(-0.3, 0.3, 16_000).astype(np.float32)
    motions = [animate(one, waveform, seed=1).coefficients for one in (half, loaded)]
    assert np.array_equal(*motions)


def test_weights_are_rounded_to_half_and_computed_in_float32(bundle: Bundle, half: Bundle) -> None:
    exact, rounded = bundle.talker.state_dict(), half.talker.state_dict()
    assert {tensor.dtype for tensor in rounded.values()} == {torch.float32}
    for name in exact:
        expected = exact[name] if name in STATISTICS else exact[name].half().float()
        assert torch.equal(rounded[name], expected), name
    assert any(not torch.equal(exact[name], rounded[name]) for name in exact)


def test_the_callers_talker_stays_as_it_was(bundle: Bundle) -> None:
    before = {name: tensor.clone() for name, tensor in bundle.talker.state_dict().items()}
    half = Bundle(talker=bundle.talker, precision="float16")
    assert half.talker is not bundle.talker
    assert all(torch.equal(before[name], tensor) for name, tensor in bundle.talker.state_dict().items())
    assert Bundle(talker=half.talker, precision="float16").talker is half.talker


def test_the_files_hold_half_the_bytes_and_other_content(bundle: Bundle, half: Bundle, tmp_path: Path) -> None:
    save_bundle(bundle, tmp_path / "full")
    save_bundle(half, tmp_path / "half")
    sizes = {}
    for kind, dtype in (("full", torch.float32), ("half", torch.float16)):
        tensors = {}
        for name in ("model.safetensors", "prototypes.safetensors"):
            tensors |= safetensors.torch.load_file(tmp_path / kind / name)
        assert {tensor.dtype for tensor in tensors.values()} == {dtype}
        sizes[kind] = sum(tensor.nbytes for tensor in tensors.values())
    assert sizes["half"] * 2 == sizes["full"]
    assert half.digest != bundle.digest
    statistics = [(tmp_path / kind / "statistics.json").read_bytes() for kind in sizes]
    assert statistics[0] == statistics[1]


def test_the_readme_and_config_name_the_precision(half: Bundle, tmp_path: Path) -> None:
    save_bundle(half, tmp_path / "half")
    text = (tmp_path / "half" / "README.md").read_text()
    assert "| precision | float16 as stored, float32 in computing |" in text
    assert f"| size | {half.file_bytes / 1e6:.1f} MB (float16 as stored) |" in text
    assert json.loads((tmp_path / "half" / "config.json").read_text())["precision"] == "float16"


def test_a_bundle_without_the_key_is_float32(bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(bundle, tmp_path / "old")
    replace_config(tmp_path / "old", precision=None)
    loaded = load_bundle(tmp_path / "old")
    assert loaded.precision == "float32"
    before = bundle.talker.state_dict()
    assert all(torch.equal(before[name], tensor) for name, tensor in loaded.talker.state_dict().items())


def test_an_unknown_precision_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(bundle, tmp_path / "odd")
    replace_config(tmp_path / "odd", precision="float8")
    with pytest.raises(BundleError, match="precision"):
        load_bundle(tmp_path / "odd")


@pytest.mark.parametrize(("value", "fits"), [(65504.0, True), (-65504.0, True), (65505.0, False), (-7e4, False)])
def test_weights_beyond_half_are_refused_not_made_infinite(half: Bundle, value: float, fits: bool) -> None:
    weight = half.talker.denoiser.motion_in.weight
    kept = weight[0, 0].item()
    try:
        with torch.no_grad():
            weight[0, 0] = value
        if fits:
            stored = Bundle(talker=half.talker, precision="float16").talker.denoiser.motion_in.weight
            assert stored[0, 0].item() == value
            return
        with pytest.raises(BundleError, match=r"'denoiser\.motion_in\.weight' reaches .* at most 65504.*'float32'"):
            Bundle(talker=half.talker, precision="float16")
        assert Bundle(talker=half.talker).precision == "float32"
    finally:
        with torch.no_grad():
            weight[0, 0] = kept


def test_a_diverged_talker_is_called_diverged(half: Bundle) -> None:
    with torch.no_grad():
        half.talker.denoiser.motion_in.weight[0, 0] = float("inf")
    with pytest.raises(BundleError, match="NaN or infinite"):
        Bundle(talker=half.talker, precision="float16")
