"""Every flipped byte, lost object and foreign file is found, and what is advised mends it."""

import os
import shutil
import subprocess
import sys

import pytest

from stages.lib.workspace import integrity
from tests.helpers.toy_pipeline import ENV, ToyPipeline
from tests.helpers.toy_repository import create_repository

pytestmark = pytest.mark.slow
MODEL = "data/two/model/a.txt"
OBJECTS = ".dvc/cache/files/md5"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> ToyPipeline:
    return create_repository(tmp_path_factory.mktemp("verify") / "project")


@pytest.fixture
def project(finished, tmp_path) -> ToyPipeline:
    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True)
    return ToyPipeline(tmp_path / "copy")


def flip_byte(path) -> None:
    """As a bad disk does it: size, time and mode stay."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def find_object(project, path: str):
    md5 = next(f.object for f in check(project).findings if f.path == path)
    return project.root / md5


def check(project) -> integrity.Check:
    return integrity.check(project.root, project.root / OBJECTS, integrity.load_outputs(project.root))


def verify(project, code: int) -> str:
    return project.run_command_line("verify", code=code).stdout


def mend(project, told: str) -> None:
    """Run the commands that were printed, as they stand."""
    commands = [line.strip() for line in told.splitlines() if line.startswith("  ")]
    env = {**ENV, "ASSAY_TRACKING": "off", "PATH": f"{project.root.parent}/bin:{ENV['PATH']}"}
    (project.root.parent / "bin").mkdir(exist_ok=True)
    dvc = project.root.parent / "bin/dvc"
    dvc.write_text(f'#!/bin/sh\nexec {sys.executable} -m dvc "$@"\n')
    dvc.chmod(0o755)
    script = "set -e\n" + "\n".join(commands)
    done = subprocess.run(["sh", "-c", script], cwd=project.root, env=env, capture_output=True, text=True)
    assert commands and done.returncode == 0, script + done.stdout + done.stderr


def test_whole(finished):
    assert "all as dvc.lock names them" in verify(finished, 0)
    result = check(finished)
    assert all(finding.is_whole for finding in result.findings) and result.strays == [] and result.objects == 5


@pytest.mark.parametrize(
    ("object_too", "copy_too", "states"),
    [(True, False, ("damaged", "whole")), (False, True, ("whole", "damaged")), (True, True, ("damaged", "damaged"))],
)
def test_a_flipped_byte_is_found_named_and_mended(project, object_too, copy_too, states):
    lock = (project.root / "dvc.lock").read_text()
    project.run(sys.executable, "-m", "dvc", "status")  # DVC notes size, time and inode of the copy
    if object_too:
        flip_byte(find_object(project, MODEL))
    if copy_too:
        flip_byte(project.root / MODEL)
    assert project.run(sys.executable, "-m", "dvc", "status").stdout.startswith("Data and pipelines are up to date")
    finding = next(finding for finding in check(project).findings if not finding.is_whole)
    assert (finding.owner, finding.path, finding.in_cache, finding.in_workspace) == ("two", MODEL, *states)
    told = verify(project, 1)
    assert MODEL in told and "1 damaged" in told
    mend(project, told)
    assert "all as dvc.lock names them" in verify(project, 0)
    assert (project.root / MODEL).read_text() == "0.1" and (project.root / "dvc.lock").read_text() == lock


@pytest.mark.parametrize("lost", ["object", "listing", "copy", "folder", "everything"])
def test_what_is_missing_is_counted_and_mended(project, lost):
    folder = find_object(project, "data/two/model")
    {
        "object": lambda: find_object(project, MODEL).unlink(),
        "listing": folder.unlink,
        "copy": (project.root / MODEL).unlink,
        "folder": lambda: shutil.rmtree(project.root / "data/two/model"),
        "everything": lambda: (shutil.rmtree(project.root / "data/two"), shutil.rmtree(project.root / ".dvc/cache")),
    }[lost]()
    told = verify(project, 1)
    assert "missing" in told and "damaged" not in told
    mend(project, told)
    assert "all as dvc.lock names them" in verify(project, 0)


def test_other_damage(project):
    """A file too many, a metric that git has, and an object that dvc.lock does not name."""
    (project.root / "data/one/model/extra.txt").write_text("mine")
    flip_byte(project.root / "data/one/metrics.json")
    stray = project.root / OBJECTS / "ab" / ("c" * 30)
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("not what its name says")
    told = verify(project, 1)
    assert (
        "git restore data/one/metrics.json" in told and "(of another commit)" in told and "2 damaged, 1 extra" in told
    )
    mend(project, told)
    assert "all as dvc.lock names them" in verify(project, 0) and not stray.exists()


def test_a_fresh_clone_is_told_to_pull(project, tmp_path):
    shutil.rmtree(project.root / ".dvc/cache")
    shutil.rmtree(project.root / "data/one/model")
    shutil.rmtree(project.root / "data/two")
    project.run(sys.executable, "-m", "dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    told = verify(project, 1)
    assert "  dvc pull one two\n" in told and "dvc repro one" not in told


def test_nothing_recorded_is_an_error(project):
    (project.root / "dvc.lock").unlink()
    assert "nothing is recorded yet" in project.run_command_line("verify", code=2).stderr
