"""Stages on a real Ray cluster of two nodes on loopback: equal records, lost nodes, killed drivers, clear refusals."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.models import loading
from stages.lib.models.prompts import Prompt
from stages.lib.run import ray_cluster, ray_connection
from stages.lib.workspace import chapters
from tests.evaluation import test_scores
from tests.helpers import distributed_script, tiny_models
from tests.helpers.stage_script import make_run, run_body
from tests.verifiers import test_genrm

scores_root = test_scores.root

SETTINGS = {"workers": None, "cpus": 1.0, "gpus": 0.0, "max_chunk": 8}
SAMPLES = distributed_script.STAGE_PARAMS["samples"].model_dump() | {"n_verifier": 4, "max_new_tokens": 120}


@given(st.integers(0, 300), st.integers(1, 9), st.integers(ray_cluster.MIN_CHUNK, 99))
def test_chunks_hold_every_item_once_and_fall_in_size(count, workers, largest):
    chunks = ray_cluster.split_chunks(list(range(count)), workers, largest)
    sizes = [len(chunk) for chunk in chunks]
    assert sum(chunks, []) == list(range(count))
    assert sizes == sorted(sizes, reverse=True) and max(sizes, default=0) <= largest
    assert all(size >= ray_cluster.MIN_CHUNK for size in sizes[:-1])


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """`launch: ray`; a function that changes the settings."""

    def change(**changes):
        monkeypatch.setenv(ray_cluster.VARIABLE, json.dumps(SETTINGS | changes))
        ray_cluster.load_settings.cache_clear()

    change()
    yield change
    ray_cluster.load_settings.cache_clear()


def load(root: Path, device) -> str:
    return f"{(root / 'config.json').read_text()} on {device}"


def fail(model, items):
    raise UserError(f"{model}: {len(items)} items are too many")


def die(model, items):
    os._exit(1)


def test_without_ray_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"not installed; `pip install 'ray\[client\]'`"):
        next(ray_cluster.RayWorkers(Path(), load).map(fail, [1]))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere"])
def test_an_address_that_does_not_answer_is_named(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=f"RAY_ADDRESS: nothing answers at '{address}'"):
        ray_connection.check_answer(address)


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with a CPU each; the first is the driver's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # loopback alone
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        import ray
        from ray.cluster_utils import Cluster

        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", nodes.address)
        yield nodes
        ray_cluster._idle_actors.clear()
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture
def workers(cluster, tmp_path):
    (tmp_path / "config.json").write_text("a model")
    workers = ray_cluster.RayWorkers(tmp_path, load)
    yield workers
    workers.close()


@pytest.mark.slow
def test_mistakes_and_lost_workers_are_one_sentence(workers, settings, monkeypatch):
    with pytest.raises(UserError, match="a model on cpu: 3 items are too many"):
        list(workers.map(fail, [1, 2, 3]))
    monkeypatch.setattr(ray_cluster, "MAX_LOSSES", 1)
    with pytest.raises(UserError, match="lost 1 times in a row"):
        list(workers.map(die, [1]))
    assert workers.apply(len) == len("a model on cpu")


@pytest.mark.slow
def test_a_request_that_no_node_can_fulfil_is_refused(workers, settings, monkeypatch):
    settings(gpus=1.0)
    with pytest.raises(UserError, match="no node of the Ray cluster offers a worker's 1 CPUs and 1 GPUs"):
        ray_cluster.RayWorkers(workers.folder, load).apply(len)
    settings()
    monkeypatch.setattr(ray_cluster, "_read_versions", lambda: {"torch": "1.0"})
    with pytest.raises(
        UserError, match="the node 127.0.0.1 has .* this machine {'torch': '1.0'}; install requirements"
    ):
        workers.apply(len)


def run_stage(root: Path, name: str, params: dict) -> dict[str, bytes]:
    """The files that the stage writes."""
    run_body(make_run(root, name, importlib.import_module(chapters.find_module(name)).Params(**params)))
    out = root / "data" / name
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """Inputs of stage samples, and what one process makes of them."""
    root = tmp_path_factory.mktemp("one")
    distributed_script.write_inputs(root)
    problems = [tiny_models.make_problem(i, "verifier") for i in range(40)]
    records.write_problems(root / "data/selection/verifier.jsonl", problems)
    tokenizer = build_tokenizer()
    loading.save(tiny_models.make_model("lfm2", len(tokenizer)), tokenizer, root / "data/generator/model")
    Prompt().write(root / "data/generator/prompt.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(ray_cluster.VARIABLE, raising=False)
        ray_cluster.load_settings.cache_clear()
        return root, run_stage(root, "samples", SAMPLES)


def copy_inputs(root: Path, target: Path) -> Path:
    shutil.copytree(root, target, ignore=shutil.ignore_patterns(".checkpoints"))
    return target


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["labels", "scores", "genrm"])
def test_a_cluster_gives_the_bytes_of_one_process(cluster, one, scores_root, tmp_path, monkeypatch, stage):
    root, params = {
        "labels": (one[0], distributed_script.STAGE_PARAMS["labels"].model_dump()),
        "scores": (scores_root, {**test_scores.SETTINGS, "verifiers": ["base_prm", "orm"]}),
        "genrm": (test_genrm.write_inputs(tmp_path / "genrm"), {**test_genrm.SETTINGS, "direct_share": 0.0}),
    }[stage]
    on_cluster = run_stage(copy_inputs(root, tmp_path / "copy"), stage, params)
    monkeypatch.delenv(ray_cluster.VARIABLE)
    ray_cluster.load_settings.cache_clear()
    assert run_stage(root, stage, params) == on_cluster and len(on_cluster) > 2


def kill_node(node) -> None:
    """SIGKILL to a node's raylet and workers, as when a machine is lost."""
    pids = [info.process.pid for infos in node.all_processes.values() for info in infos]
    tree = [process for pid in pids for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.slow
def test_a_lost_node_changes_no_byte(cluster, one, tmp_path):
    """The node dies while both work; what its worker had begun is done by the other."""
    root = copy_inputs(one[0], tmp_path / "copy")
    part, lost = root / ".checkpoints/samples/key/verifier.0.jsonl", []

    def lose() -> None:
        while not (part.exists() and part.stat().st_size > 1):
            time.sleep(0.02)
        kill_node(next(iter(cluster.worker_nodes)))
        lost.append(part.read_bytes().count(b"\n"))

    thread = threading.Thread(target=lose)
    thread.start()
    assert run_stage(root, "samples", SAMPLES) == one[1]
    thread.join()
    assert 1 < lost[0] < 41, "killed in the middle"


@pytest.mark.slow
def test_a_killed_driver_leaves_no_process_and_its_parts(cluster, one, tmp_path):
    root, temporary = copy_inputs(one[0], tmp_path / "copy"), tempfile.mkdtemp(prefix="r")  # short: it holds sockets
    command = [sys.executable, "-m", "tests.helpers.stage_script", json.dumps([(str(root), "samples", SAMPLES)])]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    driver = subprocess.Popen(command, cwd=tiny_models.ROOT, env=environment | {"TMPDIR": temporary})
    part = root / ".checkpoints/samples/key/verifier.0.jsonl"
    while not (part.exists() and part.stat().st_size > 1):
        assert driver.poll() is None
        time.sleep(0.02)
    started = psutil.Process(driver.pid).children(recursive=True)
    assert any("raylet" in process.name() for process in started)
    addresses = {c.laddr.ip for process in started for c in process.net_connections() if c.status == "LISTEN"}
    assert addresses and addresses <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 120
    while alive := [process for process in started if is_alive(process)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)
    os.rmdir(temporary)  # fails if the cluster's folder is left
    kept = part.read_bytes()
    assert 1 < kept.count(b"\n") < 41
    assert run_stage(root, "samples", SAMPLES) == one[1]
    assert part.read_bytes().startswith(kept[: kept.rindex(b"\n")]), "what was drawn is not drawn again"


def is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
