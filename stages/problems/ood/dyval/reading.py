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
_LIST = re.compile(_NAME)


class _Unknown(Exception):
    """A value that cannot be calculated."""


def answer(task: str, question: str) -> str:
    """The canonical answer. Raises ValueError or KeyError for a text that is no question of the task."""
    *told, asked = question.split("\n")
    return _READERS[task](told, asked)


def _found(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    if not match:
        raise ValueError(f"no {pattern!r} in {text!r}")
    return match


def _defined(told: list[str]) -> dict[str, str]:
    """name -> what stands after `name is`."""
    return {match[1]: match[2] for line in told if (match := re.fullmatch(rf"({_NAME}) is (?:equal to )?(.+)\.", line))}


def _facts(told: list[str]) -> dict[str, bool]:
    found = (re.fullmatch(rf"({_NAME}) (holds|fails)\.", line) for line in told)
    return {match[1]: match[2] == "holds" for match in found if match}


def _number(name: str, told: dict[str, str], open_: tuple[str, ...] = ()) -> Fraction:
    if name in open_ or name not in told:
        raise _Unknown(name)
    text = told[name]
    if re.fullmatch(r"-?\d+", text):
        return Fraction(text)
    values = [_number(one, told, (*open_, name)) for one in _LIST.findall(_bare(text))]
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


def _bare(text: str) -> str:
    """The text with nothing but the names in it."""
    return re.sub(r"\b(?:the|sum|product|of|and|minus|divided|by|square|root)\b", " ", text)


def _arithmetic(told: list[str], asked: str) -> str:
    name = _found(rf"the value of ({_NAME})\?", asked)[1]
    try:
        return str(_number(name, _defined(told)))
    except _Unknown:
        return "N/A"


def _equations(told: list[str], asked: str) -> str:
    defined, rows = _defined(told), []
    try:
        for line in told[1:3]:
            left, total = _found(r"^(\S.*) = (\S+)$", line).groups()
            row = {"x": Fraction(), "y": Fraction()}
            for sign, factor, unknown in re.findall(rf"(-|\+|^) ?(\d+|{_NAME}\*)?([xy])", left):
                size = _number(factor[:-1], defined) if factor.endswith("*") else Fraction(factor or 1)
                row[unknown] += -size if sign == "-" else size
            rows.append([*row.values(), Fraction(total) if re.fullmatch(r"-?\d+", total) else _number(total, defined)])
    except _Unknown:
        return "N/A"
    (a, b, c), (d, e, f) = rows if rows[0][0] else rows[::-1]  # elimination
    y = (f - d * c / a) / (e - d * b / a)
    x = (c - b * y) / a
    return f"({x}, {y})"


def _boolean(told: list[str], asked: str) -> str:
    facts, defined = _facts(told), _defined(told)

    def value(name: str, open_: tuple[str, ...]) -> bool:
        if name in facts:
            return facts[name]
        if name in open_ or name not in defined:
            raise _Unknown(name)
        text = defined[name]
        values = [value(one, (*open_, name)) for one in _LIST.findall(text)]
        return not values[0] if "NOT" in text else all(values) if "AND" in text else any(values)

    try:
        return str(value(_found(rf"^Is ({_NAME}) ", asked)[1], ()))
    except _Unknown:
        return "N/A"


def _rules(told: list[str]) -> list[tuple[bool, list[tuple[str, bool]], str, bool]]:
    """(whether every part of the premise is needed, its names with the value each must have, the conclusion, its value)."""
    found = []
    for line in told:
        if match := re.fullmatch(rf"\((.+)\) -> (?:\(NOT ({_NAME})\)|({_NAME}))\.", line):
            parts = [(name, not no) for no, name in re.findall(rf"(NOT )?\b({_NAME})\b", match[1])]
            found.append(("AND" in match[1], parts, match[2] or match[3], not match[2]))
    return found


def _deductive(told: list[str], asked: str) -> str:
    known, rules, before = _facts(told), _rules(told), -1
    while len(known) != before:  # forward chaining until nothing new follows
        before = len(known)
        for every, parts, conclusion, value in rules:
            met = [known.get(name) is wanted for name, wanted in parts]
            if (all(met) if every else any(met)) and known.setdefault(conclusion, value) != value:
                raise ValueError(f"{conclusion} is both True and False")
    return str(known.get(_found(rf"^Is ({_NAME}) ", asked)[1], "N/A"))


def _abductive(told: list[str], asked: str) -> str:
    seen = _found(rf"observed that ({_NAME}) is (True|False)", asked)
    known, rules, before = {seen[1]: seen[2] == "True"}, _rules(told), -1
    while len(known) != before:
        before = len(known)
        for every, parts, conclusion, value in rules:
            if known.get(conclusion) == (not value) and not every:
                for name, wanted in parts:
                    if known.setdefault(name, not wanted) == wanted:
                        raise ValueError(f"{name} is both True and False")
    return str(known.get(_found(rf"Is ({_NAME}) True", asked)[1], "N/A"))


def _links(told: list[str]) -> tuple[dict[str, list[str]], dict[str, int | None]]:
    links, values = {}, {}
    for line in told[1:]:
        match = _found(rf"^({_NAME}) (?:has the value (\d+) and )?points to (.+)\.$", line)
        links[match[1]] = [] if match[3] == "nothing" else _LIST.findall(re.sub(r"\band\b", " ", match[3]))
        values[match[1]] = int(match[2]) if match[2] else None
    return links, values


def _reachable(told: list[str], asked: str) -> str:
    links, _ = _links(told)
    end, start = _found(rf"Can ({_NAME}) be reached from ({_NAME})", asked).groups()
    reached = {start}
    for _ in links:
        reached |= {child for name in links if name in reached for child in links[name]}
    return str(end in reached)


def _largest(told: list[str], asked: str) -> str:
    links, values = _links(told)
    start, end = _found(rf"path from ({_NAME}) to ({_NAME})", asked).groups()
    if end not in values:  # what the last node adds to every sum is not told; without a path there is no sum
        return "N/A"
    best: dict[str, Any] = {start: values[start]}
    for _ in links:  # relaxation, as many rounds as there are nodes (Bellman and Ford)
        for name in links:
            for child in links[name]:
                if name in best:
                    best[child] = max(best.get(child, 0), best[name] + values[child])
    return str(best.get(end, "N/A"))


_READERS = {
    "arithmetic": _arithmetic, "linear_equation": _equations, "bool_logic": _boolean, "deductive_logic": _deductive,
    "abductive_logic": _abductive, "reachability": _reachable, "max_sum_path": _largest,
}  # fmt: skip
