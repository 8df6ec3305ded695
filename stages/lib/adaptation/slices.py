"""Slices: the problems that share one or two values of known attributes, such as `operator=steps & magnitude=3 digits`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

Attributes = Mapping[str, str]  # of a problem: attribute -> value; what it does not have is left out


class Slice(NamedTuple):
    """terms: one or two (attribute, value), which a problem of the slice has all."""

    terms: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return " & ".join(f"{attribute}={value}" for attribute, value in self.terms)

    @property
    def parents(self) -> list[Slice]:
        """The one-way slices that a two-way slice is the intersection of."""
        return [Slice((term,)) for term in self.terms] if len(self.terms) > 1 else []

    def holds(self, attributes: Attributes) -> bool:
        return all(attributes.get(attribute) == value for attribute, value in self.terms)


def list_slices(rows: Sequence[Attributes], attributes: Sequence[str], smallest: int) -> list[Slice]:
    """One-way slices, then two-way slices, in the order of `attributes` and of values.

    Left out: what has fewer than `smallest` rows inside or outside, and, of slices of the same rows, all but the first."""
    values = {name: sorted({row[name] for row in rows if name in row}) for name in attributes}
    terms = [(name, value) for name in attributes for value in values[name]]
    singles = [Slice((term,)) for term in terms]
    pairs = [Slice(pair) for pair in combinations(terms, 2) if pair[0][0] != pair[1][0]]
    kept: dict[bytes, Slice] = {}
    for each, mask in zip(singles + pairs, make_masks(singles + pairs, rows), strict=True):
        if smallest <= mask.sum() <= len(rows) - smallest:
            kept.setdefault(mask.tobytes(), each)
    return list(kept.values())


def make_masks(slices: Sequence[Slice], rows: Sequence[Attributes]) -> np.ndarray:
    """(slices, rows) whether the slice holds the row."""
    masks = [[each.holds(row) for row in rows] for each in slices]
    return np.array(masks, bool).reshape(len(slices), len(rows))
