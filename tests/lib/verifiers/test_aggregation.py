"""Aggregations against their definitions, and the choice among them against counting pairs."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.verifiers import aggregation
from stages.lib.verifiers.aggregation import AGGREGATIONS, aggregate, choose

STEPS = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(STEPS)
def test_each_is_what_its_name_says(steps):
    product = 1.0
    for score in steps:
        product *= score
    assert aggregate("min", steps) == sorted(steps)[0]
    assert aggregate("product", steps) == pytest.approx(product)
    assert aggregate("last", steps) == steps[-1]
    assert aggregate("mean", steps) == pytest.approx(sum(steps) / len(steps))


@given(STEPS)
def test_all_stay_between_zero_and_one_in_the_order_of_their_severity(steps):
    product, lowest, mean = (aggregate(name, steps) for name in ("product", "min", "mean"))
    assert 0 <= product <= lowest <= mean + 1e-12 and mean <= 1  # a mean is rounded
    assert all(aggregate(name, [score]) == score for name in AGGREGATIONS for score in steps)


@given(STEPS, st.data())
def test_only_last_knows_the_order(steps, data):
    other = data.draw(st.permutations(steps))
    for name in ("min", "product", "mean"):
        assert aggregate(name, other) == pytest.approx(aggregate(name, steps), abs=1e-12)


def test_a_step_of_zero_decides_min_and_product():
    """0.0 is a score like any other: `if score` would have dropped it."""
    assert aggregate("min", [1.0, 0.0, 1.0]) == aggregate("product", [1.0, 0.0, 1.0]) == 0.0
    assert aggregate("mean", [0.0, 1.0]) == 0.5


def test_nothing_to_aggregate_and_unknown_names_are_refused():
    with pytest.raises(ValueError, match="no step scores"):
        aggregate("min", [])
    with pytest.raises(ValueError, match="min, product, last, mean"):
        aggregate("median", [0.5])


POOLS = st.lists(
    st.lists(
        st.tuples(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=1, max_size=4), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.slow
@given(POOLS)
def test_the_choice_is_the_best_area_by_counting_pairs(pools):
    steps, correct = [[s for s, _ in pool] for pool in pools], [[c for _, c in pool] for pool in pools]
    expected = {}
    for name in AGGREGATIONS:
        areas = []
        for pool in pools:
            pairs = [
                (aggregate(name, a) > aggregate(name, b)) + 0.5 * (aggregate(name, a) == aggregate(name, b))
                for a, right in pool
                if right
                for b, other in pool
                if not other
            ]
            if pairs:
                areas.append(math.fsum(pairs) / len(pairs))
        expected[name] = math.fsum(areas) / len(areas) if areas else None
    best, aucs = choose(steps, correct)
    for name in AGGREGATIONS:
        assert aucs[name] == (None if expected[name] is None else pytest.approx(expected[name]))
    if None not in expected.values():
        assert aucs[best] == max(aucs.values())


def test_each_name_is_chosen_where_it_is_right():
    """A right and a wrong solution that only this aggregation ranks."""
    cases = {
        "min": [[0.5, 0.5, 0.5], [0.9, 0.4, 0.9]],
        "product": [[0.8, 0.9], [0.8, 0.8, 0.9]],
        "last": [[0.1, 0.9], [0.9, 0.8]],
        "mean": [[0.1, 0.9, 0.5], [0.3, 0.3, 0.6]],
    }
    for name, (right, wrong) in cases.items():
        _, areas = choose([[right, wrong]], [[True, False]])
        assert areas[name] == 1.0 and (name == choose([[right, wrong]], [[True, False]], (name,))[0])
    assert choose([[[0.1, 0.9], [0.9, 0.8]]], [[True, False]])[0] == "last"


def test_of_equals_the_first_and_of_nothing_the_first():
    assert choose([[[0.9], [0.1]]], [[True, False]], ("last", "min"))[0] == "last"
    assert choose([[[0.9], [0.1]]], [[True, True]], ("mean", "min")) == ("mean", {"mean": None, "min": None})
    assert aggregation.AGGREGATIONS == ("min", "product", "last", "mean")
