"""Runs bodies of stages, one after the other, by any number of processes: `python -m tests.helpers.stage_script JOBS`.

JOBS is JSON: a list of [root, stage, its parameters].
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState

from stages.lib.core import files
from stages.lib.run.execution import StageRun
from stages.lib.workspace import chapters


def make_run(root: Path, name: str, params: Any = None) -> StageRun:
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    run = StageRun(name, params, 1, root, "key", rank, count)
    run.out_dir.mkdir(parents=True, exist_ok=True)
    return run


def run_body(run: StageRun) -> None:
    AcceleratorState._reset_state()  # a stage has one precision for the life of its process
    metrics = importlib.import_module(chapters.find_module(run.name)).body(run)
    if run.is_main:
        files.write_json(run.out_dir / "metrics.json", metrics)


def main(jobs: list[tuple[str, str, dict[str, Any]]]) -> None:
    for root, name, settings in jobs:
        stage = importlib.import_module(chapters.find_module(name))
        run_body(make_run(Path(root), name, stage.Params(**settings)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
