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
    real = project.run(sys.executable, "-m", "stages", *command, code=2)
    assert (real.stdout, real.stderr) == (done.stdout, done.stderr), (
        "the process of the other commands is like a user's"
    )
    assert "No such command" in project.run_command_line("nope", code=2).stderr


def test_h_is_help_everywhere(monkeypatch):
    from typer.testing import CliRunner

    from stages import __main__ as program

    if not program.app.registered_commands:
        program._register_commands()
    for name in [None, *(command.name for command in program.app.registered_commands)]:
        done = CliRunner().invoke(program.app, [*([name] if name else []), "-h"])
        assert done.exit_code == 0 and "Usage:" in done.output, name


@pytest.mark.slow
def test_the_name_of_a_stage_is_told_what_to_type(tmp_path):
    project = create_pipeline(tmp_path)
    told = project.run_command_line("one", code=2).stderr
    assert "`python -m stages launch one`" in told and "`dvc repro one`" in told and len(told.splitlines()) == 1


@pytest.mark.slow
def test_a_stage_answers_help_and_refuses_arguments_without_running(tmp_path):
    project = create_pipeline(tmp_path)
    module = "stages.problems.one"
    for option in ("-h", "--help"):
        told = project.run(sys.executable, "-m", module, option).stdout
        assert "A stage for tests: logs some steps" in told and "one.lr" in told and "a number > 0" in told
    for stray in (["foo", "bar"], ["--resume"]):
        fault = project.run(sys.executable, "-m", module, *stray, code=2).stderr
        assert fault.startswith(f"one: takes no arguments, got {' '.join(stray)};") and len(fault.splitlines()) == 1
    assert not (project.root / ".assay/journal").exists() and not (project.root / "data/one").exists()
