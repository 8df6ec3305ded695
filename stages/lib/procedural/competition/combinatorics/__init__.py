"""Combinatorics: grids, words and tilings, exclusion, shares, necklaces."""

from __future__ import annotations

from stages.lib.procedural.competition.combinatorics import compositions, grids, inclusion_exclusion, necklaces, words
from stages.lib.procedural.competition.family import Family

FAMILIES: tuple[Family, ...] = tuple(
    family for module in (grids, words, inclusion_exclusion, compositions, necklaces) for family in module.FAMILIES
)
