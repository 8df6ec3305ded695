"""The transfer matrix: what each method is worth on every group of problems, in and out of distribution.

A row is a group (the test set, then operators and families), a column a method at N. All settings were chosen on dev, in
distribution. Three differences are reported, each with its interval:

gain   a method's accuracy minus majority's, on the same problems
gap    the gain in distribution minus the gain here: how much of a verifier's help is lost when the problems change. It is
       paired, over the problems here whose parent is in the test set; where those are less than half, it is the
       difference of two independent means
drop   pass@1 and majority of the parents minus those of their variants; majority is right on a problem where its expected
       accuracy is above 1/2. With one variant a parent the test is McNemar's, with several sign flips by parent

Variants of one parent are not independent, so parents are the units of every interval and test; in rows over several sets
a parent takes along its variants in all of them. The first rows are over all sets out of distribution, every problem
counting the same, also in sets that are never solved or too small for a row: all problems, the variants of test problems,
and problems of other kinds. Those two are different questions, and a verifier may help with one and harm the other. The
p-values of one method over all sets are corrected by Holm's rule.

A group of fewer than `eval_sets.MIN_PROBLEMS` problems has no row. Where a group mixes solvable problems with unsolvable
twins, accuracy is balanced: the mean of the accuracies on both parts, which are reported too. Always abstaining, and never
abstaining, then get half at most.

A set is alive where a verifier can show something: some solution of enough problems is right, not nearly every one, and
a sample or the majority is right more often than one answer to all problems (method `constant`, the most frequent gold).
Sets of one operator at several doses (`gradeschool~typos@0.5`: half of what it can change) stand together, in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from stages.lib.core import seeds
from stages.lib.datasets import eval_sets
from stages.lib.metrics import intervals
from stages.lib.metrics.intervals import Comparison, Interval
from stages.lib.metrics.ranking import problem_aucs
from stages.lib.reports.curves import evaluate
from stages.lib.reports.pools import Pool
from stages.lib.reports.vote_settings import VoteSettings

POOLED_GROUPS = ("all sets", "all variants", "all other kinds")
ALIVE_PASS_N, ALIVE_PASS_1 = 0.3, (0.05, 0.7)  # least pass@N, and least and largest pass@1, of a set that is alive


class Row(NamedTuple):
    """A group of problems with the accuracy of every method at N; arrays are (problems,)."""

    name: str
    pools: Sequence[Pool]
    values: Mapping[str, np.ndarray]
    weights: np.ndarray
    unsolvable: np.ndarray

    def gains(self, method: str) -> np.ndarray:
        return self.values[method] - self.values["majority"]

    def select(self, name: str, mask: np.ndarray) -> Row:
        """The problems of the mask, under a name."""
        pools = [pool for pool, is_in in zip(self.pools, mask, strict=True) if is_in]
        values = {method: own[mask] for method, own in self.values.items()}
        return Row(name, pools, values, self.weights[mask], self.unsolvable[mask])


class Cell(NamedTuple):
    """One method on one row; None where there is nothing to compare."""

    group: str
    method: str
    n: int | None  # solutions of a problem; None in a study over seeds, which reads accuracies alone
    problems: int
    accuracy: float
    low: float
    high: float
    operator: str  # the group without its dose
    dose: float | None = None  # of an operator that has several
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    p: float | None = None
    detectable: float | None = None  # smallest true gain that so many parents would find four times in five
    p_holm: float | None = None  # of the same method over all sets out of distribution
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    parents: int | None = None  # number of them that gap or drop is paired with; 0: independent means
    auc: float | None = None  # of the score, over the problems with right and wrong solutions
    auc_low: float | None = None
    auc_high: float | None = None
    solvable: float | None = None  # the parts of a balanced accuracy
    unsolvable: float | None = None
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None
    drop_p: float | None = None
    before: float | None = None  # accuracy of the parents
    lost: int | None = None  # parents that do better than their variants
    won: int | None = None  # and those that do worse


def find_small_groups(groups: Mapping[str, Sequence[Any]]) -> dict[str, int]:
    """The groups too small for a row, and their sizes; the first, in distribution, always has one."""
    sizes = {name: len(problems) for name, problems in list(groups.items())[1:]}
    return {name: size for name, size in sizes.items() if size < eval_sets.MIN_PROBLEMS}


def find_doses(groups: Iterable[str]) -> dict[str, tuple[str, float | None]]:
    """{group: (operator, dose)}. Without `@` in its name a group has dose 1 if there are other doses of it, else None."""
    parts = {name: name.partition("@") for name in groups}
    dosed = {operator for operator, at, _ in parts.values() if at}
    return {
        name: (operator, float(dose) if at else 1.0 if operator in dosed else None)
        for name, (operator, at, dose) in parts.items()
    }


def count_sets(cells: Sequence[Cell]) -> dict[str, int]:
    """How many sets out of distribution have a row, how many of them are ever solved, and how many are alive."""
    accuracies: dict[str, dict[str, float]] = {}
    for cell in cells:
        accuracies.setdefault(cell.group, {})[cell.method] = cell.accuracy
    sets = [cell.group for cell in cells if cell.method == "pass" and cell.p_holm is not None]
    return {
        "sets": len(sets),
        "solved": sum(accuracies[name]["pass"] > 0 for name in sets),
        "alive": sum(is_alive(accuracies[name]) for name in sets),
    }


def is_alive(accuracies: Mapping[str, float]) -> bool:
    """Whether a set leaves a verifier something to choose from. accuracies: of pass, pass_1, majority and constant."""
    low, high = ALIVE_PASS_1
    is_solved = accuracies["pass"] >= ALIVE_PASS_N and low <= accuracies["pass_1"] <= high
    return is_solved and max(accuracies["pass_1"], accuracies["majority"]) > accuracies["constant"]


def measure(
    groups: Mapping[str, Sequence[Pool]],
    settings: Mapping[str, VoteSettings],
    draws: int,
    seed: int,
    unsolvable: Set[str] = frozenset(),
    answers: Mapping[str, str | None] = MappingProxyType({}),
) -> list[Row]:
    """All methods at N on all groups; the first group is the one in distribution. N is the smallest pool of all.

    unsolvable: ids of problems without an answer; answers: the gold answer of each problem."""
    n = min(pool.size for pools in groups.values() for pool in pools)
    return [_measure(name, pools, settings, draws, seed, n, unsolvable, answers) for name, pools in groups.items()]


def compare(rows: Sequence[Row], seed: int, parents: Mapping[str, str] = MappingProxyType({})) -> list[Cell]:
    """Every method on every row that is large enough, and on all rows together; doses of an operator stand in order.

    parents: problem id -> id of the problem it was made from."""
    n = min(pool.size for row in rows for pool in row.pools)
    doses = find_doses(row.name for row in rows)
    operators = list(dict.fromkeys(operator for operator, _ in doses.values()))
    shifted = sorted(rows[1:], key=lambda row: (operators.index(doses[row.name][0]), doses[row.name][1] or 0.0))
    in_distribution, rows = rows[0], [rows[0], *shifted]
    small = find_small_groups({row.name: row.pools for row in rows})
    large = [row for row in shifted if row.name not in small]
    table_rows = [*pool_rows(rows, parents), in_distribution, *large]
    builder = _CellBuilder(in_distribution, rows, parents, doses, n, _key(seed))
    cells = [builder.build_cell(row, method) for row in table_rows for method in row.values]
    return adjust_p_values(cells, [in_distribution.name, *POOLED_GROUPS])


def compare_methods(
    row: Row, first: str, second: str, seed: int, parents: Mapping[str, str] = MappingProxyType({})
) -> Comparison:
    """One method minus another over the problems of a row, variants of one parent together."""
    units = [parents.get(pool.problem_id, pool.problem_id) for pool in row.pools]
    return intervals.compare(row.values[first], row.values[second], _key(seed), units=units, weights=row.weights)


def _key(seed: int) -> int:
    return seeds.key(seed, "best_of_n", 1, "problems", "matrix")


def _measure(
    name: str,
    pools: Sequence[Pool],
    settings: Mapping[str, VoteSettings],
    draws: int,
    seed: int,
    n: int,
    unsolvable: Set[str],
    answers: Mapping[str, str | None],
) -> Row:
    """A row whose weights make the solvable and the unsolvable part of a mixed group count equally."""
    curves = evaluate(pools, settings, draws, seed, [n])
    values = {method: curve.accuracy_at(n) for method, curve in curves.items()}
    values["pass_1"] = curves["pass"].values[:, 0]
    values["constant"] = repeat_answer([answers.get(pool.problem_id) for pool in pools])
    is_unsolvable = np.array([pool.problem_id in unsolvable for pool in pools], bool)
    size, count = len(pools), int(is_unsolvable.sum())
    weights = np.ones(size)
    if 0 < count < size:
        weights = np.where(is_unsolvable, size / (2 * count), size / (2 * (size - count)))
    return Row(name, pools, values, weights, is_unsolvable)


def repeat_answer(answers: Sequence[str | None]) -> np.ndarray:
    """(problems,): 1 where the gold answer is the most frequent of all, else 0. None: a problem without an answer."""
    counts = Counter(answer for answer in answers if answer is not None)
    most = counts.most_common(1)[0][0] if counts else None
    return np.array([float(answer is not None and answer == most) for answer in answers])


def pool_rows(rows: Sequence[Row], parents: Mapping[str, str] = MappingProxyType({})) -> list[Row]:
    """The rows over several sets out of distribution: all problems, the variants of test problems, those of other kinds.
    None where the sets are one, or together too small for a row; the first alone where it is variants only, or has none."""
    in_distribution, *shifted = rows
    if len(shifted) < 2 or sum(len(row.pools) for row in shifted) < eval_sets.MIN_PROBLEMS:
        return []
    union, originals = concatenate("", shifted), {pool.problem_id for pool in in_distribution.pools}
    is_variant = np.array([parents.get(pool.problem_id) in originals for pool in union.pools], bool)
    masks = [np.ones(len(is_variant), bool), is_variant, ~is_variant]
    if is_variant.all() or not is_variant.any():
        masks = masks[:1]
    return [union.select(name, mask) for name, mask in zip(POOLED_GROUPS, masks, strict=False)]


def concatenate(name: str, rows: Sequence[Row]) -> Row:
    return Row(
        name,
        [pool for row in rows for pool in row.pools],
        {method: np.concatenate([row.values[method] for row in rows]) for method in rows[0].values},
        np.concatenate([row.weights for row in rows]),
        np.concatenate([row.unsolvable for row in rows]),
    )


class _CellBuilder:
    """Compares rows with the row in distribution, and problems with their parents in any row."""

    def __init__(
        self,
        in_distribution: Row,
        rows: Sequence[Row],
        parents: Mapping[str, str],
        doses: Mapping[str, tuple[str, float | None]],
        n: int,
        key: int,
    ) -> None:
        self.in_distribution, self.parents, self.doses, self.n, self.key = in_distribution, parents, doses, n, key
        self.all_rows = concatenate("", rows)
        self.in_distribution_index = {pool.problem_id: i for i, pool in enumerate(in_distribution.pools)}
        self.full_index = {pool.problem_id: i for i, pool in enumerate(self.all_rows.pools)}
        self.in_distribution_cells = {name: self._describe(in_distribution, name) for name in in_distribution.values}

    def build_cell(self, row: Row, method: str) -> Cell:
        if row is self.in_distribution:
            return self.in_distribution_cells[method]
        cell = self._describe(row, method)
        return self._add_drop(row, method, cell) if cell.gain is None else self._add_gap(row, method, cell)

    def _describe(self, row: Row, method: str) -> Cell:
        """The cell without any other row: accuracy, gain, AUC."""
        values = row.values[method]
        units = [self.parents.get(pool.problem_id, pool.problem_id) for pool in row.pools]
        accuracy = intervals.estimate_accuracy(values, units, row.weights)
        n, dose = 1 if method == "pass_1" else self.n, self.doses.get(row.name, (row.name, None))
        cell = Cell(row.name, method, n, len(values), *accuracy, *dose)
        if row.name not in POOLED_GROUPS and 0 < row.unsolvable.sum() < len(values):
            solvable, unsolvable = (float(values[part].mean()) for part in (~row.unsolvable, row.unsolvable))
            cell = cell._replace(solvable=solvable, unsolvable=unsolvable)
        if method.startswith("best_of_"):
            cell = self._add_auc(row, method.removeprefix("best_of_"), cell, units)
        if method in ("pass_1", "majority"):
            return cell
        gain = intervals.compare(values, row.values["majority"], self.key, units=units, weights=row.weights)
        ends = {"gain": gain.difference, "gain_low": gain.low, "gain_high": gain.high}
        return cell._replace(**ends, p=gain.p, detectable=gain.detectable)

    def _add_auc(self, row: Row, score: str, cell: Cell, units: Sequence[str]) -> Cell:
        aucs = problem_aucs([pool.scores[score] for pool in row.pools], [pool.correct > 0 for pool in row.pools])
        ranked = np.flatnonzero(~np.isnan(aucs))
        if not len(ranked):
            return cell
        auc = intervals.estimate_accuracy(aucs[ranked], [units[int(i)] for i in ranked])
        return cell._replace(auc=auc.mean, auc_low=auc.low, auc_high=auc.high)

    def _add_gap(self, row: Row, method: str, cell: Cell) -> Cell:
        here, there = self._find_parent_pairs(row, self.in_distribution_index)
        if row.name == POOLED_GROUPS[0] and 0 < len(here) < len(row.pools):
            return cell  # of variants and other kinds; each has its own row
        paired = len(set(there)) if 2 * len(here) >= len(row.pools) else 0
        if paired:
            gap = self._compare_pairs(row, here, self.in_distribution.gains(method)[there], row.gains(method)[here])
        else:
            base = self.in_distribution_cells[method]
            gains = [Interval(c.gain, c.gain_low, c.gain_high) for c in (base, cell)]
            gap = intervals.subtract(*gains)
        return cell._replace(gap=gap[0], gap_low=gap.low, gap_high=gap.high, parents=paired)

    def _add_drop(self, row: Row, method: str, cell: Cell) -> Cell:
        here, there = self._find_parent_pairs(row, self.full_index)
        if not here:
            return cell
        before, after = self.all_rows.values[method][there], row.values[method][here]
        if method == "majority":
            before, after = (values > 0.5 + 1e-9 for values in (before, after))
        drop = self._compare_pairs(row, here, before, after)
        cell = cell._replace(
            before=float(np.average(before, weights=row.weights[here])),
            parents=len(set(there)),
            drop=drop.difference,
            drop_low=drop.low,
            drop_high=drop.high,
            drop_p=drop.p,
        )
        if method == "majority":
            differences = (before.astype(float) - after) * row.weights[here]
            totals = np.bincount(np.unique(there, return_inverse=True)[1], differences)
            cell = cell._replace(lost=int((totals > 1e-9).sum()), won=int((totals < -1e-9).sum()))
        return cell

    def _find_parent_pairs(self, row: Row, index: Mapping[str, int]) -> tuple[list[int], list[int]]:
        """(places of the problems in the row whose parent is in `index`, places of the parents there)."""
        parents = [self.parents.get(pool.problem_id, "") for pool in row.pools]
        pairs = [(i, index[parent]) for i, parent in enumerate(parents) if parent in index]
        return [i for i, _ in pairs], [j for _, j in pairs]

    def _compare_pairs(self, row: Row, here: list[int], before: Any, after: Any) -> Comparison:
        units = [self.parents[row.pools[i].problem_id] for i in here]
        return intervals.compare(before, after, self.key, units=units, weights=row.weights[here])


def adjust_p_values(cells: Sequence[Cell], others: Sequence[str]) -> list[Cell]:
    """The cells with p-values corrected by Holm's rule: of each method, over all sets out of distribution. others: the rows
    that are none of these sets."""
    adjusted = list(cells)
    tests: dict[str, list[tuple[int, float]]] = {}
    for i, cell in enumerate(cells):
        if cell.p is not None and cell.group not in others:
            tests.setdefault(cell.method, []).append((i, cell.p))
    for places, ps in (zip(*test, strict=True) for test in tests.values()):
        for i, p in zip(places, intervals.holm(ps), strict=True):
            adjusted[i] = adjusted[i]._replace(p_holm=p)
    return adjusted
