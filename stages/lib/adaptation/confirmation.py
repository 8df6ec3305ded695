"""Which proposed slices are weak: one-sided tests on fresh problems, with Holm's correction.

No problem that proposed a slice is used here, so the gap of a proposed slice is unbiased over all that were proposed. Among
those that are confirmed it is again a little too large where the test has little power.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stages.lib.adaptation.proposal import permutation_test
from stages.lib.adaptation.slices import Attributes, Slice
from stages.lib.metrics import intervals


class Confirmation(NamedTuple):
    """A proposed slice on fresh problems: sizes of slice and rest, the slice's accuracy, and the gap with its interval.

    implied: the parent in which the slice is not weaker than the rest; None: it has no such parent."""

    slice: Slice
    problems: int
    rest_problems: int
    accuracy: float
    gap: float
    low: float
    high: float
    p: float
    p_holm: float
    implied: Slice | None
    is_confirmed: bool


def confirm(
    slices: Sequence[Slice],
    rows: Sequence[Attributes],
    values: np.ndarray,
    drawn_for: Sequence[Slice | None],
    units: Sequence[Any],
    key: int,
    level: float = 0.05,
    permutations: int = 10000,
) -> list[Confirmation]:
    """Test each slice. A slice of which there are no fresh problems, or nothing else, is not confirmed and has p 1.

    rows, values, units: attributes, accuracy and parent of each fresh problem. drawn_for: the slice that the problem was
    drawn for, to make it large enough; None: it was drawn from the whole world. One that was drawn for a slice stands for
    that slice alone: it would make every other slice, and the rest, weaker than they are. Slices that a parent implies are
    tested with the others, so that the correction does not depend on the outcome."""
    measured = [_measure(each, rows, values, drawn_for, units, key, permutations) for each in slices]
    adjusted = intervals.holm([each.p for each in measured])
    return [
        each._replace(p_holm=p, is_confirmed=p <= level and each.gap > 0 and each.implied is None)
        for each, p in zip(measured, adjusted, strict=True)
    ]


def _measure(
    each: Slice,
    rows: Sequence[Attributes],
    values: np.ndarray,
    drawn_for: Sequence[Slice | None],
    units: Sequence[Any],
    key: int,
    permutations: int,
) -> Confirmation:
    is_base = np.array([target is None for target in drawn_for], bool)
    own_rows = np.array([target == each for target in drawn_for], bool)
    holds = np.array([each.holds(row) for row in rows], bool)
    mask, rest = holds & (is_base | own_rows), is_base & ~holds
    if not mask.any() or not rest.any():
        return Confirmation(each, int(mask.sum()), int(rest.sum()), 0.0, 0.0, -1.0, 1.0, 1.0, 1.0, None, False)
    used = mask | rest
    p = float(permutation_test(mask[used][None], values[used], key, permutations)[0])
    names = np.asarray(units, str)
    own = intervals.estimate_accuracy(values[mask], list(names[mask]))
    gap = intervals.subtract(intervals.estimate_accuracy(values[rest], list(names[rest])), own)
    implied = None
    for parent in each.parents:
        beside = rest & np.array([parent.holds(row) for row in rows], bool)
        if implied is None and beside.any() and values[beside].mean() <= own.mean:
            implied = parent
    sizes = int(mask.sum()), int(rest.sum())
    return Confirmation(
        each, *sizes, float(own.mean), *(float(x) for x in gap), p=p, p_holm=1.0, implied=implied, is_confirmed=False
    )
