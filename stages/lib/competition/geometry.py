"""Geometry in rational and quadratic-surd coordinates: areas, lengths, reflections, tangents, inradii, lattice points."""

from __future__ import annotations

import math
from fractions import Fraction

from stages.lib.competition.family import Draw, Family, Params, numbered
from stages.lib.records import Step


def radical(square: int) -> tuple[int, int]:
    """(m, n) with square = m^2 n and n squarefree, by dividing squares of primes out."""
    m, n, d = 1, square, 2
    while d * d <= n:
        while n % (d * d) == 0:
            m, n = m * d, n // (d * d)
        d += 1
    return m, n


def radical_by_search(square: int) -> tuple[int, int]:
    """The same: the largest m whose square divides."""
    m = max(m for m in range(1, math.isqrt(square) + 1) if square % (m * m) == 0)
    return m, square // (m * m)


def _root_lines(square: int) -> list[tuple[str, int | str]]:
    m, n = radical(square)
    return [
        (f"{square} = {m}^2 * {n}, and {n} has no square factor, so m = {m} and n = {n}.", n),
        (f"m + n = {m} + {n} = {m + n}.", m + n),
    ]


_SQUAREFREE = "with positive integers m and n, and no square of a prime divides n. Find m + n."

# The area of a triangle.


def _triangle(draw: Draw, level: int) -> Params | None:
    size = (20, 30, 40)[level - 1]
    p = {name: draw(name).randint(0, size) for name in ("a", "b", "c", "d", "e", "f")}
    return p if _cross(p) % 2 else None  # an odd cross product: the area is no integer


def _cross(p: Params) -> int:
    return (p["c"] - p["a"]) * (p["f"] - p["b"]) - (p["e"] - p["a"]) * (p["d"] - p["b"])


def _triangle_brute(p: Params) -> int:
    """Pick: interior points + half the boundary points - 1, all of them counted."""
    corners = [(p["a"], p["b"]), (p["c"], p["d"]), (p["e"], p["f"])]
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
    xs, ys = zip(*corners, strict=True)
    inside = boundary = 0
    for x in range(min(xs), max(xs) + 1):
        for y in range(min(ys), max(ys) + 1):
            sides = [(bx - ax) * (y - ay) - (by - ay) * (x - ax) for (ax, ay), (bx, by) in edges]
            if min(sides) >= 0 or max(sides) <= 0:
                boundary += 0 in sides
                inside += 0 not in sides
    area = Fraction(2 * inside + boundary - 2, 2)
    return area.numerator + area.denominator


def _triangle_steps(p: Params) -> list[Step]:
    u, v, w, z = p["c"] - p["a"], p["d"] - p["b"], p["e"] - p["a"], p["f"] - p["b"]
    twice = abs(u * z - w * v)
    return numbered([
        (f"From ({p['a']}, {p['b']}) the other corners lie at ({u}, {v}) and ({w}, {z}).", f"({u}, {v})"),
        (f"{u} * ({z}) - ({w}) * ({v}) = {u * z} - ({w * v}) = {u * z - w * v}.", u * z - w * v),
        (f"The area is {twice}/2, in lowest terms.", f"{twice}/2"),
        (f"p + q = {twice} + 2 = {twice + 2}.", twice + 2),
    ])  # fmt: skip


TRIANGLE = Family(
    "triangle_area", "geometry", _triangle, lambda p: abs(_cross(p)) + 2, _triangle_brute,
    ("The area of the triangle with vertices ({a}, {b}), ({c}, {d}) and ({e}, {f}) is p/q in lowest terms, with positive "
     "integers p and q. Find p + q.",
     "Points A = ({a}, {b}), B = ({c}, {d}) and C = ({e}, {f}) form a triangle with area p/q for relatively prime positive "
     "integers p and q. What is p + q?",
     "A triangular field has its corners at ({a}, {b}), ({c}, {d}) and ({e}, {f}). Its area is p/q in lowest terms, "
     "with positive integers p and q. Find p + q."),
    _triangle_steps, lambda p: 1 + abs(_cross(p)),
)  # fmt: skip


# The diagonal of a box.


def _box(draw: Draw, level: int) -> Params | None:
    size = (14, 22, 30)[level - 1]
    p = {name: draw(name).randint(2, size) for name in "abc"}
    return p if radical(_box_square(p))[1] > 1 else None


def _box_square(p: Params) -> int:
    return p["a"] ** 2 + p["b"] ** 2 + p["c"] ** 2


def _box_brute(p: Params) -> int:
    return sum(radical_by_search(_box_square(p)))


def _box_steps(p: Params) -> list[Step]:
    a, b, c = p["a"], p["b"], p["c"]
    return numbered([
        (f"The square of a diagonal of the base is {a}^2 + {b}^2 = {a * a + b * b}.", a * a + b * b),
        (f"The square of the diagonal is {a * a + b * b} + {c}^2 = {_box_square(p)}.", _box_square(p)),
        *_root_lines(_box_square(p)),
    ])  # fmt: skip


BOX = Family(
    "box_diagonal", "geometry", _box, lambda p: sum(radical(_box_square(p))), _box_brute,
    ("A rectangular box measures {a} by {b} by {c}. Its space diagonal has length m*sqrt(n), " + _SQUAREFREE,
     "The distance between opposite corners of an {a} x {b} x {c} rectangular box is m*sqrt(n), " + _SQUAREFREE,
     "A straight rod just fits between two opposite corners of a room that is {a} feet long, {b} feet wide and {c} feet "
     "high. The length of the rod in feet is m*sqrt(n), " + _SQUAREFREE),
    _box_steps, lambda p: math.isqrt(_box_square(p)),
)  # fmt: skip


# The shortest way by a river.


def _river(draw: Draw, level: int) -> Params | None:
    size = (8, 15, 28)[level - 1]
    p = {"a": draw("a").randint(0, 9), "b": draw("b").randint(1, size), "d": draw("d").randint(1, size)}
    p["c"] = p["a"] + draw("c").randint(2, size)
    return p if radical(_river_square(p))[1] > 1 else None


def _river_square(p: Params) -> int:
    return (p["c"] - p["a"]) ** 2 + (p["b"] + p["d"]) ** 2


def _river_brute(p: Params) -> int:
    """Minimise the way over the point of the river by ternary search."""

    def way(x: float) -> float:
        return math.hypot(x - p["a"], p["b"]) + math.hypot(p["c"] - x, p["d"])

    low, high = float(p["a"]), float(p["c"])
    for _ in range(100):
        third = (high - low) / 3
        low, high = (low, high - third) if way(low + third) < way(high - third) else (low + third, high)
    return sum(radical_by_search(round(way(low) ** 2)))


def _river_steps(p: Params) -> list[Step]:
    a, b, c, d = (p[name] for name in "abcd")
    return numbered([
        (f"Reflect ({c}, {d}) in the x-axis: the way is as long as one to ({c}, {-d}), at best a straight line.", -d),
        (f"Its square is ({c} - {a})^2 + ({b} + {d})^2 = {(c - a) ** 2} + {(b + d) ** 2}.", (c - a) ** 2),
        (f"That is {_river_square(p)}.", _river_square(p)),
        *_root_lines(_river_square(p)),
    ])  # fmt: skip


RIVER = Family(
    "shortest_way_by_a_line", "geometry", _river, lambda p: sum(radical(_river_square(p))), _river_brute,
    ("The shortest path from ({a}, {b}) to ({c}, {d}) that touches the x-axis on its way has length "
     "m*sqrt(n), " + _SQUAREFREE,
     "A hiker at ({a}, {b}) wants to fetch water at some point of the river, which is the x-axis, and carry it to "
     "({c}, {d}). The shortest possible walk has length m*sqrt(n), " + _SQUAREFREE,
     "Point P moves along the x-axis. The least possible value of the sum of its distances from ({a}, {b}) and ({c}, {d}) "
     "is m*sqrt(n), " + _SQUAREFREE),
    _river_steps, lambda p: 10 * (p["c"] - p["a"]),
)  # fmt: skip


# The common tangent of touching circles.


def _tangent(draw: Draw, level: int) -> Params | None:
    size = (50, 120, 250)[level - 1]
    p = {"r": draw("r").randint(2, size), "s": draw("s").randint(2, size)}
    return p if p["r"] != p["s"] and radical(p["r"] * p["s"])[1] > 1 else None


def _tangent_brute(p: Params) -> int:
    return sum(radical_by_search((p["r"] + p["s"]) ** 2 - (p["r"] - p["s"]) ** 2))


def _tangent_steps(p: Params) -> list[Step]:
    r, s = p["r"], p["s"]
    m, n = radical(4 * r * s)
    return numbered([
        (f"The centers are {r} + {s} = {r + s} apart.", r + s),
        (f"Drawn parallel to the tangent, a line through the smaller circle's center makes a right triangle with leg "
         f"{abs(r - s)}.", abs(r - s)),
        (f"The square of the segment is {r + s}^2 - {abs(r - s)}^2 = {4 * r * s}.", 4 * r * s),
        (f"{4 * r * s} = {m}^2 * {n}, and {n} has no square factor, so m = {m} and n = {n}.", n),
        (f"m + n = {m} + {n} = {m + n}.", m + n),
    ])  # fmt: skip


TANGENT = Family(
    "common_tangent", "geometry", _tangent, lambda p: 2 * radical(p["r"] * p["s"])[0] + radical(p["r"] * p["s"])[1],
    _tangent_brute,
    ("Two circles with radii {r} and {s} are externally tangent. A line touches the first circle at A and the second at B, "
     "with A different from B. The length AB is m*sqrt(n), " + _SQUAREFREE,
     "Circles of radius {r} and {s} touch each other from outside and stand on the same straight line. The points where "
     "they touch the line are m*sqrt(n) apart, " + _SQUAREFREE,
     "Two wheels of radii {r} and {s} stand on level ground and touch each other. The distance between the points where "
     "they touch the ground is m*sqrt(n), " + _SQUAREFREE),
    _tangent_steps, lambda p: math.isqrt(4 * p["r"] * p["s"]),
)  # fmt: skip


# The inradius of a triangle with rational area.

_RIGHT = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29), (9, 40, 41), (12, 35, 37), (11, 60, 61))


def _inradius(draw: Draw, level: int) -> Params | None:
    """Two right triangles joined along a leg."""
    x, y, z = draw("left").choice(_RIGHT[: 4 + level])
    u, v, w = draw("right").choice(_RIGHT[: 4 + level])
    if draw("turn left").random() < 0.5:
        x, y = y, x
    if draw("turn right").random() < 0.5:
        u, v = v, u
    scale = math.lcm(y, v)
    left, right = scale // y, scale // v
    a, b, c = x * left + u * right, z * left, w * right
    common = math.gcd(a, b, c)
    k = draw("k").randint(1, 6 * level)
    a, b, c = (side * k // common for side in (a, b, c))
    if b == c or max(a, b, c) > 400 or _inradius_value({"a": a, "b": b, "c": c}).denominator == 1:
        return None
    return {"a": a, "b": b, "c": c}


def _heron(p: Params) -> int:
    """16 times the square of the area."""
    a, b, c = p["a"], p["b"], p["c"]
    return (a + b + c) * (b + c - a) * (a + c - b) * (a + b - c)


def _inradius_value(p: Params) -> Fraction:
    return Fraction(math.isqrt(_heron(p)), 2 * (p["a"] + p["b"] + p["c"]))


def _inradius_brute(p: Params) -> int:
    """The area from coordinates: a on the x-axis, the third corner at (x, y)."""
    a, b, c = p["a"], p["b"], p["c"]
    x = Fraction(a * a + b * b - c * c, 2 * a)
    square = b * b - x * x
    y = Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))
    radius = a * y / (a + b + c)
    return radius.numerator + radius.denominator


def _inradius_steps(p: Params) -> list[Step]:
    a, b, c, s = p["a"], p["b"], p["c"], p["a"] + p["b"] + p["c"]
    area, r = Fraction(math.isqrt(_heron(p)), 4), _inradius_value(p)
    half = Fraction(s, 2)
    return numbered([
        (f"Half the perimeter is ({a} + {b} + {c}) / 2 = {half}.", half),
        (f"By Heron the square of the area is {half} * {half - a} * {half - b} * {half - c}, so the area is {area}.", area),
        (f"The radius is {area} / {half} = {r}.", r),
        (f"p + q = {r.numerator} + {r.denominator} = {r.numerator + r.denominator}.", r.numerator + r.denominator),
    ])  # fmt: skip


INRADIUS = Family(
    "inradius", "geometry", _inradius, lambda p: _inradius_value(p).numerator + _inradius_value(p).denominator,
    _inradius_brute,
    ("The inscribed circle of a triangle with sides {a}, {b} and {c} has radius p/q in lowest terms, with positive "
     "integers p and q. Find p + q.",
     "A triangle has side lengths {a}, {b} and {c}. The radius of its incircle is p/q for relatively prime positive "
     "integers p and q. What is p + q?",
     "The largest circle that fits into a triangle with sides {a}, {b} and {c} has radius p/q in lowest "
     "terms, with positive integers p and q. Find p + q."),
    _inradius_steps, lambda p: p["a"],
)  # fmt: skip


# Lattice points inside a right triangle.


def _lattice(draw: Draw, level: int) -> Params | None:
    low, high = ((6, 20), (15, 35), (25, 60))[level - 1]
    return {"a": draw("a").randint(low, high), "b": draw("b").randint(low, high)}


def _lattice_closed(p: Params) -> int:
    a, b = p["a"], p["b"]
    return (a * b - a - b - math.gcd(a, b) + 2) // 2


def _lattice_brute(p: Params) -> int:
    return sum(p["b"] * x + p["a"] * y < p["a"] * p["b"] for x in range(1, p["a"]) for y in range(1, p["b"]))


def _lattice_steps(p: Params) -> list[Step]:
    a, b, g = p["a"], p["b"], math.gcd(p["a"], p["b"])
    edge = a + b + g
    return numbered([
        (f"On the boundary there are {a} + {b} + gcd({a}, {b}) = {a} + {b} + {g} = {edge} lattice points.", edge),
        (f"Twice the area is {a} * {b} = {a * b}.", a * b),
        (f"By Pick twice the number inside is {a * b} - {edge} + 2 = {a * b - edge + 2}.", a * b - edge + 2),
        (f"Half of it is {_lattice_closed(p)}.", _lattice_closed(p)),
    ])  # fmt: skip


LATTICE = Family(
    "lattice_points_inside", "geometry", _lattice, _lattice_closed, _lattice_brute,
    ("How many points with integer coordinates lie strictly inside the triangle with vertices (0, 0), ({a}, 0) and "
     "(0, {b})?",
     "Find the number of lattice points in the interior of the triangle with vertices (0, 0), ({a}, 0) and (0, {b}). "
     "Points on the sides do not count.",
     "Find the number of pairs of positive integers (x, y) that satisfy x/{a} + y/{b} < 1."),
    _lattice_steps, lambda p: p["a"] * p["b"],
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (TRIANGLE, BOX, RIVER, TANGENT, INRADIUS, LATTICE)
