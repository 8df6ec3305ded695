"""Arms of stage honesty over training seeds, each an experiment, in two tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.commands.variants import arms

NAMES = {
    "always_refuse": "always refuse",
    "never_refuse": "never refuse",
    "vanilla": "as it is",
    "prompt": "asked to allow N/A",
    "verifier": "silenced by the verifier",
    "r_tuning": "R-Tuning",
    "certain": "certainty-filtered",
    "shuffled": "refusals at random",
}


def compare_honesty(names: Sequence[str], run: bool, seeds: int, out: Path | None) -> None:
    """Run and compare arms of stage honesty. Raises UserError for an unknown arm, and where none has run."""
    from stages.lib.reports import honesty_study, refusals

    collected = arms.collect_arms("honesty", names, run, seeds)
    points = [point for arm in collected for point in honesty_study.make_points(arm.name, arm.seed, arm.results or {})]
    results = {
        name: [arm.results or {} for arm in collected if arm.name == name]
        for name in dict.fromkeys(arm.name for arm in collected)
    }
    judged = {name: honesty_study.sum_judgements(own) for name, own in results.items()}
    report = {
        "Arms of stage honesty, in domain: mean over seeds (standard deviation)": honesty_study.tabulate(points, NAMES),
        refusals.KINDS_TITLE: honesty_study.tabulate_transfer(results, NAMES),
    }
    arms.show_report(report, honesty_study.build_notes(points, judged), out)
