"""`python -m stages prmbench FILE`: which steps of published solutions a process verifier calls wrong, by kind of error.

PRMBench (Song et al. 2025, arXiv 2501.03124): PRMScore is the mean of F1 on right steps and F1 on wrong steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stages.commands.processbench import (
    BATCH_SIZE,
    DEFAULT_MODEL,
    BatchOption,
    DeviceOption,
    DtypeOption,
    FormOption,
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
    load_step_verifier,
    score_steps,
)
from stages.lib.core.errors import UserError

THRESHOLD = 0.5  # of the published scorer, for most verifiers


def prmbench(
    file: Annotated[Path, typer.Argument(help="PRMBench, prmbench_preview.jsonl of hitsmy/PRMBench_Preview.")],
    model: ModelOption = DEFAULT_MODEL,
    revision: RevisionOption = None,
    form: FormOption = "assay",
    tag: TagOption = None,
    dtype: DtypeOption = "auto",
    device: DeviceOption = "auto",
    batch: BatchOption = BATCH_SIZE,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Use predictions, not a model: JSONL of {id, scores}; an id is `classification`_`idx`."),
    ] = None,
    save: SaveOption = None,
    threshold: Annotated[float, typer.Option(help="Step scores above it say right.")] = THRESHOLD,
    out: OutOption = None,
) -> None:
    """Compute PRMBench's PRMScore, for each kind of error and for all.

    PRMScore is the mean of F1 on right steps and F1 on wrong steps, over all steps. The threshold is that of the published
    scorer unless you give another; never choose it on this file. Step scores are saved as they are computed, so a killed
    run resumes.
    """
    import math

    from stages.lib.core.files import write_json
    from stages.lib.display import terminal
    from stages.lib.labels import prm_score, published_labels

    options = ModelOptions(model, revision, form, tag, save, dtype, device, batch)
    check_options("prmbench", [file], predictions, options, out)
    if not math.isfinite(threshold):
        raise UserError(f"prmbench --threshold {threshold}: must be a finite number")
    predict, prompt, source = load_predictor([file], predictions, options, load_step_verifier, score_steps)
    cases, left_out = collect_cases(published_labels.FORMS["prmbench"], predict, prompt, file, batch)
    solutions: dict[str, list[Any]] = {}
    for scores, row in cases:
        if not isinstance(scores, list):
            raise UserError(f"{predictions}: {row.row_id} has no scores; PRMBench needs one for each step")
        is_right = [label.value == 1 for label in row.labels]
        kind = row.problem.split
        solutions.setdefault(kind, []).append(prm_score.count_steps(scores, is_right, threshold))
    figures = prm_score.measure(solutions)

    known = [kind for kinds in prm_score.GROUPS.values() for kind in kinds]
    kinds = sorted(figures.counts, key=lambda kind: (known.index(kind) if kind in known else len(known), kind))
    rows = []
    for kind in kinds:
        counts, score = figures.counts[kind], figures.scores[kind]
        shares = counts.right_f1, counts.wrong_f1, score
        rows.append([kind, str(len(solutions[kind])), str(sum(counts)), *map(format_percent, shares)])
    rows += [[f"mean of {group}", "", "", "", "", format_percent(x)] for group, x in figures.groups.items()]
    total = prm_score.add_counts(figures.counts.values())
    shares = map(format_percent, (total.right_f1, total.wrong_f1, figures.overall))
    rows.append(["all steps", str(len(cases)), str(sum(total)), *shares])
    header = ("kind of error", "solutions", "steps", "F1 right %", "F1 wrong %", "PRMScore %")
    terminal.print_report({f"Steps called right above {threshold:.4g}": (header, rows)})
    if out:
        by_kind = {
            kind: counts._asdict()
            | {"f1_right": counts.right_f1, "f1_wrong": counts.wrong_f1, "prm_score": figures.scores[kind]}
            for kind, counts in figures.counts.items()
        }
        summary = {"threshold": threshold, "left_out": left_out, "prm_score": figures.overall}
        write_json(out, {**summary, "groups": figures.groups, "kinds": by_kind})
    close(source)
