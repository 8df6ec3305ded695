"""MPA variants as records that can be checked later without their source files or a model.

`Problem.program.params` of a variant:
parent         question, choices, answer and program of the parent
principles     those applied, in order
origin         for each option its index in the parent, None for the new one
paraphraser    `rules` where no model was needed, or the identity of the model
seed, attempt  the key of the draws, from which the order of options is recomputed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stages.lib.core.records import Problem, Program
from stages.problems.ood.mpa import checks, option_order, principles
from stages.problems.ood.mpa.principles import VERSION, Draft, NotApplicable

GENERATOR = "mpa"
_PARENT_FIELDS = (
    "question",
    "choices",
    "answer",
    "program",
)  # stored of the parent; all other fields are the variant's


def build_record(
    parent: Problem,
    draft: Draft,
    principle_names: Sequence[str],
    paraphraser: str | dict[str, Any],
    seed: int,
    attempt: int,
) -> Problem:
    """The draft as a record."""
    name = principles.format_operator(principle_names)
    params = {
        "parent": parent.model_dump(include=set(_PARENT_FIELDS), exclude_none=True),
        "principles": list(principle_names),
        "origin": list(draft.origin),
        "paraphraser": paraphraser,
        "seed": seed,
        "attempt": attempt,
    }
    return parent.model_copy(
        update={
            "id": f"{parent.id}~{name}",
            "question": draft.question,
            "choices": list(draft.choices) or None,
            "answer": draft.answer,
            "parent": parent.id,
            "operator": name,
            "contract": "preserving",
            "program": Program(generator=GENERATOR, version=VERSION, params=params),
        }
    )


def restore_parent(variant: Problem) -> Problem:
    """The parent of a variant, rebuilt from its record. Raises what a malformed record raises."""
    program: Any = variant.program
    fields = dict.fromkeys(_PARENT_FIELDS) | dict(program.params["parent"])
    same = variant.model_dump() | {"id": variant.parent, "parent": None, "operator": None, "contract": None}
    return Problem.model_validate(same | fields)


def check(variant: Problem) -> list[str]:
    """Faults of a variant, found by running all checks again on its record; [] if there are none."""
    try:
        return _find_faults(variant)
    except NotApplicable as refusal:
        return [f"program: {refusal}"]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return [f"program: {type(error).__name__}: {' '.join(str(error).split())[:120]}"]


def _find_faults(variant: Problem) -> list[str]:
    program: Any = variant.program
    params, original = program.params, restore_parent(variant)
    principle_names = principles.parse_principles(params["principles"])
    faults = []
    if variant.operator != principles.format_operator(principle_names):
        faults.append(f"its operator is {variant.operator!r}, but its principles are {'+'.join(principle_names)}")
    draft = Draft(variant.question, tuple(variant.choices or ()), tuple(params["origin"]), variant.answer)
    if len(draft.origin) != len(draft.choices):
        return [*faults, f"{len(draft.choices)} options, but the origin of {len(draft.origin)}"]
    origin = checks.match_origins(original, draft.choices)
    if "choices" not in principle_names and checks.are_distinguishable(original) and origin != draft.origin:
        return [*faults, "an option is not the one its origin says"]
    applied = principles.select_applicable(principle_names, original)
    if original.choices:
        expected = option_order.recompute_order(original, draft, applied, params["seed"], params["attempt"])
        if (expected.choices, expected.answer) != (draft.choices, draft.answer):
            return [*faults, "the options do not stand where their draws put them"]
    return faults + checks.find_faults(original, draft, applied)
