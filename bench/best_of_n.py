"""`python -m bench.best_of_n`: exact curves for every k against 400 random subsets for ten of them.

Pools: 500 problems x 1,860 solutions (the size of PRM800K's test set), answer classes with a heavy tail, one right
class each. The peer is the estimator of PRM800K's eval.py (400 random subsets per k, majority and best-of by score),
rewritten with numpy and timed on a few of the problems. Both are reported in CPU seconds per problem and k.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from stages.lib.metrics.estimators import best_of_k, pass_at_k
from stages.lib.metrics.majority import majority


def make_pools(problems: int, n: int, seed: int = 0):
    """classes, correct, scores, each (problems, n)."""
    random = np.random.default_rng(seed)
    classes = np.empty((problems, n), int)
    correct = np.empty((problems, n))
    for i in range(problems):
        kinds = int(random.integers(5, 300))
        share = random.dirichlet(3 * random.gamma(1, 1, kinds) / np.arange(1, kinds + 1) ** 1.2)
        classes[i] = random.choice(kinds, n, p=share)
        correct[i] = classes[i] == random.choice(kinds, p=share)
    return classes, correct, correct + random.normal(0, 1.5, (problems, n))


def estimate_by_subsets(classes, correct, scores, ks, trials: int = 400, seed: int = 0):
    """One problem: {k: (majority, best-of)} by random subsets, the first-seen answer winning a tie as in eval.py."""
    random, estimates = np.random.default_rng(seed), {}
    for k in ks:
        majority = best_of = 0.0
        for _ in range(trials):
            subset = random.choice(len(classes), k, replace=False)
            majority += correct[subset[np.argmax(np.bincount(classes[subset])[classes[subset]])]]
            best_of += correct[subset[np.argmax(scores[subset])]]
        estimates[k] = majority / trials, best_of / trials
    return estimates


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--problems", type=int, default=500)
    arguments.add_argument("--samples", type=int, default=1860)
    arguments.add_argument("--peer-problems", type=int, default=4)
    options = arguments.parse_args()
    problems, n = options.problems, options.samples
    classes, correct, scores = make_pools(problems, n)

    times, curves = {}, {}
    methods = (
        ("pass", lambda: pass_at_k(correct)),
        ("majority", lambda: majority(classes, correct)),
        ("best_of", lambda: best_of_k(correct, scores)),
    )
    for name, method in methods:
        wall, cpu = time.perf_counter(), time.process_time()
        curves[name] = method()
        times[name] = time.perf_counter() - wall, time.process_time() - cpu
    seconds, cpu_seconds = (sum(pair[i] for pair in times.values()) for i in (0, 1))

    ks = sorted({max(1, round(n * share)) for share in np.geomspace(10 / n, 1, 10)})
    began, gaps = time.process_time(), []
    for i in range(options.peer_problems):
        estimates = estimate_by_subsets(classes[i], correct[i], scores[i], ks)
        gaps += [abs(curves["majority"][i, k - 1] - estimates[k][0]) for k in ks[:-1]]
    peer_cost = (time.process_time() - began) / options.peer_problems / len(ks)
    exact_cost = (times["majority"][1] + times["best_of"][1]) / problems / n

    table = Table()
    for name in ("method", "seconds", "cpu seconds"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for name, (wall, cpu) in times.items():
        table.add_row(name, f"{wall:.2f}", f"{cpu:.2f}")
    table.add_row("all", f"{seconds:.2f}", f"{cpu_seconds:.2f}")
    console = Console()
    console.print(f"{problems} problems x {n} solutions, every k from 1 to {n}", table)
    console.print(
        f"per problem and k: exact {1e6 * exact_cost:.1f} us, 400 subsets {1e6 * peer_cost:.0f} us, "
        f"which is off by {100 * np.mean(gaps):.2f} points a problem on average",
        soft_wrap=True,
    )
    figures = {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "ratio": round(peer_cost / exact_cost, 1),
        "peer_mean_error": round(float(np.mean(gaps)), 5),
        "problems": problems,
        "samples": n,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
