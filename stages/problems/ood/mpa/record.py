"""A variant as a record that proves itself: what it was made from, by which principles, with which draw.

`Problem.program.params` of a variant:
parent       question, choices, answer and program of the problem it was made from
principles   those applied, in their order
origin       for each option its index in the parent, None for the new one
paraphraser  `rules` where no model was needed, or what identifies the model
seed, attempt  the key of the draw; with them code puts the options in the same order again

`check` reads nothing else and asks no model, so a label can be held against its parent long after, anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stages.lib.core.records import Problem, Program
from stages.problems.ood.mpa import checks, option_order, principles
from stages.problems.ood.mpa.principles import VERSION, Draft, NotApplicable

GENERATOR = "mpa"
_PARENT_FIELDS = ("question", "choices", "answer", "program")  # of the parent; all else a variant has from it unchanged


def build_record(
    parent: Problem, made: Draft, wanted: Sequence[str], paraphraser: str | dict[str, Any], seed: int, attempt: int
) -> Problem:
    """The draft as a record."""
    name = principles.format_operator(wanted)
    params = {
        "parent": parent.model_dump(include=set(_PARENT_FIELDS), exclude_none=True),
        "principles": list(wanted),
        "origin": list(made.origin),
        "paraphraser": paraphraser,
        "seed": seed,
        "attempt": attempt,
    }
    return parent.model_copy(
        update={
            "id": f"{parent.id}~{name}",
            "question": made.question,
            "choices": list(made.choices) or None,
            "answer": made.answer,
            "parent": parent.id,
            "operator": name,
            "contract": "preserving",
            "program": Program(generator=GENERATOR, version=VERSION, params=params),
        }
    )


def restore_parent(variant: Problem) -> Problem:
    """The problem a variant was made from, out of its record. Raises what a malformed record raises."""
    fields = dict.fromkeys(_PARENT_FIELDS) | dict(variant.program.params["parent"])
    same = variant.model_dump() | {"id": variant.parent, "parent": None, "operator": None, "contract": None}
    return Problem.model_validate(same | fields)


def check(variant: Problem) -> list[str]:
    """What is wrong with a variant: sentences, [] where all holds.

    The checks run again on what the record holds: numbers, units, the asked quantity, the context, the options and the
    letter of the key.
    """
    try:
        return _find_faults(variant)
    except NotApplicable as refusal:
        return [f"program: {refusal}"]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return [f"program: {type(error).__name__}: {' '.join(str(error).split())[:120]}"]


def _find_faults(variant: Problem) -> list[str]:
    params, original = variant.program.params, restore_parent(variant)
    wanted = principles.parse_principles(params["principles"])
    found = []
    if variant.operator != principles.format_operator(wanted):
        found.append(f"its operator is {variant.operator!r}, but its principles are {'+'.join(wanted)}")
    made = Draft(variant.question, tuple(variant.choices or ()), tuple(params["origin"]), variant.answer)
    if len(made.origin) != len(made.choices):
        return [*found, f"{len(made.choices)} options, but the origin of {len(made.origin)}"]
    read = checks.match_origins(original, made.choices)
    if "choices" not in wanted and checks.are_distinguishable(original) and read != made.origin:
        return [*found, "an option is not the one its origin says"]
    applied = principles.select_applicable(wanted, original)
    if original.choices:
        again = option_order.recompute_order(original, made, applied, params["seed"], params["attempt"])
        if (again.choices, again.answer) != (made.choices, made.answer):
            return [*found, "the options do not stand where their draws put them"]
    return found + checks.find_faults(original, made, applied)
