"""The corpora of the stage: problems' text as models read it, and prose, cut to one size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stages.lib.compression import documents
from stages.lib.compression.documents import Corpus
from stages.lib.models.prompts import PLAIN_TEMPLATE, Prompt
from stages.lib.training import sft

if TYPE_CHECKING:
    from stages.lib.core.records import Problem

TITLES = {
    "matched": "problems, never seen",
    "learned": "problems learned from",
    "fresh": "their siblings, never seen",
    "dyval": "random graphs",
    "prose": "prose",
}


def format_problem(problem: Problem) -> str:
    """Question and gold solution in the plain prompt, a step a line."""
    prompt = Prompt()
    return PLAIN_TEMPLATE.format(question=prompt.format_question(problem)) + prompt.join_steps(sft.get_steps(problem))


def take(texts: Iterable[str], chars: int) -> list[str]:
    """Whole texts from the first on until they hold `chars` characters; one that is longer than that alone is cut."""
    taken: list[str] = []
    for text in texts:
        if (left := chars - sum(map(len, taken))) <= 0:
            break
        taken.append(text[:chars] if len(text) > max(left, chars) else text)
    return taken


def make_corpora(sets: Mapping[str, Sequence[Problem]], prose: Path, chars: int) -> list[Corpus]:
    """One a set of problems, and prose, a text file. Raises UserError where one holds no text."""
    texts: dict[str, Iterable[str]] = {name: map(format_problem, problems) for name, problems in sets.items()}
    texts["prose"] = documents.read_corpus(prose).texts
    return [documents.make_corpus(name, take(some, chars)) for name, some in texts.items()]
