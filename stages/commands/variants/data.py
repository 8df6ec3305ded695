"""Arms of training data and their controls of random data over training seeds, each an experiment, in tables of gains."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.commands.variants import studies
from stages.commands.variants.studies import Study
from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.display.tables import Table
    from stages.lib.reports.data_study import Outcome

COMMAND = "python -m stages variants data --run"
TARGET = "samples"  # the last stage of an experiment
Outcomes = Mapping[str, Mapping[str, Mapping[int, "Outcome"]]]  # study -> cell -> seed -> what it gave


class Experiment(NamedTuple):
    """A cell of a study with one seed."""

    study: str
    cell: str
    seed: int

    @property
    def name(self) -> str:
        return f"data-{self.study}-{self.cell}-{self.seed}"


def compare_data(names: Sequence[str], run: bool, seeds: int, out: Path | None) -> None:
    """Run and compare studies, or some of their cells with what these are compared with. Raises UserError for an unknown
    name, where nothing has run, and, after all others have run, where an experiment failed."""
    from stages.lib.core import files
    from stages.lib.display import tables, terminal
    from stages.lib.workspace import experiments

    selected = select_studies(studies.load_studies(), names)
    cells = list_experiments(selected, seeds)
    failed = run_missing(selected, cells) if run else []
    finished = {cell for cell in cells if experiments.has_experiment(cell.name)}
    failures = {cell: reason for cell, reason in load_failures(cells).items() if cell not in finished}
    if missing := [cell.name for cell in cells if cell not in finished and cell not in failures]:
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        print(f"not run on this commit: {', '.join(missing[:4])}{more}; `{COMMAND}`", file=sys.stderr)
    outcomes: dict[str, dict[str, dict[int, Outcome]]] = {title: {} for title in selected}
    for cell in cells:
        if cell in finished:
            outcome = read_outcome(cell.name, selected[cell.study].sets)
            outcomes[cell.study].setdefault(cell.cell, {})[cell.seed] = outcome
    report, notes = tabulate_studies(selected, outcomes)
    if failures:
        report["Arms that failed"] = tabulate_failures(failures)
    if not report:
        raise UserError(f"variants data: nothing has run on this commit; `{COMMAND}`")
    terminal.print_report(report, notes)
    if out:
        files.write_text(out, tables.format_report(report, notes))
    if failed:
        raise UserError(
            f"{len(failed)} of {len(cells)} experiments failed, {failed[0].name} first, as the last table says; once that "
            f"is repaired, `{COMMAND}` tries them again"
        )


def select_studies(known: Mapping[str, Study], names: Sequence[str]) -> dict[str, Study]:
    """The studies of these names, and of the others the cells of these names; all for no name."""
    for name in names:
        if name not in known and not any(name in study.cells for study in known.values()):
            cells = "; ".join(f"{title}: {', '.join(study.cells)}" for title, study in known.items())
            raise UserError(f"variants data {name}: not in {studies.STUDIES_FILE}; there are {cells}")
    parts = {title: study if not names or title in names else study.select(names) for title, study in known.items()}
    return {title: part for title, part in parts.items() if part.cells}


def list_experiments(selected: Mapping[str, Study], seeds: int) -> list[Experiment]:
    """Seed by seed, so that a study that was stopped early has whole seeds."""
    return [
        Experiment(title, cell, seed)
        for seed in range(1, seeds + 1)
        for title, study in selected.items()
        for cell in study.cells
    ]


def run_missing(selected: Mapping[str, Study], cells: Sequence[Experiment]) -> list[Experiment]:
    """Run what has no result; those that failed. One that fails does not stop the others."""
    from stages.lib.workspace import experiments

    missing, failed = [cell for cell in cells if not experiments.has_experiment(cell.name)], []
    for place, cell in enumerate(missing, 1):
        print(f"{cell.name}: experiment {place} of {len(missing)}", file=sys.stderr, flush=True)
        changes: dict[str, Any] = {"seed": cell.seed, **selected[cell.study].cells[cell.cell]}
        try:
            experiments.run_experiment(cell.name, changes, COMMAND, TARGET)
        except experiments.ExperimentError:
            failed.append(cell)
    return failed


def load_failures(cells: Iterable[Experiment]) -> dict[Experiment, str]:
    """The reason of each that failed when it last ran."""
    from stages.lib.workspace import experiments

    reasons = experiments.load_failures()
    return {cell: reasons[cell.name] for cell in cells if cell.name in reasons}


def read_outcome(name: str, sets: Sequence[str]) -> Outcome:
    """What an experiment gave. Raises UserError when DVC has the experiment but no longer its results."""
    import tempfile

    import dvc.api
    from dvc.exceptions import DvcException

    from stages.lib.core import records
    from stages.lib.reports import data_study

    paths = [f"data/samples/{part}.parquet" for part in ("test", "test_greedy", "ood")]
    paths += ["data/ood/test.jsonl", "data/selection/metrics.json"]
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / path.replace("/", "-") for path in paths]
        try:
            commit = dvc.api.DVCFileSystem(rev=name)  # opened once: dvc.api.read would open it for every file
            for path, copy in zip(paths, copies, strict=True):
                commit.get_file(path, str(copy))
        except (DvcException, OSError) as error:
            advice = f"`dvc exp remove {name}` and `{COMMAND}` make it again"
            raise UserError(f"{name}: its results cannot be read ({error}); {advice}") from None
        test, greedy, ood = (records.read_samples(copy) for copy in copies[:3])
        values = data_study.measure(test, greedy, ood, records.read_problems(copies[3]), sets)
        return data_study.Outcome(values, json.loads(copies[4].read_text(encoding="utf-8")))


def tabulate_studies(selected: Mapping[str, Study], outcomes: Outcomes) -> tuple[dict[str, Table], list[str]]:
    """Of each study the arms, then the gains on each kind of random data; and how to read them."""
    from stages.lib.reports import data_study

    report: dict[str, Table] = {}
    notes: list[str] = []
    for title, study in selected.items():
        results, trained = outcomes[title], study.trained
        if not results:
            continue
        name = title.capitalize()
        report[f"{name}: what models learn from each arm"] = data_study.tabulate_arms(results, trained)
        for kind, pairs in study.compare.items():
            gains = data_study.compare_all(results, pairs)
            if gains:
                table = data_study.tabulate_gains(gains, trained)
                report[f"{name}: gain on random data of equal {kind}, in points"] = table
            told = data_study.describe_gains(gains, kind, trained)
            notes += [f"{name}. {told}", *data_study.describe_sizes(results, pairs, kind)]
        if any(cell in results for cell in trained):
            notes.append(f"{name}. {data_study.TRAINED_NOTE}")
    return report, [*notes, data_study.READING] if report else []


def tabulate_failures(failures: Mapping[Experiment, str]) -> Table:
    """A row for each cell and reason, with the seeds that it is true of."""
    seeds: dict[tuple[str, str, str], list[str]] = {}
    for (study, cell, seed), reason in failures.items():
        seeds.setdefault((study, cell, reason), []).append(str(seed))
    rows = [[cell, study, ", ".join(found), reason] for (study, cell, reason), found in seeds.items()]
    return ["arm", "study", "seeds", "reason"], rows
