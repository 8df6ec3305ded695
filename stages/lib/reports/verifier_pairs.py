"""Verifiers against each other: the difference of two votes on the same problems, in distribution and out of it.

Two intervals of two gains on majority that overlap say little about which verifier is better, since both were measured on
the same problems; the paired difference says it. p-values are corrected over all pairs of one group of problems (Holm).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

from stages.lib.display.tables import SIGNIFICANCE_LEVEL, Table, format_csv, format_gain, format_method
from stages.lib.metrics import intervals
from stages.lib.reports import matrix
from stages.lib.reports.matrix import Row


class Pair(NamedTuple):
    """`first` minus `second`, methods at N, over the problems of a group; points as shares."""

    first: str
    second: str
    group: str
    problems: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


def compare(
    rows: Sequence[Row], methods: Sequence[str], seed: int, parents: Mapping[str, str] = MappingProxyType({})
) -> list[Pair]:
    """Every two methods, the later one first, in distribution and over all sets out of it, variants and other kinds apart.

    rows: of `matrix.measure`; parents: problem id -> id of the problem it was made from; variants of one parent count
    as one problem."""
    pairs = []
    for row in (rows[0], *matrix.pool_rows(rows, parents)):
        found = [
            (first, second, matrix.compare_methods(row, first, second, seed, parents))
            for second, first in combinations(methods, 2)
        ]
        corrected = intervals.holm([gap.p for *_, gap in found])
        pairs += [
            Pair(first, second, row.name, len(row.pools), gap.difference, gap.low, gap.high, gap.p, p)
            for (first, second, gap), p in zip(found, corrected, strict=True)
        ]
    return pairs


def tabulate(pairs: Sequence[Pair]) -> Table:
    """A row for two methods, a column for a group: `+1.6 [+0.2, +3.1]` in points, * where the corrected p is below 0.05."""
    groups = list(dict.fromkeys(pair.group for pair in pairs))
    cells = {(pair.first, pair.second, pair.group): format_pair(pair) for pair in pairs}
    names = list(dict.fromkeys((pair.first, pair.second) for pair in pairs))
    rows = [
        [f"{format_method(first)} - {format_method(second)}", *(cells[first, second, group] for group in groups)]
        for first, second in names
    ]
    return ["difference", *groups], rows


def format_pair(pair: Pair) -> str:
    return format_gain((pair.difference, pair.low, pair.high)) + "*" * (pair.p_holm < SIGNIFICANCE_LEVEL)


def to_csv(pairs: Sequence[Pair]) -> str:
    return format_csv(Pair._fields, (pair._asdict() for pair in pairs))


def from_csv(text: str) -> list[Pair]:
    rows = csv.DictReader(io.StringIO(text))
    return [
        Pair(
            row["first"],
            row["second"],
            row["group"],
            int(row["problems"]),
            *(float(row[name]) for name in ("difference", "low", "high", "p", "p_holm")),
        )
        for row in rows
    ]
