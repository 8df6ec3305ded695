"""Trees with links: how arithmetic, linear equations and boolean logic grow, evaluate, extend and damage them.

During generation statements are named by whole numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from stages.lib.procedural.dyval.statements import LEAF, Statement, find_dependencies, get_operands

MAX_ATTEMPTS = 20
Apply = Callable[[str, Sequence[Any]], Any]  # (operation, operand values) -> value; None where there is none


def grow_tree(
    rng: random.Random,
    knobs: Any,
    operations: Sequence[str],
    unary: Sequence[str],
    leaf: Callable[[random.Random, str], Any],
    apply: Apply,
    first: int = 0,
) -> tuple[list[Statement], dict[int, Any]] | None:
    """(statements of a full tree of knobs.depth levels with links, name -> value); the root is last.

    A link goes to an earlier statement, never to one above, so there are no cycles. An operation without a value gets new
    operands up to three times before another operation is drawn. None where nothing has a value.
    """
    statements: list[Statement] = []
    values: dict[int, Any] = {}

    def build(depth: int, user: str) -> int | None:
        name = first + len(statements)
        if depth == 1:
            values[name] = leaf(rng, user)
            statements.append([name, LEAF, values[name]])
            return name
        mark, operation = len(statements), rng.choice(operations)
        for attempt in range(9):
            if attempt in (3, 6):
                operation = rng.choice(operations)
            below: list[Any] = [build(depth - 1, operation) for _ in range(1 if operation in unary else knobs.width)]
            if None not in below:
                if operation not in unary:
                    others = [other for other in range(first, first + len(statements)) if other not in below]
                    below += rng.sample(others, min(knobs.links, len(others)))
                    rng.shuffle(below)
                value = apply(operation, [values[operand] for operand in below])
                if value is not None:
                    name = first + len(statements)
                    values[name] = value
                    statements.append([name, operation, below])
                    return name
            del statements[mark:]
        return None

    return (statements, values) if build(knobs.depth, "") is not None else None


def evaluate(
    statements: Iterable[Statement], targets: Iterable[Any], apply: Apply, assumed: Mapping[Any, Any] | None = None
) -> dict[Any, Any]:
    """name -> value of everything that the targets need and that can be calculated; `assumed` values are not calculated."""
    statements = list(statements)
    table = {statement[0]: statement for statement in statements}
    values = dict(assumed or {})
    for name in find_dependencies([s for s in statements if s[0] not in values], targets).names:
        if name in values:
            continue
        _, operation, below = table[name][:3]
        if operation == LEAF:
            values[name] = below
        elif all(operand in values for operand in below):
            value = apply(operation, [values[operand] for operand in below])
            if value is not None:
                values[name] = value
    return values


def grow_distractors(
    rng: random.Random, statements: Sequence[Statement], thirds: int, apply: Apply, values: Mapping[Any, Any]
) -> list[Statement] | None:
    """Distractors: statements that no statement of the graph depends on, `thirds` of its size. None if they have no values.

    Their forms (operation, number of operands, value of a leaf) are sampled from those of the graph, so that no sentence
    by itself reveals a distractor. They depend on each other and on the graph.
    """
    if not thirds:
        return []
    values, distractors = dict(values), []
    graph = [statement[0] for statement in statements]
    forms = _sample_forms(rng, statements, count_distractors(len(statements), thirds))
    leaves = [form for form in forms if not get_operands(form)]
    inner = [form for form in forms if get_operands(form)]
    rng.shuffle(inner)
    names = range(len(statements), len(statements) + len(forms))
    for name, form in zip(names, leaves, strict=False):
        values[name] = form[2]
        distractors.append([name, *form[1:]])
    loose, last = list(names[: len(leaves)]), None
    for name, form in zip(names[len(leaves) :], inner, strict=True):
        # The first depends on the graph, each next one on the one before; the leaves fill the other operands.
        num_operands = len(form[2])
        for attempt in range(16):
            alone = num_operands == 1 and (attempt > 2 or rng.random() < 0.5)
            below = [rng.choice(graph) if last is None or alone else last, *loose[: num_operands - 1]]
            rest = [operand for operand in graph if operand not in below]
            below += rng.sample(rest, min(num_operands - len(below), len(rest)))
            rng.shuffle(below)
            value = apply(form[1], [values[operand] for operand in below])
            if value is not None:
                break
        else:
            return None
        values[name], last = value, name
        loose = [operand for operand in loose if operand not in below]
        distractors.append([name, form[1], below, *form[3:]])
    return distractors


def count_distractors(size: int, thirds: int) -> int:
    """The number of distractors for `size` statements: in proportion, as forms differ between small and large graphs."""
    return max(1, round(size * thirds / 3)) if thirds else 0


def _sample_forms(rng: random.Random, statements: Sequence[Statement], count: int) -> list[Statement]:
    """A systematic sample of statements by number of operands, less the leaves that no statement could use.

    n distractors that depend on each other and on the graph have at least n operands. A tree has one operand less than
    statements, so a fair sample of it falls short by a fraction of a leaf.
    """
    ordered = sorted(rng.sample(statements, len(statements)), key=lambda statement: len(get_operands(statement)))
    step, start = len(statements) / count, rng.random()
    forms = [ordered[int((start + place) * step)] for place in range(count)]
    while sum(len(get_operands(form)) for form in forms) < len(forms):
        if len(forms) == 1:
            return [rng.choice([form for form in ordered if get_operands(form)])]
        forms.pop(0)
    return forms


class GraphPart(NamedTuple):
    """A graph that can be damaged. is_undetermined(name): whether two values of a name lead to different answers."""

    statements: list[Statement]
    asked: Sequence[Any]
    is_undetermined: Callable[[Any], bool]


def damage_one(
    draw: Any,
    ours: GraphPart,
    beside: GraphPart,
    knobs: Any,
    broken: bool,
    unary: Sequence[str],
    fits: Callable[[list[Statement], list[Any]], bool] = lambda closed, names: True,
) -> list[Statement] | None:
    """The statements of both graphs, one of them damaged by deletions or cycles: `ours` if the item is to be broken, else
    `beside`, a graph of the same distribution that the answer does not need. Only following the names shows which.

    Links from `beside` lead to names of `ours` where a cycle would be possible. fits(closed, names): whether a graph with
    cycles over these names is acceptable. None where there is no such damage.
    """
    damaged, whole = (ours, beside) if broken else (beside, ours)
    statements = _remove_statements(draw("deleted"), damaged, knobs.deleted) if knobs.deleted else damaged.statements
    if not statements or not knobs.cycles:
        return statements and statements + whole.statements
    rng = draw("cycles")
    for _ in range(MAX_ATTEMPTS):
        linked = _add_links(rng, statements, damaged.asked, ours, knobs.cycles, unary)
        if linked is None or not broken or knobs.deleted or fits(linked, find_cut_names(statements, linked)):
            return linked and linked + whole.statements
    return None


def _remove_statements(rng: random.Random, side: GraphPart, count: int) -> list[Statement] | None:
    """The statements without `count` needed ones. Without the first of these the answer is undetermined."""
    names = [name for name in find_dependencies(side.statements, side.asked).names if name not in side.asked]
    rng.shuffle(names)
    decisive = next((name for name in names if side.is_undetermined(name)), None)
    removed = [decisive, *[name for name in names if name != decisive][: count - 1]]
    return None if decisive is None else [statement for statement in side.statements if statement[0] not in removed]


def _add_links(
    rng: random.Random,
    statements: list[Statement],
    targets: Sequence[Any],
    ours: GraphPart,
    count: int,
    unary: Sequence[str],
) -> list[Statement] | None:
    """The statements with `count` links up to names of `ours`; each closes a cycle if the statements are ours. None where
    there is no room."""
    linked = [list(statement) for statement in statements]
    table = {statement[0]: statement for statement in linked}
    closing = bool({*targets} & {*ours.asked})
    for _ in range(count):
        pairs = _find_cycle_links(linked, targets, unary)
        above = pairs if closing else _find_cycle_links(ours.statements, ours.asked, unary)
        if not pairs or not above:
            return None
        low, high = rng.choice(pairs)
        high = high if closing else rng.choice(above)[1]
        table[low][2] = [*table[low][2], high]
    return linked


def _find_cycle_links(
    statements: Sequence[Statement], targets: Sequence[Any], unary: Sequence[str]
) -> list[tuple[Any, Any]]:
    """[(name, another that depends on it)]: a link from the first to the second would close a needed cycle."""
    table = {statement[0]: statement for statement in statements}
    return [
        (low, high)
        for high in find_dependencies(statements, targets).names
        for low in find_dependencies(statements, [high]).names
        if low != high and table[low][1] not in (*unary, LEAF) and high not in table[low][2]
    ]


def find_cut_names(statements: Sequence[Statement], closed: Sequence[Statement]) -> list[Any]:
    """The names that the added links of `closed` lead to: with their values assumed, there is no cycle."""
    return list(
        dict.fromkeys(
            operand
            for old, new in zip(statements, closed, strict=True)
            for operand in get_operands(new)
            if operand not in get_operands(old)
        )
    )
