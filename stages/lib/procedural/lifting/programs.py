"""Lifted programs: evaluated, written out again (with other numbers, if wanted), and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from stages.lib.core.records import Step
from stages.lib.procedural.expressions import ANNOTATION, OPERATIONS, evaluate_tokens, tokenize
from stages.lib.procedural.lifting import quantities
from stages.lib.procedural.lifting.quantities import CONSTANT_VALUES, NUMBER_WORDS

Ref = dict[str, Any]  # {"number": i}, {"step": j} or {"constant": name}; `as`: one of FORMS
Program = Mapping[str, Any]
PERCENT_FORMS: dict[str, Callable[[Fraction], Fraction]] = {  # what expressions make of a percentage (or of cents)
    "share": lambda x: x / 100,
    "rest": lambda x: 100 - x,
    "rest share": lambda x: 1 - x / 100,
    "grown": lambda x: 100 + x,
    "grown share": lambda x: 1 + x / 100,
}
_WORDS_BY_NUMBER = {n: word for word, n in NUMBER_WORDS.items()}


def list_numbers(program: Program) -> list[Fraction]:
    """The numbers of the question, as they are."""
    return [Fraction(number["value"]) for number in program["numbers"]]


def resolve_ref(ref: Ref, values: Sequence[Fraction], results: Sequence[Fraction]) -> Fraction:
    """The value of a reference."""
    if "constant" in ref:
        return CONSTANT_VALUES[ref["constant"]]
    value = values[ref["number"]] if "number" in ref else results[ref["step"]]
    return PERCENT_FORMS[ref["as"]](value) if "as" in ref else value


def compute_results(
    program: Program, values: Sequence[Fraction] | None = None, seen: Callable[[Fraction], None] = lambda value: None
) -> list[Fraction]:
    """The result of every annotation. `values` stand in for the numbers of the question; `seen` is told every
    intermediate value. Raises ValueError for a division by zero."""
    values, found = list_numbers(program) if values is None else values, []
    for annotation in program["annotations"]:
        found.append(
            evaluate_tokens(annotation["expression"], lambda slot: resolve_ref(slot["is"], values, found), seen)
        )
    return found


def format_decimal(value: Fraction) -> str:
    """A decimal number without superfluous zeros. Raises ValueError where the decimals never end."""
    rest, factors = value.denominator, {2: 0, 5: 0}
    for prime in factors:
        while rest % prime == 0:
            rest, factors[prime] = rest // prime, factors[prime] + 1
    if rest != 1:
        raise ValueError(f"{value} has no end as a decimal number")
    digits = max(factors.values())
    if not digits:
        return str(value.numerator)
    scaled = abs(value.numerator) * 10**digits // value.denominator
    text = str(scaled).rjust(digits + 1, "0")
    return ("-" if value < 0 else "") + f"{text[:-digits]}.{text[-digits:]}"


def format_like(value: Fraction, said: str, before: Fraction) -> str:
    """`value` in the style in which `before` was said: in words, with commas, with cents. Raises ValueError."""
    if value == before:
        return said
    if said.lower() in NUMBER_WORDS and value in _WORDS_BY_NUMBER:
        word = _WORDS_BY_NUMBER[int(value)]
        return word.capitalize() if said[0].isupper() else word
    text = format_decimal(value)
    whole, _, decimals = text.partition(".")
    places = len(said.partition(".")[2]) if "." in said else 0
    if places == 2 or decimals:
        decimals = decimals.ljust(places, "0")
    if "," in said:
        whole = f"{int(whole):,}"
    if said.startswith(".") and whole == "0":
        whole = ""
    return f"{whole}.{decimals}" if decimals else whole


def render_program(program: Program, values: Sequence[Fraction] | None = None) -> tuple[str, list[Step], str]:
    """(question, steps, answer) with `values` for the numbers of the question. Without them, the original's bytes.

    Raises ValueError where a result has no end as a decimal number.
    """
    before, was = list_numbers(program), compute_results(program)
    values = before if values is None else values
    now = compute_results(program, values)

    def slot(part: Mapping[str, Any]) -> str:
        if not part["is"]:
            return part["said"]
        return format_like(resolve_ref(part["is"], values, now), part["said"], resolve_ref(part["is"], before, was))

    def part_(part: Any) -> str:
        if isinstance(part, str):
            return part
        if "annotation" not in part:
            return slot(part)
        k = part["annotation"]
        annotation = program["annotations"][k]
        expression = "".join(piece if isinstance(piece, str) else slot(piece) for piece in annotation["expression"])
        return f"<<{expression}={format_like(now[k], annotation['result'], was[k])}>>"

    steps = []
    for line in program["lines"]:
        inside = [part["annotation"] for part in line if isinstance(part, dict) and "annotation" in part]
        value = format_decimal(now[inside[-1]]) if inside else None
        steps.append(Step(text="".join(map(part_, line)), value=value))
    end = program["answer"]
    answer = format_decimal(now[end["step"]])
    steps.append(Step(text=f"#### {format_like(now[end['step']], end['said'], was[end['step']])}", value=answer))
    return "".join(map(part_, program["question"])), steps, answer


def check_program(program: Program) -> list[str]:
    """What is wrong with a program: [] where every annotation holds, every leaf is bound to something with its value
    that stood there before, the numbers are those in the text of the question, and the answer is a result."""
    faults = []
    try:
        question, steps, answer = render_program(program)
        values, known = list_numbers(program), []
        for k, annotation in enumerate(program["annotations"]):
            for piece in annotation["expression"]:
                if isinstance(piece, dict):
                    if piece["is"].get("step", -1) >= k:
                        faults.append(f"annotation {k} uses a later result")
                    elif resolve_ref(piece["is"], values, known) != Fraction(piece["said"]):
                        faults.append(f"{piece['said']} in annotation {k} is not what it is bound to")
            known = compute_results({"annotations": program["annotations"][: k + 1]}, values)
            if known[k] != Fraction(annotation["result"]):
                faults.append(f"annotation {k} is {known[k]}, not {annotation['result']}")
        found = [(str(quantity.value), quantity.kind) for quantity in quantities.find_quantities(question)]
        if found != [(number["value"], number["kind"]) for number in program["numbers"]]:
            faults.append("the numbers are not those of the question")
        if Fraction(program["answer"]["said"].replace(",", "")) != Fraction(answer):
            faults.append(f"the answer is {answer}, not {program['answer']['said']}")
        faults += check_arithmetic(steps)
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        faults.append(f"the program does not evaluate: {error}")
    return faults


def list_slots(program: Program) -> list[dict[str, Any]]:
    """Every number that follows the program, in expressions and in lines."""
    pieces = [piece for annotation in program["annotations"] for piece in annotation["expression"]]
    pieces += [part for line in program["lines"] for part in line]
    return [piece for piece in pieces if isinstance(piece, dict) and "said" in piece]


def bindings_agree(program: Program, values: Sequence[Fraction]) -> bool:
    """Whether every way to bind a number gives the same with these values, so that it does not matter which is meant."""
    known = compute_results(program, values)

    def bound(ref: Ref) -> Fraction:
        return resolve_ref(ref, values, known)

    return all(
        all(bound(slot["is"]) == bound(other) for other in slot.get("or", []))
        and all(bound(slot["is"]) == OPERATIONS[way[0]](*map(bound, way[1:])) for way in slot.get("also", []))
        for slot in list_slots(program)
    )


def find_ambiguous(program: Program) -> set[int]:
    """The numbers of the question that take part in an operand which two of them may have given without saying so."""
    return {
        ref["number"]
        for slot in list_slots(program)
        if "also" in slot
        for ref in (slot["is"], *(ref for way in slot["also"] for ref in way[1:]))
        if "number" in ref
    }


def check_arithmetic(steps: Sequence[Step]) -> list[str]:
    """Faults of worked steps as text: an annotation that does not hold, a step whose value is not its last result."""
    faults = []
    for step in steps:
        found = ANNOTATION.findall(step.text)
        for inside in found:
            expression, _, result = inside.rpartition("=")
            if evaluate_tokens(tokenize(expression)) != evaluate_tokens(tokenize(result)):
                faults.append(f"<<{inside}>> does not hold")
        if found and (
            step.value is None or Fraction(step.value) != evaluate_tokens(tokenize(found[-1].rpartition("=")[2]))
        ):
            faults.append(f"step value {step.value} is not the result in {step.text!r}")
    return faults
