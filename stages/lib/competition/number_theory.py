"""Number theory: remainders, powers, divisors, digits, floors, coins."""

from __future__ import annotations

import re
from math import factorial, gcd, prod

from stages.lib.competition.family import Draw, Family, Params, numbered
from stages.lib.records import Step

PRIMES = tuple(n for n in range(2, 1000) if all(n % d for d in range(2, int(n**0.5) + 1)))


def prime_factors(n: int) -> list[int]:
    """Distinct, ascending."""
    return [p for p in PRIMES if p <= n and n % p == 0]


# The least number that leaves given remainders.


def _remainders(draw: Draw, level: int) -> Params | None:
    count = 3 if level == 3 else 2
    pool = range(3, 14) if level < 2 else range(7, 32) if level == 2 else range(4, 14)
    moduli = sorted(draw("moduli").sample(pool, count))
    if any(gcd(a, b) > 1 for i, a in enumerate(moduli) for b in moduli[:i]) or not 30 <= prod(moduli) <= 1000:
        return None
    return {"moduli": moduli, "remainders": [draw(f"remainder {i}").randrange(1, m) for i, m in enumerate(moduli)]}


def _join(n: int, m: int, r: int, k: int) -> int:
    """How often m must be added to n to leave r modulo k."""
    return (r - n) * pow(m, -1, k) % k


def _remainders_closed(p: Params) -> int:
    n, m = p["remainders"][0], p["moduli"][0]
    for r, k in zip(p["remainders"][1:], p["moduli"][1:], strict=True):
        n, m = n + m * _join(n, m, r, k), m * k
    return n


def _remainders_brute(p: Params) -> int:
    pairs = list(zip(p["remainders"], p["moduli"], strict=True))
    return next(n for n in range(1, prod(p["moduli"]) + 1) if all(n % m == r for r, m in pairs))


def _remainders_steps(p: Params) -> list[Step]:
    n, m = p["remainders"][0], p["moduli"][0]
    lines: list[tuple[str, int | str]] = [
        (f"Numbers that leave {n} modulo {m} are n = {n} + {m}k; the first is {n}.", n)
    ]
    for r, k in zip(p["remainders"][1:], p["moduli"][1:], strict=True):
        t = _join(n, m, r, k)
        lines.append((f"Modulo {k}, {n} + {m}t must be {r}; the least such t is {t}.", t))
        lines.append((f"So n = {n} + {m} * {t} = {n + m * t}, unique modulo {m} * {k} = {m * k}.", n + m * t))
        n, m = n + m * t, m * k
    return numbered(lines)


def _conditions(p: Params) -> dict[str, str]:
    parts = [f"{r} when divided by {m}" for r, m in zip(p["remainders"], p["moduli"], strict=True)]
    return {"conditions": ", ".join(parts[:-1]) + " and " + parts[-1]}


def _conditions_read(fields: dict[str, str]) -> Params:
    found = re.findall(r"(\d+) when divided by (\d+)", fields["conditions"])
    return {"moduli": [int(m) for _, m in found], "remainders": [int(r) for r, _ in found]}


REMAINDERS = Family(
    "remainder_system", "number theory", _remainders, _remainders_closed, _remainders_brute,
    ("Find the least positive integer that leaves a remainder of {conditions}.",
     "A positive integer n leaves a remainder of {conditions}. Find the smallest possible value of n.",
     "Coins are counted into equal piles: there remain {conditions}. What is the smallest number of coins?"),
    _remainders_steps, lambda p: prod(p["moduli"]), _conditions, _conditions_read,
)  # fmt: skip


# Powers modulo m.


def _power(draw: Draw, level: int) -> Params | None:
    m = draw("m").randint(*((30, 99), (100, 400), (400, 1000))[level - 1])
    n = draw("n").randint(*((5, 8), (9, 16), (17, 40))[level - 1])
    return {"a": draw("a").randint(2, 9 + 10 * level), "n": n, "m": m}


def _power_chain(p: Params) -> list[tuple[int, int]]:
    """(exponent, remainder) along the binary digits of n from the left: doubled, and once more where the digit is 1."""
    chain, e, value = [], 1, p["a"] % p["m"]
    for digit in bin(p["n"])[3:]:
        e, value = 2 * e, value * value % p["m"]
        chain.append((e, value))
        if digit == "1":
            e, value = e + 1, value * p["a"] % p["m"]
            chain.append((e, value))
    return chain


def _power_brute(p: Params) -> int:
    return p["a"] ** p["n"] % p["m"]


def _power_steps(p: Params) -> list[Step]:
    a, m, lines, before = p["a"], p["m"], [], (1, p["a"] % p["m"])
    for e, value in _power_chain(p):
        by = before[1] if e == 2 * before[0] else a
        lines.append((f"{a}^{e} leaves {before[1]} * {by} = {before[1] * by}, modulo {m} that is {value}.", value))
        before = (e, value)
    return numbered(lines)


POWER = Family(
    "power_remainder", "number theory", _power, lambda p: _power_chain(p)[-1][1], _power_brute,
    ("Find the remainder when {a}^{n} is divided by {m}.",
     "What remainder does {a}^{n} leave when it is divided by {m}?",
     "The number N = {a}^{n} is divided by {m}. Find the remainder."),
    _power_steps, lambda p: p["n"] * p["m"],
)  # fmt: skip


# Multiplicative order.


def _order(draw: Draw, level: int) -> Params | None:
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


def _order_brute(p: Params) -> int:
    value, k = p["a"] % p["m"], 1
    while value != 1:
        value, k = value * p["a"] % p["m"], k + 1
    return k


def _order_steps(p: Params) -> list[Step]:
    a, m = p["a"], p["m"]
    lines: list[tuple[str, int | str]] = [
        (f"{m} is prime, so by Fermat {a}^{m - 1} leaves 1; k divides {m - 1}.", m - 1)
    ]
    for q, tried, value, kept in _order_chain(p):
        end = "so k divides it" if value == 1 else f"so {q} cannot be taken out"
        lines.append((f"{a}^{tried} leaves {value} modulo {m}, {end}; {kept} is left.", kept))
    lines.append((f"Nothing more can be taken out, so k = {_order_chain(p)[-1][3]}.", _order_chain(p)[-1][3]))
    return numbered(lines)


ORDER = Family(
    "order_modulo_prime", "number theory", _order, lambda p: _order_chain(p)[-1][3], _order_brute,
    ("Find the least positive integer k such that {a}^k leaves a remainder of 1 when divided by {m}.",
     "What is the smallest positive integer k for which {a}^k - 1 is divisible by {m}?",
     "Let k be the smallest positive exponent for which {m} divides {a}^k - 1. Find k."),
    _order_steps, lambda p: _order_brute(p),
)  # fmt: skip


# Divisors with a condition.


def _divisors(draw: Draw, level: int) -> Params | None:
    low, high = ((3, 17), (3, 8), (6, 12))[level - 1]
    names = ("a", "b", "c")[: 2 if level == 1 else 3]
    exponents = {name: draw(name).randint(low, high) for name in names}
    inner = {f"{name}0": draw(f"{name}0").randint(1, exponents[name] - 1) for name in names}
    return exponents | inner


def _divisors_parts(p: Params) -> list[tuple[int, int, int]]:
    return [(prime, p[name], p[f"{name}0"]) for prime, name in zip((2, 3, 5), "abc", strict=True) if name in p]


def _divisors_closed(p: Params) -> int:
    parts = _divisors_parts(p)
    return prod(e + 1 for _, e, _ in parts) - prod(e0 + 1 for _, _, e0 in parts)


def _divisors_brute(p: Params) -> int:
    parts = _divisors_parts(p)
    small, divisors = prod(q**e0 for q, _, e0 in parts), [1]
    for q, e, _ in parts:
        divisors = [d * q**k for d in divisors for k in range(e + 1)]
    return sum(small % d != 0 for d in divisors)


def _divisors_steps(p: Params) -> list[Step]:
    parts = _divisors_parts(p)
    every, some = prod(e + 1 for _, e, _ in parts), prod(e0 + 1 for _, _, e0 in parts)
    product = " * ".join(f"({e} + 1)" for _, e, _ in parts), " * ".join(f"({e} + 1)" for _, _, e in parts)
    return numbered([
        (f"M has {product[0]} = {every} positive divisors.", every),
        (f"N divides M, and N has {product[1]} = {some} positive divisors, all of them divisors of M.", some),
        (f"The others are {every} - {some} = {every - some}.", every - some),
    ])  # fmt: skip


def _divisors_words(p: Params) -> dict[str, str]:
    parts = _divisors_parts(p)
    return {"M": " * ".join(f"{q}^{e}" for q, e, _ in parts), "N": " * ".join(f"{q}^{e}" for q, _, e in parts)}


def _divisors_read(fields: dict[str, str]) -> Params:
    big, small = (re.findall(r"\d+\^(\d+)", fields[name]) for name in "MN")
    return {n: int(e) for n, e in zip("abc", big, strict=False)} | {
        f"{n}0": int(e) for n, e in zip("abc", small, strict=False)
    }


DIVISORS = Family(
    "divisors_not_shared", "number theory", _divisors, _divisors_closed, _divisors_brute,
    ("Let M = {M} and N = {N}. How many positive divisors of M are not divisors of N?",
     "Find the number of positive integers that divide M = {M} but do not divide N = {N}.",
     "How many positive integers divide M = {M} without dividing N = {N}?"),
    _divisors_steps, lambda p: prod(e + 1 for _, e, _ in _divisors_parts(p)), _divisors_words, _divisors_read,
)  # fmt: skip


# Zeros at the end of a factorial in base b.


def _zeros(draw: Draw, level: int) -> Params | None:
    base = draw("b").choice(((10, 5, 7), (6, 14, 15, 21), (12, 18, 20, 45))[level - 1])
    return {"n": draw("n").randint(40, (600, 1200, 1800)[level - 1]), "b": base}


def _legendre(n: int, q: int) -> list[int]:
    terms = []
    while n >= q:
        n //= q
        terms.append(n)
    return terms


def _exponent(b: int, q: int) -> int:
    e = 0
    while b % q == 0:
        b, e = b // q, e + 1
    return e


def _zeros_closed(p: Params) -> int:
    return min(sum(_legendre(p["n"], q)) // _exponent(p["b"], q) for q in prime_factors(p["b"]))


def _zeros_brute(p: Params) -> int:
    value, zeros = factorial(p["n"]), 0
    while True:
        value, digit = divmod(value, p["b"])
        if digit:
            return zeros
        zeros += 1


def _zeros_steps(p: Params) -> list[Step]:
    n, b, lines, found = p["n"], p["b"], [], []
    for q in prime_factors(b):
        terms, e = _legendre(n, q), _exponent(b, q)
        lines.append((f"The exponent of {q} in {n}! is {' + '.join(map(str, terms))} = {sum(terms)}.", sum(terms)))
        found.append(sum(terms) // e)
        lines.append((f"{b} takes {q}^{e}, so there are enough factors {q} for {found[-1]} zeros.", found[-1]))
    lines.append(
        (f"The number of zeros is the smallest of {', '.join(map(str, found))}, which is {min(found)}.", min(found))
    )
    return numbered(lines)


ZEROS = Family(
    "factorial_zeros", "number theory", _zeros, _zeros_closed, _zeros_brute,
    ("In how many zeros does {n}! end when it is written in base {b}?",
     "Find the number of zeros at the end of the base-{b} representation of {n}!.",
     "Let k be the largest integer for which {b}^k divides {n}!. Find k."),
    _zeros_steps, lambda p: p["n"],
)  # fmt: skip


# Digit sums.


def _digits(draw: Draw, level: int) -> Params | None:
    return {"n": draw("n").randint(*((8, 40), (20, 80), (40, 105))[level - 1]),
            "k": draw("k").randint(2, (99, 999, 99999)[level - 1])}  # fmt: skip


def _digit_sum(n: int) -> int:
    total = 0
    while n:
        n, digit = divmod(n, 10)
        total += digit
    return total


def _digits_steps(p: Params) -> list[Step]:
    n, k = p["n"], p["k"]
    nines, less = 9 * n, _digit_sum(k - 1)
    return numbered([
        (f"N = (10^{n} - 1) - {k - 1}, and 10^{n} - 1 has {n} digits 9 with sum 9 * {n} = {nines}.", nines),
        (f"Taking {k - 1} away needs no borrowing and lowers the sum by the digit sum of {k - 1}, which is {less}.", less),
        (f"The digit sum of N is {nines} - {less} = {nines - less}.", nines - less),
    ])  # fmt: skip


DIGITS = Family(
    "digit_sum", "number theory", _digits, lambda p: 9 * p["n"] - _digit_sum(p["k"] - 1),
    lambda p: sum(map(int, str(10 ** p["n"] - p["k"]))),
    ("Find the sum of the digits of the number 10^{n} - {k}.",
     "The number N = 10^{n} - {k} is written in base ten. What is the sum of its digits?",
     "What is the sum of the decimal digits of 10^{n} - {k}?"),
    _digits_steps, lambda p: p["n"],
)  # fmt: skip


# Sums of floors.


def _floors(draw: Draw, level: int) -> Params | None:
    low, high = ((6, 30), (15, 42), (25, 70))[level - 1]
    a, b = draw("a").randint(low, high), draw("b").randint(low, high)
    return {"a": a, "b": b, "n": b - 1} if gcd(a, b) == 1 else None


def _floors_steps(p: Params) -> list[Step]:
    a, b = p["a"], p["b"]
    return numbered([
        (f"As {a} and {b} share no factor, the terms for k and {b} - k add up to {a} - 1 = {a - 1}.", a - 1),
        (f"Added to itself in reverse, the sum gives {b - 1} such pairs: {b - 1} * {a - 1} = {(b - 1) * (a - 1)}.",
         (b - 1) * (a - 1)),
        (f"The sum is half of it: {(b - 1) * (a - 1)} / 2 = {(b - 1) * (a - 1) // 2}.", (b - 1) * (a - 1) // 2),
    ])  # fmt: skip


FLOORS = Family(
    "floor_sum", "number theory", _floors, lambda p: (p["a"] - 1) * (p["b"] - 1) // 2,
    lambda p: sum(p["a"] * k // p["b"] for k in range(1, p["n"] + 1)),
    ("For a real number x, let [x] be the greatest integer not exceeding x. "
     "Find the sum of [{a}k/{b}] over all integers k from 1 to {n}.",
     "Let [x] denote the largest integer that is at most x. Evaluate the sum of the numbers [{a}k/{b}] for "
     "k = 1, 2, ..., {n}.",
     "For each integer k from 1 to {n}, the fraction {a}k/{b} is rounded down to an integer. Find the sum of these "
     "integers."),
    _floors_steps, lambda p: p["n"],
)  # fmt: skip


# Two coins.


def _coins(draw: Draw, level: int) -> Params | None:
    low, high = ((5, 30), (12, 33), (15, 45))[level - 1]
    a, b = sorted((draw("a").randint(low, high), draw("b").randint(low, high)))
    if gcd(a, b) > 1 or a == b:
        return None
    return {"a": a, "b": b}


def _payable(p: Params) -> list[bool]:
    a, b = p["a"], p["b"]
    able = [True] + [False] * (a * b)
    for amount in range(1, len(able)):
        able[amount] = any(amount >= coin and able[amount - coin] for coin in (a, b))
    return able


def _coins_steps(p: Params) -> list[Step]:
    a, b = p["a"], p["b"]
    return numbered([
        (f"Of the amounts with one remainder modulo {a}, the least that can be paid is a multiple of {b}.", b),
        (f"The largest of these {a} multiples is {a - 1} * {b} = {(a - 1) * b}.", (a - 1) * b),
        (f"The amount {a} below it is the largest that cannot be paid: {(a - 1) * b} - {a} = {a * b - a - b}.",
         a * b - a - b),
    ])  # fmt: skip


COINS = Family(
    "two_coins", "number theory", _coins, lambda p: p["a"] * p["b"] - p["a"] - p["b"],
    lambda p: max(amount for amount, able in enumerate(_payable(p)) if not able),
    ("In a country there are only coins worth {a} and {b}. Find the largest whole amount that cannot be paid exactly.",
     "Find the largest integer that cannot be written as {a}x + {b}y with nonnegative integers x and y.",
     "Stamps come in values of {a} and {b} cents, as many of each as wanted. "
     "What is the largest number of cents that they cannot make?"),
    _coins_steps, lambda p: p["a"] * p["b"],
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (REMAINDERS, POWER, ORDER, DIVISORS, ZEROS, DIGITS, FLOORS, COINS)
