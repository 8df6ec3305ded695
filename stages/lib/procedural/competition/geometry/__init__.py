"""Geometry in rational and quadratic-surd coordinates: lengths, triangles, lattice points."""

from __future__ import annotations

from stages.lib.procedural.competition.family import Family
from stages.lib.procedural.competition.geometry import lengths, triangles

FAMILIES: tuple[Family, ...] = (*triangles.FAMILIES, *lengths.FAMILIES)
