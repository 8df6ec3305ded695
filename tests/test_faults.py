"""What goes wrong around a run, with real processes on two small stages: signals, full and read-only disks, odd places and
environments, two at once. Nothing is lost or half-written, and one sentence says what to do."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers import toy_pipeline

pytestmark = pytest.mark.slow
ENV = toy_pipeline.ENV | {"ASSAY_TRACKING": "off"}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The two stages, run once."""
    toy = toy_pipeline.create_pipeline(tmp_path_factory.mktemp("faults") / "toy")
    toy.run_stage("one", ASSAY_TRACKING="off")
    return toy


@pytest.fixture
def toy(original, tmp_path):
    shutil.copytree(original.root, tmp_path / "toy")
    return toy_pipeline.ToyPipeline(tmp_path / "toy")


def read_outputs(toy, stage="one"):
    return {path: path.read_bytes() for path in (toy.root / "data" / stage).rglob("*") if path.is_file()}


def list_leftovers(toy):
    return [path for path in toy.root.rglob("*") if path.suffix in (".tmp", ".old")]


def wait_until_running(toy, process):
    deadline = time.monotonic() + 60
    while not toy.read_journal() or toy.read_journal()[-1]["status"] != "RUNNING":
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_signal_in_the_middle_keeps_the_old_outputs_and_the_next_run_is_whole(toy, number):
    before = read_outputs(toy)
    toy.replace_text("params.yaml", "sleep: 0.0", "sleep: 9.0")
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # tests that run in the background would pass on to ignore it
    process = toy.start("one", ASSAY_TRACKING="off")
    wait_until_running(toy, process)
    process.send_signal(number)
    code = process.wait(timeout=20)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in process.communicate()[1]
    assert read_outputs(toy) == before and not list_leftovers(toy)
    toy.replace_text("params.yaml", "sleep: 9.0", "sleep: 0.0")
    toy.run_stage("one", ASSAY_TRACKING="off")
    assert [run["status"] for run in toy.read_journal()] == ["FINISHED", "KILLED", "FINISHED"]
    assert read_outputs(toy) == before


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_full_disk_is_one_sentence_and_keeps_the_old_outputs(toy, blocks):
    """RLIMIT_FSIZE refuses a file that grows beyond so many KiB, as a full disk does."""
    before = read_outputs(toy)
    toy.replace_text("params.yaml", "api_key: none", f"api_key: {'x' * 2000}")  # run.json does not fit
    command = f"ulimit -f {blocks}; exec '{sys.executable}' -m stages.problems.one"
    done = subprocess.run(["bash", "-c", command], cwd=toy.root, env=ENV, capture_output=True, text=True)
    assert done.returncode == 2 and re.fullmatch(r"one: .*no space left to write.*\n", done.stderr), done.stderr
    assert read_outputs(toy) == before and not list_leftovers(toy)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_checkout_can_be_looked_at_and_says_why_it_does_not_run(toy):
    for path in (toy.root / ".assay", toy.root / "data/one", toy.root):
        path.chmod(0o555)
    try:
        assert "one" in toy.run_command_line("status").stdout
        shutil.rmtree(toy.root / ".assay", ignore_errors=True)
        done = toy.run_stage("one", code=2)
        assert re.fullmatch(r"one: .*cannot be used \(Permission denied\).*\n", done.stderr)
    finally:
        for path in (toy.root, toy.root / ".assay", toy.root / "data/one"):
            path.chmod(0o755)


@pytest.mark.parametrize(
    "changes",
    [
        {"HOME": None, "USER": None, "LOGNAME": None, "LANG": None, "PATH": "/usr/bin:/bin"},
        {"HOME": "/nonexistent", "USER": "a\nb/é", "LANG": "C", "LC_ALL": "C", "TZ": "Pacific/Apia"},
        {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "7", "PYTHONOPTIMIZE": "2", "PYTHONDONTWRITEBYTECODE": "1"},
        {"RANK": "", "WORLD_SIZE": " ", "LOCAL_RANK": "0"},
        {"GIT_DIR": "/nonexistent", "GIT_WORK_TREE": "/", "COLUMNS": "x", "TERM": "dumb"},
        {"PYTHONPATH": "foreign"},
    ],
    ids=lambda changes: "+".join(changes),
)
def test_the_environment_changes_nothing(toy, changes):
    (toy.root / "foreign/stages").mkdir(parents=True)
    (toy.root / "foreign/stages/__init__.py").write_text("raise SystemExit('foreign code')")
    before = read_outputs(toy)
    env = {name: value for name, value in (ENV | changes).items() if value is not None}
    for words in (["-m", "stages.problems.one"], ["-m", "stages", "status"]):
        done = subprocess.run([sys.executable, *words], cwd=toy.root, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert read_outputs(toy) == before
    first, second = ({**run, **dict.fromkeys(VARYING)} for run in toy.read_journal())
    assert first == second


VARYING = ("started", "ended", "seconds", "pid", "pid_started", "peak_memory", "command", "user")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"RANK": "1", "WORLD_SIZE": "2"}, "RANK=1, WORLD_SIZE=2 makes this process one of several"),
        ({"ASSAY_RAY": "{"}, "ASSAY_RAY is set by"),
        ({"PYTHONSAFEPATH": "1", "PYTHONPATH": "elsewhere"}, "elsewhere, not of this folder; unset PYTHONPATH"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_an_environment_that_would_change_a_run_is_refused(toy, changes, reason):
    shutil.copytree(toy.root / "stages", toy.root / "elsewhere/stages")
    before = read_outputs(toy)
    done = toy.run_stage("one", code=2, **changes)
    assert reason in done.stderr and len(done.stderr.splitlines()) == 1
    assert read_outputs(toy) == before and len(toy.read_journal()) == 1


@pytest.mark.parametrize("place", ["plain", "what? 50%41 spåce'b\"c;$d&e#"])
def test_a_workspace_of_any_name_with_a_shallow_clone_and_without_git(toy, place, tmp_path):
    root = tmp_path / place
    if place == "plain":
        shutil.copytree(toy.root, root)
    else:
        for words in (
            ["init", "-q"],
            ["add", "-A"],
            ["-c", "user.email=a@b.c", "-c", "user.name=n", "commit", "-qm", "x"],
        ):
            subprocess.run(["git", *words], cwd=toy.root, check=True)
        subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{toy.root}", root], check=True)
        shutil.copytree(toy.root / "data/raw", root / "data/raw")  # the small repository ignores it
    moved = toy_pipeline.ToyPipeline(root)
    moved.run_stage("one", ASSAY_TRACKING="off")
    moved.run_command_line("status")
    assert {path.name for path in read_outputs(moved)} == {path.name for path in read_outputs(toy)}
    assert bool(moved.read_journal()[-1]["git"]) == (place != "plain")


def test_two_at_once(toy):
    """A second execution is refused in a sentence, by hand and by DVC; the first ends undisturbed."""
    toy.replace_text("params.yaml", "sleep: 0.0", "sleep: 5.0")
    subprocess.run(["git", "init", "-q"], cwd=toy.root, check=True)
    subprocess.run(["dvc", "init", "-q"], cwd=toy.root, env=ENV, check=True)
    first = subprocess.Popen(["dvc", "repro", "-q"], cwd=toy.root, env=ENV, stderr=subprocess.PIPE, text=True)
    wait_until_running(toy, first)
    second = toy.run_stage("one", code=2, ASSAY_TRACKING="off")
    assert re.fullmatch(r"one: running already in process \d+; wait for it or stop it\n", second.stderr)
    third = subprocess.run(["dvc", "repro", "-q"], cwd=toy.root, env=ENV, capture_output=True, text=True)
    assert third.returncode and "Traceback" not in third.stderr, third.stderr
    assert first.wait(timeout=60) == 0, first.communicate()
    done = subprocess.run(["dvc", "status"], cwd=toy.root, env=ENV, capture_output=True, text=True)
    assert "up to date" in done.stdout
    assert [run["status"] for run in toy.read_journal()] == ["FINISHED"] * 3, "twice one, once two"


def test_an_object_that_is_missing_from_the_cache_is_computed_again(toy):
    subprocess.run(["git", "init", "-q"], cwd=toy.root, check=True)
    subprocess.run(["dvc", "init", "-q"], cwd=toy.root, env=ENV, check=True)

    def repro():
        subprocess.run(["dvc", "repro", "-q", "one"], cwd=toy.root, env=ENV, check=True)
        return read_outputs(toy)

    before = repro()
    shutil.rmtree(toy.root / ".dvc/cache")
    shutil.rmtree(toy.root / "data/one")
    assert repro().items() <= before.items()
    assert (toy.root / "data/one/model/a.txt").exists()
