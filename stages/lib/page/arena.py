"""The page's part on the arena: what each judge is worth, and where it puts the players."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stages.lib.display.tables import parse_report
from stages.lib.page.glossary import SCORES

SET_TITLES = {"test": "in distribution", "ood": "out of distribution"}  # in this order
LAST_JUDGES = ("length", "random", "truth")  # what no one would use stands below the judges
PLAYERS = {  # of params.yaml's arena.policies; a player that draws has the name that params.yaml gives it
    "sampled": "one sample",
    "majority": "majority of the samples",
    "best_orm": "best sample by ORM",
    "best_prm": "best sample by PRM",
    "best_genrm": "best sample by GenRM",
}


def describe(judges: Mapping[str, Mapping[str, Mapping[str, Any]]], ratings: str, report: str) -> dict[str, Any]:
    """{sets: a part for each set, notes}. A part has `judges`, rows with their figures, and `players`, by true solve rate,
    with one rating for each judge.

    judges: of data/arena/judges.json; ratings, report: the texts of ratings.csv and report.md."""
    rows = list(csv.DictReader(io.StringIO(ratings)))
    parts = []
    for name in sorted(judges, key=_rank(SET_TITLES)):
        by_player: dict[str, dict[str, Any]] = {}
        for row in (row for row in rows if row["set"] == name):
            player = by_player.setdefault(
                row["player"],
                {"name": PLAYERS.get(row["player"], row["player"]), "rate": float(row["solve_rate"]), "ratings": {}},
            )
            player["ratings"][row["judge"]] = tuple(float(row[key]) for key in ("rating", "low", "high"))
        players = sorted(by_player.values(), key=lambda player: (-player["rate"], player["name"]))
        ordered = sorted(judges[name], key=_rank((*SCORES, "agent", *LAST_JUDGES)))
        parts.append(
            {
                "title": SET_TITLES.get(name, name),
                "judges": [(judge, judges[name][judge]) for judge in ordered],
                "players": players,
            }
        )
    return {"sets": parts, "notes": parse_report(report)[1]}


def _rank(order: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    """A key for `sorted`: the names of `order` in that order, all others behind them."""
    ranks = {name: i for i, name in enumerate(order)}
    return lambda name: (ranks.get(name, len(ranks)), name)
