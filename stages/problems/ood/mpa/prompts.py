"""The prompts of the paraphraser and the judge, and how their answers are read: between <<< and >>>.

The paraphraser learns what must not change; the judge learns the answer and what each principle allows. The wording is
ours, not that of the paper.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stages.lib.core.records import Problem
from stages.lib.grading import replies
from stages.problems.ood.mpa.principles import DESCRIPTIONS, LETTERS, Draft

_TASK_PROMPTS = {
    "question": (
        "Say the question below in other words. Whoever answers it must need the same facts and reach the same answer. "
        "Keep every number, unit, formula, name, condition and denial, and ask for exactly the same quantity. Do not "
        "add or explain anything, and do not answer it.\n\nQuestion:\n{question}\n\n"
        "Write the new question between <<< and >>>."
    ),
    "context": (
        "Write one sentence of context that could stand before the question below. It sets the scene and changes "
        "nothing: no number, no fact that could be used, no hint at the answer ({answer}), no question, no denial.\n\n"
        "Question:\n{question}\n\nWrite only the new sentence between <<< and >>>."
    ),
    "choices": (
        "Say each option below in other words, so that each keeps exactly its meaning, its numbers and units, and no two "
        "become alike. Keep their order and letters. The right one is {letter}.\n\nQuestion:\n{question}\n\n"
        "Options:\n{options}\n\nWrite all options, one a line as `A: text`, between <<< and >>>."
    ),
    "newchoice": (
        "Write one more option for the question below. It must be wrong beyond doubt, differ from every option in "
        "meaning, be in their style, and look tempting to somebody who is unsure. The right one is {letter}.\n\n"
        "Question:\n{question}\n\nOptions:\n{options}\n\nWrite only the text of the new option between <<< and >>>."
    ),
}
_JUDGE_PROMPT = (
    "An examination item was rewritten. Decide whether the new item is still the same item. It may differ from the old "
    "one in this only: {allowed}.\n\nOld item:\n{old}\nAnswer: {old_answer}\n\nNew item:\n{new}\nAnswer: {new_answer}\n\n"
    "Go through these: the new question asks for the same quantity; no number, unit, name, condition or denial was "
    "changed, dropped or added; context, if any, neither helps nor changes anything; every old option is there with "
    "its meaning; a new option is wrong and unlike every other; the answer given is right for the new item, and the "
    "only right one. Then write <<<Yes>>> if all of this holds, else <<<No: the reason>>>."
)
_OPTION = re.compile(r"^\(?([A-Z])\)?\s*[:.)]\s*(.+?)\s*$")


class Unreadable(Exception):
    """A model's answer does not have the form that the prompt asks for."""


def build_paraphrase_prompt(principle: str, original: Problem, draft: Draft) -> str:
    """The prompt for the paraphraser."""
    key = draft.choices[LETTERS.index(draft.answer)] if draft.choices else draft.answer
    return _TASK_PROMPTS[principle].format(
        question=draft.question, options=_format_options(draft.choices), letter=draft.answer, answer=key
    )


def build_judge_prompt(original: Problem, draft: Draft, principles: Sequence[str]) -> str:
    """The prompt for the judge: both items and both answers."""
    old = "\n".join(filter(None, [original.question, _format_options(original.choices or ())]))
    new = "\n".join(filter(None, [draft.question, _format_options(draft.choices)]))
    allowed = "; ".join(DESCRIPTIONS[name] for name in principles)
    return _JUDGE_PROMPT.format(allowed=allowed, old=old, old_answer=original.answer, new=new, new_answer=draft.answer)


def _format_options(choices: Sequence[str]) -> str:
    return "\n".join(f"{letter}: {choice}" for letter, choice in zip(LETTERS, choices, strict=False))


def extract_marked(text: str) -> str:
    """The text between <<< and >>>. Raises Unreadable."""
    marked = replies.extract_delimited(text)
    if marked is None:
        raise Unreadable("the answer has nothing between <<< and >>> outside its thinking")
    return marked


def read_options(text: str, count: int) -> tuple[str, ...]:
    """The options of a marked answer, in order. Raises Unreadable unless all are there, lettered from A."""
    lines = [line for line in extract_marked(text).splitlines() if line.strip()]
    matches = [match for line in lines if (match := _OPTION.match(line))]
    if len(lines) != count or [match[1] for match in matches] != list(LETTERS[:count]):
        raise Unreadable(f"the answer does not list the {count} options as `A: text`")
    return tuple(match[2] for match in matches)


def read_verdict(text: str) -> str | None:
    """None for Yes, the reason for No. Raises Unreadable for anything else."""
    verdict = extract_marked(text)
    if verdict.rstrip(".").lower() == "yes":
        return None
    match = re.match(r"no\b[\s:,.;-]*(.*)", verdict, re.I | re.S)
    if not match:
        raise Unreadable("the judge says neither Yes nor No")
    return " ".join(match[1].split())[:200] or "no reason given"
