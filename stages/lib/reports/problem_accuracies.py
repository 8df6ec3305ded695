"""Every method's accuracy at N and every score's AUC on every problem, as CSV: what comparisons over several runs of the
pipeline start from.

A row is a problem of a `set`: test, at the N of the headline; ood, at the N of the matrix; parents, the test problems with
variants in ood once more, at that N, for the gap. `group` is as in the matrix; `parent` is the problem it was made from;
`weight` makes both parts of a group with unsolvable twins count the same. Then one column a method; `best_free` is the best
one without training, `best_likelihood` the best use of the likelihood, both as chosen on dev, and `constant` the answer
that is right most often in the group. A method that draws one solution has values in `test` only; a problem with fewer
solutions than N has none. Then `auc_<score>`, over all solutions of a problem of test or ood: empty where all are right or
all are wrong.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.lib.display.tables import format_csv
from stages.lib.metrics.ranking import problem_aucs
from stages.lib.reports.in_distribution import Results
from stages.lib.reports.matrix import Row
from stages.lib.reports.pools import Pool, sort_score_names

COLUMNS = ("set", "group", "problem", "parent", "weight")
BEST_FREE, BEST_LIKELIHOOD = "best_free", "best_likelihood"
AUC = "auc_"  # before the name of a score


class ProblemAccuracies(NamedTuple):
    """All (n,): problems as (set, id); groups; parents, the problem's own id if it has none; weights; the values of each
    method and the AUC of each score, NaN where there is none."""

    problems: list[tuple[str, str]]
    groups: list[str]
    parents: list[str]
    weights: np.ndarray
    values: dict[str, np.ndarray]


def to_csv(rows: Sequence[Row], parents: Mapping[str, str], results: Results) -> str:
    """rows: those of the matrix; the first is the test set, its problems in the order of the curves of `results`."""
    test = {name: curve.accuracy_at(results.k) for name, curve in results.curves.items()}
    test |= {"pass_1": results.curves["pass"].values[:, 0], "constant": rows[0].values["constant"]}
    first = rows[0]._replace(values=test, weights=np.ones(len(rows[0].pools)))
    has_variants = {parents[pool.problem_id] for row in rows[1:] for pool in row.pools if pool.problem_id in parents}
    parts = [("test", first), ("parents", rows[0]), *(("ood", row) for row in rows[1:])]
    aucs = [compute_aucs(row.pools) if name != "parents" else {} for name, row in parts]
    table = [
        {
            "set": name,
            "group": row.name,
            "problem": pool.problem_id,
            "parent": parents.get(pool.problem_id, ""),
            "weight": float(row.weights[i]),
            **{method: None if np.isnan(values[i]) else float(values[i]) for method, values in row.values.items()},
            BEST_FREE: float(row.values[results.best_free][i]),
            BEST_LIKELIHOOD: float(row.values[results.likelihood][i]),
            **{score: None if np.isnan(values[i]) else float(values[i]) for score, values in of_scores.items()},
        }
        for (name, row), of_scores in zip(parts, aucs, strict=True)
        for i, pool in enumerate(row.pools)
        if name != "parents" or pool.problem_id in has_variants
    ]
    return format_csv([*COLUMNS, *test, BEST_FREE, BEST_LIKELIHOOD, *aucs[0]], table)


def compute_aucs(pools: Sequence[Pool]) -> dict[str, np.ndarray]:
    """{auc_<score>: (problems,)} of every score that the pools have."""
    correct = [pool.correct > 0 for pool in pools]
    names = sort_score_names(pools[0].scores)
    return {AUC + name: problem_aucs([pool.scores[name] for pool in pools], correct) for name in names}


def from_csv(text: str) -> ProblemAccuracies:
    """What `to_csv` wrote; NaN where a method has no value."""
    rows = list(csv.DictReader(io.StringIO(text)))
    methods = [name for name in rows[0] if name not in COLUMNS]
    return ProblemAccuracies(
        [(row["set"], row["problem"]) for row in rows],
        [row["group"] for row in rows],
        [row["parent"] or row["problem"] for row in rows],
        np.array([float(row["weight"]) for row in rows]),
        {name: np.array([float(row[name] or "nan") for row in rows]) for name in methods},
    )
