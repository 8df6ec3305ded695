"""Select among N solutions and say what it is worth: curves for every N, intervals, comparisons with majority.

Reads   data/samples/{dev,test,test_greedy,test_options,ood,aime}.parquet, data/scores/{dev,test,ood,aime}.parquet and
        their problems, data/{samples,scores}/metrics.json, data/generator/prompt.json
Writes  data/best_of_n/{metrics.json, table.md, curve.csv, curve.png, compute.md, compute.png, reliability.png} in
        distribution, {matrix.md, matrix.csv, matrix.png} out of it

The idea: one pool of N solutions gives the expected accuracy at every k <= N without drawing again. pass@k, best-of-k
and majority are exact with ties split evenly; weighted and top votes are Monte Carlo below N, error stated. Whatever
is chosen (power of the weight, share of a top vote, best free baseline, k*) is chosen on dev; what is printed is test.

Sources: Cobbe et al. 2021 (arXiv 2110.14168, best-of-N and top votes), Wang et al. 2022 (2203.11171, majority),
Li et al. 2022 (2206.02336, weighted votes).

    python -m stages.evaluation.best_of_n
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from stages.lib.core import files, records
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params as Section
from stages.lib.datasets import eval_sets
from stages.lib.display import charts
from stages.lib.labels import first_error
from stages.lib.metrics import ranking
from stages.lib.models import prompts
from stages.lib.reports import auc_table, curves, inference_cost, leaderboard, matrix, pools, vote_settings
from stages.lib.run import execution

SINGLE_SAMPLE_METHODS = ("greedy", "options")  # ways to give one solution


class Params(Section):
    draws: int = Field(ge=2)  # random subsets per problem and k, where there is no closed form
    resamples: int = Field(ge=100)  # bootstrap resamples of the problems
    vote_powers: list[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        min_length=1
    )  # weight = score ** power; one is chosen on dev
    top_vote_shares: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        min_length=1
    )  # share of k that votes; one is chosen on dev


def main() -> None:
    execution.run_stage("best_of_n", Params, body)


def body(run: execution.StageRun[Params]) -> dict[str, Any]:
    if not run.is_main:
        return {}
    dev, test = _load_pools(run, "dev"), _load_pools(run, "test")
    for split, pools_, use in (("dev", dev, "chosen on"), ("test", test, "reported")):
        if not pools_:
            raise UserError(
                f"data/benchmarks/{split}.jsonl: no problems, so nothing can be {use}; raise benchmarks.sizes.{split}, "
                f"benchmarks.shares.{split} or benchmarks.max_question_chars"
            )
    chosen = curves.choose(dev, run.params.vote_powers, run.params.top_vote_shares, run.seed)
    k = curves.median_k(test)
    found = evaluate_single_samples(run) | curves.evaluate(test, chosen, run.params.draws, run.seed)
    results = curves.compute_intervals(found, run.seed, run.params.resamples)
    on_dev = curves.evaluate(dev, chosen, run.params.draws, run.seed)
    free = leaderboard.select_best_free(on_dev, k)
    differences = leaderboard.compare_to("majority", found, k, run.seed)
    over_free = leaderboard.compare_to(free, found, k, run.seed)
    turns = leaderboard.measure_overoptimisation(on_dev, found, k, run.seed)
    areas = auc_table.measure(dev, test, run.seed, run.params.resamples)

    rows = leaderboard.format_rows(results, differences, leaderboard.order_methods(found, free), k, over_free)
    title = f"Best of N: {len(test)} test problems, N = {k}"
    notes = [
        *leaderboard.write_notes(chosen, test, turns, free),
        "Peaks were found on dev; the fall is measured on test.",
    ]
    tables = {
        title: (leaderboard.HEADER + leaderboard.OVER_FREE_HEADER, rows),
        auc_table.format_heading(areas): (auc_table.HEADER, auc_table.format_rows(areas)),
        "Weighted votes on dev, accuracy %, and how the other powers differ from the chosen one (± standard error)": vote_settings.format_table(
            chosen, "powers"
        ),
        "Top votes on dev, likewise": vote_settings.format_table(chosen, "shares"),
    }
    files.write_text(run.out_dir / "table.md", charts.format_report(tables, notes))
    charts.write_csv(run.out_dir / "curve.csv", results)
    charts.plot_curves(run.out_dir / "curve.png", results, leaderboard.select_plotted_methods(results), title)
    for heading, table in tables.items():
        charts.print_table(heading, *table)
    print(charts.format_bullets(notes))
    price = write_cost_report(run, results, on_dev)
    plot_reliability(run, test)
    shifted = write_transfer_report(run, test, chosen)
    return {
        "n": k,
        "problems": len(test),
        "pass_1": {part: results["pass"][1][part] for part in ("mean", "low", "high")},
        "at_n": {
            method: {part: number for part, number in curve[found[method].floor_k(k)].items() if part != "problems"}
            for method, curve in results.items()
        },
        "versus_majority": differences,
        "versus_free": over_free,
        "power_1": evaluate_unit_power(run, test, k, found["majority"]),
        "auc": areas,
        "turning": turns,
        "chosen_on_dev": {name: {"power": each.power, "share": each.share} for name, each in chosen.items()},
        "cost": price,
        "matrix": shifted,
        "first_error": measure_first_errors(run),
    }


def evaluate_unit_power(
    run: execution.StageRun[Params], test: list[pools.Pool], k: int, majority: curves.Curve
) -> dict[str, dict[str, float]]:
    """{score: {mean, difference, low, high, ...}}: the weighted vote at power 1, where nothing was chosen."""
    import numpy as np

    votes = {
        name: curves.compute_weighted_curve(test, name, 1.0, [k], run.params.draws, run.seed)
        for name in sorted(test[0].scores)
    }
    gaps = leaderboard.compare_to("majority", {"majority": majority} | votes, k, run.seed)
    return {name: {"mean": float(np.nanmean(vote.accuracy_at(k)))} | gaps[name] for name, vote in votes.items()}


def write_cost_report(
    run: execution.StageRun[Params], results: dict[str, Any], dev: dict[str, curves.Curve]
) -> dict[str, float]:
    """Write accuracy against compute, table and picture; what drawing and judging one solution costs, in
    floating-point operations. dev: which of the methods that cost no more than drawing is best is decided there."""
    samples = records.read_samples(run.input_path("samples", "test.parquet"))
    scores = records.read_scores(run.input_path("scores", "test.parquet"))
    sizes = {
        name: json.loads(run.input_path(name, "metrics.json").read_text("utf-8")) for name in ("samples", "scores")
    }
    verifiers = {name: own["parameters"] for name, own in sizes["scores"].items()}
    cost = inference_cost.count_flops(samples, scores, sizes["samples"]["parameters"], verifiers)
    methods = [
        name
        for name in leaderboard.order_methods(results)
        if not name.startswith("top_") and name not in SINGLE_SAMPLE_METHODS
    ]
    budgets = [2**i for i in range(max(results["majority"]).bit_length())]
    header, rows = inference_cost.format_table(results, methods, cost, budgets)
    title = f"What the price of drawing so many solutions buys; one costs {cost['draw']:.3g} floating-point operations."
    notes = inference_cost.write_notes(results, dev, methods, cost)
    files.write_text(run.out_dir / "compute.md", charts.format_report({title: (header, rows)}, notes))
    charts.plot_curves(
        run.out_dir / "compute.png",
        results,
        leaderboard.select_plotted_methods(results),
        "Accuracy at equal compute",
        lambda method: inference_cost.cost_per_sample(method, cost),
        "compute per problem, in solutions drawn",
    )
    return cost


def plot_reliability(run: execution.StageRun[Params], test: list[pools.Pool]) -> None:
    """Draw each verifier's reliability on the test set."""
    import numpy as np

    correct = np.concatenate([pool.correct for pool in test]) > 0
    names = [name for name in test[0].scores if name not in pools.LIKELIHOOD_SCORES]
    names.sort(key=lambda name: (name in pools.UNTRAINED_VERIFIERS, name))
    found = {name: ranking.reliability_bins(np.concatenate([p.scores[name] for p in test]), correct) for name in names}
    charts.plot_reliability(run.out_dir / "reliability.png", found, "Reliability on the test set")


def measure_first_errors(run: execution.StageRun[Params]) -> dict[str, Any]:
    """Where the process verifier sees the first wrong step, against the truth: threshold from dev, measured elsewhere."""
    dev, reported = [], {}
    split = prompts.Prompt.read(run.input_path("generator", "prompt.json")).split_steps
    for name in eval_sets.SCORED:
        problems = {problem.id: problem for problem in eval_sets.load_problems(run, name)}
        scores = [s for s in records.read_scores(run.input_path("scores", f"{name}.parquet")) if s.verifier == "prm"]
        samples = records.read_samples(run.input_path("samples", f"{name}.parquet"))
        if name == "dev":
            dev = first_error.collect_cases(problems, samples, scores, split)
            continue
        groups: dict[str, list[Any]] = {}
        for sample in samples:
            groups.setdefault(eval_sets.get_group_name(problems[sample.problem_id]), []).append(sample)
        reported |= {group: first_error.collect_cases(problems, own, scores, split) for group, own in groups.items()}
    return first_error.measure(dev, reported)


def write_transfer_report(
    run: execution.StageRun[Params], test: list[pools.Pool], choices: dict[str, curves.VoteSettings]
) -> dict[str, Any]:
    """Write the matrix: every method on the test set, on every group out of distribution that is large enough, and over
    all groups."""
    groups: dict[str, list[pools.Pool]] = {}
    unsolvable, parents = set(), {}
    for name, known in [("test", test), *((name, _load_pools(run, name)) for name in eval_sets.OOD)]:
        for problem, pool in zip(eval_sets.load_problems(run, name), known, strict=True):
            groups.setdefault(eval_sets.get_group_name(problem), []).append(pool)
            if problem.contract == "unsolvable":
                unsolvable.add(problem.id)
            if problem.parent:
                parents[problem.id] = problem.parent
    found = matrix.compare(groups, choices, run.params.draws, run.seed, unsolvable, parents)
    verifiers = [name for name in test[0].scores if name not in pools.TRAINING_FREE]
    title = f"Out of distribution, N = {found[0].n}: what the verifiers' weighted votes gain on majority"
    tables = {
        title: matrix.tabulate_gains(found, verifiers),
        "Gap: the gain in distribution minus the gain out of it": matrix.tabulate_gaps(found, verifiers),
        "Drop: from problems to their variants": matrix.tabulate_drops(found),
        "AUC: how well scores rank the solutions of a problem": matrix.tabulate_aucs(found, verifiers),
        "Balanced accuracies and their parts": matrix.tabulate_parts(found, verifiers),
    }
    tables = {name: table for name, table in tables.items() if table[1]}
    notes = matrix.write_notes(found, verifiers, matrix.find_small_groups(groups))
    files.write_text(run.out_dir / "matrix.md", charts.format_report(tables, notes))
    files.write_text(run.out_dir / "matrix.csv", matrix.format_csv(found))
    charts.plot_gains(run.out_dir / "matrix.png", found, verifiers, title)
    for name, table in tables.items():
        charts.print_table(name, *table)
    print(charts.format_bullets(notes))
    shown: dict[str, Any] = {}
    for cell in found:
        own = shown.setdefault(cell.group, {})
        own[cell.method] = cell.accuracy
        if cell.solvable is not None:
            own[f"{cell.method}_solvable"], own[f"{cell.method}_unsolvable"] = cell.solvable, cell.unsolvable
        if cell.group in matrix.POOLED_GROUPS and cell.gain is not None:
            own[f"{cell.method}_gain"] = {"mean": cell.gain, "low": cell.gain_low, "high": cell.gain_high}
            own[f"{cell.method}_gap"] = {"mean": cell.gap, "low": cell.gap_low, "high": cell.gap_high}
    return shown


def _load_pools(run: execution.StageRun[Params], split: str) -> list[pools.Pool]:
    return pools.from_records(
        eval_sets.load_problems(run, split),
        records.read_samples(run.input_path("samples", f"{split}.parquet")),
        records.read_scores(run.input_path("scores", f"{split}.parquet")),
    )


def evaluate_single_samples(run: execution.StageRun[Params]) -> dict[str, curves.Curve]:
    """One solution per problem, problems in the order of the pools: at temperature 0, and of multiple choice the option
    whose letter is likeliest."""
    import numpy as np

    problems, found = records.read_problems(run.input_path("benchmarks", "test.jsonl")), {}
    for name in SINGLE_SAMPLE_METHODS:
        samples = records.read_samples(run.input_path("samples", f"test_{name}.parquet"))
        if len(samples) == len(problems):
            right = {sample.problem_id: float(bool(sample.correct and sample.finish == "stop")) for sample in samples}
            values = np.array([[right[problem.id]] for problem in problems])
            found[name] = curves.Curve(np.array([1]), values, np.zeros(1))
    return found


if __name__ == "__main__":
    main()
