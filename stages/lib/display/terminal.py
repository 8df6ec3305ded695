"""Tables on the terminal: whole at every width, no cell cut.

What goes to a file or a pipe is never narrowed. On a terminal, text wraps at spaces where a table is too wide. If that is
not enough, a table with sentences becomes one block a row, and a table of numbers is divided into bands of columns, one
below the other, each with the first column.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from stages.lib.display.tables import Table

STYLES = {
    **dict.fromkeys(("fresh", "ok"), "green"),
    **dict.fromkeys(("stale", "waiting", "warn"), "yellow"),
    **{"running": "cyan", "missing": "red", "never run": "dim", "fail": "bold red"},
}
GAP = 2  # spaces between columns
HANG = 1  # by so much the further lines of a cell are indented
MIN_TEXT = 16  # a column of text wraps to no less than this, and to no less than its longest word
SENTENCE = 40  # a longer cell is a sentence

Line = list[tuple[str, str]]  # (text, style of rich)
_CONSOLE = Console(width=80)  # only measures
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def get_width() -> int | None:
    """Columns of the terminal that standard output is, None if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Sequence[str] = (),
    title: str = "",
    optional: Sequence[str] = (),
    is_short: bool = False,
) -> None:
    """Print a table in the width of the terminal, or whole.

    numbers: names of the columns to align right. On a narrow terminal the columns `optional` are left out, and if is_short
    all bands but the first. A cell that is a known status takes its colour."""
    rows, width = list(rows), get_width()
    if optional and not _is_fitting(headers, rows, width):
        kept = [i for i, header in enumerate(headers) if header not in optional]
        headers, rows = [headers[i] for i in kept], [[row[i] for i in kept] for row in rows]
    lines = lay_out(headers, rows, numbers, width, is_short)
    if title:
        lines = [*([(line, "")] for line in wrap(clean(title), get_width())), [], *lines, []]
    _print_lines(lines)


def print_report(tables: Mapping[str, Table], notes: Sequence[str] = ()) -> None:
    """Print {title: (header, rows)}, all but the first column aligned right, then the notes as a list."""
    for title, (header, rows) in tables.items():
        print_table(header, rows, header[1:], title)
    print_list(notes)


def print_headline(tables: Mapping[str, Table], file: str) -> None:
    """Print the first table of a report, of its columns what fits, and name the file with the rest and the notes."""
    title, (header, rows) = next(iter(tables.items()))
    print_table(header, rows, header[1:], title, is_short=True)
    print(f"All of it, with notes: {file}\n")


def print_list(sentences: Iterable[str]) -> None:
    """Print sentences as a list, wrapped to the terminal."""
    print_notes(f"- {sentence}" for sentence in sentences)


def print_notes(sentences: Iterable[str], indent: int = 2) -> None:
    """Print each sentence on a line, wrapped to the terminal, further lines indented."""
    for sentence in sentences:
        print("\n".join(wrap(clean(sentence), get_width(), indent)))


def print_step(score: float | None, text: str, low: float, high: float) -> None:
    """Print a step behind its score, red below `low` and green above `high`."""
    style = "" if score is None else "red" if score < low else "green" if score > high else "yellow"
    label = "" if score is None else f"{score:.2f}"
    first, *others = wrap(clean(text), (width := get_width()) and max(1, width - 6))
    _print_lines([[(f"{label:>4}", style), (f"  {first}", "")], *([(" " * 6 + line, "")] for line in others)])


def lay_out(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[str] = (),
    width: int | None = None,
    is_short: bool = False,
) -> list[Line]:
    """The lines of a table, in the best of the forms above; none is longer than `width`. is_short: of bands the first."""
    rows = [[clean(cell) for cell in row] for row in rows]
    columns, table = list(range(len(headers))), (headers, rows, numbers)
    natural = _measure_columns(headers, rows)
    if width is None or _is_fitting(headers, rows, width):
        return _draw(table, columns, natural)
    floors = [_find_floor([row[i] for row in rows], header, header in numbers) for i, header in enumerate(headers)]
    if widths := _fit(floors, natural, width):
        return _draw(table, columns, widths)
    has_sentences = any(len(row[i]) > SENTENCE for i in columns[1:] if headers[i] not in numbers for row in rows)
    bands = [] if has_sentences else _divide(headers, floors, width)
    if not bands:
        return _draw_blocks(headers, rows, width)
    lines: list[Line] = []
    for band in bands[:1] if is_short else bands:
        widths = _fit([floors[i] for i in band], [natural[i] for i in band], width) or []
        lines += [*([[]] if lines else []), *_draw(table, band, widths)]
    return lines


def clean(text: str) -> str:
    """The text on one line, without characters that a terminal obeys: texts come from models and files."""
    return _CONTROL.sub("", re.sub(r"[\t\n]+", " ", text))


def _measure_columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]


def _is_fitting(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> bool:
    """Whether the table needs no wrapping."""
    return width is None or _sum_widths(_measure_columns(headers, rows)) <= width


def _sum_widths(widths: Iterable[int]) -> int:
    """The length of a line of these columns."""
    return sum(width + GAP for width in widths) - GAP


def wrap(text: str, width: int | None, indent: int = 0) -> list[str]:
    """The lines of a text in this width, those after the first indented. Only a word wider than a line is broken."""
    if width is None or cell_len(text) <= width:
        return [text]
    first, *others = (
        line.plain.rstrip() for line in Text(text).wrap(_CONSOLE, max(1, width - indent), overflow="fold")
    )
    return [first, *(" " * indent + line for line in others)]


def _find_floor(cells: Sequence[str], header: str, is_number: bool) -> int:
    """The least width of a column: its header wraps, and its cells do if they are text."""
    natural = max(map(cell_len, cells), default=0)
    words = max((cell_len(word) + HANG for cell in cells for word in cell.split()), default=0)
    least = natural if is_number else min(natural, max(words, MIN_TEXT))
    return max([least, 1, *(cell_len(word) + HANG * (" " in header) for word in header.split())])


def _fit(floors: Sequence[int], natural: Sequence[int], width: int) -> list[int] | None:
    """Widths from floors to natural ones that fill the width, the least lack first; None if the floors are wider."""
    spare = width - _sum_widths(floors)
    if spare < 0:
        return None
    widths = list(floors)
    order = sorted(range(len(floors)), key=lambda i: natural[i] - floors[i])
    for place, i in enumerate(order):
        grant = min(max(0, natural[i] - floors[i]), spare // (len(order) - place))
        widths[i], spare = widths[i] + grant, spare - grant
    return widths


def _divide(headers: Sequence[str], floors: Sequence[int], width: int) -> list[list[int]]:
    """Bands of columns, each with the first; [] if one does not fit. A column whose name stands more than once belongs to
    the column before it."""
    groups: list[list[int]] = []
    for i in range(1, len(headers)):
        if groups and list(headers).count(headers[i]) > 1:
            groups[-1].append(i)
        else:
            groups.append([i])
    bands: list[list[int]] = []
    for group in groups:
        joined, alone = [*(bands[-1] if bands else [0]), *group], [0, *group]
        if _sum_widths(floors[i] for i in joined) <= width:
            bands[-1:] = [joined]
        elif _sum_widths(floors[i] for i in alone) <= width:
            bands.append(alone)
        else:
            return []
    return bands


def _draw(
    table: tuple[Sequence[str], Sequence[Sequence[str]], Sequence[str]], columns: Sequence[int], widths: Sequence[int]
) -> list[Line]:
    """Aligned columns, two spaces between them, nothing at line ends."""
    headers, rows, numbers = table
    lines: list[Line] = []
    for row in (headers, *rows):
        cells = [wrap(row[i], width, HANG) for i, width in zip(columns, widths, strict=True)]
        for k in range(max(map(len, cells))):
            line: Line = []
            for i, cell, width in zip(columns, cells, widths, strict=True):
                text = cell[k] if k < len(cell) else ""
                blank = " " * (width - cell_len(text))
                style = "bold" if row is headers else STYLES.get(row[i], "")
                is_number = headers[i] in numbers
                line += [(" " * GAP if line else "", ""), (blank if is_number else "", ""), (text, style)]
                line += [("" if is_number else blank, "")]
            lines.append(line)
    return lines


def _draw_blocks(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[Line]:
    """A row as its first cell, then its other cells that are not empty, each behind the name of its column."""
    lines: list[Line] = []
    names = min(width // 2, GAP + max(map(cell_len, headers[1:]), default=0))
    for row in rows:
        lines += [[(line, "bold")] for line in wrap(row[0], width)]
        for header, cell in zip(headers[1:], row[1:], strict=True):
            parts = wrap(" " * GAP + header, names, GAP), wrap(cell, max(1, width - names - GAP))
            for name, text in zip_longest(*parts, fillvalue="") if cell else ():
                blank = " " * (names + GAP - cell_len(name))
                lines.append([(name + blank, ""), (text, STYLES.get(cell, ""))])
    return lines


def _print_lines(lines: Iterable[Line]) -> None:
    """In colour on a terminal that has it."""
    console = Console()
    for line in lines:
        text = Text.assemble(*line)
        text.rstrip()
        if console.is_terminal:
            console.print(text, soft_wrap=True)
        else:
            print(text.plain)
