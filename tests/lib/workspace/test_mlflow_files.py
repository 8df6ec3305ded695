"""Which files of a stage go along with its MLflow run, and where they may be sent."""

import json

import pytest

from stages.lib.run import journal
from stages.lib.workspace import mlflow_files


@pytest.fixture
def entry(tmp_path):
    folder = tmp_path / "data/orm"
    (folder / "model").mkdir(parents=True)
    for name, text in {
        "metrics.json": json.dumps({"auc": 0.5}),
        "curve.png": "x",
        "table.md": "x",
        "empty.csv": "",
        "pool.parquet": "x",
        "model/config.json": "{}",
    }.items():
        (folder / name).write_text(text)
    (folder / "large.json").write_bytes(b" " * (mlflow_files.MAX_BYTES[".json"] + 1))
    return journal.Entry(tmp_path / "e", {"stage": "orm", "status": journal.FINISHED, "metrics": {"auc": 0.5}})


def test_small_files_that_a_person_reads(entry, tmp_path):
    assert [path.name for path in mlflow_files.select_uploads(tmp_path, entry)] == [
        "curve.png",
        "metrics.json",
        "table.md",
    ]


@pytest.mark.parametrize("change", [{"status": journal.FAILED}, {"metrics": {"auc": 0.6}}])
def test_nothing_of_another_execution(entry, tmp_path, change):
    entry.info |= change
    assert mlflow_files.select_uploads(tmp_path, entry) == []
    (tmp_path / "data/orm/metrics.json").unlink()
    assert mlflow_files.select_uploads(tmp_path, entry) == []


def test_files_are_not_sent_to_a_path_of_another_machine_or_repository(tmp_path):
    own = f"sqlite:///{tmp_path / 'mlflow.db'}"
    inside = (tmp_path / "mlartifacts/a b").as_uri()
    assert mlflow_files.can_upload(tmp_path, own, inside)
    assert not mlflow_files.can_upload(tmp_path, own, "file:///elsewhere/mlartifacts/1")
    assert mlflow_files.can_upload(tmp_path, "sqlite:////team/mlflow.db", "/team/mlruns/1")
    assert mlflow_files.can_upload(tmp_path, "http://server:5000", "mlflow-artifacts:/1/run/artifacts")
    assert not mlflow_files.can_upload(tmp_path, "http://server:5000", "/srv/mlruns/1")
