"""How the stage chooses: what a method of lib/selection needs is computed, and its choice or a random one returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.params import to_plain
from stages.lib.core.records import explain_error
from stages.lib.run.execution import StageRun
from stages.lib.selection import diagnostics, embeddings
from stages.lib.selection.methods import METHODS, Method, adversarial, random_rows, uncertain_and_good
from stages.lib.selection.pair_accuracy import PairAccuracy
from stages.lib.selection.rows import Budget, Choice, Labelled, Row, Values
from stages.problems.selection import faults, quality
from stages.problems.selection.pool import Member, make_row
from stages.problems.selection.section import BudgetParams, Params, PlantedParams


class Chosen(NamedTuple):
    """choices: what is kept, in the order of the choice. stability: the mean Jaccard index of the choices of this and
    `stability_seeds` further seeds, None without any; pool, embeddings and qualities stay, so a method that draws nothing
    has 1. accuracies: of the model of quality, as `Quality` has them. audit: of method adversarial."""

    choices: list[Choice]
    stability: float | None = None
    accuracies: Mapping[str, PairAccuracy] = {}
    audit: adversarial.Audit | None = None


def choose(run: StageRun[Params], members: Sequence[Member]) -> Chosen:
    """What the parameters choose. Raises UserError for settings that the method does not have, and for what it refuses."""
    section, method = run.params, METHODS[run.params.method]
    kept = [Choice(member.problem.id, "existing") for member in members if member.origin in section.existing]
    existing = [make_row(member) for member in members if member.origin in section.existing]
    rows = [make_row(member) for member in members if member.origin not in section.existing]
    if not rows:
        return Chosen(kept)
    try:
        settings = method.params.model_validate(to_plain(section.settings))
    except ValidationError as error:
        raise UserError(f"selection.settings: {explain_error(error)}; method {section.method} has no other") from None
    budget = Budget() if section.method == "all" else compute_budget(section.budget, rows)
    needs = method.list_needs(settings)
    vectors = embed(run, method, existing + rows)
    is_judged = "quality" in needs or ("quality" in method.needs and section.quality != "none")
    labelled, judge = None, quality.load(run) if is_judged else None
    if existing and vectors is not None:
        labelled = Labelled(existing, vectors[: len(existing)])
    elif isinstance(settings, uncertain_and_good.Params):
        assert judge, "the method needs it"
        labelled = label_dev(run, judge)
        uncertain_and_good.choose_threshold(labelled, settings)  # where there is none, it is said before rows are read
    if "labelled" in needs and labelled is None:
        raise UserError(
            f"selection.existing: empty, but method {section.method} compares with existing problems; name some"
        )
    values = Values(judge and judge.score(rows), compute_uncertainty(run, method, settings, rows))
    own = None if vectors is None else vectors[len(existing) :]

    def select(seed: int) -> tuple[list[Choice], adversarial.Audit | None]:
        audit = None
        if isinstance(settings, adversarial.Params) and own is not None:
            audit = adversarial.measure(rows, own, labelled, seed, settings)
            choices = adversarial.choose(rows, audit, budget)
        else:
            choices = method.select(rows, own, budget, labelled, seed, settings, values)
        if section.control == "none":
            return choices, audit
        chosen = {choice.id for choice in choices}
        tokens = sum(row.tokens for row in rows if row.id in chosen)
        size = Budget(items=len(chosen)) if section.control == "items" else Budget(tokens=tokens)
        return random_rows.select(rows, None, size, None, seed), audit

    choices, audit = select(run.seed)
    others = [select(run.seed + 1 + i)[0] for i in range(section.stability_seeds)]
    sets = [{choice.id for choice in choice_list} for choice_list in (choices, *others)]
    return Chosen(kept + choices, diagnostics.compute_stability(sets), judge.accuracies if judge else {}, audit)


def compute_budget(section: BudgetParams, rows: Sequence[Row]) -> Budget:
    """The budget in items or tokens; a share of both is rounded, and at least 1."""
    total = len(rows) if section.by == "items" else sum(row.tokens for row in rows)
    amount = section.number or max(1, round((section.share or 1.0) * total))
    return Budget(items=amount) if section.by == "items" else Budget(tokens=amount)


def embed(run: StageRun[Params], method: Method, rows: Sequence[Row]) -> np.ndarray | None:
    """(rows, width), or None where the method looks at no embedding."""
    if "embeddings" not in method.needs:
        return None
    section = run.params
    return embeddings.embed(section.embedding, rows, run.seed, run.root / section.model, "auto", run.track_progress)


def compute_uncertainty(run: StageRun[Params], method: Method, settings: Any, rows: Sequence[Row]) -> np.ndarray | None:
    """Uncertainties where the method needs them."""
    if "uncertainty" not in method.needs:
        return None
    from stages.lib.selection import perplexity

    return perplexity.load_meter(run.root / run.params.model, settings.measure)(rows, run.track_progress)


def label_dev(run: StageRun[Params], judge: quality.Quality) -> Labelled:
    """The solutions of dev, every second one with a fault, and which of them are good."""
    problems = records.read_problems(run.input_path("benchmarks", "dev.jsonl"))
    members = [Member(problem, "benchmarks", 0) for problem in problems]
    third = 0.5 / len(faults.NOISE)
    planted = faults.plant(members, PlantedParams(duplicates=0.0, **dict.fromkeys(faults.NOISE, third)), run.seed)
    rows = [make_row(member) for member in planted]
    return Labelled(rows, None, judge.score(rows), np.array([member.fault is None for member in planted]))
