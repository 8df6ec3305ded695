"""Problems with a program as pseudocode that prints its state after every step: the plan that rules write.

Grade-school problems, and DyVal's arithmetic, truth values and reachability. What the program prints is the true trace; the
last word of a printed line is the value that the problem stores for this step.
"""

from __future__ import annotations

import ast
import keyword
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stages.lib.core.records import Problem
from stages.lib.procedural.gradeschool import wording

FINAL = "Final answer:"  # what the last printed line begins with
_WORDS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


class Plan(NamedTuple):
    """How to solve a task, or one problem. code: the program, which prints its state and then `FINAL` and the answer."""

    analysis: str
    prose: str
    code: str


class Line(NamedTuple):
    """A step: the statement, the text that prints its values, and the same in prose."""

    statement: str
    printed: str
    prose: str


def write_plan(problem: Problem) -> Plan | None:
    """The plan of a problem whose program is known and has an answer; None of others."""
    program = problem.program
    if program is None or problem.answer == "N/A":
        return None
    if program.generator == "gradeschool":
        return _write_gradeschool(program.params)
    if program.generator == "dyval":
        task = program.params["task"]
        if task in ("arithmetic", "bool_logic"):
            return _write_tree(program.params)
        if task == "reachability":
            return _write_search(program.params)
    return None


def remove_prints(code: str) -> str:
    """The program without its `print`s, but for that of the final answer. Code that cannot be read loses the lines that
    begin with print."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        lines = [line for line in code.splitlines() if not line.strip().startswith("print(") or FINAL in line]
        return "\n".join(lines)
    for node in ast.walk(tree):
        for field in ("body", "orelse"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                kept = [statement for statement in block if not _is_trace(statement)]
                setattr(node, field, kept or ([ast.Pass()] if block and field == "body" else []))
    return ast.unparse(ast.fix_missing_locations(tree))


def _is_trace(statement: ast.AST) -> bool:
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return False
    call = statement.value
    if not (isinstance(call.func, ast.Name) and call.func.id == "print"):
        return False
    first = call.args[0] if call.args else None
    return not (isinstance(first, ast.Constant) and str(first.value).startswith(FINAL))


def _assemble(analysis: str, lines: Sequence[Line], answer: str) -> Plan:
    code = [part for line in lines for part in (line.statement, f"print({line.printed})")]
    prose = [f"{i}. {line.prose}" for i, line in enumerate([*lines, Line("", "", f"The answer is {answer}.")], 1)]
    return Plan(analysis, "\n".join(prose), "\n".join([*code, f'print("{FINAL}", {answer})']))


def _are_names(names: Sequence[Any]) -> bool:
    """Whether they can be names in a program: letters, no word of the language, none twice."""
    words = [str(name) for name in names]
    return len(set(words)) == len(words) and all(word.isidentifier() and not keyword.iskeyword(word) for word in words)


def _write_gradeschool(params: Mapping[str, Any]) -> Plan | None:
    people = params["people"]
    if not _are_names(people):
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
    return _assemble("Each quantity follows from earlier ones.", lines, people[len(lines) - 1])


def read_operand(entry: Mapping[str, Any]) -> int:
    """The number that a relation's word or percentage stands for: 2 for `half`, 4 for 25 percent."""
    number = entry["number"]
    if isinstance(number, str):
        return wording.FRACTION_DIVISORS[number]
    return wording.PERCENT_DIVISORS[number] if entry["relation"] == "percent" else number


def _write_tree(params: Mapping[str, Any]) -> Plan | None:
    """A tree of statements, operands first. None where a name is not described, or depends on itself."""
    table = {name: (operation, operands) for name, operation, operands in params["statements"]}
    order: dict[str, None] = {}
    if not _are_names(list(table)) or not _visit(params["asked"], table, order, ()):
        return None
    lines = []
    for name in order:
        operation, operands = table[name]
        if operation == "is":
            lines.append(Line(f"{name} = {operands}", f'"{name} =", {name}', f"Note that {name} is {operands}."))
            continue
        symbol = f" {operation} "
        if operation in ("not", "sqrt"):
            formula = f"not {operands[0]}" if operation == "not" else f"sqrt({operands[0]})"
            shown = f'"{operation}", {operands[0]}'
        elif operation == "square":
            formula, shown = f"{operands[0]} ** 2", f'{operands[0]}, "squared"'
        else:
            formula, shown = symbol.join(operands), f', "{operation}", '.join(operands)
        words = f"To get {name}, work out {formula}."
        lines.append(Line(f"{name} = {formula}", f'"{name} = {formula} =", {shown}, "=", {name}', words))
    return _assemble("Each value follows from the values that it is described by.", lines, params["asked"])


def _visit(name: str, table: Mapping[str, Any], order: dict[str, None], above: tuple[str, ...]) -> bool:
    """Add a name to the order after its operands; whether all are described and none depends on itself."""
    if name in order:
        return True
    if name not in table or name in above:
        return False
    operation, operands = table[name]
    if operation != "is" and not all(_visit(operand, table, order, (*above, name)) for operand in operands):
        return False
    order[name] = None
    return True


_SEARCH = """\
links = {links}
start = "{start}"
end = "{end}"
reached = [start]
for node in reached:
    new = []
    for child in links[node]:
        if child not in reached:
            new.append(child)
    print("from", node, "on to", new)
    reached.extend(new)
    if end in reached:
        break
print("reached:", end in reached)
print("{final}", end in reached)"""


def _write_search(params: Mapping[str, Any]) -> Plan:
    start, end = params["asked"]
    links = "{" + ", ".join(f'"{name}": {list(below)}' for name, _, below in params["statements"]) + "}"
    prose = (
        f"1. Begin at {start}.\n2. Follow every link of each node that was reached, in order, and note the new nodes.\n"
        f"3. Stop when {end} is reached or no node is left.\n4. The answer is True if {end} was reached, else False."
    )
    code = _SEARCH.format(links=links.replace("'", '"'), start=start, end=end, final=FINAL)
    return Plan("Whether a node can be reached is found by following all links.", prose, code)
