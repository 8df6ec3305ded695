"""MMLU and sets of the same form: multiple choice over subjects (Hendrycks et al. 2021, arXiv 2009.03300).

Format: one csv per subject (`question`, `choice0`, `choice1`, ... or `A`, `B`, ..., and `answer` as index from 0; or
without a header, with the answer as letter); the hub's table (`question`, `choices`, `answer`, `subject`); MMLU-Pro
(`options`, of any number, `answer` letter, `answer_index`, `category`, `question_id`; Wang et al. 2024, arXiv
2406.01574); MMLU-Redux (`error_type`; Gema et al. 2024, arXiv 2406.04127). Ids are `mmlu/`, the subject or category, the
number.
Steps: none.
Rejected: unusable options or answers, and questions that MMLU-Redux marks as faulty.
Licence: MIT.
Source: github.com/hendrycks/test.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stages.problems.benchmarks import options
from stages.problems.benchmarks.rows import Reject, Row, get_field, get_optional, get_text

LICENCE = "MIT"
HEADER = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]


def parse_row(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem; the answer is a letter. Raises Reject when options or answer are not usable."""
    fault = str(get_optional(row, "error_type") or "ok").strip().lower()
    if fault != "ok":
        corrected = get_optional(row, "correct_answer")
        raise Reject(f"error_type: {fault}" + (f" (correct_answer: {corrected})" if corrected else ""))
    choices = _read_choices(row)
    answer = options.parse_letter(get_field(row, "answer"), len(choices))
    index = get_optional(row, "answer_index")
    if index not in (None, "") and options.parse_letter(index, len(choices)) != answer:
        raise Reject(f"answer: is {answer}, but answer_index is {index}")
    subject = str(get_optional(row, "subject", "category") or re.sub(r"_(test|dev|val)\..*$", "", Path(row.file).name))
    number = get_optional(row, "question_id")
    return {
        "question": get_text(row, "question"),
        "choices": choices,
        "answer": answer,
        "answer_type": "choice",
        "key": f"{subject}/{row.key.split('/')[-1] if number in (None, '') else number}",
    }


def _read_choices(row: Row) -> list[str]:
    for name in ("choices", "options"):
        if name in row.values:
            return options.parse_options(row.values[name])
    numbered = [f"choice{i}" for i in range(len(options.LETTERS))]
    names = list(options.LETTERS) if "A" in row.values else numbered
    choices = [row.values[name] for name in names if name in row.values]
    choices = choices or [get_field(row, "choices", "options", "choice0")]
    while choices and isinstance(choices[-1], str) and not choices[-1].strip():
        choices.pop()  # a csv pads questions with fewer options by empty fields
    return options.parse_options(choices)
