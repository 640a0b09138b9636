import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from diffusiontalker.data import Clip, Corpus, inspect_corpus, write_corpus
from diffusiontalker.evaluation import plots
from diffusiontalker.evaluation.plots.embeddings import principal_axes
from diffusiontalker.face import CHANNELS

PNG = b"\x89PNG"


def test_a_picture_comes_in_a_light_and_a_dark_version(clips: list[Clip]):
    panel = plots.CurvePanel(
        title="clip", truth=clips[0].motion, samples=[clips[1].motion], lines={"a": clips[2].motion}
    )
    pictures = plots.render(lambda: plots.draw_curves([panel], channels=["jawOpen", "browInnerUp"]), dpi=40)
    assert pictures["light"].startswith(PNG)
    assert pictures["dark"].startswith(PNG)
    assert pictures["light"] != pictures["dark"]


def test_drawing_again_gives_the_same_bytes(clips: list[Clip]):
    values = {"mine": {"jawOpen": 0.1, "browInnerUp": None}, "other": {"jawOpen": 0.2, "browInnerUp": 0.3}}
    first, second = (plots.render(lambda: plots.draw_channel_bars(values, quantity="x"), dpi=40) for _ in range(2))
    assert first == second


def test_truth_is_drawn_in_ink_and_systems_in_the_order_of_the_palette(clips: list[Clip]):
    panel = plots.CurvePanel(title="clip", truth=clips[0].motion, lines={"a": clips[1].motion, "b": clips[2].motion})
    figure = plots.draw_curves([panel], channels=["jawOpen"])
    truth, first, second = figure.axes[0].get_lines()
    assert truth.get_label() == "recorded truth"
    np.testing.assert_allclose(truth.get_ydata(), clips[0].motion.column("jawOpen"))
    assert (first.get_label(), second.get_label()) == ("a", "b")


def test_longest_bars_come_first():
    figure = plots.draw_channel_bars(
        {"mine": {"jawOpen": 0.1, "mouthFunnel": 0.3, "mouthClose": 0.2}}, quantity="error"
    )
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["mouthFunnel", "mouthClose", "jawOpen"]


def test_principal_axes_of_a_line_lie_along_it():
    points = np.outer(np.linspace(-1, 1, 9), [3.0, 4.0]) + np.array([1.0, 2.0])
    mean, directions, share = principal_axes(points)
    np.testing.assert_allclose(mean, [1.0, 2.0])
    np.testing.assert_allclose(np.abs(directions[0]), [0.6, 0.8])
    assert share[0] == pytest.approx(1.0)


def test_speakers_without_a_prototype_are_hollow():
    panel = plots.EmbeddingPanel(
        title="identity",
        embeddings=np.random.default_rng(0).normal(size=(4, 3)),
        labels=["known", "known", "new", "new"],
        prototypes=np.eye(3)[:1],
        prototype_names=["known"],
    )
    clouds = plots.draw_embeddings([panel]).axes[0].collections
    by_label = {cloud.get_label(): cloud for cloud in clouds}
    assert len(by_label["known (2 clips)"].get_facecolor()) == 1
    assert len(by_label["new (2 clips)"].get_facecolor()) == 0


def test_training_curves_keep_the_later_value_of_a_step_logged_twice():
    records = [
        {"step": 1, "train/loss": 3.0, "train/step_seconds": 0.1},
        {"step": 2, "train/loss": 2.5, "validation/loss": 2.0},
        {"step": 2, "train/loss": 2.0},
    ]
    (axis,) = plots.draw_training(records).axes
    train, validation = axis.get_lines()
    assert train.get_ydata().tolist() == [3.0, 2.0]
    assert validation.get_ydata().tolist() == [2.0]


def test_a_training_log_without_losses_is_refused():
    with pytest.raises(ValueError, match="no record of 1"):
        plots.draw_training([{"step": 1, "train/step_seconds": 0.1}])


def test_a_corpus_picture_shows_minutes_and_movement(corpus: Corpus):
    minutes, movement = plots.draw_corpus(inspect_corpus(corpus)).axes
    assert sum(bar.get_width() for bar in minutes.patches) == pytest.approx(corpus.info.seconds / 60)
    assert len(movement.patches) == 52


def test_a_corpus_picture_tells_the_tongue_from_the_eyes_and_marks_what_the_source_lacks(clips: list[Clip], tmp_path):
    lacking = ["tongueOut", "cheekPuff"]
    write_corpus(
        clips, str(tmp_path / "corpus"), motion_fps=clips[0].motion.fps, channel_names=CHANNELS, source={},
        missing_channels=lacking,
    )  # fmt: skip
    _, movement = plots.draw_corpus(inspect_corpus(Corpus.open(tmp_path / "corpus"))).axes
    regions = {bars.get_label(): len(bars) for bars in movement.containers}
    assert regions == {"mouth and jaw": 27, "brows, eyes, cheeks, nose": 24, "tongue": 1}
    assert "*: missing in some or all of the source" in movement.get_title()
    labels = [label.get_text() for label in movement.get_yticklabels()]
    assert sorted(label for label in labels if label.endswith("*")) == ["cheekPuff*", "tongueOut*"]


def test_bars_name_the_tongue_and_mark_what_the_source_lacks():
    values = {"mine": {"jawOpen": 0.1, "tongueOut": 0.2, "cheekPuff": 0.0}}
    mouth, others = plots.draw_channel_bars(values, quantity="x", missing=["cheekPuff"]).axes
    assert [label.get_text() for label in others.get_yticklabels()] == ["tongueOut", "cheekPuff*"]
    assert others.get_title() == "brows, eyes, cheeks, nose, tongue"
    labels = [axis.get_xlabel() for axis in (mouth, others)]
    assert labels == ["x", "x (*: missing in some or all of the source)"]


def bubbles() -> list[plots.Bubble]:
    """Five networks of which two lie on one another, and a control far away."""
    places = [
        (0.30, 0.45, 100.0, 500.0),
        (0.29, 0.41, 100.0, 900.0),
        (0.2, 0.3, 14.0, 4000.0),
        (0.2, 0.3, 14.0, 8000.0),
    ]
    sized = [
        plots.Bubble(name=f"network {i}", lip_error=x, eye_error=y, megabytes=size, frames_per_s=speed, is_path=i < 2)
        for i, (x, y, size, speed) in enumerate(places)
    ]
    return [*sized, plots.Bubble(name="mean face", lip_error=9.0, eye_error=0.4, megabytes=None, frames_per_s=None)]


def test_bubbles_have_the_area_of_their_megabytes_and_a_colour_bar():
    axis, bar = plots.draw_bubbles(bubbles()).axes
    (drawn,) = axis.collections
    areas = drawn.get_sizes()
    assert areas[0] / areas[2] == pytest.approx(100.0 / 14.0)
    assert "frames" in bar.get_ylabel()
    assert "10⁻⁵ m²" in axis.get_xlabel()


def test_labels_of_bubbles_overlap_neither_each_other_nor_the_frame():
    figure = plots.draw_bubbles(bubbles())
    figure.draw_without_rendering()
    axis = figure.axes[0]
    frame = axis.get_window_extent()
    boxes = [Text.get_window_extent(label) for label in axis.texts]
    assert len(boxes) == 5
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


def test_a_control_beyond_the_edge_keeps_its_numbers():
    figure = plots.draw_bubbles(bubbles())
    assert figure.axes[0].get_xlim()[1] < 1.0
    assert any("beyond the edge: LVE 9.00, EVE 0.40" in text.get_text() for text in figure.axes[0].texts)
