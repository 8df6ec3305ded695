"""First errors: ProcessBench's F1 by hand, the threshold against every cut."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib import first_error


def test_f1_by_hand():
    found = first_error.f1([1, -1, 0, -1, 2], [1, -1, 2, 0, -1])
    assert found == (pytest.approx(1 / 3), pytest.approx(1 / 2), pytest.approx(0.4))
    assert first_error.f1([0], [-1]) == (None, 0.0, None)
    assert first_error.f1([0, 1], [1, -1]).f1 == 0.0


def test_the_first_step_below_is_the_one():
    assert first_error.located([0.9, 0.4, 0.1], 0.5) == 1
    assert first_error.located([0.9, 0.5], 0.5) == -1
    assert first_error.located([], 0.5) == -1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), min_size=1, max_size=4),
                          st.integers(-1, 3)), min_size=1, max_size=12))  # fmt: skip
def test_no_other_threshold_does_better(cases):
    scores, truth = zip(*cases, strict=True)
    chosen = first_error.threshold(scores, truth)

    def value(threshold):
        return first_error.f1([first_error.located(own, threshold) for own in scores], truth).f1 or 0.0

    cuts = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert value(chosen) == max(value(cut) for cut in itertools.chain(cuts, [chosen]) if cut > 0.1)
