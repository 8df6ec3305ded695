"""Windows: every token is scored once, whatever the sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.compression.windows import Window, plan_windows


@given(st.integers(0, 300), st.integers(1, 6), st.integers(2, 40), st.data())
def test_every_token_is_scored_exactly_once(count, first, block, data):
    stride = data.draw(st.integers(1, block - 1))
    windows = plan_windows(count, first, block, stride)
    scored = [i for window in windows for i in range(window.first, window.end)]
    assert scored == list(range(first, count)), "the published code loses the tail (its length is rounded down)"
    assert all(0 <= w.start < w.first < w.end and w.end - w.start <= block for w in windows)
    assert all(w.first - w.start >= block - stride for w in windows[1:]), "later windows keep their context"


def test_the_last_window_is_partial_and_a_window_that_holds_all_is_one_pass():
    assert plan_windows(11, 1, 6, 2) == [Window(0, 1, 6), Window(2, 6, 8), Window(4, 8, 10), Window(5, 10, 11)]
    assert plan_windows(6, 1, 6, 2) == [Window(0, 1, 6)] and plan_windows(1, 1, 6, 2) == []


@pytest.mark.parametrize("sizes", [(0, 6, 2), (1, 6, 6), (1, 6, 0)])
def test_sizes_that_score_nothing_are_refused(sizes):
    with pytest.raises(ValueError, match="need 1 <= first"):
        plan_windows(9, *sizes)
