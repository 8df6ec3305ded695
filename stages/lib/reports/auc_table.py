"""The AUC table: how well each score ranks the solutions of a problem, compared with the best score without training.

A trained verifier is worth its training where it beats the best free score: the generator's own likelihood, or the
untrained base model used as a verifier. Which of them is best is chosen on dev; the paired difference is measured on test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stages.lib.core import seeds
from stages.lib.display.tables import format_p_value, format_score_name
from stages.lib.metrics.intervals import bootstrap, compare
from stages.lib.metrics.ranking import ranked_problem_aucs
from stages.lib.reports.pools import TRAINING_FREE, Pool, sort_score_names

HEADER = ("score", "AUC on dev", "AUC on test", "95% interval", "vs best free", "95% interval", "p")

Aucs = Mapping[str, Mapping[str, Any]]  # as `measure` returns them


def measure(dev: Sequence[Pool], test: Sequence[Pool], seed: int, resamples: int) -> dict[str, dict[str, Any]]:
    """{score: {dev, test, low, high}}, free scores first, and for all but the best free score {difference,
    difference_low, difference_high, p} against that one. {} where no test problem has right and wrong solutions."""
    key = seeds.key(seed, "best_of_n", 1, "problems", "ranking")
    names = sort_score_names(test[0].scores)
    on_dev, on_test = ({name: _compute_aucs(name, pools) for name in names} for pools in (dev, test))
    if not names or not len(on_test[names[0]]):
        return {}
    rows: dict[str, dict[str, Any]] = {}
    for name, aucs in on_test.items():
        mean, low, high = (float(end[0]) for end in bootstrap(aucs[:, None], key, resamples))
        dev_auc = float(np.mean(on_dev[name])) if len(on_dev[name]) else None
        rows[name] = {"dev": dev_auc, "test": mean, "low": low, "high": high}
    best = select_best_free(rows)
    for name, aucs in on_test.items():
        if best and name != best:
            gap = compare(aucs, on_test[best], key)
            rows[name] |= {"difference": gap.difference, "difference_low": gap.low, "difference_high": gap.high}
            rows[name]["p"] = gap.p
    return rows


def _compute_aucs(name: str, pools: Sequence[Pool]) -> np.ndarray:
    """Within each problem that has right and wrong solutions; these problems are the same for all scores."""
    return ranked_problem_aucs([pool.scores[name] for pool in pools], [pool.correct > 0 for pool in pools])


def select_best_free(aucs: Aucs) -> str | None:
    """The free score with the highest AUC on dev."""
    return max(
        (name for name in aucs if name in TRAINING_FREE), key=lambda name: aucs[name]["dev"] or 0.0, default=None
    )


def format_heading(aucs: Aucs) -> str:
    best = select_best_free(aucs)
    return "Ranking within a problem (AUC)" + (f"; best free on dev: {format_score_name(best)}" if best else "")


def format_rows(aucs: Aucs) -> list[list[str]]:
    """Table rows as text, under `HEADER`."""
    table = []
    for name, auc in aucs.items():
        dev = "" if auc["dev"] is None else f"{auc['dev']:.3f}"
        row = [format_score_name(name), dev, f"{auc['test']:.3f}", f"{auc['low']:.3f} to {auc['high']:.3f}"]
        if "difference" in auc:
            interval = f"{auc['difference_low']:+.3f} to {auc['difference_high']:+.3f}"
            row += [f"{auc['difference']:+.3f}", interval, format_p_value(auc["p"])]
        table.append([*row, *[""] * (len(HEADER) - len(row))])
    return table
