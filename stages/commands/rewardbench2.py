"""`python -m stages rewardbench2 FILE`: does a verifier find the best completion of a prompt?

RewardBench 2 (Malik et al. 2025, arXiv 2506.01937): best of four in five subsets, and Ties with a score of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.commands.processbench import (
    BATCH_SIZE,
    BatchOption,
    DeviceOption,
    DtypeOption,
    ModelOption,
    ModelOptions,
    OutOption,
    RevisionOption,
    SaveOption,
    TagOption,
    check_options,
    close,
    collect_cases,
    format_percent,
    load_predictor,
)
from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.lib.core.records import Problem, Sample
    from stages.lib.labels.predictions import Prediction
    from stages.lib.labels.rewardbench2 import Completions

DEFAULT_MODEL = "data/orm/model"
TINY = 1e-17  # a probability nearer to 0 or 1 counts as this far from it


def rewardbench2(
    file: Annotated[Path, typer.Argument(help="RewardBench 2, the Parquet file of allenai/reward-bench-2, or JSONL.")],
    model: ModelOption = DEFAULT_MODEL,
    revision: RevisionOption = None,
    form: Annotated[
        str,
        typer.Option(help="Its form: assay, reward, classes, words, separator (lib/verifiers/published_models.py)."),
    ] = "assay",
    tag: TagOption = None,
    dtype: DtypeOption = "auto",
    device: DeviceOption = "auto",
    batch: BatchOption = BATCH_SIZE,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Use predictions, not a model: JSONL of {id, scores}, the chosen completions first."),
    ] = None,
    save: SaveOption = None,
    out: OutOption = None,
) -> None:
    """Compute RewardBench 2's accuracy of each subset, the score of Ties, and the mean over the subsets.

    A completion's score is the raw output of a reward model, or the log-odds of any other verifier's probability. Scores
    are saved as they are computed, so a killed run resumes.
    """
    from statistics import fmean

    from stages.lib.core.files import write_json
    from stages.lib.display import terminal
    from stages.lib.labels import rewardbench2 as benchmark

    options = ModelOptions(model, revision, form, tag, save, dtype, device, batch)
    check_options("rewardbench2", [file], predictions, options, out, DEFAULT_MODEL)
    predict, prompt, source = load_predictor(
        [file], predictions, options, ModelOptions.load, score_completions, "completions", ["rewardbench2"]
    )
    cases, left_out = collect_cases(benchmark.FORM, predict, prompt, file, batch)
    scored = []
    for scores, row in cases:
        if not isinstance(scores, list):
            raise UserError(f"{predictions}: {row.row_id} has no scores; RewardBench 2 needs one for each completion")
        scored.append((row, scores))
    figures = benchmark.measure(scored)
    known = [score for score in figures.values() if score is not None]
    mean = fmean(known) if len(known) == len(figures) else None

    subsets = [row.problem.split for _, row in cases]
    rows = [[name, str(subsets.count(name)), format_percent(score)] for name, score in figures.items()]
    terminal.print_report(
        {
            "Best completion": (
                ("subset", "prompts", "score %"),
                [*rows, ["mean", str(len(cases)), format_percent(mean)]],
            )
        }
    )
    if out:
        write_json(out, {"subsets": figures, "left_out": left_out, "mean": mean})
    close(source)


def score_completions(verifier: Any, rows: Sequence[Completions]) -> list[Prediction]:
    """The scores of each prompt's completions, or TOO_LONG where the model cannot read one of them whole."""
    from stages.lib.core.records import Sample
    from stages.lib.labels.predictions import TOO_LONG
    from stages.lib.verifiers import registry

    context, predictions = verifier.model.config.max_position_embeddings, []
    for row in rows:
        at: dict[str, Any] = {"problem_id": row.problem.id, "answer": None, "correct": None, "finish": "stop"}
        samples = [
            Sample(**at, index=index, text=text, logprob=0.0, min_logprob=0.0, tokens=0)
            for index, text in enumerate(row.steps)
        ]
        fits = all(registry.count_tokens(verifier, row.problem, sample) <= context for sample in samples)
        predictions.append(_score(verifier, row.problem, samples) if fits else TOO_LONG)
    return predictions


def _score(verifier: Any, problem: Problem, samples: list[Sample]) -> list[float]:
    import math

    from stages.lib.verifiers.published_models import PublicPRM

    if isinstance(verifier, PublicPRM) and verifier.correct_class is None:
        solutions = [(problem.format_prompt(), verifier.split_steps(sample.text)) for sample in samples]
        return [rewards[-1] if rewards else math.log(TINY) for rewards in verifier.score_solutions(solutions, raw=True)]
    probabilities = [score.score for score in verifier.score(problem, samples)]
    return [math.log(max(p, TINY)) - math.log(max(1 - p, TINY)) for p in probabilities]
