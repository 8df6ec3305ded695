"""Checks of variants that tests share, whatever program they come from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from stages.lib.core.records import Problem
from stages.lib.operators import registry
from stages.problems.ood import shortcuts


def select_operator(variants: Iterable[Problem], name: str) -> list[Problem]:
    """The variants of one operator."""
    return [variant for variant in variants if variant.operator == name]


def select_unsolvable(variants: Iterable[Problem]) -> list[Problem]:
    """Those that lost their premise, without the twins that kept it."""
    return [variant for variant in variants if variant.contract == "unsolvable"]


def is_valid(variant: Problem) -> bool:
    """Whether a variant holds when it is read back from its file."""
    return registry.check(Problem.model_validate(json.loads(variant.model_dump_json()))) == []


def measure_detectability(variants: Iterable[Problem], references: Mapping[str, Problem]) -> float | None:
    """Balanced accuracy (chance .5) of a bag of words that tells variants from `references`, by the parent of each."""
    pairs = [(variant, references[variant.parent]) for variant in variants if variant.parent in references]
    rows = [(variant.question, True, variant.parent) for variant, _ in pairs]
    return shortcuts.distractor_detector_accuracy(
        [*rows, *((reference.question, False, variant.parent) for variant, reference in pairs)]
    )
