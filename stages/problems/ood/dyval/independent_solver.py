"""A second reader: the answer of a question from its words alone, by other means than those that made it.

It evaluates from what is asked down, by recursion over the sentences, with fractions throughout; logic it decides by
what follows in every case, graphs by closing paths.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import isqrt, prod
from typing import Any

_NAME = r"[b-z]{3}"
_NAME_PATTERN = re.compile(_NAME)


class _NotDetermined(Exception):
    """A value that cannot be calculated."""


def solve(task: str, question: str) -> str:
    """The canonical answer. Raises ValueError or KeyError for a text that is no question of the task."""
    *told, asked = question.split("\n")
    return _SOLVERS[task](told, asked)


def _match(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    if not match:
        raise ValueError(f"no {pattern!r} in {text!r}")
    return match


def _parse_definitions(told: list[str]) -> dict[str, str]:
    """name -> what stands after `name is`."""
    return {match[1]: match[2] for line in told if (match := re.fullmatch(rf"({_NAME}) is (?:equal to )?(.+)\.", line))}


def _parse_facts(told: list[str]) -> dict[str, bool]:
    found = (re.fullmatch(rf"({_NAME}) (holds|fails)\.", line) for line in told)
    return {match[1]: match[2] == "holds" for match in found if match}


def _evaluate_number(name: str, told: dict[str, str], open_: tuple[str, ...] = ()) -> Fraction:
    if name in open_ or name not in told:
        raise _NotDetermined(name)
    text = told[name]
    if re.fullmatch(r"-?\d+", text):
        return Fraction(text)
    values = [_evaluate_number(one, told, (*open_, name)) for one in _NAME_PATTERN.findall(_keep_names(text))]
    if text.startswith("the sum of"):
        return sum(values, Fraction())
    if text.startswith("the product of"):
        return prod(values, start=Fraction(1))
    if " minus " in text:
        return values[0] - sum(values[1:])
    if " divided by " in text:
        return values[0] / prod(values[1:])
    if text.startswith("the square of"):
        return values[0] ** 2
    if text.startswith("the square root of"):
        return Fraction(isqrt(values[0].numerator), isqrt(values[0].denominator))
    raise ValueError(f"cannot read {text!r}")


def _keep_names(text: str) -> str:
    """The text with nothing but the names in it."""
    return re.sub(r"\b(?:the|sum|product|of|and|minus|divided|by|square|root)\b", " ", text)


def _solve_arithmetic(told: list[str], asked: str) -> str:
    name = _match(rf"the value of ({_NAME})\?", asked)[1]
    try:
        return str(_evaluate_number(name, _parse_definitions(told)))
    except _NotDetermined:
        return "N/A"


def _solve_linear_equation(told: list[str], asked: str) -> str:
    defined, rows = _parse_definitions(told), []
    try:
        for line in told[1:3]:
            left, total = _match(r"^(\S.*) = (\S+)$", line).groups()
            row = {"x": Fraction(), "y": Fraction()}
            for sign, factor, unknown in re.findall(rf"(-|\+|^) ?(\d+|{_NAME}\*)?([xy])", left):
                size = _evaluate_number(factor[:-1], defined) if factor.endswith("*") else Fraction(factor or 1)
                row[unknown] += -size if sign == "-" else size
            rows.append(
                [*row.values(), Fraction(total) if re.fullmatch(r"-?\d+", total) else _evaluate_number(total, defined)]
            )
    except _NotDetermined:
        return "N/A"
    (a, b, c), (d, e, f) = rows if rows[0][0] else rows[::-1]  # elimination
    y = (f - d * c / a) / (e - d * b / a)
    x = (c - b * y) / a
    return f"({x}, {y})"


def _solve_bool_logic(told: list[str], asked: str) -> str:
    facts, defined = _parse_facts(told), _parse_definitions(told)

    def value(name: str, open_: tuple[str, ...]) -> bool:
        if name in facts:
            return facts[name]
        if name in open_ or name not in defined:
            raise _NotDetermined(name)
        text = defined[name]
        values = [value(one, (*open_, name)) for one in _NAME_PATTERN.findall(text)]
        return not values[0] if "NOT" in text else all(values) if "AND" in text else any(values)

    try:
        return str(value(_match(rf"^Is ({_NAME}) ", asked)[1], ()))
    except _NotDetermined:
        return "N/A"


def _parse_rules(told: list[str]) -> list[tuple[bool, list[tuple[str, bool]], str, bool]]:
    """(whether every part of the premise is needed, its names with the value each must have, the conclusion, its value)."""
    found = []
    for line in told:
        if match := re.fullmatch(rf"\((.+)\) -> (?:\(NOT ({_NAME})\)|({_NAME}))\.", line):
            parts = [(name, not no) for no, name in re.findall(rf"(NOT )?\b({_NAME})\b", match[1])]
            found.append(("AND" in match[1], parts, match[2] or match[3], not match[2]))
    return found


def _solve_deductive_logic(told: list[str], asked: str) -> str:
    known, rules, before = _parse_facts(told), _parse_rules(told), -1
    while len(known) != before:  # forward chaining until nothing new follows
        before = len(known)
        for every, parts, conclusion, value in rules:
            met = [known.get(name) is wanted for name, wanted in parts]
            if (all(met) if every else any(met)) and known.setdefault(conclusion, value) != value:
                raise ValueError(f"{conclusion} is both True and False")
    return str(known.get(_match(rf"^Is ({_NAME}) ", asked)[1], "N/A"))


def _solve_abductive_logic(told: list[str], asked: str) -> str:
    seen = _match(rf"observed that ({_NAME}) is (True|False)", asked)
    known, rules, before = {seen[1]: seen[2] == "True"}, _parse_rules(told), -1
    while len(known) != before:
        before = len(known)
        for every, parts, conclusion, value in rules:
            if known.get(conclusion) == (not value) and not every:
                for name, wanted in parts:
                    if known.setdefault(name, not wanted) == wanted:
                        raise ValueError(f"{name} is both True and False")
    return str(known.get(_match(rf"Is ({_NAME}) True", asked)[1], "N/A"))


def _parse_links(told: list[str]) -> tuple[dict[str, list[str]], dict[str, int | None]]:
    links, values = {}, {}
    for line in told[1:]:
        match = _match(rf"^({_NAME}) (?:has the value (\d+) and )?points to (.+)\.$", line)
        links[match[1]] = [] if match[3] == "nothing" else _NAME_PATTERN.findall(re.sub(r"\band\b", " ", match[3]))
        values[match[1]] = int(match[2]) if match[2] else None
    return links, values


def _solve_reachability(told: list[str], asked: str) -> str:
    links, _ = _parse_links(told)
    end, start = _match(rf"Can ({_NAME}) be reached from ({_NAME})", asked).groups()
    reached = {start}
    for _ in links:
        reached |= {child for name in links if name in reached for child in links[name]}
    return str(end in reached)


def _solve_max_sum_path(told: list[str], asked: str) -> str:
    links, values = _parse_links(told)
    start, end = _match(rf"path from ({_NAME}) to ({_NAME})", asked).groups()
    if end not in values:  # what the last node adds to every sum is not told; without a path there is no sum
        return "N/A"
    best: dict[str, Any] = {start: values[start]}
    for _ in links:  # relaxation, as many rounds as there are nodes (Bellman and Ford)
        for name in links:
            for child in links[name]:
                if name in best:
                    best[child] = max(best.get(child, 0), best[name] + values[child])
    return str(best.get(end, "N/A"))


_SOLVERS = {
    "arithmetic": _solve_arithmetic,
    "linear_equation": _solve_linear_equation,
    "bool_logic": _solve_bool_logic,
    "deductive_logic": _solve_deductive_logic,
    "abductive_logic": _solve_abductive_logic,
    "reachability": _solve_reachability,
    "max_sum_path": _solve_max_sum_path,
}
