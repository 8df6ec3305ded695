"""DyVal's own way of scoring: the first `<<<...>>>` of a prediction, with tolerances. For comparison with its tables;
the pipeline itself compares exactly (`lib/answers.py`).

Source: Zhu et al. 2024, arXiv 2309.17167, and microsoft/promptbench. Theirs cannot read a fraction; this can.
"""

from __future__ import annotations

import re
from fractions import Fraction

_MARK = re.compile(r"<<<(.*?)>>>")
TOLERANCE = {"arithmetic": 1e-4, "max_sum_path": 1e-4, "linear_equation": 1e-3}


def marked(prediction: str) -> str:
    """What stands in the first mark, commas aside; empty if there is none."""
    found = _MARK.search(prediction.replace(",", ""))
    return found[1].strip() if found else ""


def score(task: str, prediction: str, gold: str) -> bool:
    """Whether DyVal would count a prediction, with its mark, as right."""
    said = marked(prediction)
    if task not in TOLERANCE:
        return said.lower() == gold.lower()
    if "N/A" in (said, gold):
        return said == gold
    ours = [_number(part) for part in gold.strip("()").replace(",", " ").split()]
    theirs = [_number(part) for part in said.strip("()").split()]
    return len(ours) == len(theirs) and all(
        their is not None and abs(our - their) / (abs(our) + 1e-7) < TOLERANCE[task]
        for our, their in zip(ours, theirs, strict=True)
    )


def _number(text: str) -> float | None:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
