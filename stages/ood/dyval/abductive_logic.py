"""Abductive logic: one thing is observed; what follows, against the rules, for something it may come from?

A rule whose conclusion is seen to be wrong has a premise that is not true: all operands of an OR are then False, the
operand of a NOT is True, and of an AND nothing is known; a conclusion that is right tells nothing. The answer follows
the path of rules from the observed name down to the asked one. The tree is drawn first, with room for both answers, so
that neither its size nor its operations tell; then the asked leaf, and the signs on its path. N/A is a path that breaks
somewhere and looks whole everywhere else.
"""

from __future__ import annotations

import random
from typing import Any

from stages.lib.records import Step
from stages.ood.dyval import bool_logic, rules, trees
from stages.ood.dyval.levels import Rules
from stages.ood.dyval.statements import Statement

ANSWER_TYPE = "boolean"
CLASSES = 3
LABELS = (True, False, None)
WEIGHTS = (0.2, 0.4, 0.4)  # of and, or, not, beside the path
sentence = rules.sentence


def sample(draw: Any, knobs: Rules, label: int, broken: bool) -> dict[str, Any] | None:
    rng = draw("graph")
    statements: list[Statement] = []
    rules.grow(rng, knobs.depth, knobs.width, True, WEIGHTS, statements, None)
    for statement in statements:
        if statement:
            statement[3] = rng.random() < 0.5
    paths = _paths(statements, 0)
    clear = [path for path in paths if all(statements[name][1] != "and" for name in path[:-1])]
    by_last = [[path for path in clear if statements[path[-2]][1] == last] for last in ("not", "or")]
    # Both answers must be possible in every tree, or its shape would tell; a single rule has room for one only.
    if not all(by_last) and (knobs.depth > 2 or label < 2 and not by_last[label] or not clear):
        return None
    wished = LABELS[label]
    if wished is None:
        stuck = [path for path in paths if path not in clear]
        path = rng.choice(stuck if stuck and rng.random() < 1 / 3 else rng.choice([some for some in by_last if some]))
    else:
        path = rng.choice(by_last[label])
    observed = rng.random() < 0.5
    breaks = rng.randrange(len(path) - 1) if wished is None and path in clear else None
    value = observed
    for place, name in enumerate(path[:-1]):  # after a break, as if there had been none
        statements[name][3] = value if place == breaks else not value
        value = statements[name][1] == "not"
    kept = [statement for statement in statements if statement]
    extra = aside(draw("distractors"), kept, len(statements), trees.share(len(kept), knobs.distractors))
    return {"statements": kept + extra, "asked": path[-1], "observed": [0, observed]}


def _paths(statements: list[Statement], name: int) -> list[list[int]]:
    """The names on every way from `name` down to a leaf, which has no rule."""
    if not statements[name]:
        return [[name]]
    return [[name, *path] for below in statements[name][2] for path in _paths(statements, below)]


def aside(rng: random.Random, statements: list[Statement], names: int, count: int) -> list[Statement]:
    """Rules about new names: their conclusions are not observed, so they tell nothing of what they stand on."""
    known = list(dict.fromkeys(one for statement in statements for one in (statement[0], *statement[2])))
    top, made = names, []
    for _ in range(count):
        _, operation, below, sign = rng.choice(statements)
        operands = [rng.choice(known), *range(top, top + len(below) - 1)]
        top += len(below)
        rng.shuffle(operands)
        known.append(top - 1)
        made.append([top - 1, operation, operands, sign])
    return made


def ask(params: dict[str, Any]) -> tuple[str, str]:
    name, value = params["observed"]
    return (
        "Some rules are known. A rule P -> Q says that if P is true then Q is true, and so if Q is false then P is "
        "false; if Q is true it says nothing of P."
    ), f"It is observed that {name} is {value}. Is {params['asked']} True or False? If neither follows, answer N/A."


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    name, value = params["observed"]
    steps = [Step(text=f"{name} is {value}", value=str(value))]
    way = _way(params["statements"], name, params["asked"])
    if way is None:
        return [*steps, Step(text=f"no rules lead from {name} to {params['asked']}", value="N/A")], "N/A"
    for statement, below in way:
        name, operation, operands, sign = statement
        line = f"{rules.said(statement)}: {name} is {rules.WORDS[value]}"
        wrong = f"so {bool_logic.formula(operation, operands)} is not true"
        if value is None or value == sign:
            value, line = None, f"{line}, which says nothing of the premise, so {below} is N/A"
        elif operation == "and":
            value, line = None, f"{line}, {wrong}, which leaves {below} N/A"
        else:
            value = operation == "not"
            line = f"{line}, {wrong} and {below} is {value}"
        steps.append(Step(text=line, value=rules.WORDS[value]))
    return steps, rules.WORDS[value]


def _way(statements: list[Statement], observed: str, asked: str) -> list[tuple[Statement, str]] | None:
    """(rule, operand it leads to) from the observed name down to the asked one; None where a rule is missing."""
    above: dict[str, list[Statement]] = {}
    for statement in statements:
        for one in statement[2]:
            above.setdefault(one, []).append(statement)
    came: dict[str, tuple[Statement, str]] = {}
    queue = [asked]
    for name in queue:
        for statement in above.get(name, []):
            if statement[0] not in came:
                came[statement[0]] = (statement, name)
                queue.append(statement[0])
    way, name = [], observed
    while name != asked:
        if name not in came:
            return None
        way.append(came[name])
        name = came[name][1]
    return way
