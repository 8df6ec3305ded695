"""Seconds and memory of a choice from an instruction file, beside what reading, hashing and clustering it must cost.

One file of synthetic rows: a tenth has HTML, an empty output, a placeholder, a copy of another row or a very long answer.

ours    `python -m stages select FILE --method car --embedding tfidf --quality length`: with the report and its map
limit   the file read, its texts hashed by scikit-learn's HashingVectorizer into as many columns as ours keeps dimensions,
        and clustered by its KMeans, with as many clusters and starts as ours: no weights, no decomposition, no report
read    the file read by ours and nothing else

    python -m bench.selection [--rows 5000]

Each is a process of its own on one core and one thread. Seconds are of the processor, with the start of Python and its
imports; memory is the highest of the process. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

WORDS = sorted({*re.findall(r"[a-z]{3,}", __doc__.lower())})


def make_rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    draw = random.Random(seed)

    def write(least: int, most: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(least, most))).capitalize() + "."

    rows: list[dict[str, str]] = []
    for i in range(count):
        row = {"instruction": write(6, 20), "input": write(3, 12) if i % 3 == 0 else "", "output": write(5, 120)}
        if i % 10 == 9:
            row = {
                0: {**row, "output": f"<p>{row['output']}</p><br>"},
                1: {**row, "output": ""},
                2: {**row, "input": "<noinput>"},
                3: rows[draw.randrange(i)],
                4: {**row, "output": write(3000, 8000)},
            }[i // 10 % 5]
        rows.append(row)
    return rows


def work(name: str, file: Path) -> None:
    """In a process of its own: read, or read, hash and cluster."""
    from stages.lib.selection import instruction_files

    rows = instruction_files.read(file, False, instruction_files.count_words).rows
    if name == "limit":
        from sklearn.cluster import KMeans
        from sklearn.feature_extraction.text import HashingVectorizer

        from stages.lib.selection.embeddings import tfidf
        from stages.lib.selection.methods import car

        hasher = HashingVectorizer(n_features=tfidf.WIDTH, analyzer="char", ngram_range=(3, 5))
        vectors = hasher.transform([row.text[: tfidf.MAX_CHARACTERS] for row in rows]).toarray()
        k = car.count_clusters(len(rows))
        KMeans(k, n_init=car.N_INIT, random_state=0, algorithm="lloyd").fit(vectors[: car.MAX_FITTED]).predict(vectors)


def measure(words: list[str], folder: Path) -> tuple[float, float]:
    """(seconds of the processor, MiB at most) of a Python process. Raises SystemExit where it fails."""
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    with open(folder / "output.txt", "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=folder, env=environment, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(words)} failed:\n{(folder / 'output.txt').read_text()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--work", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments.work[0], Path(arguments.work[1]))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the processes inherit it
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [json.dumps(row) + "\n" for row in make_rows(arguments.rows)]
        (folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
        options = ["--method", "car", "--embedding", "tfidf", "--quality", "length", "--out", "kept.jsonl", "--keep"]
        commands = {
            "ours": ["stages", "select", "rows.jsonl", *options, str(arguments.rows // 5)],
            "limit": ["bench.selection", "--work", "limit", "rows.jsonl"],
            "read": ["bench.selection", "--work", "read", "rows.jsonl"],
        }
        found = {name: measure(words, folder) for name, words in commands.items()}
    table = Table("", "seconds", "MiB", title=f"Choosing a fifth of {arguments.rows:,} rows, one core")
    for name, (seconds, memory) in found.items():
        table.add_row(name, f"{seconds:.1f}", f"{memory:,.0f}")
    Console().print(table)
    (ours, memory), (limit, limit_memory), (read, _) = found.values()
    figures = {"rows": arguments.rows, "seconds": ours, "limit_seconds": limit, "read_seconds": read}
    figures |= {"ratio": ours / limit, "mib": memory, "limit_mib": limit_memory}
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
