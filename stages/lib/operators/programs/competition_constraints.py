"""Constraints on the parameters of each competition family, so that a problem with other values makes sense.

`Family.sample` draws valid parameters but cannot tell whether given ones are valid. That both solvers agree is not enough:
if a die must show more than it has, both call it impossible. The operators `premise` and `unknowns` do not change a family
without a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import gcd, isqrt
from typing import Any

Params = Mapping[str, Any]


def _is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, isqrt(n) + 1))


def _are_distinct(values: list[Any]) -> bool:
    return len({str(value) for value in values}) == len(values)


def _is_triangle(p: Params) -> bool:
    """Whether three points (a, b), (c, d), (e, f) make a triangle."""
    return (p["c"] - p["a"]) * (p["f"] - p["b"]) != (p["e"] - p["a"]) * (p["d"] - p["b"])


def _has_several_solutions(p: Params) -> bool:
    """Whether cxy + ax + by = n has two solutions in positive integers: (cx + b)(cy + a) = cn + ab."""
    (a, b, c), whole = (p[key] for key in "abc"), p["c"] * p["n"] + p["a"] * p["b"]
    if not a or not b or whole <= 0 or gcd(a, b, c, p["n"]) > 1:
        return False
    factors = [d for d in range(1, whole + 1) if whole % d == 0 and d > b and whole // d > a]
    return sum((d - b) % c == 0 == (whole // d - a) % c for d in factors) > 1


def _has_positive_integer_roots(p: Params) -> bool:
    """Whether the three unknowns of a symmetric system are positive integers."""
    (a, b, c), k = p["right"], p["k"]
    sums = p["kind"] == "sums"  # x(y + z) = a, and so on: half of all, less one of them, is a product
    if sums and (a + b + c) % 2:
        return False
    xy, yz, zx = (
        ((a + b + c) // 2 - other for other in (c, a, b)) if sums else (product + k * k for product in (a, b, c))
    )
    if min(xy, yz, zx) < 1:
        return False
    tops = ((xy * zx, yz), (xy * yz, zx), (yz * zx, xy))
    return all(top % below == 0 and isqrt(top // below) ** 2 == top // below > k * k for top, below in tops)


def _accept_any(p: Params) -> bool:
    return True


CONSTRAINTS: dict[str, Callable[[Params], bool]] = {
    "remainder_system": lambda p: all(0 < r < m for r, m in zip(p["remainders"], p["moduli"], strict=True)),
    "power_remainder": lambda p: p["modulus"] > 1,
    "power_counts": lambda p: gcd(p["base"], p["modulus"]) == 1 and 0 < p["remainder"] < p["modulus"],
    "purchases": lambda p: p["cheap"] < p["dear"] and gcd(p["cheap"], p["dear"]) == 1,
    "order_modulo_prime": lambda p: _is_prime(p["m"]) and p["a"] % p["m"] > 1,
    "two_coins": lambda p: p["coins"] == sorted(set(p["coins"])) and p["coins"][0] > 1 and gcd(*p["coins"]) == 1,
    "divisors": lambda p: min(p["powers"]) > 1 and _are_distinct(p["bases"]) and set(p["bases"]) <= _SMOOTH_NUMBERS,
    "factorial_zeros": lambda p: p["base"] > 1 and p["n"] > p["base"],
    "digit_sum": lambda p: len(str(p["less"])) < p["length"] and (not p["middle"] or 5 < p["place"] < p["length"] - 3),
    "floor_sum": lambda p: gcd(p["a"], p["b"]) == 1 < p["b"] <= p["n"],
    "lattice_paths": lambda p: (
        all(x <= p["end"][0] and y <= p["end"][1] for x, y in p["closed"])
        and _are_distinct([*p["closed"], p["end"], [0, 0]])
    ),
    "rectangles": lambda p: (
        all(r <= p["size"][0] and c <= p["size"][1] for r, c in p["squares"]) and _are_distinct(p["squares"])
    ),
    "codes": _accept_any,
    "tilings": lambda p: _are_distinct(p["lengths"]),
    "multiples": lambda p: _are_distinct(p["divisors"]) and max(p["divisors"]) < p["n"],
    "refused_lanes": lambda p: max(lane for _, lane in p["refused"]) <= p["n"] and _are_distinct(p["refused"]),
    "bounded_shares": lambda p: (
        all(a < b for a, b in zip(p["low"], p["high"], strict=True)) and sum(p["low"]) <= p["total"] <= sum(p["high"])
    ),
    "change": lambda p: 1 < p["coins"][1] < p["coins"][2] < p["total"],
    "necklaces": lambda p: p["n"] > 2 and p["k"] > 1 and p["k"] ** p["n"] <= 20000,
    "power_sums_of_roots": _accept_any,
    "shifted_roots": _accept_any,
    "functional_equation": _accept_any,
    "factorable_equation": _has_several_solutions,
    "arithmetic_sequence": lambda p: p["m"] < p["n"] and p["u"] != p["v"],
    "hidden_period": _accept_any,
    "logarithm_system": lambda p: p["g"] > 1,
    "symmetric_system": _has_positive_integer_roots,
    "roots_of_unity": lambda p: 2 < p["n"] < 14 and p["a"] > 1,
    "telescoping_sum": _accept_any,
    "triangle_area": lambda p: _is_triangle(p) and p["m"] != p["n"] and gcd(p["m"], p["n"]) == 1,
    "cevian_length": lambda p: abs(p["b"] - p["c"]) < p["m"] + p["n"] < p["b"] + p["c"],
    "box_diagonal": _accept_any,
    "shortest_way_by_a_line": lambda p: p["a"] < p["c"],
    "common_tangent": lambda p: p["r"] != p["s"],
    "inradius": lambda p: 2 * max(p["a"], p["b"], p["c"]) < p["a"] + p["b"] + p["c"],
    "lattice_points_inside": _accept_any,
    "dice_sum": lambda p: p["s"] > 3 and p["k"] <= p["t"] <= p["k"] * p["s"] and p["k"] < 5,
    "drawing_without_replacement": lambda p: 0 < p["j"] < p["k"] and p["j"] <= p["r"] and p["k"] - p["j"] <= p["b"],
    "gamblers_ruin": lambda p: 0 < p["i"] < p["n"] and p["w"] != p["l"],
    "expected_wait": lambda p: p["f"] <= p["g"] < p["n"],
    "meeting": lambda p: 0 < p["a"] < p["u"] and 0 < p["b"] < p["t"],
    "collecting": lambda p: 0 < p["have"] < p["want"] <= p["kinds"],
    "taking_turns": lambda p: 0 < p["a"] < p["b"] and 0 < p["c"] < p["d"],
}
_SMOOTH_NUMBERS = frozenset(n for n in range(2, 100) if all(n % p for p in range(11, 100) if _is_prime(p)))


def satisfies_constraints(family: str, params: Params) -> bool:
    """Whether the family can have these parameters; False for unknown families and parameters."""
    try:
        return CONSTRAINTS[family](params)
    except (LookupError, TypeError):
        return False
