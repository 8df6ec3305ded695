"""`python -m stages processbench FILES`: how well a process verifier finds the first error of published solutions.

ProcessBench (Zheng et al. 2024, arXiv 2412.06559): F1 is the harmonic mean of two accuracies, on solutions with an error
and on solutions without.
"""

from __future__ import annotations

from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stages.lib.labels.labelled_solution import Form, LabelledSolution
    from stages.lib.labels.predictions import Prediction, Predictions, ScoreCache
    from stages.lib.models.prompts import Prompt
    from stages.lib.verifiers.base import Verifier
    from stages.lib.verifiers.process import ProcessVerifier
    from stages.lib.verifiers.published_models import PublicPRM

    Predictor = Callable[[Sequence[LabelledSolution]], list[Prediction]]
    Case = tuple[Prediction, Any]  # what is predicted of a solution, and the solution

FORMS = ("assay", "classes", "words", "separator")
DEFAULT_MODEL = "data/prm/model"
BATCH_SIZE = 8
WINDOW_BATCHES = 8  # batches in memory, sorted by length; a killed run loses at most these


ModelOption = Annotated[str, typer.Option(help="Folder of a verifier, or with --revision a hub repository.")]
RevisionOption = Annotated[str | None, typer.Option(help="Full commit hash of a hub repository.")]
TagOption = Annotated[str | None, typer.Option(help="Text after every step; default: that of the form.")]
DtypeOption = Annotated[str, typer.Option(help="auto (bfloat16 on an accelerator), float32, bfloat16, float16")]
DeviceOption = Annotated[str, typer.Option(help="auto (the accelerator, if there is one), cpu, cuda, cuda:1, ..")]
BatchOption = Annotated[int, typer.Option(help="Solutions in a forward pass of a published model.", min=1)]
FormOption = Annotated[str, typer.Option(help=f"Its form: {', '.join(FORMS)} (lib/verifiers/published_models.py).")]
SaveOption = Annotated[Path | None, typer.Option(help="Save step scores as JSONL, for --predictions.")]
OutOption = Annotated[Path | None, typer.Option(help="File for the figures, as JSON.")]


class ModelOptions(NamedTuple):
    """What scores steps: the options of the command line that --predictions replaces."""

    model: str = DEFAULT_MODEL
    revision: str | None = None
    form: str = "assay"
    tag: str | None = None
    save: Path | None = None
    dtype: str = "auto"
    device: str = "auto"
    batch: int = BATCH_SIZE

    def load(self) -> Verifier:
        """Raises UserError for what cannot be loaded."""
        from stages.lib.verifiers import registry

        return registry.load_any(self.model, self.revision, self.form, self.tag, self.dtype, self.device, self.batch)

    def identify(self, verifier: Verifier) -> list[str | None]:
        """What scores depend on, beside the texts."""
        from stages.lib.verifiers.registry import compute_fingerprint

        fingerprint = self.revision or compute_fingerprint(Path(self.model))
        return [self.form, self.tag, str(verifier.model.dtype), fingerprint]


def processbench(
    files: Annotated[list[Path], typer.Argument(help="ProcessBench files, one for each subset.")],
    model: ModelOption = DEFAULT_MODEL,
    revision: RevisionOption = None,
    form: FormOption = "assay",
    tag: TagOption = None,
    dtype: DtypeOption = "auto",
    device: DeviceOption = "auto",
    batch: BatchOption = BATCH_SIZE,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Use predictions, not a model: JSONL of {id, scores} or {id, first_error} (from 0; -1: none)."
        ),
    ] = None,
    save: SaveOption = None,
    threshold: Annotated[float | None, typer.Option(help="Step scores below it are errors.")] = None,
    dev: Annotated[
        Path | None, typer.Option(help="ProcessBench file to choose the threshold on; not one of FILES.")
    ] = None,
    out: OutOption = None,
) -> None:
    """Compute ProcessBench's F1 of the first wrong step for each file, and the mean.

    F1 is the harmonic mean of two accuracies: on solutions with an error and on those without. The threshold is never
    chosen on what is reported: it is given, or chosen on another file (--dev), or for the pipeline's own verifier the one
    that stage best_of_n chose on dev. Step scores are saved as they are computed, so a killed run resumes.
    """
    import json
    import math

    from stages.lib.core.files import name_files, write_text
    from stages.lib.display import terminal
    from stages.lib.labels import first_error, published_labels

    options = ModelOptions(model, revision, form, tag, save, dtype, device, batch)
    scored = [*files, *([dev] if dev else [])]
    if dev and threshold is not None:
        raise UserError("processbench: --threshold and --dev exclude each other; give one of them")
    if threshold is not None and not math.isfinite(threshold):
        raise UserError(f"processbench --threshold {threshold}: must be a finite number")
    check_options("processbench", scored, predictions, options, out)
    if dev and dev.resolve() in {file.resolve() for file in files}:
        raise UserError(f"processbench --dev {dev}: is also reported; choose the threshold on another file")
    if len({file.resolve() for file in files}) < len(files):
        raise UserError("processbench: a file is named twice; name each once")
    if threshold is None and not dev and not predictions:
        is_own = form == "assay" and not revision and Path(model).resolve() == Path(DEFAULT_MODEL).resolve()
        threshold = load_threshold(Path("data/best_of_n/results.json"), is_own)
    predict, prompt, source = load_predictor(scored, predictions, options, load_step_verifier, score_steps)

    def collect(file: Path) -> tuple[list[Any], list[int], int]:  # predictions, first wrong steps, rows left out
        cases, left_out = collect_cases(published_labels.FORMS["processbench"], predict, prompt, file, batch)
        first_wrong = [next((label.step for label in row.labels if not label.value), -1) for _, row in cases]
        return [prediction for prediction, _ in cases], first_wrong, left_out

    if dev:
        guesses, first_wrong, _ = collect(dev)
        dev_cases = [case for case in zip(guesses, first_wrong, strict=True) if isinstance(case[0], list)]
        if not dev_cases:
            raise UserError(f"{dev}: no step scores are predicted, so no threshold can be chosen")
        threshold = first_error.choose_threshold([scores for scores, _ in dev_cases], [step for _, step in dev_cases])
    results = {name: collect(file) for file, name in name_files(files).items()}
    if threshold is None and any(isinstance(x, list) for guesses, *_ in results.values() for x in guesses):
        raise UserError(f"{predictions}: holds step scores; give --dev FILE or --threshold")

    figures = {}
    for name, (guesses, first_wrong, left_out) in results.items():
        if threshold is not None:
            guesses = [first_error.locate(x, threshold) if isinstance(x, list) else x for x in guesses]
        f1 = first_error.f1(guesses, first_wrong)
        figures[name] = {"solutions": len(guesses), "left_out": left_out, **f1._asdict()}
    f1_scores = [subset["f1"] for subset in figures.values() if subset["f1"] is not None]
    mean = sum(f1_scores) / len(f1_scores) if f1_scores else None
    header = ("subset", "solutions", "left out", "error %", "correct %", "F1 % (harmonic mean)")
    rows = [
        [name, str(x["solutions"]), str(x["left_out"]), *(format_percent(x[key]) for key in ("error", "correct", "f1"))]
        for name, x in figures.items()
    ]
    title = "First wrong step" + ("" if threshold is None else f", threshold {threshold:.4g}")
    terminal.print_report({title: (header, [*rows, ["mean", "", "", "", "", format_percent(mean)]])})
    if out:
        write_text(out, json.dumps({"threshold": threshold, "subsets": figures, "f1": mean}, indent=2) + "\n")
    close(source)


def format_percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def check_options(
    command: str,
    scored: Sequence[Path],
    predictions: Path | None,
    options: ModelOptions,
    out: Path | None,
    default_model: str = DEFAULT_MODEL,
) -> None:
    """Raises UserError for options that exclude each other, files that are missing, and outputs that cannot be written."""
    from stages.lib.core.files import check_output

    defaults = options._field_defaults | {"model": default_model}
    ignored = [name for name, value in options._asdict().items() if value != defaults[name]]
    if predictions and ignored:
        raise UserError(
            f"{command}: --{ignored[0]} describes a model, but --predictions replaces it; remove one of them"
        )
    read = [*scored, *([predictions] if predictions else [])]
    for option, path, others in (("save", options.save, []), ("out", out, [options.save] if options.save else [])):
        if path:
            check_output(f"{command} --{option}", path, inputs=[*read, *others])
    for file in read:
        if not file.is_file():
            raise UserError(f"{file}: cannot be read (no such file)")


def load_predictor(
    scored: Sequence[Path],
    predictions: Path | None,
    options: ModelOptions,
    load: Callable[[ModelOptions], Any],
    score: Callable[[Any, Sequence[Any]], list[Prediction]],
    unit: str = "steps",
    settings: Sequence[str] = (),
) -> tuple[Predictor, Prompt, Predictions | ScoreCache]:
    """(what predicts the scores of rows, the prompt they are read with, where the predictions come from).

    load, score: of a verifier, where no predictions are given. unit: what has a score. settings: what its scores depend on,
    beside the options."""
    from functools import partial

    from stages.lib.labels.predictions import Predictions, ScoreCache
    from stages.lib.models.prompts import Prompt
    from stages.lib.verifiers.process import ProcessVerifier

    if predictions:
        lookup = Predictions(predictions, unit)
        return lookup.lookup, Prompt(), lookup
    verifier = load(options)
    prompt = verifier.encoder.prompt if isinstance(verifier, ProcessVerifier) else Prompt()
    cache = ScoreCache(options.save, [*options.identify(verifier), *settings], scored)
    return partial(cache.get_or_score, partial(score, verifier)), prompt, cache


def close(source: Predictions | ScoreCache) -> None:
    """After a complete run: remove the cache that the user did not name, or name predictions that were not used."""
    import sys

    from stages.lib.labels.predictions import ScoreCache

    if isinstance(source, ScoreCache):
        source.discard()
    elif unused := source.list_unused():
        print(f"{source.path}: {len(unused)} ids are in no file, the first {unused[0]}", file=sys.stderr)


def load_step_verifier(options: ModelOptions) -> ProcessVerifier | PublicPRM:
    """Raises UserError for a verifier that scores no steps, and for what cannot be loaded."""
    from stages.lib.verifiers.process import ProcessVerifier
    from stages.lib.verifiers.published_models import PublicPRM

    if options.form not in FORMS:
        raise UserError(f"--form {options.form}: must be one of {', '.join(FORMS)}")
    verifier = options.load()
    if not isinstance(verifier, ProcessVerifier | PublicPRM):
        raise UserError(f"--model {options.model}: scores no steps; name a process verifier")
    return verifier


def load_threshold(results: Path, is_own: bool) -> float:
    """The threshold that stage best_of_n chose on dev for the pipeline's own verifier. Raises UserError if there is none,
    or if the model is another (`is_own`)."""
    import json

    if not is_own:
        raise UserError(
            f"processbench: a model other than {DEFAULT_MODEL} needs its own threshold; give --dev FILE or --threshold"
        )
    try:
        return float(json.loads(results.read_text(encoding="utf-8"))["first_error"]["threshold"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{results}: holds no threshold; `dvc repro` first, or give --dev FILE or --threshold"
        ) from None


def collect_cases(form: Form, predict: Predictor, prompt: Prompt, file: Path, batch: int) -> tuple[list[Case], int]:
    """(cases of a file of this form, number of rows left out). Rows that do not fit the form, that repeat an id, or whose
    solution is too long for the model are left out; each reason is printed once. Raises UserError when no row is left."""
    import sys
    from itertools import islice

    from rich.console import Console
    from rich.progress import Progress

    from stages.lib.core import row_files
    from stages.lib.labels.labelled_solution import RejectedRow, read_rows
    from stages.lib.labels.predictions import TOO_LONG

    cases, left_out, ids, console = [], {}, set(), Console(stderr=True)
    rows = enumerate(read_rows(file, form, prompt), 1)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(file.stem, total=sum(1 for _ in row_files.iter_rows(file)))
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
                    cases.append((prediction, row))
            progress.advance(bar, len(window))
    reasons = sorted((numbers, reason) for reason, numbers in left_out.items())
    if not cases:
        fault = f"row {reasons[0][0][0]}: {reasons[0][1]}" if reasons else "it has no rows"
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
