"""Source `bundled`: the procedural grade-school benchmark, generated here, so that everything runs without a download.

Its splits share neither sentence templates nor stories (lib/procedural/gradeschool).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.lib.core.records import Problem
from stages.lib.procedural import gradeschool


def generate_problems(sizes: Mapping[str, int], seed: int, test_seed: int, knobs: Mapping[str, Any]) -> list[Problem]:
    """sizes[split] problems of every split; those of the test depend on test_seed alone."""
    return [
        problem
        for split, size in sizes.items()
        for problem in gradeschool.generate_problems(split, size, test_seed if split == "test" else seed, **knobs)
    ]
