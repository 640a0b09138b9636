"""Rigs through the command line: what a stranger's head needs before it can be animated."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from diffusiontalker.face import MotionClip, builtin_rig, load_rig, write_motion


def save_foreign(path: Path, **names: str) -> Path:
    """The built-in head as another program might write it: centimetres, Z up, names of its own."""
    rig = builtin_rig()
    turn = 100 * np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=np.float32)
    spelled = np.array([names.get(name, f"blendShape1.{name[0].upper()}{name[1:]}") for name in rig.shape_names])
    np.savez(path, neutral=rig.neutral @ turn, triangles=rig.triangles, names=spelled, deltas=rig.shape_deltas @ turn)
    return path


def test_a_foreign_head_becomes_ours(tmp_path: Path, command: Callable) -> None:
    source, names, out = (
        save_foreign(tmp_path / "foreign.npz", jawOpen="Kiefer"),
        tmp_path / "n.csv",
        tmp_path / "o.npz",
    )
    names.write_text("shape,channel\nKiefer,jawOpen\n")
    outcome = command("rig", "import", source, "--out", out, "--names", names)
    assert (outcome.code, outcome.err) == (0, "")
    assert "cm (by its size)" in outcome.out
    assert "Z up, facing -Y in the file; turned to Y up, facing Z" in outcome.out
    assert f"wrote {out}: 52 shapes, metres, Y up; use it with --rig {out}" in outcome.out
    rig, own = load_rig(out), builtin_rig()
    np.testing.assert_allclose(rig.neutral, own.neutral, atol=1e-6)
    np.testing.assert_allclose(rig.shape_deltas, own.shape_deltas, atol=1e-6)
    assert command("rig", "import", source, "--out", out, "--names", names).code == 2
    assert command("rig", "import", source, "--out", out, "--names", names, "--up", "z", "--overwrite").code == 0
    np.testing.assert_array_equal(load_rig(out).neutral, rig.neutral)


def test_an_imported_head_animates(tmp_path: Path, bundle_path: Path, speech_path: Path, command: Callable) -> None:
    glb, out = tmp_path / "head.glb", tmp_path / "head.npz"
    write_motion(MotionClip(coefficients=np.zeros((2, 52)), fps=25.0), glb)
    assert command("rig", "import", glb, "--out", out).code == 0
    flags = ("--bundle", bundle_path, "--rig", out, "--out", tmp_path / "speech.glb")
    assert command("animate", speech_path, *flags).code == 0


def test_inspecting_shows_shapes_and_faults(tmp_path: Path, command: Callable) -> None:
    outcome = command("rig", "inspect")
    assert (outcome.code, outcome.err) == (0, "")
    assert "52 of 52" in outcome.out
    outcome = command("rig", "inspect", save_foreign(tmp_path / "foreign.npz", jawOpen="jaw_opn"))
    assert outcome.code == 0
    for part in (
        "missing: jawOpen",
        "jaw_opn (perhaps jawOpen?)",
        "warning: the head lies Z up",
        "blendShape1.EyeBlink",
    ):
        assert part in outcome.out


def test_eyes_that_no_head_has_cast_doubt_on_the_unit(tmp_path: Path, command: Callable) -> None:
    rig, source = builtin_rig(), tmp_path / "inches.npz"
    inches = {"neutral": rig.neutral / 0.0254, "deltas": rig.shape_deltas / 0.0254}
    np.savez(source, triangles=rig.triangles, names=np.array(rig.shape_names), **inches)
    for args in (("inspect", source), ("import", source, "--out", tmp_path / "o.npz")):
        outcome = command("rig", *args)
        assert outcome.code == 0, outcome.err
        assert "warning: the eyes are 2.5 cm apart, people's are 5 to 8 cm: is the unit really cm?" in outcome.out
        assert "--units 0.025" in outcome.out
    assert "warning" not in command("rig", "inspect", source, "--units", "0.0254").out


def test_a_shape_that_the_head_lacks_does_not_stop_the_page(tmp_path: Path, command: Callable) -> None:
    source, out = save_foreign(tmp_path / "foreign.npz", tongueOut="Zunge"), tmp_path / "x.png"
    outcome = command("rig", "preview", source, "--out", out, "--pixels", 16, "--shapes", "tongueOut", "jawOpen")
    assert outcome.code == 0, outcome.err
    assert outcome.out.endswith(f"wrote {out}: 1 shape of {source}; not in this head: tongueOut\n")


def test_a_head_is_drawn_on_one_page(tmp_path: Path, command: Callable) -> None:
    sizes = []
    for number, shapes in enumerate((("jawOpen",), ("jawOpen,mouth_smile_left", "tongueOut", "mouthClose"))):
        out = tmp_path / f"{number}.png"
        outcome = command("rig", "preview", "--out", out, "--pixels", 40, "--shapes", *shapes)
        assert (outcome.code, outcome.err) == (0, "")
        assert f"wrote {out}: {('1 shape', '4 shapes')[number]} of the built-in head" in outcome.out
        sizes.append(matplotlib.image.imread(out).shape)
    assert sizes[1][1] > sizes[0][1]


def test_the_page_is_light_or_dark_and_a_turned_head_is_said(tmp_path: Path, command: Callable) -> None:
    source = save_foreign(tmp_path / "foreign.npz")
    corners = []
    for theme in ("light", "dark"):
        out = tmp_path / f"{theme}.png"
        outcome = command(
            "rig", "preview", source, "--out", out, "--pixels", 16, "--shapes", "jawOpen", "--theme", theme
        )
        assert outcome.code == 0, outcome.err
        assert "the head lies Z up, facing -Y; it was turned for the picture" in outcome.out
        corners.append(matplotlib.image.imread(out)[-1, -1, :3].mean())
    assert corners[0] > 0.9
    assert corners[1] < 0.2


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (("inspect", "nowhere.npz"), ("nowhere.npz", "there is no such rig")),
        (("import", "nowhere.npz", "--out", "x.glb"), ("--out x.glb", ".npz")),
        (("import", "nowhere.npz", "--out", "x.npz"), ("nowhere.npz", "there is no such rig")),
        (("import", "nowhere.npz", "--out", "x.npz", "--names", "none.csv"), ("none.csv", "columns shape and channel")),
        (("preview", "--out", "x.jpg"), ("--out x.jpg", ".png")),
        (("preview", "--out", "x.png", "--pixels", 9), ("--pixels 9", "16 to 1024")),
        (("preview", "--out", "x.png", "--shapes", "jawOpn"), ("--shapes jawOpn", "perhaps jawOpen?", "browDownLeft")),
    ],
)
def test_what_cannot_be_done_is_said(args: tuple, parts: tuple, command: Callable) -> None:
    outcome = command("rig", *args)
    assert outcome.code == 2, outcome.err
    for part in parts:
        assert part in outcome.err
    assert not Path("x.npz").exists()
    assert not Path("x.png").exists()


def test_an_existing_picture_is_kept(tmp_path: Path, command: Callable) -> None:
    out = tmp_path / "x.png"
    out.write_text("precious")
    assert "already exists" in command("rig", "preview", "--out", out).err
    assert out.read_text() == "precious"
