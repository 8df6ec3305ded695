"""GSM8K: grade-school word problems with worked solutions (Cobbe et al. 2021, arXiv 2110.14168).

Format: jsonl with `question` and `answer`; the answer has one step a line, with calculator annotations, and ends in
`#### 72`.
Steps: every line, the last one included; the value of a step is the result of its last annotation.
Rejected: answers that do not end in `#### number`.
Licence: MIT.
Source: github.com/openai/grade-school-math.
"""

from __future__ import annotations

from typing import Any

from stages.problems.benchmarks import calculator
from stages.problems.benchmarks.rows import Reject, Row, get_text, split_lines

LICENCE = "MIT"


def parse_row(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem. Raises Reject when the answer does not end in `#### number`."""
    question, solution = get_text(row, "question"), get_text(row, "answer")
    lines = split_lines(solution)
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
