"""AIME: competition problems whose answer is an integer from 0 to 999.

Format: jsonl with `problem`, `expected_answer` or `answer`, perhaps a solution; or the csv of all years with `id` (such
as `1983_AIME_1`), `problem` or `question`, and `answer`.
Steps: the lines of the solution, if there is one.
Rejected: rows of other contests, which files name in `source`, `competition` or the file name; years outside those in the
file name. The csv named 1983_2024 contains twenty AIMO problems and all of AIME 2025, which is a usual test set.
Licence: none stated for the csv; Apache-2.0 for the jsonl of NVIDIA NeMo-Skills.
Source: Mathematical Association of America; files as collected on GitHub and the Hugging Face hub.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stages.problems.benchmarks.rows import Reject, Row, get_field, get_optional, get_text, split_lines

LICENCE = "none stated"
_YEAR_RANGE = re.compile(r"((?:19|20)\d\d)[_-]((?:19|20)\d\d)")
_OTHER_CONTESTS = re.compile(
    r"(?<![a-z])(AIMO|HMMT|HMNT|AMC|AHSME|AJHSME|USAMO|USAJMO|IMO|APMO|CMIMC|PUMAC|SMT|BMT|BRUMO|ARML|Putnam)(?![a-z])",
    re.IGNORECASE,
)
_CONTEST_COLUMNS = ("id", "source", "competition", "contest", "exam")


def parse_row(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem. Raises Reject for another contest, an unannounced year, or an answer that is not 0-999."""
    columns = {name: str(get_optional(row, name) or "") for name in _CONTEST_COLUMNS}
    for name, value in {**columns, "file": Path(row.file).name}.items():
        other = _OTHER_CONTESTS.search(value)
        if other and "AIME" not in value.upper():
            raise Reject(f"{name}: {value} is of {other[1].upper()}, not of AIME")
    key = columns["id"]
    years, year = _YEAR_RANGE.search(row.file), re.match(r"(?:19|20)\d\d", key)
    if years and year and not int(years[1]) <= int(year[0]) <= int(years[2]):
        raise Reject(
            f"id: {key} is of {year[0]}, in a set named {years[1]} to {years[2]}; it may be someone's test set"
        )
    text = str(get_field(row, "expected_answer", "answer")).strip()
    answer = re.fullmatch(r"0*([0-9]{1,3})(?:\.0+)?", text, re.ASCII)
    if not answer:
        raise Reject(f"answer: must be a whole number from 0 to 999, found {text!r}")
    fields: dict[str, Any] = {
        "question": get_text(row, "problem", "question"),
        "answer": str(int(answer[1])),
        "answer_type": "integer",
    }
    solution = get_optional(row, "reference_solution", "solution")
    if isinstance(solution, str) and (lines := split_lines(solution)):
        fields["steps"] = [{"text": line.strip()} for line in lines]
    if "expected_answer" in row.values:  # the jsonl of NVIDIA NeMo-Skills
        fields["licence"] = "Apache-2.0"
    if key:
        fields["key"] = re.sub(r"\d+$", lambda digits: digits[0].zfill(2), key)
    return fields
