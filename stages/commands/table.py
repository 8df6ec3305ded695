"""`python -m stages table`: print the newest best-of-N tables, as the stage wrote them."""

from pathlib import Path
from typing import Annotated

import typer

from stages.lib.core.errors import UserError

TABLE_FILES = (Path("data/best_of_n/table.md"), Path("data/best_of_n/matrix.md"))  # in distribution, and out of it
REPORT_FILE = Path("data/report/index.html")


def table(
    everything: Annotated[bool, typer.Option("--all", help="Every table, and the notes that explain them.")] = False,
) -> None:
    """Print the best-of-N tables: in distribution, and from in to out of distribution."""
    from stages.lib.display import tables, terminal

    found = [path for path in TABLE_FILES if path.exists()]
    if not found:
        raise UserError(f"{TABLE_FILES[0]}: not found; run `make repro` (or `dvc pull best_of_n`) first")
    for path in found:
        report, notes = tables.parse_report(path.read_text(encoding="utf-8"))
        if not report:
            raise UserError(f"{path}: holds no table; run `dvc repro best_of_n` again")
        if everything:
            terminal.print_report(report, notes)
        else:
            terminal.print_headline(report, str(path))
    if REPORT_FILE.exists():
        print(f"The report, for your browser: {REPORT_FILE}")
