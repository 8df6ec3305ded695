"""Method `rephrase`: the same problem in other words, with its solution (MetaMath, Yu et al. 2024, arXiv 2309.12284).

By rules: a bundled problem in other sentence templates of its own split. The templates of other splits, and those of the
operator `phrasing`, stay unseen, so that other wordings remain out of distribution. The equations are solved again and must
give the same steps.

By a model: the writer says the question in its own words. A text is kept if it has the numbers, units, conditions and
the asked quantity of the original (`lib/rewording`), if a judge, where there is one, finds no difference, and if most
answers of the solver are the old answer: no program reads free text, so the solver is asked even where a program knows
the answer. Every try starts from the original, never from what was rewritten before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from stages.lib.chat.base import Chat
from stages.lib.chat.retry import NoAnswerError
from stages.lib.core import seeds
from stages.lib.core.records import Problem
from stages.lib.grading import replies
from stages.lib.operators.rejects import Reject
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import variation
from stages.lib.procedural.states import NotApplicable, State
from stages.lib.rewording.meaning import check_question
from stages.lib.rewording.text_features import tokenize
from stages.problems.augmentation import solving
from stages.problems.augmentation.candidate import (
    PROGRAM,
    Candidate,
    Context,
    derive_problem,
    hash_prompt,
    name_agent,
)

METHOD = "rephrase"
VERSION = 1  # of the draws
MIN_CHANGED_WORDS = 0.15  # share of the words, as a multiset, that a model must change

PROMPT = """Here is a mathematics problem. Tell it again in clearly different sentences.
Everything a solver needs stays: each number, unit, name and condition, and what is asked for. Add nothing, explain nothing
and do not solve it.

Problem:
{question}

Write the new problem between <<< and >>>."""
JUDGE_PROMPT = """Two mathematics problems follow. Do both give the same facts about the same people and things, and do
both ask for the same quantity?

First problem:
{old}

Second problem:
{new}

Write <<<Yes>>> or <<<No>>>."""


def fits_parent(parent: Problem, section: Any, context: Context) -> bool:
    if context.writer:
        return not (parent.choices or parent.tests) and parent.answer != "N/A"
    return parent.program is not None and parent.program.generator == "gradeschool"


def make_candidates(parents: Sequence[Problem], section: Any, context: Context) -> Iterator[Candidate | Reject]:
    def make(parent: Problem) -> Candidate | Reject:
        if context.writer:
            assert context.solver, "core/conflicts.py refuses a writer that rephrases without a solver"
            return _ask_writer(parent, section, context, context.writer, context.solver)
        try:
            return _change_templates(parent, context)
        except NotApplicable as error:
            return Reject(f"{parent.id}~{METHOD}", METHOD, str(error))

    yield from solving.map_in_batches(make, parents, context.writer)


# By rules.


def _change_templates(parent: Problem, context: Context) -> Candidate:
    assert parent.program is not None
    state = _draw_templates(parent.program.params, seeds.rng(context.seed, "augmentation", VERSION, parent.id, METHOD))
    question, steps, answer = gradeschool.rederive(state)
    if (steps, answer) != variation.solve(state) or (steps, answer) != (parent.steps, parent.answer):
        raise NotApplicable("the equations do not give the parent's solution")
    if question == parent.question:
        raise NotApplicable("the split has no other template for these sentences")
    program = parent.program.model_copy(update={"params": state})
    fields = {"question": question, "steps": steps, "contract": "preserving", "program": program}
    return Candidate(derive_problem(parent, METHOD, **fields), PROGRAM, {"solution": "the same"})


def _draw_templates(state: State, rng: Any) -> State:
    """The state with another template for every sentence that has one in its split."""
    templates = variation.list_templates(state["split"])

    def draw(relation: str, old: Sequence[int]) -> list[int]:
        others = [pair for pair in templates[relation] if pair != tuple(old)]
        return list(rng.choice(others)) if others else list(old)

    quantities = [{**entry, "template": draw(entry["relation"], entry["template"])} for entry in state["quantities"]]
    return {**state, "quantities": quantities, "question": draw("question", state["question"])}


# By a model.


def _ask_writer(parent: Problem, section: Any, context: Context, writer: Chat, solver: Chat) -> Candidate | Reject:
    prompt, reason = PROMPT.format(question=parent.question), ""
    for number in range(1, section.max_tries + 1):
        try:
            text = replies.extract_delimited(writer.ask(prompt, f"rephrase {context.seed} {number}"))
            text = " ".join((text or "").split())
            _require_same_problem(parent, text, context.judge, context.seed)
            problem = derive_problem(
                parent, METHOD, question=text, steps=parent.steps, contract="preserving", program=None
            )
            vote = solving.require_majority(problem, solver, section.solver_samples, context.seed)
        except (NotApplicable, NoAnswerError) as error:
            reason = str(error)
            continue
        checks = {
            "agreement": vote.share,
            "answers": section.solver_samples,
            "judge": context.judge and name_agent(context.judge),
        }
        return Candidate(problem, name_agent(writer), checks, number, hash_prompt(prompt))
    return Reject(f"{parent.id}~{METHOD}", METHOD, reason, section.max_tries)


def _require_same_problem(parent: Problem, text: str, judge: Chat | None, seed: int) -> None:
    """Raises NotApplicable for a text that is no other wording of the same question."""
    if not text:
        raise NotApplicable("the reply has nothing between <<< and >>>")
    if count_changed_words(parent.question, text) < MIN_CHANGED_WORDS:
        raise NotApplicable("the question is hardly changed")
    if faults := check_question(parent.question, text):
        raise NotApplicable(faults[0])
    if judge:
        verdict = replies.extract_delimited(
            judge.ask(JUDGE_PROMPT.format(old=parent.question, new=text), f"same problem {seed}")
        )
        if (verdict or "").strip(". ").lower() != "yes":
            raise NotApplicable("the judge finds another problem")


def count_changed_words(old: str, new: str) -> float:
    """The share of the words of both texts, pair by pair of neighbours, that the other does not have: 0 equal, 1 none."""
    first, second = ([*zip(words, words[1:], strict=False)] for words in (tokenize(old), tokenize(new)))
    shared = len({*first} & {*second})
    return 1 - shared / max(1, len({*first} | {*second}))
