"""Arms of stage adaptation over training seeds: what targeted problems gave beyond the controls.

Each experiment compares its own four arms on its own report stream, paired by problem, problems of one origin together, and
corrected for all its rows: the row of one seed. A seed has its own problems and its own training, so seeds are nearly
independent repeats, and the row over seeds has the t interval of the mean of the seeds' differences. Nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stages.lib.display import tables
from stages.lib.display.tables import Table
from stages.lib.reports import honesty_study

CONTROLS = {"uniform": "every kind alike", "random": "random slices", "none": "no new problems", "start": "generator"}
SETS = {"ood": "out of distribution", "weak": "confirmed weak slices", "test": "test, in distribution"}
HEADER = ("arm", "set", "targeted minus", "seed", "problems", "difference, points [95%]", "p (Holm)")


class Point(NamedTuple):
    """Targeted minus a control on a set, of one arm and seed, after its last round; differences are shares."""

    arm: str
    seed: int
    part: str
    control: str
    problems: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


def make_points(arm: str, seed: int, results: Mapping[str, Any]) -> list[Point]:
    """From the results.json of an experiment: a point for each control and set that it compares after its last round; []
    where it trained nothing. Sets that are too small for a comparison are left out by the stage."""
    last = sum("lessons" in each for each in results["rounds"])
    sizes = {name: own["problems"] for name, own in results["models"]["start"].items()}
    return [
        Point(
            arm,
            seed,
            row["set"],
            row["second"].partition("-")[0],
            sizes[row["set"]],
            *(row[name] for name in ("difference", "low", "high", "p", "p_holm")),
        )
        for row in results["comparisons"]
        if row["set"] in SETS and row["first"] == f"targeted-{last}"
    ]


def tabulate(points: Sequence[Point]) -> Table | None:
    """Rows of an arm, set and control: each seed, then their mean, which has an interval from two seeds on. None without
    points."""
    rows = []
    groups: dict[tuple[str, str, str], list[Point]] = {}
    for arm in dict.fromkeys(point.arm for point in points):
        for part in SETS:
            for control in CONTROLS:
                groups[arm, part, control] = []
    for point in points:
        groups[point.arm, point.part, point.control].append(point)
    for (arm, part, control), own in groups.items():
        about = [arm, SETS[part], CONTROLS[control]]
        for point in own:
            gain = tables.format_gain([point.difference, point.low, point.high])
            p = tables.format_p_values(point.p, point.p_holm)
            rows.append([*about, str(point.seed), str(point.problems), gain, p])
        interval = honesty_study.estimate_mean([point.difference for point in own])
        if interval:
            total = sum(point.problems for point in own)
            rows.append([*about, f"mean of {len(own)}", str(total), tables.format_gain(interval), ""])
    return (HEADER, rows) if rows else None


def build_notes(experiments: Sequence[tuple[str, int, Mapping[str, Any]]], points: Sequence[Point]) -> list[str]:
    """How to read the table, and for each experiment what was confirmed and learned, and why it stopped.

    experiments: arm, seed and results.json of each."""
    notes = [
        "The row of a seed is paired by problem, problems of one origin together; its interval holds for other problems, "
        "not for another training. The mean over seeds has a t interval, with other problems and trainings in it; with "
        "three seeds it is wide. p-values are corrected within an experiment (Holm). Nothing is chosen among arms.",
        "Retention is the row of test minus the generator. Weak slices are those that the arm itself confirmed, so arms "
        "and seeds have other ones; fewer than 30 of their problems have no row.",
    ]
    for arm, seed, results in experiments:
        trained = [each for each in results["rounds"] if "lessons" in each]
        new = sum(each["lessons"]["targeted"]["new"] for each in trained)
        confirmed = ", ".join(dict.fromkeys(name for each in results["rounds"] for name in each["confirmed"])) or "none"
        notes.append(
            f"{arm}, seed {seed}: {len(trained)} of {len(results['rounds'])} rounds trained, {new} new problems "
            f"for targeted; confirmed slices: {confirmed}; stopped: {results['stop']}."
        )
    if points and (without := {arm for arm, _, _ in experiments} - {point.arm for point in points}):
        notes.append(f"Without a row, since no seed trained: {', '.join(sorted(without))}.")
    if not points:
        notes.append(
            "There is no table: no experiment confirmed a weak slice, so none trained and nothing can be compared."
        )
    return notes
