"""Training seeds x problem seeds in tables: accuracies and gains of every method, and AUC of every score.

Intervals are as other problems and other training seeds would vary, two-way (lib/metrics/crossed.py); variants of one
parent count as one problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.lib.display import tables
from stages.lib.display.tables import SIGNIFICANCE_LEVEL, Table
from stages.lib.metrics import crossed, intervals
from stages.lib.metrics.crossed import CrossedMean
from stages.lib.reports import leaderboard
from stages.lib.reports.curves import METHOD_KINDS, parse_score_name
from stages.lib.reports.pools import ENSEMBLE, FREE_ENSEMBLE, TRAINING_FREE, UNTRAINED_VERIFIERS, sort_score_names
from stages.lib.reports.problem_accuracies import AUC, ProblemAccuracies

SMALLEST_DIFFERENCE = 0.05  # of the sentence about the number of problems
BASELINES = ("majority", "best_free")
LIKELIHOOD = "best_likelihood"
CEILING = "pass"

Cell = tuple[int, int]  # (training seed, problem seed)


class Study(NamedTuple):
    """All problems of all problem seeds side by side: test_seeds, groups, parents, weights (problems,), and of every method
    values (trainings, problems). is_test, is_ood, has_parent: (problems,) masks; parent_places: of the parent, at the N of
    its variants. dropped: problems that only some training seeds have."""

    trainings: int
    test_seeds: np.ndarray
    groups: list[str]
    parents: list[tuple[int, str]]
    is_test: np.ndarray
    is_ood: np.ndarray
    has_parent: np.ndarray
    parent_places: np.ndarray
    weights: np.ndarray
    values: dict[str, np.ndarray]
    dropped: int

    def estimate(self, values: np.ndarray, mask: np.ndarray) -> CrossedMean:
        """The mean of (trainings, problems) over the problems of the mask, clustered by parent and by training."""
        return crossed.estimate_mean(values[:, mask], self._list_units(mask), self.weights[mask])

    def estimate_auc(self, values: np.ndarray, mask: np.ndarray) -> CrossedMean | None:
        """The same of the AUC, where every training has problems of its own with right and wrong solutions: the mean over
        trainings of a ratio of sums, to first order. None where a training has none, or fewer than two units have any."""
        mask = mask & ~np.isnan(values).all(axis=0)
        units = self._list_units(mask)
        ranked = ~np.isnan(values[:, mask])
        if not ranked.any(axis=1).all() or len(set(units)) < 2:
            return None
        own = np.nan_to_num(values[:, mask])
        mean = float((own.sum(axis=1) / ranked.sum(axis=1)).mean())
        shares = ranked / ranked.mean(axis=1, keepdims=True)
        return crossed.estimate_mean(mean + shares * (own - mean), units)

    def compute_p_value(self, values: np.ndarray, mask: np.ndarray) -> float:
        """That the mean over the problems of the mask is 0, by the same model as its interval."""
        if not values[:, mask].any():
            return 1.0
        return crossed.compute_p_value(values[:, mask], self._list_units(mask), self.weights[mask])

    def _list_units(self, mask: np.ndarray) -> list[tuple[int, str]]:
        """The parents of the problems of the mask."""
        return [parent for parent, is_in in zip(self.parents, mask, strict=True) if is_in]

    @property
    def is_other_kind(self) -> np.ndarray:
        """(problems,): those out of distribution that are no variants of test problems."""
        return self.is_ood & ~self.has_parent

    def list_scores(self) -> list[str]:
        """Those with an AUC."""
        return [name.removeprefix(AUC) for name in self.values if name.startswith(AUC)]

    def spread(self, values: np.ndarray, mask: np.ndarray) -> tuple[float | None, float | None]:
        """The SD of the means of the training seeds, and of those of the problem seeds; None where there is one seed."""
        by_test_seed = [
            np.average(values[:, part], axis=1, weights=self.weights[part]).mean()
            for part in (mask & (self.test_seeds == seed) for seed in np.unique(self.test_seeds))
        ]
        by_training = np.average(values[:, mask], axis=1, weights=self.weights[mask])
        by_training, by_test_seed = (
            float(np.std(means, ddof=1)) if len(means) > 1 else None for means in (by_training, by_test_seed)
        )
        return by_training, by_test_seed

    def list_methods(self) -> list[str]:
        """pass@1, greedy, the baselines, then best-of-N and weighted vote of every score, and the ceiling."""
        names = sort_score_names({name for x in self.values if (name := parse_score_name(x))})
        votes = [x for kind in METHOD_KINDS[:2] for name in names if (x := f"{kind}_{name}") in self.values]
        first = [name for name in ("pass_1", "greedy", "options", *BASELINES, LIKELIHOOD) if name in self.values]
        return [*first, *votes, CEILING]

    def list_shifted_methods(self) -> list[str]:
        """Those with a value on every problem out of distribution: all but the ones that draw one solution a problem."""
        return [x for x in self.list_methods() if not np.isnan(self.values[x][:, self.is_ood]).any()]

    def list_gains(self) -> dict[str, np.ndarray]:
        """{method: (trainings, problems) minus majority's} of the methods that have something to gain, also out of
        distribution."""
        left_out = ("pass_1", "majority", CEILING)
        return {x: self.values[x] - self.values["majority"] for x in self.list_shifted_methods() if x not in left_out}

    def list_verifiers(self) -> list[str]:
        """The weighted votes of trained verifiers."""
        prefix = "weighted_"
        return [x for x in self.list_methods() if x.startswith(prefix) and x.removeprefix(prefix) not in TRAINING_FREE]


def assemble(cells: Mapping[Cell, ProblemAccuracies]) -> Study:
    """One table of all cells. A problem that not all training seeds have is left out: a competition item of a test is
    drawn again where it repeats one that is trained on."""
    trainings, test_seeds = ([*dict.fromkeys(column)] for column in zip(*cells, strict=True))
    methods = [name for name in next(iter(cells.values())).values if all(name in x.values for x in cells.values())]
    keys, groups, parents, weights, dropped = [], [], [], [], 0
    columns: dict[str, list[np.ndarray]] = {name: [] for name in methods}
    for p in test_seeds:
        tables = [cells[t, p] for t in trainings]
        places = [{problem: i for i, problem in enumerate(table.problems)} for table in tables]
        shared = [problem for problem in places[0] if all(problem in place for place in places)]
        dropped += len(set().union(*places)) - len(shared)
        rows = [[place[problem] for problem in shared] for place in places]
        keys += [(p, *problem) for problem in shared]
        groups += [tables[0].groups[i] for i in rows[0]]
        parents += [(p, tables[0].parents[i]) for i in rows[0]]
        weights.append(tables[0].weights[rows[0]])
        for name in methods:
            columns[name].append(np.stack([table.values[name][i] for table, i in zip(tables, rows, strict=True)]))
    values = {name: np.concatenate(parts, axis=1) for name, parts in columns.items()}
    has_value = ~np.isnan(values["majority"]).any(axis=0)
    sets = np.array([name for _, name, _ in keys])
    index = {key: place for place, key in enumerate(keys)}
    parent_places = np.array([index.get((p, "parents", parent), -1) for p, parent in parents])
    is_test, is_ood = ((sets == name) & has_value for name in ("test", "ood"))
    return Study(
        len(trainings),
        np.array([p for p, _, _ in keys]),
        groups,
        parents,
        is_test,
        is_ood,
        is_ood & (parent_places >= 0),
        parent_places,
        np.concatenate(weights),
        values,
        dropped,
    )


def tabulate(study: Study) -> dict[str, Table]:
    """{title: table}: in distribution, out of it, verifiers against each other."""
    p = len(set(study.test_seeds.tolist()))
    size = f"{study.trainings} training seeds x {p} problem seeds"
    report = {f"In distribution, {size}, {int(study.is_test.sum())} problems": tabulate_test(study)}
    if study.is_ood.any():
        report[f"Out of distribution, all sets, {size}, {int(study.is_ood.sum())} problems"] = tabulate_ood(study)
    if has_parts(study):
        variants, others = int(study.has_parent.sum()), int(study.is_other_kind.sum())
        title = f"Out of distribution, gain on majority on {variants} variants and {others} problems of other kinds"
        report[title] = tabulate_parts(study)
    if study.list_scores():
        report["AUC: how well scores rank the solutions of a problem"] = tabulate_aucs(study)
    if len(study.list_verifiers()) > 1:
        report["Weighted votes of the verifiers against each other, in points"] = tabulate_pairs(study)
    return report


def tabulate_test(study: Study) -> Table:
    header = ["method", "accuracy %", "95% interval", "SD training", "SD problems"]
    header += ["vs majority", "95% interval", "vs best free", "95% interval"]
    rows = []
    for method in study.list_methods():
        values = study.values[method]
        row = [*format_mean(study, values, study.is_test), *format_spread(study, values, study.is_test)]
        rows.append([format_method(method), *row])
    for baseline in BASELINES:
        differences = [
            None if method in (baseline, "pass_1", CEILING) else study.values[method] - study.values[baseline]
            for method in study.list_methods()
        ]
        append_differences(rows, study, differences, study.is_test)
    return header, rows


def tabulate_ood(study: Study) -> Table:
    header = ["method", "accuracy %", "95% interval", "gain on majority", "95% interval", "SD training", "SD problems"]
    header += ["gap", "95% interval"]
    shifted, paired = study.is_ood, study.has_parent
    methods, gains = study.list_shifted_methods(), study.list_gains()
    rows = [[format_method(method), *format_mean(study, study.values[method], shifted)] for method in methods]
    append_differences(rows, study, [gains.get(method) for method in methods], shifted)
    for row, method in zip(rows, methods, strict=True):
        row += format_spread(study, gains[method], shifted) if method in gains else ["", ""]
    gaps = {x: own[:, study.parent_places] - own for x, own in gains.items()} if paired.any() else {}
    append_differences(rows, study, [gaps.get(method) for method in methods], paired)
    return header, rows


def has_parts(study: Study) -> bool:
    """Whether some problems out of distribution are variants of test problems, and others are of other kinds."""
    return bool(study.has_parent.any() and study.is_other_kind.any())


def tabulate_parts(study: Study) -> Table:
    header = ["method", "on variants", "95% interval", "on other kinds", "95% interval"]
    gains = study.list_gains()
    rows = [[format_method(method)] for method in gains]
    for part in (study.has_parent, study.is_other_kind):
        append_differences(rows, study, list(gains.values()), part)
    return header, rows


def tabulate_aucs(study: Study) -> Table:
    """Every score, against the untrained base read in the same form, and against the form that suits the base best."""
    masks = {"in distribution": study.is_test}
    if has_parts(study):
        masks |= {"on variants": study.has_parent, "on other kinds": study.is_other_kind}
    elif study.is_ood.any():
        masks |= {"out of distribution": study.is_ood}
    columns = ("vs untrained", "vs best untrained")
    header = ["score", *(x for name in masks for column in (name, *columns) for x in (column, "95% interval"))]
    scores, rows = study.list_scores(), []
    best = find_best_untrained(study)
    for name in scores:
        values, row = study.values[AUC + name], [tables.format_score_name(name)]
        baselines = find_untrained(name, scores), best if best != name else None
        for mask in masks.values():
            row += format_auc(study.estimate_auc(values, mask))
            for baseline in baselines:
                gap = baseline and study.estimate_auc(values - study.values[AUC + baseline], mask)
                row += format_auc_difference(gap or None)
        rows.append(row)
    return header, rows


def find_best_untrained(study: Study) -> str | None:
    """The reading of the untrained base that ranks best on these very problems: a choice in favour of the baseline."""
    aucs = {
        name: auc.mean
        for name in UNTRAINED_VERIFIERS
        if AUC + name in study.values and (auc := study.estimate_auc(study.values[AUC + name], study.is_test))
    }
    return max(aucs, key=aucs.__getitem__, default=None)


def find_untrained(score: str, scores: Sequence[str]) -> str | None:
    """The score of the same form that no training made: of prm_exact, base_prm."""
    form = score.partition("_")[0]
    untrained = FREE_ENSEMBLE if score == ENSEMBLE else f"base_{form}"
    return untrained if untrained in scores and score != untrained else None


def format_auc(auc: CrossedMean | None) -> list[str]:
    return ["", ""] if auc is None else [f"{auc.mean:.3f}", f"{max(0, auc.low):.3f} to {min(1, auc.high):.3f}"]


def format_auc_difference(auc: CrossedMean | None) -> list[str]:
    return ["", ""] if auc is None else [f"{auc.mean:+.3f}", f"{auc.low:+.3f} to {auc.high:+.3f}"]


def tabulate_pairs(study: Study) -> Table:
    header = ["difference", "in distribution", "95% interval", "SD training", "SD problems"]
    masks = [study.is_ood, study.has_parent, study.is_other_kind] if has_parts(study) else [study.is_ood]
    for name, _ in zip(("out of distribution", "on variants", "on other kinds"), masks, strict=False):
        header += [name, "95% interval"]
    votes = study.list_verifiers()
    pairs = [(first, second) for i, first in enumerate(votes) for second in votes[:i]]
    gaps = [study.values[first] - study.values[second] for first, second in pairs]
    rows = [[f"{format_method(first)} - {format_method(second)}"] for first, second in pairs]
    append_differences(rows, study, gaps, study.is_test)
    for row, gap in zip(rows, gaps, strict=True):
        row += format_spread(study, gap, study.is_test)
    for mask in masks:
        append_differences(rows, study, gaps if study.is_ood.any() else [None] * len(gaps), mask)
    return header, rows


def write_notes(study: Study) -> list[str]:
    """How to read the tables, and how many problems a small difference needs."""
    notes = [
        "Intervals: as other problems and other training seeds would vary, two-way (stages/lib/metrics/crossed.py); "
        "variants of one parent count as one problem. With one training seed they are over problems alone.",
        "SD: of the means of single seeds. best free: the best use of the likelihood or of the untrained base, chosen on "
        "dev in each cell. gap: the gain of the parents in distribution minus that of their variants.",
        "*: the difference is none by chance, all of its column taken together (p corrected by Holm's rule below 0.05). An "
        "interval without a star is that of a single comparison.",
    ]
    if study.list_scores():
        notes.append(
            "AUC: over the problems that have right and wrong solutions, the mean of the training seeds. vs untrained: "
            "against the untrained base read in the same way; of the ensemble, against that of the free scores. vs best "
            "untrained: against that reading of the base, of three, which ranks best here in distribution."
        )
    if study.dropped:
        notes.append(f"{study.dropped} problems that not all training seeds have are left out.")
    votes = study.list_verifiers()
    pairs = [(vote, "majority") for vote in votes] + [(a, b) for i, a in enumerate(votes) for b in votes[:i]]
    counts = [f"{format_method(a)} - {format_method(b)} {count_problems(study, a, b)}" for a, b in pairs]
    if counts:
        per_seed = round(study.is_test.sum() / len(set(study.test_seeds.tolist())))
        notes.append(
            f"Test problems with which one cell finds a true difference of {100 * SMALLEST_DIFFERENCE:.0f} points four "
            f"times in five (each has {per_seed}): {'; '.join(counts)}."
        )
    return notes


def count_problems(study: Study, first: str, second: str) -> int:
    differences = (study.values[first] - study.values[second])[:, study.is_test]
    return crossed.count_needed_problems(differences, SMALLEST_DIFFERENCE)


def format_method(method: str) -> str:
    names = {"pass_1": "pass@1", "best_free": "best free (chosen on dev)", CEILING: "pass@N (ceiling)"}
    names[LIKELIHOOD] = "likelihood (best use on dev)"
    return names.get(method) or leaderboard.format_method_at_n(method)


def format_mean(study: Study, values: np.ndarray, mask: np.ndarray) -> list[str]:
    mean = study.estimate(values, mask)
    return [f"{100 * mean.mean:.1f}", f"{100 * max(0, mean.low):.1f} to {100 * min(1, mean.high):.1f}"]


def append_differences(
    rows: Sequence[list[str]], study: Study, differences: Sequence[np.ndarray | None], mask: np.ndarray
) -> None:
    """Two cells more for each row, mean and interval of its difference; empty for None. A star marks a p below 0.05 after
    correction for all differences of the column."""
    present = [values for values in differences if values is not None]
    ps = iter(intervals.holm([study.compute_p_value(values, mask) for values in present]))
    for row, values in zip(rows, differences, strict=True):
        row += ["", ""] if values is None else format_difference(study, values, mask, next(ps) < SIGNIFICANCE_LEVEL)


def format_difference(study: Study, values: np.ndarray, mask: np.ndarray, is_sure: bool = False) -> list[str]:
    if not values[:, mask].any():
        return ["0.0", "no problem differs"]  # an interval of width 0 would claim too much
    mean = study.estimate(values, mask)
    return [f"{100 * mean.mean:+.1f}" + "*" * is_sure, f"{100 * mean.low:+.1f} to {100 * mean.high:+.1f}"]


def format_spread(study: Study, values: np.ndarray, mask: np.ndarray) -> list[str]:
    return ["" if sd is None else f"{100 * sd:.1f}" for sd in study.spread(values, mask)]
