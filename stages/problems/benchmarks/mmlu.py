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
from stages.problems.benchmarks.rows import Reject, Row, field, optional, text

LICENCE = "MIT"
HEADER = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]


def problem(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem; the answer is a letter. Raises Reject when options or answer are not usable."""
    fault = str(optional(row, "error_type") or "ok").strip().lower()
    if fault != "ok":
        corrected = optional(row, "correct_answer")
        raise Reject(f"error_type: {fault}" + (f" (correct_answer: {corrected})" if corrected else ""))
    choices = _choices(row)
    answer = options.letter(field(row, "answer"), len(choices))
    index = optional(row, "answer_index")
    if index not in (None, "") and options.letter(index, len(choices)) != answer:
        raise Reject(f"answer: is {answer}, but answer_index is {index}")
    subject = str(optional(row, "subject", "category") or re.sub(r"_(test|dev|val)\..*$", "", Path(row.file).name))
    number = optional(row, "question_id")
    return {
        "question": text(row, "question"), "choices": choices, "answer": answer, "answer_type": "choice",
        "key": f"{subject}/{row.key.split('/')[-1] if number in (None, '') else number}",
    }  # fmt: skip


def _choices(row: Row) -> list[str]:
    for name in ("choices", "options"):
        if name in row.values:
            return options.read(row.values[name])
    numbered = [f"choice{i}" for i in range(len(options.LETTERS))]
    names = list(options.LETTERS) if "A" in row.values else numbered
    found = [row.values[name] for name in names if name in row.values] or [field(row, "choices", "options", "choice0")]
    while found and isinstance(found[-1], str) and not found[-1].strip():
        found.pop()  # a csv pads questions of fewer options with empty fields
    return options.read(found)
