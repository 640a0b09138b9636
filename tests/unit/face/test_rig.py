import dataclasses

import numpy as np
import pytest

from diffusiontalker.face import CHANNELS, MotionClip, Rig, RigError, vertex_normals


def make_rig(**changes):
    """Four vertices: jawOpen lowers the first, mouthPucker and mouthFunnel move two, browInnerUp the last."""
    deltas = np.zeros((4, 4, 3))
    deltas[0, 0, 1] = -0.02
    deltas[1, 1:3, 2] = 0.01
    deltas[2, 1:3, 0] = 0.01
    deltas[3, 3, 1] = 0.01
    parts = {
        "name": "tetrahedron",
        "neutral": np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]]),
        "triangles": np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
        "shape_names": ("jawOpen", "mouthPucker", "mouthFunnel", "browInnerUp"),
        "shape_deltas": deltas,
    }
    return Rig(**{**parts, **changes})


def test_vertices_are_neutral_plus_weighted_shapes_matched_by_name():
    rig = make_rig()
    names = ("tongueOut", "jawOpen", "mouthPucker")
    clip = MotionClip(coefficients=np.array([[0.0, 0.0, 0.0], [0.9, 0.5, 1.0]]), fps=25.0, channel_names=names)
    posed = rig.vertices(clip)
    expected = rig.neutral + 0.5 * rig.shape_deltas[0] + 1.0 * rig.shape_deltas[1]
    np.testing.assert_allclose(posed[0], rig.neutral, atol=1e-8)
    np.testing.assert_allclose(posed[1], expected, atol=1e-7)


def test_bare_coefficients_are_in_the_order_of_the_channel_list():
    rig = make_rig()
    coefficients = np.random.default_rng(0).random((5, 52))
    np.testing.assert_array_equal(
        rig.vertices(coefficients), rig.vertices(MotionClip(coefficients=coefficients, fps=30.0))
    )
    with pytest.raises(RigError, match=r"\(5, 51\), expected \(frames, 52\)"):
        rig.vertices(coefficients[:, 1:])


def test_a_region_is_the_same_as_the_region_of_all_vertices():
    rig = make_rig()
    coefficients = np.random.default_rng(0).random((5, 52))
    chosen = np.array([3, 1])
    np.testing.assert_allclose(
        rig.vertices(coefficients, only=chosen), rig.vertices(coefficients)[:, chosen], atol=1e-8
    )


def test_regions_come_from_the_shapes_that_move_them():
    rig = make_rig()
    np.testing.assert_array_equal(rig.lip_vertices, [1, 2])
    np.testing.assert_array_equal(rig.upper_face_vertices, [3])
    given = make_rig(lip_vertices=np.array([0]), upper_face_vertices=np.array([2]))
    assert given.lip_vertices.tolist() == [0]
    assert given.upper_face_vertices.tolist() == [2]


def test_a_rig_without_lip_or_brow_shapes_has_empty_regions():
    rig = make_rig(shape_names=("jawOpen",), shape_deltas=make_rig().shape_deltas[:1])
    assert len(rig.lip_vertices) == len(rig.upper_face_vertices) == 0
    assert set(rig.missing_shapes) == set(CHANNELS) - {"jawOpen"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neutral": np.zeros((4, 2))}, r"neutral has shape \(4, 2\)"),
        ({"shape_deltas": np.zeros((3, 4, 3))}, "one .* block per shape name"),
        ({"shape_deltas": np.full((4, 4, 3), np.nan)}, "NaN or infinite"),
        ({"triangles": np.array([[0, 1, 4]])}, "0 to 4, but there are 4"),
        ({"triangles": np.zeros((0, 3))}, "at least one"),
        ({"shape_names": ("jawOpen", "mouthPucker", "mouthFunnel", "smile")}, "smile are not ARKit"),
        ({"shape_names": ("jawOpen", "mouthPucker", "mouthFunnel", "jawOpen")}, "given twice: jawOpen"),
        ({"colors": np.zeros((3, 3))}, r"colors have shape \(3, 3\)"),
        ({"lip_vertices": np.array([9])}, "lip_vertices must be indices between 0 and 3"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(RigError, match=f"rig 'tetrahedron'.*{message}"):
        make_rig(**changes)


def test_a_rig_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_rig().name = "other"


def test_normals_point_away_from_the_middle_of_a_closed_mesh():
    rig = make_rig()
    outwards = rig.neutral - rig.neutral.mean(axis=0)
    assert (np.einsum("vc,vc->v", rig.normals, outwards) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(rig.normals, axis=1), 1, atol=1e-6)


def test_a_vertex_without_triangles_has_a_normal_all_the_same():
    normals = vertex_normals(np.eye(4, 3), np.array([[0, 1, 2]]))
    np.testing.assert_array_equal(normals[3], [0, 0, 1])
