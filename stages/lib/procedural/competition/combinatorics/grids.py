"""Grids: paths that avoid points, rectangles that contain squares."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import comb

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, join_list

Point = list[int]


def count_paths(start: Point, end: Point) -> int:
    right, up = end[0] - start[0], end[1] - start[1]
    return comb(right + up, up) if right >= 0 and up >= 0 else 0


def _count_first_arrivals(p: Params) -> list[int]:
    """Paths to each closed point, and to the end, that meet no closed point before."""
    arrivals: list[int] = []
    for point in (goals := [*p["closed"], p["end"]]):
        detours = (n * count_paths(goal, point) for n, goal in zip(arrivals, goals, strict=False))
        arrivals.append(count_paths([0, 0], point) - sum(detours))
    return arrivals


def _format_binomial(start: Point, end: Point) -> str:
    return f"C({sum(end) - sum(start)}, {end[1] - start[1]})"


class LatticePaths(Family):
    """Lattice paths that avoid points. Closed form: by the first closed point met. Brute force: paths to every point."""

    name, area = "lattice_paths", "combinatorics"
    phrasings = (
        "A path on the grid goes from (0, 0) to {end} in steps of length 1, each to the right or up. How many such "
        "paths do not pass through {or}?",
        "A robot at (0, 0) can move from (x, y) to (x + 1, y) or to (x, y + 1). In how many ways can it reach {end} "
        "without ever standing on {or}?",
        "In a city of square blocks, crossing (x, y) lies x blocks east and y blocks north of crossing (0, 0). A taxi "
        "drives {right} blocks east and {up} blocks north, in any order, starting at (0, 0). The {closed} {are} "
        "closed. How many routes can it take?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((3, 8), (4, 8), (5, 9))[level - 1]
        end = [draw("right").randint(low, high), draw("up").randint(low, high)]
        inner = [[x, y] for x in range(end[0] + 1) for y in range(end[1] + 1) if 2 <= x + y <= sum(end) - 2]
        return {"end": end, "closed": sorted(draw("closed").sample(inner, level))}

    def solve_closed(self, p: Params) -> int:
        return _count_first_arrivals(p)[-1]

    def solve_brute(self, p: Params) -> int:
        count = {}
        for x in range(p["end"][0] + 1):
            for y in range(p["end"][1] + 1):
                steps = count.get((x - 1, y), 0) + count.get((x, y - 1), 0) if x or y else 1
                count[x, y] = 0 if [x, y] in p["closed"] else steps
        return count[tuple(p["end"])]

    def write_lines(self, p: Params) -> Iterable[Line]:
        goals, first = [*p["closed"], p["end"]], _count_first_arrivals(p)
        for place, goal in enumerate(goals):
            total = count_paths([0, 0], goal)
            yield f"The number of paths to ({goal[0]}, {goal[1]}) is {_format_binomial([0, 0], goal)} = {total}."
            left = total
            for i in range(place):
                on = count_paths(goals[i], goal)
                if not on:
                    continue
                lost, name = first[i] * on, f"({goals[i][0]}, {goals[i][1]})"
                yield f"Through {name} first: {first[i]} * {_format_binomial(goals[i], goal)} = {lost}."
                yield f"That leaves {left} - {lost} = {left - lost}."
                left -= lost

    def count_work(self, p: Params) -> int:
        return count_paths([0, 0], p["end"])

    def format_fields(self, p: Params) -> dict[str, str]:
        points = [f"({x}, {y})" for x, y in p["closed"]]
        return {
            "end": f"({p['end'][0]}, {p['end'][1]})",
            "right": str(p["end"][0]),
            "up": str(p["end"][1]),
            "or": join_list(points, " or "),
            "and": join_list(points),
            "closed": ("crossings " if len(points) > 1 else "crossing ") + join_list(points),
            "are": "are" if len(points) > 1 else "is",
        }

    def parse_fields(self, fields: dict[str, str]) -> Params:
        points = [[int(x), int(y)] for x, y in re.findall(r"\((\d+), (\d+)\)", " ".join(fields.values()))]
        if "right" in fields:
            return {"end": [int(fields["right"]), int(fields["up"])], "closed": points}
        return {"end": points[0], "closed": points[1:]}


_QUESTION_FORMS = ("{both}", "at least one of {both}", "exactly one of {both}")


def _count_sides(p: Params, squares: list[Point]) -> list[int]:
    """Choices for the upper, lower, left and right side of a rectangle that contains the squares."""
    axes = zip(p["size"], zip(*squares, strict=True), strict=True)
    return [choices for size, places in axes for choices in (min(places), size - max(places) + 1)]


def _count_containing(p: Params, squares: list[Point]) -> int:
    top, bottom, left, right = _count_sides(p, squares)
    return top * bottom * left * right


def _format_square(square: Point) -> str:
    return f"row {square[0]}, column {square[1]}"


class Rectangles(Family):
    """Rectangles in a grid that contain squares. Closed form: choices for the four sides. Brute force: every rectangle."""

    name, area = "rectangles", "combinatorics"
    phrasings = (
        "A rectangular grid consists of {rows} rows and {columns} columns of unit squares. How many rectangles made "
        "up of squares of the grid contain {ask}? Squares count as rectangles.",
        "A sheet of stamps has {rows} rows and {columns} columns. A block of stamps is a full rectangle of any size, "
        "down to a single stamp. Calling each stamp a square, find the number of blocks that contain {ask}.",
        "On a board with {rows} rows and {columns} columns, a rectangle is bounded by grid lines. Rectangles of equal "
        "size in different places are different. Find the number of rectangles that contain {ask}.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((4, 9), (5, 11), (8, 14))[level - 1]
        size = [draw("rows").randint(low, high), draw("columns").randint(low, high)]
        squares = [[draw(f"row {i}").randint(1, size[0]), draw(f"column {i}").randint(1, size[1])] for i in range(2)]
        if level == 1:
            return {"size": size, "squares": squares[:1], "ask": 0}
        return {"size": size, "squares": sorted(squares), "ask": level - 1} if squares[0] != squares[1] else None

    def sample_easiest(self, draw: Draw) -> Params | None:
        size = [draw("rows").randint(2, 6), draw("columns").randint(2, 6)]
        square = [draw("row").randint(1, size[0]), draw("column").randint(1, size[1])]
        return {"size": size, "squares": [square], "ask": 0}

    def solve_closed(self, p: Params) -> int:
        ones = sum(_count_containing(p, [square]) for square in p["squares"])
        return ones if p["ask"] == 0 else ones - p["ask"] * _count_containing(p, p["squares"])

    def solve_brute(self, p: Params) -> int:
        rows, columns = p["size"]
        count = 0
        for top in range(1, rows + 1):
            for bottom in range(top, rows + 1):
                for left in range(1, columns + 1):
                    for right in range(left, columns + 1):
                        inside = sum(top <= r <= bottom and left <= c <= right for r, c in p["squares"])
                        count += inside == 1 if p["ask"] != 1 else inside >= 1
        return count

    def write_lines(self, p: Params) -> Iterable[Line]:
        squares = p["squares"]
        if p["ask"] == 0:
            top, bottom, left, right = _count_sides(p, squares)
            rows, columns = p["size"]
            yield f"Choices for the upper side: {top}; for the lower side: {rows} - {top} + 1 = {bottom}."
            yield f"Choices for the left side: {left}; for the right side: {columns} - {left} + 1 = {right}."
            yield f"That makes {top} * {bottom} = {top * bottom} choices of rows."
            yield f"Together with the columns: {top * bottom} * {left} * {right} = {_count_containing(p, squares)}."
            return
        for square in squares:
            choices, n = " * ".join(map(str, _count_sides(p, [square]))), _count_containing(p, [square])
            yield f"With the square in {_format_square(square)}: {choices} = {n} rectangles."
        both, ones = _count_containing(p, squares), sum(_count_containing(p, [square]) for square in squares)
        yield f"With both squares: {' * '.join(map(str, _count_sides(p, squares)))} = {both} rectangles."
        terms = " + ".join(str(_count_containing(p, [square])) for square in squares)
        yield f"The two counts add up to {terms} = {ones}, and those with both are in it twice."
        less = str(both) if p["ask"] == 1 else f"2 * {both}"
        yield f"So there are {ones} - {less} = {self.solve_closed(p)}."

    def count_work(self, p: Params) -> int:
        return comb(p["size"][0] + 1, 2) * comb(p["size"][1] + 1, 2)

    def format_fields(self, p: Params) -> dict[str, str]:
        both = join_list([f"the square in {_format_square(square)}" for square in p["squares"]])
        return {
            "rows": str(p["size"][0]),
            "columns": str(p["size"][1]),
            "ask": _QUESTION_FORMS[p["ask"]].format(both=both),
        }

    def parse_fields(self, fields: dict[str, str]) -> Params:
        squares = [[int(r), int(c)] for r, c in re.findall(r"row (\d+), column (\d+)", fields["ask"])]
        ask = 1 if fields["ask"].startswith("at least") else 2 if fields["ask"].startswith("exactly") else 0
        return {"size": [int(fields["rows"]), int(fields["columns"])], "squares": squares, "ask": ask}
