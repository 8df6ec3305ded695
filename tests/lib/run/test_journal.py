"""The journal survives kills, tells the truth about them, and holds nothing that is not JSON."""

import json
import math
import os
import subprocess
import sys

import pytest

from stages.lib.core.errors import UserError
from stages.lib.run import journal

FACTS = {"stage": "orm", "key": "k", "params": {}, "inputs": {}, "command": [], "world": 1}


def test_round_trip(tmp_path):
    entry = journal.start(tmp_path, **FACTS)
    entry.log(1, loss=0.5)
    entry.log(2, loss=0.25, accuracy=1)
    entry.finish(journal.FINISHED, metrics={"a": 1}, seconds=2.0)
    (found,) = journal.load_entries(tmp_path)
    assert found.info == entry.info and found.id == entry.id
    assert [(row["step"], row["loss"]) for row in found.iter_log()] == [(1, 0.5), (2, 0.25)]
    assert found.info["started"] <= found.info["ended"]


def test_a_torn_last_line_is_left_out(tmp_path):
    entry = journal.start(tmp_path, **FACTS)
    entry.log(1, loss=0.5)
    with open(entry.folder / "log.jsonl", "a") as file:
        file.write('{"step": 2, "lo')
    assert [row["step"] for row in entry.iter_log()] == [1]


def test_running_is_only_who_runs(tmp_path):
    mine = journal.start(tmp_path, **FACTS)
    arguments = f"Path({str(tmp_path)!r}), **{FACTS!r}"
    code = f"from stages.lib.run import journal; from pathlib import Path; journal.start({arguments})"
    subprocess.run([sys.executable, "-c", code], check=True)
    statuses = [entry.info["status"] for entry in journal.load_entries(tmp_path)]
    assert statuses == [journal.RUNNING, journal.KILLED]
    journal.start(tmp_path, **FACTS)
    written = [json.loads(path.read_text()) for path in (tmp_path / journal.JOURNAL_DIR).glob("*/run.json")]
    assert sorted(run["status"] for run in written) == ["KILLED", "RUNNING", "RUNNING"]
    killed = next(run for run in written if run["status"] == "KILLED")
    assert killed["started"] <= killed["ended"] and mine.info["pid"] == os.getpid()


def test_a_pid_given_to_another_process_is_not_the_one(tmp_path):
    entry = journal.start(tmp_path, **FACTS)
    entry.info["pid_started"] -= 1000
    entry.save()
    assert journal.load_entries(tmp_path)[0].info["status"] == journal.KILLED


def test_numbers_that_are_not_finite(tmp_path):
    entry = journal.start(tmp_path, **FACTS)
    entry.log(0, loss=math.nan)
    entry.finish(journal.FAILED, metrics={"a": math.nan, "b": [math.inf, 1.0]})
    assert journal.load_entries(tmp_path)[0].info["metrics"] == {"a": None, "b": [None, 1.0]}
    assert math.isnan(next(entry.iter_log())["loss"])


def test_half_an_entry_is_no_entry(tmp_path):
    (tmp_path / journal.JOURNAL_DIR / "x").mkdir(parents=True)
    (tmp_path / journal.JOURNAL_DIR / "y").mkdir()
    (tmp_path / journal.JOURNAL_DIR / "y/run.json").write_text("{")
    assert journal.load_entries(tmp_path) == [] and journal.load_latest(tmp_path, "orm") is None


def test_latest(tmp_path):
    first, second = journal.start(tmp_path, **FACTS), journal.start(tmp_path, **FACTS)
    assert journal.load_latest(tmp_path, "orm").id == second.id != first.id


@pytest.mark.parametrize("edit", [False, True])
def test_revision(tmp_path, edit):
    assert journal.get_git_revision(tmp_path) is None

    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.email=a@b.c", "-c", "user.name=n", *arguments], check=True)

    git("init", "-q")
    for name in ("a.py", "dvc.lock"):
        (tmp_path / name).write_text("1")
    git("add", "-A")
    git("commit", "-qm", "x")
    (tmp_path / "dvc.lock").write_text("2")  # `dvc repro` writes it between stages
    (tmp_path / "untracked").write_text("2")
    if edit:
        (tmp_path / "a.py").write_text("2")
    found = journal.get_git_revision(tmp_path)
    assert len(found["commit"]) == 40 and found["dirty"] is edit


def test_the_repository_of_the_folder_counts_not_that_of_the_environment(tmp_path, monkeypatch):
    """A hook of git sets GIT_DIR."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        for arguments in (["init", "-q"], ["commit", "-qm", name, "--allow-empty"]):
            subprocess.run(
                ["git", "-c", "user.email=a@b.c", "-c", "user.name=n", *arguments], cwd=tmp_path / name, check=True
            )
    commit = journal.get_git_revision(tmp_path / "here")["commit"]
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "there/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert journal.get_git_revision(tmp_path / "here")["commit"] == commit


def test_git_says_itself_why_it_does_not_answer(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".git/config").write_text("[core\n")
    with pytest.raises(UserError, match=r"git: fatal: bad config line 1 in file"):
        journal.run_git(tmp_path, "status")
    assert journal.get_git_revision(tmp_path) is None
