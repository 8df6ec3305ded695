"""The few figures of best-of-N that stand for all: what DVC and MLflow compare. All of them are in results.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stages.lib.reports.matrix import POOLED_GROUPS


def select(figures: Mapping[str, Any], verifiers: Sequence[str]) -> dict[str, Any]:
    """Accuracy at N, AUC on test, and gain over majority on variants of the test problems and on other kinds (shares).

    figures: those of results.json. `best_free` is the best method without training, as chosen on dev."""
    methods = name_methods(figures["best_free"], verifiers)
    at_n, matrix = figures["at_n"], figures["matrix"]
    accuracy = {"pass_at_1": figures["pass_1"]["mean"], "pass_at_n": at_n["pass"]["mean"]}
    gains = {
        f"gain_{name}": {
            short: matrix[group][f"{method}_gain"]["mean"]
            for short, method in methods.items()
            if method != "majority" and f"{method}_gain" in matrix.get(group, {})
        }
        for name, group in zip(("ood", "variants", "other_kinds"), POOLED_GROUPS, strict=True)
    }
    if gains["gain_variants"]:  # the whole would hide what the parts show
        del gains["gain_ood"]
    return {
        "n": figures["n"],
        "problems": figures["problems"],
        "accuracy": accuracy | {short: at_n[method]["mean"] for short, method in methods.items() if method in at_n},
        **{name: own for name, own in gains.items() if own},
        "auc": {name: figures["auc"][name]["test"] for name in verifiers if name in figures["auc"]},
    }


def name_methods(best_free: str, verifiers: Sequence[str]) -> dict[str, str]:
    """{its name in the headline: method}"""
    votes = [f"weighted_{name}" for name in verifiers]
    return {"majority": "majority", "best_free": best_free, **{vote: vote for vote in votes}}


def iter_curves(
    intervals: Mapping[str, Mapping[int, Mapping[str, float]]], best_free: str, verifiers: Sequence[str]
) -> Iterator[tuple[int, dict[str, float]]]:
    """(k, {name: accuracy with k samples}) with k rising; the names are those that MLflow gives the headline."""
    curves = {
        f"accuracy/{short}": intervals[method]
        for short, method in {"pass_at_k": "pass", **name_methods(best_free, verifiers)}.items()
        if method in intervals
    }
    for k in sorted({k for curve in curves.values() for k in curve}):
        yield k, {name: curve[k]["mean"] for name, curve in curves.items() if k in curve}
