"""The arena's files: tables of judges and players, the picture, and the few figures of metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stages.evaluation.arena.tournament import LENGTH, RANDOM, TRUTH, Outcome
from stages.lib.arena import report
from stages.lib.chat import describe_cost
from stages.lib.core import files
from stages.lib.display import charts, tables
from stages.lib.display.tables import Table

SET_TITLES = {"test": "in distribution", "ood": "out of distribution"}
JUDGE_NAMES = {TRUTH: "the truth", LENGTH: "longer is better", RANDOM: "a coin", "agent": "chat model"}
COLUMNS = ("set", "judge", *report.COLUMNS, "solve_rate")
Outcomes = Mapping[str, Mapping[str, Outcome]]  # set -> judge -> outcome


def write(
    folder: Path,
    outcomes: Outcomes,
    margins: Mapping[str, float],
    identical: Mapping[str, int],
    requests: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write ratings.csv, judges.json, report.md and ratings.png; return the metrics.

    margins: of every verifier's ties; identical: pairs of one solution in each set; requests: of a chat model."""
    rows = [
        {"set": name, "judge": judge, **row}
        for name, judges in outcomes.items()
        for judge, outcome in judges.items()
        for row in outcome.ranking.rows
    ]
    files.write_text(folder / "ratings.csv", tables.format_csv(COLUMNS, rows))
    files.write_json(folder / "judges.json", list_figures(outcomes, margins))
    content, notes = tabulate(outcomes), write_notes(outcomes, margins, identical)
    notes += [describe_cost("Chat model", requests)] if requests else []
    files.write_text(folder / "report.md", tables.format_report(content, notes))
    plot(folder / "ratings.png", outcomes)
    return select_metrics(outcomes)


def name_judge(judge: str) -> str:
    return JUDGE_NAMES.get(judge) or tables.format_score_name(judge)


def list_figures(outcomes: Outcomes, margins: Mapping[str, float]) -> dict[str, Any]:
    """set -> judge -> all its figures, with the notes on its ratings."""
    return {
        name: {
            judge: {
                "name": name_judge(judge),
                **outcome.figures,
                "spearman": outcome.spearman,
                "margin": margins.get(judge),
                "notes": outcome.ranking.notes,
            }
            for judge, outcome in judges.items()
        }
        for name, judges in outcomes.items()
    }


def tabulate(outcomes: Outcomes) -> dict[str, Table]:
    """For each set the judges, then the players with the ratings of every judge."""
    report_tables = {}
    for name, judges in outcomes.items():
        title = SET_TITLES[name]
        report_tables[f"Judges {title}"] = tabulate_judges(judges)
        report_tables[f"Players {title}: true solve rate, and the rating under each judge"] = tabulate_players(judges)
    return report_tables


def tabulate_judges(judges: Mapping[str, Outcome]) -> Table:
    header = ["judge", "right where the truth decides", "agreement", "kappa", "consistent", "first shown", "longer"]
    rows = []
    for judge, (figures, _, spearman) in judges.items():
        interval = ""
        if figures["accuracy"] is not None:
            interval = " to ".join(f"{100 * figures[end]:.1f}" for end in ("accuracy_low", "accuracy_high"))
        accuracy = f"{_percent(figures['accuracy'])} ({interval})" if interval else ""
        shares = [_percent(figures[key]) for key in ("consistency", "first", "length", "invalid")]
        kappa, rank = (f"{x:+.2f}" if x is not None else "" for x in (figures["kappa"], spearman))
        rows.append([name_judge(judge), accuracy, _percent(figures["agreement"]), kappa, *shares, rank])
    return [*header, "unreadable", "Spearman"], rows


def tabulate_players(judges: Mapping[str, Outcome]) -> Table:
    """Players by true solve rate, the highest first."""
    by_judge = {judge: {row["player"]: row for row in outcome.ranking.rows} for judge, outcome in judges.items()}
    rates = {row["player"]: row["solve_rate"] for rows in by_judge.values() for row in rows.values()}
    order = sorted(rates, key=lambda player: (-rates[player], player))

    def format_cell(row: Mapping[str, Any] | None) -> str:
        return f"{row['rating']:.0f} ({row['low']:.0f} to {row['high']:.0f})" if row else ""

    cells = [
        [player, _percent(rates[player]), *(format_cell(rows.get(player)) for rows in by_judge.values())]
        for player in order
    ]
    return ["player", "solve rate", *map(name_judge, judges)], cells


def find_own_pick(judge: str, outcome: Outcome, truth: Outcome) -> tuple[int, int] | None:
    """The rank of the player that chooses by this judge: under the judge, and under the truth."""
    ranks = [[row["player"] for row in x.ranking.rows] for x in (outcome, truth)]
    player = f"best_{judge}"
    return (
        (ranks[0].index(player) + 1, ranks[1].index(player) + 1) if player in ranks[0] and player in ranks[1] else None
    )


def write_notes(outcomes: Outcomes, margins: Mapping[str, float], identical: Mapping[str, int]) -> list[str]:
    counts = ", ".join(
        f"{SET_TITLES[name]} {judges[TRUTH].figures['pairs']} pairs, the truth decides {judges[TRUTH].figures['decided']}"
        for name, judges in outcomes.items()
    )
    notes = [
        f"Battles: {counts}. {sum(identical.values())} more pairs are one and the same solution: ties in the ratings, and "
        "no judge was asked. The truth: the one right solution wins; both right, or both wrong, is a tie.",
        "Right where the truth decides: a tie counts half, so that a coin has 50 %; 95 % interval over problems. Agreement "
        "and kappa are over win, loss and tie. A coin never says tie.",
        "Verifiers read a solution alone, so both orders agree by construction. Scores tie within a margin chosen on dev: "
        + ", ".join(f"{name_judge(judge)} {margin:.2g}" for judge, margin in margins.items())
        + ".",
        "Spearman: between a judge's ratings and the true solve rates, over the players. With so few of them only a large "
        "difference between judges means anything.",
    ]
    for name, judges in outcomes.items():
        for judge, outcome in judges.items():
            pick = find_own_pick(judge, outcome, judges[TRUTH])
            if pick and pick[0] < pick[1]:
                notes.append(
                    f"{name_judge(judge)} prefers its own choice {SET_TITLES[name]}: the player that chooses by it has "
                    f"rank {pick[0]} under it, {pick[1]} under the truth."
                )
            separated = [note for note in outcome.ranking.notes if note.startswith(("No maximum", "The players fall"))]
            notes += [f"{name_judge(judge)}, {SET_TITLES[name]}: {note}" for note in separated]
    return notes


def select_metrics(outcomes: Outcomes) -> dict[str, Any]:
    """The figures that DVC and MLflow compare: of every judge how often it is right, of verifiers the rank correlation."""
    metrics: dict[str, Any] = {
        "battles": sum(judges[TRUTH].figures["pairs"] for judges in outcomes.values()),
        "accuracy": {},
        "spearman": {},
    }
    for name, judges in outcomes.items():
        others = {judge: x for judge, x in judges.items() if judge != TRUTH}
        values = {judge: x.figures["accuracy"] for judge, x in others.items()}
        metrics["accuracy"][name] = {judge: value for judge, value in values.items() if value is not None}
    ranks = {judge: x.spearman for judge, x in outcomes.get("test", {}).items() if judge not in (TRUTH, RANDOM, LENGTH)}
    metrics["spearman"] = {judge: value for judge, value in ranks.items() if value is not None}
    return metrics


def plot(path: Path, outcomes: Outcomes) -> None:
    """Rating against true solve rate: a row for each set, a column for each judge but the coin, a mark for each player."""
    judges = [judge for judge in next(iter(outcomes.values())) if judge != RANDOM]
    names = sorted({row["player"] for x in outcomes.values() for row in x[TRUTH].ranking.rows})
    size = (2.5 * len(judges) + 0.6, 2.6 * len(outcomes) + 0.9)
    figure, grid = charts.create_subplots(size, nrows=len(outcomes), ncols=len(judges), squeeze=False, sharey="row")
    for line, (name, by_judge) in enumerate(outcomes.items()):
        for column, judge in enumerate(judges):
            axes, rows = grid[line, column], by_judge[judge].ranking.rows
            for row in sorted(rows, key=lambda row: row["player"]):
                style, rate = charts.get_style(names.index(row["player"])), 100 * row["solve_rate"]
                axes.vlines(rate, row["low"], row["high"], color=style["color"], linewidth=1.0, alpha=0.6)
                axes.plot([rate], [row["rating"]], **style, linestyle="", markersize=5, label=row["player"])
            spearman = by_judge[judge].spearman
            title = name_judge(judge) + (f", rank correlation {spearman:+.2f}" if spearman is not None else "")
            charts.style_axes(axes, title, fontsize=8)
            if column == 0:
                axes.set_ylabel(f"rating {SET_TITLES[name]}", fontsize=8)
            if line == len(outcomes) - 1:
                axes.set_xlabel("true solve rate, %", fontsize=8)
    handles = grid[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="lower center", ncols=min(5, len(names)), fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.6 / size[1], 1, 1))
    charts.save_figure(path, figure)


def _percent(share: float | None) -> str:
    return "" if share is None or np.isnan(share) else f"{100 * share:.1f}"
