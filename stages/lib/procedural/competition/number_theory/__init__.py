"""Number theory: congruences, orders, coins, divisors, digits."""

from __future__ import annotations

from stages.lib.procedural.competition.family import Family
from stages.lib.procedural.competition.number_theory import coins, congruences, digits, divisors, multiplicative_order

FAMILIES: tuple[Family, ...] = tuple(
    family for module in (congruences, multiplicative_order, coins, divisors, digits) for family in module.FAMILIES
)
