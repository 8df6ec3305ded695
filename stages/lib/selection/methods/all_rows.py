"""`all`: every row, which is what a selection has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.lib.core import params as core_params
from stages.lib.core.errors import UserError
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
    """Every row, in the order of ids. Raises UserError for a budget, which it could not keep."""
    if not budgets.is_unbounded(budget):
        raise UserError("method all: keeps every row, so it takes no budget; set none, or choose another method")
    return [Choice(row.id, "all") for row in inputs.sort_inputs("all", rows).rows]
