"""How many problems to make of each slice, and how hard: weights 1 - accuracy, levels that follow accuracy."""

from __future__ import annotations

from collections.abc import Sequence

NEVER_SOLVED = 0.05  # accuracy below which a slice gets half the weight: what is out of reach teaches little
TOO_HARD, TOO_EASY = 0.1, 0.9  # accuracies below and above which the level is lowered and raised


def weigh(accuracy: float) -> float:
    """1 - accuracy, halved below NEVER_SOLVED, so that slices that are never solved do not take the whole budget."""
    return (1 - accuracy) * (0.5 if accuracy < NEVER_SOLVED else 1.0)


def adjust_level(level: int, accuracy: float, highest: int) -> int:
    """The level of the next problems: one up above TOO_EASY, one down below TOO_HARD, within 0 and `highest`."""
    step = (accuracy > TOO_EASY) - (accuracy < TOO_HARD)
    return min(highest, max(0, level + step))


def allocate(weights: Sequence[float], capacities: Sequence[int], budget: int) -> list[int]:
    """Whole numbers nearly in proportion to the weights, none above its capacity, that add up to the budget, or to all
    capacities: places are given one by one by Webster's (Sainte-Lague's) quotients. A larger budget takes none away."""
    counts = [0] * len(weights)

    def rank(i: int) -> tuple[float, int, int]:
        return weights[i] / (2 * counts[i] + 1), -counts[i], -i

    for _ in range(min(budget, sum(capacities))):
        counts[max((i for i, most in enumerate(capacities) if counts[i] < most), key=rank)] += 1
    return counts
