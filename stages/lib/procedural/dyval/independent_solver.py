"""An independent solver: it reads only the text of a question and uses other algorithms than the generators.

Values are computed by recursion from the target, in fractions; rules are applied until nothing new follows; graphs are
solved by relaxation over all links.
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


def solve(task: str, text: str) -> str:
    """The canonical answer. Raises ValueError or KeyError for a text that is not a question of the task."""
    *lines, question = text.split("\n")
    return _SOLVERS[task](lines, question)


def _match(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    if not match:
        raise ValueError(f"no {pattern!r} in {text!r}")
    return match


def _parse_definitions(lines: list[str]) -> dict[str, str]:
    """name -> the text after `name is`."""
    return {
        match[1]: match[2] for line in lines if (match := re.fullmatch(rf"({_NAME}) is (?:equal to )?(.+)\.", line))
    }


def _parse_facts(lines: list[str]) -> dict[str, bool]:
    matches = (re.fullmatch(rf"({_NAME}) (holds|fails)\.", line) for line in lines)
    return {match[1]: match[2] == "holds" for match in matches if match}


def _evaluate_number(name: str, definitions: dict[str, str], open_: tuple[str, ...] = ()) -> Fraction:
    if name in open_ or name not in definitions:
        raise _NotDetermined(name)
    text = definitions[name]
    if re.fullmatch(r"-?\d+", text):
        return Fraction(text)
    values = [
        _evaluate_number(operand, definitions, (*open_, name)) for operand in _NAME_PATTERN.findall(_keep_names(text))
    ]
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
    """The text without any word that is not a name."""
    return re.sub(r"\b(?:the|sum|product|of|and|minus|divided|by|square|root)\b", " ", text)


def _solve_arithmetic(lines: list[str], question: str) -> str:
    name = _match(rf"the value of ({_NAME})\?", question)[1]
    try:
        return str(_evaluate_number(name, _parse_definitions(lines)))
    except _NotDetermined:
        return "N/A"


def _solve_linear_equation(lines: list[str], question: str) -> str:
    defined, rows = _parse_definitions(lines), []
    try:
        for line in lines[1:3]:
            left_side, total = _match(r"^(\S.*) = (\S+)$", line).groups()
            row = {"x": Fraction(), "y": Fraction()}
            for sign, factor, unknown in re.findall(rf"(-|\+|^) ?(\d+|{_NAME}\*)?([xy])", left_side):
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


def _solve_bool_logic(lines: list[str], question: str) -> str:
    facts, defined = _parse_facts(lines), _parse_definitions(lines)

    def value(name: str, open_: tuple[str, ...]) -> bool:
        if name in facts:
            return facts[name]
        if name in open_ or name not in defined:
            raise _NotDetermined(name)
        text = defined[name]
        values = [value(operand, (*open_, name)) for operand in _NAME_PATTERN.findall(text)]
        return not values[0] if "NOT" in text else all(values) if "AND" in text else any(values)

    try:
        return str(value(_match(rf"^Is ({_NAME}) ", question)[1], ()))
    except _NotDetermined:
        return "N/A"


def _parse_rules(lines: list[str]) -> list[tuple[bool, list[tuple[str, bool]], str, bool]]:
    """[(whether all parts of the premise must hold, (name, required value) of each part, conclusion, its value)]."""
    rules = []
    for line in lines:
        if match := re.fullmatch(rf"\((.+)\) -> (?:\(NOT ({_NAME})\)|({_NAME}))\.", line):
            parts = [(name, not no) for no, name in re.findall(rf"(NOT )?\b({_NAME})\b", match[1])]
            rules.append(("AND" in match[1], parts, match[2] or match[3], not match[2]))
    return rules


def _solve_deductive_logic(lines: list[str], question: str) -> str:
    values, rules, size = _parse_facts(lines), _parse_rules(lines), -1
    while len(values) != size:  # forward chaining until nothing new follows
        size = len(values)
        for every, parts, conclusion, conclusion_value in rules:
            holds = [values.get(name) is required for name, required in parts]
            if (all(holds) if every else any(holds)) and values.setdefault(
                conclusion, conclusion_value
            ) != conclusion_value:
                raise ValueError(f"{conclusion} is both True and False")
    return str(values.get(_match(rf"^Is ({_NAME}) ", question)[1], "N/A"))


def _solve_abductive_logic(lines: list[str], question: str) -> str:
    observation = _match(rf"observed that ({_NAME}) is (True|False)", question)
    values, rules, size = {observation[1]: observation[2] == "True"}, _parse_rules(lines), -1
    while len(values) != size:
        size = len(values)
        for every, parts, conclusion, conclusion_value in rules:
            if values.get(conclusion) == (not conclusion_value) and not every:
                for name, required in parts:
                    if values.setdefault(name, not required) == required:
                        raise ValueError(f"{name} is both True and False")
    return str(values.get(_match(rf"Is ({_NAME}) True", question)[1], "N/A"))


def _parse_links(lines: list[str]) -> tuple[dict[str, list[str]], dict[str, int | None]]:
    links, values = {}, {}
    for line in lines[1:]:
        match = _match(rf"^({_NAME}) (?:has the value (\d+) and )?points to (.+)\.$", line)
        links[match[1]] = [] if match[3] == "nothing" else _NAME_PATTERN.findall(re.sub(r"\band\b", " ", match[3]))
        values[match[1]] = int(match[2]) if match[2] else None
    return links, values


def _solve_reachability(lines: list[str], question: str) -> str:
    links, _ = _parse_links(lines)
    end, start = _match(rf"Can ({_NAME}) be reached from ({_NAME})", question).groups()
    reached = {start}
    for _ in links:
        reached |= {child for name in links if name in reached for child in links[name]}
    return str(end in reached)


def _solve_max_sum_path(lines: list[str], question: str) -> str:
    links, values = _parse_links(lines)
    start, end = _match(rf"path from ({_NAME}) to ({_NAME})", question).groups()
    if end not in values:  # the value of the last node is not described
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
