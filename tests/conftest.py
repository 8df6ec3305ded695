"""Shared fixtures: the pipeline, run once on the nano preset by the real `dvc repro`."""

import os
import shutil

import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers share two cores

from tests.helpers.workspace import Workspace, clone_repository  # noqa: E402


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workspace:
    """A workspace whose nano pipeline has run. Shared: a test that changes it works on `workspace` instead."""
    workspace = clone_repository(tmp_path_factory.mktemp("run") / "a spåce")
    workspace.run("dvc", "repro")
    return workspace


@pytest.fixture
def workspace(finished, tmp_path) -> Workspace:
    """A copy of the finished workspace that a test may break. MLflow has seen the pipeline once; that is enough here."""
    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True)
    return Workspace(tmp_path / "copy", ASSAY_TRACKING="off")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder to run in: verdicts of programs are kept in the folder that a stage runs in."""
    monkeypatch.chdir(tmp_path)
