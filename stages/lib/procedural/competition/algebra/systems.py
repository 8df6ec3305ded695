"""Systems of equations: in logarithms, in products."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import product
from math import isqrt

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, join_list, match_text, parenthesize


def _solve_logarithms(p: Params) -> tuple[int, int, int]:
    det = p["a"] * p["d"] - p["b"] * p["c"]
    return det, (p["A"] * p["d"] - p["b"] * p["B"]) // det, (p["a"] * p["B"] - p["A"] * p["c"]) // det


def _format_product(m: int, n: int, x: str, y: str, sign: str = " ") -> str:
    """`2u + v`, or with a blank between `x^2 y`."""
    if sign == " ":
        return f"{x}{f'^{m}' * (m > 1)} {y}{f'^{n}' * (n > 1)}"
    return f"{m if m > 1 else ''}{x}{sign}{n if n > 1 else ''}{y}"


class LogarithmSystem(Family):
    """Two equations in logarithms. Closed form: Cramer. Brute force: every pair of exponents."""

    name, area = "logarithm_system", "algebra"
    phrasings = (
        "Positive real numbers x and y satisfy log_{g}({ab}) = {A} and log_{g}({cd}) = {B}. Find log_{g}({ef}).",
        "If {ab} = {g}^{A} and {cd} = {g}^{B} for positive real numbers x and y, and {ef} = {g}^k, find k.",
        "The logarithms to the base {g} of two positive real numbers x and y are unknown, but it is known that those "
        "of {ab} and {cd} are {A} and {B} in this order. What is the logarithm of {ef} to the base {g}?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
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

    def solve_closed(self, p: Params) -> int:
        return p["e"] * _solve_logarithms(p)[1] + p["f"] * _solve_logarithms(p)[2]

    def solve_brute(self, p: Params) -> int:
        ((u, v),) = (
            (u, v)
            for u, v in product(range(p["A"] + 1), repeat=2)
            if p["a"] * u + p["b"] * v == p["A"] and p["c"] * u + p["d"] * v == p["B"]
        )
        return p["e"] * u + p["f"] * v

    def write_lines(self, p: Params) -> Iterable[Line]:
        det, u, v = _solve_logarithms(p)
        g, e, f = p["g"], p["e"], p["f"]
        first, second = (f"{_format_product(p[s], p[t], 'u', 'v', ' + ')}" for s, t in ("ab", "cd"))
        yield (
            f"With u = log_{g} x and v = log_{g} y the conditions are {first} = {p['A']} and {second} = {p['B']}. "
            f"Their determinant is {p['a']} * {p['d']} - {p['b']} * {p['c']} = {det}."
        )
        yield f"u = ({p['A']} * {p['d']} - {p['b']} * {p['B']}) / {parenthesize(det)} = {u}."
        yield f"v = ({p['a']} * {p['B']} - {p['A']} * {p['c']}) / {parenthesize(det)} = {v}."
        yield f"The logarithm asked for is {e} * {u} + {f} * {v} = {e * u + f * v}."

    def count_work(self, p: Params) -> int:
        return (p["A"] + 1) ** 2

    def format_fields(self, p: Params) -> dict[str, str]:
        powers = {s + t: _format_product(p[s], p[t], "x", "y") for s, t in ("ab", "cd", "ef")}
        return powers | {name: str(p[name]) for name in "gAB"}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        p = {name: int(fields[name]) for name in "gAB"}
        for names in ("ab", "cd", "ef"):
            powers = match_text(r"x(?:\^(\d+))? y(?:\^(\d+))?", fields[names]).groups()
            p |= {name: int(power or 1) for name, power in zip(names, powers, strict=True)}
        return p


def _compute_products(p: Params) -> tuple[int, int, int]:
    """The products XY, YZ, ZX of X = x + k and so on."""
    a, b, c = p["right"]
    if p["kind"] == "sums":
        half = (a + b + c) // 2
        return half - c, half - a, half - b
    return a + p["k"] ** 2, b + p["k"] ** 2, c + p["k"] ** 2


_VARIABLE_CYCLES = (("x", "y", "z"), ("y", "z", "x"), ("z", "x", "y"))


class SymmetricSystem(Family):
    """Three equations that turn into products of two unknowns each. Brute force: every x and y."""

    name, area = "symmetric_system", "algebra"
    phrasings = (
        "Positive real numbers x, y and z satisfy {equations}. Find x^2 + y^2 + z^2.",
        "Let x, y and z be positive real numbers such that {equations}. What is the sum of their squares?",
        "Given that {equations}, where x, y and z are positive real numbers, compute x^2 + y^2 + z^2.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        x, y, z = sorted(draw(name).randint(1, 30) for name in "xyz")
        if not x < y < z or x * x + y * y + z * z > 999:
            return None
        if level == 1:
            return {"kind": "products", "k": 0, "right": [x * y, y * z, z * x]}
        if level == 3:
            return {"kind": "sums", "k": 0, "right": [x * (y + z), y * (z + x), z * (x + y)]}
        k = draw("k").randint(2, 9)
        return {"kind": "shifted", "k": k, "right": [a * b + k * (a + b) for a, b in ((x, y), (y, z), (z, x))]}

    def sample_easiest(self, draw: Draw) -> Params | None:
        x, y, z = sorted(draw("xyz").sample(range(1, 11), 3))
        return {"kind": "products", "k": 0, "right": [x * y, y * z, z * x]}

    def solve_closed(self, p: Params) -> int:
        xy, yz, zx = _compute_products(p)
        squares = (xy * zx // yz, xy * yz // zx, yz * zx // xy)
        return sum((isqrt(square) - p["k"]) ** 2 for square in squares)

    def solve_brute(self, p: Params) -> int:
        """Runs through x and y, and takes z from the second equation."""
        k, (first, second, third) = p["k"], p["right"]
        for x in range(1, 32):
            for y in range(1, 32):
                if p["kind"] == "sums":
                    z = Fraction(first, x) - y
                    fits = y * (z + x) == second and z * (x + y) == third
                else:
                    z = Fraction(second - k * y, y + k)
                    fits = x * y + k * (x + y) == first and z * x + k * (z + x) == third
                if fits and z > 0:
                    return int(x * x + y * y + z * z)
        raise ValueError("no x and y fit")

    def write_lines(self, p: Params) -> Iterable[Line]:
        (a, b, c), k, (xy, yz, zx) = p["right"], p["k"], _compute_products(p)
        names = "XYZ" if p["kind"] == "shifted" else "xyz"
        if p["kind"] == "sums":
            half = (a + b + c) // 2
            yield f"Adding all, xy + yz + zx = ({a} + {b} + {c}) / 2 = {half}."
            for pair, other, value in (("xy", c, xy), ("yz", a, yz), ("zx", b, zx)):
                yield f"{pair} = {half} - {other} = {value}."
        elif p["kind"] == "shifted":
            yield f"With X = x + {k}, Y = y + {k}, Z = z + {k} the first equation is XY = {a} + {k}^2 = {xy}."
            yield f"The second is YZ = {b} + {k}^2 = {yz}."
            yield f"The third is ZX = {c} + {k}^2 = {zx}."
        values = []
        for name, top, other, bottom in ((names[0], xy, zx, yz), (names[1], xy, yz, zx), (names[2], yz, zx, xy)):
            square = top * other // bottom
            root = isqrt(square)
            small = root - k
            values.append(small)
            tail = f", so {name} = {root} and {name.lower()} = {root} - {k} = {small}" if k else ""
            yield f"{name}^2 = {top} * {other} / {bottom} = {square}{tail}.", small if k else square
        answer = sum(value * value for value in values)
        if k:
            yield f"The sum is {' + '.join(f'{v}^2' for v in values)} = {answer}."
        else:
            yield f"The sum is {' + '.join(str(v * v) for v in values)} = {answer}."

    def count_work(self, p: Params) -> int:
        return max(p["right"])

    def format_fields(self, p: Params) -> dict[str, str]:
        equations = []
        for (a, b, c), right in zip(_VARIABLE_CYCLES, p["right"], strict=True):
            if p["kind"] == "sums":
                equations.append(f"{a}({b} + {c}) = {right}")
            else:
                shift = f" + {p['k']}{a} + {p['k']}{b}" if p["k"] else ""
                equations.append(f"{a}{b}{shift} = {right}")
        return {"equations": join_list(equations)}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        equations = fields["equations"].replace(" and ", ", ").split(", ")
        kind = "sums" if "(" in equations[0] else "shifted" if "+" in equations[0] else "products"
        k = int(match_text(r".*\+ (\d+)x.*", equations[0])[1]) if kind == "shifted" else 0
        return {"kind": kind, "k": k, "right": [int(equation.split(" = ")[1]) for equation in equations]}
