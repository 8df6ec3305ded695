"""A workspace with two small stages and the real lib and commands, for tests that need no model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.helpers import processes

ROOT = Path(__file__).parents[2]
ENV = {
    **{k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC", "ASSAY", "PYTHONPATH", "DO_NOT"))},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
}
STAGE_TEMPLATE = '''
"""A stage for tests: logs some steps, may sleep or fail."""
import time
from pydantic import Field
from stages.lib.core import params
from stages.lib.run import execution


class Params(params.Params):
    lr: float = Field(gt=0)
    steps: int = Field(ge=1)
    sleep: float = 0.0
    fail: bool = False
    api_key: str = "none"


def body(run):
    {read}
    for step in range(run.params.steps):
        run.log(step, loss=run.params.lr / (step + 1))
        time.sleep(run.params.sleep)
    if run.params.fail:
        raise RuntimeError("broken on purpose")
    (run.out_dir / "model").mkdir(exist_ok=True)
    (run.out_dir / "model/a.txt").write_text(str(run.params.lr))
    (run.out_dir / "history.csv").write_text("step,loss\\n0,1\\n")
    (run.out_dir / "table.md").write_text("| a |\\n|---|\\n| 1 |\\n")
    run.count(tokens=7)
    return {{"dev": {{"pass@1": {{"mean": 0.5, "low": 0.4, "high": 0.6}}}}, "curve": {{"1": 0.1, "2": 0.2}}}}


if __name__ == "__main__":
    execution.run_stage("{name}", Params, body)
'''
PARAMS_YAML = """# all of it
seed: 1
test_seed: 3
launch: cpu  # here

# the first
one:
  lr: 1e-3  # mine: tuned by hand
  steps: 3
  sleep: 0.0
  fail: false
  api_key: none
two:
  lr: 0.1
  steps: 2
  sleep: 0.0
  fail: false
  api_key: none
"""
DVC_YAML = """stages:
  one:
    desc: The first stage of the test
    cmd: python -m stages.problems.one
    deps: [data/raw, stages/problems/one.py, "stages/launch/${launch}.yaml"]
    params: [seed, one]
    outs: [data/one/model]
    metrics: [data/one/metrics.json]
    meta: {metric: dev.pass@1}
  two:
    desc: The second stage of the test
    cmd: python -m stages.problems.two
    deps: [data/one/model, stages/problems/two.py, stages/lib/core]
    params: [seed, two.lr, two.steps]
    outs: [data/two/model]
    metrics: [data/two/metrics.json]
    meta: {pipeline: [curve]}
artifacts:
  one:
    path: data/one/model
    type: model
    meta: {inputs: {problem: string, steps: [string]}, outputs: {score: double}}
"""


class ToyPipeline:
    def __init__(self, root: Path):
        self.root = root

    def run(self, *command: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=self.root, env={**ENV, **env}, capture_output=True, text=True, timeout=900)
        return self._check(done, code)

    def _check(self, done: subprocess.CompletedProcess[str], code: int) -> subprocess.CompletedProcess[str]:
        assert done.returncode == code, f"{done.args} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def run_command_line(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """`python -m stages`, in a process that starts at once unless Python itself is told something."""
        if any(name.startswith("PYTHON") for name in env):
            return self.run(sys.executable, "-m", "stages", *arguments, code=code, **env)
        done = processes.run_command("stages", *arguments, cwd=self.root, env={**ENV, **env})
        return self._check(done, code)

    def run_stage(self, name: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", f"stages.problems.{name}", code=code, **env)

    def start(self, name: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", f"stages.problems.{name}"],
            cwd=self.root,
            env={**ENV, **env},
            text=True,
            stderr=subprocess.PIPE,
        )

    def replace_text(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new, 1))

    def read_journal(self) -> list[dict]:
        runs = [json.loads(path.read_text()) for path in (self.root / ".assay/journal").glob("*/run.json")]
        return sorted(runs, key=lambda run: run["started"])


def create_pipeline(root: Path) -> ToyPipeline:
    for folder in ("lib", "commands"):
        shutil.copytree(
            ROOT / "stages" / folder, root / "stages" / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("__init__.py", "__main__.py"):
        shutil.copy(ROOT / "stages" / file, root / "stages" / file)
    (root / "stages/problems").mkdir()
    (root / "stages/problems/one.py").write_text(STAGE_TEMPLATE.format(name="one", read=""))
    (root / "stages/problems/two.py").write_text(
        STAGE_TEMPLATE.format(name="two", read="run.input_path('one', 'model')")
    )
    for name, text in {
        "params.yaml": PARAMS_YAML,
        "dvc.yaml": DVC_YAML,
        "data/raw/x.txt": "hi\n",
        "data/raw/deep/y.txt": "there\n",
        "data/raw/deep.txt": "sorts by parts\n",
        "stages/launch/cpu.yaml": "use_cpu: true\n",
        ".dvcignore": "__pycache__/\n",
        ".gitignore": "/data\n.assay/\nmlflow.db*\nmlartifacts/\n__pycache__/\n",
        "stages/presets/default.yaml": "# The plain one\n" + PARAMS_YAML.replace("  # mine: tuned by hand", ""),
        "stages/presets/big.yaml": "# A larger one\nseed: 7\none:\n  lr: 2e-5 # big\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return ToyPipeline(root)
