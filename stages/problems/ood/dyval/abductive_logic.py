"""Abductive logic: one thing is observed; what follows, against the rules, for something it may come from?

A rule whose conclusion is seen to be wrong has a premise that is not true: no part of an OR holds then, nor that of a
NOT, and of an AND nothing is known; a conclusion that is right tells nothing. The asked name stands in several rules, in
one as it is and in another negated, and the answer follows whichever path of rules down from the observed name leads on
to it. The tree is drawn first, with room for all answers, so that neither its size nor its operations tell, nor any rule
that holds the asked name; then the signs. N/A is where every path breaks, at a rule that tells nothing or at an AND, and
looks whole everywhere else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from stages.lib.core.records import Step
from stages.problems.ood.dyval import rules, trees
from stages.problems.ood.dyval.levels import RuleKnobs
from stages.problems.ood.dyval.statements import Statement

ANSWER_TYPE = "boolean"
CLASSES = 3
LABELS = (True, False, None)
WEIGHTS = (0.25, 0.5, 0.25)  # of and, or, not
MAX_STUCK_PATHS = 2  # at most so many paths over an AND lead to the asked name, too
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
        (one, other)
        for one in clear
        for other in clear
        if one[-2] != other[-2] and _is_negated(statements, one, -1) < _is_negated(statements, other, -1)
    ]
    if not pairs:
        return None
    pair = rng.choice(pairs)
    ways, used = list(pair), {way[-2] for way in pair}  # to the asked name
    stuck = [path for path in paths if path not in clear]
    for path in rng.sample(stuck, min(len(stuck), rng.randint(0, MAX_STUCK_PATHS))):
        # No two in one rule, nor over one AND: what the others of its parts are would then follow, too.
        holding = {path[-2], *(name for name in path[:-1] if statements[name][1] == "and")}
        if not used & holding:
            ways.append(path)
            used |= holding
    observed = rng.random() < 0.5
    _assign_sign(rng, statements, ways, observed, LABELS[label])
    asked = pair[0][-1]
    for way in ways:
        below = statements[way[-2]][2]
        below[below.index(way[-1])] = asked
    kept = [statement for statement in statements if statement]
    extra = draw_distractors(
        draw("distractors"), kept, len(statements), trees.count_distractors(len(kept), knobs.distractors)
    )
    return {"statements": kept + extra, "asked": asked, "observed": [0, observed]}


def _is_negated(statements: list[Statement], path: Sequence[int], place: int) -> bool:
    """Whether the rule above names what stands at a place of the path in the negative: then it is True if that fails."""
    _, _, below, _, negated = statements[path[place - 1]]
    return negated[below.index(path[place])]


def _assign_sign(
    rng: random.Random, statements: list[Statement], ways: Sequence[Sequence[int]], observed: bool, label: bool | None
) -> None:
    """Conclude so that of the first two ways, to False and to True, the wished one leads on and the other breaks once."""
    statements[0][3] = not observed
    done = {0}
    shared = [one for one, other in zip(*ways[:2], strict=True) if one == other]
    for way, value in zip(ways, (False, True, *[None] * len(ways)), strict=False):
        own = [place for place in range(1, len(way) - 1) if way[place] not in done]
        breaks = rng.choice([place for place in own if way[place] not in shared]) if value in (False, True) else None
        for place in own:
            intact = not _is_negated(statements, way, place)
            statements[way[place]][3] = intact != (place == breaks and value != label)
            done.add(way[place])


def _find_paths(statements: list[Statement], name: int) -> list[list[int]]:
    """The names on every way from `name` down to a leaf, which has no rule."""
    if not statements[name]:
        return [[name]]
    return [[name, *path] for below in statements[name][2] for path in _find_paths(statements, below)]


def draw_distractors(rng: random.Random, statements: list[Statement], names: int, count: int) -> list[Statement]:
    """Rules about new names: their conclusions are not observed, so they tell nothing of what they stand on."""
    known = list(dict.fromkeys(one for statement in statements for one in (statement[0], *statement[2])))
    top, made = names, []
    for _ in range(count):
        _, operation, below, sign, negated = rng.choice(statements)
        operands = [rng.choice(known), *range(top, top + len(below) - 1)]
        top += len(below)
        rng.shuffle(operands)
        known.append(top - 1)
        made.append([top - 1, operation, operands, sign, negated])
    return made


def render_frame(params: dict[str, Any]) -> tuple[str, str]:
    name, value = params["observed"]
    return (
        "Some rules are known. A rule P -> Q says that if P is true then Q is true, and so if Q is false then P is "
        "false; if Q is true it says nothing of P."
    ), f"It is observed that {name} is {value}. Is {params['asked']} True or False? If neither follows, answer N/A."


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    statements, asked, (observed, value) = params["statements"], params["asked"], params["observed"]
    ways, known, queue = _find_ancestors(statements, asked), {observed: value}, [observed]
    steps = [Step(text=f"{observed} is {value}", value=str(value))]
    for name in queue:
        for statement in statements:
            on = [one for one in statement[2] if one in ways] if statement[0] == name else []
            said = f"{rules.format_statement(statement)}: {name} is {known[name]}"
            wrong = f"{said}, so {rules.format_premise(statement)} is not true"
            for one in on:
                if known[name] == statement[3]:
                    steps.append(Step(text=f"{said}, which says nothing of the premise: {one} is N/A", value="N/A"))
                elif statement[1] == "and":
                    steps.append(Step(text=f"{wrong}, which leaves {one} N/A", value="N/A"))
                else:
                    known[one] = statement[4][statement[2].index(one)]
                    steps.append(Step(text=f"{wrong} and {one} is {known[one]}", value=str(known[one])))
                    queue.append(one)
            if asked in known:
                return steps, str(known[asked])
    return [*steps, Step(text=f"nothing tells {asked}", value="N/A")], "N/A"


def _find_ancestors(statements: list[Statement], asked: str) -> set[str]:
    """The asked name and all whose rules lead down to it."""
    found, before = {asked}, 0
    while len(found) != before:
        before = len(found)
        found |= {statement[0] for statement in statements if found & {*statement[2]}}
    return found
