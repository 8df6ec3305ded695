"""Who rewrites and who judges: two agents, each with a model behind it. Permuting is code and needs none.

The judge always sees the composed item and its answer (the published pipeline merges two branches unseen). Without a
model there is no judge: what code permuted the deterministic checks see whole.
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
    """Applies one principle to a draft, by the model; permutes by itself."""

    chat: Chat | None

    def name(self) -> str | dict:
        """`rules`, or what identifies the model and its settings; not where it is served."""
        if self.chat is None:
            return RULES
        return {name: value for name, value in self.chat.identity.items() if name != "base_url"}

    def apply(self, principle: str, original: Problem, made: Draft, seed: int, attempt: int) -> Draft:
        """The next draft. Raises NotApplicable, prompts.Unreadable or chat.NoAnswer."""
        if principle == "permute":
            return option_order.permute_options(made, option_order.make_rng(seed, original, principle, attempt))
        if self.chat is None:
            raise NotApplicable(f"{principle} wants a model")
        answer = self.chat.ask(
            prompts.build_paraphrase_prompt(principle, original, made), f"{principle} {seed} {original.id} {(attempt,)}"
        )
        if principle == "choices":
            return made._replace(choices=prompts.read_options(answer, len(made.choices)))
        text = prompts.extract_marked(answer)
        if principle == "newchoice":
            return option_order.insert_option(
                original, made, text, option_order.make_rng(seed, original, option_order.NEW_OPTION_FIELD, attempt)
            )
        return made._replace(question=text if principle == "question" else f"{text} {made.question}")


class EvaluatorAgent(NamedTuple):
    """Says what is wrong with a finished draft, or None. Its question is put after the checks found nothing."""

    chat: Chat | None

    def judge(self, original: Problem, made: Draft, principles: Sequence[str], key: tuple) -> str | None:
        """Raises prompts.Unreadable or chat.NoAnswer."""
        if self.chat is None:
            return None
        answer = self.chat.ask(prompts.build_judge_prompt(original, made, principles), f"judge {original.id} {key}")
        return prompts.read_verdict(answer)


class Agents(NamedTuple):
    paraphraser: ParaphraserAgent
    evaluator: EvaluatorAgent


def make_agents(paraphraser: Chat | None = None, evaluator: Chat | None = None) -> Agents:
    """The agents over these models; None: no model."""
    return Agents(ParaphraserAgent(paraphraser), EvaluatorAgent(evaluator))
