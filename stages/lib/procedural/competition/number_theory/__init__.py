"""Number theory: congruences, orders, coins, divisors, digits."""

from stages.lib.procedural.competition.family import collect_families
from stages.lib.procedural.competition.number_theory import coins, congruences, digits, divisors, multiplicative_order

FAMILIES = collect_families(congruences, multiplicative_order, coins, divisors, digits)
