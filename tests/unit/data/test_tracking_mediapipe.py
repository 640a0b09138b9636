"""The tracker that ships, on pictures of the built-in head, with MediaPipe's real model where there is one."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("av") is None:
    pytest.skip("PyAV is not installed (extra 'track')", allow_module_level=True)

from videos import tone, write_video

from diffusiontalker.cli import main
from diffusiontalker.data.tracking import MediaPipeTracker, Picture, TrackerError
from diffusiontalker.evaluation.plots.faces import render_face
from diffusiontalker.face import CHANNELS, builtin_rig, read_motion

MODEL = Path(os.environ.get("DIFFUSIONTALKER_FACE_MODEL", "face_landmarker.task"))
IS_INSTALLED = importlib.util.find_spec("mediapipe") is not None

needs_mediapipe = pytest.mark.skipif(not IS_INSTALLED, reason="MediaPipe is not installed (extra 'track')")
needs_model = pytest.mark.skipif(
    not IS_INSTALLED or not MODEL.is_file(),
    reason=f"needs MediaPipe and its model at {MODEL} (DIFFUSIONTALKER_FACE_MODEL)",
)


def photographed(*heads: dict[str, float], pixels: int = 320, yaw_deg: float = 0.0) -> np.ndarray:
    """(rows, columns, 3) uint8: the built-in head with some shapes, or several in a row, ever smaller."""
    rig, pictures = builtin_rig(), []
    for number, weights in enumerate(heads):
        coefficients = np.zeros((1, len(CHANNELS)), dtype=np.float32)
        for name, weight in weights.items():
            coefficients[0, CHANNELS.index(name)] = weight
        (vertices,) = rig.vertices(coefficients)
        image = render_face(
            vertices, rig.triangles, colors=rig.colors, yaw_deg=yaw_deg, pixels=round(pixels * 0.75**number)
        )
        rows = pixels - image.shape[0]
        pictures.append(np.pad(image, ((rows // 2, rows - rows // 2), (40, 40), (0, 0))))
    picture = np.concatenate(pictures, axis=1)
    picture = picture[:, : picture.shape[1] // 2 * 2]
    shown = picture[..., :3] * picture[..., 3:] + 0.25 * (1 - picture[..., 3:])
    return np.ascontiguousarray(np.round(255 * shown).astype(np.uint8))


def tracked(images: list[np.ndarray]) -> list:
    pictures = [Picture(image=image, time_s=number / 25) for number, image in enumerate(images)]
    return list(MediaPipeTracker(MODEL).track(pictures))


@pytest.mark.skipif(IS_INSTALLED, reason="MediaPipe is installed")
def test_without_mediapipe_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        TrackerError, match=r"needs MediaPipe, which is not installed; pip install 'diffusiontalker\[tr"
    ):
        MediaPipeTracker(tmp_path / "model.task")


@needs_mediapipe
def test_models_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrackerError, match=r"gone\.task: the model cannot be read .*; download face_landmarker\.task"):
        MediaPipeTracker(tmp_path / "gone.task")
    for content in (b"", b"no model", b"PK\x03\x04" + bytes(100)):
        (tmp_path / "bad.task").write_bytes(content)
        with pytest.raises(TrackerError, match=r"bad\.task: is no face landmarker"):
            MediaPipeTracker(tmp_path / "bad.task")


@needs_model
def test_shapes_are_seen_and_on_the_right_side() -> None:
    still, jaw, left, right = tracked([
        photographed({}), photographed({"jawOpen": 1.0}), photographed({"eyeBlinkLeft": 1.0}),
        photographed({"eyeBlinkRight": 1.0}),
    ])  # fmt: skip
    assert set(CHANNELS) - set(still.coefficients) == {"tongueOut"}
    assert jaw.coefficients["jawOpen"] > still.coefficients["jawOpen"] + 0.3
    for seen, side, other in ((left, "Left", "Right"), (right, "Right", "Left")):
        assert seen.coefficients[f"eyeBlink{side}"] > seen.coefficients[f"eyeBlink{other}"] + 0.1


@needs_model
def test_no_face_is_none_and_of_several_the_largest_is_followed() -> None:
    nothing, one, two = tracked([
        np.full((320, 400, 3), 90, dtype=np.uint8), photographed({}), photographed({"jawOpen": 1.0}, {}),
    ])  # fmt: skip
    assert nothing is None
    assert one.num_faces == 1
    assert two.num_faces == 2
    assert two.coefficients["jawOpen"] > 0.3


@needs_model
def test_a_filmed_head_gives_its_motion_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    levels = np.clip(0.5 + 0.5 * np.sin(np.arange(40) / 4), 0, 1)
    images = [photographed({"jawOpen": level}) for level in levels]
    images[20] = np.full_like(images[20], 90)
    sound = tone(lambda times: np.interp(times, np.arange(40) / 25, levels), seconds=1.6)
    video = write_video(
        tmp_path / "anna" / "take.mp4", images, sound=sound, codecs=("libx264", "aac"), pixels="yuv420p"
    )
    flags = ["--model", str(MODEL), "--out", str(tmp_path / "out")]
    assert main(["corpus", "track", str(video.parent), *flags]) == 0
    printed = capsys.readouterr().out
    assert "1 videos (0 finished before): 1 clips" in printed
    assert "a face in 39 pictures, 1 without one interpolated" in printed
    seen = read_motion(tmp_path / "out/motion/anna_take.csv").column("jawOpen")
    assert np.corrcoef(seen, levels)[0, 1] > 0.95
    assert main(["corpus", "import", str(tmp_path / "out"), "--out", str(tmp_path / "corpus"), "--strict"]) == 0
    assert main(["corpus", "track", str(video.parent), *flags]) == 0
    assert "1 videos (1 finished before)" in capsys.readouterr().out
