"""Pictures of repeated measurements show what was measured."""

import numpy as np
import pytest

from diffusiontalker.evaluation.plots import Measured, draw_measured, render


def measured(name: str, *values: float, **changes) -> Measured:
    return Measured(**({"name": name, "series": name, "values": values} | changes))


def test_bars_stand_in_the_order_given_with_their_medians_floors_and_what_is_wanted():
    figure = draw_measured([measured("small", 3.0, 1.0, 2.0, floor=0.5), measured("nano", 1.0, wanted=0.9)], unit="ms")
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["small", "nano"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]
    assert [bar.get_width() for bar in axis.patches] == [2.0, 1.0]
    marks = {line.get_label(): line.get_xydata().tolist() for line in axis.get_lines()}
    assert marks["the best that the machine allows"] == [[0.5, 0.0]]
    assert marks["wanted"] == [[0.9, 1.0]]
    assert axis.get_xlabel() == "ms"


@pytest.mark.parametrize(("largest", "scale"), [(7.0, "linear"), (9.0, "log")])
def test_bars_that_are_far_apart_stand_on_a_logarithmic_axis(largest: float, scale: str):
    figure = draw_measured([measured("a", 1.0), measured("b", largest)], unit="ms")
    assert figure.axes[0].get_xscale() == scale


def test_lines_join_the_medians_of_a_series_from_left_to_right():
    points = [
        measured("small, 8", 5.0, 4.0, 6.0, series="small", x=8.0),
        measured("small, 1", 1.0, 3.0, 2.0, series="small", x=1.0),
        measured("nano, 1", 7.0, series="nano", x=1.0),
    ]
    axis = draw_measured(points, unit="ms", x_label="streams").axes[0]
    small, nano = axis.get_lines()
    assert (small.get_label(), nano.get_label()) == ("small", "nano")
    np.testing.assert_array_equal(small.get_xydata(), [[1.0, 2.0], [8.0, 5.0]])
    assert axis.get_ylim()[0] == 0.0
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "8"]


def test_a_single_point_and_values_of_nothing_can_be_drawn():
    for one, label in ((measured("a", 0.0), ""), (measured("a", 0.0, x=0.0), "seconds")):
        assert render(lambda one=one, label=label: draw_measured([one], unit="s", x_label=label), dpi=40)["light"]


def test_numbers_on_an_axis_do_not_lie_upon_one_another():
    points = [measured(f"at {x:g}", 1.0, series="a", x=x) for x in (1.0, 3.9, 7.8, 7.9, 15.1, 15.3)]
    axis = draw_measured(points, unit="ms", x_label="recordings").axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "3.9", "7.8", "15.1"]
