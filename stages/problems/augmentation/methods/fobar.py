"""Method `fobar`: a number becomes x, the answer is given, and x is asked for (Jiang et al. 2023, arXiv 2308.07758).

Where a program knows the problem, x is proven to be unique and the solution is the way back (`masking.py`). Without one a
number of the text is hidden and a solver has to find it (`unknowns.py`): what is kept is the first of its solutions that
does, where most of them do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from stages.lib.core.records import Problem
from stages.lib.operators.rejects import Reject
from stages.lib.procedural.states import State
from stages.problems.augmentation import unknowns
from stages.problems.augmentation.candidate import Candidate, Context
from stages.problems.augmentation.masking import MaskedProblem

METHOD = "fobar"


def fits_parent(parent: Problem, section: Any, context: Context) -> bool:
    return unknowns.can_mask(parent, context)


def make_candidates(parents: Sequence[Problem], section: Any, context: Context) -> Iterator[Candidate | Reject]:
    yield from unknowns.make_candidates(METHOD, write_question, parents, section, context)


def write_question(masked: MaskedProblem, state: State | None) -> str:
    """The whole problem with x, then what is asked."""
    return f"{' '.join(masked.sentences)} If the answer is {masked.given}, what is x?"
