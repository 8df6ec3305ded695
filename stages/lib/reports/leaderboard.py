"""The best-of-N table: every method at N compared with majority, with interval, p-value and smallest detectable difference.

Also the over-optimisation of best-of-k: with too many candidates a verifier's errors win, and its curve turns down after
a peak k* (Cobbe et al. 2021, figure 7). The peak is located on dev and the fall from it measured on test; located on
the same problems, the fall would be overestimated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from stages.lib.core import seeds
from stages.lib.display.tables import ORACLE_SCORES, format_method, format_p_value, format_p_values, format_score_name
from stages.lib.metrics.intervals import compare, holm
from stages.lib.reports.curves import METHOD_KINDS, Curve, Intervals, k_grid, median_k, parse_score_name
from stages.lib.reports.pools import (
    ENSEMBLE,
    ENSEMBLES,
    FREE_ENSEMBLE,
    LIKELIHOOD_SCORES,
    TRAINING_FREE,
    Pool,
    sort_score_names,
)
from stages.lib.reports.vote_settings import VoteSettings, format_choice

ENSEMBLE_VOTE = f"weighted_{ENSEMBLE}"
WEIGHT_FORMULAS = {"probability": "score", "log-probability": "exp(score)", "logit": "sigmoid(score)"}
HEADER = ("method", "k", "accuracy %", "95% interval", "vs majority", "95% interval", "p (Holm)", "detectable")
ORACLE_NOTE = (
    "{}: trained on labels that only problems with a known value after every step have; shows what better labels would be "
    "worth, and is not what a real pipeline can reach."
)
PASS_1 = "pass@1"  # the label of the row without selection
OVER_FREE_HEADER = ("vs best free", "95% interval")  # two more columns where there are scores without training


def compare_to(baseline: str, curves: Mapping[str, Curve], k: int, seed: int) -> dict[str, dict[str, float]]:
    """{method: {difference, low, high, p, detectable}} on the problems that have k solutions. A curve that ends before
    k is compared at its end."""
    values, key = curves[baseline].accuracy_at(k), seeds.key(seed, "best_of_n", 1, "problems", "comparison")
    has_k = ~np.isnan(values)
    return {
        name: compare(curve.accuracy_at(k)[has_k], values[has_k], key)._asdict()
        for name, curve in curves.items()
        if name != baseline
    }


def add_holm(differences: Mapping[str, Mapping[str, float]], family: Iterable[str]) -> dict[str, dict[str, float]]:
    """The differences; those of the methods in `family` with `p_holm`, corrected for all of the family but the ceiling."""
    tests = [method for method in family if method in differences and method != "pass"]
    adjusted = dict(zip(tests, holm([differences[method]["p"] for method in tests]), strict=True))
    return {
        method: {**gap, "p_holm": adjusted[method]} if method in adjusted else dict(gap)
        for method, gap in differences.items()
    }


def select_best_use(dev: Mapping[str, Curve], k: int, scores: Sequence[str] = TRAINING_FREE) -> str:
    """The best use (best-of, weighted or top vote) of any of these scores by accuracy at k on dev."""
    return max(
        (name for name in dev if parse_score_name(name) in scores),
        key=lambda name: np.nanmean(dev[name].accuracy_at(k)),
    )


def select_best_single(dev: Mapping[str, Curve], k: int) -> str | None:
    """The best use of a single trained verifier, None where there is none; oracles and ensembles do not count."""
    others = (*TRAINING_FREE, *ENSEMBLES, *ORACLE_SCORES)
    singles = [name for method in dev if (name := parse_score_name(method)) and name not in others]
    return select_best_use(dev, k, singles) if singles else None


def select_best_likelihood(dev: Mapping[str, Curve], k: int) -> str:
    return select_best_use(dev, k, LIKELIHOOD_SCORES)


def measure_overoptimisation(
    dev: Mapping[str, Curve], test: Mapping[str, Curve], k: int, seed: int
) -> dict[str, dict[str, float]]:
    """{best-of method: {k, difference, low, high, p, detectable}}: k* on dev; accuracy at `k` minus that at k*, on test.
    Only problems that have k solutions count, for all k alike."""
    key = seeds.key(seed, "best_of_n", 1, "problems", "turning")
    peaks: dict[str, dict[str, Any]] = {}
    for name in dev:
        if name.startswith("best_of_"):
            on_dev, on_test = (curves[name].values[:, :k] for curves in (dev, test))
            on_dev, on_test = (values[~np.isnan(values[:, -1])] for values in (on_dev, on_test))
            peak = min(int(on_dev.mean(axis=0).argmax()), on_test.shape[1] - 1)
            peaks[name] = {"k": peak + 1} | compare(on_test[:, -1], on_test[:, peak], key)._asdict()
    return peaks


def format_interval(gap: Mapping[str, float]) -> str:
    """The interval of a difference, in points."""
    return f"{100 * gap['low']:+.1f} to {100 * gap['high']:+.1f}"


def format_rows(
    results: Intervals,
    differences: Mapping[str, Mapping[str, float]],
    order: Sequence[str],
    k: int,
    over_free: Mapping[str, Mapping[str, float]] | None = None,
    likelihood: str | None = None,
) -> list[list[str]]:
    """Table rows as text, in the order of `order_methods`, at k or at a method's largest k below; `pass` has two rows, at
    1 and, last, at k. Only trained verifiers are compared with the best free method. likelihood: its best use on dev."""
    width = len(HEADER) + (len(OVER_FREE_HEADER) if over_free else 0)

    def format_row(label: str, method: str, k: int) -> list[str]:
        point, gap = results[method][k], differences.get(method) if label != PASS_1 else None
        accuracy = f"{100 * point['mean']:.1f}" + (f" ±{100 * point['se']:.1f}" if point.get("se") else "")
        row = [label, str(k), accuracy, f"{100 * point['low']:.1f} to {100 * point['high']:.1f}"]
        if gap:
            row += [f"{100 * gap['difference']:+.1f}", format_interval(gap)]
            row += [format_p_values(gap["p"], gap.get("p_holm"))]
            row += ["" if gap["detectable"] is None else f"{100 * gap['detectable']:.1f}"]
        if gap and over_free and parse_score_name(method) not in (None, *TRAINING_FREE):
            row += [f"{100 * over_free[method]['difference']:+.1f}", format_interval(over_free[method])]
        return [*row, *[""] * (width - len(row))]

    return [format_row(*planned) for planned in plan_rows(results, order, k, likelihood)]


def plan_rows(
    results: Intervals, order: Sequence[str], k: int, likelihood: str | None = None
) -> list[tuple[str, str, int]]:
    """(label, method, the k at which it is shown) of the table's rows; `pass` has two, at 1 and, last, at k."""
    rows = [
        (PASS_1, method, 1)
        if method == "pass"
        else (format_method_at_n(method, likelihood), method, max(x for x in results[method] if x <= k))
        for method in order
    ]
    return [*rows, ("pass@N (ceiling)", "pass", k)]


def format_method_at_n(method: str, likelihood: str | None = None) -> str:
    """likelihood: its best use on dev, which is named as such."""
    name = format_method(method).replace("best-of-k", "best-of-N")
    return f"generator's likelihood, best use on dev: {name}" if method == likelihood else name


def format_versus_single(gap: Mapping[str, float], single: str, scope: str) -> str:
    """The note on what the ensemble adds to the best single verifier."""
    names = format_method(ENSEMBLE_VOTE), format_method_at_n(single)
    return (
        f"{names[0]} against {names[1]}, on dev the best use of a single trained verifier, {scope}: "
        f"{100 * gap['difference']:+.1f} ({format_interval(gap)}), p {format_p_value(gap['p'])}."
    )


def order_methods(methods: Iterable[str], free: str | None = None, likelihood: str | None = None) -> list[str]:
    """The rows of the table: likeliest option, greedy, pass@1, majority, then best-of-N and weighted vote of each score
    (likelihood, untrained base, verifiers), and the top votes of verifiers. free: a method to include in any case;
    likelihood: the only use of the likelihood to include."""
    names = sort_score_names(name.removeprefix("best_of_") for name in methods if name.startswith("best_of_"))
    votes = [f"{kind}_{name}" for name in names for kind in METHOD_KINDS]
    selected = [
        method
        for method in votes
        if method in (free, likelihood)
        or (not method.startswith("top_") or parse_score_name(method) not in TRAINING_FREE)
        and not (likelihood and parse_score_name(method) in LIKELIHOOD_SCORES)
    ]
    return [name for name in ("options", "greedy", "pass", "majority") if name in methods] + selected


def select_plotted_methods(results: Mapping[str, Mapping], likelihood: str | None = None) -> list[str]:
    """The curves of the picture: pass, majority, each verifier's weighted vote, the likelihood's best use on dev, and
    best-of of verifiers while there are at most seven, so that they can be told apart."""
    names = sort_score_names(name.removeprefix("best_of_") for name in results if name.startswith("best_of_"))
    verifiers = [name for name in names if name not in (*TRAINING_FREE, FREE_ENSEMBLE)]
    votes, bests = ([f"{kind}_{name}" for name in verifiers] for kind in ("weighted", "best_of"))
    bests = [method for method in bests if parse_score_name(method) not in (*ORACLE_SCORES, *ENSEMBLES)]
    return ["pass", "majority", *votes[: 5 - bool(likelihood)], *([likelihood] if likelihood else []), *bests][:7]


def write_notes(
    settings: Mapping[str, VoteSettings],
    pools: Sequence[Pool],
    peaks: Mapping[str, Mapping[str, float]],
    free: str | None = None,
) -> list[str]:
    """How to read the table: what was compared, scale and settings of every score, k* of every best-of curve.

    pools: the problems of the table; free: the best free method on dev."""
    notes = [
        "Intervals: as other problems would vary. detectable: smallest true difference this many problems would find four "
        "times in five. ±: Monte Carlo standard error; figures without it are exact.",
        "p is of one comparison with majority, in brackets corrected for all of the table but the ceiling (Holm); * where "
        "that is below 0.05.",
    ]
    notes += [ORACLE_NOTE.format(format_score_name(name)) for name in settings if name in ORACLE_SCORES]
    sizes = [pool.size for pool in pools]
    if len(set(sizes)) > 1:
        k = median_k(pools)
        counts = (f"{sum(size >= n for size in sizes)} at k = {n}" for n in sorted({*k_grid(max(sizes)), k}))
        notes.append(
            f"Problems have {min(sizes)} to {max(sizes)} solutions; accuracy at k is over those that have k: "
            f"{', '.join(counts)}. The table is at k = {k}, the largest that more than half have."
        )
    if free:
        notes.append(
            f"vs best free: against {format_method_at_n(free)}, on dev the best that needs no trained verifier."
        )
    for name, setting in settings.items():
        weight = WEIGHT_FORMULAS[pools[0].score_kinds.get(name, "probability")]
        power, share = format_choice(setting.power, setting.powers), format_choice(setting.share, setting.shares)
        notes.append(
            f"{format_score_name(name)}: weight = {weight} to the power {power}; top vote keeps a share of {share}."
        )
    for method, fall in peaks.items():
        points = f"{100 * fall['difference']:+.1f} ({format_interval(fall)})"
        notes.append(f"{format_method(method)} peaks at k = {fall['k']}; from there to N {points}.")
    return notes
