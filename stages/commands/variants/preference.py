"""Arms of stage preference over training seeds, each an experiment, in tables and one picture; dev chooses among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.commands.variants import arms


def compare_preference(names: Sequence[str], run: bool, seeds: int, out: Path | None) -> None:
    """Run and compare arms of stage preference. Raises UserError for an unknown arm, and where none has run."""
    from stages.lib.reports import preference_study

    points = []
    for arm in arms.collect_arms("preference", names, run, seeds):
        teacher = arm.changes.get("preference.pairs_by")
        kind = f"pairs by {teacher}" if teacher else arm.changes.get("preference.reference", "as in params.yaml")
        points.append(preference_study.make_point(arm.name, kind, arm.seed, arm.results or {}))
    report = {
        "Arms of stage preference: mean over seeds (standard deviation)": preference_study.tabulate(points),
        "The arm that dev chooses, on test": preference_study.tabulate_choice(points),
    }
    arms.show_report(report, preference_study.build_notes(points), out)
    if out:
        preference_study.plot(out.with_suffix(".png"), points)
