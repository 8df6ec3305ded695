"""MMLU: four options over 57 subjects (Hendrycks et al. 2021, arXiv 2009.03300).

Published forms: one csv per subject (`question, choice0..choice3, answer` with the answer as index 0-3, or without
names and with the answer as letter), and the hub's table (`question`, `choices`, `answer` 0-3, `subject`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stages.benchmarks.rows import Reject, Row, field, text

LICENCE = "MIT"
HEADER = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]
_LETTERS = "ABCD"


def problem(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem; the answer is a letter. Raises Reject when options or answer are not usable."""
    choices = row.values["choices"] if "choices" in row.values else [field(row, name) for name in HEADER[1:5]]
    if not isinstance(choices, list) or len(choices) != 4 or not all(isinstance(c, str) and c.strip() for c in choices):
        raise Reject("choices: must be four texts")
    subject = str(row.values.get("subject") or re.sub(r"_(test|dev|val)\..*$", "", Path(row.file).name))
    return {
        "question": text(row, "question"), "choices": choices, "answer": _letter(field(row, "answer")),
        "answer_type": "choice", "key": f"{subject}/{row.key.split('/')[-1]}",
    }  # fmt: skip


def _letter(answer: Any) -> str:
    answer = str(answer).strip().upper()
    if answer in ("0", "1", "2", "3"):
        return _LETTERS[int(answer)]
    if len(answer) == 1 and answer in _LETTERS:
        return answer
    raise Reject(f"answer: must be an index 0-3 or a letter A-D, found {answer!r}")
