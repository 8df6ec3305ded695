"""`python -m bench.pipeline [OTHER]`: seconds, peak memory and tokens of each stage, from the journal of this checkout.

OTHER is the folder of another checkout, whose figures then stand beside these, with the ratio of the seconds (above 1: this
checkout is faster). A stage counts once, with its latest execution that finished. Two runs compare only if the machine
was equally busy, so run them one after the other.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stages.lib.core import params
from stages.lib.core.errors import UserError
from stages.lib.run import journal

MB = 2**20


def load_costs(root: Path) -> dict[str, dict[str, Any]]:
    """{stage: run.json of its latest finished execution}, in the order of dvc.yaml. Raises UserError for none."""
    finished = {
        entry.info["stage"]: entry.info
        for entry in journal.load_entries(root)
        if entry.info["status"] == journal.FINISHED
    }
    costs = {stage: finished[stage] for stage in params.read_yaml(root / "dvc.yaml")["stages"] if stage in finished}
    if not costs:
        raise UserError(f"{root / journal.JOURNAL_DIR}: no stage has finished here; `make repro` runs all")
    return costs


def make_table(costs: dict[str, dict[str, Any]], others: dict[str, dict[str, Any]]) -> Table:
    """One row a stage and their sum; others: of the second checkout, or empty."""
    table = Table("stage")
    for header in ("seconds", "memory, MB", "tokens", *(("other seconds", "ratio") if others else ())):
        table.add_column(header, justify="right")

    def format_seconds(seconds: float | None, other: float | None) -> list[str]:
        ratio = f"{other / seconds:.2f}" if seconds and other else ""
        return ["" if other is None else f"{other:.1f}", ratio] if others else []

    for stage in dict.fromkeys([*costs, *others]):
        info, other = costs.get(stage, {}), others.get(stage, {}).get("seconds")
        cells = ["", "", ""]
        if info:
            tokens = info.get("tokens")
            memory = info["peak_memory"]["host"] / MB
            cells = [f"{info['seconds']:.1f}", f"{memory:,.0f}", "" if tokens is None else f"{tokens:,.0f}"]
        table.add_row(stage, *cells, *format_seconds(info.get("seconds"), other))
    total, common = sum(info["seconds"] for info in costs.values()), costs.keys() & others.keys()
    sums = [sum(group[stage]["seconds"] for stage in common) for group in (costs, others)]
    ratio = f"{sums[1] / sums[0]:.2f}" if common and sums[0] else ""
    table.add_row("sum", f"{total:.1f}", "", "", *([f"{sums[1]:.1f}", ratio] if others else []), style="bold")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", nargs="?", type=Path, help="folder of another checkout")
    arguments = parser.parse_args()
    try:
        costs = load_costs(Path.cwd())
        others = load_costs(arguments.other) if arguments.other else {}
    except (UserError, FileNotFoundError) as error:
        parser.exit(2, f"{error}\n")
    console = Console()
    console.print(make_table(costs, others), "memory: peak of the main process of a stage")
    print(json.dumps({stage: round(info["seconds"], 2) for stage, info in costs.items()}))


if __name__ == "__main__":
    main()
