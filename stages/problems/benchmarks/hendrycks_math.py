"""MATH and MATH-500: competition mathematics with LaTeX answers (Hendrycks et al. 2021, arXiv 2103.03874).

Format: MATH-500 rows have `problem`, `solution`, `answer`, `subject`, `level`, `unique_id`; rows of the full set have
`problem`, `solution`, `level` ("Level 5"), `type`, and the answer only as the last `\\boxed{}` of the solution. A file with
`problem` and `answer` alone is enough to evaluate on.
Steps: the lines of the solution. Difficulty: the level.
Rejected: rows without an answer.
Licence: MIT.
Source: github.com/hendrycks/math; MATH-500 from github.com/openai/prm800k.
"""

from __future__ import annotations

import re
from typing import Any

from stages.problems.benchmarks.rows import Reject, Row, get_field, get_optional, get_text, split_lines

LICENCE = "MIT"


def parse_row(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem. Raises Reject for a row without an answer."""
    solution = str(get_optional(row, "solution") or "")
    answer = str(get_optional(row, "answer") or "").strip() or extract_boxed(solution)
    if not answer:
        get_field(row, "answer", "solution")
        raise Reject("answer: there is none, and no \\boxed{} in the solution")
    fields: dict[str, Any] = {"question": get_text(row, "problem"), "answer": answer, "answer_type": "latex"}
    if lines := split_lines(solution):
        fields["steps"] = [{"text": line} for line in lines]
    if level := re.search(r"[1-5]", str(get_optional(row, "level"))):  # three rows of the full set say `Level ?`
        fields["difficulty"] = float(level[0])
    if "unique_id" in row.values:  # test/precalculus/807.json
        fields["key"] = get_text(row, "unique_id").removesuffix(".json").partition("/")[2]
    return fields


def extract_boxed(solution: str) -> str | None:
    """The content of the last `\\boxed{...}` (or `\\fbox{...}`, `\\boxed 5`), braces matched; None if there is none."""
    starts = list(re.finditer(r"\\(?:boxed|fbox)\s*", solution))
    if not starts:
        return None
    rest, depth = solution[starts[-1].end() :], 0
    if not rest.startswith("{"):
        return rest.split("$")[0].strip() or None
    for i, character in enumerate(rest):
        if character in "{}" and rest[i - 1 : i] != "\\":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return rest[1:i].strip() or None
    return None
