"""MMLU, and its sets of the same form: options over subjects (Hendrycks et al. 2021, arXiv 2009.03300).

Published forms: one csv per subject (`question, choice0, choice1, ..., answer` with the answer as index from 0, `A, B, C,
...` for the options, or without names and with the answer as letter), the hub's table (`question`, `choices`, `answer`,
`subject`), MMLU-Pro (`options`, of any number, `answer` letter, `answer_index`, `category`, `question_id`; Wang et al.
2024, arXiv 2406.01574) and MMLU-Redux (`error_type`; Gema et al. 2024, arXiv 2406.04127), whose faulty questions are
rejected. All have the benchmark `mmlu` in their ids, then subject or category.
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
    found = [row.values[name] for name in names if name in row.values] or [
        get_field(row, "choices", "options", "choice0")
    ]
    while found and isinstance(found[-1], str) and not found[-1].strip():
        found.pop()  # a csv pads questions of fewer options with empty fields
    return options.parse_options(found)
