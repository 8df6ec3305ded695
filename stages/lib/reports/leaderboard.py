"""The best-of-N table: every method at N, against majority, with interval, p-value and smallest detectable difference.

Also k*, where a best-of-k curve turns down: verifiers are over-optimised when too many solutions compete (Cobbe et
al. 2021, figure 7). The peak is found on dev and the fall from it measured on test, or the peak would flatter itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.lib.core import seeds
from stages.lib.display.charts import format_method, format_p_value, format_score_name
from stages.lib.metrics.intervals import compare
from stages.lib.reports import vote_settings as chosen
from stages.lib.reports.curves import METHOD_KINDS, k_grid, median_k, parse_score_name
from stages.lib.reports.pools import TRAINING_FREE, sort_score_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stages.lib.reports.curves import Curve
    from stages.lib.reports.pools import Pool
    from stages.lib.reports.vote_settings import VoteSettings

WEIGHT_FORMULAS = {"probability": "score", "log-probability": "exp(score)", "logit": "sigmoid(score)"}
HEADER = ("method", "k", "accuracy %", "95% interval", "vs majority", "95% interval", "p", "detectable")
OVER_FREE_HEADER = ("vs best free", "95% interval")  # two more columns, where there are scores that need no training


def compare_to(baseline: str, curves: Mapping[str, Curve], k: int, seed: int) -> dict[str, dict[str, float]]:
    """{method: {difference, low, high, p, detectable}} on the problems that have k solutions; a method that ends before k
    is taken at its own end."""
    import numpy as np

    values, key = curves[baseline].accuracy_at(k), seeds.key(seed, "best_of_n", 1, "problems", "comparison")
    enough = ~np.isnan(values)
    return {
        name: compare(curve.accuracy_at(k)[enough], values[enough], key)._asdict()
        for name, curve in curves.items()
        if name != baseline
    }


def select_best_free(dev: Mapping[str, Curve], k: int) -> str:
    """The best method that needs no training, of all uses of the likelihood and of the untrained base, by its accuracy at
    k on dev."""
    import numpy as np

    return max(
        (name for name in dev if parse_score_name(name) in TRAINING_FREE),
        key=lambda name: np.nanmean(dev[name].accuracy_at(k)),
    )


def measure_overoptimisation(
    dev: Mapping[str, Curve], test: Mapping[str, Curve], k: int, seed: int
) -> dict[str, dict[str, float]]:
    """{best-of method: {k, difference, low, high, p, detectable}}: k* on dev; accuracy at k minus that at k*, on test.
    Each on the problems that have k solutions, or the peak could be due to who takes part."""
    import numpy as np

    key, found = seeds.key(seed, "best_of_n", 1, "problems", "turning"), {}
    for name, curve in dev.items():
        if name.startswith("best_of_"):
            on_dev, on_test = (
                values[~np.isnan(values[:, -1])] for values in (curve.values[:, :k], test[name].values[:, :k])
            )
            peak = min(int(on_dev.mean(axis=0).argmax()), on_test.shape[1] - 1)
            found[name] = {"k": peak + 1} | compare(on_test[:, -1], on_test[:, peak], key)._asdict()
    return found


def format_interval(gap: Mapping[str, float]) -> str:
    """The interval of a difference, in points."""
    return f"{100 * gap['low']:+.1f} to {100 * gap['high']:+.1f}"


def format_rows(
    results: Mapping,
    differences: Mapping[str, Mapping[str, float]],
    order: Sequence[str],
    k: int,
    over_free: Mapping[str, Mapping[str, float]] | None = None,
) -> list[list[str]]:
    """Table rows as text, in `order_methods`, at k or where a method ends; `pass` stands twice, first at 1 and at the end at k.
    Only trained verifiers are held against the best free method."""
    table, width = [], len(HEADER) + (len(OVER_FREE_HEADER) if over_free else 0)

    def row(name: str, method: str, k: int) -> None:
        found, gap = results[method][k], differences.get(method) if name != "pass@1" else None
        accuracy = f"{100 * found['mean']:.1f}" + (f" ±{100 * found['se']:.1f}" if found.get("se") else "")
        line = [name, str(k), accuracy, f"{100 * found['low']:.1f} to {100 * found['high']:.1f}"]
        if gap:
            line += [f"{100 * gap['difference']:+.1f}", format_interval(gap), format_p_value(gap["p"])]
            line += ["" if gap["detectable"] is None else f"{100 * gap['detectable']:.1f}"]
        if gap and over_free and parse_score_name(method) not in (None, *TRAINING_FREE):
            line += [f"{100 * over_free[method]['difference']:+.1f}", format_interval(over_free[method])]
        table.append([*line, *[""] * (width - len(line))])

    for method in order:
        if method == "pass":
            row("pass@1", method, 1)
        else:
            row(format_method_at_n(method), method, max(each for each in results[method] if each <= k))
    row("pass@N (ceiling)", "pass", k)
    return table


def format_method_at_n(method: str) -> str:
    return format_method(method).replace("best-of-k", "best-of-N")


def order_methods(methods: Iterable[str], free: str | None = None) -> list[str]:
    """likeliest option, greedy, pass@1, majority, then what is free, likelihood first (best-of-N, weighted), then verifiers
    (and top vote). free: a method that is held against the others, so it has a row in any case."""
    names = sort_score_names(name.removeprefix("best_of_") for name in methods if name.startswith("best_of_"))
    votes = [f"{kind}_{name}" for name in names for kind in METHOD_KINDS]
    votes = [
        method
        for method in votes
        if not (method.startswith("top_") and parse_score_name(method) in TRAINING_FREE) or method == free
    ]
    return [name for name in ("options", "greedy", "pass", "majority") if name in methods] + votes


def select_plotted_methods(results: Mapping[str, Mapping]) -> list[str]:
    """What the picture shows: pass, majority, each verifier's best-of and weighted vote, and the generator's
    minimum token likelihood. At most seven, as many as a reader can tell apart."""
    names = [name.removeprefix("best_of_") for name in results if name.startswith("best_of_")]
    verifiers = [name for name in names if name not in TRAINING_FREE]
    own = [f"best_of_{name}" for name in names if name == "likelihood_min"]  # fixed: not the one that did best
    shown = ["pass", "majority"] + [f"{kind}_{name}" for kind in ("weighted", "best_of") for name in verifiers]
    return shown[:6] + own


def write_notes(
    choices: Mapping[str, VoteSettings],
    pools: Sequence[Pool],
    turns: Mapping[str, Mapping[str, float]],
    free: str | None = None,
) -> list[str]:
    """How to read the table: what was compared, scale and choices of every score, k* of every best-of curve.
    pools: what the figures are of; free: the best free method on dev."""
    text = [
        "Intervals: as other problems would vary. detectable: smallest true difference this many problems would find four "
        "times in five. ±: Monte Carlo standard error; figures without it are exact."
    ]
    sizes = [len(pool.answer_ids) for pool in pools]
    if len(set(sizes)) > 1:
        k = median_k(pools)
        counts = ", ".join(
            f"{sum(size >= each for size in sizes)} at k = {each}" for each in sorted({*k_grid(max(sizes)), k})
        )
        text.append(
            f"Problems have {min(sizes)} to {max(sizes)} solutions; accuracy at k is over those that have k: {counts}. "
            f"The table is at k = {k}, the largest that more than half have."
        )
    if free:
        text.append(
            f"vs best free: against {format_method_at_n(free)}, on dev the best that needs no trained verifier."
        )
    for name, choice in choices.items():
        weight = WEIGHT_FORMULAS[pools[0].score_kinds.get(name, "probability")]
        text.append(
            f"{format_score_name(name)}: weight = {weight} to the power {chosen.format_choice(choice.power, choice.powers)}; "
            f"top vote keeps a share of {chosen.format_choice(choice.share, choice.shares)}."
        )
    for method, turn in turns.items():
        drop = f"{100 * turn['difference']:+.1f} ({format_interval(turn)})"
        text.append(f"{format_method(method)} peaks at k = {turn['k']}; from there to N {drop}.")
    return text
