"""`python -m stages variants preference` on a real DVC repository: arms over seeds run, are kept and compared; mistakes."""

import sys

import pytest

from tests.helpers.experiment_project import call, create_project

SCRIPT = """
import json, pathlib
from ruamel.yaml import YAML
params = YAML(typ="safe").load(open("params.yaml"))
gain = params["preference"]["lr"]
methods = {name: {"policy": 0.5 + gain, "difference": gain} for name in ("pass_1", "majority_n", "pass_n")}
solved = {"start": {f"p/{i}": i % 2 for i in range(10)}, "policy": {f"p/{i}": i % 3 > 0 for i in range(10)}}
found = {"dev": {"methods": methods}, "test": {"methods": methods, "solved": solved}, "kl": {"mean": 1.0},
         "held_out": {"accuracy": None}}
pathlib.Path("data/preference").mkdir(parents=True, exist_ok=True)
pathlib.Path("data/preference/results.json").write_text(json.dumps(found))
"""
PIPELINE = """
stages:
  preference:
    cmd: python script.py
    params: [seed, preference]
    outs: [data/preference/results.json]
"""
FILE = "stages/commands/variants/preference.yaml"
ARMS = "slow: {preference.lr: 0.1}\nfast: {preference.lr: 0.2}\nrandom: {preference.pairs_by: random}\n"


def variants(folder, *words, code=0):
    return call(folder, sys.executable, "-m", "stages", "variants", "preference", *words, code=code)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    files = {
        "script.py": SCRIPT,
        "dvc.yaml": PIPELINE,
        "params.yaml": "seed: 1\npreference: {lr: 0.0, pairs_by: truth}\n",
        FILE: ARMS,
    }
    return create_project(tmp_path_factory.mktemp("variants"), files)


@pytest.mark.slow
def test_arms_run_once_dev_chooses_and_mistakes_are_named(project):
    assert "no arm has run on this commit; add --run" in variants(project, code=2).stderr
    done = variants(project, "--run", "--seeds", "2", "--out", "study.md")
    text = (project / "study.md").read_text(encoding="utf-8")
    assert "| fast | 2 | 1.00 (0.00) | 70.0 (0.00) | +20.0 (0.00) | 70.0 (0.00) |" in text
    assert "| fast | start | 2 |" in text and "| fast | random | 2 |" in text and "Dev chooses fast of 2 arms" in text
    assert (project / "study.png").stat().st_size > 10_000 and "have not run" not in done.stderr
    again = variants(project, "slow", "--run", "--seeds", "2")
    assert "Running" not in again.stdout, "what has been run is not run again"
    listed = variants(project, "--seeds", "3")
    assert "3 of 9 arms and seeds have not run on this commit" in listed.stderr
    unknown = variants(project, "none", code=2).stderr
    assert "variants preference none: not in preference.yaml; there are slow, fast, random" in unknown


@pytest.mark.parametrize(("text", "message"), [("a: 1", "a: must map parameters to values"), ("{}", "holds no arm")])
def test_a_file_of_another_form(tmp_path, text, message):
    from stages.commands.variants import arms
    from stages.lib.core.errors import UserError

    (tmp_path / "arms.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        arms.load_arms(tmp_path / "arms.yaml")


def test_every_arm_of_this_repository_changes_parameters_that_there_are():
    from pathlib import Path

    from stages.commands.variants import arms
    from stages.lib.core import params

    known = params.to_plain(params.read_yaml(Path("params.yaml")))
    for name, changes in arms.load_arms(Path(FILE)).items():
        for key in changes:
            section, _, rest = key.partition(".")
            assert rest.split(".")[0] in known[section], f"{name}: {key}"
