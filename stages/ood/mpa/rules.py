"""The agent without a model: rewrites from a grammar, contexts from templates, distractors by construction.

Each function takes the original, the draft so far and a keyed generator, and gives the next draft; or raises Unfit with
the reason why this principle cannot honestly be applied to this item. A new option is wrong by construction, not by
hope: of a question with one answer, another number, or another item's answer of the same kind; else both of two wrong
options at once; else the other verdict with another option's reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from random import Random

from stages.lib.records import Problem
from stages.ood.mpa import checks, places, wording
from stages.ood.mpa.distractors import new_choice
from stages.ood.mpa.options import ORDER, choices, reworded
from stages.ood.mpa.principles import Draft, Unfit, counting, draft
from stages.ood.mpa.questions import question
from stages.ood.mpa.stock import Pool

# Principle 4, context before the question.

_NAMED = re.compile(
    r"(?<![.?!] )(?<!^)(?<![A-Z][a-z] )\b([A-Z][a-z]{2,})(?= (?:has|had|is|was|buys|bought|wants|needs|makes|decides|"
    r"earns|sells|gets|eats|works|runs|plays|goes|went|and)\b)|^([A-Z][a-z]{2,})(?= (?:has|had|buys|bought|wants|makes|"
    r"decides|earns|sells|gets|eats|works|runs|plays|goes|went)\b)"
)
_NO_NAMES = """The This That There She They Each Every His Her Its And But For Two Three Four One Some All Half Monday
Tuesday Wednesday Thursday Friday Saturday Sunday Christmas Halloween Who What If"""
_NOT_NAMES = frozenset(_NO_NAMES.split())


def context(original: Problem, made: Draft, draw: Random, pool: Pool) -> Draft:
    lines = list(_contexts(original))
    for line in draw.sample(lines, len(lines)):
        if not checks.context(original, line):
            return made._replace(question=f"{line} {made.question.lstrip()}")
    raise Unfit("every context of the templates says the answer")


def _contexts(original: Problem) -> Iterable[str]:
    field = re.sub(r"\bus\b", "US", pool_name(original).replace("_", " "))
    if original.answer_type in ("number", "integer") and original.benchmark != "aime":
        names = [one or other for one, other in _NAMED.findall(original.question)]
        name = next((name for name in names if name not in _NOT_NAMES), None)
        if name:
            yield from (line.format(name=name) for line in wording.CONTEXTS["story"])
            return
    if field:
        yield from (line.format(field=field) for line in wording.CONTEXTS["field"])
    yield from wording.CONTEXTS["plain"]


def pool_name(problem: Problem) -> str:
    """The subject in an id such as mmlu/test/world_religions/0013; empty where ids name none."""
    parts = problem.id.split("/")
    return parts[2] if len(parts) == 4 and re.fullmatch(r"(?!miscellaneous)[a-z_]+", parts[2]) else ""


# Principle 5, one wrong option more: distractors.py constructs it, places.py puts it among the others.


def new_option(original: Problem, made: Draft, draw: Random, pool: Pool) -> str:
    if any(map(counting, made.choices)):
        raise Unfit("an option counts the others, so another one would change it")
    new = new_choice(original, draft(original), draw, pool)  # numbers are looked for in figures
    rewritten = made.choices != tuple(original.choices)
    return reworded(new, bool(ORDER.search(original.question)), draw) if rewritten else new


# Principle 3, the options in another order.


def permute(original: Problem, made: Draft, draw: Random, pool: Pool) -> Draft:
    return places.permuted(made, draw)


APPLY: dict[str, Callable[[Problem, Draft, Random, Pool], Draft]] = {
    "question": question, "context": context, "choices": choices, "permute": permute,
}  # fmt: skip
