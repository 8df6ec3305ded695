"""Published step labels, by people and by other systems: the forms of their rows, and which form a file has.

prm800k         every step of a path has rated completions, one of them chosen (Lightman et al. 2023, arXiv 2305.20050;
                github.com/openai/prm800k). Ratings -1, 0, 1; neutral counts as right, as in the paper. Every rated
                alternative to a step is a separate sample: it has the path's steps before it, but only its own label,
                so that shared steps count once.
math_shepherd   `input` has the tag `ки` after every step, `label` is the same text with + or - instead of every tag
                (Wang et al. 2023, arXiv 2312.08935). Hard Monte-Carlo estimates, not people's.
trl             `prompt`, `completions` (the steps) and `labels` (one for each step): the stepwise supervision of TRL's
                PRMTrainer. A prompt may be a chat; its one user message is the question. Labels may be shares in [0, 1].
                A solution that marks its answer (`The answer is`, a box, `####`) is finished, and its last label is its
                outcome; any other teaches its steps, and no end.
processbench    `label` is the first wrong step or -1 (Zheng et al. 2024, arXiv 2412.06559). Steps after the first error
                were not judged and get no label.
prmbench        `modified_process` answers `modified_question`; `error_steps` counts from 1 (Song et al. 2025, arXiv
                2501.03124; github.com/ssmisya/PRMBench). An error step that the process does not have is ignored, as in
                the published scorer. The split is the kind of error, `classification`.

Any form may be JSONL, one JSON list or Parquet (lib/core/row_files.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from stages.lib.core import row_files
from stages.lib.core.errors import UserError
from stages.lib.core.records import AnswerType, Source
from stages.lib.grading import grader
from stages.lib.labels.labelled_solution import (
    Form,
    LabelledSolution,
    MisalignedError,
    RejectedRow,
    Row,
    make_labelled,
    make_problem,
    read_rows,
    restore_heading,
)
from stages.lib.models.prompts import Prompt

STEP_TAG = "ки"
FIRST_ROWS = 20  # that say which form a file has


class _Completion(Row):
    text: str
    rating: Literal[-1, 0, 1] | None = None


class _Choice(Row):
    completions: list[_Completion] | None
    human_completion: _Completion | None = None
    chosen_completion: int | None = Field(default=None, ge=0)


class _Question(Row):
    problem: str = Field(min_length=1)
    ground_truth_answer: str | None = None


class _Path(Row):
    steps: list[_Choice] = Field(min_length=1)
    finish_reason: str


class _Prm800kRow(Row):
    question: _Question
    label: _Path


class _ShepherdRow(Row):
    input: str
    label: str
    task: str


class _ProcessBenchRow(Row):
    id: str = Field(min_length=1)
    problem: str = Field(min_length=1)
    steps: list[str] = Field(min_length=1)
    final_answer_correct: bool
    label: int = Field(ge=-1)


class _Message(Row):
    role: str
    content: str


def _to_number(label: Any) -> Any:
    return float(label) if isinstance(label, bool) else label


class _TrlRow(Row):
    prompt: str | list[_Message]
    completions: list[str] = Field(min_length=1)
    labels: list[Annotated[float, BeforeValidator(_to_number), Field(ge=0, le=1)]]


class _PrmBenchRow(Row):
    idx: str = Field(min_length=1)
    classification: str = Field(min_length=1)
    modified_question: str
    modified_process: list[str] = Field(min_length=1)
    error_steps: list[int]


def _convert_prm800k(row: Any, number: int, source: Source, prompt: Prompt) -> Iterator[LabelledSolution]:
    if row.label.finish_reason == "bad_problem":
        raise MisalignedError("its labeller found the problem itself to be bad")
    path: list[_Completion] = []
    alternatives: list[list[_Completion]] = []  # each with the steps before it
    ended = False
    for place, step in enumerate(row.label.steps):
        completions, chosen = step.completions or [], step.chosen_completion
        if ended and (completions or step.human_completion):
            raise MisalignedError(f"step {place - 1} chooses no completion, but the path goes on")
        if chosen is not None and chosen >= len(completions):
            raise MisalignedError(f"step {place} chooses completion {chosen} of {len(completions)}")
        ended = chosen is None and not step.human_completion
        following = completions[chosen or 0] if completions and (ended or chosen is not None) else step.human_completion
        alternatives += [[*path, other] for other in completions if other is not following and other.rating is not None]
        if following:
            path.append(following)
    if not path:
        raise MisalignedError("no step was proposed")
    problem = make_problem(
        f"prm800k/train/{number:06d}",
        row.question.problem,
        row.question.ground_truth_answer or "",
        "latex",
        "MIT",
        source,
    )
    is_solved = row.label.finish_reason == "solution"
    for index, steps in enumerate([path, *alternatives]):
        labels = [None if step.rating is None else step.rating >= 0 for step in steps]
        if index:
            labels[:-1] = [None] * (len(steps) - 1)
        texts = [step.text for step in steps]
        yield make_labelled(prompt, problem, index, texts, labels, "human", finished=is_solved and not index)


def _convert_shepherd(row: Any, number: int, source: Source, prompt: Prompt) -> Iterator[LabelledSolution]:
    parts = row.input.split(STEP_TAG)
    if len(parts) == 1:
        raise MisalignedError(f"no tag {STEP_TAG!r} in its input")
    if parts[-1].strip():
        raise MisalignedError(f"text after the last tag: {parts[-1].strip()[:40]!r}")
    labels, at = [], 0
    for part in parts[:-1]:
        sign = row.label[at + len(part) : at + len(part) + 1]
        if row.label[at : at + len(part)] != part or sign not in ("+", "-"):
            raise MisalignedError(f"label {len(labels) + 1} is not the input with + or - in place of {STEP_TAG!r}")
        labels.append(sign == "+")
        at += len(part) + 1
    if row.label[at:] != parts[-1]:
        raise MisalignedError("its label goes on after the last tag")
    question, mark, first = parts[0].partition("Step 1:")
    if not mark:
        raise MisalignedError("a tag stands before `Step 1:`, or there is none")
    if "Step 1:" in first:
        raise MisalignedError("`Step 1:` stands twice before its first tag: where its question ends cannot be told")
    steps = [mark + first, *(part.lstrip() for part in parts[1:-1])]
    for place, step in enumerate(steps, 1):
        if (marks := re.findall(r"(?:^|\n)Step (\d+):", step)) != [str(place)]:
            raise MisalignedError(f"tag {place} closes the steps {marks}, not step {place} alone")
    kind: AnswerType = "number" if row.task == "GSM8K" else "latex"
    problem = make_problem(f"math_shepherd/train/{number:06d}", question.strip(), "", kind, "MIT", source)
    yield make_labelled(prompt, problem, 0, steps, labels, "mc_hard", finished=True, correct=labels[-1])


def _convert_processbench(row: Any, number: int, source: Source, prompt: Prompt) -> Iterator[LabelledSolution]:
    if row.label >= len(row.steps):
        raise MisalignedError(f"its first wrong step is {row.label}, but it has {len(row.steps)} steps")
    if row.label == -1 and not row.final_answer_correct:
        raise MisalignedError("its final answer is wrong, but no step")
    subset = row.id.rpartition("-")[0] or "all"
    kind: AnswerType = "number" if subset == "gsm8k" else "latex"
    problem = make_problem(f"processbench/{subset}/{row.id}", row.problem, "", kind, "not stated", source)
    labels: list[bool | None] = [True] * len(row.steps)
    if row.label >= 0:
        labels[row.label :] = [False] + [None] * (len(row.steps) - row.label - 1)  # later steps were not judged
    correct = row.final_answer_correct
    solution = make_labelled(prompt, problem, 0, row.steps, labels, "human", finished=True, correct=correct)
    yield solution._replace(row_id=row.id)


def _convert_trl(row: Any, number: int, source: Source, prompt: Prompt) -> Iterator[LabelledSolution]:
    if len(row.labels) != len(row.completions):
        raise MisalignedError(f"it has {len(row.completions)} completions, but {len(row.labels)} labels")
    question = row.prompt
    if not isinstance(question, str):
        turns = [message for message in question if message.role != "system"]
        if [message.role for message in turns] != ["user"]:
            roles = ", ".join(message.role for message in question) or "none"
            raise MisalignedError(f"its prompt must have one user message (and system messages), not: {roles}")
        question = turns[0].content
    problem = make_problem(f"trl/train/{number:06d}", question.strip(), "", "latex", "not stated", source)
    is_finished = grader.extract(problem, restore_heading("\n".join(row.completions)), marked=True) is not None
    correct = {0: False, 1: True}.get(row.labels[-1]) if is_finished else None
    yield make_labelled(prompt, problem, 0, row.completions, row.labels, "imported", is_finished, correct)


def _convert_prmbench(row: Any, number: int, source: Source, prompt: Prompt) -> Iterator[LabelledSolution]:
    kind, steps = row.classification.replace("/", "_"), row.modified_process
    problem = make_problem(f"prmbench/{kind}/{row.idx}", row.modified_question, "", "latex", "Apache-2.0", source)
    labels = [step not in row.error_steps for step in range(1, len(steps) + 1)]
    solution = make_labelled(prompt, problem, 0, steps, labels, "human", finished=True)
    yield solution._replace(row_id=f"{row.classification}_{row.idx}")


TRAINING_FORMS = {  # that a process verifier can be trained on
    "prm800k": Form(_Prm800kRow, _convert_prm800k),
    "math_shepherd": Form(_ShepherdRow, _convert_shepherd),
    "trl": Form(_TrlRow, _convert_trl),
}
FORMS = TRAINING_FORMS | {
    "processbench": Form(_ProcessBenchRow, _convert_processbench),
    "prmbench": Form(_PrmBenchRow, _convert_prmbench),
}


def read(form: str, path: Path, prompt: Prompt | None = None) -> Iterator[LabelledSolution | RejectedRow]:
    """The solutions of a file of this form. Raises UserError for a file that cannot be read to its end."""
    return read_rows(path, FORMS[form], prompt)


def recognise(path: Path) -> str:
    """Which of TRAINING_FORMS a file has, by the columns of its first rows. Raises UserError for none."""
    columns = {
        form: [name for name, field in row.model_fields.items() if field.is_required()]
        for form, (row, _) in TRAINING_FORMS.items()
    }
    first: Any = None
    for number, row in islice(row_files.iter_rows(path), FIRST_ROWS):
        for form, names in columns.items():
            if isinstance(row, dict) and row.keys() >= set(names):
                return form
        first = first or (number, list(row) if isinstance(row, dict) else type(row).__name__)
    if not first:
        raise UserError(f"{path}: the file has no rows")
    allowed = "; ".join(f"{form} ({', '.join(names)})" for form, names in columns.items())
    raise UserError(f"{path}: row {first[0]} has {first[1]}, which is no form of step labels; allowed: {allowed}")
