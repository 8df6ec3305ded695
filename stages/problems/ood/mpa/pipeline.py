"""Problems -> variants, each checked and judged whole, or a reject with its reason.

Per item: apply the principles in order to a draft; the deterministic checks look at the finished draft; the judge
looks at it with the answer; what fails is drawn again with another key, at most `tries` times. An item is never passed
on unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages.lib.chat import NoAnswerError
from stages.lib.core.records import Problem
from stages.problems.ood.mpa import checks, option_order, principles, prompts, record
from stages.problems.ood.mpa.agents import Agents
from stages.problems.ood.mpa.principles import Draft, NotApplicable
from stages.problems.ood.rejects import Reject


def make_variants(
    problems: Sequence[Problem], wanted: str | Sequence[str], agents: Agents, seed: int, tries: int = 5
) -> tuple[list[Problem], list[Reject]]:
    """A variant or a reject for every problem that the principles fit, in their order. `wanted`: `all`, or principles
    joined by `+`. Raises UserError for an unknown principle and where a model's server is gone or refuses."""
    composition = principles.parse_principles(wanted)
    problems = [problem for problem in problems if principles.fits(composition, problem)]

    def one(problem: Problem) -> Problem | Reject:
        return make_variant(problem, composition, agents, seed, tries)

    chat = agents.paraphraser.chat or agents.evaluator.chat
    made = chat.map(one, problems) if chat else [one(problem) for problem in problems]
    return [each for each in made if isinstance(each, Problem)], [each for each in made if isinstance(each, Reject)]


def make_variant(
    problem: Problem, composition: Sequence[str], agents: Agents, seed: int, tries: int
) -> Problem | Reject:
    name = principles.format_operator(composition)
    used, reason = 0, ""
    try:
        applied = principles.select_applicable(composition, problem)
        option_order.check_applicable(applied, problem)
        for attempt in range(tries):
            used = attempt + 1
            try:
                made = make_draft(problem, applied, agents, seed, attempt)
                reason = find_fault(problem, made, applied, agents, (seed, attempt))
            except (prompts.Unreadable, NotApplicable) as refusal:
                reason = str(refusal)
            else:
                if reason is None:
                    return record.build_record(problem, made, composition, agents.paraphraser.name(), seed, attempt)
    except (NotApplicable, NoAnswerError) as refusal:
        reason = str(refusal)
    return Reject(f"{problem.id}~{name}", name, reason, max(used, 1))


def make_draft(problem: Problem, applied: Sequence[str], agents: Agents, seed: int, attempt: int) -> Draft:
    """One finished draft, not yet checked."""
    made = principles.start_draft(problem)
    for principle in applied:
        made = agents.paraphraser.apply(principle, problem, made, seed, attempt)
    return made


def find_fault(problem: Problem, made: Draft, applied: Sequence[str], agents: Agents, key: tuple) -> str | None:
    """The first thing that the checks, and then the judge, hold against a draft; None: it stands."""
    found = checks.find_faults(problem, made, applied)
    return found[0] if found else agents.evaluator.judge(problem, made, applied, key)
