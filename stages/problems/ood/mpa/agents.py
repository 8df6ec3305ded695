"""The two probing agents: a paraphraser that rewrites an item and an evaluator that judges it, each backed by a model.

Permuting options is code and needs no model. The evaluator always sees the final item and its answer (the published
pipeline merges two branches without another look). Without a model there is no judge, only the deterministic checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stages.lib.chat import Chat
from stages.lib.core.records import Problem
from stages.problems.ood.mpa import option_order, prompts
from stages.problems.ood.mpa.principles import Draft, NotApplicable

RULES = "rules"


class ParaphraserAgent(NamedTuple):
    """Applies a principle to a draft with its model; permutes without one."""

    chat: Chat | None

    def name(self) -> str | dict:
        """`rules`, or the identity of the model and its settings, without the address of its server."""
        if self.chat is None:
            return RULES
        return {name: value for name, value in self.chat.identity.items() if name != "base_url"}

    def apply(self, principle: str, original: Problem, draft: Draft, seed: int, attempt: int) -> Draft:
        """The next draft. Raises NotApplicable, prompts.Unreadable or NoAnswerError."""
        if principle == "permute":
            return option_order.permute_options(draft, option_order.make_rng(seed, original, principle, attempt))
        if self.chat is None:
            raise NotApplicable(f"{principle} wants a model")
        answer = self.chat.ask(
            prompts.build_paraphrase_prompt(principle, original, draft),
            f"{principle} {seed} {original.id} {(attempt,)}",
        )
        if principle == "choices":
            return draft._replace(choices=prompts.read_options(answer, len(draft.choices)))
        text = prompts.extract_marked(answer)
        if principle == "newchoice":
            return option_order.insert_option(
                original, draft, text, option_order.make_rng(seed, original, option_order.NEW_OPTION_FIELD, attempt)
            )
        return draft._replace(question=text if principle == "question" else f"{text} {draft.question}")


class EvaluatorAgent(NamedTuple):
    """Judges a finished draft that passed the checks."""

    chat: Chat | None

    def judge(self, original: Problem, draft: Draft, principles: Sequence[str], key: tuple) -> str | None:
        """The reason against the draft, or None. Raises prompts.Unreadable or NoAnswerError."""
        if self.chat is None:
            return None
        answer = self.chat.ask(prompts.build_judge_prompt(original, draft, principles), f"judge {original.id} {key}")
        return prompts.read_verdict(answer)


class Agents(NamedTuple):
    paraphraser: ParaphraserAgent
    evaluator: EvaluatorAgent


def make_agents(paraphraser: Chat | None = None, evaluator: Chat | None = None) -> Agents:
    """The agents with these models; None: no model."""
    return Agents(ParaphraserAgent(paraphraser), EvaluatorAgent(evaluator))
