"""Boolean logic: a tree of AND, OR, NOT over True and False.

The graph is drawn first and the wished answer is met by the values of the leaves, so that no operation tells the
answer: 64 random assignments are evaluated at once, a bit each.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from typing import Any

from stages.lib.core.records import Step
from stages.problems.ood.dyval import arithmetic, trees
from stages.problems.ood.dyval.levels import TreeKnobs
from stages.problems.ood.dyval.statements import LEAF, Statement, find_dependencies, get_operands

ANSWER_TYPE = "boolean"
CLASSES = 2
UNARY = ("not",)
OPERATIONS = ("and", "or", "not")
NUM_ASSIGNMENTS = 64
ALL_ASSIGNMENTS = (1 << NUM_ASSIGNMENTS) - 1


def apply(operation: str, values: Sequence[int]) -> int:
    """On whole numbers, bit by bit; on truth values as usual."""
    if operation == "not":
        return (not values[0]) if isinstance(values[0], bool) else values[0] ^ ALL_ASSIGNMENTS
    result = values[0]
    for one in values[1:]:
        result = result & one if operation == "and" else result | one
    return result


def find_assignment(rng: random.Random, classes: Sequence[int], label: int, leaves: Sequence[int]) -> int | None:
    """The number of an assignment of class `label` (each class a bit per assignment); None unless all can be alike.

    How many leaves are True is drawn before, of the numbers that every class can have in this graph: else the number of
    facts that fail would tell the answer.
    """
    by_class: list[dict[int, list[int]]] = []
    for places in classes:
        found: dict[int, list[int]] = {}
        for place in range(places.bit_length()):
            if places >> place & 1:
                found.setdefault(sum(leaf >> place & 1 for leaf in leaves), []).append(place)
        by_class.append(found)
    shared = sorted(set.intersection(*map(set, by_class)))
    return rng.choice(by_class[label][rng.choice(shared)]) if shared else None


def sample(draw: Any, knobs: TreeKnobs, label: int, broken: bool) -> dict[str, Any] | None:
    made = _grow_tree(draw("graph"), knobs, label)
    if made is None:
        return None
    statements, truth = made
    asked = statements[-1][0]
    extra = trees.grow_distractors(draw("distractors"), statements, knobs.distractors, apply, truth)
    if knobs.deleted or knobs.cycles:
        other = _grow_tree(draw("beside"), knobs, draw("other label").randrange(CLASSES), len(statements + extra))
        if other is None:
            return None
        sides = (
            trees.GraphPart(one, [one[-1][0]], _make_undetermined_test(one, found)) for one, found in (made, other)
        )
        statements = trees.damage_one(
            draw, *sides, knobs, broken, UNARY, lambda *circles: len(enumerate_answers(*circles, asked)) != 1
        )
    return statements and {"statements": statements + extra, "asked": asked}


def _grow_tree(
    rng: random.Random, knobs: TreeKnobs, label: int, first: int = 0
) -> tuple[list[Statement], dict[Any, bool]] | None:
    """A tree with truth values that give the wished answer; None where it has no room for both."""
    statements, values = trees.grow_tree(
        rng, knobs, OPERATIONS, UNARY, lambda r, _: r.getrandbits(NUM_ASSIGNMENTS), apply, first
    )
    top = values[statements[-1][0]]
    chosen = find_assignment(
        rng, (top ^ ALL_ASSIGNMENTS, top), label, [statement[2] for statement in statements if statement[1] == LEAF]
    )
    if chosen is None:
        return None
    for statement in statements:
        if statement[1] == LEAF:
            statement[2] = bool(statement[2] >> chosen & 1)
    return statements, {name: bool(value >> chosen & 1) for name, value in values.items()}


def _make_undetermined_test(statements: list[Statement], truth: dict[Any, bool]) -> Any:
    top = statements[-1][0]
    return lambda name: trees.evaluate(statements, [top], apply, {name: not truth[name]})[top] != truth[top]


def enumerate_answers(closed: list[Statement], guessed: Sequence[Any], asked: Any) -> list[bool]:
    """The values of `asked` in all assignments that satisfy every statement; `guessed` names break all circles."""
    table = {statement[0]: statement for statement in closed}
    found = []
    for guess in product((False, True), repeat=len(guessed)):
        given = dict(zip(guessed, guess, strict=True))
        values = trees.evaluate(closed, [asked], apply, given)
        for name in guessed:
            values |= trees.evaluate(closed, get_operands(table[name]), apply, given)
        if all(apply(table[name][1], [values[one] for one in table[name][2]]) == given[name] for name in guessed):
            found.append(values[asked])
    return list(dict.fromkeys(found))


def format_formula(operation: str, operands_: Sequence[str]) -> str:
    return f"(NOT {operands_[0]})" if operation == "not" else f"({f' {operation.upper()} '.join(operands_)})"


def render_sentence(statement: Statement) -> str:
    name, operation, below = statement
    return format_fact(name, below) if operation == LEAF else f"{name} is equal to {format_formula(operation, below)}."


def format_fact(name: str, value: bool) -> str:
    """Of the same length for both: where `False` is a letter longer than `True`, the length of a question tells."""
    return f"{name} {'holds' if value else 'fails'}."


def render_frame(params: dict[str, Any]) -> tuple[str, str]:
    asked = params["asked"]
    return "Some truth values are described by others. What holds is True, what fails is False.", (
        f"Is {asked} True or False? A value can be calculated only if every value it is calculated from is known; "
        f"if {asked} cannot be calculated, answer N/A."
    )


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    statements, asked = params["statements"], params["asked"]
    table = {statement[0]: statement for statement in statements}
    values, need, steps = trees.evaluate(statements, [asked], apply), find_dependencies(statements, [asked]), []
    for name in need.names:
        _, operation, below = table[name]
        if name in values and operation == LEAF:
            steps.append(Step(text=f"{name} = {values[name]}", value=str(values[name])))
        elif name in values:
            said = (
                f"{format_formula(operation, below)} = {format_formula(operation, [str(values[one]) for one in below])}"
            )
            steps.append(Step(text=f"{name} = {said} = {values[name]}", value=str(values[name])))
    steps += arithmetic.explain_obstacles(need, [asked])
    return steps, arithmetic.format_value(values.get(asked))
