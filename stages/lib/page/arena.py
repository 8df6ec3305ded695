"""The page's part on the arena: what each judge is worth, and where it puts the players."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

SET_TITLES = {"test": "in distribution", "ood": "out of distribution"}


def describe(judges: Mapping[str, Mapping[str, Mapping[str, Any]]], ratings: str) -> dict[str, Any]:
    """{sets: a part for each set}. A part has `judges`, rows with their figures, and `players`, by true solve rate, with
    one rating for each judge.

    judges: of data/arena/judges.json; ratings: the text of ratings.csv."""
    rows = list(csv.DictReader(io.StringIO(ratings)))
    parts = []
    for name, figures in judges.items():
        by_player: dict[str, dict[str, Any]] = {}
        for row in (row for row in rows if row["set"] == name):
            player = by_player.setdefault(
                row["player"], {"name": row["player"], "rate": float(row["solve_rate"]), "ratings": {}}
            )
            player["ratings"][row["judge"]] = tuple(float(row[key]) for key in ("rating", "low", "high"))
        players = sorted(by_player.values(), key=lambda player: (-player["rate"], player["name"]))
        parts.append({"title": SET_TITLES.get(name, name), "judges": list(figures.items()), "players": players})
    return {"sets": parts}
