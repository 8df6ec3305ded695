"""Method `operators`: training problems changed by the operators of `lib/operators`, the answers computed by programs.

The words that an operator adds are those that variants of the training split own, so no variant shares one with a test set
(`wording.select_owned`). An operator that trains here is no longer held out of distribution; audit.md says which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from stages.lib.core.records import Problem
from stages.lib.operators import registry
from stages.lib.operators.rejects import Reject
from stages.problems.augmentation.candidate import PROGRAM, Candidate, Context

METHOD = "operators"


def fits_parent(parent: Problem, section: Any, context: Context) -> bool:
    return any(registry.fits_problem(name, parent) for name in section.operators)


def make_candidates(parents: Sequence[Problem], section: Any, context: Context) -> Iterator[Candidate | Reject]:
    """For each parent in turn a variant by every operator that fits it, named by the operator."""
    for parent in parents:
        variants, rejects = registry.make_variants([parent], section.operators, context.seed, context.largest)
        for problem in variants:
            yield Candidate(problem, PROGRAM, {"contract": problem.contract})
        yield from rejects
