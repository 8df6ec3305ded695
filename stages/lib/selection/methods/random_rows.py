"""`random`: rows drawn without regard to anything, the arm that every other method stands beside.

It is hard to beat: 2410.09335 finds random selection as good as most methods at scale. Each row has its own keyed number,
so more rows in the pool or a larger budget change nothing about which of two rows comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.lib.core import params as core_params
from stages.lib.core import seeds
from stages.lib.selection import budgets, inputs
from stages.lib.selection.rows import NO_VALUES, VERSION, Budget, Choice, Labelled, Row, Values


class Params(core_params.Params):
    """No settings."""


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
    """Rows in a keyed random order until the budget is spent. Raises UserError for a budget that fits no row."""
    ordered = inputs.sort_inputs("random", rows, budget=budget).rows
    order = sorted(
        range(len(ordered)), key=lambda i: seeds.key(seed, "selection", VERSION, ordered[i].id, "random order")
    )
    return [Choice(ordered[i].id, "random") for i in budgets.take_in_order(ordered, order, budget)]
