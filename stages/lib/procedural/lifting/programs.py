"""Programs lifted from solutions: evaluated, written out again (with other numbers if wanted), and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from stages.lib.core.expressions import ANNOTATION, OPERATIONS, evaluate_tokens, format_decimal, tokenize
from stages.lib.core.records import Step
from stages.lib.procedural.lifting import quantities
from stages.lib.procedural.lifting.quantities import CONSTANT_VALUES, NUMBER_WORDS

Ref = dict[str, Any]  # {"number": i}, {"step": j} or {"constant": name}; `as`: one of PERCENT_FORMS
Program = Mapping[str, Any]
PERCENT_FORMS: dict[str, Callable[[Fraction], Fraction]] = {  # how expressions use a percentage or cents
    "share": lambda x: x / 100,
    "rest": lambda x: 100 - x,
    "rest share": lambda x: 1 - x / 100,
    "grown": lambda x: 100 + x,
    "grown share": lambda x: 1 + x / 100,
}
_WORDS_BY_NUMBER = {n: word for word, n in NUMBER_WORDS.items()}


def list_numbers(program: Program) -> list[Fraction]:
    """The numbers of the question."""
    return [Fraction(number["value"]) for number in program["numbers"]]


def resolve_ref(ref: Ref, values: Sequence[Fraction], results: Sequence[Fraction]) -> Fraction:
    """The value of a reference, given the numbers of the question and the results of the annotations so far."""
    if "constant" in ref:
        return CONSTANT_VALUES[ref["constant"]]
    value = values[ref["number"]] if "number" in ref else results[ref["step"]]
    return PERCENT_FORMS[ref["as"]](value) if "as" in ref else value


def compute_results(
    program: Program, values: Sequence[Fraction] | None = None, seen: Callable[[Fraction], None] = lambda value: None
) -> list[Fraction]:
    """The result of every annotation. `values` replace the numbers of the question; `seen` is called with every
    intermediate value. Raises ValueError for a division by zero."""
    numbers = list_numbers(program) if values is None else values
    results: list[Fraction] = []
    for annotation in program["annotations"]:
        expression = annotation["expression"]
        results.append(evaluate_tokens(expression, lambda slot: resolve_ref(slot["is"], numbers, results), seen))
    return results


def format_like(value: Fraction, old_text: str, before: Fraction) -> str:
    """`value` in the style of `old_text`, the text of `before`: in words, with commas, with cents.

    Raises ValueError for a fraction without a finite decimal form.
    """
    if value == before:
        return old_text
    if old_text.lower() in NUMBER_WORDS and value in _WORDS_BY_NUMBER:
        word = _WORDS_BY_NUMBER[int(value)]
        return word.capitalize() if old_text[0].isupper() else word
    text = format_decimal(value)
    whole, _, decimals = text.partition(".")
    places = len(old_text.partition(".")[2]) if "." in old_text else 0
    if places == 2 or decimals:
        decimals = decimals.ljust(places, "0")
    if "," in old_text:
        whole = f"{int(whole):,}"
    if old_text.startswith(".") and whole == "0":
        whole = ""
    return f"{whole}.{decimals}" if decimals else whole


def render_program(program: Program, values: Sequence[Fraction] | None = None) -> tuple[str, list[Step], str]:
    """(question, steps, answer) with `values` as the numbers of the question; by default exactly the original text.

    Raises ValueError for a result without a finite decimal form.
    """
    old_numbers, old_results = list_numbers(program), compute_results(program)
    numbers = old_numbers if values is None else values
    results = compute_results(program, numbers)

    def format_result(k: int, old_text: str) -> str:
        return format_like(results[k], old_text, old_results[k])

    def render(part: Any) -> str:
        if isinstance(part, str):
            return part
        if "annotation" in part:
            annotation = program["annotations"][part["annotation"]]
            expression = "".join(map(render, annotation["expression"]))
            return f"<<{expression}={format_result(part['annotation'], annotation['result'])}>>"
        if not part["is"]:
            return part["said"]
        old_value = resolve_ref(part["is"], old_numbers, old_results)
        return format_like(resolve_ref(part["is"], numbers, results), part["said"], old_value)

    steps = []
    for line in program["lines"]:
        annotations = [part["annotation"] for part in line if isinstance(part, dict) and "annotation" in part]
        value = format_decimal(results[annotations[-1]]) if annotations else None
        steps.append(Step(text="".join(map(render, line)), value=value))
    final = program["answer"]
    answer = format_decimal(results[final["step"]])
    steps.append(Step(text=f"#### {format_result(final['step'], final['said'])}", value=answer))
    return "".join(map(render, program["question"])), steps, answer


def check_program(program: Program) -> list[str]:
    """The faults of a program; [] if every annotation holds, every operand is bound to an earlier number or result of its
    value, the numbers are those in the text of the question, and the answer is a result."""
    faults = []
    try:
        question, steps, answer = render_program(program)
        values, results = list_numbers(program), []
        for k, annotation in enumerate(program["annotations"]):
            for piece in annotation["expression"]:
                if isinstance(piece, dict):
                    if piece["is"].get("step", -1) >= k:
                        faults.append(f"annotation {k} uses a later result")
                    elif resolve_ref(piece["is"], values, results) != Fraction(piece["said"]):
                        faults.append(f"{piece['said']} in annotation {k} is not what it is bound to")
            results = compute_results({"annotations": program["annotations"][: k + 1]}, values)
            if results[k] != Fraction(annotation["result"]):
                faults.append(f"annotation {k} is {results[k]}, not {annotation['result']}")
        numbers = [(str(quantity.value), quantity.kind) for quantity in quantities.find_quantities(question)]
        if numbers != [(number["value"], number["kind"]) for number in program["numbers"]]:
            faults.append("the numbers are not those of the question")
        if Fraction(program["answer"]["said"].replace(",", "")) != Fraction(answer):
            faults.append(f"the answer is {answer}, not {program['answer']['said']}")
        faults += check_arithmetic(steps)
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        faults.append(f"the program does not evaluate: {error}")
    return faults


def list_slots(program: Program) -> list[dict[str, Any]]:
    """All slots (numbers that follow the program), in expressions and in lines."""
    pieces = [piece for annotation in program["annotations"] for piece in annotation["expression"]]
    pieces += [part for line in program["lines"] for part in line]
    return [piece for piece in pieces if isinstance(piece, dict) and "said" in piece]


def bindings_agree(program: Program, values: Sequence[Fraction]) -> bool:
    """Whether all possible bindings of every slot give the same value, so that it does not matter which one is meant."""
    results = compute_results(program, values)

    def resolve(ref: Ref) -> Fraction:
        return resolve_ref(ref, values, results)

    return all(
        all(resolve(slot["is"]) == resolve(other) for other in slot.get("or", []))
        and all(resolve(slot["is"]) == OPERATIONS[sign](*map(resolve, refs)) for sign, *refs in slot.get("also", []))
        for slot in list_slots(program)
    )


def find_ambiguous(program: Program) -> set[int]:
    """Indices of the question's numbers that are involved in an operand with an implicit source (`also`)."""
    return {
        ref["number"]
        for slot in list_slots(program)
        if "also" in slot
        for ref in (slot["is"], *(ref for _, *refs in slot["also"] for ref in refs))
        if "number" in ref
    }


def check_arithmetic(steps: Sequence[Step]) -> list[str]:
    """Faults of steps as text: annotations that do not hold, values that are not the last result of their step."""
    faults = []
    for step in steps:
        result = None
        for annotation in ANNOTATION.findall(step.text):
            left, _, right = annotation.rpartition("=")
            result = evaluate_tokens(tokenize(right))
            if evaluate_tokens(tokenize(left)) != result:
                faults.append(f"<<{annotation}>> does not hold")
        if result is not None and (step.value is None or Fraction(step.value) != result):
            faults.append(f"step value {step.value} is not the result in {step.text!r}")
    return faults
