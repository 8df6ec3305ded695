"""doctor: finds what is wrong and says how to mend it; fails only on what stops the pipeline."""

import pytest

from stages.commands import doctor
from tests.helpers.toy_pipeline import create_pipeline

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path):
    project = create_pipeline(tmp_path)
    project.run("git", "init", "-q")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = false\n")
    return project


def findings(done):
    return {
        line[4:].strip().split("  ")[0]: line.split()[0] for line in done.stdout.splitlines()[1:] if line[:4].strip()
    }


def test_healthy(project):
    done = project.run_command_line("doctor", MLFLOW_DISABLE_TELEMETRY="true")
    found = findings(done)
    assert found["python on PATH"] == found["torch"] == found["dvc"] == found["parameters"] == "ok"
    assert found["remote"] == "warn" and "python -m stages share" in done.stdout
    assert found["telemetry"] == "ok" and "fail" not in found.values()


@pytest.mark.parametrize(("line", "word"), [("use_cpu: true", "ok"), ("use_cpu: false", "fail"), ("a: 1", "fail")])
def test_a_launch_file_says_whether_it_wants_an_accelerator(project, line, word):
    project.replace_text("params.yaml", "launch: cpu", "launch: mine")
    (project.root / "stages/launch/mine.yaml").write_text(f"{line}\n")
    done = project.run_command_line("doctor", code=int(word == "fail"))
    assert findings(done)["accelerator"] == word


def test_git_says_why_it_tells_no_commit(project):
    assert "there is none yet. `git commit`" in doctor.check_git(project.root)[1]
    (project.root / ".git/index").write_text("garbage")
    state, text = doctor.check_git(project.root)
    assert state == "warn" and "git: " in text and "index" in text and "git init" not in text


def test_ill(project):
    project.replace_text("params.yaml", "lr: 1e-3", "lr: -1.0")
    project.replace_text("params.yaml", "launch: cpu", "launch: gpu")
    (project.root / ".dvc/config").write_text("['remote \"store\"']\n    url = s3://x\n    secret_access_key = abc\n")
    (project.root / "requirements.lock").write_text("pydantic==0.1\nabsent-thing==1.0\n")
    done = project.run_command_line(
        "doctor", code=1, PATH="/usr/bin:/bin", MLFLOW_TRACKING_URI="http://u:hunter2@127.0.0.1:9"
    )
    found = findings(done)
    assert found["parameters"] == found["remote"] == found["python on PATH"] == "fail"
    assert found["mlflow"] == found["requirements"] == found["telemetry"] == "warn"
    assert "one.lr: must be > 0, got -1.0" in done.stdout and "(locked 0.1)" in done.stdout
    assert "hunter2" not in done.stdout and "abc" not in done.stdout
