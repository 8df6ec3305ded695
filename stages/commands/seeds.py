"""`python -m stages seeds`: training seeds x problem seeds, each cell a DVC experiment, summarised in tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.lib.reports.matrix import Cell as MatrixCell
    from stages.lib.reports.seeds_study import Cell

PROBLEMS_FILE, CURVES_FILE = "data/best_of_n/problems.csv", "data/best_of_n/curve.csv"


def seeds(
    training: Annotated[int, typer.Option(min=1, max=100, help="Training seeds: 1 to this number.")] = 3,
    problems: Annotated[int, typer.Option(min=1, max=100, help="Problem seeds: 1 to this number.")] = 3,
    run: Annotated[bool, typer.Option("--run", help="Run the cells without a result on this commit.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the tables to this file, as Markdown.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Also draw curves, gains and doses into this folder.")] = None,
) -> None:
    """Repeat the pipeline with other training seeds and other test problems, and compare all methods over both.

    --run makes each cell a DVC experiment, `seeds-TRAINING-PROBLEMS`, in a temporary copy of the repository; the workspace
    does not change. A model is trained once for all problem seeds. Killed and called again, it goes on where it was.
    """
    from stages.lib.core import files
    from stages.lib.display import tables, terminal
    from stages.lib.reports import problem_accuracies, seeds_matrix, seeds_study
    from stages.lib.workspace import experiments

    if out:
        files.check_output("--out", out)
    if pictures:
        files.check_output("--pictures", pictures / "curves.png")
    cells = [(t, p) for t in range(1, training + 1) for p in range(1, problems + 1)]
    if run:
        for t, p in cells:
            if not experiments.has_experiment(name_cell((t, p))):
                command = f"python -m stages seeds --training {training} --problems {problems} --run"
                experiments.run_experiment(name_cell((t, p)), {"seed": t, "test_seed": p}, command)
    missing = [cell for cell in cells if not experiments.has_experiment(name_cell(cell))]
    if missing:
        names = ", ".join(map(name_cell, missing))
        print(f"not run on this commit: {names}; `python -m stages seeds --run`", file=sys.stderr)
    # Tables need the same problems for every training seed: those seeds that have all problem seeds.
    trainings = [t for t in range(1, training + 1) if not any(t == cell[0] for cell in missing)]
    if not trainings:
        return
    finished = [cell for cell in cells if cell[0] in trainings]
    study = seeds_study.assemble(
        {cell: problem_accuracies.from_csv(read_result(cell, PROBLEMS_FILE)) for cell in finished}
    )
    report, notes, votes = seeds_study.tabulate(study), seeds_study.write_notes(study), study.list_verifiers()
    matrix = seeds_matrix.build_cells(study, votes) if study.is_ood.any() else []
    if matrix:
        report["Gain on majority of the weighted votes, by set"] = seeds_matrix.tabulate(matrix, votes)
        notes.append(seeds_matrix.write_note(matrix))
    terminal.print_report(report, notes)
    if out:
        files.write_text(out, tables.format_report(report, notes))
    if pictures:
        draw_pictures(pictures, [read_result(cell, CURVES_FILE) for cell in finished], matrix, votes)


def name_cell(cell: Cell) -> str:
    """The name of its experiment."""
    return "seeds-{}-{}".format(*cell)


def read_result(cell: Cell, path: str) -> str:
    """The text of an output. Raises UserError when DVC has the experiment but no longer its results."""
    import dvc.api
    from dvc.exceptions import DvcException

    try:
        return dvc.api.read(path, rev=name_cell(cell))
    except (DvcException, OSError) as error:
        name = name_cell(cell)
        advice = f"`dvc exp remove {name}` and `python -m stages seeds --run` make it again"
        raise UserError(f"{name}: {path} cannot be read ({error}); {advice}") from None


def draw_pictures(folder: Path, curve_files: Sequence[str], matrix: Sequence[MatrixCell], votes: Sequence[str]) -> None:
    """curves.png, the mean of the cells' curves, from the lowest to the highest; of the matrix gains.png and doses.png."""
    from stages.lib.display import charts
    from stages.lib.reports import curves, leaderboard

    folder.mkdir(parents=True, exist_ok=True)
    means, count = curves.average(curve_files), len(curve_files)
    title = f"In distribution: mean of {count} cells, from the lowest to the highest"
    charts.plot_curves(folder / "curves.png", means, leaderboard.select_plotted_methods(means), title)
    if matrix:
        charts.plot_gains(folder / "gains.png", matrix, votes, f"Out of distribution: gain on majority, {count} cells")
        charts.plot_doses(folder / "doses.png", matrix, votes)
