"""The launch files start what they say: shared weights and several machines train what one process trains.

`ACCELERATE_USE_CPU=true` puts their processes on CPUs; everything else is as the files have it.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import pytest
from safetensors.torch import load_file

from stages.commands.launch import split_off_ray
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.run import launcher, ray_cluster
from tests.helpers import distributed_script, processes, tiny_models

FILES = sorted((tiny_models.ROOT / "stages/launch").glob("*.yaml"))
ENV = {
    **{k: v for k, v in os.environ.items() if not k.startswith(("ACCELERATE", "FSDP"))},
    "ACCELERATE_USE_CPU": "true",
    "OMP_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "lo",
    "PYTHONPATH": str(tiny_models.ROOT),
}


LOADING = "CPU_RAM_EFFICIENT_LOADING true"
SCRIPT = "tests.helpers.distributed_script"


def launch(file: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", f"stages/launch/{file}.yaml"]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=tiny_models.ROOT,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(*started: subprocess.Popen) -> None:
    try:
        for process in started:
            said, _ = process.communicate(timeout=600)
            assert process.returncode == 0, said
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """What one process makes of everything."""
    root = tmp_path_factory.mktemp("one")
    distributed_script.write_inputs(root)
    names = [*distributed_script.TRAINING_CASES, *distributed_script.STAGE_PARAMS]
    processes.run_module(1, SCRIPT, str(root), *names)
    return root


def same(root, one, names):
    """The same weights, and for the ways of training the same history."""
    for name in names:
        if name in distributed_script.TRAINING_CASES:
            history, wanted = (
                [[float(x) for x in line.split(",")] for line in text.splitlines()[1:]]
                for text in ((place / name / "history.csv").read_text() for place in (root, one))
            )
            assert len(history) == len(wanted) > 2
            assert sum(history, []) == pytest.approx(sum(wanted, []), rel=1e-2), name
        is_case = name in distributed_script.TRAINING_CASES
        path = f"{name}/final.safetensors" if is_case else f"data/{name}/model/model.safetensors"
        tolerance = 2e-3 if name.startswith("bf16") else 1e-4  # bf16 rounds otherwise on another kind of CPU
        assert tiny_models.has_same_weights(load_file(root / path), load_file(one / path), tolerance), name


@pytest.mark.slow
def test_shared_weights_train_what_whole_ones_train(one, tmp_path):
    distributed_script.write_inputs(tmp_path)
    names = [*distributed_script.TRAINING_CASES, "base", "generator"]
    processes = ["--num_processes", "2", "--main_process_port", "0"]
    finish(launch("fsdp", *processes, "-m", SCRIPT, str(tmp_path), *names))
    same(tmp_path, one, names)
    found, wanted = (json.loads((root / "data/generator/metrics.json").read_text()) for root in (tmp_path, one))
    assert found == pytest.approx(wanted, rel=1e-6), "sums over shards round in another order"


@pytest.mark.slow
def test_two_machines_do_what_one_process_does(one, tmp_path):
    distributed_script.write_inputs(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    names = ["adamw", *distributed_script.STAGE_PARAMS]
    machines = ["--num_processes", "2", "--main_process_ip", "127.0.0.1", "--main_process_port", port]
    command = ["-m", SCRIPT, str(tmp_path), *names]
    finish(*(launch("multinode", *machines, "--machine_rank", rank, *command) for rank in "01"))
    same(tmp_path, one, names[:-2])
    for path in sorted((one / "data/samples").glob("*.parquet")):
        found, wanted = (records.read_samples(root / path.relative_to(one)) for root in (tmp_path, one))
        assert [(s.problem_id, s.index, s.text) for s in found] == [(s.problem_id, s.index, s.text) for s in wanted]
    for path in sorted((one / "data/labels").glob("*.parquet")):
        assert (tmp_path / path.relative_to(one)).read_bytes() == path.read_bytes()
    refused = (tmp_path / "refused.txt").read_text()
    assert refused.startswith("process 1 of 2: cannot see .checkpoints/orm/key/token") and "multinode.yaml" in refused


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_accelerate_takes_the_file_without_a_word(file, caplog, monkeypatch, tmp_path):
    from accelerate.commands import launch as accelerate

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv(ray_cluster.VARIABLE, "")  # set by the next line, and then removed
    file = split_off_ray(file, "stages.verifiers.orm", tmp_path)
    arguments = accelerate.launch_command_parser().parse_args(
        ["--config_file", str(file), "-m", "stages.verifiers.orm"]
    )
    with caplog.at_level(logging.WARNING):
        checked, _, _ = accelerate._validate_launch_command(arguments)
    assert not caplog.records
    assert checked.use_fsdp == (file.stem == "fsdp") and checked.use_cpu == (file.stem in ("cpu", "cpu2", "ray"))


def test_under_ray_only_what_trains_has_the_processes_of_the_file(monkeypatch, tmp_path):
    monkeypatch.setenv(ray_cluster.VARIABLE, "")
    text = (tiny_models.ROOT / "stages/launch/ray.yaml").read_text()
    path = tmp_path / "ray.yaml"
    path.write_text(text.replace("num_processes: 1", "num_processes: 8").replace("use_cpu: true", "use_cpu: false"))
    for stage, count in (("verifiers.genrm", 8), ("generators.samples", 1), ("evaluation.scores", 1)):
        document = json.loads(split_off_ray(path, f"stages.{stage}", tmp_path / "out").read_text())
        assert document["num_processes"] == count and document["use_cpu"] == (count == 1)
    assert json.loads(os.environ[ray_cluster.VARIABLE])["cpus"] == 1
    path.write_text(text.replace("cpus: 1 ", "cpus: none ").replace("gpus: 0 ", "gpu: 0 "))
    with pytest.raises(UserError) as refused:
        split_off_ray(path, "stages.verifiers.orm", tmp_path)
    faults = str(refused.value).splitlines()
    line = 1 + text[: text.index("cpus: 1 ")].count("\n")
    assert f"{path}:{line} ray.cpus: must be > 0, got 'none'" in faults[0]
    assert any("ray.gpu: unknown key; allowed here: workers, cpus, gpus, max_chunk" in fault for fault in faults)


@pytest.mark.parametrize("setting", ["VERSION 1", "OFFLOAD_PARAMS true", "ACTIVATION_CHECKPOINTING true", LOADING])
def test_settings_that_are_not_kept_to_are_refused(monkeypatch, setting):
    name, value = setting.split()
    assert not launcher.fsdp_enabled()
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert launcher.fsdp_enabled()
    monkeypatch.setenv(f"FSDP_{name}", value)
    with pytest.raises(UserError, match=f"fsdp_{name.lower()}: {value} is not supported; set "):
        launcher.fsdp_enabled()
