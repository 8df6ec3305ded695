"""Finding weak slices: by brute force, and in worlds where the truth is planted."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.adaptation import allocation, confirmation, proposal
from stages.lib.adaptation.slices import Slice, list_slices, make_masks

ATTRIBUTES = ("operator", "steps", "magnitude")
QUICK = settings(max_examples=40, deadline=None)
WEAK = Slice((("operator", "reversed"),))

ROWS = st.lists(st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from("ab"), max_size=3), min_size=1, max_size=9)


# Slices.


@QUICK
@given(ROWS, st.integers(1, 3))
def test_slices_are_all_different_sets_of_rows_that_are_large_enough(rows, smallest):
    slices = list_slices(rows, ATTRIBUTES, smallest)
    own = [frozenset(i for i, row in enumerate(rows) if each.holds(row)) for each in slices]
    terms = [(name, value) for name in ATTRIBUTES for value in "ab"]
    every = set()
    for combination in [*((term,) for term in terms), *itertools.combinations(terms, 2)]:
        held = frozenset(i for i, row in enumerate(rows) if all(row.get(name) == value for name, value in combination))
        if len({name for name, _ in combination}) == len(combination):
            every.add(held)
    assert len(set(own)) == len(own) and set(own) == {x for x in every if smallest <= len(x) <= len(rows) - smallest}
    assert make_masks(slices, rows).tolist() == [[i in held for i in range(len(rows))] for held in own]
    order = np.random.Generator(np.random.Philox(1)).permutation(len(rows))
    assert list_slices([rows[i] for i in order], ATTRIBUTES, smallest) == slices


def test_names_and_parents():
    pair = Slice((("operator", "steps"), ("steps", "4-5")))
    assert pair.name == "operator=steps & steps=4-5"
    assert pair.parents == [Slice((("operator", "steps"),)), Slice((("steps", "4-5"),))]
    assert pair.parents[0].parents == [] and not pair.holds({"operator": "steps"})


# The test.


@QUICK
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=3, max_size=7), st.integers(1, 2), st.integers(0, 99))
def test_p_values_are_those_of_all_permutations(values, size, key):
    values = np.array(values)
    mask = np.arange(len(values)) < size
    [p] = proposal.permutation_test(mask[None], values, key, 4000)

    def score(chosen):
        """The gap in Welch's standard errors, with variances of one value as 0."""
        inside, outside = values[list(chosen)], np.delete(values, list(chosen))
        variances = [part.var(ddof=1) / len(part) if len(part) > 1 else 0.0 for part in (inside, outside)]
        return (outside.mean() - inside.mean()) / max(sum(variances), 1e-12) ** 0.5

    own = score(range(size))
    others = [score(chosen) for chosen in itertools.combinations(range(len(values)), size)]
    exact = np.mean([x >= own - 1e-6 * max(1, abs(own)) for x in others])
    assert p == pytest.approx(exact, abs=0.04)
    [inside], [outside] = proposal.compute_means(mask[None], values)
    assert inside == pytest.approx(values[:size].mean()) and outside == pytest.approx(values[size:].mean())


@pytest.mark.slow
@pytest.mark.parametrize(("inside", "outside"), [(20, 40), (30, 200), (60, 60)])
def test_a_slice_that_only_varies_more_is_not_weak(inside, outside):
    """Its problems are solved always or never, those of the rest half of the times, the means are equal."""
    random, mask = np.random.Generator(np.random.Philox(5)), np.arange(inside + outside) < inside
    found = []
    for run in range(500):
        values = np.concatenate([random.integers(0, 2, inside), random.binomial(4, 0.5, outside) / 4])
        [p] = proposal.permutation_test(mask[None], values, run, 300)
        found.append(p <= 0.05)
    share, error = count_share(found)
    assert share <= 0.05 + 2 * error + 0.005


def test_more_permutations_than_memory_holds_are_the_same_test(monkeypatch):
    values, masks = np.arange(8) / 8, np.eye(8, dtype=bool)
    whole = proposal.permutation_test(masks, values, 3, 500)
    monkeypatch.setattr(proposal, "MAX_PERMUTED", 8)
    assert proposal.permutation_test(masks, values, 3, 500) == pytest.approx(whole, abs=0.12)


def test_q_values_are_those_of_benjamini_and_hochberg():
    rows = [{"operator": name} for name in "abcd" for _ in range(10)]
    values = np.repeat([0.1, 0.3, 0.5, 0.9], 10)
    slices = list_slices(rows, ("operator",), 5)
    found = proposal.list_candidates(slices, make_masks(slices, rows), values, 1, 999)
    ps = [each.p for each in found]
    assert ps == sorted(ps)
    for rank, each in enumerate(found):  # the least of p * n / rank over this rank and all later ones
        assert each.q == pytest.approx(min(min(1.0, ps[j] * 4 / (j + 1)) for j in range(rank, 4)))
    assert [each.slice.terms[0][1] for each in found] == ["a", "b", "c", "d"]
    assert found[0].gap == pytest.approx(values[10:].mean() - 0.1)


# A world in which one slice is known to be weak.


class World:
    """Problems with three attributes and a known probability of being solved, four samples each."""

    def __init__(self, seed, problems, base, drop, spread=0.15):
        self.random = np.random.Generator(np.random.Philox(seed))
        self.problems, self.base, self.drop, self.spread = problems, base, drop, spread

    def draw(self, only=None):
        """(attributes, values), sorted as a stage would. only: a slice that all problems are in."""
        count = self.problems
        rows = []
        while len(rows) < count:
            row = CELLS[self.random.integers(len(CELLS))]
            if only is None or only.holds(row):
                rows.append(row)
        mean = np.array([self.base - self.drop * WEAK.holds(row) for row in rows])
        solved = np.clip(mean + self.spread * self.random.uniform(-1, 1, count), 0, 1)
        return rows, self.random.binomial(4, solved) / 4

    def find(self, key):
        """(proposed candidates, their confirmations): one round of probing and confirming."""
        rows, values = self.draw()
        slices = list_slices(rows, ATTRIBUTES, 30)
        masks = make_masks(slices, rows)
        candidates = proposal.list_candidates(slices, masks, values, key, 500)
        proposed = proposal.propose(candidates, slices, masks, values, key, permutations=500)
        if not proposed:
            return [], []
        fresh, outcomes = self.draw()
        extra = [self.draw(each.slice) for each in proposed]
        rows = [*fresh, *itertools.chain.from_iterable(part for part, _ in extra)]
        values = np.concatenate([outcomes, *(part for _, part in extra)])
        chosen = [each.slice for each in proposed]
        drawn_for = [*[None] * len(fresh), *(each for each in chosen for _ in range(self.problems))]
        return proposed, confirmation.confirm(chosen, rows, values, drawn_for, range(len(rows)), key, permutations=1000)


CELLS = [
    {"operator": a, "steps": b, "magnitude": f"{c} digits"}
    for a in ("numbers", "reversed", "order", "steps")
    for b in "234"
    for c in "123"
]


def compute_true_gap(each, drop):
    """Of all cells of the world, which are equally likely."""
    inside = [drop * WEAK.holds(cell) for cell in CELLS if each.holds(cell)]
    outside = [drop * WEAK.holds(cell) for cell in CELLS if not each.holds(cell)]
    return np.mean(inside) - np.mean(outside)


def count_share(flags):
    """(mean, its standard error)"""
    mean = float(np.mean(flags))
    return mean, (mean * (1 - mean) / len(flags)) ** 0.5


@pytest.mark.slow
def test_a_planted_weak_slice_is_found():
    """200 problems of each operator, 20 points below."""
    runs = [World(seed, 800, 0.5, 0.2).find(seed) for seed in range(40)]
    confirmed = [{each.slice for each in found if each.is_confirmed} for _, found in runs]
    recall, _ = count_share([WEAK in found for found in confirmed])
    assert recall >= 0.9
    others = [any(not set(each.terms) & set(WEAK.terms) for each in found) for found in confirmed]
    share, error = count_share(others)
    assert share <= 0.05 + 2 * error + 0.01  # beside it nothing that has nothing to do with it


@pytest.mark.slow
def test_where_nothing_is_weak_nothing_is_confirmed():
    runs = [World(1000 + seed, 240, 0.4, 0.0).find(seed) for seed in range(500)]
    share, error = count_share([any(each.is_confirmed for each in found) for _, found in runs])
    assert share <= 0.05 + 2 * error
    assert any(proposed for proposed, _ in runs)  # the probe alone does propose some


@pytest.mark.slow
def test_the_gap_of_the_probe_is_too_large_and_the_confirmed_gap_is_not():
    runs = [World(5000 + seed, 240, 0.45, 0.1).find(seed) for seed in range(150)]
    pairs = [pair for proposed, found in runs for pair in zip(proposed, found, strict=True)]
    truth = [compute_true_gap(each.slice, 0.1) for each, _ in pairs]
    probed = np.array([each.gap for each, _ in pairs]) - truth
    fresh = np.array([each.gap for _, each in pairs]) - truth
    assert len(pairs) >= 60
    assert probed.mean() > 3 * probed.std() / len(pairs) ** 0.5
    assert abs(fresh.mean()) < 3 * fresh.std() / len(pairs) ** 0.5


def test_the_order_of_problems_counts_only_until_they_are_sorted():
    """A p-value is that of the permutations that a key gives, so another order of the problems gives another one."""
    rows, values = World(7, 60, 0.5, 0.1).draw()
    masks = make_masks([WEAK], rows)
    order = np.random.Generator(np.random.Philox(3)).permutation(len(rows))
    [p], [other] = (proposal.permutation_test(masks[:, i], values[i], 1, 500) for i in (np.arange(len(rows)), order))
    assert p != other and p == pytest.approx(other, abs=0.1)
    back = np.argsort(order)
    [again] = proposal.permutation_test(masks[:, order][:, back], values[order][back], 1, 500)
    assert again == p


# Slices that say nothing beyond their parents.


def make_nested(values_of):
    """40 problems of each operator and number of steps."""
    rows = [{"operator": a, "steps": b} for a in ("order", "reversed") for b in "23" for _ in range(40)]
    values = np.concatenate(
        [
            np.resize(values_of[row], 40)
            for row in (("order", "2"), ("order", "3"), ("reversed", "2"), ("reversed", "3"))
        ]
    )
    return rows, values


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # reversed is weak for any number of steps: its halves are not told apart from it
        ({("reversed", "2"): [0, 0.25], ("reversed", "3"): [0, 0.25]}, {"operator=reversed"}),
        # only its problems of 3 steps are: the pair is weaker than the rest of both parents
        ({("reversed", "2"): [0.75, 1], ("reversed", "3"): [0, 0.25]}, {"operator=reversed & steps=3"}),
    ],
)
def test_a_pair_that_its_parent_implies_is_not_proposed(cells, expected):
    strong = {("order", "2"): [0.75, 1], ("order", "3"): [0.75, 1]}
    rows, values = make_nested(strong | cells)
    slices = list_slices(rows, ("operator", "steps"), 30)
    masks = make_masks(slices, rows)
    candidates = proposal.list_candidates(slices, masks, values, 1, 2000)
    proposed = {each.slice.name for each in proposal.propose(candidates, slices, masks, values, 1, permutations=2000)}
    pairs = {name for name in proposed if "&" in name}
    assert expected <= proposed and pairs == {name for name in expected if "&" in name}


def test_confirmation_names_the_parent_that_implies_a_slice():
    pair = Slice((("operator", "reversed"), ("steps", "3")))
    weak = {("reversed", "2"): [0, 0.25], ("reversed", "3"): [0, 0.25]}
    rows, values = make_nested({("order", "2"): [0.75, 1], ("order", "3"): [0.75, 1]} | weak)
    found = confirmation.confirm([WEAK, pair], rows, values, [None] * len(rows), range(len(rows)), 1)
    assert [each.is_confirmed for each in found] == [True, False]
    assert found[1].implied == WEAK and found[1].p_holm < 0.05
    assert found[0].gap == pytest.approx(0.75) and found[0].low < 0.75 < found[0].high
    absent = confirmation.confirm([Slice((("operator", "typos"),))], rows, values, [None] * len(rows), rows, 1)
    assert not absent[0].is_confirmed and absent[0].p == 1.0


def test_problems_drawn_for_one_slice_stand_for_no_other():
    """30 more weak problems, drawn to confirm `reversed`, would make their steps look weak and the rest strong."""
    rows = [{"operator": name, "steps": n} for name in ("numbers", "order") for n in "23" for _ in range(30)]
    values = np.full(120, 0.5)
    extra_rows, extra = [{"operator": "reversed", "steps": "3"}] * 30, np.zeros(30)
    slices = [WEAK, Slice((("steps", "3"),)), Slice((("operator", "order"),))]
    found = confirmation.confirm(
        slices, rows + extra_rows, np.concatenate([values, extra]), [None] * 120 + [WEAK] * 30, range(150), 1
    )
    assert [each.gap for each in found] == pytest.approx([0.5, 0.0, 0.0])
    assert [each.problems for each in found] == [30, 60, 60] and found[2].rest_problems == 60


# How much of what.


@QUICK
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9)), min_size=1, max_size=5),
    st.integers(0, 30),
)
def test_what_is_allocated_adds_up_and_fits(pairs, budget):
    weights, capacities = zip(*pairs, strict=True)
    counts = allocation.allocate(weights, capacities, budget)
    assert sum(counts) == min(budget, sum(capacities))
    assert all(0 <= count <= most for count, most in zip(counts, capacities, strict=True))
    more = allocation.allocate(weights, capacities, budget + 1)
    assert all(a <= b for a, b in zip(counts, more, strict=True))


def test_weights_and_levels_follow_accuracy():
    assert allocation.allocate([0.6, 0.3, 0.1], [99] * 3, 50) == [30, 15, 5]
    assert allocation.allocate([0.6, 0.3, 0.1], [10, 99, 99], 50) == [10, 30, 10]
    assert allocation.allocate([0.0, 0.0], [9, 9], 4) == [2, 2]
    assert allocation.weigh(0.2) == pytest.approx(0.8) and allocation.weigh(0.04) == pytest.approx(0.48)
    assert allocation.weigh(0.05) == pytest.approx(0.95)
    moves = [(0, 0.95), (2, 0.95), (1, 0.05), (0, 0.05), (1, 0.9), (1, 0.1)]
    assert [allocation.adjust_level(level, accuracy, 2) for level, accuracy in moves] == [1, 2, 0, 0, 1, 1]
