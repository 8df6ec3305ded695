"""PRMBench's figures: by hand, by brute force over every step, and the rows they come from."""

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.labels import prm_score, published_labels
from stages.lib.labels.labelled_solution import RejectedRow

KINDS = [kind for kinds in prm_score.GROUPS.values() for kind in kinds]


def make_row(kind="circular", number=0, steps=("1. Let p be 2.", "2. Assume p = 3.", "3. So p = 3."), errors=(2, 3)):
    """A row in the schema of prmbench_preview.jsonl (github.com/ssmisya/PRMBench, docs/data_format.md)."""
    return {
        "original_question": "What is p?",
        "modified_question": f"What is p, {number}?",
        "original_process": ["1. Let p be 2."],
        "modified_process": list(steps),
        "modified_steps": [2, 3],
        "error_steps": list(errors),
        "reason": "It assumes its result.",
        "idx": f"{kind}_prm_test_p1_{number}",
        "question": "What is p?",
        "classification": kind,
    }


def test_a_row_labels_every_step(tmp_path):
    rows = [make_row(), make_row("multi_solutions", errors=[]), make_row(errors=[0, 2, 9]), make_row(steps=["a", " "])]
    rows += [{**make_row(), "error_steps": ["2"]}, make_row("a/b")]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = list(published_labels.read("prmbench", path))
    taken = [x for x in found if not isinstance(x, RejectedRow)]
    values = [[label.value for label in x.labels] for x in taken]
    assert values == [[1, 0, 0], [1, 1, 1], [1, 0, 1], [1, 0, 0]], (
        "error steps count from 1; those of no step say nothing"
    )
    assert [x.problem.split for x in taken] == ["circular", "multi_solutions", "circular", "a_b"]
    assert taken[0].row_id == "circular_circular_prm_test_p1_0" and taken[0].problem.question == "What is p, 0?"
    assert taken[0].steps == make_row()["modified_process"]
    assert [(x.row, x.reason.partition(",")[0]) for x in found if isinstance(x, RejectedRow)] == [
        (4, "step 1 is blank"),
        (5, "error_steps.0: input should be a valid integer"),
    ]


def test_by_hand():
    """Right steps: 3 of 4 found, 1 false alarm, F1 3/4. Wrong steps: 1 of 2 found, 1 false alarm, F1 1/2."""
    counts = prm_score.count_steps([0.9, 0.2, 0.6, 0.5, 0.8, 0.7], [True, True, True, False, False, True], 0.5)
    assert counts == (3, 1, 1, 1), "a score at the threshold says wrong"
    assert (counts.right_f1, counts.wrong_f1, counts.prm_score) == (0.75, 0.5, 0.625)
    figures = prm_score.measure({"circular": [counts, counts], "multi_solutions": [prm_score.StepCounts(1, 1, 0, 0)]})
    assert figures.scores == {"circular": 0.625, "multi_solutions": pytest.approx(2 / 3)}
    assert figures.counts["circular"] == (6, 2, 2, 2) and figures.groups["simplicity"] is None, "one of its two kinds"
    assert figures.overall == pytest.approx((14 / 19 + 4 / 9) / 2), "over all steps: (7, 3, 2, 2)"


def compute_f1(truth, guesses, positive):
    """From precision and recall, over pairs of booleans."""
    hits = sum(t == g == positive for t, g in zip(truth, guesses, strict=True))
    if not hits:
        return 0.0 if positive in (*truth, *guesses) else None
    precision, recall = hits / guesses.count(positive), hits / truth.count(positive)
    return 2 * precision * recall / (precision + recall)


def test_every_small_case_by_brute_force():
    for truth, guesses in product(product([True, False], repeat=4), repeat=2):
        counts = prm_score.count_steps([float(guess) for guess in guesses], truth, 0.5)
        right, wrong = (compute_f1(truth, guesses, positive) for positive in (True, False))
        assert counts.right_f1 == (right if right is None else pytest.approx(right))
        assert counts.wrong_f1 == (wrong if wrong is None else pytest.approx(wrong))
        assert counts.prm_score == (None if None in (right, wrong) else pytest.approx((right + wrong) / 2))


SOLUTION = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=6)


@given(st.dictionaries(st.sampled_from(KINDS), st.lists(SOLUTION, min_size=1, max_size=3), min_size=1), st.floats(0, 1))
def test_kinds_pool_their_steps_and_groups_average_their_kinds(solutions, threshold):
    counted = {
        kind: [prm_score.count_steps([x for _, x in steps], [t for t, _ in steps], threshold) for steps in rows]
        for kind, rows in solutions.items()
    }
    figures = prm_score.measure(counted)
    pooled = {kind: [step for steps in rows for step in steps] for kind, rows in solutions.items()}

    def score(steps, only_right=False):
        truth, guesses = [t for t, _ in steps], [x > threshold for _, x in steps]
        right, wrong = compute_f1(truth, guesses, True), compute_f1(truth, guesses, False)
        return right if only_right else None if None in (right, wrong) else (right + wrong) / 2

    expected = {kind: score(steps, kind == "multi_solutions") for kind, steps in pooled.items()}
    assert figures.scores == {k: x if x is None else pytest.approx(x) for k, x in expected.items()}
    overall = score([step for steps in pooled.values() for step in steps])
    assert figures.overall == (overall if overall is None else pytest.approx(overall))
    for group, kinds in prm_score.GROUPS.items():
        values = [expected.get(kind) for kind in kinds]
        assert figures.groups[group] == (None if None in values else pytest.approx(sum(values) / len(values)))
