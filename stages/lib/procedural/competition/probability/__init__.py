"""Probability and expectation, answers p + q for a fraction p/q in lowest terms."""

from stages.lib.procedural.competition.family import collect_families
from stages.lib.procedural.competition.probability import draws, games, waiting_times

FAMILIES = collect_families(draws, games, waiting_times)
