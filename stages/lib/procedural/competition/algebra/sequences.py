"""Sequences: arithmetic ones, recursions with a period, sums that telescope."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, format_ratio, match_text, parenthesize
from stages.lib.procedural.competition.fractions import add_fraction_parts, write_sum_line


class ArithmeticSequence(Family):
    """The sum of an arithmetic sequence of which two terms are known. Brute force: every difference."""

    name, area = "arithmetic_sequence", "algebra"
    phrasings = (
        "In an arithmetic sequence, term number {m} is {u} and term number {n} is {v}. Find the sum of the first {k} "
        "terms.",
        "Let a_1, a_2, a_3, ... be an arithmetic sequence with a_{m} = {u} and a_{n} = {v}. What is a_1 + a_2 + ... + "
        "a_{k}?",
        "Numbers are written in a row, and the difference between a number and the one before it is always the same, "
        "possibly negative. Number {m} in the row is {u} and number {n} is {v}. Find the sum of the first {k} numbers.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        d = draw("d").choice([n for n in range(-3 * level, 4 * level + 4) if n])
        m = draw("m").randint(2, 4 + 2 * level)
        n = m + draw("n").randint(2, 4 + 3 * level)
        first = draw("first").randint(1, 40)
        k = draw("k").randint(n + 2, n + (5, 12, 30)[level - 1])
        return {"m": m, "u": first + (m - 1) * d, "n": n, "v": first + (n - 1) * d, "k": k}

    def sample_easiest(self, draw: Draw) -> Params | None:
        d, first, m = draw("d").randint(1, 5), draw("first").randint(1, 9), draw("m").randint(2, 3)
        n = m + draw("n").randint(1, 2)
        return {"m": m, "u": first + (m - 1) * d, "n": n, "v": first + (n - 1) * d, "k": n + draw("k").randint(1, 3)}

    def solve_closed(self, p: Params) -> int:
        d = (p["v"] - p["u"]) // (p["n"] - p["m"])
        first = p["u"] - (p["m"] - 1) * d
        return p["k"] * (2 * first + (p["k"] - 1) * d) // 2

    def solve_brute(self, p: Params) -> int:
        """Try every difference, list the terms, add them up."""
        for d in range(-50, 51):
            terms = [p["u"] + (i - p["m"]) * d for i in range(1, p["k"] + 1)]
            if terms[p["m"] - 1] == p["u"] and terms[p["n"] - 1] == p["v"]:
                return sum(terms)
        raise ValueError("no difference fits")

    def write_lines(self, p: Params) -> Iterable[Line]:
        m, u, n, v, k = (p[name] for name in "munvk")
        d = (v - u) // (n - m)
        first = u - (m - 1) * d
        last = first + (k - 1) * d
        yield f"The difference is ({v} - {parenthesize(u)}) / ({n} - {m}) = {v - u} / {n - m} = {d}."
        yield f"The first term is {u} - {m - 1} * {parenthesize(d)} = {first}."
        yield f"Term {k} is {first} + {k - 1} * {parenthesize(d)} = {last}."
        yield f"The sum is {k} * ({first} + {parenthesize(last)}) / 2 = {self.solve_closed(p)}."

    def count_work(self, p: Params) -> int:
        return p["k"] * 100


def _list_period(p: Params) -> list[int]:
    x, y, c = p["first"], p["second"], p["c"]
    if p["rule"] == "difference":
        return [x, y, y - x + c, 2 * c - x, 2 * c - y, x - y + c]
    terms = [x, y]
    while len(terms) < 9:
        terms.append(abs(terms[-1]) - terms[-2])
    return terms


class HiddenPeriod(Family):
    """Recursions with a period: 6 for a_n - a_(n-1) + c, 9 for |a_n| - a_(n-1). Brute force: term by term."""

    name, area = "hidden_period", "algebra"
    phrasings = (
        "A sequence starts with a_1 = {first} and a_2 = {second}, and {rule} for all n > 1. Find the sum of its first "
        "{n} terms.",
        "Let a_1 = {first}, a_2 = {second}, and for every integer n > 1 let {rule}. What is a_1 + a_2 + ... + a_{n}?",
        "The sequence a_1, a_2, a_3, ... satisfies {rule} for every n > 1. If a_1 = {first} and a_2 = {second}, find "
        "the sum of the first {n} terms.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        bound = (400, 60, 30)[level - 1]
        params = {
            "rule": "absolute" if level == 3 else "difference",
            "c": draw("c").randint(1, 9) if level == 2 else 0,
            "first": draw("first").randint(1, bound),
            "second": draw("second").randint(1, bound),
            "n": draw("n").randint(*((20, 50), (40, 99), (70, 140))[level - 1]),
        }
        return None if level == 1 and params["n"] % 6 == 0 else params  # whole periods of level 1 add up to 0

    def solve_closed(self, p: Params) -> int:
        terms = _list_period(p)
        whole, left = divmod(p["n"], len(terms))
        return whole * sum(terms) + sum(terms[:left])

    def solve_brute(self, p: Params) -> int:
        before, now, total = p["first"], p["second"], p["first"]
        for _ in range(p["n"] - 1):
            total += now
            before, now = now, (now - before + p["c"] if p["rule"] == "difference" else abs(now) - before)
        return total

    def write_lines(self, p: Params) -> Iterable[Line]:
        terms = _list_period(p)
        size = len(terms)
        for i, value in enumerate(terms[2:] + terms[:2], 3):
            before, last = terms[(i - 3) % size], terms[(i - 2) % size]
            sign = "+" if before < 0 else "-"
            if p["rule"] == "difference":
                shown = f"{last} {sign} {abs(before)}" + (f" + {p['c']}" if p["c"] else "")
            else:
                shown = f"{abs(last)} {sign} {abs(before)}"
            yield f"a_{i} = {shown} = {value}."
        whole, left = divmod(p["n"], size)
        total, rest, answer = sum(terms), sum(terms[:left]), self.solve_closed(p)
        plus = " + ".join(map(parenthesize, terms))
        yield f"From a_{size + 1} on the terms repeat; {size} terms in a row add up to {plus} = {total}."
        few = "first term is" if left == 1 else f"first {left} terms add up to"
        few = f"and the {few} {rest}" if left else f"with {rest} terms left"
        yield f"{p['n']} = {size} * {whole} + {left}, {few}.", rest
        yield f"The sum is {whole} * {parenthesize(total)} + {parenthesize(rest)} = {answer}."

    def count_work(self, p: Params) -> int:
        return p["n"]

    def format_fields(self, p: Params) -> dict[str, str]:
        c = f" + {p['c']}" if p["c"] else ""
        rule = f"a_n - a_(n-1){c}" if p["rule"] == "difference" else "|a_n| - a_(n-1)"
        return {"rule": f"a_(n+1) = {rule}"} | {name: str(p[name]) for name in ("first", "second", "n")}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        match = match_text(r"a_\(n\+1\) = (a_n|\|a_n\|) - a_\(n-1\)(?: \+ (\d+))?", fields["rule"])
        rule = "difference" if match[1] == "a_n" else "absolute"
        return {"rule": rule, "c": int(match[2] or 0)} | {name: int(fields[name]) for name in ("first", "second", "n")}


def _list_uncancelled_parts(p: Params) -> tuple[Fraction, Fraction]:
    """What is left at the beginning and at the end once everything between has cancelled."""
    left = [Fraction(1, p["first"] + i) for i in range(0, p["gap"], p["step"])]
    right = [Fraction(1, p["last"] + p["gap"] - i) for i in range(0, p["gap"], p["step"])]
    return sum(left, Fraction(0)), sum(right, Fraction(0))


def _compute_sum(p: Params) -> Fraction:
    left, right = _list_uncancelled_parts(p)
    return (left - right) * p["top"] / p["gap"]


class TelescopingSum(Family):
    """c/(a(a+d)) + c/((a+d)(a+2d)) + ... + c/((b-d)b); at level 3 the factors differ by 2d. Brute force: term by term."""

    name, area = "telescoping_sum", "algebra"
    phrasings = (
        "The sum {sum}, in which both factors of the denominator grow by {step} from term to term, is p/q in lowest "
        "terms, with positive integers p and q. Find p + q.",
        "Let S = {sum}, where from each term to the next both factors of the denominator increase by {step}. If p and "
        "q are relatively prime positive integers with S = p/q, what is p + q?",
        "All fractions of the form {form} are added up in which the smaller factor k of the denominator is one of the "
        "numbers {first}, {second}, ..., {last}, which form an arithmetic sequence. The result is p/q in lowest "
        "terms, with positive integers p and q. Compute p + q.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        step = 1 if level == 1 else draw("step").randint(2, 9)
        gap = step * (2 if level == 3 else 1)
        first = draw("first").randint(1, (40, 25, 9)[level - 1])
        terms = draw("terms").randint(4 + level, (60, 40, 20)[level - 1])
        top = draw("top").randint(1, 9) if level == 3 else 1
        params = {"top": top, "first": first, "step": step, "gap": gap, "last": first + step * (terms - 1)}
        return params if _compute_sum(params).denominator > 1 else None

    def sample_easiest(self, draw: Draw) -> Params | None:
        first, terms = draw("first").randint(1, 9), draw("terms").randint(3, 9)
        return {"top": 1, "first": first, "step": 1, "gap": 1, "last": first + terms - 1}

    def solve_closed(self, p: Params) -> int:
        return add_fraction_parts(_compute_sum(p))

    def solve_brute(self, p: Params) -> int:
        terms = (Fraction(p["top"], k * (k + p["gap"])) for k in range(p["first"], p["last"] + 1, p["step"]))
        return add_fraction_parts(sum(terms, Fraction(0)))

    def write_lines(self, p: Params) -> Iterable[Line]:
        (left, right), total = _list_uncancelled_parts(p), _compute_sum(p)
        gap, a, b, factor = p["gap"], p["first"], p["last"] + p["gap"], Fraction(p["top"], p["gap"])
        difference = left - right
        if gap == 1:
            yield (
                f"Since 1/(k(k + 1)) = 1/k - 1/(k + 1), only 1/{a} of the first term and 1/{b} of the last one stay.",
                b,
            )
        else:
            yield (
                f"Since 1/(k(k + {gap})) is 1/k - 1/(k + {gap}), divided by {gap}, a factor "
                f"{format_ratio(p['top'], gap)} can be taken out.",
                factor,
            )
        if gap > p["step"]:
            yield f"At the beginning 1/{a} + 1/{a + p['step']} = {left} stays."
            yield f"At the end 1/{b - p['step']} + 1/{b} = {right} stays."
        yield f"All else cancels: {left} - {right} = {difference}."
        if gap > 1:
            yield f"The sum is {factor} * {difference} = {total}."
        yield write_sum_line(total)

    def count_work(self, p: Params) -> int:
        return (p["last"] - p["first"]) // p["step"] + 1

    def format_fields(self, p: Params) -> dict[str, str]:
        terms = [f"{p['top']}/({k} * {k + p['gap']})" for k in (p["first"], p["first"] + p["step"], p["last"])]
        numbers = {"step": p["step"], "first": p["first"], "second": p["first"] + p["step"], "last": p["last"]}
        return {name: str(number) for name, number in numbers.items()} | {
            "sum": f"{terms[0]} + {terms[1]} + ... + {terms[2]}",
            "form": f"{p['top']}/(k(k + {p['gap']}))",
        }

    def parse_fields(self, fields: dict[str, str]) -> Params:
        if "form" in fields:
            top, gap = map(int, re.findall(r"\d+", fields["form"]))
            first, second, last = (int(fields[name]) for name in ("first", "second", "last"))
        else:
            terms = re.findall(r"(\d+)/\((\d+) \* (\d+)\)", fields["sum"])
            (top, first, other), (_, second, _), (_, last, _) = [[int(n) for n in term] for term in terms]
            gap = other - first
        return {"top": top, "first": first, "step": second - first, "gap": gap, "last": last}
