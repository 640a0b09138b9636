"""A bundle gives back exactly what was saved, and refuses everything that is not exactly that."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from diffusiontalker.config import ArtefactError, sha256_of
from diffusiontalker.inference import Bundle, BundleError, SamplingConfig, load_bundle, save_bundle
from diffusiontalker.models import DenoiserConfig, PersonalizerConfig, SpeechEncoderConfig, Talker, TalkerConfig

FILES = ("config.json", "model.safetensors", "prototypes.safetensors", "statistics.json", "card.json", "README.md")


@pytest.fixture
def saved(bundle: Bundle, tmp_path: Path) -> Path:
    path = tmp_path / "bundle"
    save_bundle(bundle, path)
    return path


def with_valid_manifest(path: Path) -> None:
    """Makes the manifest agree with changed files, as someone would who edits a bundle on purpose."""
    manifest = json.loads((path / "manifest.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = {"sha256": sha256_of(path / name), "bytes": (path / name).stat().st_size}
    (path / "manifest.json").write_text(json.dumps(manifest))


def edit_json(path: Path, change: Callable[[dict], None]) -> None:
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))


def test_a_reloaded_bundle_equals_the_one_in_memory_bit_by_bit(bundle: Bundle, saved: Path) -> None:
    loaded = load_bundle(saved)
    assert loaded.talker.config == bundle.talker.config
    assert loaded.talker.speakers == ("anna", "björn")
    assert loaded.talker.emotions == ("neutral", "joy", "anger")
    assert loaded.talker.channel_names == ("jawOpen", "mouthClose", "browInnerUp")
    assert (loaded.motion_fps, loaded.sampling, loaded.card) == (25.0, bundle.sampling, bundle.card)
    before, after = bundle.talker.state_dict(), loaded.talker.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_reloaded_bundle_predicts_the_same_bit_by_bit(bundle: Bundle, saved: Path) -> None:
    waveform = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(3)) * 0.1
    features = [one.talker.encode(waveform, torch.tensor([16_000]))[0] for one in (bundle, load_bundle(saved))]
    assert torch.equal(features[0], features[1])


def test_digest_and_sizes_are_the_same_in_memory_and_on_disk(bundle: Bundle, saved: Path) -> None:
    loaded = load_bundle(saved)
    assert loaded.digest == bundle.digest
    assert len(bundle.digest) == 64
    assert loaded.parameters == bundle.parameters == sum(p.numel() for p in bundle.talker.parameters())
    assert loaded.file_bytes == bundle.file_bytes == sum((saved / name).stat().st_size for name in FILES[:4])


def test_the_digest_follows_weights_and_sampling_but_not_the_card(bundle: Bundle) -> None:
    renamed = Bundle(talker=bundle.talker, sampling=bundle.sampling, card={"name": "other"})
    cooler = Bundle(talker=bundle.talker, sampling=SamplingConfig(num_steps=4, temperature=0.0))
    assert renamed.digest == bundle.digest
    assert cooler.digest != bundle.digest


def test_a_loaded_talker_is_ready_to_animate_and_leaves_the_random_state_alone(saved: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    talker = load_bundle(str(saved)).talker
    assert torch.equal(torch.rand(3), expected)
    assert not talker.training
    assert not any(parameter.requires_grad for parameter in talker.parameters())


def test_the_folder_holds_prototypes_and_statistics_apart_and_by_name(bundle: Bundle, saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {*FILES, "manifest.json"}
    weights = safetensors.torch.load_file(saved / "model.safetensors")
    prototypes = safetensors.torch.load_file(saved / "prototypes.safetensors")
    assert prototypes["identity_prototypes"].shape == (2, 128)
    assert prototypes["emotion_prototypes"].shape == (3, 128)
    assert not any("prototypes" in name or "statistics" in name for name in weights)
    statistics = json.loads((saved / "statistics.json").read_text())
    assert statistics["mouthClose"]["mean"] == pytest.approx(bundle.talker.statistics.mean[1].item(), abs=0)


def test_the_readme_shows_what_was_measured_the_licences_and_the_limits(saved: Path) -> None:
    text = (saved / "README.md").read_text()
    for expected in ("# tiny", "| teacher | 0.01684 | 16 |", "CC BY 4.0", "Intended use", "Limits", "- torch: 2.13.0"):
        assert expected in text


def test_a_card_without_numbers_says_so(bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(Bundle(talker=bundle.talker), tmp_path / "plain")
    text = (tmp_path / "plain" / "README.md").read_text()
    assert "Nothing was measured" in text
    assert "Find out what the training data allows" in text


def test_saving_refuses_to_replace_a_folder_unasked(bundle: Bundle, saved: Path) -> None:
    with pytest.raises(ArtefactError, match="already exists"):
        save_bundle(bundle, saved)
    save_bundle(Bundle(talker=bundle.talker, card={"name": "second"}), saved, overwrite=True)
    assert load_bundle(saved).card == {"name": "second"}


def test_a_failed_save_leaves_nothing_behind(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not plain JSON data"):
        save_bundle(Bundle(talker=bundle.talker, card={"when": object()}), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_talker_is_refused(bundle: Bundle, value: float) -> None:
    talker = Talker(
        bundle.talker.config, speakers=["a"], emotions=["neutral"], channel_names=["jawOpen"], motion_fps=25.0
    ).eval()
    with torch.no_grad():
        talker.denoiser.motion_in.weight[0, 0] = value
    with pytest.raises(BundleError, match=r"'denoiser\.motion_in\.weight' holds NaN or infinite values"):
        Bundle(talker=talker)


def test_a_talker_in_training_mode_is_refused(bundle: Bundle) -> None:
    talker = Talker(
        bundle.talker.config, speakers=["a"], emotions=["neutral"], channel_names=["jawOpen"], motion_fps=25.0
    )
    with pytest.raises(BundleError, match=r"call talker\.eval\(\) first"):
        Bundle(talker=talker)


@pytest.mark.parametrize("name", FILES)
def test_every_changed_byte_is_found_and_its_file_named(saved: Path, name: str) -> None:
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(BundleError, match="damaged or changed") as caught:
        load_bundle(saved)
    assert str(caught.value).startswith(str(saved / name))
    assert "copy or export the bundle again" in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_cut_off_and_missing_files_are_named(saved: Path, name: str) -> None:
    (saved / name).write_bytes((saved / name).read_bytes()[:-1])
    with pytest.raises(BundleError, match="damaged or changed"):
        load_bundle(saved)
    (saved / name).unlink()
    with pytest.raises(BundleError, match="not in the folder") as caught:
        load_bundle(saved)
    assert str(saved / name) in str(caught.value)


def test_a_folder_without_manifest_is_no_bundle(saved: Path, tmp_path: Path) -> None:
    (saved / "manifest.json").unlink()
    with pytest.raises(BundleError, match="is no bundle, or an unfinished one"):
        load_bundle(saved)
    with pytest.raises(BundleError, match="does not exist"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plain: plain.update(format="other"), "not part of a diffusiontalker-bundle"),
        (lambda plain: plain.update(version=2), "bundle version 2, this package reads version 1"),
        (lambda plain: plain["files"].pop("model.safetensors"), r"does not list model\.safetensors"),
        (lambda plain: plain["files"].update({"../outside": {"sha256": "0", "bytes": 0}}), "not in the folder"),
        (lambda plain: plain["files"]["config.json"].pop("bytes"), "the manifest is damaged"),
        (lambda plain: plain.pop("files"), "the manifest is damaged"),
    ],
)
def test_a_wrong_manifest_is_refused(saved: Path, change: Callable[[dict], None], message: str) -> None:
    (saved.parent / "outside").write_text("")
    edit_json(saved / "manifest.json", change)
    with pytest.raises(BundleError, match=message):
        load_bundle(saved)


def test_an_unreadable_manifest_is_named(saved: Path) -> None:
    (saved / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match=r"manifest\.json: cannot be read as JSON"):
        load_bundle(saved)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", lambda plain: plain["talker"]["denoiser"].update(widht=8), "perhaps you meant 'width'"),
        ("config.json", lambda plain: plain["talker"]["denoiser"].update(width=24), "weights do not fit config.json"),
        ("config.json", lambda plain: plain["speakers"].append("eve"), "weights do not fit config.json"),
        ("config.json", lambda plain: plain["sampling"].update(num_steps=0), "num_steps is 0, expected at least 1"),
        ("config.json", lambda plain: plain.pop("motion_fps"), "motion_fps"),
        ("statistics.json", lambda plain: plain.pop("jawOpen"), "no mean and scale for every channel"),
    ],
)
def test_contents_that_do_not_fit_together_are_refused(
    saved: Path, name: str, change: Callable[[dict], None], message: str
) -> None:
    edit_json(saved / name, change)
    with_valid_manifest(saved)
    with pytest.raises(BundleError, match=message):
        load_bundle(saved)


@pytest.mark.parametrize("change", ["missing", "surplus"])
def test_weights_are_loaded_strictly(saved: Path, change: str) -> None:
    weights = safetensors.torch.load_file(saved / "model.safetensors")
    if change == "missing":
        weights.pop("denoiser.motion_in.weight")
    else:
        weights["denoiser.extra"] = torch.zeros(1)
    safetensors.torch.save_file(weights, saved / "model.safetensors")
    with_valid_manifest(saved)
    with pytest.raises(BundleError, match="weights do not fit"):
        load_bundle(saved)


def test_weights_that_are_no_safetensors_are_refused(saved: Path) -> None:
    (saved / "model.safetensors").write_bytes(b"\x80\x04pickle")
    with_valid_manifest(saved)
    with pytest.raises(BundleError, match="cannot be read as safetensors"):
        load_bundle(saved)


def test_an_unknown_device_is_a_clear_error(saved: Path) -> None:
    with pytest.raises(BundleError, match=r"device 'typo' cannot be used.*try device 'cpu'"):
        load_bundle(saved, device="typo")


def test_a_copied_bundle_is_the_same_bundle(bundle: Bundle, saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "elsewhere")
    assert load_bundle(tmp_path / "elsewhere").digest == bundle.digest


@pytest.mark.parametrize(
    "values", [{"num_steps": 0}, {"temperature": -0.1}, {"temperature": float("nan")}, {"guidance_scale": -1.0}]
)
def test_sampling_outside_its_range_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        SamplingConfig(**values)  # pyright: ignore[reportArgumentType]


def test_a_bundle_with_a_pretrained_encoder_needs_no_checkpoint_any_more(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    layers = {"conv_dim": (8, 8), "conv_stride": (20, 16), "conv_kernel": (25, 16), "num_conv_pos_embeddings": 4}
    config = transformers.HubertConfig(**sizes, **layers, num_conv_pos_embedding_groups=2)
    checkpoint = tmp_path / "hubert"
    transformers.HubertModel(config).save_pretrained(checkpoint)
    encoder = SpeechEncoderConfig(family="hugging_face", checkpoint=str(checkpoint))
    talker = Talker(
        TalkerConfig(
            encoder=encoder, personalizer=PersonalizerConfig(hidden_dim=16), denoiser=DenoiserConfig(width=16)
        ),
        speakers=["a"],
        emotions=["neutral"],
        channel_names=["jawOpen"],
        motion_fps=25.0,
    )
    before = Bundle(talker=talker.eval())
    save_bundle(before, tmp_path / "bundle")
    shutil.rmtree(checkpoint)
    after = load_bundle(tmp_path / "bundle")
    assert after.digest == before.digest
    waveform = torch.randn(1, 8_000, generator=torch.Generator().manual_seed(3)) * 0.1
    features = [one.talker.encode(waveform, torch.tensor([8_000]))[0] for one in (before, after)]
    assert torch.equal(features[0], features[1])
    assert Bundle(talker=after.talker, sampling=after.sampling).digest == before.digest
