"""What holds for every method: order of rows, ties, budgets, faults of the input."""

import numpy as np
import pytest

from stages.lib.core.errors import UserError
from stages.lib.selection.methods import METHODS
from stages.lib.selection.methods.car import Params as CarParams
from stages.lib.selection.methods.one_pass import Params as OnePassParams
from stages.lib.selection.rows import UNBOUNDED, Budget, Labelled, Values
from tests.lib.selection.worlds import get_ids, make_blobs, make_rows, make_vectors

COUNT = 60
ROWS = make_rows(COUNT, tokens=lambda i: 5 + i % 7, answer=lambda i: "x" * (i % 11))
VECTORS = make_blobs(COUNT, 5)
VALUES = Values(
    np.round(np.random.default_rng(1).random(COUNT), 1), np.round(np.random.default_rng(2).random(COUNT), 1)
)
EXISTING = Labelled(
    make_rows(40, "e"),
    make_blobs(40, 2),
    quality=np.linspace(0, 1, 40),
    is_good=np.linspace(0, 1, 40) > 0.3,
)
TWENTY = Budget(items=20)
BUDGETED = [name for name in METHODS if name != "all"]


def select(name, rows=ROWS, vectors=VECTORS, budget=TWENTY, values=VALUES, labelled=EXISTING, seed=1, **params):
    method = METHODS[name]
    return method.select(rows, vectors, budget, labelled, seed, method.params(**params), values)


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_the_rows_changes_nothing(name):
    budget = UNBOUNDED if name == "all" else TWENTY
    first = select(name, budget=budget)
    order = np.random.default_rng(3).permutation(COUNT)
    values = Values(*(array[order] for array in VALUES))
    shuffled = Labelled(EXISTING.rows[::-1], EXISTING.embeddings[::-1], EXISTING.quality[::-1], EXISTING.is_good[::-1])
    assert select(name, [ROWS[i] for i in order], VECTORS[order], budget, values, shuffled) == first
    assert len(get_ids(first)) == len({*get_ids(first)}) and all(choice.reason for choice in first)
    assert {*get_ids(first)} <= {row.id for row in ROWS}


@pytest.mark.parametrize("name", BUDGETED)
def test_budgets_of_rows_and_of_tokens_are_kept(name):
    params = {"tau": 1.0} if name == "one_pass" else {}
    assert len(select(name, **params)) == 20
    tokens = {row.id: row.tokens for row in ROWS}
    for budget in (100, 173):
        spent = sum(tokens[i] for i in get_ids(select(name, budget=Budget(tokens=budget), **params)))
        assert budget - min(tokens.values()) < spent <= budget, "rows that are too long are passed over"
    both = get_ids(select(name, budget=Budget(items=8, tokens=100), **params))
    assert len(both) == 8 and sum(tokens[i] for i in both) <= 100


@pytest.mark.parametrize("name", BUDGETED)
def test_a_budget_of_nothing_chooses_nothing(name):
    assert select(name, budget=Budget(items=0)) == []  # a published version turned size 0 into 1
    assert select(name, budget=Budget(tokens=0)) == []


@pytest.mark.parametrize("name", BUDGETED)
def test_a_budget_that_fits_no_row_is_a_fault(name):
    with pytest.raises(UserError, match="budget|tokens"):
        select(name, budget=Budget(tokens=4))


@pytest.mark.parametrize("name", BUDGETED)
def test_unusable_budgets_are_faults(name):
    with pytest.raises(UserError, match="-1 items: must be 0 or more"):
        select(name, budget=Budget(items=-1))
    rows = [ROWS[0]._replace(tokens=0), *ROWS[1:]]
    with pytest.raises(UserError, match="row r00000 and 0 others have no number of tokens"):
        select(name, rows, budget=Budget(tokens=100))


@pytest.mark.parametrize("name", METHODS)
def test_two_rows_of_one_id_are_a_fault(name):
    budget = UNBOUNDED if name == "all" else TWENTY
    with pytest.raises(UserError, match="row r00001: two rows have this id"):
        select(name, [ROWS[1], *ROWS[1:]], budget=budget)


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_needs_and_does_not_get_is_named(name):
    for need in METHODS[name].needs:
        given = {
            "vectors": None if need == "embeddings" else VECTORS,
            "labelled": None if need == "labelled" else EXISTING,
            "values": VALUES._replace(**{need: None}) if need in Values._fields else VALUES,
        }
        with pytest.raises(UserError, match=f"{name}: needs {need}"):
            select(name, **given)


def test_wrong_arrays_are_faults_of_the_caller():
    with pytest.raises(ValueError, match="quality of shape"):
        select("car", values=Values(np.zeros(3)))
    broken = VECTORS.copy()
    broken[7, 0] = np.nan
    with pytest.raises(ValueError, match="row 7 holds a number that is not finite"):
        select("k_center", vectors=broken)
    with pytest.raises(ValueError, match="labelled embeddings have 3 numbers, candidates 8"):
        select("k_center", labelled=Labelled(EXISTING.rows, np.zeros((40, 3))))


def test_all_keeps_all_and_takes_no_budget():
    assert get_ids(select("all", budget=UNBOUNDED)) == [row.id for row in ROWS]
    with pytest.raises(UserError, match="takes no budget"):
        select("all", budget=Budget(items=20))


def test_random_draws_are_keyed_by_id():
    full = get_ids(select("random", budget=UNBOUNDED))
    assert {*full} == {row.id for row in ROWS} and full != sorted(full)
    assert get_ids(select("random")) == full[:20], "a larger budget adds to a smaller one"
    fewer = get_ids(select("random", [row for row in ROWS if row.id != full[3]], None, UNBOUNDED, Values()))
    assert fewer == [i for i in full if i != full[3]], "a row less changes no other row"
    assert get_ids(select("random", seed=2, budget=UNBOUNDED)) != full


def test_longest_counts_tokens_or_else_characters():
    lengths = [choice.value for choice in select("longest")]
    assert lengths == sorted(lengths, reverse=True) and lengths[0] == 11
    choices = select("longest", [row._replace(tokens=0) for row in ROWS])
    assert choices[0].reason == "longest by characters" and choices[0].value == 10
    assert get_ids(choices)[:2] == ["r00010", "r00021"], "of equal lengths the smaller id comes first"


def test_one_pass_without_quality_scans_as_the_rows_come():
    """The result depends on that order, which is why quality is the default."""
    vectors = np.array([[np.cos(a), np.sin(a)] for a in (0.0, 0.4, 0.8)])
    rows, tau = make_rows(3), float(np.cos(0.5))

    def scan(order):
        params = OnePassParams(tau=tau, order="input")
        arranged = [rows[i] for i in order]
        return get_ids(METHODS["one_pass"].select(arranged, vectors[order], UNBOUNDED, None, 1, params, Values()))

    assert scan([0, 1, 2]) == ["r00000", "r00002"]
    assert scan([1, 0, 2]) == ["r00001"]
    params = OnePassParams(tau=tau, order="seeded")
    results = {
        tuple(get_ids(METHODS["one_pass"].select(rows, vectors, UNBOUNDED, None, seed, params, Values())))
        for seed in range(20)
    }
    assert len(results) > 1


def test_params_are_strict():
    for params in ({"top": -1}, {"variance": 1.0}, {"clusters": 0}, {"n1": 5}, {"per_cluster": 1.5}):
        with pytest.raises(ValueError):
            CarParams(**params)


def test_empty_pools_choose_nothing():
    for name in BUDGETED:
        empty = Values(np.empty(0), np.empty(0))
        assert select(name, [], make_vectors(0), Budget(items=5), empty) == []
