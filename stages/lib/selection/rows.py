"""What a method of selection reads and returns.

Every method is `select(rows, embeddings, budget, labelled, seed, params, values) -> list[Choice]`: deterministic, equal for
any order of the rows (ties are broken by id), with a reason for every row that it keeps. What it does not use may be None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

VERSION = 1  # of the methods, in the key of every draw
Measure = Literal["perplexity", "mass", "entropy", "margin"]  # of uncertainty; perplexity.py says what they are


class Row(NamedTuple):
    """A question and its answer, from whatever kind of file."""

    id: str
    question: str  # with its options or input, as a model reads it
    answer: str  # the whole solution or response
    group: str  # rows of one group go to the same fold: the root problem of all variants
    source: str = ""  # the data set, or the method of augmentation
    family: str = ""  # the kind of problem
    tokens: int = 0  # of the answer, and of the question where both are trained on
    options: tuple[str, ...] = ()  # of a multiple choice: each answer that a model may give

    @property
    def text(self) -> str:
        return f"{self.question}\n{self.answer}"


def join_surrogates(text: str) -> str:
    """Halves of a character, as JSON escapes it, become one; a half that stands alone becomes U+FFFD, since no encoder
    takes it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Values(NamedTuple):
    """What is known of each row beside its embedding, each (rows,) float64; None where it was not computed."""

    quality: np.ndarray | None = None  # higher is better
    uncertainty: np.ndarray | None = None  # higher is less sure: a perplexity, an entropy, 1 - a mass or a margin


NO_VALUES = Values()


class Labelled(NamedTuple):
    """Rows that a method compares with: those that are there already, or rows of dev whose worth is known."""

    rows: Sequence[Row]
    embeddings: np.ndarray | None = None  # (labelled rows, width), of the same embedding as the candidates
    quality: np.ndarray | None = None  # (labelled rows,), of the same quality model as the candidates
    is_good: np.ndarray | None = None  # (labelled rows,) bool: whether a row is worth training on


class Budget(NamedTuple):
    """How much may be chosen: so many rows, or rows of so many tokens; None: no bound."""

    items: int | None = None
    tokens: int | None = None


UNBOUNDED = Budget()


class Choice(NamedTuple):
    """A chosen row: why, and the number that decided (a quality, a distance, a probability)."""

    id: str
    reason: str
    value: float | None = None
