"""`python -m bench.synthesis`: problems generated per second on one core, next to the peer's published figure.

DyVal: every task at its default and its hardest level, from key to record. Competition problems: every family at every
level, with both solvers and the check of the text. Measured in processor time, so that other work on the machine does not
count. promptbench downloads nltk's words at import, so it is not measured here; its notebook shows 500 items in 58 seconds.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

PEER = 500 / 58  # items a second: examples/dyval.ipynb of microsoft/promptbench, its progress bar
ITEMS = 300


def measure_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure_dyval() -> tuple[list[tuple[str, float, float]], float]:
    """(task, items a second at the default level, at the hardest) and the average over the tasks at the default one."""
    from stages.lib.procedural import dyval

    dyval.generate_problems(dyval.TASKS[0], 20, seed=0)
    rows, total = [], 0.0
    for task in dyval.TASKS:
        spent = [
            measure_seconds(lambda task=task, level=level: dyval.generate_problems(task, ITEMS, seed=1, level=level))
            for level in (dyval.DEFAULT_LEVEL, max(dyval.LEVELS[task]))
        ]
        total += spent[0]
        rows.append((task, ITEMS / spent[0], ITEMS / spent[1]))
    return rows, ITEMS * len(rows) / total


def measure_competition(items: int = 12) -> tuple[list[tuple[str, float]], float]:
    """(family, items a second over its levels) and the average over the families."""
    from stages.lib.procedural import competition

    rows, total = [], 0.0
    for family in competition.FAMILIES:
        spent = measure_seconds(
            lambda family=family: [
                competition.generate_item(family, level, 1, f"bench/{family}/{level}/{number}", "test")
                for level in competition.LEVELS
                for number in range(items)
            ]
        )
        total += spent
        rows.append((family, items * len(competition.LEVELS) / spent))
    return rows, items * len(competition.LEVELS) * len(rows) / total


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    console = Console()
    rows, rate = measure_dyval()
    table = Table("task", "items/s, default level", "items/s, hardest level", title="DyVal, one core")
    for task, default, hardest in rows:
        table.add_row(task, f"{default:,.0f}", f"{hardest:,.0f}")
    console.print(table)
    figures = {
        "dyval_items_per_s": round(rate, 1),
        "promptbench_items_per_s_published": round(PEER, 1),
        "dyval_ratio": round(rate / PEER, 1),
    }
    families, average = measure_competition()
    table = Table("family", "items/s", title="Competition problems, one core")
    for family, speed in sorted(families, key=lambda row: row[1]):
        table.add_row(family, f"{speed:,.0f}")
    console.print(table)
    slowest, speed = min(families, key=lambda row: row[1])
    figures |= {"aime_items_per_s": round(average, 1), "aime_slowest": slowest, "aime_slowest_per_s": round(speed, 1)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
