"""Combinatorics: grids, words and tilings, exclusion, shares, necklaces."""

from stages.lib.procedural.competition.combinatorics import compositions, grids, inclusion_exclusion, necklaces, words
from stages.lib.procedural.competition.family import collect_families

FAMILIES = collect_families(grids, words, inclusion_exclusion, compositions, necklaces)
