"""Pairwise verdicts, and what a judge is worth: agreement with the truth, position preference, consistency, length.

A verdict is 0 (tie), 1 (the first solution is better) or 2 (the second); None: the judge said nothing that can be read. A
judge is asked in both orders. What it says twice counts; where the orders disagree the verdict is a tie, counted as
inconsistent; where one of the answers cannot be read there is no verdict, which is counted apart and never becomes a tie
or a loss (PandaLM, arXiv 2306.05087, reads it as a tie; openai/evals issue 1712 as the lowest grade).

Position preference and consistency: Zheng et al. 2023 (arXiv 2306.05685), Shi et al. 2024 (2406.07791).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score, precision_recall_fscore_support

Verdicts = Sequence[int | None]
POINTS = {0: 0.5, 1: 1.0, 2: 0.0}  # of the first solution
SWAPPED = {0: 0, 1: 2, 2: 1, None: None}  # the verdict seen from the other order


def merge_orders(forward: int | None, backward: int | None) -> int | None:
    """The verdict of both orders. backward: of the second solution shown first; 1 means that one."""
    backward = SWAPPED[backward]
    if forward is None or backward is None:
        return None
    return forward if forward == backward else 0


def compare_scores(first: float, second: float, margin: float = 0.0) -> int:
    """The verdict of a judge that scores each solution alone; a difference of at most `margin` is a tie."""
    return 0 if abs(first - second) <= margin else 1 if first > second else 2


def choose_margin(differences: np.ndarray, truth: np.ndarray, steps: int = 20) -> float:
    """The margin whose verdicts have the highest kappa with the truth; of equals the smallest.

    differences: (pairs,), score of the first solution minus that of the second; truth: (pairs,) of 0, 1, 2. To be called
    with pairs of dev. 0 without a pair."""
    if not len(differences):
        return 0.0
    candidates = np.unique(np.quantile(np.abs(differences), np.linspace(0, 1, steps, endpoint=False)))
    decided = np.where(differences > 0, 1, 2)
    kappas = [compute_kappa(np.where(np.abs(differences) <= x, 0, decided), truth) or 0.0 for x in (0.0, *candidates)]
    return float((0.0, *candidates)[int(np.argmax(kappas))])


def compute_kappa(first: Any, second: Any) -> float | None:
    """Cohen's kappa of two lists of verdicts; None where chance agreement is complete, since it is undefined there."""
    first, second = np.asarray(first), np.asarray(second)
    if not len(first) or (len(np.unique(first)) == 1 and np.array_equal(np.unique(first), np.unique(second))):
        return None
    return float(cohen_kappa_score(first, second))


def vote(verdicts: Sequence[int]) -> int:
    """The majority of several annotators; a tie where none has more than all others."""
    counts = np.bincount(verdicts, minlength=3)
    leaders = np.flatnonzero(counts == counts.max())
    return int(leaders[0]) if len(leaders) == 1 else 0


def compare_with_truth(verdicts: Verdicts, truth: Sequence[int]) -> dict[str, float | None]:
    """Agreement with the true verdicts over three classes.

    agreement: share that is equal; kappa: corrected for chance; precision, recall, f1: means over the classes;
    weighted_f1: weighted by the true counts; accuracy: share won where the truth decides, a tie counting half.
    invalid: share without a verdict, left out of all others. Figures without a pair are None."""
    pairs = [(verdict, true) for verdict, true in zip(verdicts, truth, strict=True) if verdict is not None]
    result: dict[str, float | None] = dict.fromkeys(
        ("agreement", "kappa", "precision", "recall", "f1", "weighted_f1", "accuracy")
    )
    result["invalid"] = 1 - len(pairs) / len(verdicts) if len(verdicts) else None
    if not pairs:
        return result
    ours, theirs = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    averages: Any = {"labels": [0, 1, 2], "zero_division": 0.0}
    macro = precision_recall_fscore_support(theirs, ours, average="macro", **averages)
    weighted = precision_recall_fscore_support(theirs, ours, average="weighted", **averages)
    decided = theirs != 0
    won = np.where(ours == 0, 0.5, ours == theirs)[decided]
    return result | {
        "agreement": float((ours == theirs).mean()),
        "kappa": compute_kappa(ours, theirs),
        **{name: float(value) for name, value in zip(("precision", "recall", "f1"), macro[:3], strict=True)},
        "weighted_f1": float(weighted[2]),
        "accuracy": float(won.mean()) if len(won) else None,
    }


def measure_habits(forward: Verdicts, backward: Verdicts, longer: Sequence[int]) -> dict[str, float | None]:
    """What a judge does whatever the truth is. forward, backward: verdicts in both orders, each of what it was shown;
    longer: which of the pair is longer, 0 for neither.

    invalid: share of answers that could not be read; consistency: share of pairs with the same verdict in both orders;
    first: share of decisions for what was shown first, 0.5 without a preference; length: share of final decisions for the
    longer solution, of those whose lengths differ."""
    both = list(zip(forward, backward, strict=True))
    answers = [verdict for pair in both for verdict in pair]
    decided = [verdict for verdict in answers if verdict]
    whole = [(a, SWAPPED[b]) for a, b in both if a is not None and b is not None]
    finals = [(merge_orders(a, b), size) for (a, b), size in zip(both, longer, strict=True)]
    lengths = [final == size for final, size in finals if final and size]
    return {
        "invalid": _share([verdict is None for verdict in answers]),
        "consistency": _share([a == b for a, b in whole]),
        "first": _share([verdict == 1 for verdict in decided]),
        "length": _share(lengths),
    }


def measure_stability(repetitions: Sequence[Verdicts]) -> float | None:
    """Repetition stability: the mean share of the most frequent verdict over repeated questions (arXiv 2406.07791).
    repetitions: one list of verdicts for each time that all pairs were asked."""
    shares = []
    for verdicts in zip(*repetitions, strict=True):
        valid = [verdict for verdict in verdicts if verdict is not None]
        if valid:
            shares.append(np.bincount(valid).max() / len(valid))
    return float(np.mean(shares)) if shares else None


def _share(flags: Sequence[bool]) -> float | None:
    return float(np.mean(flags)) if len(flags) else None
