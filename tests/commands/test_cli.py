"""`python -m stages`: help that imports little, one sentence for a mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.toy_pipeline import create_pipeline

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_help_names_every_command():
    done = subprocess.run([sys.executable, "-m", "stages", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    for path in (ROOT / "stages/commands").glob("[!_]*.py"):
        assert path.stem.replace("_", "-") in done.stdout


@pytest.mark.slow
def test_help_imports_nothing_heavy():
    code = (
        "import sys, stages.__main__ as m; m._register_commands(); "
        "print(*{'torch', 'mlflow', 'dvc', 'transformers', 'scipy', 'numpy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.slow
def test_mistakes_are_one_sentence(tmp_path):
    project = create_pipeline(tmp_path)
    (tmp_path / "dvc.yaml").unlink()
    for command in (
        ["launch", "nope"],
        ["launch", "__init__"],
        ["launch", "nope", "one"],
        ["launch", "a", "b", "c"],
        ["status"],
        [],
        ["compare", "one"],
        ["preset", "nope"],
    ):
        done = project.run_command_line(*command, code=2)
        assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr, done.stderr
    assert "No such command" in project.run_command_line("nope", code=2).stderr
