"""Ratings of one set of battles for a reader: the table, what has to be known about it, and its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.lib.arena import elo, ratings
from stages.lib.arena.battles import Battles
from stages.lib.core.errors import UserError
from stages.lib.display import charts
from stages.lib.display.tables import Table

COLUMNS = (
    *("player", "rating", "low", "high", "se", "games", "wins", "losses", "ties"),
    *("elo", "elo_low", "elo_high", "equal_length"),
)
ELO_ORDERS = 20  # random orders of the games
MIN_PAIR_GAMES = 30  # of a pair whose misfit is named


class Ranking(NamedTuple):
    """rows: one a player with the keys `COLUMNS`, the highest rating first; notes: what a reader has to know."""

    rows: list[dict[str, Any]]
    notes: list[str]


def rank(battles: Battles, seed: int, rounds: int) -> Ranking:
    """Ratings with both intervals, online Elo over several orders, and ratings at equal length where lengths are known.

    rounds: of the bootstrap. Raises UserError where the fit does not converge."""
    try:
        fit = ratings.fit(battles)
        fair = ratings.fit(battles, with_length=True) if battles.lengths is not None else None
        interval = ratings.bootstrap(battles, seed, rounds)
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        raise UserError(f"battles: {error}; leave out players with few games") from None
    online, shuffled = elo.rate(battles), elo.rate_shuffled(battles, seed, ELO_ORDERS)
    counts = count_games(battles)
    rows = [
        {
            "player": player,
            "rating": float(fit.ratings[i]),
            "low": float(interval.low[i]),
            "high": float(interval.high[i]),
            "se": float(fit.errors[i]),
            **{name: int(values[i]) for name, values in counts.items()},
            "elo": float(online[i]),
            "elo_low": float(shuffled[:, i].min()),
            "elo_high": float(shuffled[:, i].max()),
            "equal_length": None if fair is None else float(fair.ratings[i]),
        }
        for i, player in enumerate(battles.players)
    ]
    rows.sort(key=lambda row: (-row["rating"], row["player"]))
    notes = [*fit.notes, *battles.notes, *_describe_intervals(battles, interval, rounds)]
    notes += _describe_misfit(battles, fit) + _describe_length(fair) + _describe_elo(shuffled)
    return Ranking(rows, notes)


def count_games(battles: Battles) -> dict[str, np.ndarray]:
    """games, wins, losses and ties of every player, (players,) each."""
    n = len(battles.players)

    def count(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.bincount(battles.a[first], minlength=n) + np.bincount(battles.b[second], minlength=n)

    won, lost, tied = battles.points == 1, battles.points == 0, battles.points == 0.5
    counts = {"wins": count(won, lost), "losses": count(lost, won), "ties": count(tied, tied)}
    return {"games": sum(counts.values(), np.zeros(n, int)), **counts}


def _describe_intervals(battles: Battles, interval: ratings.Bootstrap, rounds: int) -> list[str]:
    prompts = int(battles.prompts.max()) + 1
    notes = [
        f"{len(battles.a):,} battles on {prompts:,} prompts. Intervals: 95 %, {rounds:,} bootstrap resamples of the "
        "prompts, each with all its battles; se: the sandwich error, with the prompts as clusters. Ratings have the mean "
        "1000; 400 points are odds of 10 to 1. A tie is half a win for each."
    ]
    if prompts < 30:
        notes.append(f"{prompts} prompts are few: both intervals are too narrow.")
    if interval.ridged and interval.ridged != rounds:
        notes.append(
            f"{interval.ridged} of {rounds} resamples have no maximum of the likelihood and needed a ridge: some player is "
            "close to winning, or losing, everything, and that end of its interval is not measured."
        )
    return notes


def _describe_misfit(battles: Battles, fit: ratings.Fit) -> list[str]:
    """The pair that a single rating describes worst, tested at 5 % over all pairs (Bonferroni)."""
    from scipy.special import expit
    from scipy.stats import norm

    points = ratings.count_points(battles)
    games = points + points.T
    pairs = [(int(i), int(j)) for i, j in np.argwhere(np.triu(games) >= MIN_PAIR_GAMES)]
    if not pairs or len(battles.players) < 3:
        return []
    shares = {(i, j): (points[i, j] / games[i, j], float(expit(fit.theta[i] - fit.theta[j]))) for i, j in pairs}
    scores = {x: abs(o - e) / max(e * (1 - e) / games[x], 1e-12) ** 0.5 for x, (o, e) in shares.items()}
    i, j = worst = max(pairs, key=scores.__getitem__)
    if scores[worst] < norm.isf(0.025 / len(pairs)):
        return []
    observed, expected = shares[worst]
    return [
        f"One rating a player does not describe every pair: {battles.players[i]} takes {observed:.0%} of the points from "
        f"{battles.players[j]}, its rating says {expected:.0%}. Strengths may go in a circle, or depend on the prompt."
    ]


def _describe_length(fair: ratings.Fit | None) -> list[str]:
    if fair is None or fair.length is None:
        return []
    effect, error = fair.length
    clear = "longer" if effect > 1.96 * error else "shorter" if effect < -1.96 * error else None
    said = f"the {clear} answer is preferred" if clear else "length has no clear effect"
    return [
        f"Length: {said} (a standard deviation of the relative difference moves the odds by {np.exp(effect) - 1:+.0%}, "
        f"z = {effect / error if error else 0:+.1f}). equal_length: ratings with that effect taken out; it is confounded "
        "with quality where better answers are longer."
    ]


def _describe_elo(shuffled: np.ndarray) -> list[str]:
    spread = shuffled.max(axis=0) - shuffled.min(axis=0)
    return [
        f"elo: online, K = {elo.K:g}, games in the file's order; over {ELO_ORDERS} random orders of the same games a "
        f"player's Elo moves by up to {spread.max():.0f} points (elo_low to elo_high). "
        "Bradley-Terry does not depend on the order."
    ]


def tabulate(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows as a table with the columns that hold something."""
    has_length = any(row["equal_length"] is not None for row in rows)
    header = ["player", "rating", "95% interval", "se", "games", "wins", "losses", "ties", "Elo", "Elo over orders"]
    cells = [
        [
            row["player"],
            f"{row['rating']:.0f}",
            f"{row['low']:.0f} to {row['high']:.0f}",
            f"{row['se']:.1f}",
            *(str(row[key]) for key in ("games", "wins", "losses", "ties")),
            f"{row['elo']:.0f}",
            f"{row['elo_low']:.0f} to {row['elo_high']:.0f}",
            *([f"{row['equal_length']:.0f}"] if has_length else []),
        ]
        for row in rows
    ]
    return [*header, *(["at equal length"] if has_length else [])], cells


def plot_ratings(path: Path, rows: Sequence[Mapping[str, Any]], title: str, most: int = 60) -> None:
    """Ratings with their intervals, the highest first; at most so many players are drawn."""
    shown = rows[:most]
    figure, axes = charts.create_subplots((7.2, 1.3 + 0.24 * len(shown)))
    places = np.arange(len(shown))
    axes.hlines(places, [row["low"] for row in shown], [row["high"] for row in shown], color=charts.COLOURS[1])
    axes.plot([row["rating"] for row in shown], places, "o", color=charts.COLOURS[1], markersize=4.5)
    axes.set_yticks(places, [row["player"][:40] for row in shown], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("Bradley-Terry rating, 400 points are odds of 10 to 1")
    charts.style_axes(axes, title + (f" (first {most} of {len(rows)})" if len(rows) > most else ""), "x")
    figure.tight_layout()
    charts.save_figure(path, figure)
