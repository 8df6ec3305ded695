"""Method `self_verification`: the question and its answer become a statement, a number becomes x, and x is asked for.

The form in which Weng et al. 2023 (arXiv 2212.09561) verify answers and MetaMath (Yu et al. 2024, arXiv 2309.12284) trains.
Bundled problems state the answer in a sentence template of their split; other questions are turned by rules
(`declarative.py`). The proof that x is unique, and the solution, are those of `fobar`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from stages.lib.core.records import Problem
from stages.lib.operators.rejects import Reject
from stages.lib.procedural.gradeschool import variation, wording
from stages.lib.procedural.states import NotApplicable, State
from stages.problems.augmentation import unknowns
from stages.problems.augmentation.candidate import Candidate, Context
from stages.problems.augmentation.declarative import make_statement
from stages.problems.augmentation.masking import MaskedProblem

METHOD = "self_verification"


def fits_parent(parent: Problem, section: Any, context: Context) -> bool:
    return unknowns.can_mask(parent, context)


def make_candidates(parents: Sequence[Problem], section: Any, context: Context) -> Iterator[Candidate | Reject]:
    yield from unknowns.make_candidates(METHOD, write_question, parents, section, context)


def write_question(masked: MaskedProblem, state: State | None) -> str:
    """All sentences but the question, the statement, then what is asked. Raises NotApplicable where the question cannot be
    made a statement."""
    *facts, question = masked.sentences
    statement = _state_bundled(state, masked.given) if state and "story" in state else None
    statement = statement or make_statement(question, masked.given)
    if statement is None:
        raise NotApplicable("no rule makes a statement of the question")
    return f"{' '.join([*facts, statement])} What is x?"


def _state_bundled(state: State, given: str) -> str:
    """Who is asked about has so many, in a sentence template that the split owns."""
    templates = variation.list_templates(state["split"])["given"]
    words = {"verb": wording.VERBS[state["story"][0]], "unit": wording.UNITS[state["story"][1]]}
    person = state["people"][len(state["quantities"]) - 1]
    template = templates[sum(state["question"]) % len(templates)]
    return wording.render_sentence("given", template, t=person, n=given, **words)
