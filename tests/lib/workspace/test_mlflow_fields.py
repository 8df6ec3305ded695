"""What MLflow is told of a journal entry, and what it never is."""

import json
from pathlib import Path

import pytest

from stages.lib.workspace import mlflow_fields, staleness

ROOT = Path(__file__).parents[3]
MAX_METRICS = {"ood": 30, "best_of_n": 32}  # of other stages 15


@pytest.mark.parametrize(
    ("key", "hidden"),
    [
        ("hf_token", True),
        ("x.HF_TOKEN", True),
        ("aws_secret_access_key", True),
        ("db.password", True),
        ("token", True),
        ("max_new_tokens", False),
        ("pad_token", False),
        ("tokens", False),
        ("tokenizer", False),
        ("keys", False),
    ],
)
def test_names_of_secrets(key, hidden):
    assert (mlflow_fields.build_params({"stage": "one", "params": {key: "v"}})[key] == "[redacted]") == hidden


RUN = {"stage": "orm", "params": {"seed": 1, "orm": {"lr": 0.1}}}


def test_parameters_of_stages_have_the_same_names_and_those_of_the_pipeline_do_not():
    assert mlflow_fields.build_params(RUN) == {"seed": "1", "lr": "0.1"}
    default = {"seed": 1, "orm": {"lr": 0.1, "api_key": "none"}}
    assert mlflow_fields.build_pipeline_params(default, {"orm.lr": 0.2}) == {
        "seed": "1",
        "orm.lr": "0.2",
        "orm.api_key": "[redacted]",
    }


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ({}, "orm"),
        ({"preset": "default", "changes": {}, "edits": {"seed": 2}}, "orm"),
        ({"preset": "default", "changes": {"orm.lr": 0.2, "prm.head": "a"}}, 'orm (orm.lr=0.2, prm.head="a")'),
        ({"preset": "default", "changes": {"a": 1, "b": 2, "c": 3}}, "orm (3 changed parameters)"),
        ({"preset": "nano", "changes": {"a": 1, "b": 2, "c": 3}}, "orm (nano)"),
        ({"preset": "nano", "changes": {"a": 1}, "edits": {"api_key": "x"}}, "orm (nano, api_key=[redacted])"),
        ({"experiment": "more-steps", "changes": {"a": 1}}, "orm (more-steps)"),
    ],
)
def test_the_name_of_a_run_tells_the_variant(run, name):
    assert mlflow_fields.build_run_name(RUN | run, "orm") == name


def test_metrics_that_fit_a_pattern():
    tree = {"dev": {"auc": 0.5, "curve": {"1": 0.1}}, "test": {"auc": 0.6, "brier": 0.2}}
    names = [name for name, *_ in mlflow_fields.iter_metrics(tree)]
    assert [name for name in names if mlflow_fields.matches(name, ["*.auc", "dev.curve"])] == [
        "dev/auc",
        "dev/curve",
        "test/auc",
    ]


@pytest.mark.parametrize("stage", staleness.load_stages(ROOT), ids=lambda stage: stage.name)
def test_metrics_of_the_default_preset_are_few(stage):
    """metrics.json of the committed run."""
    metrics = json.loads((ROOT / "data" / stage.name / "metrics.json").read_text(encoding="utf-8"))
    shown = {name for name, *_ in mlflow_fields.iter_metrics(metrics)}
    assert 1 <= len(shown) <= MAX_METRICS.get(stage.name, 15), sorted(shown)
    assert stage.metric is None or stage.metric.replace(".", "/") in shown, "the main one is among them"
    for pattern in stage.pipeline:
        assert any(mlflow_fields.matches(name, [pattern]) for name in shown), f"{stage.name}: nothing fits {pattern}"


def test_no_key_of_a_metrics_file_is_called_error():
    """DVC takes it for its own failure to read the file."""
    for stage in staleness.load_stages(ROOT):
        metrics = json.loads((ROOT / "data" / stage.name / "metrics.json").read_text(encoding="utf-8"))
        assert "error" not in {part for path in mlflow_fields.flatten(metrics) for part in path.split(".")}


def test_public_text():
    assert (
        mlflow_fields.redact_secrets("postgresql://u:p@h:1/x and hf_abcdefghijklmnopqrst")
        == "postgresql://h:1/x and ***"
    )


def test_points():
    tree = {"acc": {"mean": 0.5, "n": 3}, "best": {"1": {"mean": 0.1}, "16": {"mean": 0.2}}, "ok": True, "name": "x"}
    assert list(mlflow_fields.iter_metrics(tree)) == [
        ("acc/mean", None, 0.5),
        ("acc/n", None, 3.0),
        ("best/mean", 1, 0.1),
        ("best/mean", 16, 0.2),
    ]
