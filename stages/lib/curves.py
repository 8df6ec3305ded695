"""Accuracy against k for every method, from pools.

A method is named by what it does and by the score it uses: `pass`, `majority`, `best_of_orm`, `weighted_orm`,
`top_orm`. pass, majority and best-of are exact at every k; weighted and top votes are exact at k = 1 (and weighted at
N), Monte Carlo at powers of two between. Pools of unequal size are all read up to the smallest N.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stages.lib import seeds
from stages.lib.estimators import best_of, pass_at
from stages.lib.intervals import bootstrap
from stages.lib.majority import majority
from stages.lib.voting import subsets, top, weighted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from stages.lib.pools import Pool


class Curve(NamedTuple):
    """ks (ks,); values (problems, ks) expected accuracies; error (ks,) Monte Carlo standard error of the mean."""

    ks: np.ndarray
    values: np.ndarray
    error: np.ndarray


class Choice(NamedTuple):
    """What a score's votes were set to on dev: the power of its weight, the share of k that a top vote keeps."""

    power: float = 1.0
    share: float = 0.25


def scale(values: np.ndarray) -> str:
    """How scores are read as weights, from their range: in [0, 1] probability, all <= 0 log-probability, else logit."""
    if values.min() >= 0 and values.max() <= 1:
        return "probability"
    return "log-probability" if values.max() <= 0 else "logit"


def log_weights(values: np.ndarray, kind: str) -> np.ndarray:
    """Natural log of the weight: the probability, the likelihood, or the logistic function of the logit."""
    import numpy as np

    if kind == "probability":
        with np.errstate(divide="ignore"):
            return np.log(values)
    return values if kind == "log-probability" else -np.logaddexp(0, -values)


def scales(pools: Sequence[Pool]) -> dict[str, str]:
    """Score name -> scale, read from all solutions of all pools."""
    import numpy as np

    return {name: scale(np.concatenate([each.scores[name] for each in pools])) for name in sorted(pools[0].scores)}


def grid(n: int) -> list[int]:
    """1, 2, 4, ... and n."""
    return sorted({2**i for i in range(n.bit_length()) if 2**i <= n} | {n})


def choose(pools: Sequence[Pool], powers: Sequence[float], shares: Sequence[float], seed: int) -> dict[str, Choice]:
    """For each score the power and the share that are best at N on these pools (dev); the first listed wins a tie."""
    kinds, n = scales(pools), min(len(each.classes) for each in pools)
    choices = {}
    for name, kind in kinds.items():
        by_power = {p: _votes(pools, [n], 32, seed, name, kind, Choice(power=p))[0].values.mean() for p in powers}
        by_share = {s: _votes(pools, [n], 32, seed, name, kind, Choice(share=s))[1].values.mean() for s in shares}
        choices[name] = Choice(max(by_power, key=by_power.get), max(by_share, key=by_share.get))
    return choices


def evaluate(
    pools: Sequence[Pool], choices: Mapping[str, Choice], draws: int, seed: int, ks: Sequence[int] | None = None
) -> dict[str, Curve]:
    """Method -> curve, rows in the order of the pools. draws: Monte Carlo subsets per problem and k. ks: of the weighted
    and top votes, `grid` if None; the others are known at every k."""
    import numpy as np

    n = min(len(each.classes) for each in pools)
    every, nothing = np.arange(1, n + 1), np.zeros(n)

    def exact(method) -> Curve:
        """`method` takes (classes, correct, pools) of equally long pools and returns (problems, their N)."""
        values = np.empty((len(pools), n))
        for length in {len(each.classes) for each in pools}:
            rows = [i for i, each in enumerate(pools) if len(each.classes) == length]
            some = [pools[i] for i in rows]
            classes, correct = np.stack([p.classes for p in some]), np.stack([p.correct for p in some])
            values[rows] = method(classes, correct, some)[:, :n]
        return Curve(every, values, nothing)

    def ranked(name: str):
        def method(classes, correct, some):
            return best_of(correct, np.where(classes >= 0, np.stack([p.scores[name] for p in some]), -np.inf))

        return method

    curves = {
        "pass": exact(lambda classes, correct, some: pass_at(correct)),
        "majority": exact(lambda classes, correct, some: majority(classes, correct)),
    }
    for name, kind in scales(pools).items():
        votes = _votes(pools, ks or grid(n), draws, seed, name, kind, choices.get(name, Choice()))
        curves[f"best_of_{name}"] = exact(ranked(name))
        curves[f"weighted_{name}"], curves[f"top_{name}"] = votes
    return curves


def _votes(pools, ks: list[int], draws: int, seed: int, name: str, kind: str, choice: Choice) -> tuple[Curve, Curve]:
    """The weighted and the top vote. A pool larger than the smallest is drawn from as a whole."""
    import numpy as np

    both = []
    for each in pools:
        orders = subsets(len(each.classes), draws, seeds.key(seed, "best_of_n", 1, each.problem_id, "subsets"))
        scores = each.scores[name]
        weights = choice.power * log_weights(scores, kind)
        both.append((
            weighted(each.classes, each.correct, weights, ks, orders),
            top(each.classes, each.correct, scores, choice.share, ks, orders),
        ))  # fmt: skip
    curves = []
    for estimates in zip(*both, strict=True):
        error = np.sqrt(np.sum([estimate.variance for estimate in estimates], axis=0)) / len(pools)
        curves.append(Curve(np.array(ks), np.stack([estimate.value for estimate in estimates]), error))
    return curves[0], curves[1]


def intervals(curves: Mapping[str, Curve], seed: int, resamples: int) -> dict[str, dict[int, dict[str, float]]]:
    """{method: {k: {mean, low, high}}}, with `error` where the mean is a Monte Carlo estimate."""
    key = seeds.key(seed, "best_of_n", 1, "problems", "bootstrap")  # one key: all methods see the same resamples
    result = {}
    for name, curve in curves.items():
        found = bootstrap(curve.values, key, resamples)
        result[name] = {
            int(k): {"mean": float(m), "low": float(a), "high": float(b)} | ({"error": float(e)} if e else {})
            for k, m, a, b, e in zip(curve.ks, *found, curve.error, strict=True)
        }
    return result
