"""Stage selection: the problems that the generator learns from, and those that the verifiers are made with.

Reads   data/benchmarks/{train,verifier}.jsonl, data/{aime,ood}/train.jsonl, data/augmentation/{train,verifier}.jsonl, for
        a threshold on quality data/benchmarks/dev.jsonl, and the model folder `model`: to count tokens, for `embedding:
        hidden` and for uncertainty
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

from typing import TYPE_CHECKING, Any

from stages.lib.run.execution import StageRun, run_stage
from stages.problems.selection.section import Params

if TYPE_CHECKING:
    from collections.abc import Callable

    from stages.lib.core.records import Problem


def body(run: StageRun[Params]) -> dict[str, Any]:
    if not run.is_main:
        return {}
    from stages.lib.core import files, records
    from stages.lib.core.errors import UserError
    from stages.problems.selection import choice, faults, pool, report

    section = run.params
    members = faults.plant(pool.read_pool(run, load_token_counter(run)), section.planted, run.seed)
    result = choice.choose(run, members)
    if members and not result.choices:
        raise UserError(f"selection.method: {section.method} chose none of {len(members)} problems; raise the budget")
    chosen = {choice.id for choice in result.choices}
    kept = [member for member in members if member.problem.id in chosen]
    verifier = [
        problem
        for stage in ("benchmarks", "augmentation")
        for problem in records.read_problems(run.input_path(stage, "verifier.jsonl"))
    ]
    records.write_problems(run.out_dir / "train.jsonl", (member.problem for member in kept), keep_order=True)
    records.write_problems(run.out_dir / "verifier.jsonl", verifier, keep_order=True)
    report.write_selected(run.out_dir / "selected.jsonl", result.choices, members, section.method)
    figures = report.compute_figures(members, kept, result)
    files.write_json(run.out_dir / "report.json", figures)
    files.write_text(run.out_dir / "report.md", report.format_report(figures, section.method, section.control))
    return {**report.pick_metrics(figures), "verifier": len(verifier)}


def load_token_counter(run: StageRun[Params]) -> Callable[[Problem], int]:
    """The tokens that the solution of a problem is trained on. Raises UserError where `model` is no folder."""
    from stages.lib.core.errors import UserError
    from stages.lib.models.encoding import Encoder
    from stages.lib.training import sft

    folder = run.root / run.params.model
    if not folder.is_dir():
        raise UserError(f"selection.model: {run.params.model} is not a folder; name one with a saved model")
    encoder = Encoder.load(folder)

    def count(problem: Problem) -> int:
        return round(sum(sft.make_sft_example(encoder, problem).lm_weight)) if sft.get_steps(problem) else 0

    return count


def main() -> None:
    run_stage("selection", Params, body)


if __name__ == "__main__":
    main()
