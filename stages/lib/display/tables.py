"""Tables for people: drawn on a terminal, plain aligned columns everywhere else."""

from __future__ import annotations

import math
from collections.abc import Sequence

STYLES = {
    "fresh": "green",
    "ok": "green",
    "running": "cyan",
    "stale": "yellow",
    "waiting": "yellow",
    "warn": "yellow",
    "missing": "red",
    "never run": "dim",
    "fail": "bold red",
}


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> None:
    """Print a table; columns named in `numbers` are right-aligned. A cell that is a known word takes its colour."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        print(format_table(headers, rows, numbers))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, justify="right" if header in numbers else "left")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    console.print(table)


def format_table(headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> str:
    """The table as text: two spaces between columns, nothing at line ends."""
    table = [list(headers), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    lines = []
    for row in table:
        cells = [
            cell.rjust(width) if header in numbers else cell.ljust(width)
            for cell, width, header in zip(row, widths, headers, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_duration(seconds: float) -> str:
    """0.4 s, 12 s, 3:05, 1:02:03."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def format_bytes(amount: float) -> str:
    """Bytes in units of 1024: 512 B, 1.4 GB."""
    power = min(4, int(math.log(max(amount, 1), 1024)))
    scaled = amount / 1024**power
    return f"{scaled:.0f} B" if power == 0 else f"{scaled:.3g} {('KB', 'MB', 'GB', 'TB')[power - 1]}"


def format_number(value: object) -> str:
    """Four significant digits; {mean, low, high} as `mean [low, high]`."""
    if isinstance(value, dict) and {"mean", "low", "high"} <= value.keys():
        return f"{format_number(value['mean'])} [{format_number(value['low'])}, {format_number(value['high'])}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
