"""Best-of-N: accuracy of every selection method for every k up to N, with intervals and comparisons with majority.

Reads   data/samples/{dev,test,test_greedy,test_options,ood,aime}.parquet, data/scores/{dev,test,ood,aime}.parquet and
        their problems, data/{samples,scores}/results.json, data/generator/prompt.json
Writes  data/best_of_n/{table.md, curve.csv, curve.png, compute.md, compute.png, reliability.png} in distribution,
        {matrix.md, matrix.csv, matrix.png, doses.png, pairs.csv} out of it, results.json with all figures, metrics.json
        with the headline, problems.csv with every method's accuracy on every problem, for `python -m stages seeds`

One pool of N solutions gives the expected accuracy at every k <= N without drawing again. pass@k, best-of-k and majority
are exact, with ties split evenly; weighted and top votes are Monte Carlo below N, with their standard error. Everything
that is chosen (power of the weights, share of a top vote, best baseline without training, k*, threshold of first errors)
is chosen on dev; everything that is reported is measured on test.

Sources: Cobbe et al. 2021 (arXiv 2110.14168, best-of-N and top votes), Wang et al. 2022 (2203.11171, majority),
Li et al. 2022 (2206.02336, weighted votes).

    python -m stages.evaluation.best_of_n
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from stages.lib.core.params import Params as Section
from stages.lib.run import execution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stages.lib.reports.evaluation import Evaluation
    from stages.lib.reports.in_distribution import Results
    from stages.lib.reports.matrix import Row
    from stages.lib.reports.vote_settings import VoteSettings


class Params(Section):
    draws: int = Field(ge=2, le=100_000)  # random subsets per problem and k, where there is no closed form
    resamples: int = Field(ge=100, le=1_000_000)  # bootstrap resamples of the problems
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
    from stages.lib.core import files
    from stages.lib.reports import evaluation, headline, in_distribution

    data = evaluation.load(run)
    p = run.params
    results = in_distribution.compute(data, p.vote_powers, p.top_vote_shares, p.draws, p.resamples, run.seed)
    rows = measure_rows(run, data, results.settings)
    write_report(run, data, results)
    write_problem_accuracies(run, data, rows, results)
    figures = results.to_metrics() | {
        "problems": len(data.test),
        "cost": write_cost_report(run, data, results),
        **write_transfer_report(run, data, rows, results),
        "first_error": measure_first_errors(run, data),
    }
    files.write_json(run.out_dir / "results.json", figures)
    for k, accuracies in headline.iter_curves(results.intervals, results.best_free, data.trained_verifiers):
        run.log(k, **accuracies)
    return headline.select(figures, data.trained_verifiers)


def write_report(run: execution.StageRun[Params], data: Evaluation, results: Results) -> None:
    """In distribution: table.md, curve.csv, curve.png and reliability.png."""
    from stages.lib.core import files
    from stages.lib.display import charts, tables, terminal
    from stages.lib.reports import curves, ensembles, in_distribution, leaderboard

    report, notes = in_distribution.tabulate(results, data.test)
    notes += ensembles.write_notes(data.ensembles)
    files.write_text(run.out_dir / "table.md", tables.format_report(report, notes))
    files.write_text(run.out_dir / "curve.csv", curves.to_csv(results.intervals))
    methods = leaderboard.select_plotted_methods(results.intervals, results.likelihood)
    title = next(iter(report))
    charts.plot_curves(run.out_dir / "curve.png", results.intervals, methods, title)
    bins = in_distribution.compute_reliability(data)
    charts.plot_reliability(run.out_dir / "reliability.png", bins, "Reliability on the test set")
    terminal.print_headline(report, "data/best_of_n/table.md")


def write_cost_report(run: execution.StageRun[Params], data: Evaluation, results: Results) -> dict[str, float]:
    """Accuracy at equal compute: compute.md and compute.png. Returns what drawing and judging one solution cost."""
    from stages.lib.core import files
    from stages.lib.display import charts, tables
    from stages.lib.reports import inference_cost, leaderboard

    sizes = {x: json.loads(run.input_path(x, "results.json").read_text("utf-8")) for x in ("samples", "scores")}
    verifiers = {name: entry["parameters"] for name, entry in sizes["scores"].items()}
    test = data.sets["test"]
    cost = inference_cost.count_flops(test.samples, test.scores, sizes["samples"]["parameters"], verifiers)
    cost |= {x.name: sum(cost[name] for name in x.verifiers) for x in data.ensembles}
    report, notes = inference_cost.tabulate(results.intervals, results.dev_curves, cost)
    files.write_text(run.out_dir / "compute.md", tables.format_report(report, notes))
    charts.plot_curves(
        run.out_dir / "compute.png",
        results.intervals,
        leaderboard.select_plotted_methods(results.intervals, results.likelihood),
        "Accuracy at equal compute",
        lambda method: inference_cost.cost_per_sample(method, cost),
        "compute per problem, in solutions drawn",
    )
    return cost


def measure_rows(run: execution.StageRun[Params], data: Evaluation, settings: Mapping[str, VoteSettings]) -> list[Row]:
    """Every method on the test set and on every group out of distribution."""
    from stages.lib.reports import matrix

    problems = data.reported_problems()
    unsolvable = {problem.id for problem in problems if problem.contract == "unsolvable"}
    answers = {problem.id: problem.answer for problem in problems}
    return matrix.measure(data.group_pools(), settings, run.params.draws, run.seed, unsolvable, answers)


def write_problem_accuracies(
    run: execution.StageRun[Params], data: Evaluation, rows: Sequence[Row], results: Results
) -> None:
    """Every method on every problem: problems.csv."""
    from stages.lib.core import files
    from stages.lib.reports import problem_accuracies

    text = problem_accuracies.to_csv(rows, data.map_parents(), results)
    files.write_text(run.out_dir / "problems.csv", text)


def write_transfer_report(
    run: execution.StageRun[Params], data: Evaluation, rows: Sequence[Row], results: Results | None = None
) -> dict[str, Any]:
    """The rows that are large enough, and all together: matrix.md, matrix.csv, matrix.png, doses.png and pairs.csv.

    Returns the metrics `matrix`, `sets` and `ensemble_versus_single_ood`."""
    from stages.lib.core import files
    from stages.lib.display import charts, tables, terminal
    from stages.lib.reports import leaderboard, matrix, matrix_tables, pools, verifier_pairs

    likelihood, versus_single = results and results.likelihood, None
    parents = data.map_parents()
    cells = matrix.compare(rows, run.seed, parents)
    report = matrix_tables.tabulate(cells, data.trained_verifiers, likelihood)
    notes = matrix_tables.write_notes(cells, data.trained_verifiers, matrix.find_small_groups(data.group_pools()))
    votes = [f"weighted_{name}" for name in data.trained_verifiers]
    pairs = verifier_pairs.compare(rows, votes, run.seed, parents)
    files.write_text(run.out_dir / "pairs.csv", verifier_pairs.to_csv(pairs))
    if pairs:
        report[f"Weighted votes of the verifiers against each other, N = {cells[0].n}, in points"] = (
            verifier_pairs.tabulate(pairs)
        )
    if results and results.single and results.versus_single and rows[1:]:
        vote, scope = leaderboard.ENSEMBLE_VOTE, f"out of distribution, N = {cells[0].n}"
        shifted = matrix.concatenate("", rows[1:])
        versus_single = matrix.compare_methods(shifted, vote, results.single, run.seed, parents)._asdict()
        notes.append(leaderboard.format_versus_single(versus_single, results.single, scope))
    files.write_text(run.out_dir / "matrix.md", tables.format_report(report, notes))
    files.write_text(run.out_dir / "matrix.csv", matrix_tables.to_csv(cells))
    plotted = [name for name in data.trained_verifiers if name != pools.FREE_ENSEMBLE]
    methods = [f"weighted_{name}" for name in plotted] + ([likelihood] if likelihood else [])
    title = f"Out of distribution, N = {cells[0].n}: gain on majority"
    charts.plot_gains(run.out_dir / "matrix.png", cells, methods, title)
    charts.plot_doses(run.out_dir / "doses.png", cells, methods)
    terminal.print_headline(report, "data/best_of_n/matrix.md")
    return {
        "matrix": matrix_tables.to_metrics(cells),
        "sets": matrix.count_sets(cells),
        "ensemble_versus_single_ood": versus_single,
    }


def measure_first_errors(run: execution.StageRun[Params], data: Evaluation) -> dict[str, Any]:
    """How well the process verifier locates the first wrong step; threshold from dev, measured on the other sets."""
    from stages.lib.labels import first_error
    from stages.lib.models.prompts import Prompt

    split = Prompt.read(run.input_path("generator", "prompt.json")).split_steps
    cases = {
        group: first_error.collect_cases(problems, samples, scores, split)
        for group, problems, samples, scores in data.group_samples("prm")
    }
    return first_error.measure(cases.pop("dev"), cases)


if __name__ == "__main__":
    main()
