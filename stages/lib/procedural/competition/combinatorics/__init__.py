"""Combinatorics: grids, words and tilings, exclusion, shares, necklaces."""

from __future__ import annotations

from stages.lib.procedural.competition.combinatorics import exclusion, grids, necklaces, shares, words
from stages.lib.procedural.competition.family import Family

FAMILIES: tuple[Family, ...] = tuple(
    family for module in (grids, words, exclusion, shares, necklaces) for family in module.FAMILIES
)
