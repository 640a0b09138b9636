import time

import numpy as np
import pytest

from diffusiontalker.face import CHANNELS, builtin_rig, vertex_normals
from diffusiontalker.face.arkit import CHANNEL_INDEX, mirrored_name
from diffusiontalker.face.head import coordinates, parts, piece, skin, surface
from diffusiontalker.face.head.piece import Kind
from diffusiontalker.face.rig import find_lip_vertices

MM = 0.001


@pytest.fixture(scope="module")
def rig():
    return builtin_rig()


@pytest.fixture(scope="module")
def kinds():
    return piece.joined([skin.build_skin(), *parts.build_parts().values()]).kind


@pytest.fixture(scope="module")
def mirror_image(rig):
    """Index of the vertex at the mirror image of each one."""
    rounded = np.round(rig.neutral / (0.01 * MM)).astype(int)
    place = {tuple(row): index for index, row in enumerate(rounded)}
    near = [(dx, dy, dz) for dx in (0, 1, -1) for dy in (0, 1, -1) for dz in (0, 1, -1)]
    return np.array([
        next((place[key] for step in near if (key := (-x + step[0], y + step[1], z + step[2])) in place), -1)
        for x, y, z in rounded
    ])  # fmt: skip


def pose(rig, **weights):
    coefficients = np.zeros((1, 52))
    for name, weight in weights.items():
        coefficients[0, CHANNEL_INDEX[name]] = weight
    return rig.vertices(coefficients)[0]


def lip_gap(head, vertices):
    """Distances between the seam of the upper and the lower lip, which are built in pairs."""
    seam = (head.kind == Kind.LIP) & (head.depth == 1.0)
    indices = np.nonzero(seam)[0]
    half = len(indices) // 2
    upper, lower = indices[1:half], indices[half + 1 :][::-1]
    return vertices[upper] - vertices[lower]


@pytest.fixture(scope="module")
def head():
    return piece.joined([skin.build_skin(), *parts.build_parts().values()])


def test_it_has_all_52_shapes_and_each_moves_something(rig):
    assert rig.shape_names == CHANNELS
    assert rig.missing_shapes == ()
    largest = np.linalg.norm(rig.shape_deltas, axis=2).max(axis=1)
    assert (largest > 1 * MM).all()
    assert (largest < 60 * MM).all()


def test_it_is_as_large_as_a_human_head_in_metres(rig):
    chin = -0.11
    width, height, depth = np.ptp(rig.neutral[rig.neutral[:, 1] > chin], axis=0)
    assert 0.14 < width < 0.18
    assert 0.20 < height < 0.30
    assert 0.18 < depth < 0.25
    nose_tip = rig.neutral[rig.neutral[:, 2].argmax()]
    assert abs(nose_tip[0]) < 1 * MM


def test_it_is_quick_to_build_and_deterministic(rig):
    started = time.process_time()
    again = builtin_rig.__wrapped__()
    assert time.process_time() - started < 5.0  # a second without the tests' shape checks
    np.testing.assert_array_equal(again.neutral, rig.neutral)
    np.testing.assert_array_equal(again.shape_deltas, rig.shape_deltas)
    assert builtin_rig() is builtin_rig()


def test_left_and_right_are_mirror_images(rig, mirror_image):
    matched = mirror_image >= 0
    assert matched.mean() > 0.98  # the glints in the eyes are on the same side of both
    for name in CHANNELS:
        mine = rig.shape_deltas[CHANNEL_INDEX[name]][matched]
        other = rig.shape_deltas[CHANNEL_INDEX[mirrored_name(name)]][mirror_image[matched]] * [-1, 1, 1]
        difference = np.linalg.norm(mine - other, axis=1)
        assert np.quantile(difference, 0.97) < 0.1 * MM, name  # the rest: upper and lower seam coincide


@pytest.mark.parametrize(
    "name", [name for name in CHANNELS if name.endswith("Left") and name not in ("jawLeft", "mouthLeft")]
)
def test_left_shapes_move_the_left_half_of_the_character(rig, name):
    moved = np.linalg.norm(rig.shape_deltas[CHANNEL_INDEX[name]], axis=1)
    x = rig.neutral[:, 0]
    assert moved[x > 0].sum() > 5 * moved[x < 0].sum()


@pytest.mark.parametrize(
    ("name", "axis", "sign"),
    [
        ("jawOpen", 1, -1), ("jawForward", 2, 1), ("jawLeft", 0, 1), ("jawRight", 0, -1), ("mouthLeft", 0, 1),
        ("mouthSmileLeft", 1, 1), ("mouthFrownRight", 1, -1), ("mouthPucker", 2, 1), ("mouthFunnel", 2, 1),
        ("browInnerUp", 1, 1), ("browDownLeft", 1, -1), ("browOuterUpRight", 1, 1), ("eyeBlinkLeft", 1, -1),
        ("cheekPuff", 2, 1), ("noseSneerLeft", 1, 1), ("mouthUpperUpLeft", 1, 1), ("mouthLowerDownLeft", 1, -1),
        ("mouthRollLower", 2, -1), ("mouthRollUpper", 2, -1), ("tongueOut", 2, 1), ("mouthStretchLeft", 0, 1),
        ("mouthDimpleRight", 0, -1),
    ],
)  # fmt: skip
def test_shapes_move_the_face_where_their_name_says(rig, name, axis, sign):
    total = rig.shape_deltas[CHANNEL_INDEX[name]].sum(axis=0)
    assert np.sign(total[axis]) == sign


@pytest.mark.parametrize(
    ("name", "direction"),
    [("eyeLookInLeft", [-1, 0]), ("eyeLookOutLeft", [1, 0]), ("eyeLookUpLeft", [0, 1]), ("eyeLookDownLeft", [0, -1])],
)
def test_pupils_turn_where_the_eye_looks(rig, head, name, direction):
    pupil = np.nonzero((head.kind == Kind.EYEBALL) & (head.depth == 0) & (head.vertices[:, 0] > 0))[0]
    shift = rig.shape_deltas[CHANNEL_INDEX[name]][pupil[0], :2]
    assert np.dot(shift, direction) > 4 * MM
    assert np.abs(np.cross([*shift, 0], [*direction, 0])).max() < 0.5 * MM


def test_lips_are_closed_at_rest_open_with_the_jaw_and_closed_again_by_mouth_close(rig, head):
    assert np.abs(lip_gap(head, rig.neutral)).max() < 0.1 * MM
    assert lip_gap(head, pose(rig, jawOpen=1.0))[:, 1].max() > 20 * MM
    for amount in (0.3, 1.0):
        closed = lip_gap(head, pose(rig, jawOpen=amount, mouthClose=amount))
        assert np.linalg.norm(closed, axis=1).max() < 1.5 * MM


@pytest.mark.parametrize(
    "name",
    ["mouthSmileLeft", "mouthFrownLeft", "mouthPucker", "mouthLeft", "mouthStretchRight", "mouthPressLeft"],
)  # fmt: skip
def test_shapes_that_do_not_open_the_mouth_leave_the_lips_together(rig, head, name):
    assert np.linalg.norm(lip_gap(head, pose(rig, **{name: 1.0})), axis=1).max() < 1.0 * MM


def test_a_blink_brings_the_edges_of_the_lids_together(rig, head):
    edge = (head.kind == Kind.LASH) & (head.vertices[:, 0] > 0.0)
    middle = np.abs(head.vertices[:, 0] - 3.15) < 0.8
    upper, lower = np.nonzero(edge & middle & (head.lower < 0.5))[0], np.nonzero(edge & middle & (head.lower > 0.5))[0]

    def opening(vertices):
        return vertices[upper, 1].min() - vertices[lower, 1].max()

    assert opening(rig.neutral) > 5 * MM
    assert opening(pose(rig, eyeBlinkLeft=1.0)) < 1 * MM
    assert opening(pose(rig, eyeBlinkRight=1.0)) == pytest.approx(opening(rig.neutral))


def test_closing_lids_stay_in_front_of_the_eyeball(rig, head):
    lids = np.nonzero((head.kind == Kind.LID) & (head.vertices[:, 0] > 0))[0]
    center, radius = surface.EYE_CENTER / 100, surface.EYE_RADIUS / 100
    for amount in (0.25, 0.5, 0.75, 1.0):
        posed = pose(rig, eyeBlinkLeft=amount)[lids]
        in_front = posed[posed[:, 2] > center[2] + 0.3 * radius]
        assert np.linalg.norm(in_front - center, axis=1).min() > radius


def test_lip_region_is_the_lips_and_upper_region_is_above_the_nose(rig, kinds):
    assert (kinds[rig.lip_vertices] == Kind.LIP).all()
    lips = rig.neutral[rig.lip_vertices]
    assert 0.045 < np.ptp(lips[:, 0]) < 0.06
    assert np.ptp(lips[:, 1]) < 0.02
    upper = rig.neutral[rig.upper_face_vertices]
    assert upper[:, 1].min() > -0.035
    assert np.isin([Kind.BROW, Kind.LID], kinds[rig.upper_face_vertices]).all()
    assert not np.isin([Kind.EYEBALL, Kind.LIP, Kind.UPPER_TEETH], kinds[rig.upper_face_vertices]).any()


def test_the_rule_for_unknown_meshes_finds_these_lips_and_nothing_far_from_them(rig):
    found = find_lip_vertices(rig.shape_names, rig.shape_deltas)
    assert np.isin(found, rig.lip_vertices).sum() > 0.5 * len(rig.lip_vertices)
    center, reach = np.array([0.0, -0.0585]), np.array([0.04, 0.018])
    assert (np.abs(rig.neutral[found, :2] - center) < reach).all()


def test_skin_normals_point_outwards(rig, kinds):
    normals = vertex_normals(rig.neutral, rig.triangles)
    brow_or_face = np.isin(kinds, (Kind.FACE, Kind.BROW, Kind.HAIR)) & (rig.neutral[:, 1] > -0.11)
    outwards = rig.neutral - [0, 0, 0]
    share = (np.einsum("vc,vc->v", normals, outwards) > 0)[brow_or_face].mean()
    assert share > 0.95


def test_colors_are_valid_and_differ_by_part(rig, kinds):
    assert rig.colors.min() >= 0
    assert rig.colors.max() <= 1
    mean = {kind: np.quantile(rig.colors[kinds == kind], 0.75) for kind in (Kind.UPPER_TEETH, Kind.CAVITY, Kind.FACE)}
    assert mean[Kind.UPPER_TEETH] > mean[Kind.FACE] > mean[Kind.CAVITY]


def test_halves_of_the_face_share_what_is_in_the_middle():
    at = coordinates.Coordinates(skin.build_skin())
    np.testing.assert_allclose(at.on_side(1.0) + at.on_side(-1.0), 1.0, atol=1e-12)
