"""`python -m stages processbench FILES`: where does a process verifier see the first error of published solutions?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.lib.errors import UserError

if TYPE_CHECKING:
    from stages.lib.first_error import Case
    from stages.lib.public_prms import PublicPRM
    from stages.lib.stepwise import StepVerifier

FORMS = ("assay", "classes", "words", "separator")


def processbench(
    files: Annotated[list[Path], typer.Argument(help="Files of ProcessBench, one a subset.")],
    model: Annotated[Path, typer.Option(help="Folder of a process verifier.")] = Path("data/prm/model"),
    form: Annotated[str, typer.Option(help=f"Its kind: {', '.join(FORMS)} (stages/lib/public_prms.py).")] = "assay",
    threshold: Annotated[float | None, typer.Option(help="Step scores below it are errors.")] = None,
    dev: Annotated[
        Path | None, typer.Option(help="ProcessBench file to choose the threshold on; none of FILES.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="where to write the figures as JSON")] = None,
) -> None:
    """F1 of the first wrong step by ProcessBench's definition: for each file and their mean.

    The threshold is never chosen on what is reported: it is given, or chosen on another file (--dev), or the one that
    stage best_of_n chose on the pipeline's dev set.
    """
    import json

    from stages.lib import charts, first_error
    from stages.lib import files as written

    if dev and threshold is not None:
        raise UserError("processbench: --threshold and --dev exclude each other; give one of them")
    if dev and dev.resolve() in {file.resolve() for file in files}:
        raise UserError(f"processbench --dev {dev}: is also reported; choose the threshold on another file")
    verifier = loaded(model, form)
    if dev:
        threshold = first_error.threshold(*zip(*cases(verifier, dev)[0], strict=True))
    elif threshold is None:
        threshold = recorded(Path("data/best_of_n/metrics.json"))
    found = {file.stem: figures(verifier, file, threshold) for file in files}
    known = [each["f1"] for each in found.values() if each["f1"] is not None]
    mean = sum(known) / len(known) if known else None
    header = ("subset", "solutions", "left out", "error %", "correct %", "F1 %")
    rows = [[name, *(str(each[key]) for key in ("solutions", "left_out")),
             *(percent(each[key]) for key in ("error", "correct", "f1"))] for name, each in found.items()]  # fmt: skip
    charts.show(
        f"First wrong step, threshold {threshold:.4g}", header, [*rows, ["mean", "", "", "", "", percent(mean)]]
    )
    if out:
        written.write_text(out, json.dumps({"threshold": threshold, "subsets": found, "f1": mean}, indent=2) + "\n")


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def loaded(model: Path, form: str) -> StepVerifier | PublicPRM:
    """The process verifier of a folder. Raises UserError for an unknown form, or a folder without one."""
    from stages.lib import public_prms
    from stages.lib.stepwise import StepVerifier

    if form not in FORMS:
        raise UserError(f"processbench --form {form}: must be one of {', '.join(FORMS)}")
    if form != "assay":
        return public_prms.load(form, model, model.name)
    if not (model / "verifier.json").is_file():
        raise UserError(f"{model}: no verifier.json; run `dvc repro prm`, or name a public model's --form")
    return StepVerifier.load(model)


def cases(verifier: StepVerifier | PublicPRM, file: Path) -> tuple[list[Case], int]:
    """The scores of each solution's steps and its first wrong step, and how many solutions were left out: rows that do
    not fit, and solutions longer than the model can read. Raises UserError when none is left."""
    from rich.console import Console
    from rich.progress import track

    from stages.lib.encoding import steps_of
    from stages.lib.human_labels import read_processbench

    rows, rejected = read_processbench(file)
    found, left_out, console = [], len(rejected), Console(stderr=True)
    for row in track(rows, file.stem, console=console, transient=True, disable=not console.is_terminal):
        if verifier.length(row.problem, row.sample) > verifier.model.config.max_position_embeddings:
            left_out += 1
            continue
        steps = verifier.step_scores(row.problem, [row.sample])[0][: len(steps_of(row.sample.text))]
        found.append((steps, next((label.step for label in row.labels if not label.value), -1)))
    if not found:
        raise UserError(f"{file}: no solution that {verifier.name} can read; {left_out} were left out")
    return found, left_out


def figures(verifier: StepVerifier | PublicPRM, file: Path, threshold: float) -> dict[str, float | int | None]:
    """What ProcessBench reports of a subset, and how many solutions it rests on."""
    from stages.lib import first_error

    found, left_out = cases(verifier, file)
    guesses = [first_error.located(steps, threshold) for steps, _ in found]
    f1 = first_error.f1(guesses, [place for _, place in found])
    return {"solutions": len(found), "left_out": left_out, **f1._asdict()}


def recorded(metrics: Path) -> float:
    """The threshold that stage best_of_n chose on dev. Raises UserError when there is none."""
    import json

    try:
        return float(json.loads(metrics.read_text(encoding="utf-8"))["first_error"]["threshold"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{metrics}: holds no threshold; `dvc repro` first, or give --dev FILE or --threshold"
        ) from None
