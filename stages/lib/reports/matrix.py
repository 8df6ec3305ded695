"""From in distribution to out of it: what each verifier is worth on every group of problems, and what it loses.

A row is a group (the test set, then operators and families), a column a method at N. What was chosen was chosen on dev, in
distribution. Three differences are told, each with its interval:

gain   a method's accuracy minus majority's, on the same problems
gap    the gain in distribution minus the gain here: how much of a verifier's help is lost when the problems change. It is
       over the problems here that have a parent at home, each paired with it; of two independent means where more than half
       have none
drop   pass@1 and majority of the parents minus those of their variants; majority is right on a problem where its expected
       accuracy is above 1/2. With one variant a parent the test is McNemar's, with several that of sign flips by parent

Variants of one parent are not independent, so parents are the units of every interval and test; in rows over several sets
a parent takes along its variants in all of them. The first row is over all sets out of distribution, every problem
counting the same, also in sets that are never solved or too small for a row; the second is without sets that are never
solved. The p-values of one method over all sets are corrected by Holm's rule.

A group of fewer than `sets.SMALLEST` problems has no row. Where a group mixes problems that can be solved with twins that
cannot, an accuracy is balanced, the mean of the accuracy on the ones and on the others, and both parts are told: who
always abstains, and who never does, gets half at most.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.lib.core import seeds
from stages.lib.datasets import eval_sets
from stages.lib.display import charts
from stages.lib.metrics import intervals
from stages.lib.metrics.intervals import Interval
from stages.lib.metrics.ranking import within_problem_auc
from stages.lib.reports.curves import evaluate
from stages.lib.reports.pools import UNTRAINED_VERIFIERS

if TYPE_CHECKING:
    import numpy as np

    from stages.lib.metrics.intervals import Comparison
    from stages.lib.reports.curves import VoteSettings
    from stages.lib.reports.pools import Pool

POOLED_GROUPS = ("all sets", "all solved sets")
BASELINES = ("likelihood_mean", *UNTRAINED_VERIFIERS)
SIGNIFICANCE_LEVEL = 0.05


class Row(NamedTuple):
    """Problems and what every method makes of them at N: (problems,) each."""

    name: str
    pools: Sequence[Pool]
    values: Mapping[str, np.ndarray]
    weights: np.ndarray
    unsolvable: np.ndarray

    def gains(self, method: str) -> np.ndarray:
        return self.values[method] - self.values["majority"]

    @property
    def is_solved(self) -> bool:
        return bool(self.values["pass"].any())


class Cell(NamedTuple):
    """One method on one row; None where there is nothing to compare."""

    group: str
    method: str
    n: int
    problems: int
    accuracy: float
    low: float
    high: float
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    p: float | None = None
    p_holm: float | None = None  # of the same method over all sets out of distribution
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    parents: int | None = None  # that gap or drop is paired with; 0: independent
    auc: float | None = None
    solvable: float | None = None  # the parts of a balanced accuracy
    unsolvable: float | None = None
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None
    drop_p: float | None = None
    before: float | None = None  # the parents' own
    lost: int | None = None  # parents that do better than their variants
    won: int | None = None


def find_small_groups(groups: Mapping[str, Sequence[Any]]) -> dict[str, int]:
    """The groups too small for a row, and their sizes; the first, in distribution, always has one."""
    return {name: len(own) for name, own in list(groups.items())[1:] if len(own) < eval_sets.MIN_PROBLEMS}


def compare(
    groups: Mapping[str, Sequence[Pool]],
    choices: Mapping[str, VoteSettings],
    draws: int,
    seed: int,
    unsolvable: Set[str] = frozenset(),
    parents: Mapping[str, str] = MappingProxyType({}),
) -> list[Cell]:
    """All methods at N on all groups; the first group is the one in distribution. N is the smallest of all.

    unsolvable: ids of problems without an answer; parents: problem id -> id of the problem it was made from."""
    n = min(len(pool.answer_ids) for pools in groups.values() for pool in pools)
    rows = [_measure(name, pools, choices, draws, seed, n, unsolvable) for name, pools in groups.items()]
    home, shifted, small = rows[0], rows[1:], find_small_groups(groups)
    shown = [*_pool_rows(shifted), home, *(row for row in shifted if row.name not in small)]
    comparison = _CellBuilder(home, rows, parents, n, seeds.key(seed, "best_of_n", 1, "problems", "matrix"))
    return _adjust_p_values([comparison.build_cell(row, method) for row in shown for method in row.values], home.name)


def _measure(
    name: str,
    pools: Sequence[Pool],
    choices: Mapping[str, VoteSettings],
    draws: int,
    seed: int,
    n: int,
    unsolvable: Set[str],
) -> Row:
    """The weights let the solvable and the unsolvable problems of a group count alike as parts."""
    import numpy as np

    curves = evaluate(pools, choices, draws, seed, [n])
    values = {method: curve.accuracy_at(n) for method, curve in curves.items()}
    values["pass_1"] = curves["pass"].values[:, 0]
    none = np.array([pool.problem_id in unsolvable for pool in pools], bool)
    size, some = len(none), int(none.sum())
    weights = np.where(none, size / (2 * some), size / (2 * (size - some))) if 0 < some < size else np.ones(size)
    return Row(name, pools, values, weights, none)


def _pool_rows(shifted: Sequence[Row]) -> list[Row]:
    """The rows over several sets; none where the sets are one, or together too small for a row."""
    solved = [row for row in shifted if row.is_solved]
    choices = [shifted, solved] if len(solved) < len(shifted) else [shifted]
    return [
        _concatenate(name, rows)
        for name, rows in zip(POOLED_GROUPS, choices, strict=False)
        if len(rows) > 1 and sum(len(row.pools) for row in rows) >= eval_sets.MIN_PROBLEMS
    ]


def _concatenate(name: str, rows: Sequence[Row]) -> Row:
    import numpy as np

    return Row(
        name,
        [pool for row in rows for pool in row.pools],
        {method: np.concatenate([row.values[method] for row in rows]) for method in rows[0].values},
        np.concatenate([row.weights for row in rows]),
        np.concatenate([row.unsolvable for row in rows]),
    )


class _CellBuilder:
    """Rows with what they are held against: the home row, and the parents of their problems."""

    def __init__(self, home: Row, rows: Sequence[Row], parents: Mapping[str, str], n: int, key: int) -> None:
        self.in_distribution, self.parents, self.n, self.key = home, parents, n, key
        self.all_rows = _concatenate("", rows)
        self.in_distribution_index = {pool.problem_id: i for i, pool in enumerate(home.pools)}
        self.full_index = {pool.problem_id: i for i, pool in enumerate(self.all_rows.pools)}
        self.in_distribution_cells = {method: self._describe(home, method) for method in home.values}

    def build_cell(self, row: Row, method: str) -> Cell:
        if row is self.in_distribution:
            return self.in_distribution_cells[method]
        cell = self._describe(row, method)
        return self._add_drop(row, method, cell) if cell.gain is None else self._add_gap(row, method, cell)

    def _describe(self, row: Row, method: str) -> Cell:
        """What a row says by itself: accuracy, gain, AUC."""
        values = row.values[method]
        units = [self.parents.get(pool.problem_id, pool.problem_id) for pool in row.pools]
        cell = Cell(
            row.name,
            method,
            1 if method == "pass_1" else self.n,
            len(values),
            *intervals.estimate_accuracy(values, units, row.weights),
        )
        if row.name not in POOLED_GROUPS and 0 < row.unsolvable.sum() < len(values):
            parts = {"solvable": values[~row.unsolvable].mean(), "unsolvable": values[row.unsolvable].mean()}
            cell = cell._replace(**{name: float(part) for name, part in parts.items()})
        if method.startswith("best_of_"):
            score = method.removeprefix("best_of_")
            own = [pool.scores[score] for pool in row.pools]
            cell = cell._replace(auc=within_problem_auc(own, [pool.correct > 0 for pool in row.pools]))
        if method in ("pass_1", "majority"):
            return cell
        gain = intervals.compare(values, row.values["majority"], self.key, units=units, weights=row.weights)
        return cell._replace(gain=gain.difference, gain_low=gain.low, gain_high=gain.high, p=gain.p)

    def _add_gap(self, row: Row, method: str, cell: Cell) -> Cell:
        here, there = self._find_parent_pairs(row, self.in_distribution_index)
        paired = len(set(there)) if 2 * len(here) >= len(row.pools) else 0
        if paired:
            gap = self._compare_pairs(row, here, self.in_distribution.gains(method)[there], row.gains(method)[here])
        else:
            gains = [
                Interval(each.gain, each.gain_low, each.gain_high)
                for each in (self.in_distribution_cells[method], cell)
            ]
            gap = intervals.subtract(*gains)
        return cell._replace(gap=gap[0], gap_low=gap.low, gap_high=gap.high, parents=paired)

    def _add_drop(self, row: Row, method: str, cell: Cell) -> Cell:
        import numpy as np

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

    def _find_parent_pairs(self, row: Row, known: Mapping[str, int]) -> tuple[list[int], list[int]]:
        """Where in the row the problems stand whose parent is known, and where their parents."""
        pairs = [
            (i, known[parent])
            for i, pool in enumerate(row.pools)
            if (parent := self.parents.get(pool.problem_id)) in known
        ]
        return [i for i, _ in pairs], [j for _, j in pairs]

    def _compare_pairs(self, row: Row, here: list[int], before: Any, after: Any) -> Comparison:
        units = [self.parents[row.pools[i].problem_id] for i in here]
        return intervals.compare(before, after, self.key, units=units, weights=row.weights[here])


def _adjust_p_values(found: Sequence[Cell], home: str) -> list[Cell]:
    """With the p-values that Holm's rule gives each method over all sets out of distribution."""
    tested: dict[str, list[int]] = {}
    for place, cell in enumerate(found):
        if cell.p is not None and cell.group not in (home, *POOLED_GROUPS):
            tested.setdefault(cell.method, []).append(place)
    cells = list(found)
    for places in tested.values():
        for place, p in zip(places, intervals.holm([found[i].p for i in places]), strict=True):
            cells[place] = cells[place]._replace(p_holm=p)
    return cells


def format_csv(found: Sequence[Cell]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Cell._fields)
    writer.writerows(["" if x is None else f"{x:.6g}" if isinstance(x, float) else x for x in cell] for cell in found)
    return text.getvalue()


Table = tuple[list[str], list[list[str]]]  # header, rows


def tabulate_gains(found: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """For each row pass@1, majority, pass@N, and of each verifier's weighted vote the gain and its p."""
    header = ["problems from", "n", "pass@1", "majority", "pass@N"]
    for verifier in verifiers:
        header += [f"{charts.format_score_name(verifier)} weighted", "gain", "p (Holm)"]
    rows = []
    for name, own in _group_cells(found).items():
        row = [name, str(own["majority"].problems)]
        row += [f"{100 * own[method].accuracy:.1f}" for method in ("pass_1", "majority", "pass")]
        for verifier in verifiers:
            vote = own[f"weighted_{verifier}"]
            row += [f"{100 * vote.accuracy:.1f}"]
            row += ["none solved", ""] if _is_unsolved(vote, own) else [_format_interval(vote, "gain"), _format_p(vote)]
        rows.append(row)
    return header, rows


def tabulate_gaps(found: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """Of each verifier's weighted vote the gap, and how many parents at home it is paired with."""
    rows = []
    for name, own in _group_cells(found).items():
        votes = [own[f"weighted_{verifier}"] for verifier in verifiers]
        if votes and votes[0].gap is not None:
            rows.append(
                [name, str(votes[0].parents or "independent"), *(_format_interval(vote, "gap") for vote in votes)]
            )
    return ["gap to", "parents", *(charts.format_score_name(verifier) for verifier in verifiers)], rows


def tabulate_drops(found: Sequence[Cell]) -> Table:
    """From the parents to their variants: pass@1 and majority right, before and after, with the test of `majority`."""
    rows = []
    for name, own in _group_cells(found).items():
        one, vote = own["pass_1"], own["majority"]
        if vote.drop is not None:
            ends = [f"{100 * cell.before:.1f} to {100 * (cell.before - cell.drop):.1f}" for cell in (one, vote)]
            rows.append(
                [
                    name,
                    str(vote.parents),
                    ends[0],
                    _format_interval(one, "drop"),
                    ends[1],
                    _format_interval(vote, "drop"),
                    f"{vote.lost} / {vote.won}",
                    charts.format_p_value(vote.drop_p),
                ]
            )
    header = ["from parents to", "parents", "pass@1", "drop", "majority right", "drop", "lost / won", "p"]
    return header, rows


def tabulate_aucs(found: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """Of every verifier, and of the baselines that cost no training, the AUC within problems."""
    scores = [score for score in (*BASELINES, *verifiers) if any(cell.method == f"best_of_{score}" for cell in found)]
    rows = []
    for name, own in _group_cells(found).items():
        aucs = [own[f"best_of_{score}"].auc for score in scores]
        if name != POOLED_GROUPS[1] and any(auc is not None for auc in aucs):  # an AUC is of solved problems alone
            rows.append([name, *("" if auc is None else f"{auc:.2f}" for auc in aucs)])
    return ["AUC", *(charts.format_score_name(score) for score in scores)], rows


def tabulate_parts(found: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """Of the groups whose accuracies are balanced: on solvable / on unsolvable problems, by method."""
    methods = {"pass_1": "pass@1", "majority": "majority", "pass": "pass@N"}
    methods |= {f"weighted_{verifier}": f"{charts.format_score_name(verifier)} weighted" for verifier in verifiers}
    mixed = [cell for cell in found if cell.solvable is not None and cell.group not in POOLED_GROUPS]
    rows = []
    for name, own in _group_cells(mixed).items():
        rows.append([name, *(f"{100 * own[m].solvable:.1f} / {100 * own[m].unsolvable:.1f}" for m in methods)])
    return ["solvable / unsolvable", *methods.values()], rows


def write_notes(found: Sequence[Cell], verifiers: Sequence[str], small: Mapping[str, int]) -> list[str]:
    """What the tables say of each verifier, how to read them, and what has no row."""
    groups, notes = _group_cells(found), []
    for verifier in verifiers:
        votes = [own[f"weighted_{verifier}"] for own in groups.values()]
        tested = [vote for vote in votes if vote.p_holm is not None]
        survive = [f"{vote.group} ({100 * vote.gain:+.1f})" for vote in tested if vote.p_holm < SIGNIFICANCE_LEVEL]
        words = [
            f"{_format_interval(vote, 'gain')} points over all {vote.problems} problems out of distribution "
            f"(p {charts.format_p_value(vote.p)}), gap {_format_interval(vote, 'gap')}; "
            for vote in votes
            if vote.group == POOLED_GROUPS[0]
        ]
        if tested:
            names = ": " + ", ".join(survive) if survive else ""
            words.append(f"{len(survive)} of {len(tested)} sets survive Holm's correction{names}.")
            notes.append(f"{charts.format_score_name(verifier)}: {''.join(words)}")
    if any(name in groups for name in POOLED_GROUPS):
        notes.append(
            "all sets: each problem counts the same, also of sets too small for a row and of sets never solved; "
            "all solved sets: without those where no solution is right."
        )
    if len(groups) > 1:
        notes.append(
            "Intervals and tests are by problem, variants of one parent together; an interval leaves out 0 exactly when p, "
            "of sign flips, is below 0.05. In brackets p of a set corrected for all sets (Holm), * where that is below "
            "0.05. Gaps are over the problems that have a parent in the test set, paired with it; independent: most have "
            "none. Majority is right where its expected accuracy is above 1/2; lost / won: parents that do better / worse "
            "than their variants."
        )
    if small:
        sizes = ", ".join(f"{name} ({size})" for name, size in small.items())
        notes.append(f"No row, since fewer than {eval_sets.MIN_PROBLEMS} problems: {sizes}.")
    return notes


def _group_cells(found: Sequence[Cell]) -> dict[str, dict[str, Cell]]:
    groups: dict[str, dict[str, Cell]] = {}
    for cell in found:
        groups.setdefault(cell.group, {})[cell.method] = cell
    return groups


def _is_unsolved(vote: Cell, own: Mapping[str, Cell]) -> bool:
    return vote.accuracy == own["majority"].accuracy == 0


def _format_interval(cell: Cell, name: str) -> str:
    """`+5.2 [+3.6, +6.9]`, in points."""
    middle, low, high = (100 * getattr(cell, part) for part in (name, f"{name}_low", f"{name}_high"))
    return f"{middle:+.1f} [{low:+.1f}, {high:+.1f}]"


def _format_p(cell: Cell) -> str:
    """`0.004 (0.055)`: corrected in brackets where the cell is one of several sets, with a star where it survives."""
    corrected = "" if cell.p_holm is None else f" ({charts.format_p_value(cell.p_holm)})"
    return charts.format_p_value(cell.p) + corrected + ("*" if corrected and cell.p_holm < SIGNIFICANCE_LEVEL else "")
