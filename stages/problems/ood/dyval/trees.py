"""Trees with links: growing them, telling their values, adding what is not needed, and breaking them.

Used by arithmetic, linear equations and boolean logic. While an item is made its statements are named by whole numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from stages.problems.ood.dyval.statements import LEAF, Statement, find_dependencies, get_operands

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
    """A full tree of knobs.depth levels, and further operands from what stands already; the last statement is the root.

    A link goes to a statement that was made before, never to one above, so no circle can arise. An operation that has
    no value is tried again on new operands, thrice, before another one is drawn. None if nothing helps.
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
            below = [build(depth - 1, operation) for _ in range(1 if operation in unary else knobs.width)]
            if None not in below:
                if operation not in unary:
                    others = [other for other in range(first, first + len(statements)) if other not in below]
                    below += rng.sample(others, min(knobs.links, len(others)))
                    rng.shuffle(below)
                value = apply(operation, [values[one] for one in below])
                if value is not None:
                    name = first + len(statements)
                    values[name] = value
                    statements.append([name, operation, below])
                    return name
            del statements[mark:]
        return None

    return (statements, values) if build(knobs.depth, "") is not None else None


def evaluate(
    statements: Iterable[Statement], asked: Iterable[Any], apply: Apply, given: Mapping[Any, Any] | None = None
) -> dict[Any, Any]:
    """name -> value of all that the asked names need and that can be calculated; `given` values are taken as they are."""
    statements = list(statements)
    table = {statement[0]: statement for statement in statements}
    values = dict(given or {})
    for name in find_dependencies([s for s in statements if s[0] not in values], asked).names:
        if name in values:
            continue
        _, operation, below = table[name][:3]
        if operation == LEAF:
            values[name] = below
        elif all(one in values for one in below):
            value = apply(operation, [values[one] for one in below])
            if value is not None:
                values[name] = value
    return values


def grow_distractors(
    rng: random.Random, statements: Sequence[Statement], thirds: int, apply: Apply, values: Mapping[Any, Any]
) -> list[Statement] | None:
    """Statements that nothing in the graph stands on, `thirds` of its number. None if their operations have no values
    together.

    Their forms (operation, number of operands, a leaf's value) are a fair sample of the graph's, so that a sentence by
    itself tells nothing. They stand on each other and on the graph, never apart from it.
    """
    if not thirds:
        return []
    values, made = dict(values), []
    graph = [statement[0] for statement in statements]
    forms = _sample_forms(rng, statements, count_distractors(len(statements), thirds))
    leaves = [form for form in forms if not get_operands(form)]
    inner = [form for form in forms if get_operands(form)]
    rng.shuffle(inner)
    names = range(len(statements), len(statements) + len(forms))
    for name, form in zip(names, leaves, strict=False):
        values[name] = form[2]
        made.append([name, *form[1:]])
    loose, last = list(names[: len(leaves)]), None
    for name, form in zip(names[len(leaves) :], inner, strict=True):
        # The first stands on the graph, each next one on the one before; the other places are for the leaves.
        wanted = len(form[2])
        for attempt in range(16):
            alone = wanted == 1 and (attempt > 2 or rng.random() < 0.5)
            below = [rng.choice(graph) if last is None or alone else last, *loose[: wanted - 1]]
            rest = [one for one in graph if one not in below]
            below += rng.sample(rest, min(wanted - len(below), len(rest)))
            rng.shuffle(below)
            value = apply(form[1], [values[one] for one in below])
            if value is not None:
                break
        else:
            return None
        values[name], last = value, name
        loose = [one for one in loose if one not in below]
        made.append([name, form[1], below, *form[3:]])
    return made


def count_distractors(size: int, thirds: int) -> int:
    """How many statements are added to `size`: in proportion, since the forms of small graphs differ from large ones'."""
    return max(1, round(size * thirds / 3)) if thirds else 0


def _sample_forms(rng: random.Random, statements: Sequence[Statement], count: int) -> list[Statement]:
    """A systematic sample by number of operands, less the leaves for which no operand would be left.

    n statements that hang together and on the graph have at least n operands; a tree has one less than it has
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
    """A graph that can be damaged. undetermined(name): whether two values of a name lead to different answers."""

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
    """The statements of both sides, of one of which some are gone or lead upwards: of ours, if the item is to be broken,
    or else of the one beside, of the same law, that nothing asked for rests on. Only following the names tells which.

    Links from beside lead to names of ours to which a circle could. fits(closed, names): whether a side with circles
    over these names will do. None where there is no such damage.
    """
    hurt, whole = (ours, beside) if broken else (beside, ours)
    left = _remove_statements(draw("deleted"), hurt, knobs.deleted) if knobs.deleted else hurt.statements
    rng = draw("cycles")
    for _ in range(MAX_ATTEMPTS if knobs.cycles and left else 0):
        linked = _add_links(rng, left, hurt.asked, ours, knobs.cycles, unary)
        if linked is None or not broken or knobs.deleted or fits(linked, find_cut_names(left, linked)):
            return linked and linked + whole.statements
    return left + whole.statements if left and not knobs.cycles else None


def _remove_statements(rng: random.Random, side: GraphPart, count: int) -> list[Statement] | None:
    """The statements less `count` that are needed. Without the first of them the answer may be one thing or another."""
    names = [name for name in find_dependencies(side.statements, side.asked).names if name not in side.asked]
    rng.shuffle(names)
    gone = next((name for name in names if side.is_undetermined(name)), None)
    chosen = [gone, *[name for name in names if name != gone][: count - 1]]
    return None if gone is None else [statement for statement in side.statements if statement[0] not in chosen]


def _add_links(
    rng: random.Random,
    statements: list[Statement],
    asked: Sequence[Any],
    ours: GraphPart,
    count: int,
    unary: Sequence[str],
) -> list[Statement] | None:
    """The statements with `count` links up to names of ours: each closes a circle there, if these are ours. None for no
    room."""
    linked = [list(statement) for statement in statements]
    table = {statement[0]: statement for statement in linked}
    closing = bool({*asked} & {*ours.asked})
    for _ in range(count):
        pairs = _find_cycle_links(linked, asked, unary)
        above = pairs if closing else _find_cycle_links(ours.statements, ours.asked, unary)
        if not pairs or not above:
            return None
        low, high = rng.choice(pairs)
        high = high if closing else rng.choice(above)[1]
        table[low][2] = [*table[low][2], high]
    return linked


def _find_cycle_links(
    statements: Sequence[Statement], asked: Sequence[Any], unary: Sequence[str]
) -> list[tuple[Any, Any]]:
    """(name, another that rests on it): a link from the first to the second would close a circle that is needed."""
    table = {statement[0]: statement for statement in statements}
    return [
        (low, high)
        for high in find_dependencies(statements, asked).names
        for low in find_dependencies(statements, [high]).names
        if low != high and table[low][1] not in (*unary, LEAF) and high not in table[low][2]
    ]


def find_cut_names(statements: Sequence[Statement], closed: Sequence[Statement]) -> list[Any]:
    """The names that the links of `closed` lead up to: with their values known, nothing is a circle."""
    return list(
        dict.fromkeys(
            one
            for old, new in zip(statements, closed, strict=True)
            for one in get_operands(new)
            if one not in get_operands(old)
        )
    )
