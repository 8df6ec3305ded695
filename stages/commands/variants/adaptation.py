"""Arms of stage adaptation over training seeds, each an experiment, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.commands.variants import arms


def compare_adaptation(names: Sequence[str], run: bool, seeds: int, out: Path | None) -> None:
    """Run and compare arms of stage adaptation. Raises UserError for an unknown arm, and where none has run."""
    from stages.lib.reports import adaptation_study

    collected = [(arm.name, arm.seed, arm.results or {}) for arm in arms.collect_arms("adaptation", names, run, seeds)]
    points = [point for arm, seed, results in collected for point in adaptation_study.make_points(arm, seed, results)]
    title = "Stage adaptation: targeted minus its controls after the last round, each seed and their mean"
    arms.show_report({title: adaptation_study.tabulate(points)}, adaptation_study.build_notes(collected, points), out)
