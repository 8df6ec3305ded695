"""A choice from a file as a user asks for it: from rows to embeddings, quality and uncertainty, to the method's choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.lib.core.errors import UserError
from stages.lib.core.params import Params
from stages.lib.selection import budgets, diagnostics, embeddings, quality_sources
from stages.lib.selection.choice_report import Chosen
from stages.lib.selection.instruction_files import InstructionFile
from stages.lib.selection.methods import METHODS, adversarial, car, uncertain_and_good, uncertainty
from stages.lib.selection.pair_accuracy import PairAccuracy
from stages.lib.selection.progress import Track
from stages.lib.selection.resumable import ResumableArrays
from stages.lib.selection.rows import Budget, Labelled, Row, Values

NO_EMBEDDING = "none"
LABELLED = "labelled:"  # before the ids of labelled rows, which may be rows of the pool, too


class Request(NamedTuple):
    """What is to be chosen, and how. embedding: a name of `embeddings.EMBEDDINGS` or NO_EMBEDDING; quality: a source of
    `quality_sources`; model: the folder of a language model."""

    method: str
    params: Params
    budget: Budget
    embedding: str
    quality: str | None
    model: Path | None
    seed: int
    device: str


def choose(
    request: Request, pool: InstructionFile, existing: InstructionFile | None, arrays: ResumableArrays, track: Track
) -> tuple[Chosen, list[str]]:
    """The choice, and notes on how it was made. existing: the labelled rows.

    Pool and labelled rows are embedded together, so that one space holds both. Raises UserError as the method does."""
    count = len(pool.rows)
    judged = read_judgements(existing) if existing and request.method == "uncertain_and_good" else None
    others = [row._replace(id=LABELLED + row.id) for row in existing.rows] if existing else []
    rows = [*pool.rows, *others]
    vectors = None
    if request.embedding != NO_EMBEDDING:
        vectors = embeddings.embed(request.embedding, rows, request.seed, request.model, request.device, track)
    scores, accuracies = compute_quality(request, rows, arrays, track)
    labelled = None
    if existing:
        labelled = Labelled(
            others,
            None if vectors is None else vectors[count:],
            None if scores is None else scores[count:],
            judged,
        )
    if isinstance(request.params, uncertain_and_good.Params):
        uncertain_and_good.choose_threshold(
            labelled, request.params
        )  # where there is none, it is said before rows are read
    head = Values(None if scores is None else scores[:count], compute_uncertainty(request, pool.rows, arrays, track))
    vectors = None if vectors is None else vectors[:count]
    method, clusters, notes = METHODS[request.method], None, [describe(request)]
    if isinstance(request.params, car.Params):
        assert vectors is not None and head.quality is not None, "car needs both"
        clusters = car.cluster(pool.rows, vectors, request.seed, request.params)
        choices = car.choose(pool.rows, clusters.labels, head.quality, request.budget, request.params)
        notes.append(compare_with_rank(pool.rows, head.quality, [choice.id for choice in choices]))
    elif isinstance(request.params, adversarial.Params):
        assert vectors is not None, "adversarial needs them"
        audit = adversarial.measure(pool.rows, vectors, labelled, request.seed, request.params)
        choices = adversarial.choose(pool.rows, audit, request.budget)
        notes += adversarial.describe(audit)
    else:
        choices = method.select(pool.rows, vectors, request.budget, labelled, request.seed, request.params, head)
    if len(choices) == count and request.method != "all":
        notes.insert(0, f"all {count:,} rows are kept, so nothing was chosen; ask for fewer with --keep")
    if head.quality is not None and (zeros := int((head.quality == 0).sum())):
        notes.append(f"{zeros:,} rows have quality 0, which a verifier gives to what is longer than it reads")
    return Chosen(pool, choices, vectors, head.quality, clusters, accuracies), notes


def compute_quality(
    request: Request, rows: Sequence[Row], arrays: ResumableArrays, track: Track
) -> tuple[np.ndarray | None, dict[str, dict[str, PairAccuracy]]]:
    """Qualities where they are asked for, and the accuracies of their model."""
    if not request.quality:
        return None, {}
    model = quality_sources.load(request.quality, request.seed, request.device)
    return arrays.compute("quality", rows, model.score, track), model.accuracies


def compute_uncertainty(
    request: Request, rows: Sequence[Row], arrays: ResumableArrays, track: Track
) -> np.ndarray | None:
    """Uncertainties where the method needs them."""
    params, folder = request.params, request.model
    if not (isinstance(params, uncertainty.Params) and folder):
        return None
    from stages.lib.selection import perplexity

    meter = perplexity.load_meter(folder, params.measure, request.device)
    return arrays.compute(params.measure, rows, meter, track)


def read_judgements(existing: InstructionFile) -> np.ndarray:
    """(labelled rows,) whether each is good. Raises UserError where a row does not say."""
    silent = [existing.places[row.id] for row in existing.rows if row.id not in existing.judgements]
    if silent:
        raise UserError(f"--labelled: {len(silent)} rows have no key `good` (true or false), first row {silent[0]}")
    return np.array([existing.judgements[row.id] for row in existing.rows])


def describe(request: Request) -> str:
    """The settings in a sentence."""
    budget = ", ".join(f"{amount:,} {name}" for name, amount in request.budget._asdict().items() if amount is not None)
    params = ", ".join(f"{key}={value}" for key, value in request.params.model_dump().items())
    parts = [
        f"method {request.method}" + (f" ({params})" if params else ""),
        f"budget {budget or 'as the method says'}",
        f"embedding {request.embedding}",
        f"quality {request.quality or 'not used'}",
        f"seed {request.seed}",
    ]
    return "; ".join(parts)


def compare_with_rank(rows: Sequence[Row], quality: np.ndarray, ids: Sequence[str]) -> str:
    """How much of a choice rank alone would have chosen: published results are called cluster and rank."""
    best = budgets.rank(rows, lambda i: float(quality[i]))[: len(ids)]
    shared = len({rows[i].id for i in best} & {*ids})
    jaccard = diagnostics.compute_jaccard(ids, [rows[i].id for i in best])
    return (
        f"rank alone, without clusters, keeps {shared:,} of these {len(ids):,} rows (Jaccard {jaccard:.3f}); "
        f"--set per_cluster=0 is rank alone, --set top=0 clusters alone"
    )
