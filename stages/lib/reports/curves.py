"""Accuracy against k for every method, from pools.

A method is named by what it does and by the score it uses: `pass`, `majority`, `best_of_orm`, `weighted_orm`,
`top_orm`. pass, majority and best-of are exact at every k; weighted and top votes are exact at k = 1 (and weighted at
N), Monte Carlo at powers of two between. Where pools are of unequal size, the accuracy at k is that of the problems
that have k solutions.
"""

from __future__ import annotations

from statistics import median_low
from typing import TYPE_CHECKING, NamedTuple

from stages.lib.core import seeds
from stages.lib.metrics.estimators import best_of_k, pass_at_k
from stages.lib.metrics.intervals import bootstrap
from stages.lib.metrics.majority import majority
from stages.lib.metrics.voting import draw_subsets, estimate_top, estimate_weighted
from stages.lib.reports.pools import sort_score_names
from stages.lib.reports.vote_settings import VoteSettings, pick

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from stages.lib.metrics.voting import Estimate
    from stages.lib.reports.pools import Pool, ScoreKind

METHOD_KINDS = ("best_of", "weighted", "top")  # of methods that use a score
COLUMNS_PER_BATCH = 512  # of curves that are resampled at a time


class Curve(NamedTuple):
    """ks (ks,); values (problems, ks) expected accuracies, NaN where a problem has fewer than k solutions; error (ks,)
    Monte Carlo standard error of the mean."""

    ks: np.ndarray
    values: np.ndarray
    standard_error: np.ndarray

    def floor_k(self, k: int) -> int:
        """The largest k of the curve that is not above this one."""
        return int(self.ks[self.ks <= k].max())

    def accuracy_at(self, k: int) -> np.ndarray:
        """(problems,): the accuracies at `known(k)`."""
        return self.values[:, int((self.ks <= k).sum()) - 1]


def parse_score_name(method: str) -> str | None:
    """The score that a method uses, None for one that needs none."""
    return next((method.removeprefix(f"{kind}_") for kind in METHOD_KINDS if method.startswith(f"{kind}_")), None)


def median_k(pools: Sequence[Pool]) -> int:
    """The k that tables speak of: the largest that more than half of the problems have, N where all are alike."""
    return median_low(len(each.answer_ids) for each in pools)


def log_weights(scores: np.ndarray, scale: ScoreKind, power: float = 1.0) -> np.ndarray:
    """Natural log of the weight: of the probability, the likelihood or the logistic function of the logit, to a power.
    At power 0 all weigh the same, which is a plain majority."""
    import numpy as np

    if power == 0:
        return np.zeros(len(scores))
    if scale == "probability":
        with np.errstate(divide="ignore"):
            return power * np.log(scores)
    return power * (scores if scale == "log-probability" else -np.logaddexp(0, -scores))


def k_grid(n: int) -> list[int]:
    """1, 2, 4, ... and n."""
    return sorted({2**i for i in range(n.bit_length()) if 2**i <= n} | {n})


def choose(
    pools: Sequence[Pool], powers: Sequence[float], shares: Sequence[float], seed: int
) -> dict[str, VoteSettings]:
    """For each score the power and the share that these pools (dev) speak for, by the accuracy at N (`choices.pick`)."""
    k, choices = median_k(pools), {}
    enough = [each for each in pools if len(each.answer_ids) >= k]
    for name in sort_score_names(pools[0].scores):
        power, by_power = pick({p: compute_weighted_curve(enough, name, p, [k], 32, seed).values[:, 0] for p in powers})
        share, by_share = pick({s: compute_top_curve(enough, name, s, [k], 32, seed).values[:, 0] for s in shares})
        choices[name] = VoteSettings(power, share, by_power, by_share)
    return choices


def evaluate(
    pools: Sequence[Pool], choices: Mapping[str, VoteSettings], draws: int, seed: int, ks: Sequence[int] | None = None
) -> dict[str, Curve]:
    """Method -> curve, rows in the order of the pools. draws: Monte Carlo subsets per problem and k. ks: of the weighted
    and top votes, powers of two, the usual k and N if None; the others are known at every k."""
    import numpy as np

    n = max(len(each.answer_ids) for each in pools)
    every, nothing = np.arange(1, n + 1), np.zeros(n)
    ks = ks or sorted({*k_grid(n), median_k(pools)})

    def exact(method) -> Curve:
        """`method` takes (classes, correct, pools) of equally long pools and returns (problems, their N)."""
        values = np.full((len(pools), n), np.nan)
        for length in {len(each.answer_ids) for each in pools}:
            rows = [i for i, each in enumerate(pools) if len(each.answer_ids) == length]
            some = [pools[i] for i in rows]
            classes, correct = np.stack([p.answer_ids for p in some]), np.stack([p.correct for p in some])
            values[rows, :length] = method(classes, correct, some)
        return Curve(every, values, nothing)

    def ranked(name: str):
        def method(classes, correct, some):
            return best_of_k(correct, np.where(classes >= 0, np.stack([p.scores[name] for p in some]), -np.inf))

        return method

    curves = {
        "pass": exact(lambda classes, correct, some: pass_at_k(correct)),
        "majority": exact(lambda classes, correct, some: majority(classes, correct)),
    }
    for name in sorted(pools[0].scores):
        choice = choices.get(name, VoteSettings())
        curves[f"best_of_{name}"] = exact(ranked(name))
        curves[f"weighted_{name}"] = compute_weighted_curve(pools, name, choice.power, ks, draws, seed)
        curves[f"top_{name}"] = compute_top_curve(pools, name, choice.share, ks, draws, seed)
    return curves


def compute_weighted_curve(
    pools: Sequence[Pool], name: str, power: float, ks: Sequence[int], draws: int, seed: int
) -> Curve:
    """The curve of a score's weighted vote."""

    def vote(each: Pool, ks: Sequence[int], orders: np.ndarray) -> Estimate:
        weights = log_weights(each.scores[name], each.score_kinds.get(name, "probability"), power)
        return estimate_weighted(each.answer_ids, each.correct, weights, ks, orders)

    return _compute_vote_curve(pools, vote, ks, draws, seed)


def compute_top_curve(
    pools: Sequence[Pool], name: str, share: float, ks: Sequence[int], draws: int, seed: int
) -> Curve:
    """The curve of a score's top vote."""

    def vote(each: Pool, ks: Sequence[int], orders: np.ndarray) -> Estimate:
        return estimate_top(each.answer_ids, each.correct, each.scores[name], share, ks, orders)

    return _compute_vote_curve(pools, vote, ks, draws, seed)


def _compute_vote_curve(
    pools: Sequence[Pool],
    vote: Callable[[Pool, Sequence[int], np.ndarray], Estimate],
    ks: Sequence[int],
    draws: int,
    seed: int,
) -> Curve:
    """All votes of a problem see the same subsets."""
    import numpy as np

    values, variances = (np.full((len(pools), len(ks)), np.nan) for _ in range(2))
    for row, each in enumerate(pools):
        n = len(each.answer_ids)
        orders = draw_subsets(n, draws, seeds.key(seed, "best_of_n", 1, each.problem_id, "subsets"))
        own = [place for place, k in enumerate(ks) if k <= n]
        values[row, own], variances[row, own] = vote(each, [ks[place] for place in own], orders)
    error = np.sqrt(np.nansum(variances, axis=0)) / np.maximum((~np.isnan(values)).sum(axis=0), 1)
    return Curve(np.array(ks), values, error)


def compute_intervals(curves: Mapping[str, Curve], seed: int, resamples: int) -> dict[str, dict[int, dict[str, float]]]:
    """{method: {k: {mean, low, high, problems}}}, with `se` where the mean is a Monte Carlo estimate.

    All methods see the same resamples. Problems that have k solutions are the same under all methods, so columns of
    equal count are resampled together.
    """
    import numpy as np

    key = seeds.key(seed, "best_of_n", 1, "problems", "bootstrap")
    columns: dict[int, list[tuple[str, int]]] = {}
    for name, curve in curves.items():
        for place, count in enumerate((~np.isnan(curve.values)).sum(axis=0)):
            columns.setdefault(int(count), []).append((name, place))
    result: dict[str, dict[int, dict[str, float]]] = {name: {} for name in curves}
    for problems, own in columns.items():
        for start in range(0, len(own), COLUMNS_PER_BATCH):
            some = own[start : start + COLUMNS_PER_BATCH]
            values = np.stack([curves[name].values[:, place] for name, place in some], axis=1)
            found = bootstrap(values[~np.isnan(values[:, 0])], key, resamples)
            for (name, place), mean, low, high in zip(some, *found, strict=True):
                curve = curves[name]
                error = float(curve.standard_error[place])
                result[name][int(curve.ks[place])] = {
                    "mean": float(mean),
                    "low": float(low),
                    "high": float(high),
                    "problems": problems,
                    **({"se": error} if error else {}),
                }
    return result
