"""Triangles: areas cut off by a point on a side, inscribed circles, lattice points inside."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, end_with, format_ratio, parenthesize
from stages.lib.procedural.competition.fractions import LOWEST_TERMS_PHRASE, add_fraction_parts, write_sum_line
from stages.lib.procedural.competition.geometry import surds


def _compute_cross_product(p: Params) -> int:
    return (p["c"] - p["a"]) * (p["f"] - p["b"]) - (p["e"] - p["a"]) * (p["d"] - p["b"])


def _compute_cut_area(p: Params) -> Fraction:
    return Fraction(abs(_compute_cross_product(p)) * p["m"], 2 * (p["m"] + p["n"]))


class TriangleArea(Family):
    """The area cut off by a point on a side. Closed form: a share of the cross product. Brute force: Heron."""

    name, area = "triangle_area", "geometry"
    phrasings = end_with(
        LOWEST_TERMS_PHRASE,
        "Triangle ABC has vertices A = ({a}, {b}), B = ({c}, {d}) and C = ({e}, {f}). Point D lies on side BC with "
        "BD:DC = {m}:{n}. The area of triangle ABD",
        "A triangular field has its corners at A = ({a}, {b}), B = ({c}, {d}) and C = ({e}, {f}). A straight fence "
        "from A to the point D of side BC, where BD:DC = {m}:{n}, divides the field in two. The area of the part that "
        "contains B",
        "Three towns lie at A = ({a}, {b}), B = ({c}, {d}) and C = ({e}, {f}) on a map. A train on the straight line "
        "from B to C is at D when the ratio of the way behind it to the way ahead is {m}:{n}. The area of the "
        "triangle with corners A, B and D",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((0, 15), (-15, 20), (-30, 35))[level - 1]
        p = {name: draw(name).randint(low, high) for name in "abcdef"}
        p |= {name: draw(name).randint(1, 2 + 3 * level) for name in "mn"}
        if not _compute_cross_product(p) or p["m"] == p["n"] or math.gcd(p["m"], p["n"]) > 1:
            return None
        return p if _compute_cut_area(p).denominator > 1 else None

    def solve_closed(self, p: Params) -> int:
        return add_fraction_parts(_compute_cut_area(p))

    def solve_brute(self, p: Params) -> int:
        """16 K^2 = 4uv - (u + v - w)^2 for the squares u, v, w of the sides of ABD."""
        share = Fraction(p["m"], p["m"] + p["n"])
        a, b = (p["a"], p["b"]), (p["c"], p["d"])
        d = (p["c"] + share * (p["e"] - p["c"]), p["d"] + share * (p["f"] - p["d"]))
        u, v, w = ((s[0] - t[0]) ** 2 + (s[1] - t[1]) ** 2 for s, t in ((a, b), (a, d), (b, d)))
        square = (4 * u * v - (u + v - w) ** 2) / 16
        return math.isqrt(square.numerator) + math.isqrt(square.denominator)

    def write_lines(self, p: Params) -> Iterable[Line]:
        u, v, w, z = p["c"] - p["a"], p["d"] - p["b"], p["e"] - p["a"], p["f"] - p["b"]
        m, n, cross, area = p["m"], p["n"], _compute_cross_product(p), _compute_cut_area(p)
        whole = Fraction(abs(cross), 2)
        yield f"As vectors, AB = ({u}, {v}) and AC = ({w}, {z}).", f"({w}, {z})"
        yield (
            f"Their cross product is {u} * {parenthesize(z)} - {parenthesize(w)} * {parenthesize(v)} = {u * z} - "
            f"{parenthesize(w * v)} = {cross}."
        )
        yield f"Triangle ABC has half its size as area, {format_ratio(abs(cross), 2)}.", whole
        yield f"BD is {m}/{m + n} of BC, so triangle ABD has area {m}/{m + n} * {whole} = {area}."
        yield write_sum_line(area)

    def count_work(self, p: Params) -> int:
        return abs(_compute_cross_product(p)) + p["m"] + p["n"]


def _compute_squared_length(p: Params) -> Fraction:
    b, c, m, n = (p[name] for name in "bcmn")
    return Fraction(b * b * m + c * c * n, m + n) - m * n


class CevianLength(Family):
    """A segment from a corner to the opposite side. Closed form: Stewart. Brute force: coordinates."""

    name, area = "cevian_length", "geometry"
    phrasings = end_with(
        LOWEST_TERMS_PHRASE,
        "In triangle ABC, AB = {c} and AC = {b}. Point D lies on side BC with BD = {m} and DC = {n}. The square of "
        "the length AD",
        "Point D divides side BC of triangle ABC into BD = {m} and DC = {n}. If AB = {c} and AC = {b}, then AD^2",
        "Two straight roads lead from a village A to the towns B and C, of {c} and {b} miles respectively, and a "
        "straight highway joins B and C. A station on the highway is {m} miles from B and {n} miles from C. The "
        "square of its distance from A, measured in miles along a straight line,",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        high = (14, 22, 32)[level - 1]
        m, n = draw("m").randint(2, high // 2), draw("n").randint(2, high // 2)
        p = {"b": draw("b").randint(3, high), "c": draw("c").randint(3, high), "m": m, "n": n}
        if not abs(p["b"] - p["c"]) < m + n < p["b"] + p["c"]:
            return None
        return p if _compute_squared_length(p).denominator > 1 else None

    def solve_closed(self, p: Params) -> int:
        return add_fraction_parts(_compute_squared_length(p))

    def solve_brute(self, p: Params) -> int:
        """B = (0, 0), D = (m, 0), C = (m + n, 0); A is where its distances put it."""
        a = p["m"] + p["n"]
        x = Fraction(a * a + p["c"] ** 2 - p["b"] ** 2, 2 * a)
        square = (x - p["m"]) ** 2 + p["c"] ** 2 - x * x
        return add_fraction_parts(square)

    def write_lines(self, p: Params) -> Iterable[Line]:
        b, c, m, n = (p[name] for name in "bcmn")
        top, square = b * b * m + c * c * n, _compute_squared_length(p)
        yield f"By Stewart's theorem BC * (AD^2 + BD * DC) = {b}^2 * {m} + {c}^2 * {n} = {top}."
        yield f"Divided by BC it is {top} / ({m} + {n}) = {square + m * n}."
        yield f"AD^2 = {square + m * n} - {m} * {n} = {square}."
        yield write_sum_line(square)

    def count_work(self, p: Params) -> int:
        return p["b"] * p["c"] * (p["m"] + p["n"])


def _compute_squared_radius(a: int, b: int, c: int) -> Fraction:
    return Fraction((b + c - a) * (c + a - b) * (a + b - c), 4 * (a + b + c))


class Inradius(Family):
    """The radius of the inscribed circle. Closed form: Heron. Brute force: the area from coordinates."""

    name, area = "inradius", "geometry"
    phrasings = end_with(
        surds.RATIO_PHRASE,
        "A triangle has sides of length {a}, {b} and {c}. The radius of its inscribed circle is",
        "The largest circle that can be drawn inside a triangle with sides {a}, {b} and {c} has radius",
        "A point inside a triangle with side lengths {a}, {b} and {c} has the same distance from all three sides. "
        "This distance is",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((3, 25), (6, 36), (9, 48))[level - 1]
        a, b, c = sorted(draw(name).randint(low, high) for name in "abc")
        if a + b <= c or (level == 1) != (a == b or b == c):
            return None
        m, n, p = surds.simplify_root_ratio(_compute_squared_radius(a, b, c))
        return {"a": a, "b": b, "c": c} if n > 1 and p > 1 else None

    def solve_closed(self, p: Params) -> int:
        return sum(surds.simplify_root_ratio(_compute_squared_radius(p["a"], p["b"], p["c"])))

    def solve_brute(self, p: Params) -> int:
        """B = (0, 0), C = (a, 0), A = (x, y); the radius is twice the area over the perimeter."""
        a, b, c = p["a"], p["b"], p["c"]
        x = Fraction(a * a + c * c - b * b, 2 * a)
        return sum(surds.simplify_root_ratio(a * a * (c * c - x * x) / (a + b + c) ** 2, surds.simplify_root_by_search))

    def write_lines(self, p: Params) -> Iterable[Line]:
        a, b, c = p["a"], p["b"], p["c"]
        whole, square = a + b + c, _compute_squared_radius(a, b, c)
        x, y, z = whole - 2 * a, whole - 2 * b, whole - 2 * c
        yield f"The perimeter is {a} + {b} + {c} = {whole}."
        yield f"By Heron 16 times the square of the area is {whole} * {x} * {y} * {z} = {whole * x * y * z}."
        yield f"The radius r is twice the area over {whole}, so r^2 is {whole * x * y * z} / (4 * {whole}^2) = {square}."
        yield from surds.write_ratio_root_lines(square, "r")

    def count_work(self, p: Params) -> int:
        return p["a"] * p["b"] * p["c"]


class LatticePointsInside(Family):
    """Lattice points inside a right triangle. Closed form: Pick. Brute force: every point."""

    name, area = "lattice_points_inside", "geometry"
    phrasings = (
        "How many points with integer coordinates lie strictly inside the triangle with vertices (0, 0), ({a}, 0) and "
        "(0, {b})?",
        "Find the number of lattice points in the interior of the triangle with vertices (0, 0), ({a}, 0) and (0, "
        "{b}). Points on the sides do not count.",
        "Find the number of pairs of positive integers (x, y) that satisfy x/{a} + y/{b} < 1.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((6, 30), (15, 45), (25, 60))[level - 1]
        return {"a": draw("a").randint(low, high), "b": draw("b").randint(low, high)}

    def sample_easiest(self, draw: Draw) -> Params | None:
        return {"a": draw("a").randint(3, 11), "b": draw("b").randint(3, 11)}

    def solve_closed(self, p: Params) -> int:
        a, b = p["a"], p["b"]
        return (a * b - a - b - math.gcd(a, b) + 2) // 2

    def solve_brute(self, p: Params) -> int:
        return sum(p["b"] * x + p["a"] * y < p["a"] * p["b"] for x in range(1, p["a"]) for y in range(1, p["b"]))

    def write_lines(self, p: Params) -> Iterable[Line]:
        a, b, g = p["a"], p["b"], math.gcd(p["a"], p["b"])
        edge = a + b + g
        yield f"On the boundary there are {a} + {b} + gcd({a}, {b}) = {a} + {b} + {g} = {edge} lattice points."
        yield f"Twice the area is {a} * {b} = {a * b}."
        yield f"By Pick twice the number inside is {a * b} - {edge} + 2 = {a * b - edge + 2}."
        yield f"Half of it is {self.solve_closed(p)}.", self.solve_closed(p)

    def count_work(self, p: Params) -> int:
        return p["a"] * p["b"]
