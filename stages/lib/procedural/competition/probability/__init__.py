"""Probability and expectation, answers p + q for a fraction p/q in lowest terms."""

from __future__ import annotations

from stages.lib.procedural.competition.family import Family
from stages.lib.procedural.competition.probability import draws, games, waiting_times

FAMILIES: tuple[Family, ...] = tuple(family for module in (draws, games, waiting_times) for family in module.FAMILIES)
