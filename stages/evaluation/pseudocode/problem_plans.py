"""Plans that rules write, one for each problem whose program is known: of grade school here, of DyVal in dyval_programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.evaluation.pseudocode import dyval_programs
from stages.evaluation.pseudocode.programs import Line, Plan, are_names, assemble_plan
from stages.lib.core.records import Problem
from stages.lib.procedural.gradeschool import wording

_WORDS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


def write_plan(problem: Problem) -> Plan | None:
    """The plan of a problem whose program is known and computes the answer; None of others.

    Where a problem of DyVal has no answer because a description is missing or needs itself, no program computes it."""
    program = problem.program
    if program is None:
        return None
    if program.generator == "gradeschool":
        return None if problem.answer == "N/A" else _write_gradeschool(program.params)
    return dyval_programs.write_plan(program.params, problem.answer) if program.generator == "dyval" else None


def _write_gradeschool(params: Mapping[str, Any]) -> Plan | None:
    people = params["people"]
    if not are_names(people):
        return None
    lines = []
    for name, entry in zip(people, params["quantities"], strict=False):
        relation = entry["relation"]
        if relation == "given":
            lines.append(
                Line(f"{name} = {entry['number']}", f'"{name} =", {name}', f"Note that {name} is {entry['number']}.")
            )
            continue
        symbol, (source, *others) = wording.OPERATIONS[relation], [people[i] for i in entry["of"]]
        second = others[0] if others else str(read_operand(entry))
        shown = f'"{symbol}", {second}' if others else f'"{symbol} {second}"'
        lines.append(
            Line(
                f"{name} = {source} {symbol} {second}",
                f'"{name} = {source} {symbol} {second} =", {source}, {shown}, "=", {name}',
                f"To get {name}, start from {source} and {_WORDS[symbol]} {second}.",
            )
        )
    return assemble_plan("Each quantity follows from earlier ones.", lines, people[len(lines) - 1])


def read_operand(entry: Mapping[str, Any]) -> int:
    """The number that a relation's word or percentage stands for: 2 for `half`, 4 for 25 percent."""
    number = entry["number"]
    if isinstance(number, str):
        return wording.FRACTION_DIVISORS[number]
    return wording.PERCENT_DIVISORS[number] if entry["relation"] == "percent" else number
