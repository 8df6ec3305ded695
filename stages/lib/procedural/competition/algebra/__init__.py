"""Algebra: roots of polynomials, sequences, equations."""

from __future__ import annotations

from stages.lib.procedural.competition.algebra import equations, roots, sequences, systems
from stages.lib.procedural.competition.family import Family

FAMILIES: tuple[Family, ...] = tuple(
    family for module in (roots, equations, systems, sequences) for family in module.FAMILIES
)
