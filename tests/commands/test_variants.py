"""`python -m stages variants` on a real DVC repository of two stages: experiments run, kept, compared; mistakes."""

import sys

import pytest

from tests.helpers.experiment_project import call, create_project

SCRIPT = """
import json, pathlib, sys
from ruamel.yaml import YAML
params = YAML(typ="safe").load(open("params.yaml"))
auc = 0.6 + params["orm"]["dropout"]
if sys.argv[1] == "scores":
    card = {split: {"auc": auc, "brier": 0.2} for split in ("dev", "test")}
    found = {name: card for name in params["scores"]["verifiers"]}
else:
    names = json.loads(pathlib.Path("data/scores/results.json").read_text())
    if auc > 1:
        sys.exit("auc above 1")
    gap = {"difference": 0.1, "low": 0.05, "high": 0.15, "p": 0.0001}
    names = ["likelihood_mean", *names]
    found = {"versus_majority": {f"weighted_{n}": gap for n in names},
             "auc": {n: {"dev": auc, "test": auc} for n in names},
             "power_1": {n: {"mean": auc / 3} for n in names},
             "at_n": {f"{kind}_{n}": {"mean": auc / 2} for n in names for kind in ("weighted", "best_of")}}
folder = pathlib.Path("data") / sys.argv[1]
folder.mkdir(parents=True, exist_ok=True)
(folder / "results.json").write_text(json.dumps(found))
"""
PIPELINE = """
stages:
  scores:
    cmd: python script.py scores
    params: [orm, scores]
    outs: [data/scores/results.json]
  best_of_n:
    cmd: python script.py best_of_n
    deps: [data/scores/results.json]
    params: [orm]
    outs: [data/best_of_n/results.json]
"""


def variants(folder, *words, code=0):
    return call(folder, sys.executable, "-m", "stages", "variants", *words, code=code)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    files = {
        "script.py": SCRIPT,
        "dvc.yaml": PIPELINE,
        "params.yaml": "orm: {dropout: 0.0}\nscores: {verifiers: [orm, prm]}\n",
        "stages/commands/variants/verifiers.yaml": "orm-more: {orm.dropout: 0.2, scores.verifiers: [orm]}\n"
        "broken: {orm.dropout: 0.9, scores.verifiers: [orm]}\n",
    }
    return create_project(tmp_path_factory.mktemp("variants"), files)


@pytest.mark.slow
def test_a_variant_is_an_experiment_and_the_workspace_stays(project):
    before = {path: path.read_bytes() for path in project.rglob("data/*/*.json")}
    variants(project, "orm-more", "--run", "--out", "table.md")
    table = (project / "table.md").read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == [
        "likelihood (mean), free",
        "orm (params.yaml)",
        "prm (params.yaml)",
        "orm-more",
    ]
    assert "| 0.600 | 0.600 |  | 30.0 | +10.0 | +5.0 to +15.0 | <0.001 | 20.0 | 30.0 |" in table[2]
    assert "| 0.600 | 0.600 | 0.200 | 30.0 | +10.0 | +5.0 to +15.0 | <0.001 | 20.0 | 30.0 |" in table[3]
    assert "| 0.800 | 0.800 |" in table[5]
    assert {path: path.read_bytes() for path in project.rglob("data/*/*.json") if ".dvc" not in path.parts} == before
    assert "variant-orm-more" in call(project, sys.executable, "-m", "dvc", "exp", "list", "--name-only").stdout
    again = variants(project, "--run", "orm-more")
    assert "Running" not in again.stdout, "what has been run is not run again"


@pytest.mark.slow
def test_one_that_fails_is_named_and_the_others_are_kept(project):
    variants(project, "orm-more", "--run")
    done = variants(project, "--run", code=2)
    assert "variant-broken: the experiment failed" in done.stderr
    listed = variants(project)
    assert "orm-more" in listed.stdout and "not run on this commit: broken" in listed.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "found a list"),
        ("a: 1", "must map each name"),
        ("a: {orm.dropout: 0.1}", "a: scores.verifiers must name the one verifier"),
        ("a: {", "not valid YAML"),
    ],
)
def test_a_file_of_another_form(tmp_path, text, message):
    (tmp_path / "stages/commands/variants").mkdir(parents=True)
    (tmp_path / "stages/commands/variants/verifiers.yaml").write_text(text, encoding="utf-8")
    error = variants(tmp_path, code=2).stderr.strip()
    assert message in error and len(error.splitlines()) == 1


@pytest.mark.slow
def test_unknown_names(project):
    assert (
        "variants none: not in stages/commands/variants/verifiers.yaml; there are orm-more, broken"
        in variants(project, "none", code=2).stderr
    )
