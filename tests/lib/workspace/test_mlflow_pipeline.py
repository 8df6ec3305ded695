"""One run of MLflow for each `dvc repro` or experiment above those of its stages, and the models that they made."""

import os
import re
from pathlib import Path

import pytest

from stages.lib.workspace import mlflow_models, mlflow_store
from tests.helpers.toy_pipeline import create_pipeline

pytestmark = pytest.mark.slow

pytest.importorskip("mlflow")
GIT = ("git", "-c", "user.email=a@b.c", "-c", "user.name=n")


def commit(project):
    project.run("git", "add", "-A")
    project.run(*GIT, "commit", "-qm", "x")
    return project.run("git", "rev-parse", "HEAD").stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two stages after `dvc repro`, a commit of dvc.lock, `sync`, and an experiment with another first stage."""
    project = create_pipeline(tmp_path_factory.mktemp("pipeline") / "repository")
    project.run("git", "init", "-q", "-b", "main")
    project.run("dvc", "init", "-q")
    project.run("git", "remote", "add", "origin", f"https://me:s3cret@127.0.0.1{project.root}")
    project.before = commit(project)
    project.run("dvc", "repro", "-q")
    project.after = commit(project)
    project.said = project.run_command_line("sync").stdout
    env = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    project.run("dvc", "exp", "run", "-q", "-n", "faster", "-S", "one.lr=0.5", **env)
    return project


@pytest.fixture(scope="module")
def store(project):
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    return mlflow_store.connect(project.root)


def find(store, name):
    (run,) = store.client.search_runs([store.experiment], f"attributes.run_name = '{name}'")
    return run


def test_stages_stand_below_the_run_of_their_repro_or_experiment(store, project):
    runs = store.client.search_runs([store.experiment], order_by=["attributes.start_time"])
    above = {run.info.run_id: run.info.run_name for run in runs if "mlflow.parentRunId" not in run.data.tags}
    below = [run for run in runs if run.info.run_id not in above]
    assert [(run.info.run_name, above[run.data.tags["mlflow.parentRunId"]]) for run in below] == [
        ("one", f"pipeline {project.before[:7]}"),
        ("two", f"pipeline {project.before[:7]}"),
        ("one (faster)", "pipeline (faster)"),
        ("two (faster)", "pipeline (faster)"),
    ]


def test_the_run_above_holds_parameters_main_metrics_and_the_end_of_all(store, project):
    name = f"pipeline {project.before[:7]}"
    run, last = find(store, name), find(store, "two")
    assert run.info.status == "FINISHED" and run.info.end_time == last.info.end_time
    assert run.data.params["one.lr"] == "0.001" and run.data.params["two.lr"] == "0.1"
    assert run.data.metrics == {"curve": 0.2}, "what meta.pipeline names; one's main metric is no number"
    assert [point.step for point in store.client.get_metric_history(run.info.run_id, "curve")] == [1, 2]
    faster = find(store, "pipeline (faster)").data
    assert faster.params["one.lr"] == "0.5" and "dvc exp apply faster" in faster.tags["mlflow.note.content"]


def test_where_it_came_from(store, project):
    tags = find(store, "two").data.tags
    assert tags["git_commit"] == project.before and tags["git_dirty"] == "False", "dvc.lock does not count"
    assert tags["repository"] == tags["mlflow.source.git.repoURL"] == f"https://127.0.0.1{project.root}"
    assert tags["mlflow.source.git.branch"] == "main" and tags["mlflow.user"]
    assert "Changed since the commit: `one.lr=0.5`" in find(store, "one (faster)").data.tags["mlflow.note.content"]


def test_a_model_has_a_version_for_each_md5_and_the_alias_is_on_the_committed_one(store, project):
    versions = {version.version: version for version in store.client.search_model_versions("name = 'assay-one'")}
    assert sorted(map(int, versions)) == [1, 2], "the stage ran twice"
    committed = store.client.get_model_version_by_alias("assay-one", mlflow_models.ALIAS)
    assert int(committed.version) == 1 and committed.tags["git_commit"] == project.after
    assert committed.tags["md5"] in (project.root / "dvc.lock").read_text() or committed.tags["md5"].endswith(".dir")
    assert committed.run_id == find(store, "one").info.run_id


def test_the_command_in_the_description_downloads_the_model(store, project, tmp_path):
    note = store.client.get_model_version_by_alias("assay-one", mlflow_models.ALIAS).description
    command = re.search(r"^    (dvc get .+)$", note, re.MULTILINE).group(1).split()
    assert command[-1] == project.after
    command[2] = str(project.root)  # nothing answers at the address of origin
    project.run(*command, "-o", str(tmp_path / "model"))
    assert (tmp_path / "model/a.txt").read_text() == "0.001"


def test_small_models_are_copied_with_their_signature(store):
    from mlflow.models import ModelSignature
    from ruamel.yaml import YAML

    folder = store.client.download_artifacts(find(store, "one").info.run_id, "model")
    signature = ModelSignature.from_dict(YAML(typ="safe").load(Path(folder, "MLmodel"))["signature"])
    assert Path(folder, "a.txt").read_text() == "0.001"
    assert signature.inputs.input_names() == ["problem", "steps"] and signature.outputs.input_names() == ["score"]


def test_sync_prints_its_own_lines_only(project):
    counts = "0 added, 0 completed, 2 present, 0 running"
    assert project.said.splitlines() == [f"MLflow at sqlite:///{project.root}/mlflow.db: {counts}"]


def test_files_of_the_newest_finished_execution_are_copied_though_a_later_one_failed(tmp_path):
    project = create_pipeline(tmp_path / "repository")
    project.run_stage("one", ASSAY_TRACKING="off")
    project.replace_text("params.yaml", "fail: false", "fail: true")
    project.run_stage("one", code=1, ASSAY_TRACKING="off")
    project.run_command_line("sync")
    store = mlflow_store.connect(project.root)
    good, bad = store.client.search_runs([store.experiment], order_by=["attributes.start_time"])
    assert (good.info.status, bad.info.status) == ("FINISHED", "FAILED")
    assert "assay.artifacts" in good.data.tags and "assay.artifacts" not in bad.data.tags
    assert store.client.search_model_versions("name = 'assay-one'")[0].run_id == good.info.run_id


def test_the_experiment_opens_as_model_training_and_says_what_it_holds(store):
    tags = store.client.get_experiment(store.experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development" and "pipeline" in tags["mlflow.note.content"]
