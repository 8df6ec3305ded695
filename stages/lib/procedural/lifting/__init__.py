"""Lifting: from the gold solution of a real word problem to the program behind it.

GSM8K writes every computation of a solution as a calculator annotation, `<<16-3-4=9>>`. Each operand is a number of
the question, the result of an earlier annotation, or a constant of the world (days in a week); binding them gives a
straight-line program whose evaluation is the answer. A program is *verified* when every annotation evaluates to its
result, every leaf is bound, and the last line's answer is the result of an annotation. Where a number could be bound
in more than one way (the question says 3 twice; it says 3 and 7, and 4 is the rest of the week) the program still holds
and all the ways are kept: new numbers are right only if every way gives the same (`agree`).

Source of the annotations: Cobbe et al. 2021, arXiv 2110.14168.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from stages.lib.core.records import Problem
from stages.lib.grading.numerals import MAX_CHARS
from stages.lib.procedural.expressions import ANNOTATION, evaluate_tokens, tokenize
from stages.lib.procedural.lifting import quantities
from stages.lib.procedural.lifting.programs import (
    PERCENT_FORMS,
    Ref,
    check_arithmetic,
    check_program,
    compute_results,
    render_program,
)
from stages.lib.procedural.lifting.quantities import CONSTANT_VALUES, NUMBER_WORDS, Quantity

__all__ = ["VERSION", "Unliftable", "check_arithmetic", "check_program", "lift", "render_program", "compute_results"]

VERSION = 2
UNIT_WINDOW = 30  # characters after a number of the question in which its unit stands
_FREE_NUMBER = re.compile(
    r"(?:(?<![\w.,])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)|(?<![\w.])\.\d+)"
    rf"(?![\w]|\.\d)|\b(?:{'|'.join(word for word, n in NUMBER_WORDS.items() if n > 1)})\b",
    re.I,
)


class Unliftable(Exception):
    """The solution does not parse into a verified program; the message says at which point."""


def lift(problem: Problem) -> dict[str, Any]:
    """The verified program of a problem with annotated gold steps, plain data. Raises Unliftable with the reason.

    question, lines: texts as lists of strings and slots; a slot {"said", "is": Ref, "or"?: [Ref]} is a number that
    follows the program, {"annotation": k} the k-th annotation. numbers: those of the question, in order. annotations:
    expression (operators and slots; "also" of a slot: what may have given it, as [operation, Ref, Ref]) and result, as
    written. answer: the annotation whose result it is.
    """
    if not problem.steps or len(problem.steps) < 2:
        raise Unliftable("no gold steps")
    if "<<" in problem.question:
        raise Unliftable("an annotation stands in the question")
    found = quantities.find_quantities(problem.question)
    lines, annotations = [], []
    values: list[Fraction] = []
    for step in problem.steps[:-1]:
        parts: list[Any] = []
        position = 0
        for match in ANNOTATION.finditer(step.text):
            parts.append(step.text[position : match.start()])
            annotation = _lift_annotation(match[1], problem.question, step.text, found, values)
            parts.append({"annotation": len(annotations)})
            annotations.append(annotation)
            values.append(Fraction(annotation["result"].replace(",", "")))
            position = match.end()
        parts.append(step.text[position:])
        lines.append(parts)
    if not annotations:
        raise Unliftable("no annotation")
    final = _parse_answer(problem.answer)
    candidates = [k for k, result in enumerate(values) if result == final]
    if not candidates:
        raise Unliftable("the answer is the result of no annotation")
    said = problem.steps[-1].text.partition("#### ")[2]
    _add_constant_bindings(
        annotations, found, values, f"{problem.question} {' '.join(step.text for step in problem.steps)}"
    )
    program = {
        "question": _split_into_slots(problem.question, found),
        "numbers": [{"value": str(q.value), "kind": q.kind} for q in found],
        "annotations": annotations,
        "lines": lines,
        "answer": {"said": said, "step": candidates[-1]},
    }
    program["lines"] = [_bind_line(parts, program, values) for parts in lines]
    faults = check_program(program)
    if faults:
        raise Unliftable(faults[0])
    return program


def _parse_answer(answer: str) -> Fraction:
    try:
        if len(answer) > MAX_CHARS:
            raise ValueError
        return Fraction(answer.replace(",", ""))
    except ValueError:
        raise Unliftable("the answer is not a number") from None


def _split_into_slots(question: str, found: Sequence[Quantity]) -> list[Any]:
    parts, position = [], 0
    for i, q in enumerate(found):
        if q.kind in ("digits", "word"):
            parts += [question[position : q.start], {"said": question[q.start : q.end], "is": {"number": i}}]
            position = q.end
    return [*parts, question[position:]]


def _lift_annotation(
    inside: str, question: str, line: str, found: Sequence[Quantity], known: Sequence[Fraction]
) -> dict[str, Any]:
    expression, equals, result = inside.rpartition("=")
    try:
        pieces, value = tokenize(expression), evaluate_tokens(tokenize(result))
        holds = evaluate_tokens(pieces) == value
    except ValueError as error:
        raise Unliftable(f"<<{inside}>>: {error}") from None
    if not equals or not re.fullmatch(r"\s*-?(\d+\.?\d*|\.\d+)\s*", result):
        raise Unliftable(f"<<{inside}>>: its result is not a number")
    if not holds:
        raise Unliftable(f"<<{inside}>>: does not hold")
    operands = [Fraction(piece) for piece in pieces if piece[0] in "0123456789."]
    beside = [question[q.start : q.end + UNIT_WINDOW] for q in found if q.value in operands]
    text, near = f"{question} {line}", " ".join([line, *beside])
    bound: list[Any] = []
    for piece in pieces:
        if piece[0] not in "0123456789.":
            bound.append(piece)
            continue
        value = Fraction(piece)
        refs = _find_bindings(value, found, known) or [
            {"constant": name} for name in quantities.match_constants(value, text, near)
        ]
        if not refs:
            raise Unliftable(f"{piece} in <<{inside}>> is neither in the question nor computed before")
        slot = _make_slot(piece, refs)
        if "step" not in slot["is"] and (also := _find_implicit_sources(value, refs, found, question)):
            slot["also"] = also
        bound.append(slot)
    return {"expression": bound, "result": result.strip()}


def _make_slot(said: str, refs: Sequence[Ref]) -> dict[str, Any]:
    """A number that follows the program: as the first of `refs`, or perhaps as one of the rest."""
    return {"said": said, "is": refs[0] if refs else {}} | ({"or": list(refs[1:])} if len(refs) > 1 else {})


def _find_implicit_sources(
    value: Fraction, refs: Sequence[Ref], found: Sequence[Quantity], question: str
) -> list[list[Any]]:
    """What two numbers of the question, or one of them and a constant, give this value by one operation: a solution may
    have done it without saying so (the remaining 4 days of the week, where the question says 3 and 4)."""
    if value <= 1:
        return []
    own = {ref["number"] for ref in refs if "number" in ref}
    told = [({"number": i}, q.value) for i, q in enumerate(found) if i not in own and q.value]
    usual = [({"constant": name}, CONSTANT_VALUES[name]) for name in quantities.find_cued_constants(question, question)]
    ways: list[list[Any]] = []
    for (a, x), (b, y) in itertools.combinations([*told, *usual], 2):
        if "constant" in a:
            continue
        ways += [["+", a, b]] if x + y == value else []
        ways += [["-", a, b]] if x - y == value else [["-", b, a]] if y - x == value else []
        if "number" in b:
            ways += [["*", a, b]] if x * y == value else []
            ways += [["/", a, b]] if x == y * value else [["/", b, a]] if y == x * value else []
    return ways


def _add_constant_bindings(
    annotations: list[dict[str, Any]], found: Sequence[Quantity], known: Sequence[Fraction], text: str
) -> None:
    """Add the constants to the possible bindings of an operand where its value is used more often than it is told."""
    slots = [piece for annotation in annotations for piece in annotation["expression"] if isinstance(piece, dict)]
    for slot in slots:
        value = Fraction(slot["said"])
        uses = sum(Fraction(other["said"]) == value for other in slots)
        times = sum(q.value == value for q in found) + sum(result == value for result in known)
        if uses > times and "constant" not in slot["is"]:
            slot["or"] = [
                *slot.get("or", []),
                *({"constant": name} for name in quantities.match_constants(value, text)),
            ]


def _find_bindings(value: Fraction, found: Sequence[Quantity], known: Sequence[Fraction]) -> list[Ref]:
    """Everything with this value: known (the newest first), numbers of the question, and what percentages give."""
    steps = [{"step": j} for j in reversed(range(len(known))) if known[j] == value]
    numbers = [{"number": i} for i, q in enumerate(found) if q.value == value]
    forms = [
        {"number": i, "as": form}
        for i, q in enumerate(found)
        if q.percent
        for form in PERCENT_FORMS
        if PERCENT_FORMS[form](q.value) == value
    ]
    shares = [{"step": j, "as": "share"} for j in reversed(range(len(known))) if known[j] / 100 == value != 0]
    return steps + numbers + forms + shares


def _bind_line(parts: list[Any], program: Mapping[str, Any], known: list[Fraction]) -> list[Any]:
    """A line with the free numbers of its text bound as well, as far as that is certain.

    The written form of an equation repeats its annotation ("16 - 3 = $<<16-3=13>>13"): the numbers right before an
    annotation take the bindings of its operands where the two agree one by one, the number right after it is its
    result. Any other number is bound by its value; one that has no binding keeps `is` empty.
    """
    bound: list[Any] = []
    for at, part in enumerate(parts):
        if not isinstance(part, str):
            bound.append(part)
            continue
        before = parts[at - 1]["annotation"] if at else None
        after = parts[at + 1]["annotation"] if at + 1 < len(parts) else None
        bound += _bind_text(part, before, after, program, known)
    return bound


def _bind_text(
    text: str, before: int | None, after: int | None, program: Mapping[str, Any], known: Sequence[Fraction]
) -> list[Any]:
    matches = list(_FREE_NUMBER.finditer(text))
    values = [_parse_number(match[0]) for match in matches]
    slots: list[dict[str, Any] | None] = [None] * len(matches)
    right_after = before is not None and matches and re.fullmatch(r"\s*\$?\s*", text[: matches[0].start()])
    if right_after and values[0] == known[before]:
        slots[0] = _make_slot(matches[0][0], [{"step": before}])
    if after is not None:
        operands = [piece for piece in program["annotations"][after]["expression"] if isinstance(piece, dict)]
        tail = [i for i in range(len(matches)) if slots[i] is None][-len(operands) :]
        twins = [_match_operand(matches[i][0], values[i], operand) for i, operand in zip(tail, operands, strict=False)]
        if len(tail) == len(operands) and all(twins):
            for i, twin in zip(tail, twins, strict=True):
                slots[i] = twin
    seen = known[: after if after is not None else len(known) if before is None else before + 1]
    found = [Quantity(0, 0, Fraction(n["value"]), n["kind"]) for n in program["numbers"]]
    parts: list[Any] = []
    position = 0
    for match, value, slot in zip(matches, values, slots, strict=True):
        if slot is None:
            if quantities.is_label(text[: match.start()]):
                continue  # "on day 2"
            refs = _find_bindings(value, found, seen)
            slot = _make_slot(
                match[0], refs or [{"constant": name} for name in quantities.match_constants(value, text)]
            )
            if not slot["is"] and match[0][0].isalpha():
                continue  # "the two of them"
        parts += [text[position : match.start()], slot]
        position = match.end()
    return [*parts, text[position:]]


def _parse_number(said: str) -> Fraction:
    return Fraction(NUMBER_WORDS[said.lower()] if said[0].isalpha() else said.replace(",", ""))


def _match_operand(said: str, value: Fraction, operand: Mapping[str, Any]) -> dict[str, Any] | None:
    """The slot of a number of the text that repeats an operand: `20%` repeats .2, `1,000` repeats 1000."""
    inside = Fraction(operand["said"])
    refs = [operand["is"], *operand.get("or", [])]
    if value == inside:
        return _make_slot(said, refs)
    plain = {"share": None, "rest share": "rest", "grown share": "grown"}
    if value != inside * 100 or not all(ref.get("as") in plain for ref in refs):
        return None
    kept = [{key: item for key, item in ref.items() if key != "as"} for ref in refs]
    forms = [plain[ref["as"]] for ref in refs]
    return _make_slot(said, [ref | ({"as": form} if form else {}) for ref, form in zip(kept, forms, strict=True)])
