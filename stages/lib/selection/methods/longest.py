"""`longest`: the rows with the longest answers, a baseline that embarrassed cleverer methods (Zhao et al. 2024, arXiv
2402.04833: the 1,000 longest responses of Alpaca)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.lib.core import params as core_params
from stages.lib.selection import budgets, inputs
from stages.lib.selection.rows import NO_VALUES, Budget, Choice, Labelled, Row, Values


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
    """Rows from most tokens to fewest until the budget is spent; where a row has no count of tokens, characters of the
    answers are compared instead. Raises UserError for a budget that fits no row."""
    ordered = inputs.sort_inputs("longest", rows, budget=budget).rows
    unit = "tokens" if all(row.tokens > 0 for row in ordered) else "characters"
    lengths = [row.tokens if unit == "tokens" else len(row.answer) for row in ordered]
    taken = budgets.take_in_order(ordered, budgets.rank(ordered, lambda i: lengths[i]), budget)
    return [Choice(ordered[i].id, f"longest by {unit}", float(lengths[i])) for i in taken]
