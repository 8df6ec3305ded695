"""The transfer matrix as tables, notes and metrics: gains, gaps, drops, AUCs and the parts of balanced accuracies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stages.lib.datasets import eval_sets
from stages.lib.display.tables import Table, format_csv, format_p_value, format_score_name
from stages.lib.reports.matrix import POOLED_GROUPS, Cell
from stages.lib.reports.pools import UNTRAINED_VERIFIERS

BASELINES = ("likelihood_mean", *UNTRAINED_VERIFIERS)
SIGNIFICANCE_LEVEL = 0.05


def tabulate(cells: Sequence[Cell], verifiers: Sequence[str]) -> dict[str, Table]:
    """{title: table}, the gains first; tables without rows are left out."""
    tables = {
        f"Out of distribution, N = {cells[0].n}: what the verifiers' weighted votes gain on majority": tabulate_gains(
            cells, verifiers
        ),
        "Gap: the gain in distribution minus the gain out of it": tabulate_gaps(cells, verifiers),
        "Drop: from problems to their variants": tabulate_drops(cells),
        "AUC: how well scores rank the solutions of a problem": tabulate_aucs(cells, verifiers),
        "Balanced accuracies and their parts": tabulate_parts(cells, verifiers),
    }
    return {title: table for title, table in tables.items() if table[1]}


def tabulate_gains(cells: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """pass@1, majority, pass@N, and of each verifier's weighted vote the accuracy, the gain and its p."""
    header = ["problems from", "n", "pass@1", "majority", "pass@N"]
    for verifier in verifiers:
        header += [f"{format_score_name(verifier)} weighted", "gain", "p (Holm)"]
    rows = []
    for name, group in _group_cells(cells).items():
        row = [name, str(group["majority"].problems)]
        row += [_format_points(group[method].accuracy) for method in ("pass_1", "majority", "pass")]
        for vote in (group[f"weighted_{verifier}"] for verifier in verifiers):
            is_unsolved = vote.accuracy == group["majority"].accuracy == 0
            gain = ["none solved", ""] if is_unsolved else [_format_interval(vote, "gain"), _format_p(vote)]
            row += [_format_points(vote.accuracy), *gain]
        rows.append(row)
    return header, rows


def tabulate_gaps(cells: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """The gap of each verifier's weighted vote, and the number of parents in the test set that it is paired with."""
    rows = []
    for name, group in _group_cells(cells).items():
        votes = [group[f"weighted_{verifier}"] for verifier in verifiers]
        if votes and votes[0].gap is not None:
            gaps = (_format_interval(vote, "gap") for vote in votes)
            rows.append([name, str(votes[0].parents or "independent"), *gaps])
    return ["gap to", "parents", *map(format_score_name, verifiers)], rows


def tabulate_drops(cells: Sequence[Cell]) -> Table:
    """From the parents to their variants: pass@1 and majority, before and after, with the test of majority."""
    rows = []
    for name, group in _group_cells(cells).items():
        if group["majority"].drop is not None:
            row = [name, str(group["majority"].parents)]
            for cell in (group["pass_1"], group["majority"]):
                before, drop = cell.before or 0.0, cell.drop or 0.0
                row += [f"{_format_points(before)} to {_format_points(before - drop)}", _format_interval(cell, "drop")]
            cell = group["majority"]
            rows.append([*row, f"{cell.lost} / {cell.won}", format_p_value(cell.drop_p)])
    return ["from parents to", "parents", "pass@1", "drop", "majority right", "drop", "lost / won", "p"], rows


def tabulate_aucs(cells: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """The AUC within problems of every verifier and of the baselines that cost no training."""
    methods = {cell.method for cell in cells}
    scores = [score for score in (*BASELINES, *verifiers) if f"best_of_{score}" in methods]
    rows = []
    for name, group in _group_cells(cells).items():
        aucs = [group[f"best_of_{score}"].auc for score in scores]
        if name != POOLED_GROUPS[1] and any(auc is not None for auc in aucs):  # an AUC is of solved problems alone
            rows.append([name, *("" if auc is None else f"{auc:.2f}" for auc in aucs)])
    return ["AUC", *map(format_score_name, scores)], rows


def tabulate_parts(cells: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """For groups with balanced accuracies: accuracy on solvable / on unsolvable problems, by method."""
    methods = {"pass_1": "pass@1", "majority": "majority", "pass": "pass@N"}
    methods |= {f"weighted_{verifier}": f"{format_score_name(verifier)} weighted" for verifier in verifiers}
    mixed = [cell for cell in cells if cell.solvable is not None and cell.group not in POOLED_GROUPS]
    rows = []
    for name, group in _group_cells(mixed).items():
        parts = ((group[method].solvable, group[method].unsolvable) for method in methods)
        rows.append([name, *(" / ".join(map(_format_points, pair)) for pair in parts)])
    return ["solvable / unsolvable", *methods.values()], rows


def write_notes(cells: Sequence[Cell], verifiers: Sequence[str], small: Mapping[str, int]) -> list[str]:
    """The result of each verifier in a sentence, how to read the tables, and which groups have no row."""
    groups, notes = _group_cells(cells), []
    for verifier in verifiers:
        votes = [group[f"weighted_{verifier}"] for group in groups.values()]
        tests = [(vote, vote.p_holm) for vote in votes if vote.p_holm is not None]
        survivors = [f"{vote.group} ({100 * (vote.gain or 0):+.1f})" for vote, p in tests if p < SIGNIFICANCE_LEVEL]
        overall = "".join(
            f"{_format_interval(vote, 'gain')} points over all {vote.problems} problems out of distribution "
            f"(p {format_p_value(vote.p)}), gap {_format_interval(vote, 'gap')}; "
            for vote in votes
            if vote.group == POOLED_GROUPS[0]
        )
        if tests:
            names = ": " + ", ".join(survivors) if survivors else ""
            survive = f"{len(survivors)} of {len(tests)} sets survive Holm's correction{names}."
            notes.append(f"{format_score_name(verifier)}: {overall}{survive}")
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


def to_csv(cells: Sequence[Cell]) -> str:
    return format_csv(Cell._fields, (cell._asdict() for cell in cells))


def to_metrics(cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """{group: {method: accuracy}}, with the parts of balanced accuracies, and gain and gap of the rows over all sets."""
    metrics: dict[str, dict[str, Any]] = {}
    for cell in cells:
        row = metrics.setdefault(cell.group, {})
        row[cell.method] = cell.accuracy
        if cell.solvable is not None:
            row[f"{cell.method}_solvable"], row[f"{cell.method}_unsolvable"] = cell.solvable, cell.unsolvable
        if cell.group in POOLED_GROUPS and cell.gain is not None:
            row[f"{cell.method}_gain"] = {"mean": cell.gain, "low": cell.gain_low, "high": cell.gain_high}
            row[f"{cell.method}_gap"] = {"mean": cell.gap, "low": cell.gap_low, "high": cell.gap_high}
    return metrics


def _group_cells(cells: Sequence[Cell]) -> dict[str, dict[str, Cell]]:
    """{group: {method: cell}}"""
    groups: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, {})[cell.method] = cell
    return groups


def _format_points(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _format_interval(cell: Cell, name: str) -> str:
    """`+5.2 [+3.6, +6.9]`, in points."""
    middle, low, high = (100 * getattr(cell, part) for part in (name, f"{name}_low", f"{name}_high"))
    return f"{middle:+.1f} [{low:+.1f}, {high:+.1f}]"


def _format_p(cell: Cell) -> str:
    """`0.004 (0.055)`: corrected in brackets where the cell is one of several sets, with a star where it survives."""
    if cell.p_holm is None:
        return format_p_value(cell.p)
    star = "*" if cell.p_holm < SIGNIFICANCE_LEVEL else ""
    return f"{format_p_value(cell.p)} ({format_p_value(cell.p_holm)}){star}"
