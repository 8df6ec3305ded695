"""`python -m bench.code_tests`: programs graded a second on all cores, compared with one after another and with the limit.

Programs: distinct functions with their tests, as short as those of HumanEval; with ASSAY_BENCHMARKS set, the 164 published
ones. The peer runs the same programs in the same sandbox one after another, as a loop over samples does. The limit is what
the machine could do if a program cost no more than starting its interpreter. Rounds of the three are mixed, so that other
work on the machine affects all alike. `all cores, cached` grades the same programs a second time.
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
    """Distinct code problems; the answer of each is a right program."""
    from stages.lib.core.records import Problem, Source

    root = os.environ.get("ASSAY_BENCHMARKS")
    if root:
        import gzip

        rows = map(json.loads, gzip.decompress(Path(root, "code/HumanEval.jsonl.gz").read_bytes()).splitlines())
        items = [(row["prompt"], row["canonical_solution"], row["entry_point"], row["test"]) for row in rows]
    else:
        test = "def check(candidate):\n    assert [candidate(i) for i in range(9)] == [i * i + {0} for i in range(9)]\n"
        items = [
            (f"def f(x):\n    '''x * x + {i}'''\n", f"    return x ** 2 + {i}\n", "f", test.format(i))
            for i in range(count)
        ]
    origin = {"benchmark": "bench", "split": "test", "licence": "MIT", "source": Source(url="bench")}
    origin |= {"answer_type": "code"}
    return [
        Problem(id=str(number), question=prompt, answer=body, tests={"entry_point": name, "test": test}, **origin)
        for number, (prompt, body, name, test) in enumerate(items[:count])
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
    problems = make_problems(options.programs)
    times: dict[str, list[float]] = {"one after another": [], "all cores": [], "all cores, cached": [], "limit": []}

    def ours() -> None:
        graded = list(grader.grade_ahead((problem, [problem.answer]) for problem in problems))
        assert all(grade.correct for (grade,) in graded)

    def peer() -> None:
        verdicts = [code_tests.run_tests(problem.question, problem.answer, problem.tests) for problem in problems]
        assert all(verdict.passed for verdict in verdicts)

    def limit() -> None:
        for _ in problems:
            subprocess.run([sys.executable, "-P", "-s", "-B", "-c", "pass"], env={}, check=True)

    here = os.getcwd()
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:  # without cached verdicts
            os.chdir(folder)
            times["one after another"].append(measure_seconds(peer))
            times["all cores"].append(measure_seconds(ours))
            times["all cores, cached"].append(measure_seconds(ours))
            times["limit"].append(measure_seconds(limit) / cpus.count_per_process())
            os.chdir(here)
    rates = {name: len(problems) / statistics.median(seconds) for name, seconds in times.items()}
    table = Table("way", "programs a second", "against one after another", "against the limit")
    for name, rate in rates.items():
        ratios = rate / rates["one after another"], rate / rates["limit"]
        table.add_row(name, f"{rate:,.1f}", f"{ratios[0]:.2f}", f"{ratios[1]:.2f}")
    Console().print(f"{len(problems)} programs, {cpus.count_per_process()} cores", table)
    print(json.dumps({name.replace(",", "").replace(" ", "_"): round(rate, 1) for name, rate in rates.items()}))


if __name__ == "__main__":
    main()
