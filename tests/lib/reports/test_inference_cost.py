"""Costs and equal compute against hand counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.core.records import Sample, Score
from stages.lib.models import loading
from stages.lib.reports import curves, inference_cost
from tests.helpers import tiny_models


def sample(tokens):
    return Sample(
        problem_id="p",
        index=0,
        text="",
        answer=None,
        correct=False,
        finish="stop",
        logprob=-1.0,
        min_logprob=-1.0,
        tokens=tokens,
    )


def score(verifier, tokens):
    return Score(problem_id="p", index=0, verifier=verifier, score=0.5, tokens=tokens)


def test_two_operations_a_weight_and_token():
    cost = inference_cost.count_flops(
        [sample(10), sample(30)], [score("orm", 20), score("orm", 22), score("genrm", 200)], 7, {"orm": 5, "genrm": 7}
    )
    assert cost == {"draw": 2 * 7 * 20, "orm": 2 * 5 * 21, "genrm": 2 * 7 * 200}
    assert (
        inference_cost.cost_per_sample("majority", cost)
        == inference_cost.cost_per_sample("best_of_likelihood_min", cost)
        == 1
    )
    assert inference_cost.cost_per_sample("weighted_genrm", cost) == 1 + 200 / 20
    assert inference_cost.cost_per_sample("top_orm", cost) == 1 + 5 * 21 / (7 * 20)
    assert inference_cost.cost_per_sample("weighted_base_orm", cost) == 1  # another score, whose name ends alike


def test_the_best_of_what_costs_no_more_than_drawing_is_chosen_on_dev():
    def curve(value):
        return curves.Curve(np.array([1, 2, 4]), np.full((3, 3), value), np.zeros(3))

    dev = {"pass": curve(0.9), "majority": curve(0.4), "best_of_likelihood_min": curve(0.5), "best_of_orm": curve(0.8)}
    test = {method: {k: {"mean": 0.3} for k in (1, 2, 4)} for method in dev} | {"majority": {2: {"mean": 0.6}}}
    notes = inference_cost.write_notes(test, dev, list(dev), {"draw": 1.0, "orm": 1.0}, (2,))
    assert (
        len(notes) == 1
        and "likelihood (min) best-of-k is the best on dev for 2 solutions: 30.0, majority 60.0" in notes[0]
    )


@given(st.floats(1, 50), st.integers(1, 64))
def test_what_a_budget_buys_fits_it_and_the_next_does_not(sample_cost, budget):
    curve = {k: {"mean": 0.5} for k in range(1, 65)}
    k = inference_cost.max_k_within(curve, sample_cost, budget)
    assert (k is None) == (sample_cost > budget * (1 + 1e-9))
    if k:
        assert k * sample_cost <= budget * (1 + 1e-6) and (k == 64 or (k + 1) * sample_cost > budget)


def test_table_leaves_out_what_cannot_be_paid():
    results = {m: {k: {"mean": k / 10} for k in (1, 2, 4)} for m in ("pass", "majority", "weighted_prm")}
    header, rows = inference_cost.format_table(
        results, ["majority", "weighted_prm"], {"draw": 10.0, "prm": 10.0}, [1, 2, 4]
    )
    assert header == ["method", "cost of a solution", "for 1", "for 2", "for 4"]
    assert rows == [
        ["majority", "1.00", "10.0 (k 1)", "20.0 (k 2)", "40.0 (k 4)"],
        ["PRM weighted", "2.00", "", "10.0 (k 1)", "20.0 (k 2)"],
    ]


@pytest.mark.parametrize("name", tiny_models.ARCHITECTURES)
def test_weights_are_counted_from_the_file_as_from_the_model(name, tmp_path):
    model = tiny_models.make_model(name)
    model.save_pretrained(tmp_path)
    assert loading.count_stored_parameters(tmp_path) == loading.count_parameters(model) > 0
