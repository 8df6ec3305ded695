"""Lengths m*sqrt(n): the diagonal of a box, the shortest way by a line, the common tangent of touching circles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, end_with
from stages.lib.procedural.competition.geometry.surds import (
    SQUAREFREE_PHRASE,
    simplify_root,
    simplify_root_by_search,
    write_root_lines,
)


def _compute_squared_diagonal(p: Params) -> int:
    return p["a"] ** 2 + p["b"] ** 2 + p["c"] ** 2


class BoxDiagonal(Family):
    """The diagonal of a box. Closed form: Pythagoras. Brute force: all distances between corners."""

    name, area = "box_diagonal", "geometry"
    phrasings = end_with(
        SQUAREFREE_PHRASE,
        "A rectangular box measures {a} by {b} by {c}. Its space diagonal has length m*sqrt(n),",
        "The distance between two opposite corners of a rectangular solid with edges {a}, {b} and {c} is m*sqrt(n),",
        "A straight thin rod just fits between two opposite corners of a crate whose inside is {a} inches long, {b} "
        "inches wide and {c} inches high. The length of the rod in inches is m*sqrt(n),",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        size = (14, 22, 30)[level - 1]
        p = {name: draw(name).randint(2, size) for name in "abc"}
        return p if simplify_root(_compute_squared_diagonal(p))[1] > 1 else None

    def solve_closed(self, p: Params) -> int:
        return sum(simplify_root(_compute_squared_diagonal(p)))

    def solve_brute(self, p: Params) -> int:
        """The largest distance between two of the eight corners."""
        corners = list(product(*((0, p[name]) for name in "abc")))
        return sum(
            simplify_root_by_search(
                max(sum((x - y) ** 2 for x, y in zip(s, t, strict=True)) for s in corners for t in corners)
            )
        )

    def write_lines(self, p: Params) -> Iterable[Line]:
        a, b, c = p["a"], p["b"], p["c"]
        yield f"The square of a diagonal of the base is {a}^2 + {b}^2 = {a * a + b * b}."
        yield f"The square of the diagonal is {a * a + b * b} + {c}^2 = {_compute_squared_diagonal(p)}."
        yield from write_root_lines(_compute_squared_diagonal(p))

    def count_work(self, p: Params) -> int:
        return math.isqrt(_compute_squared_diagonal(p))


def _compute_squared_path(p: Params) -> int:
    return (p["c"] - p["a"]) ** 2 + (p["b"] + p["d"]) ** 2


class ShortestWayByALine(Family):
    """The shortest path that touches a line. Closed form: reflection. Brute force: ternary search."""

    name, area = "shortest_way_by_a_line", "geometry"
    phrasings = end_with(
        SQUAREFREE_PHRASE,
        "The shortest path from ({a}, {b}) to ({c}, {d}) that touches the x-axis on its way has length m*sqrt(n),",
        "A hiker at ({a}, {b}) wants to fetch water at some point of the river, which is the x-axis, and carry it to "
        "({c}, {d}). The shortest possible walk has length m*sqrt(n),",
        "Point P moves along the x-axis. The least possible value of the sum of its distances from ({a}, {b}) and "
        "({c}, {d}) is m*sqrt(n),",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        size = (12, 20, 30)[level - 1]
        p = {"a": draw("a").randint(0, 9), "b": draw("b").randint(1, size), "d": draw("d").randint(1, size)}
        p["c"] = p["a"] + draw("c").randint(2, size)
        return p if simplify_root(_compute_squared_path(p))[1] > 1 else None

    def solve_closed(self, p: Params) -> int:
        return sum(simplify_root(_compute_squared_path(p)))

    def solve_brute(self, p: Params) -> int:
        """Minimise the way over the point of the river by ternary search."""

        def way(x: float) -> float:
            return math.hypot(x - p["a"], p["b"]) + math.hypot(p["c"] - x, p["d"])

        low, high = float(p["a"]), float(p["c"])
        for _ in range(100):
            third = (high - low) / 3
            low, high = (low, high - third) if way(low + third) < way(high - third) else (low + third, high)
        return sum(simplify_root_by_search(round(way(low) ** 2)))

    def write_lines(self, p: Params) -> Iterable[Line]:
        a, b, c, d = (p[name] for name in "abcd")
        yield (
            f"Reflected in the x-axis, ({c}, {d}) becomes ({c}, {-d}), and the path becomes at best a straight line, "
            f"whose horizontal leg is {c} - {a} = {c - a}."
        )
        yield f"Its vertical leg is {b} + {d} = {b + d}."
        yield f"The square of its length is {c - a}^2 + {b + d}^2 = {_compute_squared_path(p)}."
        yield from write_root_lines(_compute_squared_path(p))

    def count_work(self, p: Params) -> int:
        return 10 * (p["c"] - p["a"])


class CommonTangent(Family):
    """The common tangent of touching circles. Closed form: 2 sqrt(rs). Brute force: Pythagoras."""

    name, area = "common_tangent", "geometry"
    phrasings = end_with(
        SQUAREFREE_PHRASE,
        "Two circles with radii {r} and {s} are externally tangent. A line touches the first circle at A and the "
        "second at B, where A and B are different. The length AB is m*sqrt(n),",
        "One circle of radius {r} and one of radius {s} touch each other from outside, and both touch a straight line "
        "from the same side, at two different points. These points are m*sqrt(n) apart,",
        "Two upright wheels in one plane, of radii {r} and {s}, stand on level ground and touch each other. The "
        "distance between the points where they touch the ground is m*sqrt(n),",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        size = (50, 120, 250)[level - 1]
        p = {"r": draw("r").randint(2, size), "s": draw("s").randint(2, size)}
        return p if p["r"] != p["s"] and simplify_root(p["r"] * p["s"])[1] > 1 else None

    def solve_closed(self, p: Params) -> int:
        return 2 * simplify_root(p["r"] * p["s"])[0] + simplify_root(p["r"] * p["s"])[1]

    def solve_brute(self, p: Params) -> int:
        return sum(simplify_root_by_search((p["r"] + p["s"]) ** 2 - (p["r"] - p["s"]) ** 2))

    def write_lines(self, p: Params) -> Iterable[Line]:
        r, s = p["r"], p["s"]
        yield f"The centers are {r} + {s} = {r + s} apart."
        yield (
            "Drawn parallel to the tangent, a line through the center of the smaller circle makes a right triangle "
            f"with hypotenuse {r + s} and leg {max(r, s)} - {min(r, s)} = {abs(r - s)}."
        )
        yield f"The square of the segment is {r + s}^2 - {abs(r - s)}^2 = {4 * r * s}."
        yield from write_root_lines(4 * r * s)

    def count_work(self, p: Params) -> int:
        return math.isqrt(4 * p["r"] * p["s"])
