"""AIME: competition problems whose answer is a whole number from 0 to 999.

Published forms: jsonl (`parse_row`, `expected_answer` or `answer`, perhaps a solution) and the csv of all years (`id` such
as `1983_AIME_1`, `parse_row` or `question`, `answer`). The csv named 1983_2024 hides two traps: twenty AIMO problems, and
all of AIME 2025, a usual test set. Its rows are checked against the years in its own name. Files that mix contests say in
`source` or `competition` whose a row is; a file that is named for another contest is one of that contest.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stages.problems.benchmarks.rows import Reject, Row, get_field, get_optional, get_text

LICENCE = "none stated"  # of the csv
_YEAR_RANGE = re.compile(r"((?:19|20)\d\d)[_-]((?:19|20)\d\d)")
_OTHER_CONTESTS = re.compile(
    r"(?<![a-z])(AIMO|HMMT|HMNT|AMC|AHSME|AJHSME|USAMO|USAJMO|IMO|APMO|CMIMC|PUMAC|SMT|BMT|BRUMO|ARML|Putnam)(?![a-z])",
    re.IGNORECASE,
)
_CONTEST_COLUMNS = ("id", "source", "competition", "contest", "exam")


def parse_row(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem. Raises Reject for rows of another contest, of years not announced, or without 0-999."""
    named = {name: str(get_optional(row, name) or "") for name in _CONTEST_COLUMNS}
    for name, value in {**named, "file": Path(row.file).name}.items():
        other = _OTHER_CONTESTS.search(value)
        if other and "AIME" not in value.upper():
            raise Reject(f"{name}: {value} is of {other[1].upper()}, not of AIME")
    key = named["id"]
    span, year = _YEAR_RANGE.search(row.file), re.match(r"(?:19|20)\d\d", key)
    if span and year and not int(span[1]) <= int(year[0]) <= int(span[2]):
        raise Reject(f"id: {key} is of {year[0]}, in a set named {span[1]} to {span[2]}; it may be someone's test set")
    written = str(get_field(row, "expected_answer", "answer")).strip()
    answer = re.fullmatch(r"0*([0-9]{1,3})(?:\.0+)?", written, re.ASCII)
    if not answer:
        raise Reject(f"answer: must be a whole number from 0 to 999, found {written!r}")
    fields: dict[str, Any] = {
        "question": get_text(row, "problem", "question"),
        "answer": str(int(answer[1])),
        "answer_type": "integer",
    }
    solution = get_optional(row, "reference_solution", "solution")
    if isinstance(solution, str) and solution.strip():
        fields["steps"] = [{"text": line.strip()} for line in solution.split("\n") if line.strip()]
    if "expected_answer" in row.values:  # the jsonl of NVIDIA NeMo-Skills
        fields["licence"] = "Apache-2.0"
    if key:
        fields["key"] = re.sub(r"\d+$", lambda digits: digits[0].zfill(2), key)
    return fields
