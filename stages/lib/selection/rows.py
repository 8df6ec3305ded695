"""What a method of selection reads and returns.

Every method is `select(rows, embeddings, budget, labelled, seed) -> list[Choice]`: deterministic, equal for any order of
the rows (ties are broken by id), with a reason for every row that it keeps.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A question and its answer, from whatever kind of file."""

    id: str
    question: str  # with its options or input, as a model reads it
    answer: str  # the whole solution or response
    group: str  # rows of one group go to the same fold: the root problem of all variants
    source: str = ""  # the data set, or the method of augmentation
    family: str = ""  # the kind of problem
    tokens: int = 0  # of the answer, and of the question where both are trained on

    @property
    def text(self) -> str:
        return f"{self.question}\n{self.answer}"


class Budget(NamedTuple):
    """How much may be chosen: so many rows, or rows of so many tokens; None: no bound."""

    items: int | None = None
    tokens: int | None = None


class Choice(NamedTuple):
    """A chosen row: why, and the number that decided (a quality, a distance, a probability)."""

    id: str
    reason: str
    value: float | None = None
