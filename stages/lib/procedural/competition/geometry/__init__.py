"""Geometry in rational and quadratic-surd coordinates: lengths, triangles, lattice points."""

from stages.lib.procedural.competition.family import collect_families
from stages.lib.procedural.competition.geometry import lengths, triangles

FAMILIES = collect_families(triangles, lengths)
