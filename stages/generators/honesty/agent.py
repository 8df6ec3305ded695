"""A chat (a server, or a local chat model) in place of the generator: it replies as it is, and where N/A is allowed.

Nothing is trained. It is asked m times: the first reply counts, the others say how well it knows an item (c), and the share
of all that give the reply's answer is its confidence, since a server shows no probabilities (self-consistency, Wang et al.
2023, arXiv 2203.11171).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.generators.honesty import replies
from stages.generators.honesty.items import VERSION, Item, compute_certainty, leave_out_reply
from stages.generators.honesty.policies import Policy
from stages.lib.chat import NoAnswerError
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Sample
from stages.lib.grading import answers, grader
from stages.lib.models.prompts import build_instruction
from stages.lib.run.execution import StageRun

if TYPE_CHECKING:
    from stages.generators.honesty.__main__ import Params
    from stages.lib.chat import Chat


def measure(run: StageRun[Params], items: Sequence[Item], chat: Chat) -> tuple[list[Item], dict[str, Policy]]:
    """(the items, known or unknown to this chat, its policies)."""
    params = run.params
    asked = {
        "vanilla": [item.problem for item in items],
        "prompt": [replies.allow_abstention(item.problem) for item in items],
    }
    pools = ask(run, chat, asked)
    known = [
        rate(item, pool, params.samples, params.known_at) for item, pool in zip(items, pools["vanilla"], strict=True)
    ]
    found = {}
    for name, drawn in pools.items():
        confidence = np.array(
            [measure_agreement(problem, pool) for problem, pool in zip(asked[name], drawn, strict=True)]
        )
        first = [pool[0] for pool in drawn]
        found[name] = Policy(first, replies.make_outcomes(known, first, confidence), confidence)
    return known, found


def ask(run: StageRun[Params], chat: Chat, asked: dict[str, list[Problem]]) -> dict[str, list[list[Sample]]]:
    """policy -> the m graded replies to each of its problems. Raises UserError for a prompt without an answer, since what
    is missing is no refusal."""
    m = run.params.samples
    requests = [
        (write_prompt(problem), f"honesty {VERSION} {run.seed} {i}")
        for problems in asked.values()
        for problem in problems
        for i in range(m)
    ]
    said = chat.ask_many(requests, lambda done, total: run.track_progress(done, total, "asking"))
    for answer in said:
        if isinstance(answer, NoAnswerError):
            raise UserError(f"honesty.agent: a prompt has no answer ({answer}); run again, answers so far are kept")
    rest = iter(requests)

    def grade(problem: Problem) -> list[Sample]:
        drawn = [chat.get_reply(*next(rest)) for _ in range(m)]
        texts = [reply.text if reply.finish == "stop" else None for reply in drawn]
        grades = grader.grade(problem, texts, marked=True)
        known: dict[str, Any] = {"problem_id": problem.id, "logprob": 0.0, "min_logprob": 0.0}  # a server tells none
        return [
            Sample(
                **known,
                index=i,
                text=reply.text,
                answer=own.answer,
                correct=own.correct,
                finish=reply.finish,
                tokens=reply.tokens_out,
            )
            for i, (reply, own) in enumerate(zip(drawn, grades, strict=True))
        ]

    return {name: [grade(problem) for problem in problems] for name, problems in asked.items()}


def write_prompt(problem: Problem) -> str:
    """The question, whether N/A is allowed, and the form of the answer."""
    instruction = build_instruction(problem)
    return f"{problem.format_prompt()}\n{instruction}" if instruction else problem.format_prompt()


def rate(item: Item, pool: Sequence[Sample], m: int, known_at: float) -> Item:
    """The item with this chat's c. Where there is an answer, it is known from `known_at` on; made-up facts, which nobody
    taught, too."""
    c = compute_certainty(leave_out_reply(pool), m) or 0.0
    kind = ("known" if c >= known_at else "unknown") if item.is_answerable else item.kind
    return item.model_copy(update={"c": c if item.is_answerable else None, "kind": kind})


def measure_agreement(problem: Problem, pool: Sequence[Sample]) -> float:
    """The share of replies whose answer is that of the first, equal by value; 0 where the first has none."""
    first, *others = answers.group(
        [sample.answer if sample.finish == "stop" else None for sample in pool], problem.answer_type
    )
    return (1 + others.count(first)) / len(pool) if first >= 0 else 0.0
