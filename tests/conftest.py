"""Shared fixtures: the pipeline, run once on the nano preset by the real `dvc repro`."""

import os
import shutil
from collections import Counter

import hypothesis
import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers share two cores

from tests.helpers.workspace import Workspace, clone_repository  # noqa: E402

hypothesis.settings.register_profile("assay", deadline=None)  # tests assert no times
hypothesis.settings.load_profile("assay")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever runs the pipeline is slow. Start with the files that take longest, so that no worker sits idle at the end:
    test_repro.py, and then those with most slow tests."""
    for item in items:
        if {"finished", "workspace"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (item.path.name != "test_repro.py", -slow[item.path], item.path))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workspace:
    """A workspace whose nano pipeline has run. Shared: a test that changes it works on `workspace` instead.

    MLflow, which takes seconds to import, is off: test_mlflow_store.py has it on while a stage runs.
    """
    workspace = clone_repository(tmp_path_factory.mktemp("run") / "a spåce")
    workspace.run("dvc", "repro", ASSAY_TRACKING="off")
    return workspace


@pytest.fixture
def workspace(finished, tmp_path) -> Workspace:
    """A copy of the finished workspace that a test may break."""

    def copy_or_link(source: str, target: str) -> None:
        """DVC never writes into a file of its cache, so its copies can be links."""
        (os.link if "/.dvc/cache/" in source else shutil.copy2)(source, target)

    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True, copy_function=copy_or_link)
    return Workspace(tmp_path / "copy", ASSAY_TRACKING="off")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder to run in: verdicts of programs are kept in the folder that a stage runs in."""
    monkeypatch.chdir(tmp_path)
