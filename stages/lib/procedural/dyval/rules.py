"""Rules of deductive and abductive logic: `(a AND b) -> c.` or, with a negated conclusion, `(a AND b) -> (NOT c).`

A rule is a statement with a sign: [name, operation, operands, sign]; sign False concludes that the name is False.
In abductive logic it also says which operands are negated: `((NOT a) AND b) -> c.` DyVal has no negated conclusions, so
that nothing in its deductive logic can ever be False.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from stages.lib.procedural.dyval.bool_logic import format_fact, format_formula
from stages.lib.procedural.dyval.statements import LEAF, Statement

OPERATIONS = ("and", "or", "not")
TRUTH_WORDS = {True: "True", False: "False", None: "N/A"}


def evaluate_premise(operation: str, values: Sequence[bool | None]) -> bool | None:
    """Kleene's three-valued logic."""
    if operation == "not":
        return None if values[0] is None else not values[0]
    decisive = operation == "or"
    if decisive in values:
        return decisive
    return None if None in values else not decisive


def draw_signs(rng: random.Random, operation: str, count: int) -> list[bool]:
    """Signs of the rules for the operands of a premise, such that the premise can become true."""
    if operation == "not":
        return [False]
    if operation == "and":
        return [True] * count
    signs = [rng.random() < 0.5 for _ in range(count)]
    signs[int(rng.random() * count)] = True
    return signs


def grow(
    rng: random.Random,
    depth: int,
    width: int,
    sign: bool,
    weights: Sequence[float],
    statements: list[Statement],
    leaf: Callable[[], Any] | None,
) -> int:
    """Append a full tree of rules and return the name of its root. Without `leaf`, leaves have no statement."""
    name = len(statements)
    statements.append([])  # a placeholder: names are indices into this list
    if depth == 1:
        statements[name] = [name, LEAF, leaf()] if leaf else []
        return name
    operation = rng.choices(OPERATIONS, weights)[0]
    signs = draw_signs(rng, operation, 1 if operation == "not" else width)
    operands = [grow(rng, depth - 1, width, operand_sign, weights, statements, leaf) for operand_sign in signs]
    statements[name] = [name, operation, operands, sign]
    return name


def format_premise(statement: Statement) -> str:
    """The premise in words."""
    _, operation, below, _, *negated = statement
    if negated and operation != "not":
        below = [
            f"(NOT {operand})" if is_negated else operand for operand, is_negated in zip(below, negated[0], strict=True)
        ]
    return format_formula(operation, below)


def render_sentence(statement: Statement) -> str:
    if statement[1] == LEAF:
        return format_fact(statement[0], statement[2])
    return f"{format_premise(statement)} -> {statement[0] if statement[3] else f'(NOT {statement[0]})'}."


def format_statement(statement: Statement) -> str:
    return render_sentence(statement)[:-1]
