"""A folder whose dvc.lock says that some stages of the real pipeline have run, without running them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.lib.core import digests, files, records
from tests.helpers import tiny_models

ROOT = Path(__file__).parents[2]
BEST = {
    "n": 4,
    "problems": 5,
    "pass_1": {"mean": 0.4, "low": 0.3, "high": 0.5},
    "at_n": {
        "majority": {"mean": 0.5, "low": 0.4, "high": 0.6},
        "weighted_prm": {"mean": 0.75, "low": 0.7, "high": 0.8},
    },
    "versus_majority": {"weighted_prm": {"difference": 0.25, "low": 0.2, "high": 0.3}},
    "auc": {"prm": {"test": 0.875, "low": 0.8, "high": 0.9}},
}
INPUTS = {  # of each stage that has run
    "benchmarks": ["data/raw/benchmarks", "requirements.lock"],
    "base": ["data/raw/base"],
    "prm": ["data/base/model", "data/benchmarks/test.jsonl"],
    "best_of_n": ["data/prm/model", "data/benchmarks/test.jsonl"],
}


def record_workspace(root: Path, verifier: Any) -> None:
    """Write a workspace in which benchmarks, base, prm (of this verifier) and best_of_n have run, and one journal entry."""
    for name in ("stages/presets", "stages/launch", "data/raw/benchmarks"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("dvc.yaml", "params.yaml", "requirements.lock"):
        shutil.copy(ROOT / name, root / name)
    files.write_text(root / "data/raw/base/README.md", "MIT\n")
    files.write_text(root / "data/base/model/config.json", "{}\n")
    problems = [tiny_models.make_problem(i, "test") for i in range(5)]
    records.write_problems(root / "data/benchmarks/test.jsonl", problems)
    files.write_json(
        root / "data/benchmarks/provenance.json", {"name": "gradeschool", "source": "bundled", "files": []}
    )
    verifier.save(root / "data/prm/model")
    files.write_json(root / "data/best_of_n/results.json", BEST)
    for stage, metrics in {"prm": {"dev": {"auc": 0.625}}, "benchmarks": {"rows": 5}, "best_of_n": {"n": 4}}.items():
        files.write_json(root / "data" / stage / "metrics.json", metrics)
    yaml = YAML()
    values = yaml.load((root / "params.yaml").read_text())
    values["prm"]["lr"] = 0.25
    lock = {
        stage: {
            "cmd": "",
            "deps": [{"path": path, "md5": digests.md5(root / path)} for path in inputs],
            "params": {"params.yaml": {"seed": 1, stage: values[stage]}},
            "outs": [
                {"path": path.relative_to(root).as_posix(), "md5": digests.md5(path)}
                for path in sorted((root / "data" / stage).iterdir())
            ],
        }
        for stage, inputs in INPUTS.items()
    }
    with open(root / "dvc.lock", "w") as file:
        yaml.dump({"schema": "2.0", "stages": lock}, file)
    info = {
        "stage": "prm",
        "status": "FINISHED",
        "started": 1.0,
        "ended": 3.0,
        "seconds": 2.0,
        "pid": 1,
        "pid_started": 1.0,
        "git": {"commit": "c" * 40, "dirty": False},
        "inputs": {dep["path"]: dep["md5"] for dep in lock["prm"]["deps"]},
        "outputs": {out["path"]: out["md5"] for out in lock["prm"]["outs"]},
        "metrics": {"dev": {"auc": 0.625}},
    }
    files.write_json(root / ".assay/journal/19700101T000001-prm-abcdef/run.json", info)
