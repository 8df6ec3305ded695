"""The order of a number modulo a prime."""

from __future__ import annotations

from collections.abc import Iterable

from stages.lib.procedural.competition.family import Draw, Family, Line, Params
from stages.lib.procedural.competition.number_theory.congruences import PRIMES


def list_prime_factors(n: int) -> list[int]:
    """Distinct, ascending."""
    return [p for p in PRIMES if p <= n and n % p == 0]


def _reduce_order(p: Params) -> list[tuple[int, int, int, int]]:
    """(prime q, exponent tried, remainder there, exponent kept) for every division of m - 1 by a prime."""
    e, chain = p["m"] - 1, []
    for q in list_prime_factors(p["m"] - 1):
        while e % q == 0:
            tried, value = e // q, pow(p["a"], e // q, p["m"])
            e = tried if value == 1 else e
            chain.append((q, tried, value, e))
            if value != 1:
                break
    return chain


class OrderModuloPrime(Family):
    """The order of a number modulo a prime. Closed form: primes taken out of m - 1. Brute force: every exponent."""

    name, area = "order_modulo_prime", "number theory"
    phrasings = (
        "Find the least positive integer k such that {a}^k leaves a remainder of 1 when divided by {m}.",
        "What is the smallest positive integer k for which {a}^k - 1 is divisible by {m}?",
        "Let k be the smallest positive exponent for which {m} divides {a}^k - 1. Find k.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((11, 250), (101, 500), (300, 1000))[level - 1]
        m = draw("m").choice([q for q in PRIMES if low <= q <= high])
        return {"a": draw("a").randint(2, min(m - 1, 30)), "m": m}

    def sample_easiest(self, draw: Draw) -> Params | None:
        m = draw("m").choice([q for q in PRIMES if 7 <= q <= 31])
        return {"a": draw("a").randint(2, min(m - 1, 12)), "m": m}

    def solve_closed(self, p: Params) -> int:
        return _reduce_order(p)[-1][3]

    def solve_brute(self, p: Params) -> int:
        value, k = p["a"] % p["m"], 1
        while value != 1:
            value, k = value * p["a"] % p["m"], k + 1
        return k

    def write_lines(self, p: Params) -> Iterable[Line]:
        a, m = p["a"], p["m"]
        yield f"{m} is prime, so by Fermat {a}^{m - 1} leaves 1; k divides {m - 1}.", m - 1
        for q, tried, value, kept in _reduce_order(p):
            end = f"so k divides {tried}" if value == 1 else f"so {q} cannot be taken out"
            yield f"{a}^{tried} leaves {value} modulo {m}, {end}; {kept} is left.", kept
        yield f"Nothing more can be taken out, so k = {_reduce_order(p)[-1][3]}."

    def count_work(self, p: Params) -> int:
        return self.solve_brute(p)
