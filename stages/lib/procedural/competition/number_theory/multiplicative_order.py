"""The order of a number modulo a prime."""

from __future__ import annotations

from stages.lib.core.records import Step
from stages.lib.procedural.competition.family import Draw, Family, Params, number_steps
from stages.lib.procedural.competition.number_theory.congruences import PRIMES


def prime_factors(n: int) -> list[int]:
    """Distinct, ascending."""
    return [p for p in PRIMES if p <= n and n % p == 0]


# Multiplicative order.


def _sample_order(draw: Draw, level: int) -> Params | None:
    low, high = ((11, 250), (101, 500), (300, 1000))[level - 1]
    m = draw("m").choice([q for q in PRIMES if low <= q <= high])
    return {"a": draw("a").randint(2, min(m - 1, 30)), "m": m}


def _order_chain(p: Params) -> list[tuple[int, int, int, int]]:
    """(prime q, exponent tried, remainder there, exponent kept) for every division of m - 1 by a prime."""
    e, chain = p["m"] - 1, []
    for q in prime_factors(p["m"] - 1):
        while e % q == 0:
            tried, value = e // q, pow(p["a"], e // q, p["m"])
            e = tried if value == 1 else e
            chain.append((q, tried, value, e))
            if value != 1:
                break
    return chain


def _brute_force_order(p: Params) -> int:
    value, k = p["a"] % p["m"], 1
    while value != 1:
        value, k = value * p["a"] % p["m"], k + 1
    return k


def _write_order_steps(p: Params) -> list[Step]:
    a, m = p["a"], p["m"]
    lines: list[tuple[str, int | str]] = [
        (f"{m} is prime, so by Fermat {a}^{m - 1} leaves 1; k divides {m - 1}.", m - 1)
    ]
    for q, tried, value, kept in _order_chain(p):
        end = f"so k divides {tried}" if value == 1 else f"so {q} cannot be taken out"
        lines.append((f"{a}^{tried} leaves {value} modulo {m}, {end}; {kept} is left.", kept))
    lines.append((f"Nothing more can be taken out, so k = {_order_chain(p)[-1][3]}.", _order_chain(p)[-1][3]))
    return number_steps(lines)


ORDER = Family(
    "order_modulo_prime",
    "number theory",
    _sample_order,
    lambda p: _order_chain(p)[-1][3],
    _brute_force_order,
    (
        "Find the least positive integer k such that {a}^k leaves a remainder of 1 when divided by {m}.",
        "What is the smallest positive integer k for which {a}^k - 1 is divisible by {m}?",
        "Let k be the smallest positive exponent for which {m} divides {a}^k - 1. Find k.",
    ),
    _write_order_steps,
    lambda p: _brute_force_order(p),
)

FAMILIES: tuple[Family, ...] = (ORDER,)
