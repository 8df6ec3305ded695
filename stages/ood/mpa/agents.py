"""Who rewrites and who judges: two agents, each with a model behind it or with the rules alone.

`of(None)` gives the rules' agents, `of(chat)` a model's. Permuting is code for both: a model is not needed to shuffle.
The judge always sees the composed item and its answer (the published pipeline merges two branches unseen).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from stages.lib.chat import Chat
from stages.lib.records import Problem
from stages.ood.mpa import normal, places, prompts, rules
from stages.ood.mpa.principles import LETTERS, Draft
from stages.ood.mpa.stock import Pool

RULES = "rules"


class ParaphraserAgent(NamedTuple):
    """Applies one principle to a draft: by the model, or by the rules where there is none."""

    chat: Chat | None

    def name(self) -> str | dict:
        """`rules`, or what identifies the model and its settings; not where it is served."""
        if self.chat is None:
            return RULES
        return {name: value for name, value in self.chat.identity.items() if name != "base_url"}

    def apply(self, principle: str, original: Problem, made: Draft, pool: Pool, key: tuple) -> Draft:
        """The next draft. Raises Unfit, prompts.Unreadable or chat.NoAnswer. `key` makes the draw: seed, item, try."""
        draw = places.rng(pool.seed, original, principle, *key)
        if principle == "newchoice":
            new = self._new_option(original, made, pool, draw, key)
            return places.joined(original, made, new, places.rng(pool.seed, original, places.NEW, *key))
        if self.chat is None or principle == "permute":
            return rules.APPLY[principle](original, made, draw, pool)
        answer = self._asked(principle, original, made, pool, key)
        if principle == "choices":
            return made._replace(choices=prompts.read_options(answer, len(made.choices)))
        text = prompts.marked(answer)
        return made._replace(question=text if principle == "question" else f"{text} {made.question}")

    def _new_option(self, original: Problem, made: Draft, pool: Pool, draw: Random, key: tuple) -> str:
        if self.chat is None:
            return rules.new_option(original, made, draw, pool)
        return prompts.marked(self._asked("newchoice", original, made, pool, key))

    def _asked(self, principle: str, original: Problem, made: Draft, pool: Pool, key: tuple) -> str:
        return self.chat.ask(prompts.ask(principle, original, made), f"{principle} {pool.seed} {original.id} {key}")


class EvaluatorAgent(NamedTuple):
    """Says what is wrong with a finished draft, or None. Its question is put after the checks found nothing."""

    chat: Chat | None

    def judge(self, original: Problem, made: Draft, principles: Sequence[str], key: tuple) -> str | None:
        """Raises prompts.Unreadable or chat.NoAnswer."""
        if self.chat is not None:
            answer = self.chat.ask(prompts.judge(original, made, principles), f"judge {original.id} {key}")
            return prompts.read_verdict(answer)
        if "context" in principles:
            said = normal.context_of(original.question, made.question)
            if said is None:
                return "the question does not say the same"
            if not said:
                return "no context was added"
        elif not normal.same(original.question, made.question):
            return "the question does not say the same"
        for text, index in zip(made.choices, made.origin, strict=True):
            if index is not None and normal.option(text) != normal.option(original.choices[index]):
                return f"an option does not say the same ({text[:40]!r})"
        if original.choices and normal.option(made.choices[LETTERS.index(made.answer)]) != normal.option(
            original.choices[LETTERS.index(original.answer)]
        ):
            return "the answer points to another option"
        return None


class Agents(NamedTuple):
    paraphraser: ParaphraserAgent
    evaluator: EvaluatorAgent


def of(paraphraser: Chat | None = None, evaluator: Chat | None = None) -> Agents:
    """The agents over these models; None stands for the rules."""
    return Agents(ParaphraserAgent(paraphraser), EvaluatorAgent(evaluator))
