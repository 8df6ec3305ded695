"""`python -m stages best-of-n POOL.jsonl --out DIR`: evaluate any pool of solutions, of this project or another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.reports.pools import ScoreKind


def best_of_n(
    pool: Annotated[
        Path,
        typer.Argument(
            help='JSONL: {"problem_id", "gold", "answer_type"?, "scales": {score: '
            'probability, log-probability or logit}, "samples": [{"answer", or '
            '"text" to extract it from, "correct"? (needed for code), '
            '"scores": {name: number}}]}'
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, table.md, curve.csv, curve.png.")],
    scale: Annotated[
        list[str] | None, typer.Option(help="SCORE=probability, log-probability or logit, where the rows do not.")
    ] = None,
    power: Annotated[
        float, typer.Option(min=0, help="Weight of a vote = score ** power; 0 is a plain majority.")
    ] = 1.0,
    top_share: Annotated[float, typer.Option(min=0, max=1, help="Share of k that a top vote keeps.")] = 0.25,
    draws: Annotated[int, typer.Option(min=2, max=100_000, help="Random subsets where there is no closed form.")] = 200,
    resamples: Annotated[int, typer.Option(min=100, max=1_000_000, help="Bootstrap resamples of the problems.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of subsets and resamples.")] = 42,
) -> None:
    """Compute the accuracy of every selection method for every k up to N, with intervals, from one pool of solutions."""
    from stages.lib.core import files
    from stages.lib.display import charts, tables, terminal
    from stages.lib.reports import curves, leaderboard, pool_results, pools

    check_power(power)
    if not top_share:
        raise UserError("--top-share 0: keeps no solution; must be above 0 and at most 1")
    files.check_output("--out", out, is_folder=True)
    problems = pools.read(pool, parse_scales(scale or []))
    largest = max(problem.size for problem in problems)
    k, settings, by_method, results, gains = pool_results.compute(problems, power, top_share, draws, resamples, seed)
    rows = leaderboard.format_rows(results, gains, leaderboard.order_methods(by_method), k)
    title = f"{pool.stem}: {len(problems)} problems, " + (f"N = {k}" if k == largest else f"up to {largest} solutions")
    report = {title: (leaderboard.HEADER, rows)}
    peaks = leaderboard.measure_overoptimisation(by_method, by_method, k, seed)
    notes = leaderboard.write_notes(settings, problems, peaks)
    if settings:
        notes.append("Peaks were found on these same problems, so the fall from them is an overestimate.")
    files.write_json(out / "metrics.json", results)
    files.write_text(out / "table.md", tables.format_report(report, notes))
    files.write_text(out / "curve.csv", curves.to_csv(results))
    unit = "k, solutions drawn per problem" + (", over the problems that have k" if k < largest else "")
    charts.plot_curves(out / "curve.png", results, leaderboard.select_plotted_methods(results), title, unit=unit)
    terminal.print_report(report, notes)


def check_power(power: float) -> None:
    if not power < float("inf"):
        raise UserError(f"--power {power}: must be a finite number, 0 or more")


def parse_scales(options: list[str]) -> dict[str, ScoreKind]:
    """{score: scale} of `SCORE=SCALE`. Raises UserError for anything else."""
    from stages.lib.reports import pools

    scales: dict[str, ScoreKind] = {}
    for option in options:
        name, _, text = option.rpartition("=")
        kind = next((kind for kind in get_args(pools.ScoreKind) if kind == text), None)
        if not name or kind is None:
            raise UserError(f"--scale {option}: must be SCORE=SCALE, the scale one of {pools.SCORE_KINDS}")
        if scales.setdefault(name, kind) != kind:
            raise UserError(f"--scale {option}: {name} was given the scale {scales[name]} before")
    return scales
