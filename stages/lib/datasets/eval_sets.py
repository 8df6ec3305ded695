"""The sets of problems that samples are drawn for: in distribution (dev, test), variants (ood), competition (aime).

A set has one file of samples and one of scores. Reports divide its problems into groups: one per benchmark and operator
of stage ood, one for the seen and one for the unseen families of stage aime.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages.lib.core import records
from stages.lib.core.records import Problem
from stages.lib.run.execution import StageRun

SET_FILES = {
    "verifier": (("selection", "verifier.jsonl"),),
    "dev": (("benchmarks", "dev.jsonl"),),
    "test": (("benchmarks", "test.jsonl"),),
    "ood": (("ood", "test.jsonl"),),
    "aime": (("aime", "test.jsonl"), ("aime", "unseen.jsonl")),
}
SCORED = ("dev", "test", "ood", "aime")  # by every verifier
OOD = ("ood", "aime")  # out of distribution
MIN_PROBLEMS = 30  # a smaller group gets no row in the transfer matrix


def load_problems(run: StageRun, name: str) -> list[Problem]:
    """The problems of a set, in the order of their files."""
    return [problem for parts in SET_FILES[name] for problem in records.read_problems(run.input_path(*parts))]


def read_splits(run: StageRun, stage: str, names: Sequence[str]) -> dict[str, list[Problem]]:
    """name -> the problems of data/<stage>/<name>.jsonl."""
    return {name: records.read_problems(run.input_path(stage, f"{name}.jsonl")) for name in names}


def get_group_name(problem: Problem) -> str:
    """`gradeschool~names` for a variant, `competition/unseen` for a problem without parent."""
    return f"{problem.benchmark}~{problem.operator}" if problem.operator else f"{problem.benchmark}/{problem.split}"
