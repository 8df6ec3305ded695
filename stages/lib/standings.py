"""The best-of-N table: every method at N, against majority, with interval, p-value and smallest detectable difference.

Also k*, where a best-of-k curve turns down: verifiers are over-optimised when too many solutions compete (Cobbe et
al. 2021, figure 7). The peak is found on dev and the fall from it measured on test, or the peak would flatter itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.lib import seeds
from stages.lib.charts import label
from stages.lib.intervals import compare
from stages.lib.pools import LIKELIHOODS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stages.lib.curves import Choice, Curve

WEIGHT = {"probability": "score", "log-probability": "exp(score)", "logit": "sigmoid(score)"}
HEADER = ("method", "k", "accuracy %", "95% interval", "vs majority", "95% interval", "p", "detectable")
LIKELIHOOD = ("vs likelihood", "95% interval")  # two more columns, where the generator's own likelihood is known


def against(baseline: str, curves: Mapping[str, Curve], seed: int) -> dict[str, dict[str, float]]:
    """{method: {difference, low, high, p, detectable}} at each method's largest k, the baseline at its own."""
    values = curves[baseline].values[:, -1]
    key = seeds.key(seed, "best_of_n", 1, "problems", "comparison")
    return {
        name: compare(curve.values[:, -1], values, key)._asdict() for name, curve in curves.items() if name != baseline
    }


def own_choice(dev: Mapping[str, Curve]) -> str:
    """The method that gets most out of the generator's own likelihood, by its accuracy at N on dev: the baseline that
    costs nothing."""
    return max((name for name in dev if name.endswith(LIKELIHOODS)), key=lambda name: dev[name].values[:, -1].mean())


def turning(dev: Mapping[str, Curve], test: Mapping[str, Curve], seed: int) -> dict[str, dict[str, float]]:
    """{method: {k, difference, low, high, p, detectable}}: k* on dev; accuracy at N minus that at k*, on test."""
    key = seeds.key(seed, "best_of_n", 1, "problems", "turning")
    found = {}
    for name, curve in dev.items():
        if name.startswith("best_of_"):
            peak = min(int(curve.values.mean(axis=0).argmax()), test[name].values.shape[1] - 1)
            values = test[name].values
            found[name] = {"k": peak + 1} | compare(values[:, -1], values[:, peak], key)._asdict()
    return found


def span(gap: Mapping[str, float]) -> str:
    """The interval of a difference, in points."""
    return f"{100 * gap['low']:+.1f} to {100 * gap['high']:+.1f}"


def rows(
    results: Mapping,
    differences: Mapping[str, Mapping[str, float]],
    order: Sequence[str],
    over_likelihood: Mapping[str, Mapping[str, float]] | None = None,
) -> list[list[str]]:
    """Table rows as text, in `order`; `pass` stands twice, first at k = 1 and at the end at N. Only verifiers are held
    against the likelihood."""
    table, width = [], len(HEADER) + (len(LIKELIHOOD) if over_likelihood else 0)

    def row(name: str, method: str, k: int) -> None:
        found, gap = results[method][k], differences.get(method) if k == max(results[method]) else None
        accuracy = f"{100 * found['mean']:.1f}" + (f" ±{100 * found['error']:.1f}" if found.get("error") else "")
        line = [name, str(k), accuracy, f"{100 * found['low']:.1f} to {100 * found['high']:.1f}"]
        if gap:
            p = f"{gap['p']:.3f}" if gap["p"] >= 0.001 else "<0.001"
            line += [f"{100 * gap['difference']:+.1f}", span(gap), p, f"{100 * gap['detectable']:.1f}"]
        if gap and over_likelihood and "_" in method and not method.endswith(LIKELIHOODS):
            line += [f"{100 * over_likelihood[method]['difference']:+.1f}", span(over_likelihood[method])]
        table.append([*line, *[""] * (width - len(line))])

    for method in order:
        k = max(results[method])
        if method == "pass":
            row("pass@1", method, 1)
        else:
            row(label(method).replace("best-of-k", "best-of-N"), method, k)
    row("pass@N (ceiling)", "pass", max(results["pass"]))
    return table


def order(methods: Iterable[str]) -> list[str]:
    """likeliest option, greedy, pass@1, majority, then likelihood (best-of-N, weighted), then verifiers (and top vote)."""
    names = [name.removeprefix("best_of_") for name in methods if name.startswith("best_of_")]
    names.sort(key=lambda name: (name not in LIKELIHOODS, name))
    votes = [f"{kind}_{name}" for name in names for kind in ("best_of", "weighted", "top")]
    votes = [method for method in votes if method.removeprefix("top_") not in LIKELIHOODS]
    return [name for name in ("options", "greedy", "pass", "majority") if name in methods] + votes


def lines(results: Mapping[str, Mapping]) -> list[str]:
    """What the picture shows: pass, majority, each verifier's best-of and weighted vote, and the generator's
    minimum token likelihood. At most seven, as many as a reader can tell apart."""
    names = [name.removeprefix("best_of_") for name in results if name.startswith("best_of_")]
    verifiers = [name for name in names if name not in LIKELIHOODS]
    own = [f"best_of_{name}" for name in names if name == "likelihood_min"]  # fixed: not the one that did best
    shown = ["pass", "majority"] + [f"{kind}_{name}" for kind in ("weighted", "best_of") for name in verifiers]
    return shown[:6] + own


def notes(
    choices: Mapping[str, Choice],
    scales: Mapping[str, str],
    turns: Mapping[str, Mapping[str, float]],
    likelihood: str | None = None,
) -> str:
    """How to read the table: the likelihood's own best, scales and choices per score, k* per best-of curve."""
    text = [
        "Intervals: bootstrap over problems. detectable: smallest true difference this many problems would find four "
        "times in five. ±: Monte Carlo standard error; figures without it are exact."
    ]
    if likelihood:
        name = label(likelihood).replace("best-of-k", "best-of-N")
        text.append(f"vs likelihood: against {name}, on dev the best use of the generator's own likelihood.")
    for name, kind in scales.items():
        choice = choices.get(name)
        if choice:
            text.append(f"{name}: weight = {WEIGHT[kind]} ** {choice.power:g}; top vote keeps {choice.share:.0%} of k.")
    for method, turn in turns.items():
        drop = f"{100 * turn['difference']:+.1f} ({span(turn)})"
        text.append(f"k* of {label(method)}: {turn['k']}; from there to N {drop}.")
    return "\n".join(f"- {line}" for line in text) + "\n"
