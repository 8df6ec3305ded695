"""`uncertain_and_good`: the least sure rows among those of high quality, rejection sampling by hand.

Wrong rows are uncertain, too. So a threshold on quality comes first: the smallest at which labelled rows of dev at or above
it are good with the precision asked for. It is chosen on dev alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from stages.lib.core.errors import UserError
from stages.lib.selection import budgets, inputs
from stages.lib.selection.methods import uncertainty
from stages.lib.selection.rows import NO_VALUES, Budget, Choice, Labelled, Row, Values


class Params(uncertainty.Params):
    """What uncertainty is, and how the threshold on quality is chosen."""

    precision: float = Field(
        default=0.9, gt=0, le=1
    )  # of the labelled rows at or above the threshold, so many are good
    min_rows: int = Field(default=10, ge=1)  # fewer labelled rows at or above it prove nothing


DEFAULTS = Params()


def select(
    rows: Sequence[Row],
    embeddings: np.ndarray | None,
    budget: Budget,
    labelled: Labelled | None,
    seed: int,
    params: Params = DEFAULTS,
    values: Values = NO_VALUES,
) -> list[Choice]:
    """Rows at or above the threshold, the least sure first, until the budget is spent; the value is the uncertainty.

    Raises UserError without values or labelled rows, where no threshold has the precision, and where no row reaches it."""
    given = inputs.sort_inputs(
        "uncertain_and_good", rows, budget=budget, values=values, needs=["quality", "uncertainty"]
    )
    threshold = choose_threshold(labelled, params)
    good = [i for i in budgets.rank(given.rows, lambda i: given.uncertainty[i]) if given.quality[i] >= threshold]
    if rows and not good:
        raise UserError(
            f"method uncertain_and_good: no row reaches the quality {threshold:.4g} (the highest is "
            f"{given.quality.max():.4g}); lower the precision, or score rows and labelled rows by one quality model"
        )
    taken = budgets.take_in_order(given.rows, good, budget)
    reason = f"uncertain, quality {threshold:.4g} or more"
    return [Choice(given.rows[i].id, reason, float(given.uncertainty[i])) for i in taken]


def choose_threshold(labelled: Labelled | None, params: Params) -> float:
    """The threshold on labelled rows, which needs nothing of the others. Raises UserError as `find_threshold` does."""
    dev = inputs.sort_labelled("uncertain_and_good", labelled, ["quality", "is_good"])
    return find_threshold(np.asarray(dev.quality), np.asarray(dev.is_good) > 0, params)


def find_threshold(quality: np.ndarray, is_good: np.ndarray, params: Params) -> float:
    """The smallest quality at or above which the share of good rows is `params.precision` or more.

    quality, is_good: (labelled rows,). Raises UserError where there is none with `params.min_rows` rows."""
    order = np.argsort(-quality, kind="stable")
    counts = np.arange(1, len(order) + 1)
    precisions = np.cumsum(is_good[order]) / counts
    is_last = np.append(np.diff(quality[order]) != 0, True)  # rows of equal quality pass together
    passing = np.flatnonzero(is_last & (precisions >= params.precision) & (counts >= params.min_rows))
    if not len(passing):
        best = precisions[is_last & (counts >= params.min_rows)].max(initial=0)
        raise UserError(
            f"method uncertain_and_good: no threshold on quality keeps {params.min_rows} or more labelled rows of which "
            f"{params.precision:.0%} are good (the best share is {best:.0%}); label more rows, or lower `precision`"
        )
    return float(quality[order][passing[-1]])
