import numpy as np
import pytest

from diffusiontalker.data import Clip, Corpus, inspect_corpus
from diffusiontalker.evaluation import plots
from diffusiontalker.evaluation.plots.embeddings import principal_axes

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
