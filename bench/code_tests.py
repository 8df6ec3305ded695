"""`python -m bench.code_tests`: programs graded a second, on all cores, against one after another and against the limit.

Programs: functions with their tests, each another one, as short as those of HumanEval; with ASSAY_BENCHMARKS set, the 164
published ones. The peer runs the same programs in the same sandbox one after another, as a loop over samples does. The
limit is what the machine could do if a program cost no more than the start of the interpreter that runs it. Rounds
of the three are mixed, so that other work on the machine hits all alike. The second time verdicts are known.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def make_problems(count: int):
    """Code problems, each with a right program of its own."""
    from stages.lib.core.records import Problem, Source

    root = os.environ.get("ASSAY_BENCHMARKS")
    if root:
        import gzip

        rows = map(json.loads, gzip.decompress(Path(root, "code/HumanEval.jsonl.gz").read_bytes()).splitlines())
        given = [(row["prompt"], row["canonical_solution"], row["entry_point"], row["test"]) for row in rows]
    else:
        test = "def check(candidate):\n    assert [candidate(i) for i in range(9)] == [i * i + {0} for i in range(9)]\n"
        given = [
            (f"def f(x):\n    '''x * x + {i}'''\n", f"    return x ** 2 + {i}\n", "f", test.format(i))
            for i in range(count)
        ]
    return [
        Problem(
            id=str(number),
            benchmark="bench",
            split="test",
            question=prompt,
            answer=body,
            answer_type="code",
            tests={"entry_point": name, "test": test},
            licence="MIT",
            source=Source(url="bench"),
        )
        for number, (prompt, body, name, test) in enumerate(given[:count])
    ]


def measure_seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    from stages.lib.core import cpus
    from stages.lib.grading import code_tests, grader

    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--programs", type=int, default=60)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    work = make_problems(options.programs)
    times: dict[str, list[float]] = {"one after another": [], "all cores": [], "all cores, known": [], "limit": []}

    def ours() -> None:
        graded = list(grader.grade_ahead((each, [each.answer]) for each in work))
        assert all(grade.correct for (grade,) in graded)

    def peer() -> None:
        assert all(code_tests.run_tests(each.question, each.answer, each.tests).passed for each in work)

    def limit() -> None:
        for _ in work:
            subprocess.run([sys.executable, "-P", "-s", "-B", "-c", "pass"], env={}, check=True)

    here = os.getcwd()
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:  # where no verdict is known yet
            os.chdir(folder)
            times["one after another"].append(measure_seconds(peer))
            times["all cores"].append(measure_seconds(ours))
            times["all cores, known"].append(measure_seconds(ours))
            times["limit"].append(measure_seconds(limit) / cpus.count_per_process())
            os.chdir(here)
    rates = {name: len(work) / statistics.median(each) for name, each in times.items()}
    table = Table("way", "programs a second", "against one after another", "against the limit")
    for name, rate in rates.items():
        ratios = rate / rates["one after another"], rate / rates["limit"]
        table.add_row(name, f"{rate:,.1f}", f"{ratios[0]:.2f}", f"{ratios[1]:.2f}")
    Console().print(f"{len(work)} programs, {cpus.count_per_process()} cores", table)
    print(json.dumps({name.replace(",", "").replace(" ", "_"): round(rate, 1) for name, rate in rates.items()}))


if __name__ == "__main__":
    main()
