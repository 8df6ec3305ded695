"""New problems in other words: a chat tells their questions again; solutions stay those of the programs.

A text that changes a number, a unit, a condition or what is asked for (`lib/rewording`), that is cut off, far longer or no
new question is not used: the problem keeps its own words. An exchanged name or a changed verb cannot be seen so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.generators.adaptation.world import normalise
from stages.lib.chat import NoAnswerError
from stages.lib.core.records import Problem
from stages.lib.grading import replies
from stages.lib.rewording.meaning import check_question
from stages.lib.rewording.text_features import tokenize

if TYPE_CHECKING:
    from stages.lib.chat import Chat

KEY = "adaptation reword 1"  # of every request; another number draws other answers
MAX_GROWTH = 2  # words of a text, as a multiple of the original's
PROMPT = """Put this problem into other words, with other sentences. Whoever reads your version must come to the same
solution by the same steps, so keep all names, numbers, units, symbols and conditions, and ask for the same thing. Do not
solve it, and add no remarks.

{question}

Give your version between <<< and >>>."""


class Rewording(NamedTuple):
    """texts: id -> the new question of a problem that has one. kept: why the others kept their words -> how many."""

    texts: dict[str, str]
    kept: dict[str, int]

    def apply(self, problem: Problem) -> Problem:
        """The problem in its new words, if it has some: no program writes that text any more."""
        text = self.texts.get(problem.id)
        return problem.model_copy(update={"question": text, "program": None}) if text else problem

    def describe(self) -> dict[str, Any]:
        """What results.json says of it."""
        return {"reworded": len(self.texts), "kept": self.kept}


def reword(
    problems: Sequence[Problem],
    chat: Chat,
    seen: Iterable[str],
    track: Callable[[Iterable[Any], int], Iterable[Any]] | None = None,
) -> Rewording:
    """Ask once for each problem, in the order of ids. seen: normalised questions that no text may repeat. Raises UserError
    for a server that refuses or is gone; a request that is not answered leaves its problem as it is."""
    ranked = sorted((p for p in problems if not (p.choices or p.tests)), key=lambda problem: problem.id)
    requests = [(PROMPT.format(question=problem.question), KEY) for problem in ranked]
    texts: dict[str, str] = {}
    kept: Counter[str] = Counter()
    taken = {*seen, *map(normalise, problems)}
    if others := len(problems) - len(ranked):
        kept["choices or tests belong to the question"] = others
    for problem, request, answer in zip(ranked, requests, chat.ask_many(requests, track), strict=True):
        if isinstance(answer, NoAnswerError):
            kept["no answer"] += 1
            continue
        is_cut = chat.get_reply(*request).finish == "length"
        text = None if is_cut else " ".join((replies.extract_delimited(answer) or "").split())
        fault = "the reply was cut off" if text is None else find_fault(problem, text, taken)
        if fault or text is None:
            kept[str(fault)] += 1
            continue
        taken.add(normalise(problem.model_copy(update={"question": text})))
        texts[problem.id] = text
    return Rewording(texts, dict(sorted(kept.items())))


def find_fault(problem: Problem, text: str, taken: set[str]) -> str | None:
    """Why a text cannot stand for the question; None: it can."""
    if not text:
        return "nothing between <<< and >>>"
    if normalise(problem.model_copy(update={"question": text})) in taken:
        return "the question is not new"
    if len(tokenize(text)) > MAX_GROWTH * len(tokenize(problem.question)):
        return "the text is far longer"
    faults = check_question(problem.question, text)
    return faults[0].partition(" (")[0] if faults else None
