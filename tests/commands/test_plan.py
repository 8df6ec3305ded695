"""`python -m stages plan`: what would run, why, how long, what it downloads; and what is left while a stage runs."""

import time

import pytest

from stages.commands import plan
from stages.lib.run.journal import FINISHED, KILLED, RUNNING, Entry
from stages.lib.workspace.forecast import make_forecast
from stages.lib.workspace.staleness import Stage, State
from tests.helpers.toy_pipeline import create_pipeline

HUB = {"repo": "owner/name", "revision": "a" * 40}


def make_entry(tmp_path, **info):
    return Entry(tmp_path, info)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (State("never run"), "has never run"),
        (State("stale", ["orm.lr 1 -> 2", "data/samples/dev.parquet missing"]), "orm.lr 1 -> 2, needs samples"),
        (State("stale", ["data/samples/dev.parquet missing", "data/orm/model missing"]), "its outputs are missing"),
        (State("missing", ["data/orm/model missing; `dvc repro` brings it back"]), "its outputs are missing"),
        (State("stale", ["data/raw/x missing"]), "data/raw/x missing"),
        (
            State("stale", ["a changed", "b changed", "c changed", "d changed"]),
            "a changed, b changed, c changed, and 1 more",
        ),
        (State("waiting", ["for samples"]), "waits for samples; runs if their outputs change"),
    ],
)
def test_the_reason_is_the_change_or_the_stage_before(state, why):
    assert plan.explain(Stage("orm", "", "", [], {}, []), state, ["samples", "orm"]) == why


def test_downloads_are_what_the_parameters_take_from_the_hub(monkeypatch, tmp_path):
    document = {
        "base": {"source": "hub", **HUB},
        "benchmarks": {"source": "hub", "hub": HUB | {"repo": "owner/data"}},
        "scores": {
            "verifiers": ["orm", "qwen"],
            "published": {"qwen": HUB, "unused": HUB, "mine": {"path": "data/raw"}},
        },
        "compression": {"models": {"qwen": HUB, "mine": {"path": "data/raw"}}},
    }
    assert plan.list_downloads(document, "base") == ["owner/name"]
    assert plan.list_downloads(document, "scores") == ["owner/name"]
    assert plan.list_downloads(document, "compression") == ["owner/name"]
    assert plan.list_downloads(document, "benchmarks") == ["owner/data"]
    assert plan.list_downloads(document, "orm") == []
    assert plan.list_downloads({"base": {"source": "bundled", **HUB}}, "base") == []
    (tmp_path / "models--owner--name/snapshots" / HUB["revision"]).mkdir(parents=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert plan.list_downloads(document, "base") == ["owner/name (cached)"]
    assert plan.list_downloads(document, "benchmarks") == ["owner/data"]


def test_time_left_is_that_of_the_newest_finished_runs_without_what_has_passed(tmp_path):
    entries = [
        make_entry(tmp_path, stage="orm", status=FINISHED, seconds=900.0, started=0.0),
        make_entry(tmp_path, stage="orm", status=FINISHED, seconds=100.0, started=1.0),
        make_entry(tmp_path, stage="orm", status=KILLED, seconds=3.0, started=2.0),
        make_entry(tmp_path, stage="prm", status=FINISHED, seconds=50.0, started=3.0),
        make_entry(tmp_path, stage="prm", status=RUNNING, started=time.time() - 20),
        make_entry(tmp_path, stage="new", status=RUNNING, started=time.time() - 20),
    ]
    forecast = make_forecast(entries)
    assert forecast.last == {"orm": 100.0, "prm": 50.0}
    assert 100 < forecast.estimate_left(["orm", "prm", "new", "genrm"]) <= 130
    assert forecast.describe_running("prm").startswith(
        "for 2"
    ) and "left as the last run went" in forecast.describe_running("prm")
    assert "left" not in forecast.describe_running("new")


def test_notes_say_the_sum_and_what_is_not_known():
    assert plan.write_notes(3, 0, 65.0, True)[0] == "3 stages: about 1:05, if they take as long as last time."
    assert "and the time of 2 that never ran here" in plan.write_notes(3, 2, 65.0, True)[0]
    first, second, _ = plan.write_notes(1, 1, 0.0, False)
    assert first == "1 stage; no run is recorded here, so nothing says how long they take." and "dvc pull" in second


@pytest.mark.slow
def test_before_and_after_a_run(tmp_path):
    project = create_pipeline(tmp_path)
    fresh = project.run_command_line("plan").stdout
    assert [line.split() for line in fresh.splitlines()[1:3]] == [
        ["one", "has", "never", "run"],
        ["two", "has", "never", "run"],
    ]
    assert "Nothing is computed here yet" in fresh
    assert "nothing is computed here yet" in project.run_command_line("status").stdout
    for stage in ("one", "two"):
        project.run_stage(stage)
    project.replace_text("params.yaml", "steps: 2", "steps: 3")
    told = project.run_command_line("plan").stdout
    assert "2 stages: about " in told and "no run" not in told


@pytest.mark.slow
def test_plan_is_light(tmp_path):
    project = create_pipeline(tmp_path)
    heavy = "{'torch', 'dvc', 'mlflow', 'datasets'}"
    code = f"import sys; from stages.commands.plan import plan; plan(); print(*{heavy} & set(sys.modules))"
    assert project.run("python", "-c", code).stdout.endswith("there.\n\n")
