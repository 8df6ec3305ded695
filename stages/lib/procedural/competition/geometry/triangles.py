"""Triangles: areas cut off by a point on a side, inscribed circles, lattice points inside."""

from __future__ import annotations

import math
from fractions import Fraction

from stages.lib.core.records import Step
from stages.lib.procedural.competition.family import Draw, Family, Params, format_ratio, number_steps, parenthesize
from stages.lib.procedural.competition.geometry import surds

# A triangle cut off by a point on a side. Closed: a share of the cross product. Search: its sides, then Heron.

_RATIO_PHRASE = "is p/q in lowest terms, with positive integers p and q. Find p + q."


def _sample_cut(draw: Draw, level: int) -> Params | None:
    low, high = ((0, 15), (-15, 20), (-30, 35))[level - 1]
    p = {name: draw(name).randint(low, high) for name in "abcdef"}
    p |= {name: draw(name).randint(1, 2 + 3 * level) for name in "mn"}
    if not _cross(p) or p["m"] == p["n"] or math.gcd(p["m"], p["n"]) > 1:
        return None
    return p if _cut_area(p).denominator > 1 else None


def _cross(p: Params) -> int:
    return (p["c"] - p["a"]) * (p["f"] - p["b"]) - (p["e"] - p["a"]) * (p["d"] - p["b"])


def _cut_area(p: Params) -> Fraction:
    return Fraction(abs(_cross(p)) * p["m"], 2 * (p["m"] + p["n"]))


def _brute_force_cut(p: Params) -> int:
    """16 K^2 = 4uv - (u + v - w)^2 for the squares u, v, w of the sides of ABD."""
    share = Fraction(p["m"], p["m"] + p["n"])
    a, b = (p["a"], p["b"]), (p["c"], p["d"])
    d = (p["c"] + share * (p["e"] - p["c"]), p["d"] + share * (p["f"] - p["d"]))
    u, v, w = ((s[0] - t[0]) ** 2 + (s[1] - t[1]) ** 2 for s, t in ((a, b), (a, d), (b, d)))
    square = (4 * u * v - (u + v - w) ** 2) / 16
    return math.isqrt(square.numerator) + math.isqrt(square.denominator)


def _write_cut_steps(p: Params) -> list[Step]:
    u, v, w, z = p["c"] - p["a"], p["d"] - p["b"], p["e"] - p["a"], p["f"] - p["b"]
    m, n, cross, area = p["m"], p["n"], _cross(p), _cut_area(p)
    whole = Fraction(abs(cross), 2)
    return number_steps(
        [
            (f"As vectors, AB = ({u}, {v}) and AC = ({w}, {z}).", f"({w}, {z})"),
            (
                f"Their cross product is {u} * {parenthesize(z)} - {parenthesize(w)} * {parenthesize(v)} = "
                f"{u * z} - {parenthesize(w * v)} = {cross}.",
                cross,
            ),
            (f"Triangle ABC has half its size as area, {format_ratio(abs(cross), 2)}.", whole),
            (f"BD is {m}/{m + n} of BC, so triangle ABD has area {m}/{m + n} * {whole} = {area}.", area),
            (
                f"p + q = {area.numerator} + {area.denominator} = {area.numerator + area.denominator}.",
                area.numerator + area.denominator,
            ),
        ]
    )


CUT = Family(
    "triangle_area",
    "geometry",
    _sample_cut,
    lambda p: _cut_area(p).numerator + _cut_area(p).denominator,
    _brute_force_cut,
    (
        "Triangle ABC has vertices A = ({a}, {b}), B = ({c}, {d}) and C = ({e}, {f}). Point D lies on side BC with BD:DC = "
        "{m}:{n}. The area of triangle ABD " + _RATIO_PHRASE,
        "A triangular field has its corners at A = ({a}, {b}), B = ({c}, {d}) and C = ({e}, {f}). A straight fence from A to "
        "the point D of side BC, where BD:DC = {m}:{n}, divides the field in two. The area of the part that "
        "contains B " + _RATIO_PHRASE,
        "Three towns lie at A = ({a}, {b}), B = ({c}, {d}) and C = ({e}, {f}) on a map. A train on the straight "
        "line from B to "
        "C is at D when the ratio of the way behind it to the way ahead is {m}:{n}. The area of the triangle with corners A, "
        "B and D " + _RATIO_PHRASE,
    ),
    _write_cut_steps,
    lambda p: abs(_cross(p)) + p["m"] + p["n"],
)


# A segment from a corner to the opposite side. Closed: Stewart. Search: coordinates.


def _sample_cevian(draw: Draw, level: int) -> Params | None:
    high = (14, 22, 32)[level - 1]
    m, n = draw("m").randint(2, high // 2), draw("n").randint(2, high // 2)
    p = {"b": draw("b").randint(3, high), "c": draw("c").randint(3, high), "m": m, "n": n}
    if not abs(p["b"] - p["c"]) < m + n < p["b"] + p["c"]:
        return None
    return p if _cevian_square(p).denominator > 1 else None


def _cevian_square(p: Params) -> Fraction:
    b, c, m, n = (p[name] for name in "bcmn")
    return Fraction(b * b * m + c * c * n, m + n) - m * n


def _brute_force_cevian(p: Params) -> int:
    """B = (0, 0), D = (m, 0), C = (m + n, 0); A is where its distances put it."""
    a = p["m"] + p["n"]
    x = Fraction(a * a + p["c"] ** 2 - p["b"] ** 2, 2 * a)
    square = (x - p["m"]) ** 2 + p["c"] ** 2 - x * x
    return square.numerator + square.denominator


def _write_cevian_steps(p: Params) -> list[Step]:
    b, c, m, n = (p[name] for name in "bcmn")
    top, square = b * b * m + c * c * n, _cevian_square(p)
    return number_steps(
        [
            (f"By Stewart's theorem BC * (AD^2 + BD * DC) = {b}^2 * {m} + {c}^2 * {n} = {top}.", top),
            (f"Divided by BC it is {top} / ({m} + {n}) = {square + m * n}.", square + m * n),
            (f"AD^2 = {square + m * n} - {m} * {n} = {square}.", square),
            (
                f"p + q = {square.numerator} + {square.denominator} = {square.numerator + square.denominator}.",
                square.numerator + square.denominator,
            ),
        ]
    )


CEVIAN = Family(
    "cevian_length",
    "geometry",
    _sample_cevian,
    lambda p: _cevian_square(p).numerator + _cevian_square(p).denominator,
    _brute_force_cevian,
    (
        "In triangle ABC, AB = {c} and AC = {b}. Point D lies on side BC with BD = {m} and DC = {n}. The square of the length "
        "AD " + _RATIO_PHRASE,
        "Point D divides side BC of triangle ABC into BD = {m} and DC = {n}. If AB = {c} and AC = {b}, then AD^2 "
        + _RATIO_PHRASE,
        "Two straight roads lead from a village A to the towns B and C, of {c} and {b} miles respectively, and a straight "
        "highway joins B and C. A station on the highway is {m} miles from B and {n} miles from C. The square of "
        "its distance from A, measured in "
        "miles along a straight line, " + _RATIO_PHRASE,
    ),
    _write_cevian_steps,
    lambda p: p["b"] * p["c"] * (p["m"] + p["n"]),
)


# The inscribed circle. Closed: Heron. Search: the area from coordinates.


def _sample_inradius(draw: Draw, level: int) -> Params | None:
    low, high = ((3, 25), (6, 36), (9, 48))[level - 1]
    a, b, c = sorted(draw(name).randint(low, high) for name in "abc")
    if a + b <= c or (level == 1) != (a == b or b == c):
        return None
    m, n, p = surds.radical_ratio(_inradius_square(a, b, c))
    return {"a": a, "b": b, "c": c} if n > 1 and p > 1 else None


def _inradius_square(a: int, b: int, c: int) -> Fraction:
    return Fraction((b + c - a) * (c + a - b) * (a + b - c), 4 * (a + b + c))


def _brute_force_inradius(p: Params) -> int:
    """B = (0, 0), C = (a, 0), A = (x, y); the radius is twice the area over the perimeter."""
    a, b, c = p["a"], p["b"], p["c"]
    x = Fraction(a * a + c * c - b * b, 2 * a)
    return sum(surds.radical_ratio(a * a * (c * c - x * x) / (a + b + c) ** 2, surds.radical_by_search))


def _write_inradius_steps(p: Params) -> list[Step]:
    a, b, c = p["a"], p["b"], p["c"]
    whole, square = a + b + c, _inradius_square(a, b, c)
    x, y, z = whole - 2 * a, whole - 2 * b, whole - 2 * c
    return number_steps(
        [
            (f"The perimeter is {a} + {b} + {c} = {whole}.", whole),
            (
                f"By Heron 16 times the square of the area is {whole} * {x} * {y} * {z} = {whole * x * y * z}.",
                whole * x * y * z,
            ),
            (
                f"The radius r is twice the area over {whole}, so r^2 is {whole * x * y * z} / (4 * {whole}^2) = "
                f"{square}.",
                square,
            ),
            *surds.write_ratio_root_lines(square, "r"),
        ]
    )


INRADIUS = Family(
    "inradius",
    "geometry",
    _sample_inradius,
    lambda p: sum(surds.radical_ratio(_inradius_square(p["a"], p["b"], p["c"]))),
    _brute_force_inradius,
    (
        "A triangle has sides of length {a}, {b} and {c}. The radius of its inscribed circle is " + surds.RATIO_PHRASE,
        "The largest circle that can be drawn inside a triangle with sides {a}, {b} and {c} has radius "
        + surds.RATIO_PHRASE,
        "A point inside a triangle with side lengths {a}, {b} and {c} has the same distance from all three sides. This "
        "distance is " + surds.RATIO_PHRASE,
    ),
    _write_inradius_steps,
    lambda p: p["a"] * p["b"] * p["c"],
)

# Lattice points inside a right triangle.


def _sample_lattice(draw: Draw, level: int) -> Params | None:
    low, high = ((6, 30), (15, 45), (25, 60))[level - 1]
    return {"a": draw("a").randint(low, high), "b": draw("b").randint(low, high)}


def _solve_lattice(p: Params) -> int:
    a, b = p["a"], p["b"]
    return (a * b - a - b - math.gcd(a, b) + 2) // 2


def _brute_force_lattice(p: Params) -> int:
    return sum(p["b"] * x + p["a"] * y < p["a"] * p["b"] for x in range(1, p["a"]) for y in range(1, p["b"]))


def _write_lattice_steps(p: Params) -> list[Step]:
    a, b, g = p["a"], p["b"], math.gcd(p["a"], p["b"])
    edge = a + b + g
    return number_steps(
        [
            (f"On the boundary there are {a} + {b} + gcd({a}, {b}) = {a} + {b} + {g} = {edge} lattice points.", edge),
            (f"Twice the area is {a} * {b} = {a * b}.", a * b),
            (f"By Pick twice the number inside is {a * b} - {edge} + 2 = {a * b - edge + 2}.", a * b - edge + 2),
            (f"Half of it is {_solve_lattice(p)}.", _solve_lattice(p)),
        ]
    )


LATTICE = Family(
    "lattice_points_inside",
    "geometry",
    _sample_lattice,
    _solve_lattice,
    _brute_force_lattice,
    (
        "How many points with integer coordinates lie strictly inside the triangle with vertices (0, 0), ({a}, 0) and "
        "(0, {b})?",
        "Find the number of lattice points in the interior of the triangle with vertices (0, 0), ({a}, 0) and (0, {b}). "
        "Points on the sides do not count.",
        "Find the number of pairs of positive integers (x, y) that satisfy x/{a} + y/{b} < 1.",
    ),
    _write_lattice_steps,
    lambda p: p["a"] * p["b"],
)

FAMILIES: tuple[Family, ...] = (CUT, CEVIAN, INRADIUS, LATTICE)
