"""MPA variants of problems: apply the principles, check, judge, and try again; or a reject with its reason.

The principles are applied in order to a draft. The deterministic checks see the finished draft, then the judge sees it
with its answer. A draft that fails is drawn again with another key, at most `max_attempts` times. An unchanged item is
never a variant.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages.lib.chat import NoAnswerError
from stages.lib.core.records import Problem
from stages.lib.operators.rejects import Reject
from stages.problems.ood.mpa import checks, option_order, principles, prompts, record
from stages.problems.ood.mpa.agents import Agents
from stages.problems.ood.mpa.principles import Draft, NotApplicable


def make_variants(
    problems: Sequence[Problem], principle_names: str | Sequence[str], agents: Agents, seed: int, max_attempts: int = 5
) -> tuple[list[Problem], list[Reject]]:
    """A variant or a reject for every problem that the principles fit. principle_names: `all`, or some joined
    by `+`. Raises UserError for an unknown principle and where a model's server is gone or refuses."""
    composition = principles.parse_principles(principle_names)
    problems = [problem for problem in problems if principles.fits(composition, problem)]

    def make_one(problem: Problem) -> Problem | Reject:
        return make_variant(problem, composition, agents, seed, max_attempts)

    chat = agents.paraphraser.chat or agents.evaluator.chat
    results = chat.map(make_one, problems) if chat else [make_one(problem) for problem in problems]
    return [result for result in results if isinstance(result, Problem)], [
        result for result in results if isinstance(result, Reject)
    ]


def make_variant(
    problem: Problem, composition: Sequence[str], agents: Agents, seed: int, max_attempts: int
) -> Problem | Reject:
    name = principles.format_operator(composition)
    attempts, reason = 0, ""
    try:
        applicable = principles.select_applicable(composition, problem)
        option_order.check_applicable(applicable, problem)
        for attempt in range(max_attempts):
            attempts = attempt + 1
            try:
                draft = make_draft(problem, applicable, agents, seed, attempt)
                reason = find_fault(problem, draft, applicable, agents, (seed, attempt))
            except (prompts.Unreadable, NotApplicable) as refusal:
                reason = str(refusal)
            else:
                if reason is None:
                    return record.build_record(problem, draft, composition, agents.paraphraser.name(), seed, attempt)
    except (NotApplicable, NoAnswerError) as refusal:
        reason = str(refusal)
    return Reject(f"{problem.id}~{name}", name, reason, max(attempts, 1))


def make_draft(problem: Problem, applicable: Sequence[str], agents: Agents, seed: int, attempt: int) -> Draft:
    """A finished draft, not yet checked."""
    draft = principles.start_draft(problem)
    for principle in applicable:
        draft = agents.paraphraser.apply(principle, problem, draft, seed, attempt)
    return draft


def find_fault(problem: Problem, draft: Draft, applicable: Sequence[str], agents: Agents, key: tuple) -> str | None:
    """The first fault that the checks or then the judge find in a draft; None if there is none."""
    faults = checks.find_faults(problem, draft, applicable)
    return faults[0] if faults else agents.evaluator.judge(problem, draft, applicable, key)
