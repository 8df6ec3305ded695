"""Every method's accuracy at N on every problem, as CSV: what comparisons over several runs of the pipeline start from.

A row is a problem: `set` is test in distribution and ood out of it; `group` as in the matrix; `parent` is the problem it
was made from; `weight` makes both parts of a group with unsolvable twins count the same. Then one column a method, with
`best_free` for the best one without training, as chosen on dev. Methods that draw one solution have no value out of
distribution.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.lib.display.tables import format_csv
from stages.lib.reports.in_distribution import Results
from stages.lib.reports.matrix import Row

COLUMNS = ("set", "group", "problem", "parent", "weight")
BEST_FREE = "best_free"


class ProblemAccuracies(NamedTuple):
    """problems (n,), parents (n,) the problem itself if it has none; is_test, weights and each method's values: (n,)."""

    problems: list[str]
    parents: list[str]
    is_test: np.ndarray
    weights: np.ndarray
    values: dict[str, np.ndarray]


def to_csv(rows: Sequence[Row], parents: Mapping[str, str], results: Results) -> str:
    """rows: the first is the one in distribution, its problems in the order of the curves of `results`."""
    singles = {name: curve.accuracy_at(1) for name, curve in results.curves.items() if name not in rows[0].values}
    methods = [*singles, *rows[0].values]
    table = [
        {
            "set": "ood" if place else "test",
            "group": row.name,
            "problem": pool.problem_id,
            "parent": parents.get(pool.problem_id, ""),
            "weight": float(row.weights[i]),
            **{name: float(values[i]) for name, values in row.values.items()},
            **({} if place else {name: float(values[i]) for name, values in singles.items()}),
            BEST_FREE: float(row.values[results.best_free][i]),
        }
        for place, row in enumerate(rows)
        for i, pool in enumerate(row.pools)
    ]
    return format_csv([*COLUMNS, *methods, BEST_FREE], table)


def from_csv(text: str) -> ProblemAccuracies:
    """What `to_csv` wrote; NaN where a method has no value."""
    rows = list(csv.DictReader(io.StringIO(text)))
    methods = [name for name in rows[0] if name not in COLUMNS]
    return ProblemAccuracies(
        [row["problem"] for row in rows],
        [row["parent"] or row["problem"] for row in rows],
        np.array([row["set"] == "test" for row in rows]),
        np.array([float(row["weight"]) for row in rows]),
        {name: np.array([float(row[name] or "nan") for row in rows]) for name in methods},
    )
