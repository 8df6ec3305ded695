"""Algebra: roots of polynomials, functional equations, sequences, logarithms, roots of unity, telescoping sums."""

from __future__ import annotations

import cmath
import math
from fractions import Fraction

from stages.lib.competition.family import Draw, Family, Params, numbered, signed, unsigned
from stages.lib.records import Step

# Power sums of the roots of a quadratic.


def _roots(draw: Draw, level: int) -> Params | None:
    return {"k": level + 1, "s": draw("s").randint(2, (30, 14, 7)[level - 1]),
            "p": draw("p").choice([p for p in range(-40, 41) if p])}  # fmt: skip


def _power_sums(p: Params) -> list[int]:
    sums = [2, p["s"]]
    while len(sums) <= p["k"]:
        sums.append(p["s"] * sums[-1] - p["p"] * sums[-2])
    return sums


def _roots_brute(p: Params) -> int:
    """The trace of a power of the companion matrix."""
    companion, power = ((p["s"], -p["p"]), (1, 0)), ((1, 0), (0, 1))
    for _ in range(p["k"]):
        power = tuple(
            tuple(sum(row[i] * companion[i][column] for i in range(2)) for column in range(2)) for row in power
        )
    return power[0][0] + power[1][1]


def _roots_steps(p: Params) -> list[Step]:
    s, q, sums = p["s"], p["p"], _power_sums(p)
    lines: list[tuple[str, int | str]] = [(f"By Vieta r + t = {s} and rt = {q}.", s)]
    lines.append((f"r^2 + t^2 = {s} * {s} - 2 * ({q}) = {sums[2]}.", sums[2]))
    for k in range(3, p["k"] + 1):
        lines.append((f"r^{k} + t^{k} = {s} * ({sums[k - 1]}) - ({q}) * ({sums[k - 2]}) = {sums[k]}.", sums[k]))
    if len(lines) < 3:
        lines.insert(1, (f"The square of the sum is {s} * {s} = {s * s}.", s * s))
    return numbered(lines)


def _roots_words(p: Params) -> dict[str, str]:
    return {"s": str(p["s"]), "p": signed(p["p"]), "k": str(p["k"])}


def _roots_read(fields: dict[str, str]) -> Params:
    return {"k": int(fields["k"]), "s": int(fields["s"]), "p": unsigned(fields["p"])}


ROOTS = Family(
    "power_sums_of_roots", "algebra", _roots, lambda p: _power_sums(p)[p["k"]], _roots_brute,
    ("Let r and t be the complex roots of x^2 - {s}x {p} = 0, counted with multiplicity. Find r^{k} + t^{k}.",
     "The polynomial x^2 - {s}x {p} has roots r and t, which may be complex or equal. Compute r^{k} + t^{k}.",
     "If r and t are the two roots of the equation x^2 - {s}x {p} = 0, counted with multiplicity, what is r^{k} + t^{k}?"),
    _roots_steps, lambda p: p["k"] * 10, _roots_words, _roots_read,
)  # fmt: skip


# Shifted roots of a cubic.


def _cubic(draw: Draw, level: int) -> Params | None:
    size = (6, 12, 20)[level - 1]
    nonzero = [n for n in range(-size, size + 1) if n]
    return {"a": draw("a").choice(nonzero), "b": draw("b").choice(nonzero), "c": draw("c").choice(nonzero),
            "k": draw("k").randint(1, 3 + 2 * level)}  # fmt: skip


def _cubic_value(p: Params) -> int:
    """The polynomial at -k."""
    x = -p["k"]
    return ((x + p["a"]) * x + p["b"]) * x + p["c"]


def _cubic_brute(p: Params) -> int:
    """The determinant of companion matrix + k."""
    m = [[p["k"] - p["a"], -p["b"], -p["c"]], [1, p["k"], 0], [0, 1, p["k"]]]
    return sum(
        m[0][i] * (m[1][(i + 1) % 3] * m[2][(i + 2) % 3] - m[1][(i + 2) % 3] * m[2][(i + 1) % 3]) for i in range(3)
    )


def _cubic_steps(p: Params) -> list[Step]:
    a, b, c, k, value = p["a"], p["b"], p["c"], p["k"], _cubic_value(p)
    return numbered([
        (f"P(x) = (x - r)(x - s)(x - t), so P(-{k}) is minus the product asked for.", -k),
        (f"(-{k})^3 = {-(k**3)} and {a} * (-{k})^2 = {a * k * k}, together {a * k * k - k**3}.", a * k * k - k**3),
        (f"{b} * (-{k}) = {-b * k}, so P(-{k}) = {a * k * k - k**3} + ({-b * k}) + ({c}) = {value}.", value),
        (f"The product is {-value}.", -value),
    ])  # fmt: skip


def _cubic_words(p: Params) -> dict[str, str]:
    return {name: signed(p[name]) for name in "abc"} | {"k": str(p["k"])}


def _cubic_read(fields: dict[str, str]) -> Params:
    return {name: unsigned(fields[name]) for name in "abc"} | {"k": int(fields["k"])}


CUBIC = Family(
    "shifted_roots", "algebra", _cubic, lambda p: -_cubic_value(p), _cubic_brute,
    ("Let r, s and t be the complex roots of P(x) = x^3 {a}x^2 {b}x {c}, counted with multiplicity. "
     "Find (r + {k})(s + {k})(t + {k}).",
     "The polynomial P(x) = x^3 {a}x^2 {b}x {c} has the complex roots r, s and t, repeated roots repeated. "
     "Compute the product (r + {k})(s + {k})(t + {k}).",
     "If r, s, t are the three complex roots, with multiplicity, of P(x) = x^3 {a}x^2 {b}x {c}, what is the value of "
     "(r + {k})(s + {k})(t + {k})?"),
    _cubic_steps, lambda p: p["k"] * (abs(p["a"]) + abs(p["b"]) + abs(p["c"])), _cubic_words, _cubic_read,
)  # fmt: skip


# A functional equation on the integers.


def _function(draw: Draw, level: int) -> Params | None:
    return {
        "c": draw("c").randint(1, 2 * level + 2),
        "p": draw("p").randint(1, 12),
        "n": draw("n").randint(*((5, 9), (8, 16), (12, 30))[level - 1]),
    }


def _function_brute(p: Params) -> int:
    value = p["p"]
    for k in range(1, p["n"]):
        value += p["p"] + p["c"] * k
    return value


def _function_steps(p: Params) -> list[Step]:
    c, q, n = p["c"], p["p"], p["n"]
    pairs = n * (n - 1) // 2
    return numbered([
        (f"With y = 1, f(x + 1) = f(x) + {q} + {c}x, so f({n}) = {n} * {q} + {c} * (1 + 2 + ... + {n - 1}).", q),
        (f"1 + 2 + ... + {n - 1} = {n} * {n - 1} / 2 = {pairs}.", pairs),
        (f"{n} * {q} = {n * q} and {c} * {pairs} = {c * pairs}.", c * pairs),
        (f"f({n}) = {n * q} + {c * pairs} = {n * q + c * pairs}.", n * q + c * pairs),
    ])  # fmt: skip


FUNCTION = Family(
    "functional_equation", "algebra", _function, lambda p: p["n"] * p["p"] + p["c"] * p["n"] * (p["n"] - 1) // 2,
    _function_brute,
    ("A function f on the positive integers satisfies f(x + y) = f(x) + f(y) + {c}xy for all positive integers x and y, "
     "and f(1) = {p}. Find f({n}).",
     "Let f be defined on the positive integers with f(1) = {p} and f(x + y) = f(x) + f(y) + {c}xy for all x and y. "
     "What is f({n})?",
     "Suppose f(x + y) = f(x) + f(y) + {c}xy for all positive integers x, y. If f(1) = {p}, determine f({n})."),
    _function_steps, lambda p: p["n"],
)  # fmt: skip


# Two terms of an arithmetic sequence.


def _sequence(draw: Draw, level: int) -> Params | None:
    d = draw("d").choice([n for n in range(-3 * level, 4 * level + 4) if n])
    m = draw("m").randint(2, 4 + 2 * level)
    n = m + draw("n").randint(2, 4 + 3 * level)
    first = draw("first").randint(1, 40)
    k = draw("k").randint(n + 2, n + (5, 12, 30)[level - 1])
    return {"m": m, "u": first + (m - 1) * d, "n": n, "v": first + (n - 1) * d, "k": k}


def _sequence_closed(p: Params) -> int:
    d = (p["v"] - p["u"]) // (p["n"] - p["m"])
    first = p["u"] - (p["m"] - 1) * d
    return p["k"] * (2 * first + (p["k"] - 1) * d) // 2


def _sequence_brute(p: Params) -> int:
    """Try every difference, list the terms, add them up."""
    for d in range(-50, 51):
        terms = [p["u"] + (i - p["m"]) * d for i in range(1, p["k"] + 1)]
        if terms[p["m"] - 1] == p["u"] and terms[p["n"] - 1] == p["v"]:
            return sum(terms)
    raise ValueError("no difference fits")


def _sequence_steps(p: Params) -> list[Step]:
    m, u, n, v, k = (p[name] for name in "munvk")
    d = (v - u) // (n - m)
    first = u - (m - 1) * d
    last = first + (k - 1) * d
    return numbered([
        (f"The difference is ({v} - ({u})) / ({n} - {m}) = {v - u} / {n - m} = {d}.", d),
        (f"The first term is {u} - {m - 1} * ({d}) = {first}.", first),
        (f"Term {k} is {first} + {k - 1} * ({d}) = {last}.", last),
        (f"The sum is {k} * ({first} + ({last})) / 2 = {_sequence_closed(p)}.", _sequence_closed(p)),
    ])  # fmt: skip


SEQUENCE = Family(
    "arithmetic_sequence", "algebra", _sequence, _sequence_closed, _sequence_brute,
    ("In an arithmetic sequence, term number {m} is {u} and term number {n} is {v}. Find the sum of the first {k} terms.",
     "Term {m} of an arithmetic sequence equals {u}, and term {n} equals {v}. What is the sum of its first {k} terms?",
     "Numbers are written in a row so that each is larger than the one before by the same constant, which may be negative. "
     "Number {m} in the row is {u} and number {n} is {v}. Find the sum of the first {k} numbers."),
    _sequence_steps, lambda p: p["k"] * 100,
)  # fmt: skip


# A linear recursion.


def _recursion(draw: Draw, level: int) -> Params | None:
    return {"c": draw("c").randint(2, (4, 3, 3)[level - 1]), "d": draw("d").randint(1, 9), "a": draw("a").randint(1, 9),
            "n": draw("n").randint(*((3, 4), (4, 6), (5, 8))[level - 1])}  # fmt: skip


def _recursion_closed(p: Params) -> int:
    shift = Fraction(p["d"], p["c"] - 1)
    return int(p["c"] ** (p["n"] - 1) * (p["a"] + shift) - shift)


def _recursion_brute(p: Params) -> int:
    value = p["a"]
    for _ in range(p["n"] - 1):
        value = p["c"] * value + p["d"]
    return value


def _recursion_steps(p: Params) -> list[Step]:
    c, d, lines, value = p["c"], p["d"], [(f"The first term is {p['a']}.", p["a"])], p["a"]
    for n in range(2, p["n"] + 1):
        lines.append((f"Term {n} is {c} * {value} + {d} = {c * value + d}.", c * value + d))
        value = c * value + d
    return numbered(lines)


RECURSION = Family(
    "linear_recursion", "algebra", _recursion, _recursion_closed, _recursion_brute,
    ("A sequence begins with {a}, and every further term is {c} times the term before it plus {d}. Find term number {n}.",
     "Starting from {a}, a machine replaces the number x on its display by {c}x + {d} again and again. The number {a} "
     "counts as number 1. What is number {n}?",
     "Let the first term of a sequence be {a}, and let each later term be obtained from the previous one by multiplying by "
     "{c} and adding {d}. Determine term number {n} of the sequence."),
    _recursion_steps, lambda p: p["n"],
)  # fmt: skip


# A system of logarithms.


def _logs(draw: Draw, level: int) -> Params | None:
    u, v = draw("u").randint(1, 6 + 3 * level), draw("v").randint(1, 6 + 3 * level)
    a, b, c, d = (draw(name).randint(1, 3 + level) for name in "abcd")
    e, f = draw("e").randint(2, 6 + 6 * level), draw("f").randint(2, 6 + 6 * level)
    if a * d == b * c:
        return None
    return {
        "g": draw("g").randint(2, 9),
        "a": a,
        "b": b,
        "A": a * u + b * v,
        "c": c,
        "d": d,
        "B": c * u + d * v,
        "e": e,
        "f": f,
    }


def _logs_solution(p: Params) -> tuple[int, int, int]:
    det = p["a"] * p["d"] - p["b"] * p["c"]
    return det, (p["A"] * p["d"] - p["b"] * p["B"]) // det, (p["a"] * p["B"] - p["A"] * p["c"]) // det


def _logs_brute(p: Params) -> int:
    found = [
        (u, v)
        for u in range(p["A"] + 1)
        for v in range(p["A"] + 1)
        if p["a"] * u + p["b"] * v == p["A"] and p["c"] * u + p["d"] * v == p["B"]
    ]
    ((u, v),) = found
    return p["e"] * u + p["f"] * v


def _logs_steps(p: Params) -> list[Step]:
    det, u, v = _logs_solution(p)
    g, e, f = p["g"], p["e"], p["f"]
    return numbered([
        (f"With u = log_{g} x and v = log_{g} y: {p['a']}u + {p['b']}v = {p['A']} and {p['c']}u + {p['d']}v = {p['B']}; "
         f"the determinant is {det}.", det),
        (f"u = ({p['A']} * {p['d']} - {p['b']} * {p['B']}) / ({det}) = {u}.", u),
        (f"v = ({p['a']} * {p['B']} - {p['A']} * {p['c']}) / ({det}) = {v}.", v),
        (f"The logarithm asked for is {e} * {u} + {f} * {v} = {e * u + f * v}.", e * u + f * v),
    ])  # fmt: skip


LOGS = Family(
    "logarithm_system", "algebra", _logs, lambda p: p["e"] * _logs_solution(p)[1] + p["f"] * _logs_solution(p)[2],
    _logs_brute,
    ("Positive real numbers x and y satisfy log_{g}(x^{a} y^{b}) = {A} and log_{g}(x^{c} y^{d}) = {B}. "
     "Find log_{g}(x^{e} y^{f}).",
     "Let x and y be positive real numbers with log_{g}(x^{a} y^{b}) = {A} and log_{g}(x^{c} y^{d}) = {B}. "
     "What is log_{g}(x^{e} y^{f})?",
     "If x^{a} y^{b} = {g}^{A} and x^{c} y^{d} = {g}^{B} for positive real numbers x and y, and "
     "x^{e} y^{f} = {g}^k, find k."),
    _logs_steps, lambda p: (p["A"] + 1) ** 2,
)  # fmt: skip


# Roots of unity.


def _unity(draw: Draw, level: int) -> Params | None:
    return {"n": draw("n").randint(*((3, 5), (5, 8), (8, 11))[level - 1]),
            "a": draw("a").randint(2, (30, 12, 7)[level - 1]),
            "m": draw("m").randint(101, 999)}  # fmt: skip


def _unity_brute(p: Params) -> int:
    value = complex(1)
    for k in range(1, p["n"]):
        value *= p["a"] - cmath.exp(2j * math.pi * k / p["n"])
    return round(value.real) % p["m"]


def _unity_steps(p: Params) -> list[Step]:
    n, a, m = p["n"], p["a"], p["m"]
    top, value = a**n - 1, (a**n - 1) // (a - 1)
    return numbered([
        (f"With 1 among the w, the product is {a}^{n} - 1. The factor for 1 is {a} - 1 = {a - 1}.", a - 1),
        (f"{a}^{n} - 1 = {top}.", top),
        (f"{top} / {a - 1} = {value}.", value),
        (f"Modulo {m} that is {value % m}.", value % m),
    ])  # fmt: skip


UNITY = Family(
    "roots_of_unity", "algebra", _unity, lambda p: (p["a"] ** p["n"] - 1) // (p["a"] - 1) % p["m"], _unity_brute,
    ("The {n} complex solutions of z^{n} = 1 are 1 and others. The product of {a} - w, taken over the solutions w other "
     "than 1, is an integer P. Find the remainder when P is divided by {m}.",
     "Let P be the product of the numbers {a} - w, where w runs through all complex numbers other than 1 that satisfy "
     "w^{n} = 1. What is the remainder when P is divided by {m}? (There are {n} numbers with w^{n} = 1.)",
     "Among the {n} complex roots of z^{n} - 1, leave out 1. Multiply the values {a} - w over the remaining roots w. "
     "Find the remainder of this product modulo {m}."),
    _unity_steps, lambda p: p["a"] ** p["n"],
)  # fmt: skip


# A telescoping sum.


def _telescope(draw: Draw, level: int) -> Params | None:
    n = draw("n").randint(*((10, 200), (10, 100), (6, 120))[level - 1])
    return {
        "a": 1 if level == 1 else draw("a").randint(2, 9),
        "d": level if level < 3 else draw("d").randint(3, 9),
        "n": n,
    }


def _telescope_closed(p: Params) -> int:
    value = Fraction(p["n"], p["a"] * (p["a"] + p["n"] * p["d"]))
    return value.numerator + value.denominator


def _telescope_brute(p: Params) -> int:
    terms = [p["a"] + k * p["d"] for k in range(p["n"] + 1)]
    value = sum((Fraction(1, x * y) for x, y in zip(terms, terms[1:], strict=False)), Fraction(0))
    return value.numerator + value.denominator


def _telescope_steps(p: Params) -> list[Step]:
    a, d, n = p["a"], p["d"], p["n"]
    last, common = a + n * d, math.gcd(n, a * (a + n * d))
    top, bottom = n // common, a * last // common
    return numbered([
        (f"1/(x(x + {d})) = (1/x - 1/(x + {d})) / {d}; the last factor of all is {a} + {n} * {d} = {last}.", last),
        (f"The sum telescopes to (1/{a} - 1/{last}) / {d} = {n}/{a * last}.", f"{n}/{a * last}"),
        (f"In lowest terms that is {top}/{bottom}.", f"{top}/{bottom}"),
        (f"p + q = {top} + {bottom} = {top + bottom}.", top + bottom),
    ])  # fmt: skip


TELESCOPE = Family(
    "telescoping_sum", "algebra", _telescope, _telescope_closed, _telescope_brute,
    ("The numbers in an arithmetic sequence start with {a} and grow by {d}. For each of the first {n} pairs of neighboring "
     "terms x and y take 1/(xy). The sum of these {n} fractions is p/q in lowest terms, with positive "
     "integers p and q. Find p + q.",
     "Let S be the sum of the {n} fractions 1/(x(x + {d})) where x = {a}, {a} + {d}, {a} + 2 * {d}, and so on. Then S = "
     "p/q with relatively prime positive integers p and q. Find p + q.",
     "Add up 1/(x(x + {d})) for the first {n} numbers x of the arithmetic sequence with first term {a} and common "
     "difference {d}. The result is p/q for relatively prime positive integers p and q. What is p + q?"),
    _telescope_steps, lambda p: p["n"] * p["a"] * p["d"],
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (ROOTS, CUBIC, FUNCTION, SEQUENCE, RECURSION, LOGS, UNITY, TELESCOPE)
