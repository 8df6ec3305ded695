"""Accuracy at equal compute: is it better to draw more solutions, or to let a verifier judge fewer?

The cost of k solutions is k times that of one: the tokens drawn and the tokens that the verifier reads or writes to
judge them, at 2 floating-point operations a weight and token (Kaplan et al. 2020, arXiv 2001.08361, section 2.1). The
prompt, which generator and verifier read once for all k, and the training are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stages.lib.core.records import Sample, Score
from stages.lib.display.tables import Table, format_method
from stages.lib.reports.curves import Curve, Intervals, parse_score_name
from stages.lib.reports.leaderboard import order_methods


def count_flops(
    samples: Sequence[Sample], scores: Sequence[Score], generator: int, verifiers: Mapping[str, int]
) -> dict[str, float]:
    """Floating-point operations per solution: of the generator (`draw`) and of each verifier, by name. generator,
    verifiers: numbers of weights."""
    cost = {"draw": 2.0 * generator * sum(sample.tokens for sample in samples) / len(samples)}
    for name, weights in verifiers.items():
        tokens = [score.tokens for score in scores if score.verifier == name]
        cost[name] = 2.0 * weights * sum(tokens) / len(tokens)
    return cost


def cost_per_sample(method: str, cost: Mapping[str, float]) -> float:
    """Cost of one solution under a method, in units of drawing it: 1 plus the cost of the method's verifier."""
    return 1.0 + cost.get(parse_score_name(method) or "", 0.0) / cost["draw"]


def max_k_within(curve: Mapping[int, Mapping[str, float]], sample_cost: float, budget: float) -> int | None:
    """The largest k of a curve whose cost is within the budget; None if not even one solution is."""
    return max((k for k in curve if k * sample_cost <= budget * (1 + 1e-9)), default=None)


def tabulate(
    results: Intervals, dev: Mapping[str, Curve], cost: Mapping[str, float]
) -> tuple[dict[str, Table], list[str]]:
    """({title: table}, notes). dev: curves on dev, which decide the method that the notes recommend."""
    methods = [name for name in order_methods(results) if parse_score_name(name) or name in ("pass", "majority")]
    methods = [name for name in methods if not name.startswith("top_")]
    budgets = [2**i for i in range(max(results["majority"]).bit_length())]
    title = f"What the price of drawing so many solutions buys; one costs {cost['draw']:.3g} floating-point operations."
    return {title: format_table(results, methods, cost, budgets)}, write_notes(results, dev, methods, cost)


def format_table(
    results: Intervals, methods: Sequence[str], cost: Mapping[str, float], budgets: Sequence[int]
) -> Table:
    """(header, rows): accuracy of each method for the price of drawing 1, 2, 4, ... solutions, and the k it pays for."""
    rows = []
    for method in methods:
        sample_cost, cells = cost_per_sample(method, cost), []
        for budget in budgets:
            k = max_k_within(results[method], sample_cost, budget)
            cells.append("" if k is None else f"{100 * results[method][k]['mean']:.1f} (k {k})")
        rows.append([format_method(method), f"{sample_cost:.2f}", *cells])
    return ["method", "cost of a solution", *(f"for {budget}" for budget in budgets)], rows


def write_notes(
    results: Intervals,
    dev: Mapping[str, Curve],
    methods: Sequence[str],
    cost: Mapping[str, float],
    ks: Sequence[int] = (2, 4),
) -> list[str]:
    """For a few solutions, the method that is best on dev among those that cost no more than drawing; its accuracy."""
    free = [method for method in methods if method in dev and method != "pass" and cost_per_sample(method, cost) == 1.0]
    notes = []
    for k in ks:
        candidates = [method for method in free if k in dev[method].ks and k in results[method]]
        if candidates:
            best = max(candidates, key=lambda method: np.nanmean(dev[method].accuracy_at(k)))
            notes.append(
                f"Of the methods that cost no more than drawing, {format_method(best)} is the best on dev for {k} "
                f"solutions: {100 * results[best][k]['mean']:.1f}, majority {100 * results['majority'][k]['mean']:.1f}."
            )
    return notes
