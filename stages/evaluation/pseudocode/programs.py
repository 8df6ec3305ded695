"""Programs as plans: pseudocode that prints its state after every step, and the same steps in prose.

What a program prints is the true trace; the last word of a printed line is the value that the problem stores for this step.
"""

from __future__ import annotations

import ast
import keyword
from collections.abc import Sequence
from typing import Any, NamedTuple

FINAL = "Final answer:"  # what the last printed line begins with


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


def assemble_plan(analysis: str, lines: Sequence[Line], answer: str) -> Plan:
    """The plan of these steps. answer: the expression whose value is the answer."""
    code = [part for line in lines for part in (line.statement, f"print({line.printed})") if part]
    prose = [f"{i}. {line.prose}" for i, line in enumerate([*lines, Line("", "", f"The answer is {answer}.")], 1)]
    return Plan(analysis, "\n".join(prose), "\n".join([*code, f'print("{FINAL}", {answer})']))


def are_names(names: Sequence[Any]) -> bool:
    """Whether they can be names in a program: letters, no word of the language, none twice."""
    words = [str(name) for name in names]
    return len(set(words)) == len(words) and all(word.isidentifier() and not keyword.iskeyword(word) for word in words)
