"""`python -m stages arena BATTLES.jsonl --out DIR`: rate the players of any battle file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def arena(
    battles: Annotated[
        Path,
        typer.Argument(
            help="JSONL, JSON or Parquet with model_a, model_b and winner (model_a, model_b, tie or tie (bothbad)). "
            "Optional: prompt_id or question_id, judge, turn, length_a and length_b (or response_a and response_b)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for ratings.csv, ratings.png and report.md.")],
    judge: Annotated[str | None, typer.Option(help="Only the battles of this judge.")] = None,
    turn: Annotated[int | None, typer.Option(help="Only the battles of this turn.")] = None,
    rounds: Annotated[int, typer.Option(min=100, max=100_000, help="Bootstrap resamples of the prompts.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the resamples and of Elo's orders.")] = 1,
) -> None:
    """Rate players by Bradley-Terry: intervals over prompts, Elo's dependence on order, ratings at equal length."""
    from stages.lib.arena import battles as battle_files
    from stages.lib.arena import report
    from stages.lib.core import files
    from stages.lib.display import tables, terminal

    files.check_output("--out", out, is_folder=True)
    games = battle_files.read(battles, judge, turn)
    rows, notes = report.rank(games, seed, rounds)
    title = f"{battles.stem}: {len(rows)} players, {len(games.a):,} battles"
    content = {title: report.tabulate(rows)}
    files.write_text(out / "ratings.csv", tables.format_csv(report.COLUMNS, rows))
    files.write_text(out / "report.md", tables.format_report(content, notes))
    report.plot_ratings(out / "ratings.png", rows, title)
    terminal.print_report(content, notes)
