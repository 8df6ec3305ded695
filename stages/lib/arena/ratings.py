"""Bradley-Terry ratings by maximum likelihood, with intervals over prompts; a tie is half a win for each side.

P(i beats j) = 1 / (1 + exp(theta_j - theta_i)). Ratings are 1000 + 400 / ln 10 * theta on Elo's scale, their mean 1000.
The maximum exists, and is one, exactly if every player can be reached from every other along won points (Ford 1957). Where
that fails a small ridge makes ratings finite, and `Fit.notes` says so: the gaps it sets are not measured.

The fit is Newton's method on the concave log-likelihood, until the gradient is 1e-10 of the games: published ratings have
been shrunk by a loose tolerance, and been wrong by slow fixed-point iterations near separation (autogluon/tabarena pull
488 and 500). Two intervals: percentiles of a bootstrap that draws whole prompts, and the sandwich with the prompts as
clusters. Length may enter as a covariate ("style control" of Chatbot Arena): P(a beats b) also depends on
(length a - length b) / (length a + length b), so that ratings are those of answers equally long.

Sources: Bradley & Terry 1952; Ford 1957 (existence); Huber 1967, White 1982 (sandwich); Chiang et al. 2024
(arXiv 2403.04132, section 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.special import expit, log_expit
from threadpoolctl import threadpool_limits

from stages.lib.arena.battles import Battles
from stages.lib.core import seeds

VERSION = 1  # part of every key
SCALE, MEAN = 400 / np.log(10), 1000.0
RIDGE = 0.01  # weight of the squared thetas, in games
TOLERANCE = 1e-10  # largest gradient, as a share of a player's games
MAX_STEPS = 200


class Fit(NamedTuple):
    """theta: (players,), natural units, mean 0; covariance: (players, players), sandwich; ridge: 0 where none was needed;
    length: effect of the length difference and its standard error, if it was a covariate; notes: what a reader must
    know."""

    theta: np.ndarray
    covariance: np.ndarray
    ridge: float = 0.0
    length: tuple[float, float] | None = None
    notes: Sequence[str] = ()

    @property
    def ratings(self) -> np.ndarray:
        return MEAN + SCALE * self.theta

    @property
    def errors(self) -> np.ndarray:
        """(players,): standard errors of the ratings."""
        return SCALE * np.sqrt(np.maximum(np.diag(self.covariance), 0))


class Bootstrap(NamedTuple):
    """low, high: (players,) ends of the ratings' intervals; ridged: resamples that needed a ridge."""

    low: np.ndarray
    high: np.ndarray
    ridged: int


def fit(battles: Battles, with_length: bool = False) -> Fit:
    """The ratings of all players, with sandwich standard errors. with_length: hold the length of answers equal.

    Raises ValueError without a game, and for with_length without lengths."""
    if not len(battles.a):
        raise ValueError("no battles")
    with threadpool_limits(1, "blas"):  # with more threads its sums have other last digits
        points = count_points(battles)
        notes = explain_separation(points, battles.players)
        ridge = RIDGE if notes else 0.0
        if with_length:
            return _fit_with_length(battles, ridge, notes)
        theta = maximise(points, ridge)
        hessian = compute_hessian(theta, points + points.T, ridge)
        residuals = battles.points - expit(theta[battles.a] - theta[battles.b])
        scores = _sum_by_prompt(battles, residuals)
        inverse = _invert(hessian, len(theta), ridge)
        return Fit(theta, inverse @ (scores.T @ scores).toarray() @ inverse, ridge, None, notes)


def count_points(battles: Battles, weights: np.ndarray | None = None) -> np.ndarray:
    """(players, players): points that the row took from the column. weights: (games,), of each game."""
    n = len(battles.players)
    weights = np.ones(len(battles.a)) if weights is None else weights
    won = np.bincount(battles.a * n + battles.b, weights * battles.points, n * n)
    lost = np.bincount(battles.b * n + battles.a, weights * (1 - battles.points), n * n)
    return (won + lost).reshape(n, n)


def maximise(points: np.ndarray, ridge: float = 0.0, start: np.ndarray | None = None) -> np.ndarray:
    """(players,): theta of the highest likelihood, mean 0. points: as of `count_points`; ridge > 0 where the graph of won
    points is not strongly connected, else there is no maximum. start: where Newton's method begins."""
    games, totals = points + points.T, points.sum(axis=1)
    theta = np.zeros(len(points)) if start is None else start - start.mean()
    target = TOLERANCE * max(1.0, float(games.sum(axis=1).max()))
    value = _log_likelihood(theta, points, ridge)
    for _ in range(MAX_STEPS):
        gradient = totals - (games * expit(theta[:, None] - theta)).sum(axis=1) - ridge * theta
        if np.abs(gradient).max() <= target:
            return theta
        hessian = compute_hessian(theta, games, ridge)
        step = np.linalg.solve(hessian + _gauge(hessian, len(theta), ridge), gradient)
        theta, value = _move(theta, step, value, points, ridge)
    raise ArithmeticError(f"the ratings have not converged in {MAX_STEPS} steps of Newton's method")


def _move(
    theta: np.ndarray, step: np.ndarray, value: float, points: np.ndarray, ridge: float
) -> tuple[np.ndarray, float]:
    """Along the step, halved until the likelihood rises."""
    moved = theta + step
    new = _log_likelihood(moved, points, ridge)
    while new < value - 1e-12 * abs(value) and np.abs(moved - theta).max() > 1e-15:
        moved = (theta + moved) / 2
        new = _log_likelihood(moved, points, ridge)
    return moved, new


def _log_likelihood(theta: np.ndarray, points: np.ndarray, ridge: float) -> float:
    return float((points * log_expit(theta[:, None] - theta)).sum() - ridge / 2 * (theta**2).sum())


def compute_hessian(theta: np.ndarray, games: np.ndarray, ridge: float = 0.0) -> np.ndarray:
    """The negative second derivative of the log-likelihood. games: (players, players), symmetric."""
    share = expit(theta[:, None] - theta)
    spread = games * share * (1 - share)
    return np.diag(spread.sum(axis=1) + ridge) - spread


def _gauge(hessian: np.ndarray, players: int, ridge: float) -> np.ndarray:
    """What makes the Hessian regular: adding to all thetas changes no probability. Without effect on what sums to 0."""
    gauge = np.zeros_like(hessian)
    if not ridge:
        gauge[:players, :players] = np.trace(hessian[:players, :players]) / players**2
    return gauge


def _invert(hessian: np.ndarray, players: int, ridge: float) -> np.ndarray:
    """The inverse in the space where thetas sum to 0."""
    gauge = _gauge(hessian, players, ridge)
    inverse = np.linalg.inv(hessian + gauge)
    if not ridge:
        inverse[:players, :players] -= 1 / (players**2 * gauge[0, 0])
    return inverse


def _sum_by_prompt(battles: Battles, residuals: np.ndarray, covariate: np.ndarray | None = None) -> sparse.csr_matrix:
    """(prompts, parameters): the gradient of each prompt's log-likelihood."""
    n = len(battles.players)
    parts = [(battles.a, residuals), (battles.b, -residuals)]
    if covariate is not None:
        parts.append((np.full(len(residuals), n), residuals * covariate))
    columns, values = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    shape = (int(battles.prompts.max()) + 1, n + (covariate is not None))
    return sparse.csr_matrix((values, (np.tile(battles.prompts, len(parts)), columns)), shape)


def _fit_with_length(battles: Battles, ridge: float, notes: Sequence[str]) -> Fit:
    """Newton's method on thetas and the effect of one standard deviation of the length difference, which has a ridge: the
    longer answer may win every time."""
    if battles.lengths is None:
        raise ValueError("the battles have no lengths")
    n, deviation = len(battles.players), float(battles.lengths.std())
    x, target = battles.lengths / (deviation or 1.0), TOLERANCE * len(battles.a)
    columns = np.concatenate([battles.a, battles.b, np.full(len(x), n)])
    values = np.concatenate([np.ones(len(x)), -np.ones(len(x)), x])
    design = sparse.csr_matrix((values, (np.tile(np.arange(len(x)), 3), columns)))
    ridges = np.append(np.full(n, ridge), RIDGE)

    def evaluate(at: np.ndarray) -> tuple[float, np.ndarray]:
        margin = design @ at
        likelihood = battles.points * log_expit(margin) + (1 - battles.points) * log_expit(-margin)
        return float(likelihood.sum() - (ridges * at**2).sum() / 2), expit(margin)

    parameters = np.zeros(n + 1)
    value, share = evaluate(parameters)
    for _ in range(MAX_STEPS):
        gradient = design.T @ (battles.points - share) - ridges * parameters
        hessian = (design.T @ sparse.diags(share * (1 - share)) @ design).toarray() + np.diag(ridges)
        if np.abs(gradient).max() <= target:
            break
        step = np.linalg.solve(hessian + _gauge(hessian, n, ridge), gradient)
        parameters, value, share = _move_with_length(parameters, step, value, evaluate)
    else:
        raise ArithmeticError(f"the ratings have not converged in {MAX_STEPS} steps of Newton's method")
    inverse = _invert(hessian, n, ridge)
    scores = _sum_by_prompt(battles, battles.points - share, x)
    covariance = inverse @ (scores.T @ scores).toarray() @ inverse
    effect = (float(parameters[n]), float(max(covariance[n, n], 0) ** 0.5))
    return Fit(parameters[:n] - parameters[:n].mean(), covariance[:n, :n], ridge, effect, notes)


def _move_with_length(
    at: np.ndarray, step: np.ndarray, value: float, evaluate: Callable[[np.ndarray], tuple[float, np.ndarray]]
) -> tuple[np.ndarray, float, np.ndarray]:
    moved, (new, share) = at + step, evaluate(at + step)
    while new < value - 1e-12 * abs(value) and np.abs(moved - at).max() > 1e-15:
        moved = (at + moved) / 2
        new, share = evaluate(moved)
    return moved, new, share


def bootstrap(battles: Battles, seed: int, rounds: int, confidence: float = 0.95) -> Bootstrap:
    """Percentile intervals of the ratings over resampled prompts, each with all its battles. The order of the battles does
    not matter."""
    with threadpool_limits(1, "blas"):
        fits = list(_iter_resamples(_sort(battles), seed, rounds))
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = MEAN + SCALE * np.quantile([theta for theta, _ in fits], ends, axis=0)
    return Bootstrap(low, high, sum(is_ridged for _, is_ridged in fits))


def _iter_resamples(battles: Battles, seed: int, rounds: int) -> Iterator[tuple[np.ndarray, bool]]:
    prompts = int(battles.prompts.max()) + 1
    points = count_points(battles)
    start = maximise(points, 0.0 if is_connected(points) else RIDGE)
    for i in range(rounds):
        random = np.random.Generator(np.random.Philox(key=seeds.key(seed, "arena", VERSION, "bootstrap", i)))
        drawn = np.bincount(random.integers(0, prompts, prompts), minlength=prompts)
        resampled = count_points(battles, drawn[battles.prompts])
        ridge = 0.0 if is_connected(resampled) else RIDGE
        yield maximise(resampled, ridge, start), bool(ridge)


def _sort(battles: Battles) -> Battles:
    """The battles in an order that does not depend on the file's; prompts that name none are numbered by it."""
    own = len(np.unique(battles.prompts)) == len(battles.prompts)
    keys = (battles.points, battles.b, battles.a) if own else (battles.points, battles.b, battles.a, battles.prompts)
    order = np.lexsort(keys)
    prompts = np.arange(len(order)) if own else battles.prompts[order]
    return Battles(battles.players, battles.a[order], battles.b[order], battles.points[order], prompts)


def is_connected(points: np.ndarray) -> bool:
    """Whether every player can be reached from every other along won points."""
    if (points + np.eye(len(points)) > 0).all():  # the usual case, told at once
        return True
    return csgraph.connected_components(sparse.csr_matrix(points > 0), connection="strong")[0] == 1


def explain_separation(points: np.ndarray, players: Sequence[str]) -> list[str]:
    """Why the likelihood has no single maximum, in sentences; [] where it has one."""
    graph, notes = sparse.csr_matrix(points > 0), []
    count, groups = csgraph.connected_components(graph, connection="weak")
    if count > 1:
        names = _list_groups(groups, players)
        notes.append(
            f"The players fall into {count} groups that never met: {names}. Ratings are comparable within a group only; "
            "the mean of each is set to 1000."
        )
    parts, strong = csgraph.connected_components(graph, connection="strong")
    if parts > count:
        names = _list_groups(strong, players)
        notes.append(
            f"No maximum of the likelihood: between these groups all points go one way: {names}. A ridge of {RIDGE} keeps "
            "the ratings finite. It sets the gaps between the groups, the battles do not; only the order is known."
        )
    return notes


def _list_groups(labels: np.ndarray, players: Sequence[str], most: int = 6) -> str:
    groups: dict[int, list[str]] = {}
    for player, label in zip(players, labels.tolist(), strict=True):
        groups.setdefault(label, []).append(player)
    return _list_names(["{" + _list_names(group, most) + "}" for group in groups.values()], most)


def _list_names(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
