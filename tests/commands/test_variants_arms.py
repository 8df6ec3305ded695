"""`python -m stages variants preference` and `.. honesty` on a real DVC repository: arms over seeds run, are kept and
compared; mistakes."""

import sys

import pytest

from tests.helpers.experiment_project import call, create_project

SCRIPT = """
import json, pathlib
from ruamel.yaml import YAML
params = YAML(typ="safe").load(open("params.yaml"))
gain = params["preference"]["lr"]
methods = {name: {"policy": 0.5 + gain, "difference": gain} for name in ("pass_1", "majority_n", "pass_n")}
solved = {"start": {f"p/{i}": i % 2 for i in range(10)}, "policy": {f"p/{i}": int(i % 3 > 0) for i in range(10)}}
found = {"dev": {"methods": methods}, "test": {"methods": methods, "solved": solved}, "kl": {"mean": 1.0},
         "held_out": {"accuracy": None}}
pathlib.Path("data/preference").mkdir(parents=True, exist_ok=True)
pathlib.Path("data/preference/results.json").write_text(json.dumps(found))
"""
HONESTY = """
import json, pathlib
from ruamel.yaml import YAML
params = YAML(typ="safe").load(open("params.yaml"))
score = 0.1 * params["seed"] * params["honesty"]["epochs"] + params["honesty"]["train"]["problems"]
own = {"coverage": 0.5, "accuracy": None, "refusal_recall": 1.0, "unknown_refusal": 0.5, "over_refusal": 0.0}
own |= {"aurc": 0.2, "ths": 0.1}
scores = {"always_refuse": 0.0, "vanilla": 0.0, "r_tuning": score}
table = {name: {**own, "scores": {"1": value}} for name, value in scores.items()}
judge = {"r_tuning": {"replies": 9, "listed": 4, "untaught": 1, "missed": 2, "extra": 0, "unread": 0}}
equal = {"r_tuning": {"difference": 0.05}}
found = {"in_domain": table, "sets": {"passages": table}, "equal_coverage": equal, "judge": judge}
pathlib.Path("data/honesty").mkdir(parents=True, exist_ok=True)
pathlib.Path("data/honesty/results.json").write_text(json.dumps(found))
"""
PIPELINE = """
stages:
  honesty:
    cmd: python honesty.py
    params: [seed, honesty]
    outs: [data/honesty/results.json]
  preference:
    cmd: python script.py
    params: [seed, preference]
    outs: [data/preference/results.json]
"""
FOLDER = "stages/commands/variants"
ARMS = "slow: {preference.lr: 0.1}\nfast: {preference.lr: 0.2}\nrandom: {preference.pairs_by: random}\n"


def variants(folder, *words, group="preference", code=0):
    return call(folder, sys.executable, "-m", "stages", "variants", group, *words, code=code)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    files = {
        "script.py": SCRIPT,
        "dvc.yaml": PIPELINE,
        "honesty.py": HONESTY,
        "params.yaml": "seed: 1\npreference: {lr: 0.0, pairs_by: truth}\nhonesty: {epochs: 1.0, train: {problems: 0}}\n",
        f"{FOLDER}/preference.yaml": ARMS,
        f"{FOLDER}/honesty.yaml": "base: {}\nlonger: {honesty.epochs: 2.0, honesty.train: {problems: 1}}\n",
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


@pytest.mark.slow
def test_arms_of_honesty_have_their_gain_over_seeds(project):
    variants(project, "--run", "--seeds", "2", "--out", "honesty.md", group="honesty")
    text = (project / "honesty.md").read_text(encoding="utf-8")
    # Of 0.1 and 0.2, and of 1.2 and 1.4: mean +- 12.706 standard errors.
    assert "| base | R-Tuning | 2 | 50.0 (0.00) |  | 100.0 (0.00) |" in text and "+0.15 [-0.49, +0.79]" in text
    assert "+1.30 [+0.03, +2.57] | +5.0 [+5.0, +5.0] |" in text and "| base | as it is | 2 |" in text
    assert (
        "longer: of 18 replies the list reads 8 as refusals, 2 in words that are not taught; the judge takes 4 more"
        in text
    )
    assert "| longer | passages | 2 | 100 / 50 / 0 / - | 100 / 50 / 0 / - |" in text


@pytest.mark.parametrize(("text", "message"), [("a: 1", "a: must map parameters to values"), ("{}", "holds no arm")])
def test_a_file_of_another_form(tmp_path, text, message):
    from stages.commands.variants import arms
    from stages.lib.core.errors import UserError

    (tmp_path / "arms.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        arms.load_arms(tmp_path / "arms.yaml")


@pytest.mark.parametrize("stage", ["preference", "honesty", "adaptation"])
def test_every_arm_of_this_repository_changes_parameters_that_there_are(stage):
    from pathlib import Path

    from stages.commands.variants import arms
    from stages.lib.core import params

    known = params.to_plain(params.read_yaml(Path("params.yaml")))
    for name, changes in arms.load_arms(Path(f"{FOLDER}/{stage}.yaml")).items():
        for key, value in changes.items():
            section, _, rest = key.partition(".")
            assert section == stage and rest in known[section], f"{name}: {key}"
            assert not isinstance(value, dict) or {*value} <= {*known[section][rest]}, f"{name}: {key}"
