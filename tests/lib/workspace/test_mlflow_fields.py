"""What MLflow is told of a journal entry, and what it never is."""

import pytest

from stages.lib.workspace import mlflow_fields


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
    assert (mlflow_fields.build_params({"params": {key: "v"}})[key] == "[redacted]") == hidden


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
