"""Method evolve: a writer changes a problem step by step, upward, sideways or downward (Evol-Instruct, Xu et al. 2023,
arXiv 2304.12244; WizardMath, Luo et al. 2023, arXiv 2308.09583).

In each of `evolve.rounds`, one change drawn by key is asked of the writer for each line of descent; what passes all
checks is kept, and is the parent of the next round. What is eliminated leaves its parent to be tried again. The
checks: the four rules of elimination (`elimination.py`), then the solver's sampled solutions must agree on an answer
(`consensus.py`). A solver that does not find the known answer of the root is not believed about its descendants. So
answers are evidence, not proof: `checks.answer` says `unproven`.

Needs a writer, a judge and a solver. Every answer is cached, so a killed run pays for nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import Field

from stages.lib.chat.base import Chat, NoAnswerError
from stages.lib.core import params, seeds
from stages.lib.core.problem_ids import get_root
from stages.lib.core.records import Problem
from stages.lib.grading import replies
from stages.lib.operators.rejects import Reject
from stages.problems.augmentation import consensus, elimination, evolution_prompts, similarity
from stages.problems.augmentation.candidate import Candidate, Context, derive_problem, hash_prompt, name_agent
from stages.problems.augmentation.consensus import Consensus
from stages.problems.augmentation.evolution_prompts import Change

NAME = "evolve"
VERSION = 1  # part of every key
BATCH = 16  # roots that go through a round together; changes no problem


class EvolveParams(params.Params):
    rounds: int = Field(default=2, ge=1, le=9)  # changes of a problem one after another; the papers: 4 and more
    changes: list[Change] = Field(
        default=[*evolution_prompts.UPWARD, "broaden", *evolution_prompts.DOWNWARD], min_length=1
    )  # constrain deepen concretise lengthen (upward), broaden, simplify ease (downward)
    agreement: float = Field(default=0.6, gt=0, le=1)  # least share of the sampled solutions that must agree


class _Draft(NamedTuple):
    """A text of the writer that is on its way. index: of its line of descent."""

    index: int
    parent: Problem
    change: Change
    prompt: str
    text: str
    tries: int


def fits_parent(parent: Problem, section: Any, context: Context) -> bool:
    """A problem with a number as its answer, and no options or tests that a change would break."""
    return parent.answer_type in ("number", "integer") and not parent.choices and not parent.abstain


def make_candidates(parents: Sequence[Problem], section: Any, context: Context) -> Iterator[Candidate | Reject]:
    """As `candidate.Method`: a Candidate or a Reject for each parent and round."""
    seen: set[str] = set()
    for start in range(0, len(parents), BATCH):
        yield from _evolve_batch(parents[start : start + BATCH], section, context, seen)


def _evolve_batch(
    roots: Sequence[Problem], section: Any, context: Context, seen: set[str]
) -> Iterator[Candidate | Reject]:
    """seen: the words of all problems that were kept; a writer that has one idea gives it once."""
    writer, judge, solver, knobs = context.writer, context.judge, context.solver, section.evolve
    assert writer and judge and solver, "section.py refuses the method without its agents"
    is_solved = consensus.count_solved(solver, roots, section.solver_samples, knobs.agreement, context.seed)
    lines = [root for root, solved in zip(roots, is_solved, strict=True) if solved]
    for root, solved in zip(roots, is_solved, strict=True):
        if not solved:
            yield Reject(_make_id(root, 1), NAME, "the solver does not solve the parent", section.solver_samples)
    for number in range(1, knobs.rounds + 1):
        drafts, rejects = _write(writer, lines, section, context, number)
        yield from rejects
        drafts, rejects = _judge(judge, drafts, context.seed, number)
        yield from rejects
        solved = consensus.solve(
            solver, [draft.text for draft in drafts], section.solver_samples, knobs.agreement, context.seed
        )
        for draft, found in zip(drafts, solved, strict=True):
            words = " ".join(similarity.split_words(draft.text))
            if not isinstance(found, Consensus) or words in seen:
                reason = "equals another new problem" if isinstance(found, Consensus) else found
                yield Reject(_make_id(draft.parent, number), NAME, reason, draft.tries)
                continue
            seen.add(words)
            problem = _make_problem(draft, found, number)
            lines[draft.index] = problem
            checks = {
                "answer": "unproven",
                "agreement": found.share,
                "change": draft.change,
                "judge": name_agent(judge),
            }
            sha = hash_prompt(draft.prompt)
            yield Candidate(problem, name_agent(writer), checks, draft.tries, sha, round=number)


def _write(
    writer: Chat, lines: Sequence[Problem], section: Any, context: Context, number: int
) -> tuple[list[_Draft], list[Reject]]:
    """A text for each line of descent, or the reason of the last of `max_tries` tries."""
    drafts: list[_Draft] = []
    open_lines, reasons = list(range(len(lines))), dict.fromkeys(range(len(lines)), "")
    changes: list[Change] = [_draw_change(section.evolve.changes, context.seed, line, number) for line in lines]
    prompts = [
        evolution_prompts.format_change(change, line.question) for change, line in zip(changes, lines, strict=True)
    ]
    for tries in range(1, section.max_tries + 1):
        key = f"{NAME} {context.seed} {number} {tries}"
        replied = writer.ask_many([(prompts[i], key) for i in open_lines])
        for i, reply in zip(open_lines, replied, strict=True):
            text, reasons[i] = _read_draft(reply, lines[i].question, changes[i])
            if not reasons[i]:
                drafts.append(_Draft(i, lines[i], changes[i], prompts[i], text, tries))
        open_lines = [i for i in open_lines if reasons[i]]
    rejects = [Reject(_make_id(lines[i], number), NAME, reasons[i], section.max_tries) for i in open_lines]
    return sorted(drafts), rejects


def _read_draft(reply: str | NoAnswerError, parent: str, change: Change) -> tuple[str, str]:
    """(text, reason why not; "" if there is none)."""
    if isinstance(reply, NoAnswerError):
        return "", "the writer gives no answer"
    content = replies.extract_delimited(reply)
    if not content:
        return "", "the writer refuses" if elimination.is_refusal(reply) else "no problem between <<< and >>>"
    is_related = change not in evolution_prompts.ANEW
    return content, elimination.explain_bad_child(parent, content, is_related) or ""


def _judge(judge: Chat, drafts: Sequence[_Draft], seed: int, number: int) -> tuple[list[_Draft], list[Reject]]:
    """The drafts in which the judge sees something new."""
    requests = [(evolution_prompts.format_judgement(d.parent.question, d.text), f"gain {seed}") for d in drafts]
    kept, rejects = [], []
    for draft, reply in zip(drafts, judge.ask_many(requests), strict=True):
        content = None if isinstance(reply, NoAnswerError) else replies.extract_delimited(reply)
        verdict = evolution_prompts.read_verdict(content)
        if verdict:
            kept.append(draft)
        else:
            reason = "the judge gives no verdict" if verdict is None else "no information gain"
            rejects.append(Reject(_make_id(draft.parent, number), NAME, reason, draft.tries))
    return kept, rejects


def _draw_change(changes: Sequence[Change], seed: int, line: Problem, number: int) -> Change:
    return seeds.rng(seed, "augmentation", VERSION, get_root(line.id), NAME, number).choice(changes)


def _make_id(line: Problem, number: int) -> str:
    return f"{get_root(line.id)}~{NAME}{number}"


def _make_problem(draft: _Draft, found: Consensus, number: int) -> Problem:
    fields = {"question": draft.text, "answer": found.answer, "answer_type": found.answer_type, "steps": found.steps}
    problem = derive_problem(draft.parent, NAME, number, **fields, contract="changing", difficulty=None)
    return problem.model_copy(update={"id": _make_id(draft.parent, number)})
