"""Seconds of the arena's ratings with their intervals, beside a peer and what resampling alone costs, on one core.

Simulated battles, each on a prompt of its own, a tenth of them tied.

ours    `ratings.fit` (maximum and sandwich) and `ratings.bootstrap`
peer    evalica's Bradley-Terry, fitted once to the names and multiplied by the rounds: it has no bootstrap
limit   the draw of the prompts and the table of points of each round, no fit

    python -m bench.ratings [--battles 100000] [--players 100] [--rounds 1000]

The last line is JSON. gap: the largest difference of theta between ours and the peer's.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SEED = 1


def measure_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds of the processor, result)"""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def simulate(battles: int, players: int) -> list[tuple[str, str, float]]:
    random = np.random.default_rng(SEED)
    theta = random.normal(size=players)
    first = random.integers(0, players, battles)
    second = (first + random.integers(1, players, battles)) % players
    points = (random.random(battles) < 1 / (1 + np.exp(theta[second] - theta[first]))).astype(float)
    points[random.random(battles) < 0.1] = 0.5
    return [
        (f"p{i:04}", f"p{j:04}", x) for i, j, x in zip(first.tolist(), second.tolist(), points.tolist(), strict=True)
    ]


def main() -> None:
    import evalica
    from rich.console import Console
    from rich.table import Table

    from stages.lib.arena import ratings
    from stages.lib.arena.battles import make_battles

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--battles", type=int, default=100_000)
    parser.add_argument("--players", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1000)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    games = simulate(arguments.battles, arguments.players)
    battles, rounds = make_battles(games), arguments.rounds
    fitting, fit = measure_seconds(lambda: ratings.fit(battles))
    resampling, _ = measure_seconds(lambda: ratings.bootstrap(battles, SEED, rounds))

    def resample() -> None:
        random = np.random.default_rng(SEED)
        for _ in range(rounds):
            drawn = np.bincount(random.integers(0, len(games), len(games)), minlength=len(games))
            ratings.count_points(battles, drawn[battles.prompts])

    limit, _ = measure_seconds(resample)
    winners = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    first, second, points = zip(*games, strict=True)
    once, result = measure_seconds(
        lambda: evalica.bradley_terry(first, second, [winners[x] for x in points], tolerance=1e-10, limit=10_000)
    )
    theta = np.log(result.scores[battles.players].to_numpy())
    gap = float(np.abs(fit.theta - (theta - theta.mean())).max())
    title = f"{arguments.battles:,} battles of {arguments.players} players, {rounds:,} rounds, one core"
    table = Table("", "one fit, s", "all rounds, s", title=title)
    table.add_row("ours", f"{fitting:.3f}", f"{resampling:.1f}")
    table.add_row("evalica, one fit times the rounds", f"{once:.3f}", f"{once * rounds:.1f}")
    table.add_row("limit, resampling alone", "", f"{limit:.1f}")
    Console().print(table)
    figures = {"fit_s": fitting, "rounds_s": resampling, "limit_s": limit, "peer_s": once * rounds}
    figures |= {"ratio_limit": resampling / limit, "ratio_peer": resampling / (once * rounds)}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()} | {"gap": gap}))


if __name__ == "__main__":
    main()
