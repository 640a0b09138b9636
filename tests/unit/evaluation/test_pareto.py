import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from diffusiontalker.evaluation.pareto import dominates, domination_ranks, knee

POINTS = np.asarray([[1.0, 5.0], [2.0, 2.0], [5.0, 1.0], [3.0, 3.0], [6.0, 6.0]])


def test_ranks_peel_front_after_front():
    assert domination_ranks(POINTS) == [0, 0, 0, 1, 2]


def test_equal_points_stand_on_one_front():
    assert domination_ranks(np.asarray([[1.0, 2.0], [1.0, 2.0]])) == [0, 0]


def test_the_knee_is_near_the_best_of_everything():
    assert knee(POINTS[:3]) == 1
    assert knee(POINTS[:1]) == 0
    with pytest.raises(ValueError, match="no items"):
        knee(POINTS[:0])


@given(
    st_numpy.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 4).map(float))
)
def test_nothing_on_a_front_dominates_another_and_every_later_one_is_dominated(points):
    ranks = np.asarray(domination_ranks(points))
    for index, rank in enumerate(ranks):
        beaten_by = [other for other in range(len(points)) if dominates(points[other], points[index])]
        assert all(ranks[other] < rank for other in beaten_by)
        assert rank == 0 or any(ranks[other] == rank - 1 for other in beaten_by)
