"""Arms of stage preference over training seeds, each an experiment, in one table and one picture."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from stages.lib.core import params
from stages.lib.core.errors import UserError

PREFERENCE_FILE = Path("stages/commands/variants/preference.yaml")
PREFERENCE_RESULTS = "data/preference/results.json"


def compare_preference(names: Sequence[str], run: bool, seeds: int, out: Path | None) -> None:
    """Run and compare arms of stage preference. Raises UserError for an unknown arm, and where none has run."""
    import dvc.api

    from stages.lib.core import files
    from stages.lib.display import tables, terminal
    from stages.lib.reports import preference_study
    from stages.lib.workspace import experiments

    known = params.to_plain(params.read_yaml(PREFERENCE_FILE))
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"variants preference {unknown[0]}: not in {PREFERENCE_FILE}; there are {', '.join(known)}")
    arms = {name: known[name] for name in names or known}
    cells = [(f"preference-{arm}-{seed}", arm, seed) for seed in range(1, seeds + 1) for arm in arms]
    for name, arm, seed in cells if run else ():
        if not experiments.has_experiment(name):
            changes = {"seed": seed, **arms[arm]}
            experiments.run_experiment(name, changes, "python -m stages variants preference --run", "preference")
    points = []
    for name, arm, seed in cells:
        if experiments.has_experiment(name):
            teacher = arms[arm].get("preference.pairs_by")
            kind = f"pairs by {teacher}" if teacher else arms[arm]["preference.reference"]
            results = json.loads(dvc.api.read(PREFERENCE_RESULTS, rev=name))
            points.append(preference_study.make_point(arm, kind, seed, results))
    if missing := len(cells) - len(points):
        told = f"{missing} of {len(cells)} arms and seeds have not run on this commit"
        print(f"{told}; `python -m stages variants preference --run`", file=sys.stderr)
    if not points:
        raise UserError("variants preference: no arm has run on this commit; add --run")
    table = preference_study.tabulate(points)
    terminal.print_report({"Arms of stage preference: mean over seeds (standard deviation)": table})
    if out:
        files.write_text(out, tables.format_markdown(*table))
        preference_study.plot(out.with_suffix(".png"), points)
