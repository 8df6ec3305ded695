"""What a method is given, checked and in the order of ids: sums and fits then come out the same for any order of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stages.lib.core.errors import UserError
from stages.lib.selection import budgets
from stages.lib.selection.rows import NO_VALUES, UNBOUNDED, Budget, Labelled, Row, Values


class Inputs(NamedTuple):
    """Rows sorted by id, and in the same order their embeddings and values (float64; empty where none were given)."""

    rows: list[Row]
    vectors: np.ndarray  # (rows, width)
    quality: np.ndarray  # (rows,)
    uncertainty: np.ndarray  # (rows,)
    places: np.ndarray  # (rows,) where each row stood in the caller's order


def sort_inputs(
    method: str,
    rows: Sequence[Row],
    embeddings: np.ndarray | None = None,
    budget: Budget = UNBOUNDED,
    values: Values = NO_VALUES,
    needs: Sequence[str] = (),
) -> Inputs:
    """Check and sort. needs: of `embeddings`, `quality` and `uncertainty` those that the method cannot do without.

    Raises UserError where one of these is missing, two rows have one id, or the budget cannot be used; ValueError for an
    array of another length than the rows, or with a number that is not finite."""
    budgets.check(budget, rows)
    given = {"embeddings": embeddings, **values._asdict()}
    if missing := [need for need in needs if given[need] is None]:
        raise UserError(f"method {method}: needs {' and '.join(missing)} of the rows; name how to compute them")
    places = np.array(sorted(range(len(rows)), key=lambda i: rows[i].id), dtype=int)
    ordered = [rows[i] for i in places]
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.id == other.id:
            raise UserError(f"row {one.id}: two rows have this id; give each its own")
    arrays = {name: _check_array(name, array, len(rows)) for name, array in given.items()}
    vectors, quality, uncertainty = (array[places] if len(array) else array for array in arrays.values())
    return Inputs(ordered, vectors, quality, uncertainty, places)


def sort_labelled(method: str, labelled: Labelled | None, needs: Sequence[str], width: int | None = None) -> Labelled:
    """Labelled rows sorted by id. needs: the arrays that the method cannot do without. width: of the embeddings.

    Raises UserError where there are no labelled rows or no such arrays; ValueError for arrays of the wrong size."""
    if labelled is None or not len(labelled.rows):
        raise UserError(f"method {method}: needs labelled rows to compare with; name a file of them")
    if missing := [need for need in needs if getattr(labelled, need) is None]:
        raise UserError(f"method {method}: needs {' and '.join(missing)} of the labelled rows")
    places = np.array(sorted(range(len(labelled.rows)), key=lambda i: labelled.rows[i].id), dtype=int)
    arrays = {
        name: None if array is None else _check_array(name, array, len(places))[places]
        for name, array in labelled._asdict().items()
        if name != "rows"
    }
    if width is not None and arrays["embeddings"] is not None and arrays["embeddings"].shape[1] != width:
        raise ValueError(f"labelled embeddings have {arrays['embeddings'].shape[1]} numbers, candidates {width}")
    return Labelled([labelled.rows[i] for i in places], **arrays)


def normalise(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1 (Euclidean); a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def _check_array(name: str, array: np.ndarray | None, count: int) -> np.ndarray:
    if array is None:
        return np.empty((0, 0) if name == "embeddings" else 0)
    array = np.asarray(array, float)
    if len(array) != count or array.ndim != (2 if name == "embeddings" else 1):
        raise ValueError(f"{name} of shape {array.shape} for {count} rows")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: row {int(np.argwhere(~np.isfinite(array))[0][0])} holds a number that is not finite")
    return array
