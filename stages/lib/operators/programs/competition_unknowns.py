"""A number of a competition problem given by two linear equations in two unknowns.

Independent equations determine it (`unknowns`, and the twins of `premise`): the answer stays. Dependent ones, the same
equation twice, leave it open (`premise`): the answer is N/A. Both have the same words and the same distribution of
coefficients, so that only solving them tells which problems have an answer. (For a deleted clause or an unexplained letter
a bag of words could tell in 80 %.) The proof of N/A are two items of the family, checked by both solvers, with the same
text but for that number, different answers, and numbers that both satisfy the equations.
"""

from __future__ import annotations

import copy
import itertools
import random
import re
from collections.abc import Callable, Iterator, Mapping
from math import gcd
from typing import Any

from stages.lib.core.records import Problem, Step
from stages.lib.operators.programs.base import NotApplicable, word_set
from stages.lib.operators.programs.competition_constraints import CONSTRAINTS, satisfies_constraints
from stages.lib.operators.programs.competition_distractors import split_sentences
from stages.lib.procedural import competition
from stages.lib.procedural.competition import items

Hole = list[int]  # [start, end] of the number in the question
Equation = list[int]  # [a, b, c]: a times the first letter and b times the second is c
_COMMON_WORDS = word_set("""
    A I a an and any all are as at be but by can do end for from get has how if in is it its let lie lot may new no
    not of off on one or out own put so sum set ten the they to two up use was way who
    As An And Ann Ben Bob Cal Dee Each Find For From How If In Is It Its Let No Of On One Or Put Six So The To Two
""")
LETTERS = ("bcdghkmnstuvwxyz", "BCDKLMNRSTUVW")
MAX_NEIGHBOURS, MAX_SOLVED = 600, 24  # other values of a number that are tried, and valid ones of them that are solved
FACTORS = (2, 3)  # of the second equation
# With an open number, `the greatest` could mean the greatest over all its values: then there is an answer.
EXTREMAL = re.compile(
    r"(?<!\bat )\b(?:least|greatest|smallest|largest|shortest|longest|most|fewest|minimum|maximum|minimal|maximal)\b"
    r"(?! integer that does not exceed)",
    re.I,
)


def render_unknowns(
    question: str, steps: list[Step], answer: str, unknowns: Mapping[str, Any]
) -> tuple[str, list[Step], str]:
    """The question with a letter for the number, steps that solve for it or say why it is open, and the answer or N/A.
    Raises NotApplicable where the equations give another number than the question has."""
    (letter, _), equations = unknowns["letters"], unknowns["equations"]
    (a, b, c), (d, e, f) = equations
    number = {question[start:end] for start, end in unknowns["holes"]}
    for start, end in sorted(unknowns["holes"], reverse=True):
        question = question[:start] + letter + question[end:]
    determinant = a * e - b * d
    if not determinant:
        (first_value, first_answer), (second_value, second_answer) = unknowns["completions"]
        lines = [
            f"1. The second equation is the first one times {d // a}, so {letter} is not determined.",
            f"2. With {letter} = {first_value} the answer would be {first_answer}, with {letter} = {second_value} it would "
            f"be {second_answer}.",
        ]
        return question, [*(Step(text=text, value="N/A") for text in lines), Step(text="#### N/A", value="N/A")], "N/A"
    value = (c * e - b * f) // determinant
    if number != {str(value)} or _solve_partner(value, equations[0]) != _solve_partner(value, equations[1]):
        raise NotApplicable(f"the equations do not give the number of the question, {', '.join(sorted(number))}")
    line = (
        f"1. {letter} = ({c} * {e} - {b} * {f}) / ({a} * {e} - {b} * {d}) = {c * e - b * f} / {determinant} = {value}."
    )
    rest = [step.model_copy(update={"text": re.sub(r"^\d+", _increment, step.text)}) for step in steps]
    return question, [Step(text=line, value=str(value)), *rest], answer


def _increment(number: re.Match[str]) -> str:
    return str(int(number[0]) + 1)


def render_sentence(unknowns: Mapping[str, Any]) -> str:
    """The sentence with the equations."""
    first, second = unknowns["letters"]
    equations = (f"{_format_term(a, first)} + {_format_term(b, second)} = {c}" for a, b, c in unknowns["equations"])
    return f"Let {first} and {second} be positive integers with {' and '.join(equations)}."


def _format_term(coefficient: int, letter: str) -> str:
    return letter if coefficient == 1 else f"{coefficient}{letter}"


def _solve_partner(value: int, equation: Equation) -> int | None:
    """The second unknown for a value of the first; None where it is not a positive integer."""
    a, b, c = equation
    rest = c - a * value
    return rest // b if rest > 0 and rest % b == 0 else None


def draw_unknowns(
    whole: Problem, build: Callable[[Mapping[str, Any]], Problem], rng: random.Random, is_open: bool
) -> dict[str, Any]:
    """{"holes", "letters", "equations"}; if `is_open` also {"whole", "other", "completions"}: equations that determine the
    number, the parameters of another item that satisfies the open ones, [number, answer] of both. Raises NotApplicable."""
    if is_open and EXTREMAL.search(whole.question):
        raise NotApplicable("what is asked for is the least or the greatest, perhaps over all that fits what is told")
    if _get_program(whole)["family"] not in CONSTRAINTS:
        raise NotApplicable("it is not known which other parameters the family can have")
    letters = _draw_letters(" ".join([whole.question, *(step.text for step in whole.steps or ())]), rng)
    for final in (False, True):  # prefer a number of a condition to one of the final sentence
        for params in _iterate_neighbours(whole, rng):
            holes = _locate_number(whole, build, params, final)
            other = _find_matching_item(whole, build, params, holes) if holes else None
            if other is None:
                continue
            value, other_value = (int(_extract_number(whole, item, holes) or 0) for item in (whole, other))
            if min(value, other_value) < 1:
                continue
            first, second, dependent = _draw_equations(value, other_value, rng)
            change = {"holes": holes, "letters": letters, "equations": [first, second]}
            if not is_open:
                return change
            completions = [[value, whole.answer], [other_value, other.answer]]
            fitting = {"other": _get_program(other)["params"], "completions": completions}
            return change | {"equations": [first, dependent], "whole": [first, second]} | fitting
    raise NotApplicable("no number on which the answer rests and that could be another")


def _get_program(item: Problem) -> dict[str, Any]:
    program: Any = item.program
    return program.params


def _draw_equations(value: int, other: int, rng: random.Random) -> list[Equation]:
    """Three equations that `value` satisfies with a positive partner. `other` satisfies the first, too; the second is
    independent of the first, the third is a multiple of it."""
    candidates = [(a, b) for a in range(1, 5) for b in range(1, 5) if gcd(a, b) == 1 and a * (value - other) % b == 0]
    a, b = rng.choice(candidates)
    partner = max(0, a * (other - value) // b) + rng.randint(1, 12)
    factor = rng.choice(FACTORS)
    factors = ((a, b), (a * factor, b * (sum(FACTORS) - factor)), (a * factor, b * factor))
    return [[d, e, d * value + e * partner] for d, e in factors]


def _draw_letters(text: str, rng: random.Random) -> list[str]:
    used = {
        letter
        for word in re.findall("[A-Za-z]+", text)
        if len(word) < 4 and word not in _COMMON_WORDS
        for letter in word
    }
    for alphabet in LETTERS:
        free = [letter for letter in alphabet if letter not in used]
        if len(free) > 1:
            return rng.sample(free, 2)
    raise NotApplicable("no two letters are left for numbers")


def _iterate_neighbours(whole: Problem, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Valid parameters with one integer changed a little, in random order."""
    family, params = (_get_program(whole)[key] for key in ("family", "params"))
    places = list(_iterate_leaves(params))
    rng.shuffle(places)
    for path, value in places:
        near = range(max(1, value // 2), value + max(8, value // 2))
        others = (
            _replace_leaf(params, path, new) for new in rng.sample(near, min(MAX_NEIGHBOURS, len(near))) if new != value
        )
        yield from itertools.islice(
            (changed for changed in others if satisfies_constraints(family, changed)), MAX_SOLVED
        )


def _replace_leaf(params: Mapping[str, Any], path: tuple, new: int) -> dict[str, Any]:
    changed = copy.deepcopy(dict(params))
    inside: Any = changed
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = new
    return changed


def _iterate_leaves(inside: Any, path: tuple = ()) -> Iterator[tuple[tuple, int]]:
    if isinstance(inside, int) and inside > 1:
        yield path, inside
    elif isinstance(inside, Mapping):
        for key, value in inside.items():
            yield from _iterate_leaves(value, (*path, key))
    elif isinstance(inside, list):
        for key, value in enumerate(inside):
            yield from _iterate_leaves(value, (*path, key))


def _build_item(build: Callable[[Mapping[str, Any]], Problem], params: Mapping[str, Any]) -> Problem | None:
    """The item with these parameters; None where its solvers refuse them."""
    try:
        return build(params)
    except (ValueError, ArithmeticError, LookupError, TypeError, StopIteration):
        return None


def _locate_number(
    whole: Problem, build: Callable[[Mapping[str, Any]], Problem], params: Mapping[str, Any], final: bool
) -> list[Hole]:
    """The positions of the one number in which the texts differ; [] where more differs, or, unless `final`, where it is in
    the final sentence."""
    other = _build_item(build, params)
    if other is None:
        return []
    old, new = (re.findall(r"\d+|\D+", text) for text in (whole.question, other.question))
    if len(old) != len(new):
        return []
    differing = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    if len({(old[i], new[i]) for i in differing}) != 1 or not old[differing[0]].isdigit():
        return []
    starts = [sum(map(len, old[:i])) for i in differing]
    question_start = len(whole.question) - len(split_sentences(whole.question)[-1])
    if not final and any(start >= question_start for start in starts):
        return []
    return [[start, start + len(old[i])] for start, i in zip(starts, differing, strict=True)]


def _find_matching_item(
    whole: Problem, build: Callable[[Mapping[str, Any]], Problem], params: Mapping[str, Any], holes: list[Hole]
) -> Problem | None:
    other = _build_item(build, params)
    if other is None or other.answer == whole.answer or not 0 <= int(other.answer) <= items.MAX_ANSWER:
        return None
    if _extract_number(whole, other, holes) is None:
        return None
    return None if _find_faults(other) else other


def _find_faults(item: Problem) -> list[str]:
    """As `competition.check`; a probability of 0 is a fault too, since p/q needs a positive p."""
    try:
        faults = competition.check(item)
    except (StopIteration, RecursionError) as error:
        return [f"program: {type(error).__name__}"]
    return faults + (["p is 0"] if re.search(r"[pm] \+ [qn] = 0 ", (item.steps or [])[-2].text) else [])


def _extract_number(whole: Problem, other: Problem, holes: list[Hole]) -> str | None:
    """The number in the holes of the other question; None where the texts differ elsewhere."""
    pattern, position = "", 0
    for start, end in sorted(holes):
        pattern += re.escape(whole.question[position:start]) + r"(\d+)"
        position = end
    match = re.fullmatch(pattern + re.escape(whole.question[position:]), other.question)
    return match[1] if match and len(set(match.groups())) == 1 else None


def check_proof(whole: Problem, other: Problem, change: Mapping[str, Any]) -> list[str]:
    """Faults of the proof that the answer is open: [] where two valid items have the same text but for one number, both
    numbers satisfy the equations, and their answers differ and are those of the completions."""
    faults = [f"a completion: {fault}" for item in (whole, other) for fault in _find_faults(item)]
    (value, answer), (other_value, other_answer) = change["completions"]
    if [whole.answer, other.answer] != [answer, other_answer] or answer == other_answer:
        faults.append(f"the completions have the answers {whole.answer} and {other.answer}")
    if [_extract_number(whole, item, change["holes"]) for item in (whole, other)] != [str(value), str(other_value)]:
        faults.append("the completions do not tell the same but for the number")
    for number in (value, other_value):
        first, second = (_solve_partner(number, equation) for equation in change["equations"])
        if first is None or first != second:
            faults.append(f"{number} does not satisfy what is told")
    return faults
