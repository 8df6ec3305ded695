"""`uncertainty`: the rows of which a model is least sure.

Which uncertainty it is, `perplexity.py` says: the perplexity of the answer given the question, or of the options of a
multiple choice the probability mass, the entropy or the margin. The least sure rows are often the wrong ones, so
`uncertain_and_good` stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.lib.core import params as core_params
from stages.lib.selection import budgets, inputs
from stages.lib.selection.rows import NO_VALUES, Budget, Choice, Labelled, Measure, Row, Values


class Params(core_params.Params):
    """What uncertainty is."""

    measure: Measure = "perplexity"  # of the answer; mass, entropy or margin: of the options of a multiple choice


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
    """Rows from the highest uncertainty to the lowest until the budget is spent; the value is the uncertainty.

    Raises UserError without `values.uncertainty`, and for a budget that fits no row."""
    given = inputs.sort_inputs("uncertainty", rows, budget=budget, values=values, needs=["uncertainty"])
    order = budgets.rank(given.rows, lambda i: given.uncertainty[i])
    taken = budgets.take_in_order(given.rows, order, budget)
    return [Choice(given.rows[i].id, "uncertain", float(given.uncertainty[i])) for i in taken]
