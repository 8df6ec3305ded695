"""What `launch: ray` costs against `cpu2` on the same cores: `python -m bench.ray_overhead ROOT [STAGE ..] [--pairs 2]`.

ROOT is a checkout in which the stages before have run, such as a clone after `preset nano`. Each stage (samples and scores
by default) runs under cpu2 and under ray in turn; its outputs are the same bytes, which is checked. Seconds are those that
the stage reports. The start of the cluster, measured beside each pair, is a constant and is taken off; the start of its
workers, with their import of torch, is not. On a busy machine only a ratio over several pairs means something.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from stages.lib.run import journal

START = """
import time
from stages.lib.run import ray_connection
begin = time.monotonic()
ray_connection.connect()
print(time.monotonic() - begin)
"""


def run_stage(root: Path, configuration: str, stage: str) -> tuple[float, dict[str, bytes]]:
    """The stage's seconds and its outputs."""
    command = [sys.executable, "-m", "stages", "launch", configuration, stage]
    subprocess.run(command, cwd=root, check=True)
    seconds = journal.load_last_seconds(root, stage)
    assert seconds
    files = (path for path in (root / "data" / stage).rglob("*") if path.is_file())
    return seconds, {path.as_posix(): path.read_bytes() for path in files}


def measure_start(root: Path) -> float:
    done = subprocess.run([sys.executable, "-c", START], cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("stages", nargs="*", default=["samples", "scores"])
    parser.add_argument("--pairs", type=int, default=2)
    arguments = parser.parse_args()
    for stage in arguments.stages:
        sums = {"cpu2": 0.0, "ray": 0.0, "start": 0.0}
        for _ in range(arguments.pairs):
            (plain, outputs), start = run_stage(arguments.root, "cpu2", stage), measure_start(arguments.root)
            on_ray, same = run_stage(arguments.root, "ray", stage)
            assert same == outputs, f"{stage}: other bytes"
            for name, seconds in zip(sums, (plain, on_ray, start), strict=True):
                sums[name] += seconds
            print(
                f"{stage}: cpu2 {plain:.1f} s, ray {on_ray:.1f} s, of which the cluster's start {start:.1f} s",
                flush=True,
            )
        print(
            f"{stage}: overhead {(sums['ray'] - sums['start']) / sums['cpu2'] - 1:+.1%} without the start of the cluster"
        )


if __name__ == "__main__":
    main()
