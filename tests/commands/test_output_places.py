"""Every command that writes where its user says refuses a bad place before it reads or computes anything."""

import os
import subprocess

import pytest

from stages import __main__ as command_line
from stages.lib.core import files
from stages.lib.core.errors import UserError
from stages.lib.run import journal
from stages.lib.workspace import experiments

# Command -> (its words before the place, whether the place is a folder). No input exists: none has been read yet.
COMMANDS = {
    "arena": (["arena", "absent.jsonl", "--out"], True),
    "bpc": (["bpc", "absent", "absent.txt", "--out"], False),
    "best-of-n": (["best-of-n", "absent.jsonl", "--out"], True),
    "judge": (["judge", "absent.jsonl", "--template", "fact", "--model", "m", "--out"], False),
    "grade": (["grade", "absent.jsonl", "--out"], False),
    "report": (["report", "--pool", "absent.jsonl", "--out"], False),
    "export": (["export", "absent", "--out"], True),
    "score": (["score", "absent.jsonl", "--out"], False),
    "select": (["select", "absent.jsonl", "--method", "all", "--out"], False),
    "select --report": (["select", "absent.jsonl", "--method", "all", "--out", "kept.jsonl", "--report"], True),
    "processbench": (["processbench", "absent.json", "--threshold", "0.5", "--out"], False),
    "processbench --save": (["processbench", "absent.json", "--threshold", "0.5", "--save"], False),
    "prmbench": (["prmbench", "absent.jsonl", "--out"], False),
    "rewardbench2": (["rewardbench2", "absent.parquet", "--out"], False),
    "seeds": (["seeds", "--out"], False),
    "variants": (["variants", "--out"], False),
}


@pytest.fixture(scope="module")
def call():
    command_line._register_commands()
    return lambda words: command_line.app(words, standalone_mode=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_bad_place_is_refused_first(name, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.html").write_text("mine")
    (tmp_path / "folder.html").mkdir()
    words, is_folder = COMMANDS[name]
    places = ["file.html/deeper.html", "file.html/deeper/still.html", "file.html" if is_folder else "folder.html"]
    for place in places:
        with pytest.raises(UserError, match=r"is a file|is a folder|exists already") as error:
            call([*words, place])
        assert place in str(error.value) and "\n" not in str(error.value)
    assert (tmp_path / "file.html").read_text() == "mine" and len(list(tmp_path.rglob("*"))) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_writable(tmp_path):
    tmp_path.chmod(0o555)
    for path in (tmp_path / "a", tmp_path / "b/c"):
        with pytest.raises(UserError, match=r"--out .*: the folder .* is not writable; name another path"):
            files.check_output("--out", path)
    tmp_path.chmod(0o755)


def test_an_input_is_never_replaced(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"gold": "4", "pred": "4"}\n')
    (tmp_path / "link.jsonl").symlink_to("a.jsonl")
    for words in (["grade", "a.jsonl"], ["processbench", "a.jsonl", "--threshold", "0.5"]):
        for out in ("a.jsonl", "./a.jsonl", "link.jsonl"):
            with pytest.raises(UserError, match="is read by this command; name another file"):
                call([*words, "--out", out])
    assert (tmp_path / "a.jsonl").read_text() == '{"gold": "4", "pred": "4"}\n'


def test_folders_that_are_missing_are_no_fault(tmp_path):
    files.check_output("--out", tmp_path / "new/folder/a.json")
    files.check_output("--out", tmp_path / "new/folder", is_folder=True)
    assert not list(tmp_path.iterdir()), "nothing is made before it is needed"


def test_files_of_one_name_are_told_apart(tmp_path):
    paths = [tmp_path / name for name in ("a/test.jsonl", "b/test.jsonl", "b/test.json", "c.json")]
    assert list(files.name_files([*paths, paths[0]]).values()) == [*map(str, paths[:3]), "c"]


def test_experiments_are_those_of_this_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="git: fatal: not a git repository"):
        experiments.has_experiment("x")
    for words in (
        ["init", "-q"],
        ["-c", "user.email=a@b.c", "-c", "user.name=n", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", *words], check=True)
    head = journal.run_git(tmp_path, "rev-parse", "HEAD")
    assert not experiments.has_experiment("x")
    subprocess.run(["git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/x", head], check=True)
    assert experiments.has_experiment("x")
