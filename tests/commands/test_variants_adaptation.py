"""`python -m stages variants adaptation`, on experiments of a real DVC repository."""

import json
import sys

import pytest

from tests.helpers.experiment_project import call, create_project
from tests.lib.reports.test_adaptation_study import make_results

SCRIPT = """
import json, pathlib
from ruamel.yaml import YAML
params = YAML(typ="safe").load(open("params.yaml"))
results = json.loads(pathlib.Path("made_up.json").read_text())
results["comparisons"][0]["difference"] += 0.01 * params["seed"] * params["adaptation"]["rounds"]
pathlib.Path("data/adaptation").mkdir(parents=True, exist_ok=True)
pathlib.Path("data/adaptation/results.json").write_text(json.dumps(results))
"""
PIPELINE = """
stages:
  adaptation:
    cmd: python script.py
    deps: [made_up.json]
    params: [seed, adaptation]
    outs: [data/adaptation/results.json]
"""


@pytest.mark.slow
def test_arms_of_adaptation_run_as_experiments(tmp_path):
    files = {
        "script.py": SCRIPT,
        "dvc.yaml": PIPELINE,
        "made_up.json": json.dumps(make_results({("random", "ood"): 0.0})),
        "params.yaml": "seed: 1\nadaptation: {rounds: 1}\n",
        "stages/commands/variants/adaptation.yaml": "one: {adaptation.rounds: 1}\nthree: {adaptation.rounds: 3}\n",
    }
    project = create_project(tmp_path, files)
    words = [sys.executable, "-m", "stages", "variants", "adaptation", "--run", "--seeds", "2", "--out", "study.md"]
    call(project, *words)
    text = (project / "study.md").read_text(encoding="utf-8")
    assert "| one | out of distribution | random slices | 2 | 90 | +2.0 [-5.0, +5.0] |" in text
    assert "| three | out of distribution | random slices | mean of 2 | 180 | +4.5 [" in text
