"""Abductive logic: one value is observed; what follows, backwards through the rules, for a name in their premises?

If the conclusion of a rule is observed to be wrong, its premise is not true: then no part of an OR holds, nor the operand
of a NOT, and nothing follows for an AND. A conclusion that is right tells nothing. The target occurs in several rules, in
one plain and in another negated, and its value follows along the path of rules that leads from the observed name to it.
The tree is drawn first, with room for all answers, so that neither its size nor its operations reveal the answer; then
the signs. For N/A every path breaks once, at a rule that tells nothing or at an AND.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from stages.lib.core.records import Step
from stages.lib.procedural.dyval import rules, trees
from stages.lib.procedural.dyval.levels import RuleKnobs
from stages.lib.procedural.dyval.statements import Statement

ANSWER_TYPE = "boolean"
CLASSES = 3
LABELS = (True, False, None)
WEIGHTS = (0.25, 0.5, 0.25)  # of and, or, not
MAX_STUCK_PATHS = 2  # further paths to the target, over an AND
render_sentence = rules.render_sentence


def sample(draw: Any, knobs: RuleKnobs, label: int, broken: bool) -> dict[str, Any] | None:
    rng = draw("graph")
    statements: list[Statement] = []
    rules.grow(rng, knobs.depth, knobs.width, True, WEIGHTS, statements, None)
    for statement in statements:
        if statement:
            statement[3] = rng.random() < 0.5
            statement.append([statement[1] == "not" or rng.random() < 0.5 for _ in statement[2]])
    paths = _find_paths(statements, 0)
    clear = [path for path in paths if all(statements[name][1] != "and" for name in path[:-1])]
    pairs = [
        (first, other)
        for first in clear
        for other in clear
        if first[-2] != other[-2] and _is_negated(statements, first, -1) < _is_negated(statements, other, -1)
    ]
    if not pairs:
        return None
    pair = rng.choice(pairs)
    ways, used = list(pair), {way[-2] for way in pair}
    stuck = [path for path in paths if path not in clear]
    for path in rng.sample(stuck, min(len(stuck), rng.randint(0, MAX_STUCK_PATHS))):
        # No two in one rule, nor over one AND: else the values of its other parts would follow, too.
        holding = {path[-2], *(name for name in path[:-1] if statements[name][1] == "and")}
        if not used & holding:
            ways.append(path)
            used |= holding
    observed = rng.random() < 0.5
    _assign_sign(rng, statements, ways, observed, LABELS[label])
    target = pair[0][-1]
    for way in ways:
        below = statements[way[-2]][2]
        below[below.index(way[-1])] = target
    used_rules = [statement for statement in statements if statement]
    extra = draw_distractors(
        draw("distractors"), used_rules, len(statements), trees.count_distractors(len(used_rules), knobs.distractors)
    )
    return {"statements": used_rules + extra, "asked": target, "observed": [0, observed]}


def _is_negated(statements: list[Statement], path: Sequence[int], place: int) -> bool:
    """Whether the rule above negates the name at this place of the path; then the name is True if its premise fails."""
    _, _, below, _, negated = statements[path[place - 1]]
    return negated[below.index(path[place])]


def _assign_sign(
    rng: random.Random, statements: list[Statement], paths: Sequence[Sequence[int]], observed: bool, label: bool | None
) -> None:
    """Draw signs so that of the first two paths (to False, to True) the one to `label` is intact, the others break once."""
    statements[0][3] = not observed
    signed = {0}
    shared = [first for first, other in zip(*paths[:2], strict=True) if first == other]
    for path, value in zip(paths, (False, True, *[None] * len(paths)), strict=False):
        unsigned = [place for place in range(1, len(path) - 1) if path[place] not in signed]
        breaks = (
            rng.choice([place for place in unsigned if path[place] not in shared]) if value in (False, True) else None
        )
        for place in unsigned:
            intact = not _is_negated(statements, path, place)
            statements[path[place]][3] = intact != (place == breaks and value != label)
            signed.add(path[place])


def _find_paths(statements: list[Statement], name: int) -> list[list[int]]:
    """All paths of names from `name` down to a leaf, which has no rule."""
    if not statements[name]:
        return [[name]]
    return [[name, *path] for below in statements[name][2] for path in _find_paths(statements, below)]


def draw_distractors(rng: random.Random, statements: list[Statement], names: int, count: int) -> list[Statement]:
    """Rules that conclude new names: these are not observed, so nothing follows from them."""
    all_names = list(dict.fromkeys(name for statement in statements for name in (statement[0], *statement[2])))
    top, distractors = names, []
    for _ in range(count):
        _, operation, below, sign, negated = rng.choice(statements)
        operands = [rng.choice(all_names), *range(top, top + len(below) - 1)]
        top += len(below)
        rng.shuffle(operands)
        all_names.append(top - 1)
        distractors.append([top - 1, operation, operands, sign, negated])
    return distractors


def render_frame(params: dict[str, Any]) -> tuple[str, str]:
    name, value = params["observed"]
    return (
        "Some rules are known. A rule P -> Q says that if P is true then Q is true, and so if Q is false then P is "
        "false; if Q is true it says nothing of P."
    ), f"It is observed that {name} is {value}. Is {params['asked']} True or False? If neither follows, answer N/A."


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    statements, target, (observed, value) = params["statements"], params["asked"], params["observed"]
    ways, values, queue = _find_ancestors(statements, target), {observed: value}, [observed]
    steps = [Step(text=f"{observed} is {value}", value=str(value))]
    for name in queue:
        for statement in statements:
            ways_on = [operand for operand in statement[2] if operand in ways] if statement[0] == name else []
            line = f"{rules.format_statement(statement)}: {name} is {values[name]}"
            wrong = f"{line}, so {rules.format_premise(statement)} is not true"
            for operand in ways_on:
                if values[name] == statement[3]:
                    steps.append(Step(text=f"{line}, which says nothing of the premise: {operand} is N/A", value="N/A"))
                elif statement[1] == "and":
                    steps.append(Step(text=f"{wrong}, which leaves {operand} N/A", value="N/A"))
                else:
                    values[operand] = statement[4][statement[2].index(operand)]
                    steps.append(Step(text=f"{wrong} and {operand} is {values[operand]}", value=str(values[operand])))
                    queue.append(operand)
            if target in values:
                return steps, str(values[target])
    return [*steps, Step(text=f"nothing tells {target}", value="N/A")], "N/A"


def _find_ancestors(statements: list[Statement], target: str) -> set[str]:
    """The target and all names whose rules depend on it."""
    ancestors, before = {target}, 0
    while len(ancestors) != before:
        before = len(ancestors)
        ancestors |= {statement[0] for statement in statements if ancestors & {*statement[2]}}
    return ancestors
