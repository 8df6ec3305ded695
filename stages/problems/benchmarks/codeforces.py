"""Codeforces: programs that read standard input and write standard output, judged by pairs of the two.

Format: json with `input` (the statement), `output` (an accepted program, may be absent), `public_tests` and
`private_tests` (each `{"input": [...], "output": [...]}`), perhaps `index`.
Steps: none. The tests go to Problem.tests for lib/grading/code_tests.py; nothing is run here.
Rejected: rows whose tests do not pair up, or that have none.
Licence: MIT.
Source: OpenR's sample of Codeforces problems (github.com/openreasoner/openr).
"""

from __future__ import annotations

from typing import Any

from stages.lib.grading import code_tests
from stages.problems.benchmarks.rows import Reject, Row, get_field, get_text

LICENCE = "MIT"


def parse_row(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem. Raises Reject when the tests do not pair up or there are none."""
    kinds = ("public", "private")
    tests: dict[str, Any] = {kind: _parse_tests(get_field(row, f"{kind}_tests"), kind) for kind in kinds}
    if not tests["public"]["input"] and not tests["private"]["input"]:
        raise Reject("tests: there are none, so no program can be judged")
    statement = get_text(row, "input")
    # Read from the published statement, so that variants of it (with a typing error, say) are judged alike.
    tests["compared"] = code_tests.read_comparison(statement)._asdict()
    solution = row.values.get("output")
    fields = {
        "question": statement,
        "answer": solution if isinstance(solution, str) else "",
        "answer_type": "code",
        "tests": tests,
    }
    if "index" in row.values:
        fields["key"] = str(row.values["index"]).zfill(4)
    return fields


def _parse_tests(tests: Any, kind: str) -> dict[str, list[str]]:
    inputs, outputs = (tests.get(side) if isinstance(tests, dict) else None for side in ("input", "output"))
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise Reject(f"{kind}_tests: must be as many inputs as outputs")
    if not all(isinstance(side, str) for side in inputs + outputs):
        raise Reject(f"{kind}_tests: inputs and outputs must be texts")
    return {"input": inputs, "output": outputs}
