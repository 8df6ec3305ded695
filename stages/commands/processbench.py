"""`python -m stages processbench FILES`: how well a process verifier finds the first error of published solutions.

ProcessBench (Zheng et al. 2024, arXiv 2412.06559): F1 is the harmonic mean of two accuracies, on solutions with an error
and on solutions without.
"""

from __future__ import annotations

from itertools import compress
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
    Case = tuple[Prediction, int]  # what is predicted of a solution, and its first wrong step, -1 for none

FORMS = ("assay", "classes", "words", "separator")
DEFAULT_MODEL = "data/prm/model"
BATCH_SIZE = 8
WINDOW_BATCHES = 8  # batches in memory, sorted by length; a killed run loses at most these


def processbench(
    files: Annotated[list[Path], typer.Argument(help="ProcessBench files, one for each subset.")],
    model: Annotated[
        str, typer.Option(help="Folder of a process verifier, or with --revision a hub repository.")
    ] = DEFAULT_MODEL,
    revision: Annotated[str | None, typer.Option(help="Full commit hash of a hub repository.")] = None,
    form: Annotated[
        str, typer.Option(help=f"Its form: {', '.join(FORMS)} (lib/verifiers/published_models.py).")
    ] = "assay",
    tag: Annotated[str | None, typer.Option(help="Text after every step; default: that of the form.")] = None,
    dtype: Annotated[str, typer.Option(help="auto (bfloat16 on an accelerator), float32, bfloat16, float16")] = "auto",
    device: Annotated[
        str, typer.Option(help="auto (the accelerator, if there is one), cpu, cuda, cuda:1, ..")
    ] = "auto",
    batch: Annotated[int, typer.Option(help="Solutions in a forward pass of a published model.", min=1)] = BATCH_SIZE,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Use predictions, not a model: JSONL of {id, scores} or {id, first_error} (from 0; -1: none)."
        ),
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Save step scores as JSONL, for --predictions.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Step scores below it are errors.")] = None,
    dev: Annotated[
        Path | None, typer.Option(help="ProcessBench file to choose the threshold on; not one of FILES.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the figures, as JSON.")] = None,
) -> None:
    """Compute ProcessBench's F1 of the first wrong step for each file, and the mean.

    F1 is the harmonic mean of two accuracies: on solutions with an error and on those without. The threshold is never
    chosen on what is reported: it is given, or chosen on another file (--dev), or for the pipeline's own verifier the one
    that stage best_of_n chose on dev. Step scores are saved as they are computed, so a killed run resumes.
    """
    import json
    import math
    import sys
    from functools import partial

    from stages.lib.core.files import write_text
    from stages.lib.display import tables
    from stages.lib.labels import first_error
    from stages.lib.labels.predictions import Predictions, ScoreCache
    from stages.lib.models.prompts import Prompt

    names = "model", "revision", "form", "tag", "save", "dtype", "device", "batch"
    values = model, revision, form, tag, save, dtype, device, batch
    defaults = DEFAULT_MODEL, None, "assay", None, None, "auto", "auto", BATCH_SIZE
    ignored = [name for name, value, default in zip(names, values, defaults, strict=True) if value != default]
    if predictions and ignored:
        raise UserError(
            f"processbench: --{ignored[0]} describes a model, but --predictions replaces it; remove one of them"
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
        raise UserError("processbench: two files have the same name, which names the subset; rename one")
    scored = [*files, *([dev] if dev else [])]
    for file in (*scored, *([predictions] if predictions else [])):
        if not file.is_file():
            raise UserError(f"{file}: cannot be read (no such file)")

    lookup = cache = None
    if predictions:
        lookup, prompt = Predictions(predictions), Prompt()
        predict = lookup.lookup
    else:
        from stages.lib.verifiers.process import ProcessVerifier

        if threshold is None and not dev:
            is_own = form == "assay" and not revision and Path(model).resolve() == Path(DEFAULT_MODEL).resolve()
            threshold = load_threshold(Path("data/best_of_n/metrics.json"), is_own)
        verifier = load_verifier(model, revision, form, tag, dtype, device, batch)
        prompt = verifier.encoder.prompt if isinstance(verifier, ProcessVerifier) else Prompt()
        settings = [form, tag, str(verifier.model.dtype), revision or compute_fingerprint(Path(model))]
        cache = ScoreCache(save, settings, scored)
        predict = partial(cache.get_or_score, partial(score_steps, verifier))
    if dev:
        dev_cases = [case for case in collect_cases(predict, prompt, dev, batch)[0] if isinstance(case[0], list)]
        if not dev_cases:
            raise UserError(f"{dev}: no step scores are predicted, so no threshold can be chosen")
        dev_scores: list[Any] = [scores for scores, _ in dev_cases]
        threshold = first_error.choose_threshold(dev_scores, [first_wrong for _, first_wrong in dev_cases])
    results = {file.stem: collect_cases(predict, prompt, file, batch) for file in files}
    if threshold is None and any(isinstance(case[0], list) for cases, _ in results.values() for case in cases):
        raise UserError(f"{predictions}: holds step scores; give --dev FILE or --threshold")

    figures = {}
    for name, (cases, left_out) in results.items():
        guesses: list[Any] = [
            first_error.locate(x, threshold) if isinstance(x, list) and threshold is not None else x for x, _ in cases
        ]
        f1 = first_error.f1(guesses, [first_wrong for _, first_wrong in cases])
        figures[name] = {"solutions": len(cases), "left_out": left_out, **f1._asdict()}
    f1_scores = [subset["f1"] for subset in figures.values() if subset["f1"] is not None]
    mean = sum(f1_scores) / len(f1_scores) if f1_scores else None
    header = ("subset", "solutions", "left out", "error %", "correct %", "F1 % (harmonic mean)")
    rows = [
        [name, str(x["solutions"]), str(x["left_out"]), *(format_percent(x[key]) for key in ("error", "correct", "f1"))]
        for name, x in figures.items()
    ]
    title = "First wrong step" + ("" if threshold is None else f", threshold {threshold:.4g}")
    tables.print_report({title: (header, [*rows, ["mean", "", "", "", "", format_percent(mean)]])})
    if out:
        write_text(out, json.dumps({"threshold": threshold, "subsets": figures, "f1": mean}, indent=2) + "\n")
    if cache:
        cache.discard()
    if lookup and (unused := lookup.list_unused()):
        print(f"{predictions}: {len(unused)} ids are in no file, the first {unused[0]}", file=sys.stderr)


def format_percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def load_verifier(
    model: str, revision: str | None, form: str, tag: str | None, dtype: str, device: str, batch: int
) -> ProcessVerifier | PublicPRM:
    """The process verifier of a folder or a repository, on its device. Raises UserError for what cannot be loaded."""
    from stages.lib.models import loading
    from stages.lib.verifiers import published_models, registry
    from stages.lib.verifiers.process import ProcessVerifier

    if form not in FORMS:
        raise UserError(f"processbench --form {form}: must be one of {', '.join(FORMS)}")
    target = loading.resolve_device(device)
    if dtype not in ("auto", "float32", "bfloat16", "float16"):
        raise UserError(f"processbench --dtype {dtype}: must be auto, float32, bfloat16 or float16")
    if dtype == "auto":
        dtype = "float32" if target.type == "cpu" else "bfloat16"
    path = loading.download_snapshot(model, revision) if revision else Path(model)
    if form == "assay":
        verifier = registry.load(path, dtype)
        if not isinstance(verifier, ProcessVerifier):
            raise UserError(f"processbench --model {model}: scores no steps; name a process verifier")
        return verifier.to(target)
    if not path.is_dir():
        raise UserError(
            f"processbench --model {model}: not a folder; a hub repository needs --revision, a full commit hash"
        )
    published = published_models.load(form, path, path.name, dtype, **({} if tag is None else {"tag": tag}))
    published.batch_size = batch
    return published.to(target)


def load_threshold(metrics: Path, is_own: bool) -> float:
    """The threshold that stage best_of_n chose on dev for the pipeline's own verifier. Raises UserError if there is none,
    or if the model is another (`is_own`)."""
    import json

    if not is_own:
        raise UserError(
            f"processbench: a model other than {DEFAULT_MODEL} needs its own threshold; give --dev FILE or --threshold"
        )
    try:
        return float(json.loads(metrics.read_text(encoding="utf-8"))["first_error"]["threshold"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{metrics}: holds no threshold; `dvc repro` first, or give --dev FILE or --threshold"
        ) from None


def collect_cases(predict: Predictor, prompt: Prompt, file: Path, batch: int) -> tuple[list[Case], int]:
    """(cases of a file, number of rows left out). Rows that do not fit the format, that repeat an id, or whose solution is
    too long for the model are left out; each reason is printed once. Raises UserError when no row is left."""
    import sys
    from itertools import islice

    from rich.console import Console
    from rich.progress import Progress

    from stages.lib.labels.predictions import TOO_LONG
    from stages.lib.labels.published_labels import RejectedRow, iter_json_list, read_processbench

    cases, left_out, ids, console = [], {}, set(), Console(stderr=True)
    rows = enumerate(read_processbench(file, prompt), 1)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(file.stem, total=sum(1 for _ in iter_json_list(file)))
        while window := list(islice(rows, WINDOW_BATCHES * batch)):
            solutions = {}
            for number, row in window:
                if isinstance(row, RejectedRow):
                    left_out.setdefault(row.reason, []).append(number)
                elif row.row_id in ids:
                    left_out.setdefault("its id is that of an earlier row", []).append(number)
                else:
                    ids.add(row.row_id)
                    solutions[number] = row
            for (number, row), prediction in zip(solutions.items(), predict(list(solutions.values())), strict=True):
                if prediction == TOO_LONG:
                    left_out.setdefault(TOO_LONG, []).append(number)
                else:
                    cases.append((prediction, next((label.step for label in row.labels if not label.value), -1)))
            progress.advance(bar, len(window))
    reasons = sorted((numbers, reason) for reason, numbers in left_out.items())
    if not cases:
        fault = f"row {reasons[0][0][0]}: {reasons[0][1]}" if reasons else "an empty list"
        raise UserError(f"{file}: {fault}; no row can be used")
    for numbers, reason in reasons:
        print(f"{file}: left out {len(numbers)}, the first row {numbers[0]}: {reason}", file=sys.stderr)
    return cases, sum(map(len, left_out.values()))


def score_steps(verifier: ProcessVerifier | PublicPRM, rows: Sequence[LabelledSolution]) -> list[Prediction]:
    """The step scores of each solution, or TOO_LONG. A published model reads the steps as they were published."""
    import torch

    from stages.lib.labels.predictions import TOO_LONG
    from stages.lib.verifiers.process import ProcessVerifier

    context = verifier.model.config.max_position_embeddings
    try:
        if isinstance(verifier, ProcessVerifier):
            return [
                verifier.score_steps(row.problem, [row.sample])[0][: len(row.steps)]
                if verifier.count_tokens(row.problem, row.sample) <= context
                else TOO_LONG
                for row in rows
            ]
        solutions = [(row.problem.question, row.steps) for row in rows]
        fits = [verifier.count_tokens(*solution) <= context for solution in solutions]
        scores = iter(verifier.score_solutions(list(compress(solutions, fits))))
        return [next(scores) if is_fitting else TOO_LONG for is_fitting in fits]
    except torch.OutOfMemoryError:
        raise UserError(
            "processbench: the accelerator has too little memory; lower --batch, or --dtype bfloat16"
        ) from None


def compute_fingerprint(folder: Path) -> str:
    """Names, sizes and times of a model's files, since hashing 15 GB takes a minute."""
    stats = [(file.name, file.stat()) for file in folder.rglob("*") if file.is_file()]
    return repr(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))
