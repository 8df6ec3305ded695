"""An experiment of `dvc exp run -S` is applied to the workspace, or becomes a branch; Assay then reads what is there."""

import json
import re
import shutil

import pytest

from tests.helpers.toy_repository import ToyRepository, create_repository

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> ToyRepository:
    """A repository with an experiment, and the workspace as it was before."""
    project = create_repository(tmp_path_factory.mktemp("experiments") / "project")
    project.dvc("exp", "run", "-q", "-n", "faster", "-S", "one.lr=0.5")
    project.git("checkout", "-q", "--", ".")
    project.dvc("checkout", "-q")
    return project


@pytest.fixture
def project(finished, tmp_path) -> ToyRepository:
    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True)
    return ToyRepository(tmp_path / "copy")


def read_states(project) -> dict[str, str]:
    """{stage: its state} as `python -m stages` prints them."""
    rows = [line.split() for line in project.run_command_line().stdout.splitlines()]
    return {row[0]: row[1] for row in rows if row and row[0] in ("one", "two")}


def check_experiment_is_there(project) -> None:
    """Files, states and lineage are the experiment's, and nothing is left to compute."""
    assert re.search("lr: 0.5 +# mine", (project.root / "params.yaml").read_text()), "the comment stays"
    assert (project.root / "data/one/model/a.txt").read_text() == "0.5"
    assert read_states(project) == {"one": "fresh", "two": "fresh"}
    assert json.loads(project.dvc("status", "--json").stdout) == {}
    assert "Running stage" not in project.dvc("repro").stdout
    lineage = project.run_command_line("lineage", "data/one/model").stdout
    assert "experiment faster" in lineage and "one.lr 0.5 (preset: 0.001)" in lineage
    assert "all as dvc.lock names them" in project.run_command_line("verify").stdout


def test_before_it_is_applied_the_workspace_is_the_commit(project):
    assert (project.root / "data/one/model/a.txt").read_text() == "0.001"
    assert read_states(project) == {"one": "fresh", "two": "fresh"}
    (row,) = [line for line in project.dvc("exp", "show", "--csv").stdout.splitlines() if "faster" in line]
    assert "0.5" in row.split(",")


def test_apply(project):
    project.dvc("exp", "apply", "faster")
    check_experiment_is_there(project)
    rows = {line.split()[0]: line.split() for line in project.run_command_line("compare", "one").stdout.splitlines()}
    assert rows["one.lr"][-2:] == ["0.001", "0.5"] and rows["experiment"][-1] == "faster"
    project.git("commit", "-qam", "The faster one")
    assert read_states(project) == {"one": "fresh", "two": "fresh"}


def test_branch(project):
    project.dvc("exp", "branch", "faster", "kept")
    project.git("checkout", "-q", "kept")
    assert (
        "one: stale: data/one/model changed; `dvc repro` or `dvc checkout` brings" in project.run_command_line().stdout
    )
    project.dvc("checkout", "-q")
    check_experiment_is_there(project)
    assert project.git("status", "--porcelain") == ""
    project.git("checkout", "-q", "main")
    project.dvc("checkout", "-q")
    assert (project.root / "data/one/model/a.txt").read_text() == "0.001"
    assert read_states(project) == {"one": "fresh", "two": "fresh"}
