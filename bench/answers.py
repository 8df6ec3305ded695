"""`python -m bench.answers`: answers compared a second on one core, nothing cached.

Numbers: gold and prediction written in different ways, half of them equal. LaTeX: pairs that differ as strings, half of
them equal, so that no short cut by string or by exact number decides them. With ASSAY_BENCHMARKS set, also the answers
of MATH-500 against each other. The worker process starts before the clock. `*_per_s` is per second of processor time, of
this process and its worker together, which other work on the machine does not change; `*_wall_per_s` is by the wall clock.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

Pair = tuple[str, str]


def make_number_pairs(count: int) -> list[Pair]:
    """Distinct pairs; every second one is equal."""
    pairs = []
    for i in range(count):
        value = 1000 + i
        gold = [str(value), f"{value:,}", f"{value}.5", f"{value}/7"][i % 4]
        same = [f"${value:,}.00", f"{value} dollars", f"{value} 1/2", rf"\\frac{{{2 * value}}}{{14}}"][i % 4]
        pairs.append((gold, same if i % 8 < 4 else f"${value + 1:,}.25"))
    return pairs


def make_latex_pairs(count: int, seed: int = 0) -> list[Pair]:
    """Distinct pairs of answers as in competition mathematics; about half are equal."""
    draw = random.Random(seed)
    pairs: dict[Pair, None] = {}
    while len(pairs) < count:
        a, b, c = draw.randint(2, 99), draw.randint(2, 99), draw.randint(2, 12)
        gold, same, other = [
            (
                rf"\frac{{{a}\sqrt{{{b}}}}}{{{c}}}",
                rf"\dfrac{{{3 * a}\sqrt{{{b}}}}}{{{3 * c}}}",
                rf"\frac{{{a}}}{{{b}}}\sqrt{{{c}}}",
            ),
            (rf"{c}\sqrt{{{b}}}", rf"\sqrt{{{c * c * b}}}", rf"\sqrt{{{c * b}}}"),
            (rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{a}}}{{{b}}} \pi", rf"\frac{{{a}}}{{{b}}}"),
            (f"({a}, {b})", rf"\left({a}, \frac{{{2 * b}}}{{2}}\right)", f"({b}, {a + b})"),
            (f"x^2 + {2 * c}x + {c * c}", f"(x + {c})^2", f"(x - {c})^2 + {a}"),
            (f"({a}, {b + 100}]", rf"\left({a}, {b + 100}\right]", f"[{a}, {b + 100}]"),
            (f"x = {a} + {b}i", f"{b}i + {a}", f"{a} - {b}i"),
            (rf"{a}, {b}", rf"\{{{b}, {a}\}}", rf"{a}, {b + 1}"),
            (
                rf"\begin{{pmatrix}} {a} \\ {b} \end{{pmatrix}}",
                rf"\begin{{pmatrix}} {a} \\ \frac{{{2 * b}}}{{2}} \end{{pmatrix}}",
                rf"\begin{{pmatrix}} {b} \\ {a + 1} \end{{pmatrix}}",
            ),
            (rf"2^{{{c}}} \cdot {a}", f"{2**c * a}", f"{2**c * a + 1}"),
        ][len(pairs) % 10]
        pairs[gold, same if draw.random() < 0.5 else other] = None
    return list(pairs)


def load_published_pairs(count: int) -> list[Pair]:
    """Answers of MATH-500 that are not plain numbers, each against the next ones."""
    root = os.environ.get("ASSAY_BENCHMARKS")
    if not root:
        return []
    from stages.lib.grading import answers

    rows = [json.loads(line) for line in Path(root, "math/math500.jsonl").read_text("utf-8").splitlines()]
    golds = list(dict.fromkeys(row["answer"] for row in rows if answers.parse_number(row["answer"]) is None))
    steps = range(1, 2 + count // len(golds))
    return [(gold, golds[(i + step) % len(golds)]) for step in steps for i, gold in enumerate(golds)][:count]


GROUP_FORMS = r"x \ge {n}|x^2 < {n}|({n}, -{n})|y = {n}x + 1|x^2 + y^2 = {n}|y = \sin({n}x)|\sqrt{{{n}}}"


def measure_cpu_seconds() -> float:
    """Processor time of this process and its living children."""
    import psutil

    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (me, *me.children()))


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the workers inherit it
    from stages.lib.grading import answers

    answers.equal(r"\sqrt{2}", "x", "latex")
    columns = "comparison, pairs, equal, wall seconds, a wall second, processor seconds, a processor second"
    table = Table(*columns.split(", "), title="Answers compared, one core, cold")
    rates = {}
    for name, answer_type, pairs in (
        ("number", "number", make_number_pairs(40_000)),
        ("latex", "latex", make_latex_pairs(1500)),
        ("math500", "latex", load_published_pairs(600)),
    ):
        if not pairs:
            continue
        start, spent = time.perf_counter(), measure_cpu_seconds()
        verdicts = answers.equal_many(pairs, answer_type)
        wall, spent = time.perf_counter() - start, measure_cpu_seconds() - spent
        rates[f"{name}_per_s"] = round(len(pairs) / spent, 1)
        rates[f"{name}_wall_per_s"] = round(len(pairs) / wall, 1)
        cells = (f"{wall:.2f}", f"{len(pairs) / wall:,.0f}", f"{spent:.2f}", f"{len(pairs) / spent:,.0f}")
        table.add_row(name, str(len(pairs)), str(sum(verdicts)), *cells)
    Console().print(table)
    for form in GROUP_FORMS.split("|"):
        start = time.perf_counter()
        answers.group([form.format(n=n) for n in range(2, 66)], "latex")
        rates[f"group 64 of {form}, wall seconds"] = round(time.perf_counter() - start, 2)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
