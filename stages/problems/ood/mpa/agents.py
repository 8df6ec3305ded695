"""Who rewrites and who judges: two agents, each with a model behind it. Permuting is code and needs none.

The judge always sees the composed item and its answer (the published pipeline merges two branches unseen). Without a
model there is no judge: what code permuted the deterministic checks see whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stages.lib.chat import Chat
from stages.lib.core.records import Problem
from stages.problems.ood.mpa import places, prompts
from stages.problems.ood.mpa.principles import Draft, Unfit

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
        """The next draft. Raises Unfit, prompts.Unreadable or chat.NoAnswer."""
        if principle == "permute":
            return places.permuted(made, places.rng(seed, original, principle, attempt))
        if self.chat is None:
            raise Unfit(f"{principle} wants a model")
        answer = self.chat.ask(prompts.ask(principle, original, made), f"{principle} {seed} {original.id} {(attempt,)}")
        if principle == "choices":
            return made._replace(choices=prompts.read_options(answer, len(made.choices)))
        text = prompts.marked(answer)
        if principle == "newchoice":
            return places.joined(original, made, text, places.rng(seed, original, places.NEW, attempt))
        return made._replace(question=text if principle == "question" else f"{text} {made.question}")


class EvaluatorAgent(NamedTuple):
    """Says what is wrong with a finished draft, or None. Its question is put after the checks found nothing."""

    chat: Chat | None

    def judge(self, original: Problem, made: Draft, principles: Sequence[str], key: tuple) -> str | None:
        """Raises prompts.Unreadable or chat.NoAnswer."""
        if self.chat is None:
            return None
        answer = self.chat.ask(prompts.judge(original, made, principles), f"judge {original.id} {key}")
        return prompts.read_verdict(answer)


class Agents(NamedTuple):
    paraphraser: ParaphraserAgent
    evaluator: EvaluatorAgent


def of(paraphraser: Chat | None = None, evaluator: Chat | None = None) -> Agents:
    """The agents over these models; None: no model."""
    return Agents(ParaphraserAgent(paraphraser), EvaluatorAgent(evaluator))
