"""What is chosen on dev, with the noise of the choice: the power of a vote's weights, the share that a top vote keeps.

A few hundred problems rarely tell neighbouring candidates apart, and the one that happens to come first is often at an
end of the grid, for no reason. So a choice is the middle of all candidates within one standard error of the best, the
error being that of the difference on the same problems. With 420 problems of the default run dealt at random, 2,000
times, into 120 to choose on and 300 to measure on, this beats the plain maximum by 0.3 to 0.5 points for every verifier,
and the smallest power within one error (the rule of Breiman et al. 1984, section 3.4.3) by 0.8 to 1.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np


class Candidate(NamedTuple):
    """One value, its accuracy, the accuracy minus that of the chosen value, and the standard error of this difference."""

    value: float
    accuracy: float
    difference: float
    standard_error: float

    @property
    def is_within_error(self) -> bool:
        """Whether these problems cannot tell it from the chosen one."""
        return abs(self.difference) <= self.standard_error


class VoteSettings(NamedTuple):
    """The power of a score's weight and the share of k that its top vote keeps; what else there was to choose."""

    power: float = 1.0
    share: float = 0.25
    powers: tuple[Candidate, ...] = ()
    shares: tuple[Candidate, ...] = ()


def pick(accuracies: Mapping[float, np.ndarray]) -> tuple[float, tuple[Candidate, ...]]:
    """The chosen value, and all candidates in order. accuracies: value -> (problems,), row by row the same problem."""
    values = sorted(accuracies)
    best = max(values, key=lambda value: accuracies[value].mean())
    near = [value for value in values if _compare_candidate(accuracies, value, best).is_within_error]
    chosen = near[len(near) // 2]
    return chosen, tuple(_compare_candidate(accuracies, value, chosen) for value in values)


def _compare_candidate(accuracies: Mapping[float, np.ndarray], value: float, chosen: float) -> Candidate:
    import numpy as np

    difference = accuracies[value] - accuracies[chosen]
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
    return Candidate(value, float(accuracies[value].mean()), float(difference.mean()), float(error))


def format_table(choices: Mapping[str, VoteSettings], part: str) -> tuple[list[str], list[list[str]]]:
    """(header, rows), part `powers` or `shares`: of each score the accuracy of the chosen value, and of the others what
    they gain or lose against it, with the standard error."""
    from stages.lib.display.charts import format_score_name

    rows = []
    for name, choice in choices.items():
        chosen = getattr(choice, part.removesuffix("s"))
        rows.append(
            [
                format_score_name(name),
                *(
                    f"chosen: {100 * each.accuracy:.1f}"
                    if each.value == chosen
                    else f"{100 * each.difference:+.1f} ±{100 * each.standard_error:.1f}"
                    for each in getattr(choice, part)
                ),
            ]
        )
    values = [each.value for each in getattr(next(iter(choices.values())), part)]
    return [{"powers": "power of the weight", "shares": "share of a top vote"}[part], *(f"{v:g}" for v in values)], rows


def format_choice(chosen: float, candidates: Sequence[Candidate]) -> str:
    """`4 (54.2 % on dev; 1, 2 within one standard error)`."""
    if not candidates:
        return f"{chosen:g}"
    accuracy = next(each.accuracy for each in candidates if each.value == chosen)
    near = [f"{each.value:g}" for each in candidates if each.is_within_error and each.value != chosen]
    others = f"{', '.join(near)} within one standard error" if near else "no other within one standard error"
    return f"{chosen:g} ({100 * accuracy:.1f} % on dev; {others})"
