"""Published rows, and the access to their columns.

A row without the columns of its benchmark stops the stage: the wrong file was named. A row that has them but is no usable
problem (`336^\\circ` instead of a whole number) is rejected with its reason, which goes to provenance.json.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from stages.lib.core.errors import UserError


class Row(NamedTuple):
    """One published row. `line` counts from 1, as an editor does; `key` is its name within the split."""

    values: dict[str, Any]
    file: str
    line: int
    key: str

    @property
    def location(self) -> str:
        return f"{self.file}:{self.line}"


class Table(NamedTuple):
    """The rows of a published file, or of a split on the hub.

    split: the published one (train, dev or test); licence: that of a LICENSE file beside it, if there is one.
    """

    url: str
    split: str
    revision: str | None
    sha256: str | None
    rows: list[Row]
    licence: str | None = None


class Reject(Exception):
    """A well-formed row that is not a usable problem; the message says why."""


def get_optional(row: Row, *names: str) -> Any:
    """The first of the named columns that the row has, ignoring case; None if it has none of them."""
    columns = {name.casefold(): value for name, value in row.values.items()}
    return next((columns[name.casefold()] for name in names if name.casefold() in columns), None)


def get_field(row: Row, *names: str) -> Any:
    """`get_optional` for a required column. Raises UserError if the row has none of the columns."""
    columns = {name.casefold() for name in row.values}
    if any(name.casefold() in columns for name in names):
        return get_optional(row, *names)
    expected = " or ".join(map(repr, names))
    raise UserError(
        f"{row.location}: no column {expected}; found {', '.join(map(str, row.values))}; "
        "is this the file of the benchmark named in benchmarks.name?"
    )


def get_text(row: Row, *names: str) -> str:
    """A required column that must be text and not blank. Raises Reject otherwise."""
    value = get_field(row, *names)
    if not isinstance(value, str):
        raise Reject(f"{names[0]}: must be text, found {type(value).__name__}")
    if not value.strip():
        raise Reject(f"{names[0]}: empty")
    return value


def split_lines(solution: str) -> list[str]:
    """The lines of a solution that are not blank."""
    return [line for line in solution.split("\n") if line.strip()]
