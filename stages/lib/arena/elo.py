"""Online Elo, to show what Bradley-Terry avoids: its ratings depend on the order of the games (Elo 1978; Chatbot Arena
left it for that reason, arXiv 2403.04132)."""

from __future__ import annotations

import numpy as np

from stages.lib.arena.battles import Battles
from stages.lib.core import seeds

VERSION = 1  # part of every key
K = 4.0  # points at stake in a game, as Chatbot Arena had it
START = 1000.0


def rate(battles: Battles, order: np.ndarray | None = None) -> np.ndarray:
    """(players,): ratings after all games, in their order or in that of the indices `order`."""
    order = np.arange(len(battles.a)) if order is None else order
    ratings = [START] * len(battles.players)
    rows = zip(battles.a[order].tolist(), battles.b[order].tolist(), battles.points[order].tolist(), strict=True)
    for a, b, points in rows:
        gain = K * (points - 1 / (1 + 10 ** ((ratings[b] - ratings[a]) / 400)))
        ratings[a] += gain
        ratings[b] -= gain
    return np.array(ratings)


def rate_shuffled(battles: Battles, seed: int, orders: int) -> np.ndarray:
    """(orders, players): ratings after the same games in random orders."""

    def shuffle(i: int) -> np.ndarray:
        key = seeds.key(seed, "arena", VERSION, "elo", i)
        return np.random.Generator(np.random.Philox(key=key)).permutation(len(battles.a))

    return np.array([rate(battles, shuffle(i)) for i in range(orders)])
