"""RewardBench 2's figures: by hand, and Ties against a second writing of the published score."""

import json
from math import tanh

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.labels import rewardbench2
from stages.lib.labels.labelled_solution import RejectedRow, read_rows

SCORE = st.integers(-3, 3).map(float) | st.floats(-5, 5)


def make_row(row_id="0", subset="Math", chosen=("right",), rejected=("wrong", "worse", "no")):
    """A row in the schema of allenai/reward-bench-2."""
    return {
        "id": row_id,
        "prompt": "What is 1 + 1?",
        "chosen": list(chosen),
        "rejected": list(rejected),
        "num_correct": len(chosen),
        "num_incorrect": len(rejected),
        "total_completions": len(chosen) + len(rejected),
        "models": ["none"] * 4,
        "subset": subset,
        "additional_metadata": {"category": None},
    }


def read(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return list(read_rows(path, rewardbench2.FORM, None))


def test_a_row_is_a_prompt_with_its_right_completions_first(tmp_path):
    bad = [
        {**make_row(), "num_correct": 2},
        make_row("7", "Ties"),
        make_row(rejected=[]),
        {**make_row(), "prompt": None},
    ]
    first, second, *rejected = read(tmp_path / "r.jsonl", [make_row(7), make_row("tied:3", "Ties", ["a", "b"]), *bad])
    assert first.row_id == "7" and first.steps == ["right", "wrong", "worse", "no"] and first.num_correct == 1
    assert first.problem.split == "Math" and first.problem.question == "What is 1 + 1?"
    assert second.row_id == "tied:3" and second.num_correct == 2
    assert all(isinstance(x, RejectedRow) for x in rejected)
    assert [x.reason.partition(",")[0] for x in rejected] == [
        "its num_correct is 2",
        "its id is '7'; ids of Ties are ref:N or tied:N",
        "rejected: list should have at least 1 item after validation",
        "prompt: input should be a valid string",
    ]


@pytest.mark.parametrize(
    ("scores", "credit"),
    [([3, 1, 2, 0], 1), ([3, 3, 2, 0], 1 / 2), ([3, 3, 3, 3], 1 / 4), ([2, 3, 3, 0], 0), ([-1, -2, -3, -1.5], 1)],
)
def test_best_of_four_shares_the_credit_of_equals(scores, credit):
    assert rewardbench2.score_best(scores) == credit


def test_ties_by_hand():
    """Both prompts are accurate. Among the right ones: 0.5. To the wrong ones: 1 on tied, 0.4 on ref."""
    margins = {
        "ref:0": rewardbench2.measure_margins([1.4, 1.0, 0.0], 1),
        "tied:0": rewardbench2.measure_margins([3.0, 2.5, 1.5, -1.0], 2),
    }
    assert margins["ref:0"].right_to_wrong == pytest.approx(0.4) and margins["ref:0"].among_right is None
    assert margins["tied:0"] == (1.0, 0.5)
    expected = 0.3 + 0.3 + 0.2 * 1 + 0.2 * 0 + 0.01 * tanh(0.4 / 0.5 - 1)
    assert rewardbench2.score_ties(margins) == pytest.approx(expected)
    assert rewardbench2.score_ties({"ref:0": margins["ref:0"]}) is None, "no pair"
    same = rewardbench2.measure_margins([2.0, 2.0, 1.0], 2)
    assert rewardbench2.score_ties({"ref:0": margins["ref:0"], "tied:0": same}) == pytest.approx(1.0), "no distance"


def score_ties_again(prompts):
    """The published score, from lists of right and wrong scores."""
    preferred, hard, excess = [], [], []
    for name, (right, wrong) in prompts.items():
        kind, _, number = name.partition(":")
        if kind == "ref" or f"ref:{number}" not in prompts or len(right) == 1:
            continue
        among = max(right) - min(right)
        own = min(right) - max(wrong)
        reference = prompts[f"ref:{number}"]
        worse = min(own, min(reference[0]) - max(reference[1]))
        preferred.append(own > among)
        hard.append(worse > among)
        if among > 0:
            excess.append(np.tanh(worse / among - 1))
    if not preferred:
        return None
    accuracy = {
        kind: np.mean([min(r) > max(w) for name, (r, w) in prompts.items() if name.startswith(kind)])
        for kind in ("ref", "tied")
    }
    margin = np.mean(excess) if excess else 0
    return (
        0.3 * accuracy["tied"] + 0.3 * accuracy["ref"] + 0.2 * np.mean(preferred) + 0.2 * np.mean(hard) + 0.01 * margin
    )


PROMPT = st.tuples(st.lists(SCORE, min_size=1, max_size=4), st.lists(SCORE, min_size=1, max_size=4))
NAME = st.builds(lambda kind, number: f"{kind}:{number}", st.sampled_from(["ref", "tied"]), st.integers(0, 3))


@given(st.dictionaries(NAME, PROMPT, min_size=1))
def test_ties_against_a_second_writing(prompts):
    margins = {name: rewardbench2.measure_margins([*r, *w], len(r)) for name, (r, w) in prompts.items()}
    expected = score_ties_again(prompts)
    assert rewardbench2.score_ties(margins) == (expected if expected is None else pytest.approx(expected))


def test_each_subset_has_its_score(tmp_path):
    rows = [
        make_row("0"),
        make_row("1"),
        make_row("2", "Safety"),
        make_row("ref:0", "Ties"),
        make_row("tied:0", "Ties", ["a", "b"]),
    ]
    scores = [[1, 0, 0, 0], [0, 1, 0, 0], [2, 2, 0, 0], [2, 1, 0, 0], [2, 2, 1, 0, 0]]
    figures = rewardbench2.measure(zip(read(tmp_path / "r.jsonl", rows), scores, strict=True))
    assert figures == {"Math": 0.5, "Safety": 0.5, "Ties": pytest.approx(0.3 + 0.3 + 0.2 + 0.2)}
