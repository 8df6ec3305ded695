"""Statements: the parts of a problem. One statement is one sentence, `[name, operation, operands, ...]`.

The answer is never stored, nor whether there is one: both follow from the statements. Following the operands from the
target finds what it needs, and also missing statements and cycles.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

Statement = list[Any]  # [name, operation, operands]; of a leaf [name, "is", value]; rules add a sign
LEAF = "is"


def get_operands(statement: Sequence[Any]) -> Sequence[str]:
    return () if statement[1] == LEAF else statement[2]


class Dependencies(NamedTuple):
    """names: needed and described names, operands first. missing: (name without a statement, name that needs it).
    cycle: names that need each other, in order; empty if there are none."""

    names: list[str]
    missing: list[tuple[str, str]]
    cycle: list[str]


def find_dependencies(statements: Iterable[Statement], targets: Iterable[str]) -> Dependencies:
    """What the targets depend on. Several statements may define one name."""
    table: dict[str, list[str]] = {}
    for statement in statements:
        table.setdefault(statement[0], []).extend(get_operands(statement))
    finished: dict[str, None] = {}
    missing: dict[str, str] = {}
    path: dict[str, None] = {}
    cycle: list[str] = []

    def visit(name: str, parent: str) -> None:
        if name in path and not cycle:
            path_names = list(path)
            cycle.extend(path_names[path_names.index(name) :])
        if name in finished or name in path:
            return
        if name not in table:
            missing.setdefault(name, parent)
            return
        path[name] = None
        for operand in table[name]:
            visit(operand, name)
        del path[name]
        finished[name] = None

    for name in targets:
        visit(name, name)
    return Dependencies(list(finished), list(missing.items()), cycle)


def arrange_statements(
    statements: list[Statement], order: str, draw: Callable[[str], random.Random]
) -> list[Statement]:
    """The statements in a topological order (operands first, otherwise random), in the reverse of one, or in random order.
    Cycles are entered anywhere."""
    if order == "random":
        return draw("random order").sample(statements, len(statements))
    rng, waiting = draw("order"), {}
    for statement in statements:
        waiting.setdefault(statement[0], []).append(statement)
    users: dict[str, list[str]] = {name: [] for name in waiting}
    lacking = dict.fromkeys(waiting, 0)
    for name, group in waiting.items():
        for operand in dict.fromkeys(operand for statement in group for operand in get_operands(statement)):
            if operand in waiting:
                users[operand].append(name)
                lacking[name] += 1
    ready = [name for name, number in lacking.items() if not number]
    ordered: list[Statement] = []
    while waiting:
        place = int(rng.random() * (len(ready) or len(waiting)))
        name = ready.pop(place) if ready else list(waiting)[place]
        ordered += waiting.pop(name)
        for user in users[name]:
            lacking[user] -= 1
            if not lacking[user] and user in waiting:
                ready.append(user)
    return ordered[::-1] if order == "reversed" else ordered


def rename_statement(statement: Statement, names: Sequence[str]) -> Statement:
    name, operation, rest, *more = statement
    return [names[name], operation, rest if operation == LEAF else [names[operand] for operand in rest], *more]
