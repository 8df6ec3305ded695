"""Reliability and the place of the lowest step, by hand and against the calibration error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.metrics import ranking


@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.integers(1, 20))
def test_the_bins_hold_everything_and_their_gaps_are_the_calibration_error(pairs, bins):
    scores, correct = zip(*pairs, strict=True)
    rows = ranking.reliability_bins(scores, correct, bins)
    assert sum(count for *_, count in rows) == len(pairs)
    assert sum(right * count for _, right, count in rows) == pytest.approx(sum(correct))
    gap = sum(abs(says - right) * count for says, right, count in rows) / len(pairs)
    assert gap == pytest.approx(ranking.expected_calibration_error(scores, correct, bins))


def test_a_score_of_one_is_in_the_last_bin():
    assert ranking.reliability_bins([0.0, 0.95, 1.0], [False, True, True]) == [(0.0, 0.0, 1), (0.975, 1.0, 2)]


def test_lowest_last():
    steps = [[0.9, 0.1], [0.1, 0.9, 0.9, 0.9], [0.5, 0.5], [0.7]]
    found = ranking.lowest_step_last_share(steps)
    assert found["share"] == pytest.approx(1 / 3), "a tie is not the last step's; one step cannot tell"
    assert found["chance"] == pytest.approx((1 / 2 + 1 / 4 + 1 / 2) / 3)
    assert ranking.lowest_step_last_share([[0.2]]) == {}
