"""The whole pipeline, by the commands a user types: it runs, it is fresh, exactly what changed is stale, it survives."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from stages.lib.run import journal
from stages.lib.workspace import chapters
from tests.helpers.workspace import ROOT, clone_repository

PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
TRAINED = ["generator", "samples", "labels", "orm", "prm", "genrm", "scores"]


def outputs_of(stage: str) -> list[str]:
    entries = PIPELINE[stage]["outs"] + PIPELINE[stage]["metrics"]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def contents(root: Path, stage: str) -> dict[str, bytes]:
    """The bytes of every output of a stage, of folders those of each file."""
    paths = [root / path for path in outputs_of(stage)]
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    return {str(file.relative_to(root)): file.read_bytes() for file in files if file.is_file()}


def stale(root) -> set[str]:
    """Stages that DVC calls changed; in this process, which is faster than the command."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}


def launch(stage: str, configuration: str = "cpu") -> list[str]:
    return [sys.executable, "-m", "stages", "launch", configuration, stage]


def test_the_pipeline_gives_a_table_with_intervals(finished):
    metrics = json.loads((finished.root / "data/best_of_n/metrics.json").read_text())
    assert metrics["accuracy"]["pass_at_1"] <= metrics["accuracy"]["pass_at_n"] and len(metrics) <= 6
    table = (finished.root / "data/best_of_n/table.md").read_text()
    for method in ("greedy", "pass@1", "majority", "likelihood", "ORM"):
        assert method.lower() in table.lower()
    assert (finished.root / "data/best_of_n/curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_holds_every_solution_and_the_command_adds_commit_and_time(finished, tmp_path):
    page = (finished.root / "data/report/index.html").read_text()
    metrics, samples = (
        json.loads((finished.root / f"data/{x}.json").read_text()) for x in ("report/metrics", "samples/results")
    )
    sets = ("dev", "test", "ood", "aime")
    assert metrics["problems"] == sum(samples[name]["problems"] for name in sets) and metrics["left_out"] == 0
    assert metrics["solutions"] == sum(samples[name]["samples"] for name in sets)
    hashes = finished.read_output_hashes()
    assert all(
        hashes[path] in page for path in ("data/orm/model", "data/samples/test.parquet", "data/best_of_n/curve.csv")
    )
    assert "<code>orm.init_from</code>" in page, "what nano changes"
    commit = finished.run("git", "rev-parse", "HEAD").stdout[:10]
    assert commit not in page and "Time, memory and commits differ" in page
    finished.run_python("-m", "stages", "report", "--out", tmp_path / "copy.html")
    copy = (tmp_path / "copy.html").read_text()
    assert copy.count(commit) == len(PIPELINE), "of each stage but report, and once above them"
    assert "computed elsewhere" not in copy and "<code>data/raw/base</code>" in copy


def test_mlflow_takes_every_stage_of_the_pipeline(workspace):
    done = workspace.run_python("-m", "stages", "sync")
    assert f"{len(PIPELINE)} added" in done.stdout and (workspace.root / "mlflow.db").exists()


def test_a_second_repro_runs_nothing(finished):
    before = len(journal.load_entries(finished.root))
    done = finished.run("dvc", "repro")
    assert "Data and pipelines are up to date." in done.stdout
    assert len(journal.load_entries(finished.root)) == before
    assert finished.list_stale_stages() == set()


def test_lost_outputs_come_back_from_the_cache_without_running_anything(workspace):
    before = len(journal.load_entries(workspace.root))
    for stage in PIPELINE:
        for path in outputs_of(stage):
            workspace.run("rm", "-rf", path)
    hashes = workspace.read_output_hashes()
    workspace.run("dvc", "repro")
    assert len(journal.load_entries(workspace.root)) == before
    assert workspace.read_output_hashes() == hashes


@pytest.mark.parametrize("stage", ["benchmarks", "prm", "best_of_n"])
def test_a_changed_section_makes_its_own_stage_stale(finished, stage):
    """By DVC's own comparison of params.yaml with dvc.lock. Sections are followed whole, so one key speaks for all; that
    each stage follows its own section is a law (test_laws.py)."""
    yaml, path = YAML(), finished.root / "params.yaml"
    original = path.read_text()
    try:
        document = yaml.load(original)
        document[stage][list(document[stage])[-1]] = "changed"
        with open(path, "w") as file:
            yaml.dump(document, file)
        assert stale(finished.root) == {stage, "report"}, "the report lists what differs from the default preset"
    finally:
        path.write_text(original)


def test_a_changed_room_makes_exactly_its_users_stale(finished):
    """Rooms that the same stages use are changed together: one question to DVC for each set of users."""
    code: dict[frozenset[str], list[str]] = {}
    for path in {
        dep
        for entry in PIPELINE.values()
        for dep in entry["deps"]
        if re.match(r"stages/(?!launch|presets|lib/page/assets)", dep)
    }:
        users = frozenset(stage for stage, entry in PIPELINE.items() if path in entry["deps"])
        code.setdefault(users, []).append(path)
    assert len(code) > 10
    asked = sorted(code.items(), key=lambda item: (len(item[0]), sorted(item[0])))[::4]  # DVC takes a second for each
    for users, paths in asked:
        roots = [finished.root / path for path in paths]
        files = [path if path.is_file() else min(path.rglob("*.py")) for path in roots]
        originals = {file: file.read_bytes() for file in files}
        try:
            for file, original in originals.items():
                file.write_bytes(original + b"\n# changed\n")
            # A folder and a folder in it, or a file of it, are named by different stages.
            hit = {
                s
                for s, e in PIPELINE.items()
                if any(file.is_relative_to(finished.root / d) for d in e["deps"] for file in files)
            }
            assert stale(finished.root) == hit >= users, paths
        finally:
            for file, original in originals.items():
                file.write_bytes(original)


def test_another_equal_configuration_leaves_samples_labels_and_scores_fresh(finished):
    path = finished.root / "params.yaml"
    original = path.read_text()
    try:
        used = re.search(r"(?m)^launch: (\w+)", original)
        path.write_text(original.replace(used[0], "launch: cpu" if used[1] == "cpu2" else "launch: cpu2", 1))
        assert stale(finished.root) == {
            "base",
            "generator",
            "orm",
            "prm",
            "genrm",
            "preference",
            "honesty",
            "adaptation",
            "many_shot",
            "pseudocode",
            "report",
        }
    finally:
        path.write_text(original)


def test_the_lock_that_is_committed_is_fresh():
    """dvc.lock in git tells of the commands, parameters and code that are in git."""
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        for name, changes in repo.status().items():
            changed = {
                k: v
                for change in changes
                if isinstance(change, dict)
                for k, v in change.get("changed deps", {}).items()
            }
            # What stages computed is not in git, so that a folder of outputs may be empty here.
            changed = {k: v for k, v in changed.items() if not k.startswith("data/") or k.startswith("data/raw/")}
            assert not changed and "changed command" not in changes, (
                f"{name}: run `dvc repro` and commit dvc.lock: {changed}"
            )


def test_two_processes_give_the_same_bytes_as_one(workspace):
    before = contents(workspace.root, "labels")
    for path in before:
        os.remove(workspace.root / path)
    workspace.run(*launch("labels", "cpu2"))
    assert contents(workspace.root, "labels") == before


def wait_for(condition, process, seconds=600):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"ended before it could be killed:\n{process.stdout.read()}"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("stage", "command"),
    [
        ("samples", launch("samples", "cpu2")),
        ("prm", ["dvc", "repro", "--force", "--single-item", "prm"]),
    ],
    ids=["two", "dvc"],
)
def test_killed_in_the_middle_and_run_again_gives_the_same_bytes(workspace, stage, command):
    """SIGKILL to who started it alone: its children must notice, leave no orphan, and the next run must resume."""
    before = workspace.read_output_hashes()
    workspace.run("rm", "-rf", *outputs_of(stage))
    process = workspace.start(*command)
    folder = workspace.root / ".checkpoints" / stage
    wait_for(lambda: any(path.is_file() and path.name != "token" for path in folder.rglob("*")), process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, "an orphan is left"
    assert journal.load_latest(workspace.root, stage).info["status"] == journal.KILLED
    assert any(folder.iterdir()), "unfinished work is kept"
    workspace.run(*launch(stage))
    assert journal.load_latest(workspace.root, stage).info["status"] == journal.FINISHED
    assert not any(path.is_file() for path in folder.rglob("*"))
    workspace.run("dvc", "commit", "-f", stage)
    after = workspace.read_output_hashes()
    assert {path: after[path] for path in outputs_of(stage)} == {path: before[path] for path in outputs_of(stage)}


def test_a_second_repro_at_the_same_time_is_refused_in_one_sentence(workspace):
    workspace.run("rm", "-rf", *outputs_of("generator"))
    first = workspace.start(sys.executable, "-m", "stages.generators.generator")
    wait_for(lambda: (workspace.root / ".assay/generator.lock").exists() and first.poll() is None, first)
    wait_for(lambda: (journal.load_latest(workspace.root, "generator").info["status"]) == journal.RUNNING, first)
    second = workspace.run_python("-m", "stages.generators.generator", check=False)
    assert second.returncode == 2
    assert "running already in process" in second.stderr and "Traceback" not in second.stderr
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()


def test_stages_run_by_hand_without_dvc_and_without_mlflow(workspace):
    """Law 6. The two packages are made impossible to import; one stage of each kind still runs."""
    blocker = workspace.root / "blocked"
    for name in ("mlflow", "dvc"):
        (blocker / name).mkdir(parents=True)
        (blocker / name / "__init__.py").write_text("raise ImportError('not installed')\n")
    for stage in ("benchmarks", "labels", "best_of_n"):
        before = contents(workspace.root, stage)
        done = workspace.run_python("-m", chapters.find_module(stage), PYTHONPATH=str(blocker), ASSAY_TRACKING="on")
        assert "Traceback" not in done.stderr
        assert contents(workspace.root, stage) == before


def test_a_missing_input_names_the_stage_to_run(workspace):
    workspace.run("rm", "-rf", "data/generator/model")
    done = workspace.run_python("-m", "stages.generators.samples", check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "data/generator/model: not found" in done.stderr


def test_a_wrong_parameter_is_one_sentence_with_its_line(workspace):
    yaml, path = YAML(), workspace.root / "params.yaml"
    document = yaml.load(path.read_text())
    document["orm"]["lr"] = "1e-5"
    with open(path, "w") as file:
        yaml.dump(document, file)
    done = workspace.run_python("-m", "stages.verifiers.orm", check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "orm.lr: must be > 0, got '1e-5' (a string; write 1.0e-5)" in done.stderr


@pytest.mark.parametrize("configuration", ["cpu", "cpu2"])
def test_a_mistake_is_one_sentence_under_the_launcher_too(workspace, configuration):
    workspace.replace_text("params.yaml", "predict_at: token", "predict_at: word")
    done = workspace.run(*launch("orm", configuration), check=False)
    assert done.returncode == 2
    assert done.stderr.count("orm.predict_at: ") == 1 and len(done.stderr.splitlines()) == 1, done.stderr


def test_the_launcher_names_the_configurations_there_are(workspace):
    done = workspace.run(*launch("orm", "cpu3"), check=False)
    assert done.returncode == 2
    assert done.stderr == "launch: stages/launch/cpu3.yaml not found; there are cpu, cpu2, fsdp, gpu, multinode, ray\n"


def test_data_is_shared_through_a_remote(workspace, tmp_path):
    """Push to a remote, clone, pull: nothing is left to run."""
    workspace.run("dvc", "remote", "add", "-d", "store", str(tmp_path / "remote"))
    workspace.run("dvc", "push")
    workspace.run("git", "add", "-A")
    workspace.run("git", "commit", "-qm", "results")
    workspace.run("git", "clone", "-q", str(workspace.root), str(tmp_path / "colleague"))
    colleague = type(workspace)(tmp_path / "colleague")
    colleague.run("dvc", "pull")
    assert colleague.list_stale_stages() == set()
    assert colleague.read_output_hashes() == workspace.read_output_hashes()
    assert (colleague.root / "data/best_of_n/table.md").exists()


def test_the_same_commit_gives_the_same_bytes_elsewhere(finished, tmp_path):
    """Another folder, another process, another hash seed: the cheap stages, bit for bit."""
    other = clone_repository(tmp_path / "other")
    other.run("dvc", "repro", "benchmarks", PYTHONHASHSEED="7")
    assert other.read_output_hashes().items() <= finished.read_output_hashes().items()
