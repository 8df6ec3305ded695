"""Published rows on their way to becoming problems.

A row that does not have the columns of its benchmark is the user's mistake and stops the stage: the file is another
one than was named. A row that has them but is no usable problem (`336^\\circ` where a whole number belongs) is
rejected with its reason, which goes to provenance.json.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from stages.lib.core.errors import UserError


class Row(NamedTuple):
    """One published row. `line` counts as a person opening the file does; `key` is its name within the split."""

    values: dict[str, Any]
    file: str
    line: int
    key: str

    @property
    def location(self) -> str:
        return f"{self.file}:{self.line}"


class Table(NamedTuple):
    """The rows of one published file, or of one split on the hub. `split` is the published one: train, dev or test.

    `licence` is of a LICENSE file beside it, if there is one.
    """

    url: str
    split: str
    revision: str | None
    sha256: str | None
    rows: list[Row]
    licence: str | None = None


class Reject(Exception):
    """Why a well-formed row is not a usable problem."""


def get_optional(row: Row, *names: str) -> Any:
    """The first of the named columns that the row has, in capitals or not; None where it has none of them."""
    columns = {name.casefold(): value for name, value in row.values.items()}
    return next((columns[name.casefold()] for name in names if name.casefold() in columns), None)


def get_field(row: Row, *names: str) -> Any:
    """As `get_optional`. Raises UserError when the row has none of the columns."""
    columns = {name.casefold() for name in row.values}
    if any(name.casefold() in columns for name in names):
        return get_optional(row, *names)
    wanted = " or ".join(repr(name) for name in names)
    raise UserError(
        f"{row.location}: no column {wanted}; found {', '.join(map(str, row.values))}; "
        "is this the file of the benchmark named in benchmarks.name?"
    )


def get_text(row: Row, *names: str) -> str:
    """A column that must be text and not blank, else the row is rejected."""
    value = get_field(row, *names)
    if not isinstance(value, str):
        raise Reject(f"{names[0]}: must be text, found {type(value).__name__}")
    if not value.strip():
        raise Reject(f"{names[0]}: empty")
    return value
