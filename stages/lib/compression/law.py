"""The linear law of compression and ability: score = a + b * bits per character (Huang et al. 2024, arXiv 2404.09937).

Correlation is over models, and there are few of them, so every figure comes with what could mislead about it: intervals by
resampling models, the error of predicting a model that the fit has not seen beside that of two rules without bits (the mean
of the others; a line in log-compute), and the correlation that is left given log-compute, since a bigger model is better
at both. Snapshots of one training are no independent models, so the slope is also given within each family.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from stages.lib.core import seeds

MIN_MODELS = 3  # a line through two points fits anything


class Point(NamedTuple):
    """One model: bits per character of a corpus, its score, and the operations that trained it (None: unknown)."""

    model: str
    family: str
    bits: float
    score: float
    flops: float | None = None


def fit(points: Sequence[Point], seed: int, resamples: int = 2000) -> dict[str, Any]:
    """The law over models: a, b; r and rho (Pearson's, Spearman's) with 95 % percentile intervals over models; loo_rmse,
    loo_rmse_mean, loo_rmse_compute; partial_r given log-compute; slopes and models of each family.

    A figure that does not exist is None: of fewer than three models, of a constant, or without compute. A resample in which
    either side is constant has no correlation and is left out.
    """
    x, y = (np.array([getattr(point, name) for point in points], float) for name in ("bits", "score"))
    a, b = _fit_line(x, y)
    r, rho = compute_correlation(x, y), compute_correlation(rankdata(x), rankdata(y))
    flops = [point.flops for point in points]
    compute = np.log([float(f) for f in flops if f]) if all(flops) and len(points) else None
    families = list(dict.fromkeys(point.family for point in points))
    return {
        "n_models": len(points),
        "a": a,
        "b": b,
        "r": r,
        "rho": rho,
        **_resample(x, y, seed, resamples),
        "loo_rmse": _leave_one_out(x, y),
        "loo_rmse_mean": _leave_one_out(np.zeros(len(y)), y),
        "loo_rmse_compute": None if compute is None else _leave_one_out(compute, y),
        "r_compute": None if compute is None else compute_correlation(compute, y),
        "partial_r": None if compute is None else compute_partial(x, y, compute),
        "families": {name: _describe_family([p for p in points if p.family == name]) for name in families},
    }


def compute_correlation(x: np.ndarray, y: np.ndarray) -> float | None:
    """Pearson's r; None for fewer than three models, and where either is constant up to rounding."""
    if len(x) < MIN_MODELS or _is_constant(x) or _is_constant(y):
        return None
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip((x @ y) / math.sqrt((x @ x) * (y @ y)), -1, 1))


def compute_partial(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float | None:
    """Pearson's r of what a line in `given` leaves of x and of y. None for fewer than four models, or where it leaves
    nothing."""
    if len(x) < MIN_MODELS + 1:
        return None
    residuals = [v - _predict(given, v, given) for v in (x, y)]
    for left, v in zip(residuals, (x, y), strict=True):
        if np.abs(left).max() <= 1e-9 * max(1e-300, np.abs(v - v.mean()).max()):
            return None
    return compute_correlation(*residuals)


def _is_constant(v: np.ndarray) -> bool:
    return bool(np.ptp(v) <= 1e-12 * max(1.0, float(np.abs(v).max())))


def _fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float | None, float | None]:
    if len(x) < MIN_MODELS or _is_constant(x):
        return None, None
    slope = float((x - x.mean()) @ (y - y.mean()) / ((x - x.mean()) @ (x - x.mean())))
    return float(y.mean() - slope * x.mean()), slope


def _predict(x: np.ndarray, y: np.ndarray, at: Any) -> Any:
    """The least-squares line of (x, y) at new places; the mean of y where x is constant."""
    if _is_constant(x):
        return np.full(np.shape(at), y.mean())
    slope = (x - x.mean()) @ (y - y.mean()) / ((x - x.mean()) @ (x - x.mean()))
    return y.mean() + slope * (np.asarray(at) - x.mean())


def _leave_one_out(x: np.ndarray, y: np.ndarray) -> float | None:
    """Root mean squared error of each model's score as predicted from a line through the others."""
    if len(x) < MIN_MODELS + 1:
        return None
    rest = ~np.eye(len(x), dtype=bool)
    errors = [y[i] - float(_predict(x[rest[i]], y[rest[i]], x[i])) for i in range(len(x))]
    return float(np.sqrt(np.mean(np.square(errors))))


def _resample(x: np.ndarray, y: np.ndarray, seed: int, resamples: int) -> dict[str, list[float] | None]:
    """Percentile intervals of r and rho over draws of as many models with replacement."""
    n, intervals = len(x), {}
    for name, rank in (("r", np.asarray), ("rho", lambda v: rankdata(v, axis=1))):
        drawn = np.zeros(0)
        if n >= MIN_MODELS:
            rows = (seeds.uniforms(seed, "compression", "models", n=n * resamples).reshape(resamples, n) * n).astype(
                int
            )
            drawn = _correlate_rows(rank(x[rows]), rank(y[rows]))
        intervals[f"{name}_interval"] = np.percentile(drawn, [2.5, 97.5]).tolist() if len(drawn) else None
    return intervals


def _correlate_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's r of each row in which neither side is constant."""
    varied = np.all([np.ptp(v, axis=1) > 1e-12 * np.maximum(1.0, np.abs(v).max(axis=1)) for v in (x, y)], axis=0)
    x, y = (v[varied] - v[varied].mean(axis=1, keepdims=True) for v in (x, y))
    return np.clip((x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1)), -1, 1)


def _describe_family(points: Sequence[Point]) -> dict[str, Any]:
    x, y = (np.array([getattr(point, name) for point in points], float) for name in ("bits", "score"))
    return {"n_models": len(points), "b": _fit_line(x, y)[1], "r": compute_correlation(x, y)}
