"""compare: what differs between the newest runs of a stage."""

import pytest

from stages.commands.compare import build_table, select_metrics
from tests.helpers.toy_pipeline import create_pipeline


def run(lr, mean, **more):
    return {
        "stage": "orm",
        "status": "FINISHED",
        "started": 1.0,
        "seconds": 75.0,
        "peak_memory": {"host": 3 << 30},
        "git": {"commit": "0123456789", "dirty": True},
        "inputs": {"data/raw": "abcdef0123.dir", "x.py": f"{int(lr * 10)}23456789"},
        "params": {"seed": 1, "orm": {"lr": lr, "loss": "mse"}},
        "metrics": {"acc": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}, "n": 3},
        **more,
    }


def test_rows():
    rows = dict(build_table([run(0.1, 0.5), run(0.2, 0.6)]))
    assert rows["orm.lr"] == ["0.1", "0.2"] and "orm.loss" not in rows and "data/raw" not in rows
    assert rows["x.py"] == ["12345678", "22345678"]
    assert rows["acc"] == ["0.5 [0.4, 0.6]", "0.6 [0.5, 0.7]"] and rows["n"] == ["3", "3"]
    assert rows["commit"] == ["01234567+"] * 2 and rows["time"] == ["1:15"] * 2 and rows["memory"] == ["3 GB"] * 2
    assert "orm.loss" in dict(build_table([run(0.1, 0.5), run(0.2, 0.6)], everything=True))


def test_a_run_that_did_not_end_well():
    broken = {"stage": "orm", "status": "KILLED", "started": 2.0, "git": None, "params": {}, "inputs": {}}
    rows = dict(build_table([run(0.1, 0.5), broken]))
    assert rows["status"] == ["finished", "killed"] and rows["acc"] == ["0.5 [0.4, 0.6]", ""]


def test_curves_are_their_last_point():
    curve = {"best": {"1": {"mean": 0.1}, "16": {"mean": 0.3}, "2": {"mean": 0.2}}, "k_star": 4}
    assert select_metrics(curve, False) == {"best.16": {"mean": 0.3}, "k_star": 4}
    assert len(select_metrics(curve, True)) == 4


@pytest.mark.slow
def test_command(tmp_path):
    project = create_pipeline(tmp_path)
    assert "nothing has run yet" in project.run_command_line("compare", "one", code=2).stderr
    for rate in ("1e-3", "2e-3", "3e-3"):
        project.replace_text(
            "params.yaml", "lr: " + {"1e-3": "1e-3", "2e-3": "1e-3", "3e-3": "2e-3"}[rate], f"lr: {rate}"
        )
        project.run_stage("one", ASSAY_TRACKING="off")
    assert "runs are recorded of one" in project.run_command_line("compare", "nope", code=2).stderr
    shown = project.run_command_line("compare", "one", "--last", "2").stdout
    assert "one.lr" in shown and "0.002" in shown and "0.003" in shown and "0.001" not in shown
    assert "dev.pass@1  0.5 [0.4, 0.6]" in shown
