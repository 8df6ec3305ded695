"""Boolean logic: a tree of AND, OR, NOT over True and False.

The graph is drawn first, then values of the leaves that give the intended answer, so that no operation reveals the answer:
64 random assignments are evaluated at once, one bit each.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from typing import Any

from stages.lib.core.records import Step
from stages.lib.procedural.dyval import arithmetic, trees
from stages.lib.procedural.dyval.levels import TreeKnobs
from stages.lib.procedural.dyval.statements import LEAF, Statement, find_dependencies, get_operands

ANSWER_TYPE = "boolean"
CLASSES = 2
UNARY = ("not",)
OPERATIONS = ("and", "or", "not")
NUM_ASSIGNMENTS = 64
ALL_ASSIGNMENTS = (1 << NUM_ASSIGNMENTS) - 1


def apply(operation: str, values: Sequence[int]) -> int:
    """The operation on truth values; on integers bit by bit."""
    if operation == "not":
        return (not values[0]) if isinstance(values[0], bool) else values[0] ^ ALL_ASSIGNMENTS
    result = values[0]
    for value in values[1:]:
        result = result & value if operation == "and" else result | value
    return result


def find_assignment(rng: random.Random, classes: Sequence[int], label: int, leaves: Sequence[int]) -> int | None:
    """The index of an assignment of class `label`; classes and leaves are bit masks over the assignments.

    The number of True leaves is drawn first, among the numbers that every class can have in this graph, since otherwise
    the number of failing facts would reveal the answer. None where there is no such number.
    """
    by_class: list[dict[int, list[int]]] = []
    for mask in classes:
        by_count: dict[int, list[int]] = {}
        for index in range(mask.bit_length()):
            if mask >> index & 1:
                by_count.setdefault(sum(leaf >> index & 1 for leaf in leaves), []).append(index)
        by_class.append(by_count)
    shared = sorted(set.intersection(*map(set, by_class)))
    return rng.choice(by_class[label][rng.choice(shared)]) if shared else None


def sample(draw: Any, knobs: TreeKnobs, label: int, broken: bool) -> dict[str, Any] | None:
    tree = _grow_tree(draw("graph"), knobs, label)
    if tree is None:
        return None
    statements, truth = tree
    target = statements[-1][0]
    extra = trees.grow_distractors(draw("distractors"), statements, knobs.distractors, apply, truth)
    if extra is None:
        return None
    if knobs.deleted or knobs.cycles:
        other = _grow_tree(draw("beside"), knobs, draw("other label").randrange(CLASSES), len(statements + extra))
        if other is None:
            return None
        ours, beside = (
            trees.GraphPart(part, [part[-1][0]], _make_undetermined_test(part, values))
            for part, values in (tree, other)
        )
        statements = trees.damage_one(
            draw,
            ours,
            beside,
            knobs,
            broken,
            UNARY,
            lambda closed, names: len(enumerate_answers(closed, names, target)) != 1,
        )
    return {"statements": statements + extra, "asked": target} if statements else None


def _grow_tree(
    rng: random.Random, knobs: TreeKnobs, label: int, first: int = 0
) -> tuple[list[Statement], dict[Any, bool]] | None:
    """A tree with truth values that give the answer `label`; None where it cannot have both answers."""
    operations = OPERATIONS[: knobs.operations]
    grown = trees.grow_tree(rng, knobs, operations, UNARY, lambda r, _: r.getrandbits(NUM_ASSIGNMENTS), apply, first)
    if grown is None:
        return None
    statements, values = grown
    top = values[statements[-1][0]]
    assignment = find_assignment(
        rng, (top ^ ALL_ASSIGNMENTS, top), label, [statement[2] for statement in statements if statement[1] == LEAF]
    )
    if assignment is None:
        return None
    for statement in statements:
        if statement[1] == LEAF:
            statement[2] = bool(statement[2] >> assignment & 1)
    return statements, {name: bool(value >> assignment & 1) for name, value in values.items()}


def _make_undetermined_test(statements: list[Statement], truth: dict[Any, bool]) -> Any:
    top = statements[-1][0]
    return lambda name: trees.evaluate(statements, [top], apply, {name: not truth[name]})[top] != truth[top]


def enumerate_answers(closed: list[Statement], guesses: Sequence[Any], target: Any) -> list[bool]:
    """The possible values of `target` in all solutions of the statements; `guesses`: names that cut all cycles."""
    table = {statement[0]: statement for statement in closed}
    results = []
    for guess in product((False, True), repeat=len(guesses)):
        assumed = dict(zip(guesses, guess, strict=True))
        values = trees.evaluate(closed, [target], apply, assumed)
        for name in guesses:
            values |= trees.evaluate(closed, get_operands(table[name]), apply, assumed)
        if all(
            apply(table[name][1], [values[operand] for operand in table[name][2]]) == assumed[name] for name in guesses
        ):
            results.append(values[target])
    return list(dict.fromkeys(results))


def format_formula(operation: str, operands_: Sequence[str]) -> str:
    return f"(NOT {operands_[0]})" if operation == "not" else f"({f' {operation.upper()} '.join(operands_)})"


def render_sentence(statement: Statement) -> str:
    name, operation, below = statement
    return format_fact(name, below) if operation == LEAF else f"{name} is equal to {format_formula(operation, below)}."


def format_fact(name: str, value: bool) -> str:
    """A fact in words of equal length: `True` and `False` differ by a letter, which would reveal the answer."""
    return f"{name} {'holds' if value else 'fails'}."


def render_frame(params: dict[str, Any]) -> tuple[str, str]:
    target = params["asked"]
    return "Some truth values are described by others. What holds is True, what fails is False.", (
        f"Is {target} True or False? A value can be calculated only if every value it is calculated from is known; "
        f"if {target} cannot be calculated, answer N/A."
    )


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    statements, target = params["statements"], params["asked"]
    table = {statement[0]: statement for statement in statements}
    values, dependencies, steps = (
        trees.evaluate(statements, [target], apply),
        find_dependencies(statements, [target]),
        [],
    )
    for name in dependencies.names:
        _, operation, below = table[name]
        if name in values and operation == LEAF:
            steps.append(Step(text=f"{name} = {values[name]}", value=str(values[name])))
        elif name in values:
            truths = [str(values[operand]) for operand in below]
            equation = f"{format_formula(operation, below)} = {format_formula(operation, truths)}"
            steps.append(Step(text=f"{name} = {equation} = {values[name]}", value=str(values[name])))
    steps += arithmetic.explain_obstacles(dependencies, [target])
    return steps, arithmetic.format_value(values.get(target))
