"""The methods that choose rows, by name. Each is a file with `Params` and `select`; rows.py says what these read.

Must not know where embeddings, qualities and uncertainties come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stages.lib.core.params import Params
from stages.lib.selection.methods import (
    adversarial,
    all_rows,
    car,
    k_center,
    longest,
    one_pass,
    random_rows,
    uncertain_and_good,
    uncertainty,
)
from stages.lib.selection.rows import Choice


class Method(NamedTuple):
    """A method. needs: what it reads: arrays of the rows, and `labelled` rows."""

    select: Callable[..., list[Choice]]
    params: type[Params]
    summary: str
    needs: frozenset[str] = frozenset()

    def list_needs(self, params: Params) -> frozenset[str]:
        """What it cannot do without: all of `needs`, but `one_pass` does without quality where its order is another."""
        is_optional = isinstance(params, one_pass.Params) and params.order != "quality"
        return self.needs - {"quality"} if is_optional else self.needs


METHODS = {
    "all": Method(all_rows.select, all_rows.Params, "every row"),
    "random": Method(random_rows.select, random_rows.Params, "rows drawn at random"),
    "longest": Method(longest.select, longest.Params, "the longest answers"),
    "car": Method(
        car.select, car.Params, "highest quality and the best of clusters", frozenset({"embeddings", "quality"})
    ),
    "one_pass": Method(
        one_pass.select, one_pass.Params, "one row of near-duplicates", frozenset({"embeddings", "quality"})
    ),
    "k_center": Method(k_center.select, k_center.Params, "rows that cover all others", frozenset({"embeddings"})),
    "adversarial": Method(
        adversarial.select, adversarial.Params, "unlike existing rows", frozenset({"embeddings", "labelled"})
    ),
    "uncertainty": Method(
        uncertainty.select, uncertainty.Params, "what a model is least sure of", frozenset({"uncertainty"})
    ),
    "uncertain_and_good": Method(
        uncertain_and_good.select,
        uncertain_and_good.Params,
        "the least sure of high quality",
        frozenset({"quality", "uncertainty", "labelled"}),
    ),
}
