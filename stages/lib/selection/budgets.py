"""A budget as it is spent, by rows and by tokens.

A row that would exceed the tokens that are left is passed over, and later, shorter ones may still fit: so arms of equal
tokens differ by less than one row. The price is that the last few rows tend to be short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from stages.lib.core.errors import UserError
from stages.lib.selection.rows import Budget, Row


class Spending:
    """What is left of a budget."""

    def __init__(self, budget: Budget):
        self.items = float("inf") if budget.items is None else budget.items
        self.tokens = float("inf") if budget.tokens is None else budget.tokens

    @property
    def is_over(self) -> bool:
        return self.items <= 0 or self.tokens <= 0

    def take(self, row: Row) -> bool:
        """Spend the budget on a row, if it fits; whether it did."""
        if self.items < 1 or self.tokens < row.tokens:
            return False
        self.items -= 1
        self.tokens -= row.tokens
        return True


def check(budget: Budget, rows: Sequence[Row]) -> None:
    """Raises UserError for a negative budget, and for one of tokens where a row has no count of them."""
    for name, amount in budget._asdict().items():
        if amount is not None and amount < 0:
            raise UserError(f"budget of {amount} {name}: must be 0 or more")
    uncounted = [row.id for row in rows if row.tokens <= 0] if budget.tokens is not None else []
    if uncounted:
        raise UserError(
            f"budget of {budget.tokens} tokens: row {min(uncounted)} and {len(uncounted) - 1} others have no number of "
            f"tokens; count them, or set a budget of rows"
        )


def is_unbounded(budget: Budget) -> bool:
    return budget.items is None and budget.tokens is None


def take_in_order(rows: Sequence[Row], order: Iterable[int], budget: Budget) -> list[int]:
    """The indices of `order` that fit the budget, in that order. Raises UserError where the budget is smaller than every
    row: nothing chosen is no success. A budget of 0 chooses nothing."""
    left, taken = Spending(budget), []
    for i in order:
        if left.is_over:
            break
        if left.take(rows[i]):
            taken.append(i)
    if rows and not taken and 0 not in budget:
        raise explain_too_small(rows, budget)
    return taken


def explain_too_small(rows: Sequence[Row], budget: Budget) -> UserError:
    return UserError(
        f"budget of {budget.tokens} tokens: the shortest row has {min(row.tokens for row in rows)}; raise the budget"
    )


def rank(rows: Sequence[Row], score: Callable[[int], float]) -> list[int]:
    """Indices of rows from the highest score to the lowest; of equal ones the smaller id first."""
    return sorted(range(len(rows)), key=lambda i: (-score(i), rows[i].id))
