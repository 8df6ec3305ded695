"""AIME: competition problems whose answer is a whole number from 0 to 999.

Two published forms: jsonl (`problem`, `expected_answer` or `answer`, perhaps a solution) and the csv of all years (`id`
such as `1983_AIME_1`, `problem`, `answer`). The csv named 1983_2024 hides two traps: twenty AIMO problems, and all of
AIME 2025, a usual test set. Its rows are checked against the years in its own name.
"""

from __future__ import annotations

import re
from typing import Any

from stages.benchmarks.rows import Reject, Row, field, text

LICENCE = "none stated"  # of the csv
_YEARS = re.compile(r"((?:19|20)\d\d)[_-]((?:19|20)\d\d)")
_SOLUTIONS = ("reference_solution", "solution")


def problem(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem. Raises Reject for rows of another contest, of years not announced, or without 0-999."""
    key = str(row.values.get("id", ""))
    if "AIMO" in key.upper():
        raise Reject(f"id: {key} is an AIMO problem, not an AIME one")
    span, year = _YEARS.search(row.file), re.match(r"(?:19|20)\d\d", key)
    if span and year and not int(span[1]) <= int(year[0]) <= int(span[2]):
        raise Reject(f"id: {key} is of {year[0]}, in a set named {span[1]} to {span[2]}; it may be someone's test set")
    answer = str(field(row, "expected_answer", "answer")).strip()
    if not re.fullmatch(r"0*[0-9]{1,3}", answer, re.ASCII):
        raise Reject(f"answer: must be a whole number from 0 to 999, found {answer!r}")
    fields: dict[str, Any] = {
        "question": text(row, "problem"), "answer": str(int(answer)), "answer_type": "integer",
    }  # fmt: skip
    solution = next((row.values[name] for name in _SOLUTIONS if row.values.get(name)), None)
    if isinstance(solution, str):
        fields["steps"] = [{"text": line.strip()} for line in solution.split("\n") if line.strip()]
    if "expected_answer" in row.values:  # the jsonl of NVIDIA NeMo-Skills
        fields["licence"] = "Apache-2.0"
    if key:
        fields["key"] = re.sub(r"\d+$", lambda digits: digits[0].zfill(2), key)
    return fields
