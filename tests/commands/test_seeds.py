"""`python -m stages seeds` on a real DVC repository: cells run once, survive a kill, and share the trained model."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.toy_pipeline import ENV

ROOT = Path(__file__).parents[2]
SCRIPT = """
import pathlib, sys, time
from ruamel.yaml import YAML
params = YAML(typ="safe").load(open("params.yaml"))
stage = sys.argv[1]
with open({log!r}, "a") as log:
    print(stage, params["seed"], params["test_seed"], file=log)
folder = pathlib.Path("data") / stage
folder.mkdir(parents=True, exist_ok=True)
if stage == "orm":
    (folder / "model").write_text(str(params["seed"]))
else:
    t, p = int(pathlib.Path("data/orm/model").read_text()), params["test_seed"]
    if t == p == 2:
        time.sleep({sleep})
    rows = ["set,group,problem,parent,weight,majority,weighted_orm,weighted_prm,pass,best_free,pass_1,constant"]
    for i in range(10):
        rows.append(f"test,a/test,a/test/{{i}},,1,{{(i + p) % 2}},1,{{int(i != t)}},1,0.5,0.5,0")
        rows.append(f"ood,a~typos,a/test/{{i}}~typos,a/test/{{i}},1,0,{{i % 2}},1,1,0.5,0.5,0")
        rows.append(f"parents,a/test,a/test/{{i}},,1,{{(i + p) % 2}},1,1,1,0.5,0.5,0")
    (folder / "problems.csv").write_text("\\n".join(rows))
"""
PIPELINE = """
stages:
  orm:
    cmd: python script.py orm
    params: [seed]
    outs: [data/orm/model]
  best_of_n:
    cmd: python script.py best_of_n
    deps: [data/orm/model]
    params: [test_seed]
    outs: [data/best_of_n/problems.csv]
"""


def start(folder, *words):
    env = {**ENV, "PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": os.devnull}
    command = [sys.executable, "-m", "stages", "seeds", *words]
    return subprocess.Popen(
        command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def finish(process, code=0):
    out, err = process.communicate(timeout=1800)
    assert process.returncode == code, out + err
    return out, err


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    log = folder / "runs.log"
    files = {
        "script.py": SCRIPT.format(log=str(log), sleep=f"30 * (not pathlib.Path({str(folder / 'on')!r}).exists())"),
        "dvc.yaml": PIPELINE,
        ".gitignore": "/.assay\n/runs.log\n/on\n/t.md\n",
        "params.yaml": "seed: 1\ntest_seed: 1\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    env = {**ENV, "GIT_CONFIG_GLOBAL": os.devnull}
    for words in (
        ("git", "init", "-q"),
        ("git", "config", "user.email", "a@b.c"),
        ("git", "config", "user.name", "a"),
        (sys.executable, "-m", "dvc", "init", "-q"),
        ("git", "add", "-A"),
        ("git", "commit", "-qm", "all"),
    ):
        subprocess.run(words, cwd=folder, env=env, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_a_killed_study_goes_on_and_no_cell_runs_twice(project):
    size, log = ("--training", "2", "--problems", "2"), project / "runs.log"
    _, err = finish(start(project, *size))
    assert "not run on this commit: seeds-1-1, seeds-1-2, seeds-2-1, seeds-2-2" in err
    process = start(project, *size, "--run")
    while not (log.exists() and "best_of_n 2 2" in log.read_text()):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    out, err = finish(start(project, *size))
    assert "not run on this commit: seeds-2-2;" in err and "1 training seeds x 2 problem seeds" in out
    (project / "on").touch()
    out, err = finish(start(project, *size, "--run", "--out", "t.md"))
    assert "In distribution, 2 training seeds x 2 problem seeds, 20 problems" in out and "not run" not in err
    runs = log.read_text().splitlines()
    assert sorted(set(runs)) == sorted([*(f"best_of_n {t} {p}" for t in (1, 2) for p in (1, 2)), "orm 1 1", "orm 2 1"])
    assert len(runs) == 7, "a model is trained once for all test seeds, and only the killed stage ran again"
    table = (project / "t.md").read_text(encoding="utf-8")
    assert "| majority | 50.0 |" in table and "| ORM weighted | 100.0 |" in table
    finish(start(project, *size, "--run"))
    assert log.read_text().splitlines() == runs
