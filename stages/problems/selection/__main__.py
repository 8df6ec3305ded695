"""Stage selection: the problems that the generator learns from, and those that the verifiers are made with.

Reads   data/benchmarks/{train,verifier}.jsonl, data/{aime,ood}/train.jsonl, data/augmentation/{train,verifier}.jsonl, and
        for tokens, `embedding: hidden` and the method uncertainty the model folder `model`
Writes  data/selection/{train.jsonl, verifier.jsonl, selected.jsonl, report.md, report.json}

The pool is the benchmark's train problems, then competition problems, problems from random graphs and new problems, as many
of each as the parameters say. A `method` (lib/selection) chooses from it within a `budget`; `all` keeps it as it is.
train.jsonl has what was chosen in the order of the pool, selected.jsonl in the order of the choice with a reason for each.
What the verifiers are made with is not chosen: the benchmark's verifier problems, then the new ones.

Two controls show what a gain is worth. `replay` puts copies of train problems in place of the new ones, `control` random
rows in place of the chosen ones: as many, or as many tokens. `planted` puts faults into the pool, and the report says how
many of them a method kept. That selection is hard to tell from a random choice is known (arXiv 2410.09335).

    python -m stages.problems.selection
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from stages.lib.core import params
from stages.lib.run.execution import StageRun, run_stage
from stages.problems.selection.pool import JoinParams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stages.lib.core.records import Problem
    from stages.lib.selection.rows import Choice
    from stages.problems.selection.pool import Member


class BudgetParams(params.Params):
    """How much of the pool is chosen: a share of it, or a number, counted in problems or in tokens of solutions."""

    by: Literal["items", "tokens"]  # what is counted: problems, or tokens of their solutions
    share: float | None = Field(None, gt=0, le=1)  # of the pool; or number
    number: int | None = Field(None, ge=1)  # of problems or tokens; or share

    @model_validator(mode="after")
    def _check_one(self) -> BudgetParams:
        if (self.share is None) == (self.number is None):
            raise ValueError("budget must have a share or a number, and not both")
        return self


class Params(JoinParams):
    planted: PlantedParams  # shares of the pool that get a fault, to see how many of them a method keeps
    method: MethodName  # how problems are chosen; all: every one
    settings: dict[str, Any]  # of the method: lib/selection/methods
    budget: BudgetParams  # how much is chosen
    existing: list[
        Literal["benchmarks", "aime", "ood", "augmentation"]
    ]  # kept whole; the method chooses among the others
    embedding: Literal[
        "tfidf", "hidden", "minilm"
    ]  # of methods that look at rows: words, the model's last layer, an encoder
    quality: Literal["none", "length"]  # of methods that rank by it
    model: str  # a model folder: its tokenizer counts tokens, and it reads rows where embedding or method want a model
    control: Literal["none", "items", "tokens"]  # random rows in place of the chosen: as many, or as many tokens


def body(run: StageRun[Params]) -> dict[str, Any]:
    if not run.is_main:
        return {}
    from stages.lib.core import files, records
    from stages.lib.core.errors import UserError
    from stages.problems.selection import faults, pool, report

    section = run.params
    members = pool.read_pool(run, section, load_token_counter(run.root / section.model))
    members = faults.plant(members, section.planted, run.seed)
    choices = choose(run, members)
    if members and not choices:
        raise UserError(f"selection.method: {section.method} chose none of {len(members)} problems; raise the budget")
    chosen = {choice.id for choice in choices}
    kept = [member for member in members if member.problem.id in chosen]
    verifier = [
        problem
        for stage in ("benchmarks", "augmentation")
        for problem in records.read_problems(run.input_path(stage, "verifier.jsonl"))
    ]
    records.write_problems(run.out_dir / "train.jsonl", (member.problem for member in kept), keep_order=True)
    records.write_problems(run.out_dir / "verifier.jsonl", verifier, keep_order=True)
    report.write_selected(run.out_dir / "selected.jsonl", choices, members, section.method)
    figures = report.compute_figures(members, kept)
    files.write_json(run.out_dir / "report.json", figures)
    files.write_text(run.out_dir / "report.md", report.format_report(figures, section))
    return {**report.pick_metrics(figures), "verifier": len(verifier)}


def load_token_counter(folder: Path) -> Callable[[Problem], int]:
    """The tokens that a problem's solution is trained on. Raises UserError for a folder without a tokenizer."""
    from stages.lib.core.errors import UserError
    from stages.lib.models.encoding import Encoder
    from stages.lib.training import sft

    if not folder.is_dir():
        raise UserError(f"selection.model: {folder} is not a folder; name one with a saved model")
    encoder = Encoder.load(folder)

    def count(problem: Problem) -> int:
        return int(sum(sft.make_sft_example(encoder, problem).lm_weight)) if sft.get_steps(problem) else 0

    return count
