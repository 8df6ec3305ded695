"""`python -m stages grade FILE.jsonl`: is each prediction equal to its gold answer?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.core.records import Problem


def grade(
    file: Annotated[
        Path,
        typer.Argument(
            help='JSONL: {"gold", "pred", "answer_type"?}; answers or whole solutions. '
            'Programs with {"tests", "question"?} are run.'
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="File for the rows; default: standard output.")] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="How far numbers may differ, as a share of the larger one; 0 is exact.")
    ] = 0.0,
) -> None:
    """Add `equal` and `extracted` (the answer found in `pred`) to every row; print the accuracy on standard error.

    If a row has `tests` in the format of a problem, its program is run, and `equal` says whether it passes.
    """
    from stages.lib.core import files

    if out:
        files.check_output("--out", out, inputs=[file])
    pairs = list(read_rows(file))
    if not pairs:
        raise UserError(f"{file}: no rows; each line is one prediction with its gold answer")
    rows = grade_rows(pairs, file, tolerance)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    content = text.encode("utf-8", "backslashreplace")  # a lone surrogate has no UTF-8 form
    if out:
        files.write_bytes(out, content)
    else:
        sys.stdout.buffer.write(content)  # JSON is UTF-8, whatever the terminal is
        sys.stdout.flush()
    print(summarize(rows), file=sys.stderr)


def read_rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file to grade. Raises UserError `file:line: reason` at the first that is malformed."""
    from stages.lib.core.records import iter_jsonl
    from stages.lib.grading import answers, code_tests

    for line_number, row in iter_jsonl(file):
        at = f"{file}:{line_number}"
        for key, allowed in (("gold", str), ("pred", str | None)):
            if key not in row:
                raise UserError(f"{at}: `{key}` is missing")
            if not isinstance(row[key], allowed):
                raise UserError(f"{at}: `{key}` must be a string, got {row[key]!r:.60}")
        if row.get("answer_type") not in (None, *answers.TYPES):
            types = ", ".join(answers.TYPES)
            raise UserError(f"{at}: `answer_type` must be one of {types}, got {row['answer_type']!r:.60}")
        if (problem := _build_problem(row, at)) and (reason := code_tests.explain_ungradable(problem)):
            raise UserError(f"{at}: {reason}")
        yield row


def grade_rows(rows: list[dict[str, Any]], file: Path = Path("rows"), tolerance: float = 0.0) -> list[dict[str, Any]]:
    """The rows with `equal` and `extracted`, in their order. The thinking in a prediction is not graded."""
    from stages.lib.grading import answers, grader
    from stages.lib.grading.replies import strip_thinking

    predictions = [None if row["pred"] is None else strip_thinking(row["pred"]) for row in rows]
    graded: dict[int, dict[str, Any]] = {}
    problems = {index: problem for index, row in enumerate(rows) if (problem := _build_problem(row, f"{file}:{index}"))}
    grades = grader.grade_ahead((problem, [predictions[index]]) for index, problem in problems.items())
    for index, (grade,) in zip(problems, grades, strict=True):
        graded[index] = {"equal": grade.correct, "extracted": grade.answer}
    for answer_type in {row.get("answer_type") for row in rows}:
        indices = [i for i, row in enumerate(rows) if i not in problems and row.get("answer_type") == answer_type]
        pairs = [(rows[index]["gold"], predictions[index]) for index in indices]
        for index, is_equal in zip(indices, answers.equal_many(pairs, answer_type, tolerance), strict=True):
            graded[index] = {"equal": is_equal, "extracted": answers.extract(predictions[index], answer_type)}
    return [row | graded[index] for index, row in enumerate(rows)]


def _build_problem(row: dict[str, Any], at: str) -> Problem | None:
    """The code problem of a row that has tests, else None."""
    from stages.lib.core.records import Problem, Source

    if row.get("answer_type") != "code" or row.get("tests") is None:
        return None
    if not isinstance(row["tests"], dict) or not isinstance(row.get("question", ""), str):
        raise UserError(f"{at}: `tests` must be an object and `question` a string, as in a problem of data/benchmarks")
    question = row.get("question") or "-"
    origin = {"benchmark": "grade", "split": "grade", "licence": "not stated", "source": Source(url=at)}
    return Problem(id=at, question=question, answer=row["gold"], answer_type="code", tests=row["tests"], **origin)


def summarize(rows: list[dict[str, Any]]) -> str:
    """One sentence: how many rows, how many equal, how many predictions without an answer."""
    equal = sum(row["equal"] for row in rows)
    unanswered = sum(row["extracted"] is None for row in rows)
    share = f" ({equal / len(rows):.2%})" if rows else ""
    return f"{len(rows)} rows: {equal} equal{share}, {unanswered} without an answer"
