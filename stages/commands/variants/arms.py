"""Arms of one stage over training seeds, each an experiment: which there are, which have run, and what they gave."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.lib.core import params
from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.display.tables import Table


class Arm(NamedTuple):
    """An arm with one seed. changes: the parameters that it changes; results: of its stage, None where it has not run."""

    name: str
    seed: int
    changes: Mapping[str, Any]
    results: Mapping[str, Any] | None = None


def collect_arms(stage: str, names: Sequence[str], run: bool, seeds: int) -> list[Arm]:
    """All arms of `<stage>.yaml` in this folder, or those of the names, that have run on this commit, the seeds of an arm
    together; with `run`, those that have not run do so first, seed by seed. Says which are missing. Raises UserError for a
    file of another form, an unknown name, results that DVC no longer has, and where no arm has run."""
    from stages.lib.workspace import experiments

    known = load_arms(Path(f"stages/commands/variants/{stage}.yaml"))
    command = f"python -m stages variants {stage} --run"
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"variants {stage} {unknown[0]}: not in {stage}.yaml; there are {', '.join(known)}")
    chosen = {name: known[name] for name in names or known}
    arms = [Arm(name, seed, changes) for seed in range(1, seeds + 1) for name, changes in chosen.items()]
    for arm in arms if run else ():
        if not experiments.has_experiment(name_experiment(stage, arm)):
            experiments.run_experiment(name_experiment(stage, arm), {"seed": arm.seed, **arm.changes}, command, stage)
    finished = [
        arm._replace(results=read_results(stage, arm, command))
        for arm in sorted(arms, key=lambda arm: [*chosen].index(arm.name))
        if experiments.has_experiment(name_experiment(stage, arm))
    ]
    if missing := len(arms) - len(finished):
        print(f"{missing} of {len(arms)} arms and seeds have not run on this commit; `{command}`", file=sys.stderr)
    if not finished:
        raise UserError(f"variants {stage}: no arm has run on this commit; add --run")
    return finished


def load_arms(path: Path) -> dict[str, dict[str, Any]]:
    """Name -> {parameter: value}. Raises UserError for a file of another form."""
    arms = params.to_plain(params.read_yaml(path))
    if wrong := [name for name, changes in arms.items() if not isinstance(changes, dict)]:
        raise UserError(f"{path}: {wrong[0]}: must map parameters to values; {{}}: none is changed")
    if not arms:
        raise UserError(f"{path}: holds no arm; name one, with the parameters that it changes")
    return arms


def name_experiment(stage: str, arm: Arm) -> str:
    return f"{stage}-{arm.name}-{arm.seed}"


def read_results(stage: str, arm: Arm, command: str) -> dict[str, Any]:
    """results.json of an experiment. Raises UserError when DVC has the experiment but no longer its results."""
    import dvc.api
    from dvc.exceptions import DvcException

    name, path = name_experiment(stage, arm), f"data/{stage}/results.json"
    try:
        return json.loads(dvc.api.read(path, rev=name))
    except (DvcException, OSError) as error:
        advice = f"`dvc exp remove {name}` and `{command}` make it again"
        raise UserError(f"{name}: {path} cannot be read ({error}); {advice}") from None


def show_report(report: Mapping[str, Table | None], notes: Iterable[str], out: Path | None) -> None:
    """Print the tables that there are, and write them to a file."""
    from stages.lib.core import files
    from stages.lib.display import tables, terminal

    found, said = {title: table for title, table in report.items() if table}, list(notes)
    terminal.print_report(found, said)
    if out:
        files.write_text(out, tables.format_report(found, said))
