"""A process knows its launcher by what it is, and takes its place among others only from torchrun."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from stages.lib.core.errors import UserError
from stages.lib.run import launcher
from tests.helpers.toy_pipeline import ENV, create_pipeline


@pytest.mark.parametrize(
    "command",
    [
        "python -m stages launch cpu orm",
        "/usr/bin/python3.12 -X dev -u -m stages launch orm",
        "python /opt/venv/bin/accelerate launch --config_file x -m stages.verifiers.orm",
        "/opt/venv/bin/accelerate-launch x.py",
        "python -m accelerate.commands.launch x.py",
        "python /opt/venv/bin/torchrun --standalone x.py",
        "python -m torch.distributed.run x.py",
    ],
)
def test_launchers(command):
    assert launcher.is_launcher(command.split())


@pytest.mark.parametrize(
    "command",
    [
        "bash accelerate-lab/start.sh",
        "bash -c cd assay; : accelerate; nohup python -m stages.problems.ood",
        "env accelerate/go.sh",
        "vim torchrun",
        "python -c import accelerate",
        "python -m stages status",
        "python -m stages report launch",
        "python /home/ann/accelerate/tool.py",
        "dvc repro",  # without DVC_STAGE it runs something else
        "python",
        "",
    ],
)
def test_what_only_mentions_a_launcher_is_none(command, monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    assert not launcher.is_launcher(command.split())


def test_dvc_is_a_launcher_of_its_own_stages(monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "orm")
    assert launcher.is_launcher(["python", "/opt/venv/bin/dvc", "repro"])
    assert launcher.is_launcher(["python3", "-m", "dvc", "exp", "run"])
    assert not launcher.is_launcher(["bash", "/home/ann/dvc/go.sh"])


@pytest.fixture
def bare(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "x")  # restored afterwards, also where the code removes it
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    "values", [{}, {"RANK": ""}, {"RANK": " ", "WORLD_SIZE": ""}, {"RANK": "0", "WORLD_SIZE": "1"}]
)
def test_one_process_alone(bare, values):
    for name, value in values.items():
        bare.setenv(name, value)
    assert launcher.read_place() == (0, 1)
    assert not set(values) & set(os.environ), "accelerate would read them"


def test_the_place_that_torchrun_gives(bare):
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}.items():
        bare.setenv(name, value)
    assert launcher.read_place() == (1, 2) and os.environ["RANK"] == "1"


@pytest.mark.parametrize("values", [{"RANK": "1"}, {"RANK": "0", "WORLD_SIZE": "2"}, {"LOCAL_WORLD_SIZE": "many"}])
def test_a_place_that_no_launcher_gave_is_refused(bare, values):
    for name, value in values.items():
        bare.setenv(name, value)
    name, value = list(values.items())[-1]
    with pytest.raises(UserError, match=rf"{name}={value} makes this process one of several.*`unset .*{name}`"):
        launcher.read_place()


@pytest.mark.slow
def test_a_stage_in_the_background_outlives_the_script_that_started_it(tmp_path):
    """The script's folder has a launcher's name."""
    toy = create_pipeline(tmp_path / "accelerate torchrun")
    toy.replace_text("params.yaml", "sleep: 0.0", "sleep: 1.0")
    script = toy.root / "dvc stages launch.sh"
    script.write_text(f"'{sys.executable}' -m stages.problems.one 2> log &\nsleep 1.5\n")
    subprocess.run(["bash", script], cwd=toy.root, env=ENV | {"DVC_STAGE": "x", "ASSAY_TRACKING": "off"}, check=True)
    deadline = time.monotonic() + 60
    while "one: done" not in (log := (toy.root / "log").read_text()):
        assert time.monotonic() < deadline, log
        time.sleep(0.1)


@pytest.mark.slow
def test_a_stage_ends_with_the_launcher_that_started_it(tmp_path):
    toy = create_pipeline(tmp_path)
    toy.replace_text("params.yaml", "sleep: 0.0", "sleep: 30.0")
    (tmp_path / "torchrun").write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'stages.problems.one'])\n"
    )
    process = subprocess.Popen([sys.executable, "torchrun"], cwd=toy.root, env=ENV | {"ASSAY_TRACKING": "off"})
    deadline = time.monotonic() + 60
    while not list(toy.root.glob(".assay/journal/*/log.jsonl")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    children = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not psutil.wait_procs(children, timeout=15)[1]
    assert [run["status"] for run in toy.read_journal()] == ["KILLED"]
