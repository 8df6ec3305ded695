"""GSM8K: grade-school word problems with worked solutions (Cobbe et al. 2021, arXiv 2110.14168).

A row is `question` and `answer`; the answer has one step a line, calculator annotations in the lines, and `#### 72`
last. Every line becomes a step, the last one included; the value of a step is the result of its last annotation.
"""

from __future__ import annotations

from typing import Any

from stages.problems.benchmarks import calculator
from stages.problems.benchmarks.rows import Reject, Row, get_text

LICENCE = "MIT"


def parse_row(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem. Raises Reject when the answer does not end in `#### number`."""
    question, solution = get_text(row, "question"), get_text(row, "answer")
    lines = [line for line in solution.split("\n") if line.strip()]
    marker, _, final = lines[-1].partition(" ")
    if marker != "####":
        raise Reject(f"answer: its last line must be `#### number`, found {lines[-1][:60]!r}")
    try:
        answer = calculator.normalize_number(final)
    except ValueError as error:
        raise Reject(f"answer: {error}") from None
    steps = [{"text": line, "value": calculator.extract_value(line)} for line in lines[:-1]]
    steps.append({"text": lines[-1], "value": answer})
    return {"question": question, "answer": answer, "answer_type": "number", "steps": steps}
