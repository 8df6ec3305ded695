"""HumanEval: complete a Python function so that its tests pass (Chen et al. 2021, arXiv 2107.03374).

Format: jsonl with `task_id`, `prompt`, `entry_point`, `canonical_solution` (the body of the function), `test`.
Steps: none. The entry point and the test program go to Problem.tests for lib/grading/code_tests.py; nothing is run here.
Rejected: prompts that do not define the function that the tests call.
Licence: MIT.
Source: github.com/openai/human-eval.
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
