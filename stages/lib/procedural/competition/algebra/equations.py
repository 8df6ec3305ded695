"""Equations in integers: a functional equation, an equation that factors."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

from stages.lib.procedural.competition.family import (
    Draw,
    Family,
    Line,
    Params,
    format_signed,
    join_list,
    match_text,
    parenthesize,
    parse_signed,
)


def _solve_for_f1(p: Params) -> int:
    known = p["known"]
    return (p["value"] - (known - 1) * p["d"] - p["c"] * known * (known - 1) // 2) // known


class FunctionalEquation(Family):
    """f(x + y) = f(x) + f(y) + cxy + d on the integers. Brute force: every f(1)."""

    name, area = "functional_equation", "algebra"
    phrasings = (
        "A function f from the integers to the integers satisfies {equation} for all integers x and y. If f({known}) "
        "= {value}, find f({n}).",
        "Let f be a function that is defined on the integers, has integer values, and satisfies {equation} for all x "
        "and y. Given that f({known}) = {value}, what is f({n})?",
        "The integer-valued function f on the integers has f({known}) = {value}, and {equation} holds for all "
        "integers x and y. Compute f({n}).",
    )

    def sample(self, draw: Draw, level: int) -> Params:
        known = (1, 2, draw("known").randint(3, 6))[level - 1]
        c, d = draw("c").randint(2, 9), draw("d").randint(-9, 9) if level > 1 else 0
        f1 = draw("one").randint(-30, 40)
        value = known * f1 + (known - 1) * d + c * known * (known - 1) // 2
        return {"c": c, "d": d, "known": known, "value": value, "n": known + draw("n").randint(3, 14)}

    def sample_easiest(self, draw: Draw) -> Params | None:
        p = {name: draw(name).randint(*bounds) for name, bounds in {"c": (2, 5), "value": (1, 9), "n": (3, 6)}.items()}
        return p | {"d": 0, "known": 1}

    def solve_closed(self, p: Params) -> int:
        n = p["n"]
        return n * _solve_for_f1(p) + (n - 1) * p["d"] + p["c"] * n * (n - 1) // 2

    def solve_brute(self, p: Params) -> int:
        """Try every f(1) and add 1 to x at a time."""
        for f1 in range(-200, 201):
            values = [f1]
            for x in range(1, p["n"]):
                values.append(values[-1] + f1 + p["c"] * x + p["d"])
            if values[p["known"] - 1] == p["value"]:
                return values[-1]
        raise ValueError("no f(1) from -200 to 200 fits")

    def write_lines(self, p: Params) -> Iterable[Line]:
        c, d, known, value, n = (p[name] for name in ("c", "d", "known", "value", "n"))
        f1, answer = _solve_for_f1(p), self.solve_closed(p)

        def extra(n: int) -> tuple[str, int]:
            pairs = n * (n - 1) // 2
            text = f"{n - 1} * {parenthesize(d)} + {pairs} * {c}" if d else f"{pairs} * {c}"
            return text, (n - 1) * d + pairs * c

        text, more = extra(n)
        plus = f" {format_signed(d)}" if d else ""
        if known == 1:
            yield f"With y = 1, f(x + 1) - f(x) = f(1) + {c}x{plus}, where f(1) = {f1}."
        else:
            before, less = extra(known)
            yield (
                f"With y = 1, f(x + 1) - f(x) = f(1) + {c}x{plus}. Adding up to x = {known - 1}, f({known}) is "
                f"{known}f(1) plus {before} = {less}."
            )
            gap = value - less
            yield (
                f"So {known}f(1) = {value} - {parenthesize(less)} = {gap} and f(1) = {parenthesize(gap)} / {known} = "
                f"{f1}."
            )
        yield f"In the same way f({n}) is {n}f(1) plus {text} = {more}."
        yield f"f({n}) = {n} * {parenthesize(f1)} {format_signed(more)} = {answer}."

    def count_work(self, p: Params) -> int:
        return 401 * p["n"]

    def format_fields(self, p: Params) -> dict[str, str]:
        d = f" {format_signed(p['d'])}" if p["d"] else ""
        equation = f"f(x + y) = f(x) + f(y) + {p['c']}xy{d}"
        return {"equation": equation} | {name: str(p[name]) for name in ("known", "value", "n")}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        match = match_text(r"f\(x \+ y\) = f\(x\) \+ f\(y\) \+ (\d+)xy(?: ([+-] \d+))?", fields["equation"])
        values = {name: int(fields[name]) for name in ("known", "value", "n")}
        return {"c": int(match[1]), "d": parse_signed(match[2] or "0")} | values


def _list_solutions(p: Params) -> list[int]:
    """x = (d - b)/c for every factorisation d * e = cN + ab with d = cx + b and e = cy + a."""
    c, a, b = p["c"], p["a"], p["b"]
    whole = c * p["n"] + a * b
    return [
        (d - b) // c
        for d in range(1, whole + 1)
        if whole % d == 0 and d > b and whole // d > a and (d - b) % c == 0 and (whole // d - a) % c == 0
    ]


class FactorableEquation(Family):
    """cxy + ax + by = N in positive integers. Closed form: factorizations of cN + ab. Brute force: every x."""

    name, area = "factorable_equation", "algebra"
    phrasings = (
        "Find the sum of all positive integers x for which there is a positive integer y with {equation}.",
        "Consider all pairs (x, y) of positive integers that satisfy {equation}. Find the sum of the values of x in "
        "these pairs.",
        "The equation {equation} has several solutions in positive integers x and y. What is the sum of x over all of "
        "these solutions?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((1, 9), (-12, -2), (-9, 9))[level - 1]
        c = draw("c").randint(2, 4) if level == 3 else 1
        params = {
            "c": c,
            "a": draw("a").randint(low, high),
            "b": draw("b").randint(low, high),
            "n": draw("n").randint(*((20, 250), (120, 600), (300, 900))[level - 1]),
        }
        usable = params["a"] and params["b"] and gcd(c, params["a"], params["b"], params["n"]) == 1
        usable = usable and params["c"] * params["n"] + params["a"] * params["b"] > 0
        few, many = ((2, 3), (3, 5), (5, 12))[level - 1]
        return params if usable and few <= len(_list_solutions(params)) <= many else None

    def solve_closed(self, p: Params) -> int:
        return sum(_list_solutions(p))

    def solve_brute(self, p: Params) -> int:
        """Try every x; y follows."""
        c, a, b, n = p["c"], p["a"], p["b"], p["n"]
        total = 0
        for x in range(1, c * n + abs(a * b) + abs(b) + 1):
            bottom, top = c * x + b, n - a * x
            if bottom and top % bottom == 0 and top // bottom > 0:
                total += x
        return total

    def write_lines(self, p: Params) -> Iterable[Line]:
        c, a, b, n = p["c"], p["a"], p["b"], p["n"]
        whole, xs = c * n + a * b, _list_solutions(p)
        head = (f"{c}x" if c > 1 else "x", f"{c}y" if c > 1 else "y")
        left = f"({head[0]} {format_signed(b)})({head[1]} {format_signed(a)})"
        times = f"Multiplying by {c} and adding" if c > 1 else "Adding"
        shown = f"{c} * {n}" if c > 1 else str(n)
        divisors = [c * x + b for x in xs]
        yield (
            f"{times} {parenthesize(a)} * {parenthesize(b)} = {a * b} gives {left} = {shown} {format_signed(a * b)} = "
            f"{whole}."
        )
        yield (
            f"Positive integers x and y come from {len(divisors)} of its factorizations, those with {head[0]} "
            f"{format_signed(b)} = {join_list(list(map(str, divisors)))}.",
            len(divisors),
        )
        over = f" / {c}" if c > 1 else ""
        for d, x in zip(divisors, xs, strict=True):
            top = f"{d} {format_signed(-b)}"
            yield f"x = {f'({top})' if over else top}{over} = {x}."
        yield f"The sum is {' + '.join(map(str, xs))} = {sum(xs)}."

    def count_work(self, p: Params) -> int:
        return p["c"] * p["n"]

    def format_fields(self, p: Params) -> dict[str, str]:
        def term(number: int, unknown: str) -> str:
            size = "" if abs(number) == 1 else str(abs(number))
            return f"{'-' if number < 0 else '+'} {size}{unknown}"

        head = f"{p['c'] if p['c'] > 1 else ''}xy"
        return {"equation": f"{head} {term(p['a'], 'x')} {term(p['b'], 'y')} = {p['n']}"}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        match = match_text(r"(\d*)xy ([+-]) (\d*)x ([+-]) (\d*)y = (\d+)", fields["equation"])
        a, b = (int(f"{sign}{size or 1}") for sign, size in ((match[2], match[3]), (match[4], match[5])))
        return {"c": int(match[1] or 1), "a": a, "b": b, "n": int(match[6])}
