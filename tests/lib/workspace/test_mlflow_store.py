"""MLflow holds a complete copy of the journal, nothing twice, and never stops or slows a stage."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from stages.lib.workspace import mlflow_runs, mlflow_store
from tests.helpers.toy_pipeline import ENV, create_pipeline

pytestmark = pytest.mark.slow

pytest.importorskip("mlflow")


def runs(root, uri=None):
    from mlflow.tracking import MlflowClient

    os.environ.update(mlflow_store.MLFLOW_ENV)
    with mlflow_store.hold_lock(root / ".assay/mlflow.lock"):  # a reader too would create tables
        client = MlflowClient(uri or f"sqlite:///{root}/mlflow.db")
        experiment = client.get_experiment_by_name("assay")
    return client, client.search_runs([experiment.experiment_id], order_by=["start_time"]) if experiment else []


def until(condition, seconds=600):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture
def project(tmp_path):
    return create_pipeline(tmp_path / "a spåce")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One stage, run to its end with its helper: run() returns when the helper has closed standard error."""
    project = create_pipeline(tmp_path_factory.mktemp("run") / "a spåce")
    project.run("git", "init", "-q")
    project.run("git", "add", "-A")
    project.run("git", "-c", "user.email=a@b.c", "-c", "user.name=n", "commit", "-qm", "x")
    project.replace_text("params.yaml", "api_key: none", "api_key: abcdef")
    project.run_stage("one", DVC_EXP_NAME="exp-a")
    return project


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real MLflow server; stop() and start() it at will."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    class Server:
        uri = f"http://127.0.0.1:{port}"

        def start(self):
            address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
            stores = [
                "--backend-store-uri",
                f"sqlite:///{folder}/server.db",
                "--artifacts-destination",
                f"{folder}/files",
            ]
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *address, *stores],
                env={**ENV, **mlflow_store.MLFLOW_ENV},
                cwd=folder,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

            def healthy():
                try:
                    return urllib.request.urlopen(f"{self.uri}/health", timeout=1).status == 200
                except OSError:
                    return False

            until(healthy)

        def stop(self):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    running = Server()
    running.start()
    yield running
    running.stop()


def test_a_run_holds_what_the_journal_holds(finished):
    client, (run,) = runs(finished.root)
    (entry,) = finished.read_journal()
    assert run.info.run_name == "one (exp-a)" and run.info.status == "FINISHED"
    assert abs(run.info.end_time / 1000 - entry["ended"]) < 0.01
    tags = run.data.tags
    assert tags["stage"] == "one" and tags["processes"] == "1" and tags["seed"] == "1"
    assert tags["git_commit"] == entry["git"]["commit"] and tags["git_dirty"] == "True"
    assert tags["dvc_exp"] == "exp-a" and "mlflow.parentRunId" not in tags, "run by hand"
    assert tags["md5/model"] == entry["outputs"]["data/one/model"] and tags["md5/model"].endswith(".dir")
    note = tags["mlflow.note.content"]
    assert note.startswith("The first stage of the test.") and "**dev.pass@1" not in note, "a mean with its interval"
    assert "--rev exp-a" in note and tags["md5/model"] in note
    assert run.data.params["lr"] == "0.001" and run.data.params["seed"] == "1"
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, round(point.value, 6)) for point in losses] == [(0, 0.001), (1, 0.0005), (2, 0.000333)]
    assert all(entry["started"] - 1 < point.timestamp / 1000 < entry["ended"] + 1 for point in losses)
    assert run.data.metrics["dev/pass_at_1/mean"] == 0.5
    assert [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, "curve")] == [(1, 0.1), (2, 0.2)]
    assert run.data.metrics["cost/tokens"] == 7 and run.data.metrics["cost/peak_memory/host"] > 1e6
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "data/raw" and data.dataset.digest == entry["inputs"]["data/raw"]
    assert data.dataset.digest.endswith(".dir") and len(data.dataset.digest) == 36


def shown(client, run):
    return sorted(found.path for found in client.list_artifacts(run.info.run_id))


def test_a_run_shows_pictures_tables_and_metrics(finished):
    client, (run,) = runs(finished.root)
    assert shown(client, run) == ["history.csv", "metrics.json", "model", "table.md"]
    assert run.data.tags["assay.artifacts"] == "3"
    there = finished.root / "mlartifacts" / run.info.run_id / "artifacts"
    for name in ("history.csv", "metrics.json", "table.md", "model/a.txt"):
        assert (there / name).read_bytes() == (finished.root / "data/one" / name).read_bytes()
    assert not finished.run("git", "status", "--porcelain", "--", "mlartifacts").stdout, "git does not see them"


def test_what_a_server_missed_is_shown_after_sync(project, server):
    """Proxied by the server; and only what the newest execution wrote, for older files are gone."""
    for _ in range(2):
        project.run_stage("one", ASSAY_TRACKING="off")
    assert (
        "2 added"
        in project.run_command_line("sync", MLFLOW_TRACKING_URI=server.uri, MLFLOW_EXPERIMENT_NAME="pictures").stdout
    )
    os.environ.update(mlflow_store.MLFLOW_ENV)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("pictures")
    old, new = client.search_runs([experiment.experiment_id], order_by=["start_time"])
    assert new.info.artifact_uri.startswith("mlflow-artifacts:")
    assert shown(client, old) == [] and shown(client, new) == ["history.csv", "metrics.json", "model", "table.md"]
    client.delete_tag(new.info.run_id, mlflow_runs.ARTIFACTS_TAG)  # as when the last file did not make it
    assert (
        "1 completed, 1 present"
        in project.run_command_line("sync", MLFLOW_TRACKING_URI=server.uri, MLFLOW_EXPERIMENT_NAME="pictures").stdout
    )


def test_secrets_stay_here(finished):
    _, (run,) = runs(finished.root)
    assert run.data.params["api_key"] == "[redacted]"
    assert "abcdef" not in str(run.to_dictionary())


def test_sync_adds_nothing_twice(finished):
    assert "0 added, 0 completed, 1 present" in finished.run_command_line("sync").stdout
    assert len(runs(finished.root)[1]) == 1


def test_failed_is_failed(project):
    project.replace_text("params.yaml", "fail: false", "fail: true")
    done = project.run_stage("one", code=1)
    assert "broken on purpose" in done.stderr and "tracking" not in done.stderr
    (run,) = runs(project.root)[1]
    assert run.info.status == "FAILED" and run.data.tags["reason"] == "RuntimeError: broken on purpose"
    assert "Stopped: RuntimeError" in run.data.tags["mlflow.note.content"]
    assert project.read_journal()[0]["status"] == "FAILED"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_is_killed(project, number):
    project.replace_text("params.yaml", "sleep: 0.0", "sleep: 60.0")
    process = project.start("one")
    until(lambda: (project.root / "mlflow.db").exists() and runs(project.root)[1])
    assert runs(project.root)[1][0].info.status == "RUNNING"
    os.kill(process.pid, number)
    process.wait()
    until(lambda: runs(project.root)[1][0].info.status == "KILLED", 120)
    assert project.read_journal()[0]["status"] == "KILLED"
    reason = runs(project.root)[1][0].data.tags["reason"]
    assert reason == "terminated" if number == signal.SIGTERM else reason.startswith("killed from outside")


def test_helper_killed_too_then_sync_tells_the_truth(project):
    """The machine goes down: neither stage nor helper can say a word."""
    import psutil

    project.replace_text("params.yaml", "sleep: 0.0", "sleep: 60.0")
    process = project.start("one")
    until(lambda: (project.root / "mlflow.db").exists() and runs(project.root)[1])
    for child in psutil.Process(process.pid).children():
        child.kill()
    process.kill()
    process.wait()
    assert project.read_journal()[0]["status"] == "RUNNING"
    assert "0 added, 1 completed" in project.run_command_line("sync").stdout
    assert runs(project.root)[1][0].info.status == project.read_journal()[0]["status"] == "KILLED"


def test_the_next_stage_closes_what_was_killed(project):
    project.replace_text("params.yaml", "sleep: 0.0", "sleep: 60.0")
    process = project.start("one", ASSAY_TRACKING="off")
    until(project.read_journal)
    process.kill()
    process.wait()
    project.replace_text("params.yaml", "sleep: 60.0", "sleep: 0.0")
    project.run_stage("one", ASSAY_TRACKING="off")
    assert [run["status"] for run in project.read_journal()] == ["KILLED", "FINISHED"]


def test_server_away_at_start(project):
    uri = "http://user:hunter2@127.0.0.1:9"
    done = project.run_stage("one", MLFLOW_TRACKING_URI=uri)
    assert done.stderr.count("tracking: ") == 1 and "cannot be reached" in done.stderr
    assert "hunter2" not in done.stderr and "Traceback" not in done.stderr
    assert (project.root / "data/one/metrics.json").exists()
    away = project.run_command_line("sync", code=2, MLFLOW_TRACKING_URI=uri)
    assert "cannot be reached" in away.stderr and "hunter2" not in away.stderr + away.stdout
    assert "1 added" in project.run_command_line("sync").stdout
    assert "0 added, 0 completed, 1 present" in project.run_command_line("sync").stdout
    client, (run,) = runs(project.root)
    assert run.info.status == "FINISHED" and len(client.get_metric_history(run.info.run_id, "loss")) == 3


def test_server_killed_mid_run(project, server):
    wait = "while step == 10 and not (run.root / 'go').exists():\n            time.sleep(0.05)"
    project.replace_text("params.yaml", "steps: 3", "steps: 20")
    project.replace_text("stages/problems/one.py", "time.sleep(run.params.sleep)", wait)
    process = project.start("one", MLFLOW_TRACKING_URI=server.uri)
    until(lambda: runs(project.root, server.uri)[1])
    server.stop()
    (project.root / "go").touch()
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0 and said.count("tracking: ") == 1, said
    server.start()
    _, (run,) = runs(project.root, server.uri)
    assert run.info.status == "RUNNING", "nobody could tell the server"
    assert "0 added, 1 completed" in project.run_command_line("sync", MLFLOW_TRACKING_URI=server.uri).stdout
    client, (run,) = runs(project.root, server.uri)
    assert run.info.status == "FINISHED"
    assert [p.step for p in client.get_metric_history(run.info.run_id, "loss")] == list(range(20)), "once each"


def test_store_that_cannot_be_written(project):
    (project.root / "mlflow.db").write_text("this is no database")
    done = project.run_stage("one")
    assert done.stderr.count("tracking: ") == 1 and len(done.stderr.splitlines()) == 3
    assert "done in" in done.stderr


def test_a_workspace_whose_name_a_uri_reads_otherwise(tmp_path):
    """The database lies in the workspace, and nothing lies beside it."""
    project = create_pipeline(tmp_path / "what? 50%41")
    project.run_stage("one")
    assert "0 running" in project.run_command_line("sync").stdout
    assert (project.root / "mlflow.db").is_file() and list(tmp_path.iterdir()) == [project.root]


def test_a_database_whose_driver_is_missing(project):
    done = project.run_command_line("sync", code=2, MLFLOW_TRACKING_URI="mysql://ann:hunter2@127.0.0.1:9/db")
    assert "the driver of this database is not installed (No module named 'MySQLdb')" in done.stderr
    assert "hunter2" not in done.stderr


def test_ui_prints_the_address_of_the_runs_once_it_answers_and_leaves_no_server(project):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        taken = project.run_command_line("ui", "--port", str(port), code=2)
        assert f"--port {port}: Address already in use" in taken.stderr
    command = [sys.executable, "-m", "stages", "ui", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=project.root, env=ENV, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        address = process.stdout.readline().strip()
        assert address == f"http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning"
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/health").status == 200
    finally:
        process.terminate()
        process.wait(30)

    def is_free():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    until(is_free)


def test_two_first_users_at_once(project):
    """Both would create tables and experiment."""
    project.run_stage("one", ASSAY_TRACKING="off")
    both = [project.start("one"), project.start("two")]
    said = [process.communicate(timeout=600)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0] and "tracking" not in "".join(said), said
    assert sorted(run.info.run_name for run in runs(project.root)[1]) == ["one", "two"]


def test_without_mlflow_and_dvc(project):
    (project.root / "sitecustomize.py").write_text("import sys\nsys.modules['mlflow'] = sys.modules['dvc'] = None\n")
    done = project.run_stage("one", PYTHONPATH=str(project.root))
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["started", "done"]
    assert not (project.root / "mlflow.db").exists()
    assert "fresh" not in project.run_command_line(PYTHONPATH=str(project.root)).stdout
    missing = project.run_command_line("sync", code=2, PYTHONPATH=str(project.root))
    assert "MLflow is not installed" in missing.stderr and "Traceback" not in missing.stderr
