import dataclasses

import numpy as np
import pytest
from small_rig import REAL_RIG

from diffusiontalker.face import Rig, builtin_rig, inspect_rig, load_rig, read_rig


def inspected(tmp_path, rig, **options):
    np.savez(
        tmp_path / "head.npz",
        neutral=rig.neutral,
        triangles=rig.triangles,
        names=np.array(rig.shape_names),
        deltas=rig.shape_deltas,
    )
    return inspect_rig(read_rig(tmp_path / "head.npz", **options))


def changed(rig, **shapes):
    """The rig with some shapes' offsets replaced."""
    deltas = rig.shape_deltas.copy()
    for name, offsets in shapes.items():
        deltas[rig.shape_names.index(name)] = offsets
    return dataclasses.replace(rig, shape_deltas=deltas)


def shape(rig, name):
    return rig.shape_deltas[rig.shape_names.index(name)]


def test_the_built_in_head_is_in_order():
    summary = inspect_rig(read_rig(None))
    assert summary.warnings == ()
    text = summary.text()
    assert text.startswith("the built-in head: 13764 vertices, 26230 triangles\n")
    assert "head         22.9 x 30.3 x 21.8 cm (width x height x depth); eyes 6.3 cm apart" in text
    assert "52 of 52; missing: none" in text
    assert "mouth closed at rest, 23 mm open with jawOpen" in text


@pytest.mark.skipif(not REAL_RIG.exists(), reason=f"the real head is not at {REAL_RIG}")
def test_a_real_head_is_in_order():
    summary = inspect_rig(read_rig(REAL_RIG))
    assert summary.warnings == ()
    text = summary.text()
    for line in ("cm (by its size)", "51 of 52; missing: tongueOut", "mouth closed at rest, 30 mm", "Y up, facing Z"):
        assert line in text


@pytest.mark.skipif(not REAL_RIG.exists(), reason=f"the real head is not at {REAL_RIG}")
def test_faults_made_in_a_real_head_are_found(tmp_path):
    rig = load_rig(REAL_RIG)
    swapped = changed(rig, eyeBlinkLeft=shape(rig, "eyeBlinkRight"), eyeBlinkRight=shape(rig, "eyeBlinkLeft"))
    (warning,) = inspected(tmp_path, swapped).warnings
    assert warning.startswith("eyeBlinkLeft and eyeBlinkRight look swapped")
    opened = dataclasses.replace(rig, neutral=rig.neutral + 0.3 * shape(rig, "jawOpen"))
    (warning,) = inspected(tmp_path, opened).warnings
    assert warning.startswith("the mouth is open by ")


def test_shapes_are_listed_with_what_they_move(tmp_path):
    rig = builtin_rig()
    summary = inspected(tmp_path, rig)
    lengths = 1000 * np.linalg.norm(shape(rig, "jawOpen"), axis=1)
    jaw = next(row for row in summary.shapes if row.name == "jawOpen")
    assert jaw.largest_mm == pytest.approx(lengths.max(), rel=1e-5)
    assert jaw.num_moved == (lengths > 0.1).sum()
    rows = summary.text().splitlines()
    (header,) = (row for row in rows if "in the file" in row)
    (row,) = (row for row in rows if row.lstrip().startswith("jawOpen "))
    assert row == f"  {'jawOpen':19}  {'jawOpen':19}  {lengths.max():>6.2f} mm  {jaw.num_moved:>8}"
    assert len(header) == len(row)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda rig: changed(rig, jawOpen=0.0), "jawOpen: moves nothing (less than 0.05 mm)"),
        (lambda rig: changed(rig, jawOpen=10 * shape(rig, "jawOpen")), "jawOpen (285 mm): moves further than a face"),
        (lambda rig: changed(rig, jawOpen=-shape(rig, "jawOpen")), "jawOpen: moves up on the whole, expected down"),
        (
            lambda rig: changed(rig, jawLeft=shape(rig, "jawRight"), jawRight=shape(rig, "jawLeft")),
            "jawLeft: moves to the character's right on the whole, expected to the character's left",
        ),
        (
            lambda rig: changed(rig, mouthFunnel=shape(rig, "mouthPucker")),
            "mouthFunnel and mouthPucker are the same shape",
        ),
        (
            lambda rig: changed(
                rig, mouthSmileLeft=shape(rig, "mouthSmileRight"), mouthSmileRight=shape(rig, "mouthSmileLeft")
            ),
            "mouthSmileLeft and mouthSmileRight look swapped",
        ),
        (
            lambda rig: dataclasses.replace(rig, neutral=rig.neutral + 0.3 * shape(rig, "jawOpen")),
            "the mouth is open by",
        ),
        (lambda rig: changed(rig, jawOpen=0.02 * shape(rig, "jawOpen")), "jawOpen does not part the lips"),
    ],
)
def test_a_fault_is_named(tmp_path, make, message):
    summary = inspected(tmp_path, make(builtin_rig()))
    assert message in summary.warnings[0]
    assert f"\n  warning: {summary.warnings[0]}" in summary.text()


def test_a_mirrored_head_has_all_sides_swapped(tmp_path):
    rig = builtin_rig()
    mirror = np.array([-1, 1, 1], dtype=np.float32)
    mirrored = dataclasses.replace(
        rig, neutral=rig.neutral * mirror, shape_deltas=rig.shape_deltas * mirror, triangles=rig.triangles[:, ::-1]
    )
    warnings = inspected(tmp_path, mirrored).warnings
    assert any("left and right are swapped in every pair" in warning for warning in warnings)
    assert not any("look swapped" in warning for warning in warnings)


def test_foreign_shapes_come_with_a_suggestion(tmp_path):
    rig = builtin_rig()
    names = np.array([{"jawOpen": "jaw_opn", "tongueOut": "viseme_aa"}.get(name, name) for name in rig.shape_names])
    np.savez(tmp_path / "head.npz", neutral=rig.neutral, triangles=rig.triangles, names=names, deltas=rig.shape_deltas)
    text = inspect_rig(read_rig(tmp_path / "head.npz")).text()
    assert "2 shapes of the file are none of ARKit's" in text
    assert "    jaw_opn (perhaps jawOpen?)\n    viseme_aa" in text
    assert "viseme_aa (" not in text
    assert "missing: jawOpen, tongueOut" in text


def test_directions_are_told(tmp_path):
    rig = builtin_rig()
    turn = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=np.float32)
    blender = dataclasses.replace(rig, neutral=rig.neutral @ turn, shape_deltas=rig.shape_deltas @ turn)
    summary = inspected(tmp_path, blender)
    assert "Z up, facing -Y in the file; turned to Y up, facing Z" in summary.text()
    assert summary.warnings == ()
    left = inspected(tmp_path, blender, up="y")
    assert "direction    Z up, facing -Y\n" in left.text()
    assert left.warnings[0].startswith("the head lies Z up, facing -Y, expected Y up, facing Z; import it with --up")


def test_a_head_of_few_shapes_says_what_cannot_be_told(tmp_path):
    rig = builtin_rig()
    few = Rig(
        name="few",
        neutral=rig.neutral,
        triangles=rig.triangles,
        shape_names=("jawOpen",),
        shape_deltas=shape(rig, "jawOpen")[None],
    )
    summary = inspected(tmp_path, few)
    assert (summary.lip_gap_mm, summary.jaw_gap_mm, summary.eye_distance_mm) == (None, None, None)
    assert "eyes" not in summary.text()
    assert "taken for granted: the shapes do not tell" in summary.text()
    assert [warning[:12] for warning in summary.warnings] == ["no lip verti", "no upper fac"]
