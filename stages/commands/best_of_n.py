"""`python -m stages best-of-n POOL.jsonl --out DIR`: evaluate a pool that this project did not make."""

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
    out: Annotated[Path, typer.Option(help="folder for metrics.json, table.md, curve.csv, curve.png")],
    scale: Annotated[
        list[str] | None, typer.Option(help="SCORE=probability, log-probability or logit, where rows do not say it")
    ] = None,
    power: Annotated[float, typer.Option(min=0, help="weight of a vote = score ** power; 0: plain majority")] = 1.0,
    top_share: Annotated[float, typer.Option(min=0, max=1, help="share of k that a top vote keeps")] = 0.25,
    draws: Annotated[int, typer.Option(min=2, help="random subsets where there is no closed form")] = 200,
    resamples: Annotated[int, typer.Option(min=100, help="bootstrap resamples of the problems")] = 2000,
    seed: Annotated[int, typer.Option(help="for subsets and resamples")] = 42,
) -> None:
    """Accuracy of every selection method at every k up to N, with intervals, from one pool of solutions."""
    from stages.lib.core import files
    from stages.lib.display import charts
    from stages.lib.reports import curves, leaderboard, pools
    from stages.lib.reports.vote_settings import VoteSettings

    if not power < float("inf"):
        raise UserError(f"--power {power}: must be a finite number, 0 or more")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; name a folder")
    read = pools.read(pool, parse_scales(scale or []))
    choices = {name: VoteSettings(power, top_share) for name in pools.sort_score_names(read[0].scores)}
    k, largest = curves.median_k(read), max(len(each.answer_ids) for each in read)
    found = curves.evaluate(read, choices, draws, seed)
    results = curves.compute_intervals(found, seed, resamples)
    rows = leaderboard.format_rows(
        results, leaderboard.compare_to("majority", found, k, seed), leaderboard.order_methods(found), k
    )
    title = f"{pool.stem}: {len(read)} problems, " + (f"N = {k}" if k == largest else f"up to {largest} solutions")
    notes = leaderboard.write_notes(choices, read, leaderboard.measure_overoptimisation(found, found, k, seed))
    if choices:
        notes.append("Peaks were found on these same problems, so the fall from them is an overestimate.")
    files.write_json(out / "metrics.json", results)
    files.write_text(out / "table.md", charts.format_report({title: (leaderboard.HEADER, rows)}, notes))
    charts.write_csv(out / "curve.csv", results)
    unit = "k, solutions drawn per problem" + (", over the problems that have k" if k < largest else "")
    charts.plot_curves(out / "curve.png", results, leaderboard.select_plotted_methods(results), title, unit=unit)
    charts.print_table(title, leaderboard.HEADER, rows)
    print(charts.format_bullets(notes))


def parse_scales(given: list[str]) -> dict[str, ScoreKind]:
    """{score: scale} of `SCORE=SCALE`. Raises UserError for anything else."""
    from stages.lib.reports import pools

    found: dict[str, ScoreKind] = {}
    for each in given:
        name, _, kind = each.rpartition("=")
        if not name or kind not in get_args(pools.ScoreKind):
            raise UserError(f"--scale {each}: must be SCORE=SCALE, the scale one of {pools.SCORE_KINDS}")
        if found.setdefault(name, kind) != kind:
            raise UserError(f"--scale {each}: {name} was given the scale {found[name]} before")
    return found
