"""Model-graded templates: a prompt with fields, choices with their scores, and how the model is to answer.

A template is a YAML file; those in templates/ are named by their stem, others by their path:

    prompt: |
      Question: {question} ...      # {field}: filled in from a row
    choices: {"Yes": 1.0, "No": 0.0}  # what the model may answer, and the score of it
    answer: reason_then_classify    # or classify, classify_then_reason
    pairwise: false                 # true: choices score as verdicts, 1 first, 2 second, 0 tie

The grade is the last line of the answer that is one of the choices, without punctuation around it; where reasons follow the
choice, the first such line (another choice may stand alone in them). Anything else, and an answer that was cut off, has no
grade: it is counted apart and never scored (openai/evals issue 424 found the choice A in "Answer"; issue 1712 gave
unreadable answers the lowest score). The idea is that of openai/evals, `modelgraded/classify`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError, model_validator

from stages.lib.chat import Chat, NoAnswerError, Progress
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params, read_yaml, to_plain
from stages.lib.core.records import explain_error
from stages.lib.grading.replies import strip_thinking

FOLDER = Path(__file__).parent / "templates"
PUNCTUATION = string.punctuation + string.whitespace + "“”‘’«»。、"
_FIELD = re.compile(r"\{(\w+)\}")


class Template(Params):
    prompt: str = Field(min_length=1)  # text with {field}s
    choices: dict[str, Annotated[float, Field(ge=0)]] = Field(min_length=2)  # answer -> score
    answer: Literal["classify", "reason_then_classify", "classify_then_reason"]
    pairwise: bool = False  # choices score as verdicts

    @model_validator(mode="after")
    def _check(self) -> Template:
        for choice in self.choices:
            if not choice or choice != choice.strip(PUNCTUATION) or "\n" in choice:
                raise ValueError(f"choices: {choice!r} must be one line without punctuation at its ends")
        if not self.fields:
            raise ValueError("prompt: names no {field}, so every row would get the same grade")
        if self.pairwise and ({"first", "second"} - {*self.fields} or {*self.choices.values()} - {0, 1, 2}):
            raise ValueError("pairwise: the prompt needs {first} and {second}, and the choices must score 0, 1 or 2")
        return self

    @property
    def fields(self) -> list[str]:
        """Names of the fields, in their order, each once."""
        return list(dict.fromkeys(_FIELD.findall(self.prompt)))

    def render(self, row: Mapping[str, Any]) -> str:
        """The prompt with a row's values. Braces in a value stay as they are. Raises KeyError for a missing field."""
        choices = ", ".join(self.choices)
        end = {
            "classify": f"Answer with one of these and nothing else: {choices}.",
            "reason_then_classify": f"First reason step by step. Then write, alone on the last line, one of: {choices}.",
            "classify_then_reason": f"Write one of these alone on the first line: {choices}. Then give your reasons.",
        }[self.answer]
        return f"{_FIELD.sub(lambda match: str(row[match[1]]), self.prompt).rstrip()}\n\n{end}"

    def parse(self, answer: str) -> str | None:
        """The choice of an answer, None where it has none."""
        lines = (strip_thinking(answer) or "").splitlines()
        for line in lines if self.answer == "classify_then_reason" else reversed(lines):
            if (choice := line.strip(PUNCTUATION)) in self.choices:
                return choice
        return None


class Grade(NamedTuple):
    """choice and score are None where the answer could not be read; raw: the answer, or why there is none."""

    choice: str | None
    score: float | None
    raw: str


def list_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> Template:
    """A template by name or path. Raises UserError for a file that is none."""
    path = FOLDER / f"{name}.yaml" if name in list_names() else Path(name)
    if not path.is_file():
        raise UserError(f"template {name!r}: not found; name a YAML file, or one of {', '.join(list_names())}")
    document = to_plain(read_yaml(path))
    try:
        return Template.model_validate(document)
    except ValidationError as error:
        raise UserError(f"{path}: {explain_error(error)}") from None


def grade(
    template: Template, rows: Sequence[Mapping[str, Any]], chat: Chat, key: str, progress: Progress | None = None
) -> list[Grade]:
    """The model's grade of every row, in order. key: part of every request; another key asks again."""
    requests = [(template.render(row), key) for row in rows]
    grades = []
    for request, answer in zip(requests, chat.ask_many(requests, progress), strict=True):
        if isinstance(answer, NoAnswerError):
            grades.append(Grade(None, None, f"no answer: {answer}"))
            continue
        if chat.get_reply(*request).finish != "stop":
            grades.append(Grade(None, None, f"cut off: {answer}"))
            continue
        prompt, _ = request
        choice = template.parse(answer.replace(prompt, ""))  # a model that repeats the question has not answered it
        grades.append(Grade(choice, None if choice is None else template.choices[choice], answer))
    return grades


def judge_pairs(
    template: Template, rows: Sequence[Mapping[str, Any]], chat: Chat, key: str, progress: Progress | None = None
) -> tuple[list[int | None], list[int | None], list[str]]:
    """Verdicts in both orders: forward, backward (1 is what was shown first), and the answers, forward ones first.

    rows: with `first` and `second`, which the backward order swaps."""
    swapped = [{**row, "first": row["second"], "second": row["first"]} for row in rows]
    grades = grade(template, [*rows, *swapped], chat, key, progress)
    verdicts = [None if x.score is None else int(x.score) for x in grades]
    return verdicts[: len(rows)], verdicts[len(rows) :], [x.raw for x in grades]
