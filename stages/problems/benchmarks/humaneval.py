"""HumanEval: complete a Python function so that its tests pass (Chen et al. 2021, arXiv 2107.03374).

Nothing is run here. `tests` carries the entry point and the published test program for lib/grading/code_tests.py;
`answer` is the canonical body of the function, which is what stands after the prompt.
"""

from __future__ import annotations

from typing import Any

from stages.problems.benchmarks.rows import Reject, Row, get_text

LICENCE = "MIT"


def parse_row(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem. Raises Reject when the prompt does not define the function that the tests call."""
    prompt, entry = get_text(row, "prompt"), get_text(row, "entry_point").strip()
    if f"def {entry}(" not in prompt:
        raise Reject(f"entry_point: the prompt defines no function {entry!r}")
    number = get_text(row, "task_id").rpartition("/")[2]
    return {
        "question": prompt,
        "answer": get_text(row, "canonical_solution"),
        "answer_type": "code",
        "tests": {"entry_point": entry, "test": get_text(row, "test")},
        "key": number.zfill(3),
    }
