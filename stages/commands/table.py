"""`python -m stages table`: print the newest best-of-N table, as the stage wrote it."""

from pathlib import Path

from stages.lib.core.errors import UserError

TABLE_FILE = Path("data/best_of_n/table.md")
REPORT_FILE = Path("data/report/index.html")


def table() -> None:
    """Print the best-of-N table."""
    if not TABLE_FILE.exists():
        raise UserError(f"{TABLE_FILE}: not found; run `make repro` (or `dvc pull best_of_n`) first")
    from rich.console import Console
    from rich.markdown import Markdown

    text = TABLE_FILE.read_text(encoding="utf-8")
    console = Console()
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        print(text, end="")
    if REPORT_FILE.exists():
        print(f"\nThe report, for your browser: {REPORT_FILE}")
