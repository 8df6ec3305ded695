"""`python -m stages processbench FILES`: where does a process verifier see the first error of published solutions?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stages.lib.labels.predictions import Prediction
    from stages.lib.labels.published_labels import LabelledSolution
    from stages.lib.models.prompts import Prompt
    from stages.lib.verifiers.process import ProcessVerifier
    from stages.lib.verifiers.published_models import PublicPRM

    Predictor = Callable[[Sequence[LabelledSolution]], list[Prediction]]

FORMS = ("assay", "classes", "words", "separator")
DEFAULT_MODEL = "data/prm/model"
BATCH_SIZE = 8
WINDOW_BATCHES = 8  # batches in memory, of which solutions of one length are read together; a kill costs at most these


def processbench(
    files: Annotated[list[Path], typer.Argument(help="Files of ProcessBench, one a subset.")],
    model: Annotated[
        str, typer.Option(help="Folder of a process verifier, or with --revision a hub repository.")
    ] = DEFAULT_MODEL,
    revision: Annotated[str | None, typer.Option(help="Full commit hash of a hub repository.")] = None,
    form: Annotated[
        str, typer.Option(help=f"Its kind: {', '.join(FORMS)} (lib/verifiers/published_models.py).")
    ] = "assay",
    tag: Annotated[str | None, typer.Option(help="What follows every step, if not the form's own.")] = None,
    dtype: Annotated[str, typer.Option(help="auto (bfloat16 on an accelerator), float32, bfloat16, float16")] = "auto",
    device: Annotated[
        str, typer.Option(help="auto (the accelerator, if there is one), cpu, cuda, cuda:1, ..")
    ] = "auto",
    batch: Annotated[int, typer.Option(help="Solutions in a forward pass of a published model.", min=1)] = BATCH_SIZE,
    predictions: Annotated[
        Path | None,
        typer.Option(help="In place of a model: JSONL of {id, scores} or {id, first_error}, from 0, -1 for none."),
    ] = None,
    save: Annotated[Path | None, typer.Option(help="JSONL of the step scores, which --predictions reads.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Step scores below it are errors.")] = None,
    dev: Annotated[
        Path | None, typer.Option(help="ProcessBench file to choose the threshold on; none of FILES.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="where to write the figures as JSON")] = None,
) -> None:
    """F1 of the first wrong step by ProcessBench's definition, for each file, and their mean.

    F1 is the harmonic mean of two accuracies: on solutions with an error and on those without. The threshold is never
    chosen on what is reported: it is given, or chosen on another file (--dev), or for the pipeline's own verifier the one
    that stage best_of_n chose on dev. Step scores are kept as they come, so a run that was killed goes on where it was.
    """
    import json
    import math
    import sys
    from functools import partial

    from stages.lib.core import files as written
    from stages.lib.display import tables
    from stages.lib.labels import first_error
    from stages.lib.labels.predictions import Predictions, ScoreCache
    from stages.lib.models.prompts import Prompt

    given = {
        "model": model != DEFAULT_MODEL,
        "revision": revision,
        "form": form != "assay",
        "tag": tag is not None,
        "save": save,
        "dtype": dtype != "auto",
        "device": device != "auto",
        "batch": batch != BATCH_SIZE,
    }
    if predictions and (ignored := next((name for name, so in given.items() if so), None)):
        raise UserError(
            f"processbench: --{ignored} is of a model, but --predictions stand in place of one; leave one out"
        )
    for option, path in (("save", save), ("out", out)):
        if path and path.is_dir():
            raise UserError(f"processbench --{option} {path}: is a folder; name a file")
    if dev and threshold is not None:
        raise UserError("processbench: --threshold and --dev exclude each other; give one of them")
    if threshold is not None and not math.isfinite(threshold):
        raise UserError(f"processbench --threshold {threshold}: must be a finite number")
    if dev and dev.resolve() in {file.resolve() for file in files}:
        raise UserError(f"processbench --dev {dev}: is also reported; choose the threshold on another file")
    if len({file.stem for file in files}) < len(files):
        raise UserError("processbench: two files have one name, which names the subset; rename one")
    for file in (*files, *([dev] if dev else []), *([predictions] if predictions else [])):
        if not file.is_file():
            raise UserError(f"{file}: cannot be read (no such file)")
    if predictions:
        said = Predictions(predictions)
        judge, prompt = said.lookup, Prompt()
    else:
        if threshold is None and not dev:
            threshold = load_threshold(
                Path("data/best_of_n/metrics.json"),
                own=form == "assay" and not revision and Path(model).resolve() == Path(DEFAULT_MODEL).resolve(),
            )
        verifier = load_verifier(model, revision, form, tag, *resolve_device(dtype, device), batch)
        prompt = verifier.encoder.prompt if form == "assay" else Prompt()
        settings = [form, tag, str(verifier.model.dtype), revision or compute_fingerprint(Path(model))]
        kept = ScoreCache(save, settings, [*files, *([dev] if dev else [])])
        judge = partial(kept.get_or_score, partial(score_steps, verifier))
    if dev:
        chosen_on = [case for case in collect_predictions(judge, prompt, dev, batch)[0] if isinstance(case[0], list)]
        if not chosen_on:
            raise UserError(f"{dev}: no step scores are predicted, so no threshold can be chosen")
        threshold = first_error.choose_threshold(*zip(*chosen_on, strict=True))
    found = {file.stem: collect_predictions(judge, prompt, file, batch) for file in files}
    if threshold is None and any(isinstance(case[0], list) for own, _ in found.values() for case in own):
        raise UserError(f"{predictions}: holds step scores; give --dev FILE or --threshold")
    figures = {}
    for name, (own, left_out) in found.items():
        guesses = [first_error.locate(each, threshold) if isinstance(each, list) else each for each, _ in own]
        f1 = first_error.f1(guesses, [place for _, place in own])
        figures[name] = {"solutions": len(own), "left_out": left_out, **f1._asdict()}
    known = [each["f1"] for each in figures.values() if each["f1"] is not None]
    mean = sum(known) / len(known) if known else None
    header = ("subset", "solutions", "left out", "error %", "correct %", "F1 % (harmonic mean)")
    rows = [
        [
            name,
            *(str(each[key]) for key in ("solutions", "left_out")),
            *(format_percent(each[key]) for key in ("error", "correct", "f1")),
        ]
        for name, each in figures.items()
    ]
    title = "First wrong step" + ("" if threshold is None else f", threshold {threshold:.4g}")
    tables.print_report({title: (header, [*rows, ["mean", "", "", "", "", format_percent(mean)]])})
    if out:
        written.write_text(out, json.dumps({"threshold": threshold, "subsets": figures, "f1": mean}, indent=2) + "\n")
    if not predictions:
        kept.discard()
    elif unasked := said.list_unused():
        print(f"{predictions}: {len(unasked)} ids are in no file, the first {unasked[0]}", file=sys.stderr)


def format_percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def resolve_device(dtype: str, device: str) -> tuple[str, Any]:
    """The dtype and the device that are meant. Raises UserError for what there is not."""
    import torch

    if device == "auto":
        device = str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"processbench --device {device}: cannot be used ({str(error).splitlines()[0]})") from None
    if dtype == "auto":
        dtype = "float32" if found.type == "cpu" else "bfloat16"
    if dtype not in ("float32", "bfloat16", "float16"):
        raise UserError(f"processbench --dtype {dtype}: must be auto, float32, bfloat16 or float16")
    return dtype, found


def load_verifier(
    model: str, revision: str | None, form: str, tag: str | None, dtype: str, device: Any, batch: int
) -> ProcessVerifier | PublicPRM:
    """The process verifier of a folder or a repository. Raises UserError for an unknown form, or a folder without one."""
    from stages.lib.models import loading
    from stages.lib.verifiers import published_models
    from stages.lib.verifiers.process import ProcessVerifier

    if form not in FORMS:
        raise UserError(f"processbench --form {form}: must be one of {', '.join(FORMS)}")
    path = loading.download_snapshot(model, revision) if revision else Path(model)
    if form == "assay":
        if not (path / "verifier.json").is_file():
            raise UserError(f"{path}: no verifier.json; run `dvc repro prm`, or name a public model's --form")
        return ProcessVerifier.load(path, dtype).to(device)
    if not path.is_dir():
        raise UserError(
            f"processbench --model {model}: not a folder; a hub repository needs --revision, a full commit hash"
        )
    verifier = published_models.load(form, path, path.name, dtype, **({} if tag is None else {"tag": tag}))
    verifier.batch_size = batch
    return verifier.to(device)


def load_threshold(metrics: Path, own: bool) -> float:
    """The threshold that stage best_of_n chose on dev. Raises UserError for none, and where the model is not the pipeline's
    own, for which it was chosen."""
    import json

    if not own:
        raise UserError(
            f"processbench: a model other than {DEFAULT_MODEL} has a threshold of its own; give --dev FILE or --threshold"
        )
    try:
        return float(json.loads(metrics.read_text(encoding="utf-8"))["first_error"]["threshold"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{metrics}: holds no threshold; `dvc repro` first, or give --dev FILE or --threshold"
        ) from None


def collect_predictions(
    judge: Predictor, prompt: Prompt, file: Path, batch: int
) -> tuple[list[tuple[Prediction, int]], int]:
    """What is said of each solution and its first wrong step; and how many rows were left out, those that do not fit and
    solutions longer than the model can read, which is told once for each reason. A name met again is left out: it would
    count twice. Raises UserError when none is left."""
    import sys
    from itertools import islice

    from rich.console import Console
    from rich.progress import Progress

    from stages.lib.labels.predictions import TOO_LONG
    from stages.lib.labels.published_labels import RejectedRow, iter_json_list, read_processbench

    found, left_out, names, console = [], {}, set(), Console(stderr=True)
    rows = enumerate(read_processbench(file, prompt), 1)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(file.stem, total=sum(1 for _ in iter_json_list(file)))
        while window := list(islice(rows, WINDOW_BATCHES * batch)):
            for i, (number, row) in enumerate(window):
                if not isinstance(row, RejectedRow) and row.row_id in names:
                    window[i] = number, RejectedRow(number, "its id is that of an earlier row")
                elif not isinstance(row, RejectedRow):
                    names.add(row.row_id)
            said = iter(judge([row for _, row in window if not isinstance(row, RejectedRow)]))
            for number, row in window:
                reason = row.reason if isinstance(row, RejectedRow) else None
                if not reason and (each := next(said)) == TOO_LONG:
                    reason = TOO_LONG
                if reason:
                    left_out.setdefault(reason, []).append(number)
                else:
                    found.append((each, next((label.step for label in row.labels if not label.value), -1)))
            progress.advance(bar, len(window))
    reasons = [f"row {numbers[0]}: {reason}" for reason, numbers in left_out.items()]
    if not found:
        raise UserError(f"{file}: {reasons[0] if reasons else 'an empty list'}; no row can be used")
    for line, numbers in zip(reasons, left_out.values(), strict=True):
        print(f"{file}: left out {len(numbers)}, the first {line}", file=sys.stderr)
    return found, sum(map(len, left_out.values()))


def score_steps(verifier: ProcessVerifier | PublicPRM, rows: Sequence[LabelledSolution]) -> list[Prediction]:
    """Of each solution the scores of its steps. A published model reads steps as they were published."""
    import torch

    from stages.lib.labels.predictions import TOO_LONG
    from stages.lib.verifiers.process import ProcessVerifier

    longest = verifier.model.config.max_position_embeddings
    try:
        if isinstance(verifier, ProcessVerifier):
            return [
                verifier.score_steps(row.problem, [row.sample])[0][: len(row.steps)]
                if verifier.count_tokens(row.problem, row.sample) <= longest
                else TOO_LONG
                for row in rows
            ]
        asked = {i: (row.problem.question, row.steps) for i, row in enumerate(rows)}
        fits = {i: one for i, one in asked.items() if verifier.count_tokens(*one) <= longest}
        found = dict(zip(fits, verifier.score_solutions(list(fits.values())), strict=True))
        return [found.get(i, TOO_LONG) for i in asked]
    except torch.OutOfMemoryError:
        raise UserError(
            "processbench: the accelerator has too little memory; lower --batch, or --dtype bfloat16"
        ) from None


def compute_fingerprint(folder: Path) -> str:
    """Names, sizes and times of a model's files: 15 GB take a minute to hash."""
    found = sorted(
        (file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()
    )
    return repr(found)
