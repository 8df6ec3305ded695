"""What tests ask of variants, whatever program they come from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from stages.lib.core.records import Problem
from stages.problems.ood import shortcuts
from stages.problems.ood.operators import registry


def select_operator(made: Iterable[Problem], name: str) -> list[Problem]:
    """The variants of one operator."""
    return [variant for variant in made if variant.operator == name]


def select_unsolvable(made: Iterable[Problem]) -> list[Problem]:
    """Those that lost their premise, without the twins that kept it."""
    return [variant for variant in made if variant.contract == "unsolvable"]


def is_valid(variant: Problem) -> bool:
    """Whether a variant holds when it is read back from its file."""
    return registry.check(Problem.model_validate(json.loads(variant.model_dump_json()))) == []


def measure_detectability(these: Iterable[Problem], others: Mapping[str, Problem]) -> float | None:
    """Balanced accuracy (chance .5) of a bag of words that tells variants from `others`, by the parent of each."""
    pairs = [(variant, others[variant.parent]) for variant in these if variant.parent in others]
    told = [(variant.question, True, variant.parent) for variant, _ in pairs]
    return shortcuts.distractor_detector_accuracy(
        [*told, *((other.question, False, variant.parent) for variant, other in pairs)]
    )
