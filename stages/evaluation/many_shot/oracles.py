"""What the shots of a numeric world say to a learner without a language model.

knn             the vote of the (at most) five nearest shots, scikit-learn's KNeighborsClassifier
least_squares   of linear: the sign of a least-squares plane; of others: none
bayes           the most probable value under all functions that agree with the most shots; of linear by Monte Carlo over
                directions drawn from the prior, of modular and parity exact
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from stages.evaluation.many_shot.episodes import Item
from stages.evaluation.many_shot.worlds import LABELS, World, draw_function, parse_point
from stages.lib.core import seeds

NEIGHBOURS = 5
DIRECTIONS = 4000  # of the Monte Carlo


def predict(world: World, shots: Sequence[Item], queries: Sequence[Item]) -> dict[str, list[str]]:
    """oracle -> its answer to each query. Without shots there is none."""
    if not shots:
        return {}
    known, asked = (np.array([parse_point(item.question) for item in items], float) for items in (shots, queries))
    values = [item.gold for item in shots]
    answers = {"knn": predict_nearest(known, values, asked)}
    if world.kind == "modular":
        return answers | {"bayes": predict_modular(world.size, known, values, asked)}
    if world.kind == "parity":
        return answers | {"bayes": predict_parity(known, values, asked)}
    sides = np.array([1.0 if value == LABELS[0] else -1.0 for value in values])
    centre = (world.max_value - 1) / 2
    plane, *_ = np.linalg.lstsq(np.c_[known - centre, np.ones(len(known))], sides, rcond=None)
    answers["least_squares"] = _name_sides(np.c_[asked - centre, np.ones(len(asked))] @ plane)
    directions = draw_directions(world)
    agreement = (np.sign((known - centre) @ directions.T) == sides[:, None]).sum(0)
    best = directions[agreement == agreement.max()]
    answers["bayes"] = _name_sides(np.sign((asked - centre) @ best.T).mean(1))
    return answers


def predict_nearest(known: np.ndarray, values: Sequence[str], asked: np.ndarray) -> list[str]:
    """known (K, d), asked (n, d) -> n labels, by the vote of the nearest shots."""
    model = KNeighborsClassifier(min(NEIGHBOURS, len(known)), algorithm="brute").fit(known, values)
    return list(map(str, model.predict(asked)))


def predict_modular(modulus: int, known: np.ndarray, values: Sequence[str], asked: np.ndarray) -> list[str]:
    """The most probable value of each query, all (a, b) being equally likely; of several the smallest."""
    functions = np.array([(a, b) for a in range(1, modulus) for b in range(modulus)])
    outcomes = (functions[:, :1] * known[:, 0] + functions[:, 1:]) % modulus == np.array(values, int)
    left = functions[outcomes.sum(1) == outcomes.sum(1).max()]
    answers = ((left[:, :1] * asked[:, 0] + left[:, 1:]) % modulus).astype(int)
    return _vote(answers, modulus)


def predict_parity(known: np.ndarray, values: Sequence[str], asked: np.ndarray) -> list[str]:
    """The most probable value of each query, all sets of places but the empty one being equally likely; of equals 0."""
    digits = known.shape[1]
    places = np.arange(1, 2**digits)[:, None] >> np.arange(digits) & 1
    agreement = ((places @ known.T.astype(int)) % 2 == np.array(values, int)).sum(1)
    left = places[agreement == agreement.max()]
    return _vote((left @ asked.T.astype(int)) % 2, 2)


def _vote(answers: np.ndarray, count: int) -> list[str]:
    """answers (functions, queries), below count -> the most frequent one of each query, of equals the smallest."""
    return [str(np.bincount(column, minlength=count).argmax()) for column in answers.T]


@lru_cache(maxsize=8)
def _draw(size: int, prior: float, key: int) -> np.ndarray:
    world = World(kind="linear", size=size, prior=prior, max_value=10)
    random = seeds.rng(key)
    return np.array([draw_function(world, random) for _ in range(DIRECTIONS)])


def draw_directions(world: World) -> np.ndarray:
    """(DIRECTIONS, d) weights from the prior; the labels' exchange is no part of it."""
    return _draw(world.size, world.prior, seeds.key("many_shot", "bayes"))


def _name_sides(scores: np.ndarray) -> list[str]:
    return [LABELS[0] if score > 0 else LABELS[1] for score in scores]
