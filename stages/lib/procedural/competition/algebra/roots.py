"""Roots: power sums of a quadratic's, shifted ones of a cubic, and roots of unity."""

from __future__ import annotations

import re
from collections.abc import Iterable

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, parenthesize

Matrix = list[list[int]]


def format_polynomial(coefficients: list[int]) -> str:
    """`x^3 - 3x^2 + 5` for [1, -3, 0, 5], highest power first."""
    text = ""
    for power, number in zip(range(len(coefficients) - 1, -1, -1), coefficients, strict=True):
        if number:
            size = "" if abs(number) == 1 and power else str(abs(number))
            body = size + ("x" + (f"^{power}" if power > 1 else "") if power else "")
            text += f" {'-' if number < 0 else '+'} {body}" if text else ("-" if number < 0 else "") + body
    return text


def parse_coefficients(text: str, degree: int) -> list[int]:
    """The inverse of `format_polynomial`."""
    coefficients = [0] * (degree + 1)
    for sign, size, power, exponent in re.findall(r"([-+]?)(\d*)(x?)(?:\^(\d+))?", text.replace(" ", "")):
        if size or power:
            coefficients[degree - (int(exponent or 1) if power else 0)] = int(f"{sign}{size or 1}")
    return coefficients


def compute_determinant(rows: Matrix) -> int:
    """The determinant of an integer matrix, without fractions (Bareiss 1968)."""
    matrix, sign, before = [list(row) for row in rows], 1, 1
    for k in range(len(matrix) - 1):
        pivot = next((i for i in range(k, len(matrix)) if matrix[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            matrix[k], matrix[pivot], sign = matrix[pivot], matrix[k], -sign
        for i in range(k + 1, len(matrix)):
            for j in range(k + 1, len(matrix)):
                matrix[i][j] = (matrix[i][j] * matrix[k][k] - matrix[i][k] * matrix[k][j]) // before
        before = matrix[k][k]
    return sign * matrix[-1][-1]


def build_companion_matrix(monic: list[int], shift: int = 0, sign: int = 1) -> Matrix:
    """shift + sign * the companion matrix, whose eigenvalues are the roots of the polynomial."""
    size = len(monic) - 1
    first = [-number for number in monic[1:]]
    below = [[int(i == j) for j in range(size)] for i in range(size - 1)]
    return [[shift * (i == j) + sign * x for j, x in enumerate(row)] for i, row in enumerate([first, *below])]


def _compute_power_sums(p: Params) -> list[int]:
    sums = [2, p["s"]]
    while len(sums) <= p["k"]:
        sums.append(p["s"] * sums[-1] - p["p"] * sums[-2])
    return sums


class PowerSumsOfRoots(Family):
    """Power sums of the roots of a quadratic. Closed form: Newton. Brute force: the trace of a companion matrix's power."""

    name, area = "power_sums_of_roots", "algebra"
    phrasings = (
        "Let r and t be the complex roots of {polynomial} = 0, counted with multiplicity. Find r^{k} + t^{k}.",
        "The polynomial {polynomial} factors over the complex numbers as (x - r)(x - t). Compute r^{k} + t^{k}.",
        "Two complex numbers r and t, possibly equal, are the roots of the equation {polynomial} = 0, a double root "
        "being taken twice. What is the value of r^{k} + t^{k}?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        size = (30, 16, 9)[level - 1]
        s = draw("s").choice([n for n in range(-size, size + 1) if n])
        return {"k": level + 1, "s": s, "p": draw("p").choice([n for n in range(-60, 61) if n])}

    def solve_closed(self, p: Params) -> int:
        return _compute_power_sums(p)[p["k"]]

    def solve_brute(self, p: Params) -> int:
        matrix, power = build_companion_matrix([1, -p["s"], p["p"]]), [[1, 0], [0, 1]]
        for _ in range(p["k"]):
            power = [[sum(row[i] * matrix[i][column] for i in range(2)) for column in range(2)] for row in power]
        return power[0][0] + power[1][1]

    def write_lines(self, p: Params) -> Iterable[Line]:
        s, q, sums = p["s"], p["p"], _compute_power_sums(p)
        yield f"By Vieta r + t = {s}."
        yield f"Likewise rt = {q}."
        yield (
            f"r^2 + t^2 = (r + t)^2 - 2rt, here {parenthesize(s)} * {parenthesize(s)} - 2 * {parenthesize(q)} = "
            f"{sums[2]}."
        )
        for k in range(3, p["k"] + 1):
            yield (
                f"r^{k} + t^{k} comes from multiplying the sum before by r + t: {parenthesize(s)} * "
                f"{parenthesize(sums[k - 1])} - {parenthesize(q)} * {parenthesize(sums[k - 2])} = {sums[k]}."
            )

    def count_work(self, p: Params) -> int:
        return 8 * p["k"]

    def format_fields(self, p: Params) -> dict[str, str]:
        return {"polynomial": format_polynomial([1, -p["s"], p["p"]]), "k": str(p["k"])}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        _, minus, last = parse_coefficients(fields["polynomial"], 2)
        return {"k": int(fields["k"]), "s": -minus, "p": last}


def _evaluate_cubic(p: Params) -> int:
    x = -p["k"]
    return ((x + p["a"]) * x + p["b"]) * x + p["c"]


class ShiftedRoots(Family):
    """A product over the shifted roots of a cubic. Closed form: P(-k). Brute force: det(companion matrix + k)."""

    name, area = "shifted_roots", "algebra"
    phrasings = (
        "Let r, s and t be the complex roots of P(x) = {polynomial}, counted with multiplicity. Find (r + {k})(s + "
        "{k})(t + {k}).",
        "The polynomial {polynomial} factors over the complex numbers as (x - r)(x - s)(x - t). Compute the product "
        "of r + {k}, s + {k} and t + {k}.",
        "A monic cubic polynomial has the three complex roots r - {k}, s - {k} and t - {k}, a multiple root being "
        "listed as often as it occurs. If the polynomial is {polynomial}, what is the value of rst?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        size = (10, 20, 40)[level - 1]
        nonzero = [n for n in range(-size, size + 1) if n]
        return {name: draw(name).choice(nonzero) for name in "abc"} | {"k": draw("k").randint(level, 2 + 2 * level)}

    def solve_closed(self, p: Params) -> int:
        return -_evaluate_cubic(p)

    def solve_brute(self, p: Params) -> int:
        return compute_determinant(build_companion_matrix([1, p["a"], p["b"], p["c"]], p["k"]))

    def write_lines(self, p: Params) -> Iterable[Line]:
        a, b, c, k, value = p["a"], p["b"], p["c"], p["k"], _evaluate_cubic(p)
        cube, square, linear = -(k**3), a * k * k, -b * k
        yield (
            f"Since P(x) is the product of x - r, x - s and x - t, the product asked for is -P(-{k}). First (-{k})^3 "
            f"= {cube}."
        )
        yield f"The quadratic term is {parenthesize(a)} * (-{k})^2 = {square}."
        yield f"The linear term is {parenthesize(b)} * (-{k}) = {linear}."
        yield f"So P(-{k}) is {cube} + {parenthesize(square)} + {parenthesize(linear)} + {parenthesize(c)} = {value}."
        yield f"The product is -({value}) = {-value}."

    def count_work(self, p: Params) -> int:
        return 27 * p["k"]

    def format_fields(self, p: Params) -> dict[str, str]:
        return {"polynomial": format_polynomial([1, p["a"], p["b"], p["c"]]), "k": str(p["k"])}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        _, a, b, c = parse_coefficients(fields["polynomial"], 3)
        return {"a": a, "b": b, "c": c, "k": int(fields["k"])}


class RootsOfUnity(Family):
    """A product over the roots of unity. Closed form: a geometric sum. Brute force: det(a - companion matrix)."""

    name, area = "roots_of_unity", "algebra"
    phrasings = (
        "Let P be the product of the numbers {a} - w, where w runs through all complex numbers other than 1 for which "
        "w^{n} = 1. Then P is an integer. Find the remainder when P is divided by {m}.",
        "The equation z^{n} = 1 has {n} complex solutions, one of which is 1. For each other solution w the number "
        "{a} - w is formed, and all of these numbers are multiplied. What remainder does the product, an integer, "
        "leave when divided by {m}?",
        "The corners of a regular polygon with {n} sides lie on the unit circle of the complex plane, one of them at "
        "1. For every other corner w take the distance from w to the point {a} of the real axis. The product of all "
        "these distances is an integer; find its remainder upon division by {m}.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        p = {
            "n": draw("n").randint(*((4, 5), (6, 8), (9, 12))[level - 1]),
            "a": draw("a").randint(2, (30, 12, 7)[level - 1]),
            "m": draw("m").randint(101, 999),
        }
        return p if p["a"] ** (p["n"] - 1) > p["m"] else None

    def solve_closed(self, p: Params) -> int:
        return (p["a"] ** p["n"] - 1) // (p["a"] - 1) % p["m"]

    def solve_brute(self, p: Params) -> int:
        return compute_determinant(build_companion_matrix([1] * p["n"], p["a"], -1)) % p["m"]

    def write_lines(self, p: Params) -> Iterable[Line]:
        n, a, m = p["n"], p["a"], p["m"]
        top, value = a**n - 1, (a**n - 1) // (a - 1)
        yield f"Over all {n} solutions of z^{n} = 1 the numbers {a} - w multiply to {a}^{n} - 1 = {top}."
        yield f"The factor for w = 1, which is left out, is {a} - 1 = {a - 1}."
        yield f"So the product is {top} / {a - 1} = {value}."
        yield f"Its remainder is {value} mod {m} = {value % m}."

    def count_work(self, p: Params) -> int:
        return p["n"] ** 3
