"""Vote settings chosen on dev, with the noise of the choice: the power of the weights, the share kept by a top vote.

A few hundred problems rarely distinguish neighbouring candidates, and the best one by chance is often an end of the grid.
So the choice is the middle of all candidates within one standard error of the best, the standard error being that of the
difference on the same problems. Measured on 420 problems of the default run, split at random 2,000 times into 120 to
choose on and 300 to evaluate: this beats the plain maximum by 0.3 to 0.5 points for every verifier, and the smallest
power within one standard error (the rule of Breiman et al. 1984, section 3.4.3) by 0.8 to 1.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from stages.lib.display.tables import Table, format_score_name


class Candidate(NamedTuple):
    """A value, its accuracy, its accuracy minus that of the chosen value, and the standard error of this difference."""

    value: float
    accuracy: float
    difference: float
    standard_error: float

    @property
    def is_within_error(self) -> bool:
        """Whether these problems cannot distinguish it from the chosen value."""
        return abs(self.difference) <= self.standard_error


class VoteSettings(NamedTuple):
    """Of one score: the power of its weights and the share of k that its top vote keeps, with all candidates."""

    power: float = 1.0
    share: float = 0.25
    powers: tuple[Candidate, ...] = ()
    shares: tuple[Candidate, ...] = ()


def pick(accuracies: Mapping[float, np.ndarray]) -> tuple[float, tuple[Candidate, ...]]:
    """The chosen value and all candidates in order. accuracies: value -> (problems,), row by row the same problem."""
    values = sorted(accuracies)
    best = max(values, key=lambda value: accuracies[value].mean())
    near = [value for value in values if _compare_candidate(accuracies, value, best).is_within_error]
    middle = near[len(near) // 2]
    return middle, tuple(_compare_candidate(accuracies, value, middle) for value in values)


def _compare_candidate(accuracies: Mapping[float, np.ndarray], value: float, reference: float) -> Candidate:
    difference = accuracies[value] - accuracies[reference]
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
    return Candidate(value, float(accuracies[value].mean()), float(difference.mean()), float(error))


def format_table(settings: Mapping[str, VoteSettings], part: Literal["powers", "shares"]) -> Table:
    """(header, rows): for each score the accuracy of the chosen value, and the difference of each other value from it
    with the standard error."""
    rows = []
    for name, setting in settings.items():
        value = setting.power if part == "powers" else setting.share
        cells = (
            f"chosen: {100 * candidate.accuracy:.1f}"
            if candidate.value == value
            else f"{100 * candidate.difference:+.1f} ±{100 * candidate.standard_error:.1f}"
            for candidate in getattr(setting, part)
        )
        rows.append([format_score_name(name), *cells])
    values = [f"{candidate.value:g}" for candidate in getattr(next(iter(settings.values())), part)]
    return [{"powers": "power of the weight", "shares": "share of a top vote"}[part], *values], rows


def format_accuracies(settings: Mapping[str, VoteSettings], powers: Mapping[str, Mapping[float, float]]) -> Table:
    """(header, rows): accuracy of each score at each power, with a star at the chosen one."""
    rows = [
        [
            format_score_name(name),
            *(f"{100 * x:.1f}" + "*" * (power == settings[name].power) for power, x in own.items()),
        ]
        for name, own in powers.items()
    ]
    return ["power of the weight", *(f"{power:g}" for power in next(iter(powers.values())))], rows


def format_choice(value: float, candidates: Sequence[Candidate]) -> str:
    """`4 (54.2 % on dev; 1, 2 within one standard error)`, and whether no larger one was tried."""
    if not candidates:
        return f"{value:g}"
    accuracy = next(candidate.accuracy for candidate in candidates if candidate.value == value)
    near = [f"{other.value:g}" for other in candidates if other.is_within_error and other.value != value]
    edge = ", no larger one tried" * (len(candidates) > 1 and value == candidates[-1].value)
    return f"{value:g} ({100 * accuracy:.1f} % on dev{edge}; {', '.join(near) or 'no other'} within one standard error)"
