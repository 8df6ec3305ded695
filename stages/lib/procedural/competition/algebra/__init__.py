"""Algebra: roots of polynomials, sequences, equations."""

from stages.lib.procedural.competition.algebra import equations, roots, sequences, systems
from stages.lib.procedural.competition.family import collect_families

FAMILIES = collect_families(roots, equations, systems, sequences)
