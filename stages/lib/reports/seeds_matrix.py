"""The matrix of a study over seeds: every method on every set out of distribution, over trainings and draws of problems.

Rows are those of one run's matrix (lib/reports/matrix.py), the parents of variants standing for the test set: they alone
have values at its N. Intervals and p-values are those of the study, by parent and by training.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.lib.datasets import eval_sets
from stages.lib.display.tables import SIGNIFICANCE_LEVEL, Table, format_gain
from stages.lib.reports import matrix
from stages.lib.reports.matrix import Cell
from stages.lib.reports.matrix_tables import group_cells
from stages.lib.reports.seeds_study import CEILING, Study, format_method

ACCURACIES = ("constant", "pass_1", "majority", CEILING)  # of which a set is alive or not


def build_cells(study: Study, methods: Sequence[str]) -> list[Cell]:
    """The accuracies and these methods: on the parents, on all sets together, and on each that is large enough."""
    masks, sets = select_rows(study)
    doses = matrix.find_doses(masks)
    shown = dict.fromkeys((*ACCURACIES, *methods))
    cells = [build_cell(study, name, mask, method, *doses[name]) for name, mask in masks.items() for method in shown]
    return matrix.adjust_p_values(cells, [name for name in masks if name not in sets])


def select_rows(study: Study) -> tuple[dict[str, np.ndarray], list[str]]:
    """({row: mask of its problems}, the rows that are a set out of distribution), doses of an operator in order."""
    groups, is_parent = np.array(study.groups), np.zeros(len(study.groups), bool)
    is_parent[study.parent_places[study.has_parent]] = True
    masks = {study.groups[i]: is_parent for i in np.flatnonzero(is_parent)[:1]}
    pooled = [study.is_ood, study.has_parent, study.is_other_kind]
    if study.has_parent.sum() in (0, study.is_ood.sum()):
        pooled = pooled[:1]
    masks |= dict(zip(matrix.POOLED_GROUPS, pooled, strict=False))
    least = eval_sets.MIN_PROBLEMS * len(np.unique(study.test_seeds))
    sets = {name: study.is_ood & (groups == name) for name in dict.fromkeys(groups[study.is_ood])}
    doses = matrix.find_doses(sets)
    operators = list(dict.fromkeys(operator for operator, _ in doses.values()))
    order = sorted(sets, key=lambda name: (operators.index(doses[name][0]), doses[name][1] or 0.0))
    large = [name for name in order if sets[name].sum() >= least]
    return masks | {name: sets[name] for name in large}, large


def build_cell(study: Study, name: str, mask: np.ndarray, method: str, operator: str, dose: float | None) -> Cell:
    """One method on one row: accuracy, gain on majority, and the gap to the gain on the parents where all have one."""
    mean = study.estimate(study.values[method], mask)
    ends = max(0.0, mean.low), min(1.0, mean.high)
    cell = Cell(name, method, None, int(mask.sum()), mean.mean, *ends, operator, dose)
    if method in ("pass_1", "majority"):
        return cell
    gains = study.values[method] - study.values["majority"]
    gain = study.estimate(gains, mask)
    cell = cell._replace(gain=gain.mean, gain_low=gain.low, gain_high=gain.high, p=study.compute_p_value(gains, mask))
    if not study.has_parent[mask].all():
        return cell
    gap = study.estimate(gains[:, study.parent_places] - gains, mask)
    return cell._replace(gap=gap.mean, gap_low=gap.low, gap_high=gap.high)


def tabulate(cells: Sequence[Cell], methods: Sequence[str]) -> Table:
    """Of each row its size, the accuracies, and what each method gains on majority."""
    header = ["problems from", "dose", "n", "one answer to all", "pass@1", "majority", "pass@N"]
    rows = []
    for own in group_cells(cells).values():
        first = own["majority"]
        row = [first.operator, "" if first.dose is None else f"{first.dose:g}", str(first.problems)]
        row += [f"{100 * own[name].accuracy:.1f}" for name in ACCURACIES]
        rows.append([*row, *(format_star_gain(own[method]) for method in methods)])
    return [*header, *(f"{format_method(method)} gain" for method in methods)], rows


def format_star_gain(cell: Cell) -> str:
    if cell.gain is None or cell.gain_low is None or cell.gain_high is None:
        return ""
    if cell.gain_low == cell.gain_high:
        return "no problem differs"  # an interval of width 0 would claim too much
    is_sure = cell.p_holm is not None and cell.p_holm < SIGNIFICANCE_LEVEL
    return format_gain((cell.gain, cell.gain_low, cell.gain_high)) + "*" * is_sure


def write_note(cells: Sequence[Cell]) -> str:
    """In how many sets a verifier has something to choose from."""
    counts, (low, high) = matrix.count_sets(cells), matrix.ALIVE_PASS_1
    return (
        f"{counts['alive']} of {counts['sets']} sets are alive: pass@N at least {matrix.ALIVE_PASS_N}, pass@1 from {low} "
        f"to {high}, a sample or majority above one answer to all problems. Gains of sets: * where p, corrected by Holm's "
        f"rule for all sets, is below {SIGNIFICANCE_LEVEL}."
    )
