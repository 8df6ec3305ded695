"""What a method costs, and what it is worth at equal cost: more solutions, or a verifier's look at fewer?

The cost of k solutions is k times that of one: the tokens drawn and the tokens that the verifier reads or writes to
judge them, at 2 floating-point operations a weight and token (Kaplan et al. 2020, arXiv 2001.08361, section 2.1). The
problem itself is read once for all k, by generator and verifier alike, and left out. Training is left out, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stages.lib.reports.curves import parse_score_name

if TYPE_CHECKING:
    from stages.lib.core.records import Sample, Score
    from stages.lib.reports.curves import Curve


def count_flops(
    samples: Sequence[Sample], scores: Sequence[Score], generator: int, verifiers: Mapping[str, int]
) -> dict[str, float]:
    """Floating-point operations a solution: `draw` of the generator, and by name of each verifier. generator, verifiers:
    numbers of weights."""
    cost = {"draw": 2.0 * generator * sum(sample.tokens for sample in samples) / len(samples)}
    for name, weights in verifiers.items():
        own = [score.tokens for score in scores if score.verifier == name]
        cost[name] = 2.0 * weights * sum(own) / len(own)
    return cost


def cost_per_sample(method: str, cost: Mapping[str, float]) -> float:
    """Cost of one solution under a method, in units of drawing it: 1, and what its verifier costs."""
    return 1.0 + cost.get(parse_score_name(method) or "", 0.0) / cost["draw"]


def max_k_within(curve: Mapping[int, Mapping[str, float]], each: float, budget: float) -> int | None:
    """The largest k of a curve whose cost is within the budget; None where not even one solution is."""
    return max((k for k in curve if k * each <= budget * (1 + 1e-9)), default=None)


def format_table(
    results: Mapping[str, Mapping[int, Mapping[str, float]]],
    methods: Sequence[str],
    cost: Mapping[str, float],
    budgets: Sequence[int],
) -> tuple[list[str], list[list[str]]]:
    """(header, rows): accuracy of each method for the price of drawing 1, 2, 4, ... solutions, and the k it buys."""
    from stages.lib.display.charts import format_method

    header = ["method", "cost of a solution", *(f"for {budget}" for budget in budgets)]
    rows = []
    for method in methods:
        each, cells = cost_per_sample(method, cost), []
        for budget in budgets:
            k = max_k_within(results[method], each, budget)
            cells.append("" if k is None else f"{100 * results[method][k]['mean']:.1f} (k {k})")
        rows.append([format_method(method), f"{each:.2f}", *cells])
    return header, rows


def write_notes(
    results: Mapping[str, Mapping[int, Mapping[str, float]]],
    dev: Mapping[str, Curve],
    methods: Sequence[str],
    cost: Mapping[str, float],
    ks: Sequence[int] = (2, 4),
) -> list[str]:
    """What is best for few solutions among the methods that cost no more than drawing, as dev says, with its accuracy."""
    import numpy as np

    from stages.lib.display.charts import format_method

    free = [method for method in methods if method in dev and method != "pass" and cost_per_sample(method, cost) == 1.0]
    text = []
    for k in ks:
        known = [method for method in free if k in dev[method].ks and k in results[method]]
        if known:
            best = max(known, key=lambda method: np.nanmean(dev[method].accuracy_at(k)))
            text.append(
                f"Of the methods that cost no more than drawing, {format_method(best)} is the best on dev for {k} solutions: "
                f"{100 * results[best][k]['mean']:.1f}, majority {100 * results['majority'][k]['mean']:.1f}."
            )
    return text
