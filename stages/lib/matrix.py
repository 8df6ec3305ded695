"""From in distribution to out of it: what each verifier is worth on every group of problems, and what it loses.

A row is a group (the test set first, then operators and families), a column a method at N. What was chosen was chosen on
dev, in distribution. `gain` is a method's accuracy minus majority's on the same problems, with a paired interval; `gap` is
the gain in distribution minus the gain here: how much of a verifier's help is lost when the problems change. The two
groups share no problem, so the interval of a gap is that of two independent means.

A group of fewer than `sets.SMALLEST` problems has no row. Where a group mixes problems that can be solved with twins that
cannot, an accuracy is balanced, the mean of the accuracy on the ones and on the others, and both parts are told: who
always abstains, and who never does, gets half at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.lib import charts, seeds, sets
from stages.lib.curves import evaluate, grid
from stages.lib.intervals import bootstrap, compare
from stages.lib.scorecard import within_problem_auc

if TYPE_CHECKING:
    import numpy as np

    from stages.lib.curves import Choice, Curve
    from stages.lib.pools import Pool

COLUMNS = ("group", "method", "n", "problems", "accuracy", "low", "high", "gain", "gain_low", "gain_high", "p",
           "gap", "gap_low", "gap_high", "auc", "solvable", "unsolvable")  # fmt: skip


class Cell(NamedTuple):
    """One method on one group; None where there is nothing to compare."""

    group: str
    method: str
    n: int
    problems: int
    accuracy: float
    low: float
    high: float
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    p: float | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    auc: float | None
    solvable: float | None = None  # the parts of a balanced accuracy
    unsolvable: float | None = None


def small(groups: Mapping[str, Sequence[Any]]) -> dict[str, int]:
    """The groups too small for a row, and their sizes; the first, in distribution, always has one."""
    return {name: len(own) for name, own in list(groups.items())[1:] if len(own) < sets.SMALLEST}


def cells(
    groups: Mapping[str, Sequence[Pool]], choices: Mapping[str, Choice], draws: int, seed: int,
    unsolvable: Set[str] = frozenset(),
) -> list[Cell]:  # fmt: skip
    """All methods at N on all groups; the first group is the one in distribution. N is the smallest of all, and where a
    vote is not known at N, the largest k below it that is. unsolvable: ids of problems without an answer."""
    n = min(len(pool.classes) for pools in groups.values() for pool in pools)
    found, home = [], None
    for name, pools in groups.items():
        known = grid(min(len(pool.classes) for pool in pools))
        curves = evaluate(pools, choices, draws, seed, [max(k for k in known if k <= n)])
        parts = Parts.of([pool.problem_id in unsolvable for pool in pools])
        own = [_cell(name, method, curve, curves, pools, n, seed, parts) for method, curve in curves.items()]
        own.append(_pass_at_1(name, curves["pass"], seed, parts))
        home = home or {cell.method: cell for cell in own}
        found += [cell if cell is home[cell.method] else _against(home[cell.method], cell) for cell in own]
    return found


def _at(curve: Curve, n: int) -> Any:
    import numpy as np

    return curve.values[:, int(np.searchsorted(curve.ks, n))]


class Parts(NamedTuple):
    """Which problems of a group have no answer, and what each problem counts for so that both parts count alike."""

    open: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, unsolvable: Sequence[bool]) -> Parts:
        import numpy as np

        open_ = np.array(unsolvable, bool)
        n, some = len(open_), int(open_.sum())
        weight = np.where(open_, n / (2 * some), n / (2 * (n - some))) if 0 < some < n else np.ones(n)
        return cls(open_, weight)

    def means(self, values: np.ndarray) -> tuple[float | None, float | None]:
        """The mean over the solvable and over the unsolvable; None, None where only one kind is there."""
        if self.open.all() or not self.open.any():
            return None, None
        return float(values[~self.open].mean()), float(values[self.open].mean())


def _cell(
    name: str, method: str, curve: Curve, curves: Mapping[str, Curve], pools: Sequence[Pool], n: int, seed: int,
    parts: Parts,
) -> Cell:  # fmt: skip
    n = max(k for k in curve.ks.tolist() if k <= n)
    values = _at(curve, n) * parts.weight
    mean, low, high = (float(x[0]) for x in bootstrap(values[:, None], _key(seed)))
    majority = _at(curves["majority"], n) * parts.weight
    gain = compare(values, majority, _key(seed)) if method != "majority" else None
    score = method.split("_", 2)[-1] if method.startswith("best_of_") else None
    auc = None
    if score:
        auc = within_problem_auc([p.scores[score] for p in pools], [p.correct > 0 for p in pools])
    return Cell(
        name, method, n, len(pools), mean, low, high, *(gain[:4] if gain else (None,) * 4), *(None,) * 3, auc,
        *parts.means(_at(curve, n)),
    )  # fmt: skip


def _pass_at_1(name: str, curve: Curve, seed: int, parts: Parts) -> Cell:
    values = curve.values[:, 0]
    mean, low, high = (float(x[0]) for x in bootstrap((values * parts.weight)[:, None], _key(seed)))
    return Cell(name, "pass_1", 1, len(values), mean, low, high, *(None,) * 8, *parts.means(values))


def _against(home: Cell, cell: Cell) -> Cell:
    """With the gap: gain at home minus gain here. Half widths of independent differences add as squares."""
    if home.gain is None or cell.gain is None:
        return cell
    gap = home.gain - cell.gain
    below = ((home.gain - home.gain_low) ** 2 + (cell.gain_high - cell.gain) ** 2) ** 0.5
    above = ((home.gain_high - home.gain) ** 2 + (cell.gain - cell.gain_low) ** 2) ** 0.5
    return cell._replace(gap=gap, gap_low=gap - below, gap_high=gap + above)


def _key(seed: int) -> int:
    return seeds.key(seed, "best_of_n", 1, "problems", "matrix")


def csv(found: Sequence[Cell]) -> str:
    lines = [",".join(COLUMNS)]
    for cell in found:
        lines.append(",".join("" if x is None else f"{x:.6g}" if isinstance(x, float) else str(x) for x in cell))
    return "\n".join(lines) + "\n"


def table(found: Sequence[Cell], verifiers: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """(header, rows): for each group pass@1, majority, pass@N, and of each verifier AUC, weighted vote, and its gain."""
    header = ["problems from", "n", "pass@1", "majority", "pass@N"]
    for verifier in verifiers:
        title = charts.TITLES.get(verifier, verifier)
        header += [f"{title} AUC", f"{title} weighted", "gain"]
    rows = []
    for name in dict.fromkeys(cell.group for cell in found):
        own = {cell.method: cell for cell in found if cell.group == name}
        row = [name, str(own["majority"].problems)]
        row += [f"{100 * own[method].accuracy:.1f}" for method in ("pass_1", "majority", "pass")]
        for verifier in verifiers:
            auc, vote = own[f"best_of_{verifier}"].auc, own[f"weighted_{verifier}"]
            gain = f"{100 * vote.gain:+.1f} [{100 * vote.gain_low:+.1f}, {100 * vote.gain_high:+.1f}]"
            row += ["" if auc is None else f"{auc:.2f}", f"{100 * vote.accuracy:.1f}", gain]
        rows.append(row)
    return header, rows


def halves(found: Sequence[Cell], verifiers: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of the groups whose accuracies are balanced: on solvable / on unsolvable problems, by method."""
    methods = {"pass_1": "pass@1", "majority": "majority", "pass": "pass@N"}
    methods |= {f"weighted_{verifier}": f"{charts.TITLES.get(verifier, verifier)} weighted" for verifier in verifiers}
    mixed = [cell for cell in found if cell.solvable is not None]
    rows = []
    for name in dict.fromkeys(cell.group for cell in mixed):
        own = {cell.method: cell for cell in mixed if cell.group == name}
        rows.append([name, *(f"{100 * own[m].solvable:.1f} / {100 * own[m].unsolvable:.1f}" for m in methods)])
    return ["solvable / unsolvable", *methods.values()], rows
