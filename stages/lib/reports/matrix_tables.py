"""The transfer matrix as tables, notes and metrics: all sets together, then gains, accuracies, gaps and AUCs of each.

Methods are the likelihood's best use on dev and the weighted votes of the untrained base and of the trained verifiers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stages.lib.datasets import eval_sets
from stages.lib.display.tables import (
    ORACLE_SCORES,
    SIGNIFICANCE_LEVEL,
    Table,
    format_csv,
    format_gain,
    format_p_value,
    format_p_values,
    format_score_name,
)
from stages.lib.metrics.intervals import holm
from stages.lib.reports.curves import parse_score_name
from stages.lib.reports.leaderboard import ORACLE_NOTE, format_method_at_n
from stages.lib.reports.matrix import ALIVE_PASS_1, ALIVE_PASS_N, POOLED_GROUPS, Cell, count_sets
from stages.lib.reports.pools import UNTRAINED_VERIFIERS


class Transfer(NamedTuple):
    """A method in distribution and over all sets out of it. variants, others: the parts of `there`, None where it has one;
    best_here, best_there: best-of-N of its score, whose AUC is the score's; p_holm: of `there`, corrected for the methods
    of the table."""

    method: str
    here: Cell
    there: Cell
    variants: Cell | None
    others: Cell | None
    best_here: Cell
    best_there: Cell
    p_holm: float


def list_methods(cells: Sequence[Cell], verifiers: Sequence[str], likelihood: str | None = None) -> list[str]:
    """The methods of the tables: the likelihood's best use, then weighted votes of the untrained base and the verifiers."""
    present = {cell.method for cell in cells}
    votes = [f"weighted_{score}" for score in (*UNTRAINED_VERIFIERS, *verifiers)]
    return [method for method in [*([likelihood] if likelihood else []), *votes] if method in present]


def tabulate(cells: Sequence[Cell], verifiers: Sequence[str], likelihood: str | None = None) -> dict[str, Table]:
    """{title: table}, all sets together first; tables without rows are left out. likelihood: its best use on dev."""
    methods, n = list_methods(cells, verifiers, likelihood), cells[0].n
    tables = {
        f"From in to out of distribution, N = {n}, all sets together": tabulate_transfer(cells, methods, likelihood),
        f"Out of distribution, N = {n}: what the verifiers' weighted votes gain on majority": tabulate_gains(
            cells, verifiers
        ),
        "Accuracies, %": tabulate_accuracies(cells, methods),
        "Gap: the gain in distribution minus the gain out of it": tabulate_gaps(cells, verifiers),
        "Drop: from problems to their variants": tabulate_drops(cells),
        "AUC: how well scores rank the solutions of a problem": tabulate_aucs(cells, methods),
        "Balanced accuracies and their parts": tabulate_parts(cells, verifiers),
    }
    return {title: table for title, table in tables.items() if table[1]}


def tabulate_transfer(cells: Sequence[Cell], methods: Sequence[str], likelihood: str | None = None) -> Table:
    """Of each method the gain on majority in distribution, over all sets out of it and over their parts; gap and AUC."""
    transfers = compare_transfer(cells, methods)
    has_parts = bool(transfers and transfers[0].variants)
    header = ["gain on majority", "in distribution", "out of distribution", "p (Holm)", "detectable"]
    header += [*["variants", "other kinds"] * has_parts, "gap on variants", "AUC in distribution", "AUC out of it"]
    rows = []
    for x in transfers:
        row = [
            format_method_at_n(x.method, likelihood),
            *(_format_interval(cell, "gain") for cell in (x.here, x.there)),
        ]
        row += [format_p_values(x.there.p, x.p_holm), _format_points(x.there.detectable)]
        row += [_format_interval(cell, "gain") for cell in (x.variants, x.others) if cell]
        paired = x.variants or x.there
        row += [_format_interval(paired, "gap") + ("" if paired.parents else " independent")]
        rows.append([*row, *map(_format_auc, (x.best_here, x.best_there))])
    return header, rows


def compare_transfer(cells: Sequence[Cell], methods: Sequence[str]) -> list[Transfer]:
    """In the order of the methods; none without sets out of distribution."""
    groups = group_cells(cells)
    if POOLED_GROUPS[0] not in groups:
        return []
    away, home = groups[POOLED_GROUPS[0]], next(own for name, own in groups.items() if name not in POOLED_GROUPS)
    variants, others = (groups.get(name, {}) for name in POOLED_GROUPS[1:])
    adjusted = holm([away[method].p or 0.0 for method in methods])
    bests = [f"best_of_{parse_score_name(method)}" for method in methods]
    return [
        Transfer(
            method, home[method], away[method], variants.get(method), others.get(method), home[best], away[best], p
        )
        for method, best, p in zip(methods, bests, adjusted, strict=True)
    ]


def tabulate_gains(cells: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """Dose, pass@1, majority, pass@N, and of each verifier's weighted vote the gain and its p."""
    has_doses = any(cell.dose is not None for cell in cells)
    header = ["problems from", *["dose"] * has_doses, "n", "pass@1", "majority", "pass@N"]
    for verifier in verifiers:
        header += [f"{format_score_name(verifier)} gain", "p (Holm)"]
    rows = []
    for name, group in group_cells(cells).items():
        vote = group["majority"]
        row = [name if vote.dose is None else vote.operator]
        row += ["" if vote.dose is None else f"{vote.dose:g}"] * has_doses
        row += [str(vote.problems), *(_format_points(group[x].accuracy) for x in ("pass_1", "majority", "pass"))]
        for vote in (group[f"weighted_{verifier}"] for verifier in verifiers):
            is_unsolved = vote.accuracy == group["majority"].accuracy == 0
            row += ["none solved", ""] if is_unsolved else [_format_interval(vote, "gain"), _format_p(vote)]
        rows.append(row)
    return header, rows


def tabulate_accuracies(cells: Sequence[Cell], methods: Sequence[str]) -> Table:
    shown = {"constant": "one answer to all", "pass_1": "pass@1", "majority": "majority"}
    shown |= {method: format_method_at_n(method) for method in methods} | {"pass": "pass@N"}
    rows = [
        [name, *(_format_points(group[method].accuracy) for method in shown)]
        for name, group in group_cells(cells).items()
        if group["pass"].accuracy
    ]
    return ["accuracy", *shown.values()], rows


def tabulate_gaps(cells: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """The gap of each verifier's weighted vote, and the number of parents in the test set that it is paired with."""
    rows = []
    for name, group in group_cells(cells).items():
        votes = [group[f"weighted_{verifier}"] for verifier in verifiers]
        if votes and votes[0].gap is not None:
            gaps = (_format_interval(vote, "gap") for vote in votes)
            rows.append([name, str(votes[0].parents or "independent"), *gaps])
    return ["gap to", "parents", *map(format_score_name, verifiers)], rows


def tabulate_drops(cells: Sequence[Cell]) -> Table:
    """From the parents to their variants: pass@1 and majority, before and after, with the test of majority."""
    rows = []
    for name, group in group_cells(cells).items():
        if group["majority"].drop is not None:
            row = [name, str(group["majority"].parents)]
            for cell in (group["pass_1"], group["majority"]):
                before, drop = cell.before or 0.0, cell.drop or 0.0
                row += [f"{_format_points(before)} to {_format_points(before - drop)}", _format_interval(cell, "drop")]
            cell = group["majority"]
            rows.append([*row, f"{cell.lost} / {cell.won}", format_p_value(cell.drop_p)])
    return ["from parents to", "parents", "pass@1", "drop", "majority right", "drop", "lost / won", "p"], rows


def tabulate_aucs(cells: Sequence[Cell], methods: Sequence[str]) -> Table:
    """The AUC within problems of the score that each method uses."""
    scores = [score for method in methods if (score := parse_score_name(method))]
    rows = []
    for name, group in group_cells(cells).items():
        aucs = [group[f"best_of_{score}"].auc for score in scores]
        if any(auc is not None for auc in aucs):
            rows.append([name, *("" if auc is None else f"{auc:.2f}" for auc in aucs)])
    return ["AUC", *map(format_score_name, scores)], rows


def tabulate_parts(cells: Sequence[Cell], verifiers: Sequence[str]) -> Table:
    """For groups with balanced accuracies: accuracy on solvable / on unsolvable problems, by method."""
    methods = {"pass_1": "pass@1", "majority": "majority", "pass": "pass@N"}
    methods |= {f"weighted_{verifier}": f"{format_score_name(verifier)} weighted" for verifier in verifiers}
    mixed = [cell for cell in cells if cell.solvable is not None and cell.group not in POOLED_GROUPS]
    rows = []
    for name, group in group_cells(mixed).items():
        parts = ((group[method].solvable, group[method].unsolvable) for method in methods)
        rows.append([name, *(" / ".join(map(_format_points, pair)) for pair in parts)])
    return ["solvable / unsolvable", *methods.values()], rows


def write_notes(cells: Sequence[Cell], verifiers: Sequence[str], small: Mapping[str, int]) -> list[str]:
    """The result of each verifier in a sentence, how to read the tables, and which groups have no row."""
    groups, notes, counts = group_cells(cells), [], count_sets(cells)
    for verifier in verifiers:
        votes = [group[f"weighted_{verifier}"] for group in groups.values()]
        tests = [(vote, vote.p_holm) for vote in votes if vote.p_holm is not None]
        survivors = [f"{vote.group} ({100 * (vote.gain or 0):+.1f})" for vote, p in tests if p < SIGNIFICANCE_LEVEL]
        words = dict(
            zip(POOLED_GROUPS, ("points over all {} problems", "over {} variants", "over {} others"), strict=True)
        )
        overall = ", ".join(
            f"{_format_interval(vote, 'gain')} {words[vote.group].format(vote.problems)} (p {format_p_value(vote.p)})"
            for vote in votes
            if vote.group in words
        )
        if tests:
            names = ": " + ", ".join(survivors) if survivors else ""
            survive = f"{len(survivors)} of {len(tests)} sets survive Holm's correction{names}."
            notes.append(f"{format_score_name(verifier)}, out of distribution: {overall}. {survive}")
    notes += [ORACLE_NOTE.format(format_score_name(name)) for name in verifiers if name in ORACLE_SCORES]
    if counts["sets"]:
        low, high = ALIVE_PASS_1
        notes.append(
            f"{counts['alive']} of {counts['sets']} sets are alive (pass@N at least {ALIVE_PASS_N}, pass@1 from {low} to "
            f"{high}, a sample or majority above one answer to all problems); on {counts['sets'] - counts['solved']} no "
            f"solution is right."
        )
    if any(name in groups for name in POOLED_GROUPS):
        notes.append(
            "all sets: each problem counts the same, also of sets too small for a row and of sets never solved. all "
            "variants: those made from test problems. all other kinds: the rest, whose problems are made otherwise."
        )
    if len(groups) > 1:
        notes.append(
            "Intervals and tests are by problem, variants of one parent together; an interval leaves out 0 exactly "
            "when p, of sign flips, is below 0.05. In brackets p of a set corrected for all sets (Holm), in the first "
            "table for its rows; * where that is below 0.05. Gaps are over the problems that have a parent in the "
            "test set, paired with it; independent: most have none. detectable: the smallest true gain that so many "
            "parents would find four times in five. AUCs are over problems with right and wrong solutions. Majority "
            "is right where its expected accuracy is above 1/2; lost / won: parents that do better / worse than their "
            "variants."
        )
    if small:
        sizes = ", ".join(f"{name} ({size})" for name, size in small.items())
        notes.append(f"No row, since fewer than {eval_sets.MIN_PROBLEMS} problems: {sizes}.")
    return notes


def to_csv(cells: Sequence[Cell]) -> str:
    return format_csv(Cell._fields, (cell._asdict() for cell in cells))


def to_metrics(cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """{group: {method: accuracy}}, with the parts of balanced accuracies; over all sets also gain, gap and AUC."""
    metrics: dict[str, dict[str, Any]] = {}
    for cell in cells:
        row = metrics.setdefault(cell.group, {})
        row[cell.method] = cell.accuracy
        if cell.solvable is not None:
            row[f"{cell.method}_solvable"], row[f"{cell.method}_unsolvable"] = cell.solvable, cell.unsolvable
        if cell.group in POOLED_GROUPS and cell.gain is not None:
            row[f"{cell.method}_gain"] = {"mean": cell.gain, "low": cell.gain_low, "high": cell.gain_high}
        if cell.group in POOLED_GROUPS and cell.gap is not None:
            row[f"{cell.method}_gap"] = {"mean": cell.gap, "low": cell.gap_low, "high": cell.gap_high}
        if cell.group in POOLED_GROUPS and cell.auc is not None:
            row[f"{cell.method}_auc"] = {"mean": cell.auc, "low": cell.auc_low, "high": cell.auc_high}
    return metrics


def group_cells(cells: Sequence[Cell]) -> dict[str, dict[str, Cell]]:
    """{group: {method: cell}}"""
    groups: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, {})[cell.method] = cell
    return groups


def _format_points(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _format_interval(cell: Cell, name: str) -> str:
    """`+5.2 [+3.6, +6.9]`, in points."""
    return format_gain([getattr(cell, part) for part in (name, f"{name}_low", f"{name}_high")])


def _format_auc(cell: Cell) -> str:
    """`0.76 [0.71, 0.80]`"""
    return "" if cell.auc is None else f"{cell.auc:.2f} [{cell.auc_low:.2f}, {cell.auc_high:.2f}]"


def _format_p(cell: Cell) -> str:
    return format_p_values(cell.p, cell.p_holm)
