"""Lifting: from the gold solution of a GSM8K problem to the program behind it.

GSM8K writes every computation of a solution as a calculator annotation, `<<16-3-4=9>>` (Cobbe et al. 2021, arXiv
2110.14168). Each operand is a number of the question, the result of an earlier annotation, or a constant (days in a
week). Binding the operands gives a straight-line program whose result is the answer. A program is accepted if every
annotation evaluates to its result, every operand is bound, and the final answer is the result of an annotation. If an
operand can be bound in several ways (the question says 3 twice; or it says 3 and 7, and 4 is the rest of the week), all
ways are kept, and new numbers are valid only if all of them give the same value (`programs.bindings_agree`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from stages.lib.core.expressions import ANNOTATION, evaluate_tokens, tokenize
from stages.lib.core.records import Problem
from stages.lib.grading.numerals import MAX_CHARS
from stages.lib.procedural.lifting import quantities
from stages.lib.procedural.lifting.programs import PERCENT_FORMS, Ref, check_program
from stages.lib.procedural.lifting.programs import check_arithmetic as check_arithmetic
from stages.lib.procedural.lifting.programs import compute_results as compute_results
from stages.lib.procedural.lifting.programs import render_program as render_program
from stages.lib.procedural.lifting.quantities import CONSTANT_VALUES, NUMBER_WORDS, Quantity

VERSION = 2
UNIT_WINDOW = 30  # characters after a number of the question in which its unit is looked for
_FREE_NUMBER = re.compile(
    r"(?:(?<![\w.,])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)|(?<![\w.])\.\d+)"
    rf"(?![\w]|\.\d)|\b(?:{'|'.join(word for word, n in NUMBER_WORDS.items() if n > 1)})\b",
    re.I,
)


class Unliftable(Exception):
    """The solution does not parse into an accepted program; the message says why."""


def lift(problem: Problem) -> dict[str, Any]:
    """The program of a problem with annotated gold steps, as plain data. Raises Unliftable with the reason.

    question, lines: texts as lists of strings and slots. A slot {"said", "is": Ref, "or"?: [Ref]} is a number that
    follows the program; {"annotation": k} is the k-th annotation.
    numbers: those of the question, in order.
    annotations: expression (operators and slots; "also" of a slot: implicit sources, as [operation, Ref, Ref]) and
    result, as written.
    answer: its text, and the annotation whose result it is.
    """
    if not problem.steps or len(problem.steps) < 2:
        raise Unliftable("no gold steps")
    if "<<" in problem.question:
        raise Unliftable("an annotation stands in the question")
    numbers = quantities.find_quantities(problem.question)
    lines, annotations = [], []
    results: list[Fraction] = []
    for step in problem.steps[:-1]:
        parts: list[Any] = []
        position = 0
        for match in ANNOTATION.finditer(step.text):
            annotation = _lift_annotation(match[1], problem.question, step.text, numbers, results)
            parts += [step.text[position : match.start()], {"annotation": len(annotations)}]
            annotations.append(annotation)
            results.append(Fraction(annotation["result"].replace(",", "")))
            position = match.end()
        lines.append([*parts, step.text[position:]])
    if not annotations:
        raise Unliftable("no annotation")
    answer = _parse_answer(problem.answer)
    candidates = [k for k, result in enumerate(results) if result == answer]
    if not candidates:
        raise Unliftable("the answer is the result of no annotation")
    text = " ".join([problem.question, *(step.text for step in problem.steps)])
    _add_constant_bindings(annotations, numbers, results, text)
    program = {
        "question": _split_into_slots(problem.question, numbers),
        "numbers": [{"value": str(q.value), "kind": q.kind} for q in numbers],
        "annotations": annotations,
        "lines": lines,
        "answer": {"said": problem.steps[-1].text.partition("#### ")[2], "step": candidates[-1]},
    }
    program["lines"] = [_bind_line(parts, program, results) for parts in lines]
    if faults := check_program(program):
        raise Unliftable(faults[0])
    return program


def _parse_answer(answer: str) -> Fraction:
    try:
        if len(answer) > MAX_CHARS:
            raise ValueError
        return Fraction(answer.replace(",", ""))
    except ValueError:
        raise Unliftable("the answer is not a number") from None


def _split_into_slots(question: str, numbers: Sequence[Quantity]) -> list[Any]:
    parts, position = [], 0
    for i, q in enumerate(numbers):
        if q.kind in ("digits", "word"):
            parts += [question[position : q.start], {"said": question[q.start : q.end], "is": {"number": i}}]
            position = q.end
    return [*parts, question[position:]]


def _lift_annotation(
    annotation: str, question: str, line: str, numbers: Sequence[Quantity], results: Sequence[Fraction]
) -> dict[str, Any]:
    """The expression and the result of an annotation, its operands bound to what precedes it."""
    expression, equals, result = annotation.rpartition("=")
    try:
        pieces, value = tokenize(expression), evaluate_tokens(tokenize(result))
        holds = evaluate_tokens(pieces) == value
    except ValueError as error:
        raise Unliftable(f"<<{annotation}>>: {error}") from None
    if not equals or not re.fullmatch(r"\s*-?(\d+\.?\d*|\.\d+)\s*", result):
        raise Unliftable(f"<<{annotation}>>: its result is not a number")
    if not holds:
        raise Unliftable(f"<<{annotation}>>: does not hold")
    operands = {Fraction(piece) for piece in pieces if _is_number(piece)}
    contexts = [question[q.start : q.end + UNIT_WINDOW] for q in numbers if q.value in operands]
    text, near = f"{question} {line}", " ".join([line, *contexts])
    bound: list[Any] = []
    for piece in pieces:
        if not _is_number(piece):
            bound.append(piece)
            continue
        value = Fraction(piece)
        refs = _find_bindings(value, numbers, results) or _bind_to_constants(value, text, near)
        if not refs:
            raise Unliftable(f"{piece} in <<{annotation}>> is neither in the question nor computed before")
        slot = _make_slot(piece, refs)
        if "step" not in slot["is"] and (sources := _find_implicit_sources(value, refs, numbers, question)):
            slot["also"] = sources
        bound.append(slot)
    return {"expression": bound, "result": result.strip()}


def _is_number(piece: str) -> bool:
    return piece[0] in "0123456789."


def _make_slot(text: str, refs: Sequence[Ref]) -> dict[str, Any]:
    """A number that follows the program: bound to the first of `refs`, the rest being other possible bindings."""
    return {"said": text, "is": refs[0] if refs else {}} | ({"or": list(refs[1:])} if len(refs) > 1 else {})


def _find_implicit_sources(
    value: Fraction, refs: Sequence[Ref], numbers: Sequence[Quantity], question: str
) -> list[list[Any]]:
    """All pairs of question numbers, or of a number and a constant, that give this value by one operation: a solution may
    have computed it silently (the remaining 4 days of the week, where the question says 3)."""
    if value <= 1:
        return []
    bound = {ref["number"] for ref in refs if "number" in ref}
    others = [({"number": i}, q.value) for i, q in enumerate(numbers) if i not in bound and q.value]
    names = quantities.find_cued_constants(question, question)
    constants = [({"constant": name}, CONSTANT_VALUES[name]) for name in names]
    sources: list[list[Any]] = []
    for (a, x), (b, y) in itertools.combinations([*others, *constants], 2):
        if "constant" in a:
            continue
        sources += [["+", a, b]] if x + y == value else []
        sources += [["-", a, b]] if x - y == value else [["-", b, a]] if y - x == value else []
        if "number" in b:
            sources += [["*", a, b]] if x * y == value else []
            sources += [["/", a, b]] if x == y * value else [["/", b, a]] if y == x * value else []
    return sources


def _add_constant_bindings(
    annotations: list[dict[str, Any]], numbers: Sequence[Quantity], results: Sequence[Fraction], text: str
) -> None:
    """Add constants to the possible bindings of operands whose value is used more often than it was stated."""
    slots = [piece for annotation in annotations for piece in annotation["expression"] if isinstance(piece, dict)]
    for slot in slots:
        value = Fraction(slot["said"])
        uses = sum(Fraction(other["said"]) == value for other in slots)
        mentions = sum(q.value == value for q in numbers) + sum(result == value for result in results)
        if uses > mentions and "constant" not in slot["is"]:
            slot["or"] = [*slot.get("or", []), *_bind_to_constants(value, text)]


def _bind_to_constants(value: Fraction, text: str, near: str | None = None) -> list[Ref]:
    return [{"constant": name} for name in quantities.match_constants(value, text, near)]


def _find_bindings(value: Fraction, numbers: Sequence[Quantity], results: Sequence[Fraction]) -> list[Ref]:
    """Everything with this value: results (the latest first), numbers of the question, and forms of percentages."""
    newest_first = list(reversed(list(enumerate(results))))
    steps = [{"step": j} for j, result in newest_first if result == value]
    equal_numbers = [{"number": i} for i, q in enumerate(numbers) if q.value == value]
    forms = [
        {"number": i, "as": name}
        for i, q in enumerate(numbers)
        if q.percent
        for name, form in PERCENT_FORMS.items()
        if form(q.value) == value
    ]
    shares = [{"step": j, "as": "share"} for j, result in newest_first if result / 100 == value != 0]
    return steps + equal_numbers + forms + shares


def _bind_line(parts: list[Any], program: Mapping[str, Any], results: list[Fraction]) -> list[Any]:
    """A line whose free text has its numbers bound, too, as far as that is certain.

    The text repeats its annotation ("16 - 3 = $<<16-3=13>>13"): the numbers right before an annotation take the bindings
    of its operands if all of them agree, and the number right after it is its result. Other numbers are bound by value;
    a number without a binding keeps an empty `is`.
    """
    bound: list[Any] = []
    for i, part in enumerate(parts):
        if isinstance(part, str):
            before = parts[i - 1]["annotation"] if i else None
            after = parts[i + 1]["annotation"] if i + 1 < len(parts) else None
            bound += _bind_text(part, before, after, program, results)
        else:
            bound.append(part)
    return bound


def _bind_text(
    text: str, before: int | None, after: int | None, program: Mapping[str, Any], results: Sequence[Fraction]
) -> list[Any]:
    """The text between the annotations number `before` and `after` (None: the line begins or ends there)."""
    matches = list(_FREE_NUMBER.finditer(text))
    values = [_parse_number(match[0]) for match in matches]
    slots: list[dict[str, Any] | None] = [None] * len(matches)
    if before is not None and matches and re.fullmatch(r"\s*\$?\s*", text[: matches[0].start()]):
        slots[0] = _make_slot(matches[0][0], [{"step": before}]) if values[0] == results[before] else None
    if after is not None:
        operands = [piece for piece in program["annotations"][after]["expression"] if isinstance(piece, dict)]
        tail = [i for i in range(len(matches)) if slots[i] is None][-len(operands) :]
        copies = [_match_operand(matches[i][0], values[i], operand) for i, operand in zip(tail, operands, strict=False)]
        if len(tail) == len(operands) and all(copies):
            for i, copy in zip(tail, copies, strict=True):
                slots[i] = copy
    n_available = after if after is not None else len(results) if before is None else before + 1
    numbers = [Quantity(0, 0, Fraction(n["value"]), n["kind"]) for n in program["numbers"]]
    parts: list[Any] = []
    position = 0
    for match, value, slot in zip(matches, values, slots, strict=True):
        if slot is None:
            if quantities.is_label(text[: match.start()]):
                continue  # "on day 2"
            refs = _find_bindings(value, numbers, results[:n_available]) or _bind_to_constants(value, text)
            slot = _make_slot(match[0], refs)
            if not slot["is"] and match[0][0].isalpha():
                continue  # "the two of them"
        parts += [text[position : match.start()], slot]
        position = match.end()
    return [*parts, text[position:]]


def _parse_number(text: str) -> Fraction:
    return Fraction(NUMBER_WORDS[text.lower()] if text[0].isalpha() else text.replace(",", ""))


def _match_operand(text: str, value: Fraction, operand: Mapping[str, Any]) -> dict[str, Any] | None:
    """The slot of a number of the text that repeats an operand: `20%` repeats .2, `1,000` repeats 1000."""
    operand_value = Fraction(operand["said"])
    refs = [operand["is"], *operand.get("or", [])]
    if value == operand_value:
        return _make_slot(text, refs)
    plain = {"share": None, "rest share": "rest", "grown share": "grown"}
    if value != operand_value * 100 or not all(ref.get("as") in plain for ref in refs):
        return None
    forms = [{"as": plain[ref["as"]]} if plain[ref["as"]] else {} for ref in refs]
    targets = [{key: target for key, target in ref.items() if key != "as"} for ref in refs]
    return _make_slot(text, [target | form for target, form in zip(targets, forms, strict=True)])
