"""Arms of stage honesty over training seeds: what each policy answers, refuses and is worth, and its gain on the start.

An arm changes how much is learned, for how long, or from which items. Nothing is chosen among arms: all are shown. A seed
has its own items and its own training, so the seeds are nearly independent repeats (they draw from one pool of test
problems), and a gain, paired by item within each seed, has the t interval of its mean over seeds: other items and other
trainings are both in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stages.lib.display.tables import Table, format_mean
from stages.lib.metrics import crossed
from stages.lib.reports import refusals

START = "vanilla"  # the policy that gains are measured on
TRIVIAL = ("always_refuse", "never_refuse")  # of these transfer is known beforehand
PENALTY = "1"  # of the score: what a wrong answer costs
FIGURES = ("coverage", "accuracy", "refusal_recall", "unknown_refusal", "over_refusal", "aurc", "ths")
HEADER = ("arm", "policy", "seeds", "coverage %", "accuracy %", "refusal recall %", "refused of unknown %")
HEADER += ("over-refusal %", "AURC", "THS", "score", "score minus start [95%]", "at equal coverage, points [95%]")
SHARES = FIGURES[:5]
JUDGED = ("replies", "listed", "untaught", "missed", "extra", "unread")
OF_SET = ("refusal_recall", "unknown_refusal", "over_refusal", "accuracy")  # in the table of transfer


class Point(NamedTuple):
    """A policy of one arm and seed, in domain. figures: those of `FIGURES`, None where they are shares of nothing. score:
    mean of 1 for a right and -1 for a wrong answer; gain: minus that of the start. equal: the difference in right answers
    from the policy that refuses by a verifier, at its coverage; None of the start and of that one."""

    arm: str
    seed: int
    policy: str
    figures: Mapping[str, float | None]
    score: float
    gain: float
    equal: float | None


def make_points(arm: str, seed: int, results: Mapping[str, Any]) -> list[Point]:
    """From the results.json of an experiment: a point for each policy."""
    table = results["in_domain"]
    start = table[START]["scores"][PENALTY]
    return [
        Point(
            arm,
            seed,
            policy,
            {name: own[name] for name in FIGURES},
            own["scores"][PENALTY],
            own["scores"][PENALTY] - start,
            results["equal_coverage"].get(policy, {}).get("difference"),
        )
        for policy, own in table.items()
    ]


def tabulate(points: Sequence[Point], names: Mapping[str, str]) -> Table:
    """A row for each arm and policy: means over seeds, with their standard deviation where there are several. names: of the
    policies."""
    rows = []
    for arm, policy in dict.fromkeys((point.arm, point.policy) for point in points):
        own = [point for point in points if (point.arm, point.policy) == (arm, policy)]
        cells = []
        for name in FIGURES:
            values = [value for point in own if (value := point.figures[name]) is not None]
            cells.append(
                format_mean([100 * x for x in values], ".1f") if name in SHARES else format_mean(values, "+.2f")
            )
        equal = [point.equal for point in own if point.equal is not None]
        gain = "" if policy == START else _format_interval([point.gain for point in own], 1, "+.2f")
        rows.append(
            [
                arm,
                names.get(policy, policy),
                str(len(own)),
                *cells,
                format_mean([point.score for point in own], "+.2f"),
                gain,
                _format_interval(equal, 100, "+.1f"),
            ]
        )
    return HEADER, rows


def tabulate_transfer(results: Mapping[str, Sequence[Mapping[str, Any]]], names: Mapping[str, str]) -> Table:
    """A row for each arm and kind of item, a column for each policy: means over the seeds that have such items. results:
    results.json of each seed, by arm. names: of the policies."""
    policies = [*dict.fromkeys(x for own in results.values() for each in own for x in each["in_domain"])]
    policies = [name for name in policies if name not in TRIVIAL]
    rows = []
    for arm, own in results.items():
        for kind in dict.fromkeys(name for each in own for name in each["sets"]):
            tables = [each["sets"][kind] for each in own if kind in each["sets"]]
            cells = [_format_transfer([table[name] for table in tables if name in table]) for name in policies]
            rows.append([arm, kind, str(len(tables)), *cells])
    return ("arm", "items", "seeds", *(names.get(name, name) for name in policies)), rows


def _format_transfer(figures: Sequence[Mapping[str, float | None]]) -> str:
    columns = ([100 * value for own in figures if (value := own[name]) is not None] for name in OF_SET)
    return " / ".join(f"{np.mean(column):.0f}" if column else "-" for column in columns) if figures else ""


def estimate_mean(values: Sequence[float]) -> tuple[float, float, float] | None:
    """(mean, low, high): the t interval of independent values; None for fewer than two, whose spread is unknown."""
    if len(values) < 2:
        return None
    interval = crossed.estimate_mean(np.array([values]))  # one training of independent units
    return interval.mean, interval.low, interval.high


def _format_interval(values: Sequence[float], scale: float, form: str) -> str:
    if not values:
        return ""
    interval = estimate_mean([scale * value for value in values])
    if interval is None:
        return format(scale * values[0], form)
    middle, low, high = (format(value, form) for value in interval)
    return f"{middle} [{low}, {high}]"


def build_notes(points: Sequence[Point], judged: Mapping[str, Mapping[str, int]]) -> list[str]:
    """How to read the table, and how many refusals the list missed. judged: arm -> sums over policies and seeds of the
    counts that `refusals.describe_judgement` takes."""
    seeds = {point.seed for point in points}
    notes = [
        "A score is 1 for a right answer, 0 for a refusal and -1 for a wrong one. Differences are paired by item within a "
        f"seed; intervals are those of a mean over {len(seeds)} seeds, each with its own items and training (t, "
        f"{max(0, len(seeds) - 1)} degrees of freedom). Nothing is chosen among arms.",
        "At equal coverage a policy keeps its surest answers, and so does the one that it is compared with: the generator "
        "silenced by the verifier, or a chat as it is.",
        "AURC is a mean over the coverages that a policy reaches; it may be low because little is answered.",
    ]
    sentences = (refusals.describe_judgement(arm, sums) for arm, sums in judged.items())
    return notes + [f"{sentence}." for sentence in sentences if sentence]


def sum_judgements(results: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Sums over seeds and policies of an arm, of the counts that stage honesty reports."""
    audits = [audit for each in results for audit in each["judge"].values()]
    return {name: sum(audit[name] for audit in audits) for name in JUDGED}
