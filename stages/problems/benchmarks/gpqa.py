"""GPQA: graduate-level science questions with four options (Rein et al. 2023, arXiv 2311.12022).

Format: csv with `Record ID`, `Question`, `Correct Answer`, `Incorrect Answer 1` to `3`. The correct answer has a column of
its own, so the order of options is drawn here, keyed by the record's id: adding or removing rows changes no other item.
Steps: none.
Rejected: rows with two equal options.
Licence: CC-BY-4.0.
Source: huggingface.co/datasets/Idavidrein/gpqa, gated: accept its terms first.
"""

from __future__ import annotations

from typing import Any

from stages.lib.core import seeds
from stages.problems.benchmarks.options import LETTERS
from stages.problems.benchmarks.rows import Reject, Row, get_text

LICENCE = "CC-BY-4.0"
VERSION = 1
_OPTION_COLUMNS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


def parse_row(row: Row, seed: int) -> dict[str, Any]:
    """The fields of a Problem; the answer is a letter. Raises Reject when two options read the same."""
    record = get_text(row, "Record ID").strip()
    options = [get_text(row, name).strip() for name in _OPTION_COLUMNS]
    if len(set(options)) < len(options):
        raise Reject("options: two of them read the same")
    order = seeds.rng(seed, "benchmarks", VERSION, f"gpqa/{record}", "options").sample(range(4), 4)
    return {
        "question": get_text(row, "Question").strip(),
        "choices": [options[i] for i in order],
        "answer": LETTERS[order.index(0)],
        "answer_type": "choice",
        "key": record,
    }
