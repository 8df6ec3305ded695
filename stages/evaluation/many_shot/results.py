"""results.json of stage many_shot, from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.evaluation.many_shot import episode_model, measures
from stages.evaluation.many_shot.answering import Row
from stages.evaluation.many_shot.benchmark import WORLD

if TYPE_CHECKING:
    from stages.evaluation.many_shot.__main__ import Params

ORACLES = ("knn", "least_squares", "bayes")


def compute(rows: Sequence[Row], params: Params, seed: int) -> dict[str, Any]:
    """{worlds: {name: figures}, arms: {arm: figures}}. Figures: curve, oracles, peak, nll, spread over sets and orders."""
    numeric = params.numeric
    worlds = {}
    for name, world in numeric.worlds.items():
        own = [row for row in rows if row.world == name]
        known = params.agent.kind == "rules" and numeric.model == "episodes"
        facts = {"held_out": known and episode_model.is_held_out(numeric.training, world)}
        worlds[name] = facts | describe(own, numeric.order_shots, seed) | count_unreadable(own)
    own = [row for row in rows if row.world == WORLD]
    arms = {
        arm: describe([row for row in own if row.arm == arm], params.order_shots, seed)
        for arm in dict.fromkeys(row.arm for row in own)
    }
    return {"worlds": worlds, "arms": {arm: arms[arm] for arm in params.arms if arm in arms}}


def describe(rows: Sequence[Row], order_shots: int, seed: int) -> dict[str, Any]:
    """Figures of one world, or of one arm of the benchmark."""
    curve = measures.collect_curve(rows)
    place = (seed, rows[0].world, rows[0].arm)
    figures: dict[str, Any] = {
        "curve": measures.describe_curve(curve),
        "peak": measures.find_peak(curve, *place),
        "oracles": {
            oracle: measures.describe_curve(measures.collect_curve(rows, oracle))
            for oracle in ORACLES
            if any(oracle in row.oracles for row in rows)
        },
    }
    figures |= describe_prompts(rows)
    figures["nll"] = measures.compare_nll(rows)
    for name, by in (("sets", "set_seed"), ("orders", "order_seed")):
        if tables := measures.tabulate(rows, order_shots, by):
            figures[name] = measures.split_spread(tables, *place, by)._asdict()
    return figures


def describe_prompts(rows: Sequence[Row]) -> dict[str, Any]:
    """tokens, cached, seen: {K: mean of a prompt}, of the order in which shots were drawn; seen is the share in which a
    shot has the query's question. replies, unfinished: how many there are, and how many were cut off by the limit."""
    plain = [row for row in rows if not row.order_seed]
    means = {
        name: {str(k): float(np.mean([getattr(row, name) for row in plain if row.k == k])) for k in _list_ks(plain)}
        for name in ("tokens", "cached", "seen")
    }
    return means | {"replies": len(rows), "unfinished": sum(not row.finished for row in rows)}


def count_unreadable(rows: Sequence[Row]) -> dict[str, int]:
    """unreadable: how many replies ended without an answer of their world; left out where all could be read."""
    count = sum(row.finished and row.answer is None for row in rows)
    return {"unreadable": count} if count else {}


def _list_ks(rows: Sequence[Row]) -> list[int]:
    return sorted({row.k for row in rows})


def select_headline(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures of metrics.json: the accuracy at the largest K, of worlds beside Bayes, and the best K of the arms."""
    headline: dict[str, Any] = {}
    for name, own in figures["worlds"].items():
        last = list(own["curve"].values())[-1][0]
        bayes = list(own["oracles"].get("bayes", {"": [None]}).values())[-1][0]
        headline.setdefault("accuracy", {})[name] = last
        if bayes is not None:
            headline.setdefault("bayes", {})[name] = bayes
    for arm, own in figures["arms"].items():
        headline.setdefault("peak_k", {})[arm] = own["peak"]["k"]
    return headline
