import numpy as np
import pytest
from matplotlib.figure import Figure

from diffusiontalker.evaluation.plots.faces import draw_face, draw_face_strip, render_face, render_face_strip
from diffusiontalker.face import CHANNELS, MotionClip, builtin_rig


def square(z, size=1.0, left=0.0):
    corners = np.array([[0, 0, z], [size, 0, z], [size, size, z], [0, size, z]], dtype=float)
    return corners + np.array([left, 0, 0])


SQUARE = np.array([[0, 1, 2], [0, 2, 3]])
BOUNDS = np.array([[0.0, 0, -0.5], [1, 1, 0.5]])
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def test_what_is_nearer_hides_what_is_behind_whatever_the_order_of_triangles():
    vertices = np.concatenate([square(0.2, size=0.5), square(-0.2)])
    colors = np.array([RED] * 4 + [BLUE] * 4)
    for triangles in (np.concatenate([SQUARE, SQUARE + 4]), np.concatenate([SQUARE + 4, SQUARE])):
        image = render_face(vertices, triangles, colors=colors, bounds=BOUNDS, pixels=64)
        low_left, top_right = image[48, 16], image[16, 48]
        assert low_left[0] > 0.5 > low_left[2]
        assert top_right[2] > 0.5 > top_right[0]


def test_background_is_transparent_and_x_grows_to_the_right():
    vertices = square(0.0, size=0.4, left=0.6)
    image = render_face(vertices, SQUARE, bounds=BOUNDS, pixels=64)
    alpha = image[..., 3]
    assert alpha[:, :30].max() == 0
    assert alpha[50, 52] == 1
    assert alpha[5, 52] == 0


def test_turning_the_head_to_its_left_shows_its_nose_on_the_right():
    rig = builtin_rig()
    nose = rig.neutral[:, 2].argmax()
    colors = np.zeros(rig.neutral.shape)
    colors[np.linalg.norm(rig.neutral - rig.neutral[nose], axis=1) < 0.01] = 1.0

    def nose_column(yaw_deg):
        image = render_face(rig.neutral, rig.triangles, colors=colors, yaw_deg=yaw_deg, pixels=100)
        return np.nonzero(image[..., 0] > 0.3)[1].mean()

    assert nose_column(30.0) > nose_column(-30.0) + 10


def test_an_open_mouth_is_darker_than_a_closed_one():
    rig = builtin_rig()
    bounds = np.array([[-0.02, -0.08, 0.0], [0.02, -0.05, 0.12]])
    coefficients = np.zeros((2, 52))
    coefficients[1, CHANNELS.index("jawOpen")] = 1.0
    closed, opened = (
        render_face(vertices, rig.triangles, colors=rig.colors, bounds=bounds, pixels=60)[..., :3].mean()
        for vertices in rig.vertices(coefficients)
    )
    assert opened < 0.9 * closed


def test_a_strip_has_one_picture_per_instant_and_clip(tmp_path):
    rig = builtin_rig()
    clip = MotionClip(coefficients=np.zeros((10, 52)), fps=25.0)
    times_s = [0.0, 0.2, 9.0]
    strips = render_face_strip(rig, {"truth": clip, "prediction": clip}, times_s, pixels=40)
    figure = draw_face_strip(strips, times_s, title="hello")
    assert len(figure.axes) == 6
    assert [ax.get_title() for ax in figure.axes[:3]] == ["0.00 s", "0.20 s", "9.00 s"]
    figure.savefig(tmp_path / "strip.png")
    assert (tmp_path / "strip.png").stat().st_size > 5000
    assert len(draw_face_strip(render_face_strip(rig, clip, [0.0], pixels=40), [0.0]).axes) == 1


def test_draw_face_fills_an_axis_without_frame():
    ax = Figure().subplots()
    draw_face(ax, square(0.0), SQUARE, pixels=32)
    assert len(ax.images) == 1
    assert not ax.axison


@pytest.mark.parametrize("pixels", [1, 33])
def test_pictures_have_the_height_asked_for(pixels):
    assert render_face(square(0.0), SQUARE, pixels=pixels).shape[0] == pixels
