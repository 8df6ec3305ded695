"""Problems that ask for x: what the methods `fobar` and `self_verification` share.

A program proves what it can (`masking.py`). Where there is none, a plain number of the text becomes x, and a solver is
asked several times: the problem is kept if more than half of its answers are that number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stages.lib.chat.retry import NoAnswerError
from stages.lib.core import seeds
from stages.lib.core.records import Problem
from stages.lib.operators.programs import gsm8k_program
from stages.lib.operators.rejects import Reject
from stages.lib.procedural.lifting import quantities
from stages.lib.procedural.states import NotApplicable, State
from stages.problems.augmentation import masking, solving
from stages.problems.augmentation.candidate import PROGRAM, Candidate, Context, derive_problem, name_agent
from stages.problems.augmentation.masking import MaskedProblem

VERSION = 1  # of the draws
Writer = Callable[[MaskedProblem, State | None], str]


def can_mask(parent: Problem, context: Context) -> bool:
    """Whether a program, or a solver, can prove what x is."""
    if parent.choices or parent.tests or parent.answer == "N/A":
        return False
    return masking.load_state(parent) is not None or context.solver is not None


def make_candidates(
    method: str, write_question: Writer, parents: Sequence[Problem], section: Any, context: Context
) -> Iterator[Candidate | Reject]:
    """One problem of each parent, in order."""

    def make(parent: Problem) -> Candidate | Reject:
        try:
            loaded = masking.load_state(parent)
            if loaded is not None:
                return _prove(method, write_question, parent, *loaded, context)
            return _ask_solver(method, write_question, parent, section, context)
        except (NotApplicable, NoAnswerError) as error:
            return Reject(f"{parent.id}~{method}", method, str(error))

    yield from solving.map_in_batches(make, parents, context.solver)


def _prove(
    method: str, write_question: Writer, parent: Problem, kind: str, state: State, context: Context
) -> Candidate:
    rng = seeds.rng(context.seed, "augmentation", VERSION, parent.id, method)
    proof = masking.draw_slot(kind, state, rng, context.largest)
    masked = masking.mask(kind, state, proof.slot)
    problem = derive_problem(
        parent,
        method,
        question=write_question(masked, state),
        steps=masked.steps,
        answer=masked.value,
        contract="changing",
        program=masking.make_program(method, kind, state, proof.slot),
    )
    return Candidate(problem, PROGRAM, {"solutions": 1, "tried": proof.tried}, masked=masked.number)


def _ask_solver(method: str, write_question: Writer, parent: Problem, section: Any, context: Context) -> Candidate:
    masked = _mask_text(parent, seeds.rng(context.seed, "augmentation", VERSION, parent.id, method))
    question = write_question(masked, None)
    problem = derive_problem(
        parent, method, question=question, answer=masked.value, answer_type="number", contract="changing"
    )
    assert context.solver, "can_mask takes no such parent without a solver"
    vote = solving.require_majority(problem, context.solver, section.solver_samples, context.seed)
    return Candidate(
        problem.model_copy(update={"steps": vote.steps}),
        name_agent(context.solver),
        {"agreement": vote.share, "answers": section.solver_samples},
        tries=section.solver_samples,
        prompt_sha=vote.prompt_sha,
        masked=masked.number,
    )


def _mask_text(parent: Problem, rng: Any) -> MaskedProblem:
    """A number in digits that stands once in the text and is not the answer becomes x. Raises NotApplicable."""
    text = parent.question
    numbers = [q for q in quantities.find_quantities(text) if q.kind in ("digits", "fixed", "word", "cue")]
    free = [q for q in numbers if q.kind == "digits" and sum(other.value == q.value for other in numbers) == 1]
    free = [q for q in free if str(q.value) != parent.answer and text[q.start : q.end] != parent.answer]
    if not free:
        raise NotApplicable("no plain number stands in the question once")
    chosen = rng.choice(free)
    masked = f"{text[: chosen.start]}x{text[chosen.end :]}"
    if masking.count_x(masked) != 1:
        raise NotApplicable("the question has an x of its own")
    value = text[chosen.start : chosen.end].replace(",", "")
    masked = masking.mend_article(masked)
    sentences = [gsm8k_program.render_parts(parts).strip() for parts in gsm8k_program.split_sentences([masked])]
    return MaskedProblem(sentences, text[chosen.start : chosen.end], value, parent.answer, [])
