"""Judges with known habits give exactly the known figures; PandaLM's published figures come out of its counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.arena import judges

VERDICTS = st.one_of(st.none(), st.integers(0, 2))


def test_a_judge_that_always_takes_the_first_gives_ties_alone():
    final = [judges.merge_orders(1, 1) for _ in range(6)]
    assert final == [0] * 6
    habits = judges.measure_habits([1] * 6, [1] * 6, [1, 2, 1, 2, 1, 2])
    assert habits == {"invalid": 0.0, "consistency": 0.0, "first": 1.0, "length": None}


def test_a_judge_of_length_is_flagged():
    longer = [1, 2, 2, 0]
    habits = judges.measure_habits(longer, [judges.SWAPPED[x] for x in longer], longer)
    assert habits == {"invalid": 0.0, "consistency": 1.0, "first": 0.5, "length": 1.0}


def test_a_coin_is_right_half_of_the_time():
    random = np.random.default_rng(0)
    forward, backward = (random.integers(1, 3, 8000).tolist() for _ in range(2))
    truth = random.integers(1, 3, 8000).tolist()
    final = [judges.merge_orders(*both) for both in zip(forward, backward, strict=True)]
    figures = judges.compare_with_truth(final, truth)
    habits = judges.measure_habits(forward, backward, truth)
    assert figures["accuracy"] == pytest.approx(0.5, abs=0.015) and abs(figures["kappa"]) < 0.02
    assert habits["consistency"] == pytest.approx(0.5, abs=0.02) and habits["first"] == pytest.approx(0.5, abs=0.02)


def test_what_cannot_be_read_is_no_tie():
    """PandaLM counts it as a tie, openai/evals (issue 1712) as the lowest score."""
    assert judges.merge_orders(None, 2) is None is judges.merge_orders(1, None)
    figures = judges.compare_with_truth([1, None, 2, None], [1, 0, 1, 2])
    assert figures["invalid"] == 0.5 and figures["agreement"] == 0.5 and figures["accuracy"] == 0.5
    nothing = judges.compare_with_truth([None, None], [1, 2])
    assert nothing["invalid"] == 1.0 and nothing["agreement"] is None is nothing["accuracy"] is nothing["kappa"]
    assert judges.compare_with_truth([], [])["invalid"] is None


@given(VERDICTS, VERDICTS)
def test_orders_are_symmetric(forward, backward):
    merged = judges.merge_orders(forward, backward)
    assert judges.merge_orders(backward, forward) == judges.SWAPPED[merged]
    assert (merged is None) == (forward is None or backward is None)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_score_has_no_order(first, second, margin):
    both = judges.compare_scores(first, second, margin), judges.compare_scores(second, first, margin)
    assert both[0] == judges.SWAPPED[both[1]] == judges.merge_orders(*both)


def test_the_margin_is_that_of_the_highest_kappa():
    differences = np.array([0.01, -0.02, 0.03, 0.5, -0.6, 0.7, -0.8, 0.9])
    assert 0.03 <= judges.choose_margin(differences, np.array([0, 0, 0, 1, 2, 1, 2, 1])) < 0.5
    assert judges.choose_margin(differences, np.where(differences > 0, 1, 2)) == 0
    assert judges.choose_margin(np.array([]), np.array([])) == 0


def test_kappa():
    assert judges.compute_kappa([1, 2, 1, 2], [1, 2, 1, 2]) == 1
    assert judges.compute_kappa([1, 1, 2, 2], [1, 2, 1, 2]) == 0
    assert judges.compute_kappa([1, 1], [1, 1]) is None is judges.compute_kappa([], [])
    assert judges.compute_kappa([1, 1, 1], [1, 1, 2]) == 0


def test_repetition_stability():
    assert judges.measure_stability([[1, 2, 0], [1, 1, 0], [1, 2, None]]) == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert judges.measure_stability([[None], [None]]) is None


# PandaLM (Wang et al. 2023, arXiv 2306.05087; Apache-2.0): 999 items, true against predicted counts over tie, 1, 2.
# The margins are the published ones; with the published accuracy and F1 the diagonals are the only ones possible.
PANDALM = [[32, 30, 43], [45, 298, 79], [30, 105, 337]]
# In 120 rows one annotator stands alone: (what the others say, what this one says) -> rows, of each annotator. Kappas as
# published allow many such tables; the file's own is not needed.
DISSENTS = (
    {(0, 2): 7, (1, 0): 31, (1, 2): 1},
    {(0, 2): 39, (1, 0): 3, (1, 2): 5},
    {(0, 1): 3, (1, 0): 3, (2, 0): 28},
)
GPT_35 = [[5, 39, 48, 13], [18, 331, 67, 6], [15, 90, 361, 6]]  # the last column could not be read: 25


def build_rows(counts):
    """Rows in PandaLM's schema: two responses, three annotators and a judge's verdict. One annotator dissents in 120 rows,
    and the better response is the longer one in 610."""
    rows = [(true, said) for true in range(3) for said, n in enumerate(counts[true]) for _ in range(n)]
    dissents = {true: [] for true in range(3)}
    for k, own in enumerate(DISSENTS):
        for (true, other), n in own.items():
            dissents[true] += [(k, other)] * n
    built, longer = [], 0
    for i, (true, said) in enumerate(rows):
        votes = [true] * 3
        if dissents[true]:
            k, other = dissents[true].pop()
            votes[k] = other
        is_longer = true != 0 and longer < 610
        longer += is_longer
        wins = true if is_longer else 2 if true == 1 else 1
        built.append(
            {
                "idx": i,
                **{f"annotator{k + 1}": own for k, own in enumerate(votes)},
                "response1": "x" * (2 if wins == 1 else 1),
                "response2": "x" * (2 if wins == 2 else 1),
                "result": said,
            }
        )
    return built


def compare(rows, garbage=None):
    truth = [judges.vote([row[f"annotator{i}"] for i in (1, 2, 3)]) for row in rows]
    return judges.compare_with_truth([garbage if row["result"] == 3 else row["result"] for row in rows], truth), truth


def test_pandalm_golden_figures():
    rows = build_rows(PANDALM)
    figures, truth = compare(rows)
    assert np.bincount(truth).tolist() == [105, 422, 472] and len(rows) == 999
    assert sum(len({row[f"annotator{i}"] for i in (1, 2, 3)}) == 1 for row in rows) == 879
    assert np.bincount([row["result"] for row in rows]).tolist() == [107, 433, 459]
    rounded = {key: round(figures[key], 4) for key in ("agreement", "precision", "recall", "f1", "weighted_f1")}
    assert rounded == {"agreement": 0.6677, "precision": 0.5738, "recall": 0.575, "f1": 0.5743, "weighted_f1": 0.6682}
    assert judges.compare_with_truth([2] * 999, truth)["agreement"] == pytest.approx(0.4725, abs=5e-5)
    longer = [judges.compare_scores(len(row["response1"]), len(row["response2"])) for row in rows]
    assert judges.compare_with_truth(longer, truth)["agreement"] == pytest.approx(0.6106, abs=5e-5)
    said = {i: [row[f"annotator{i}"] for row in rows] for i in (1, 2, 3)}
    kappas = [judges.compute_kappa(said[a], said[b]) for a, b in ((1, 2), (1, 3), (2, 3))]
    assert kappas == pytest.approx([0.852, 0.879, 0.862], abs=5e-4)


def test_what_pandalm_makes_of_garbage():
    """Read as a tie it raises the judge's figures; here it is counted apart."""
    rows = build_rows(GPT_35)
    as_tie, truth = compare(rows, garbage=0)
    assert np.bincount([row["result"] for row in rows]).tolist() == [38, 460, 476, 25]
    as_wrong, _ = compare(rows, garbage=3)
    published = [(as_tie, 0.7107, 0.5755), (as_wrong, 0.6977, 0.5274)]
    for figures, agreement, f1 in published:
        assert round(figures["agreement"], 4) == agreement and round(figures["f1"], 4) == f1
    assert round(as_tie["weighted_f1"], 4) == 0.6994
    apart, _ = compare(rows)
    assert apart["invalid"] == pytest.approx(25 / 999) and apart["agreement"] == pytest.approx(697 / 974)


def test_a_vote_needs_a_majority():
    assert judges.vote([1, 1, 2]) == 1 and judges.vote([0, 1, 2]) == 0 and judges.vote([2, 2, 0]) == 2
