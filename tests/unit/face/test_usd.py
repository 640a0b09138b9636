"""USD files: what we write passes OpenUSD's own validators and moves as the rig does; what is damaged is refused."""

import resource

import numpy as np
import pytest
from small_rig import REAL_RIG

from diffusiontalker.audio.waveform import write_wav
from diffusiontalker.config import ArtefactError
from diffusiontalker.face import (
    CHANNELS,
    MotionClip,
    MotionError,
    builtin_rig,
    decode_motion,
    encode_motion,
    load_rig,
    read_motion,
    usd,
    write_motion,
)

Usd = pytest.importorskip("pxr.Usd", reason="usd-core is not installed (pip install 'diffusiontalker[usd]')")
from pxr import UsdGeom, UsdMedia, UsdSkel, UsdUtils, UsdValidation  # noqa: E402


def make_clip(num_frames=5, fps=29.97, names=CHANNELS):
    values = np.random.default_rng(1).random((num_frames, len(names)))
    return MotionClip(coefficients=values, fps=fps, channel_names=names)


def complaints(path):
    """What all of OpenUSD's validators say."""
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    return [error.GetErrorAsString() for error in context.Validate(Usd.Stage.Open(str(path)))]


@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_the_builtin_head_with_sound_passes_every_validator(tmp_path, suffix):
    write_wav(np.zeros(1600, np.float32), tmp_path / "clip.wav")
    write_motion(make_clip(), tmp_path / f"clip{suffix}", audio_path=tmp_path / "clip.wav")
    assert complaints(tmp_path / f"clip{suffix}") == []
    stage = Usd.Stage.Open(str(tmp_path / f"clip{suffix}"))
    sound = UsdMedia.SpatialAudio.Get(stage, "/Head/Sound")
    assert sound.GetFilePathAttr().Get().path == "./clip.wav"


@pytest.mark.skipif(not REAL_RIG.exists(), reason=f"the real head is not at {REAL_RIG}")
def test_a_real_head_passes_every_validator(tmp_path):
    write_motion(make_clip(), tmp_path / "clip.usdc", rig=load_rig(REAL_RIG))
    assert complaints(tmp_path / "clip.usdc") == []


def test_the_validators_do_find_faults(tmp_path):
    sound = tmp_path / "clip.wav"
    write_wav(np.zeros(1600, np.float32), sound)
    write_motion(make_clip(), tmp_path / "clip.usda", audio_path=sound)
    text = (tmp_path / "clip.usda").read_text()
    (tmp_path / "no_axis.usda").write_text(text.replace('upAxis = "Y"', ""))
    (tmp_path / "no_sound.usda").write_text(text.replace("./clip.wav", "./gone.wav"))
    assert "upAxis" in "".join(complaints(tmp_path / "no_axis.usda"))
    assert "gone.wav" in "".join(complaints(tmp_path / "no_sound.usda"))


def test_a_sound_that_does_not_lie_beside_the_file_is_not_named(tmp_path):
    write_motion(make_clip(), tmp_path / "clip.usda", audio_path="elsewhere/clip.wav")
    assert not Usd.Stage.Open(str(tmp_path / "clip.usda")).GetPrimAtPath("/Head/Sound")
    assert complaints(tmp_path / "clip.usda") == []


def test_a_stage_is_in_metres_y_up_and_one_time_code_a_frame(tmp_path):
    write_motion(make_clip(num_frames=7, fps=29.97), tmp_path / "clip.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "clip.usdc"))
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y
    assert stage.GetTimeCodesPerSecond() == 29.97
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 6)
    assert stage.GetDefaultPrim().IsA(UsdSkel.Root)


@pytest.mark.parametrize("names", [CHANNELS, ("tongueOut", "jawOpen", "mouthSmileLeft")])
def test_openusd_moves_the_head_as_the_rig_does(tmp_path, names):
    clip, rig = make_clip(num_frames=4, names=names), builtin_rig()
    write_motion(clip, tmp_path / "clip.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "clip.usdc"))
    root, cache = UsdSkel.Root.Get(stage, "/Head"), UsdSkel.Cache()
    cache.Populate(root, Usd.PrimDefaultPredicate)
    mesh = UsdGeom.Mesh.Get(stage, "/Head/Face")
    skinning = cache.GetSkinningQuery(mesh.GetPrim())
    shapes = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(mesh))
    (binding,) = cache.ComputeSkelBindings(root, Usd.PrimDefaultPredicate)
    animation = cache.GetSkelQuery(binding.GetSkeleton()).GetAnimQuery()
    for frame, expected in enumerate(rig.vertices(clip)):
        weights = skinning.GetBlendShapeMapper().Remap(animation.ComputeBlendShapeWeights(frame))
        points = mesh.GetPointsAttr().Get()
        sub_weights, shape_indices, sub_indices = shapes.ComputeSubShapeWeights(weights)
        assert shapes.ComputeDeformedPoints(
            sub_weights,
            shape_indices,
            sub_indices,
            shapes.ComputeBlendShapePointIndices(),
            shapes.ComputeSubShapePointOffsets(),
            points,
        )
        # Offsets below a hundredth of a millimetre are not stored, 52 of them may add up.
        np.testing.assert_allclose(np.array(points), expected, atol=52e-5)
        assert np.abs(np.array(points) - expected).mean() < 1e-5


def test_the_animation_holds_channels_that_the_rig_has_no_shape_for(tmp_path):
    rig = builtin_rig()
    few = type(rig)(
        name="few",
        neutral=rig.neutral,
        triangles=rig.triangles,
        shape_names=("jawOpen",),
        shape_deltas=rig.shape_deltas[rig.shape_names.index("jawOpen")][None],
    )
    clip = make_clip(names=("jawOpen", "tongueOut"))
    back = decode_motion(encode_motion(clip, "usda", rig=few), "usda")
    assert back.channel_names == ("jawOpen", "tongueOut")
    np.testing.assert_array_equal(back.coefficients, clip.coefficients)


STAGE = """#usda 1.0
( {metadata} )
def SkelAnimation "{name}" {{
    uniform token[] blendShapes = ["JawOpen", "mouthSmile_L"]
    float[] blendShapeWeights{weights}
}}
"""


def stage(*, name="A", metadata="timeCodesPerSecond = 24", weights=".timeSamples = { 0: [0, 0.1], 1: [0.5, 0.2] }"):
    return STAGE.format(name=name, metadata=metadata, weights=weights)


def test_files_of_other_programs_are_read_by_name_and_time_code():
    clip = decode_motion(stage().encode(), "usda")
    assert (clip.fps, clip.channel_names) == (24, ("jawOpen", "mouthSmileLeft"))
    np.testing.assert_allclose(clip.column("jawOpen"), [0, 0.5])
    spread = stage(metadata="timeCodesPerSecond = 4800", weights=".timeSamples = { 10: [0, 0], 170: [0, 0] }")
    assert decode_motion(spread.encode(), "usda").fps == 30
    still = stage(weights=" = [0.25, 0]")
    assert decode_motion(still.encode(), "usda").coefficients.tolist() == [[0.25, 0]]


def test_packages_and_files_of_either_kind_are_read(tmp_path):
    clip = make_clip()
    write_motion(clip, tmp_path / "clip.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "clip.usdc"))
    stage.GetRootLayer().Export(str(tmp_path / "clip.usd"))
    assert UsdUtils.CreateNewUsdzPackage(str(tmp_path / "clip.usdc"), str(tmp_path / "clip.usdz"))
    for suffix in ("usd", "usdz"):
        back = read_motion(tmp_path / f"clip.{suffix}")
        assert (back.fps, back.channel_names) == (clip.fps, clip.channel_names)
        np.testing.assert_array_equal(back.coefficients, clip.coefficients)
        with pytest.raises(MotionError, match=f"files of format '{suffix}' are only read"):
            write_motion(clip, tmp_path / f"new.{suffix}")


@pytest.mark.parametrize("suffix", ["usda", "usdc"])
def test_a_full_disk_is_one_clear_error(tmp_path, suffix):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(ArtefactError, match=rf"new\.{suffix} cannot be written: .*; free some space") as caught:
            write_motion(make_clip(), tmp_path / f"new.{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no usd", "cannot be read as USD"),
        (stage()[:-30], "cannot be read as USD"),
        ("#usda 1.0\n", "expected one SkelAnimation with blend shapes, found none"),
        (stage() + stage(name="B").partition(")\n")[2], "found /A, /B"),
        (stage(weights=""), "holds 0 weights, expected 2"),
        (stage(weights=".timeSamples = { 0: [0, 0], 1: [0] }"), "time code 1.0 of /A holds 1 weights, expected 2"),
        (stage(weights=".timeSamples = { 0: [0, 0], 1: [0, 7] }"), "the first, 7, in frame 1 .*'mouthSmile_L'"),
        (stage(weights=".timeSamples = { 0: [0, 0], 1: [0, nan] }"), "NaN or infinite, the first in frame 1"),
        (
            stage(weights=".timeSamples = { 0: [0, 0], 1: [0, 0], 5: [0, 0] }"),
            "time code steps from .* at frame 1 .*expected even, growing steps",
        ),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(content, message, capfd):
    with pytest.raises(MotionError, match=message) as caught:
        decode_motion(content.encode(), "usda", name="head.usda")
    assert str(caught.value).startswith("head.usda: ")


def test_a_cut_off_binary_file_is_refused(tmp_path, capfd):
    (tmp_path / "cut.usdc").write_bytes(encode_motion(make_clip(), "usdc")[:5000])
    with pytest.raises(MotionError, match="cannot be read as USD"):
        read_motion(tmp_path / "cut.usdc")


def test_without_openusd_the_message_says_what_to_install(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(usd.importlib, "import_module", missing)
    monkeypatch.setattr(usd.importlib.util, "find_spec", lambda name: None)
    for use in (usd.require_usd, lambda: encode_motion(make_clip(), "usda"), lambda: decode_motion(b"#usda", "usda")):
        with pytest.raises(MotionError, match=r"pip install 'diffusiontalker\[usd\]'"):
            use()
