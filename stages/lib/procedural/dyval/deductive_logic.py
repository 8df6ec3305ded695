"""Deductive logic: facts and rules; is the target True, False, or can neither be deduced (N/A)?

A rule says what holds if its premise is true, and nothing otherwise. Two rules conclude the target, one True and one
False, so that the three answers can be equally frequent and none can be read off the last rule. The rules are drawn first,
then the facts so that they give the intended answer: 256 random assignments are tried at once, one bit each.
"""

from __future__ import annotations

from typing import Any

from stages.lib.core.records import Step
from stages.lib.procedural.dyval import bool_logic, rules, trees
from stages.lib.procedural.dyval.levels import RuleKnobs
from stages.lib.procedural.dyval.statements import LEAF, Statement, find_dependencies

ANSWER_TYPE = "boolean"
CLASSES = 3  # True, False, N/A
WEIGHTS = (0.2, 0.6, 0.2)  # of and, or, not, as in DyVal
NUM_ASSIGNMENTS = 256
ALL_ASSIGNMENTS = (1 << NUM_ASSIGNMENTS) - 1
render_sentence = rules.render_sentence


def sample(draw: Any, knobs: RuleKnobs, label: int, broken: bool) -> dict[str, Any] | None:
    rng = draw("graph")
    statements: list[Statement] = []
    target, against = (
        rules.grow(rng, knobs.depth, knobs.width, sign, WEIGHTS, statements, lambda: rng.getrandbits(NUM_ASSIGNMENTS))
        for sign in (True, False)
    )
    yes, no = _evaluate_premises(statements, target), _evaluate_premises(statements, against)
    leaves = [statement[2] for statement in statements if statement[1] == LEAF]
    assignment = bool_logic.find_assignment(rng, (yes & ~no, no & ~yes, ALL_ASSIGNMENTS & ~(yes | no)), label, leaves)
    if assignment is None:
        return None
    for statement in statements:
        if statement[1] == LEAF:
            statement[2] = bool(statement[2] >> assignment & 1)
    extra = trees.grow_distractors(
        draw("distractors"), statements, knobs.distractors, lambda *_: True, {s[0]: True for s in statements}
    )
    if extra is None:
        return None
    statements[against][0] = target
    for statement in extra:
        if statement[1] != LEAF:
            statement[2] = list(dict.fromkeys(target if operand == against else operand for operand in statement[2]))
    return {"statements": statements + extra, "asked": target}


def _evaluate_premises(statements: list[Statement], name: int) -> int:
    """A bit mask of the assignments in which the premise of the rule for `name` is true."""
    _, operation, below, _ = statements[name]

    def fires(operand: int, value: bool) -> int:
        if statements[operand][1] == LEAF:
            return statements[operand][2] if value else statements[operand][2] ^ ALL_ASSIGNMENTS
        return _evaluate_premises(statements, operand) if statements[operand][3] == value else 0

    if operation == "not":
        return fires(below[0], False)
    result = fires(below[0], True)
    for operand in below[1:]:
        result = result & fires(operand, True) if operation == "and" else result | fires(operand, True)
    return result


def render_frame(params: dict[str, Any]) -> tuple[str, str]:
    return (
        "Some facts and rules are known. What holds is True, what fails is False. A rule P -> Q says that if P is true "
        "then Q is true; if P is not true it says nothing of Q."
    ), f"Is {params['asked']} True or False? If neither can be deduced, answer N/A."


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    statements, target = params["statements"], params["asked"]
    table: dict[str, list[Statement]] = {}
    for statement in statements:
        table.setdefault(statement[0], []).append(statement)
    values: dict[str, bool | None] = {}
    steps = []
    for name in find_dependencies(statements, [target]).names:
        values[name] = None
        for statement in table[name]:
            if statement[1] == LEAF:
                values[name], line = statement[2], f"{name} is {statement[2]}"
            else:
                _, operation, below, sign = statement
                operand_values = [values.get(operand) for operand in below]
                is_true = rules.evaluate_premise(operation, operand_values) is True
                if is_true:
                    values[name] = sign
                equation = bool_logic.format_formula(operation, [rules.TRUTH_WORDS[value] for value in operand_values])
                line = f"{rules.format_statement(statement)}: {equation}"
                line += f" is true, so {name} is {sign}" if is_true else " is not true"
            steps.append(Step(text=line, value=rules.TRUTH_WORDS[values[name]]))
        if values[name] is None:
            steps[-1] = Step(text=f"{steps[-1].text}, so {name} is N/A", value="N/A")
    return steps, rules.TRUTH_WORDS[values[target]]
