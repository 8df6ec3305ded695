"""What happens around a stage's body: several processes, and the figures that it returns."""

import json

import pytest

from tests.helpers import processes, toy_pipeline

SLOW_RANK = """distributed.init_processes(run)
    part = run.checkpoint_dir / "part"
    if run.is_main:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("work of the main process")
    distributed.init_processes(run).wait_for_everyone()
    if not run.is_main:
        time.sleep(2)
        (run.root / "read.txt").write_text(part.read_text())
        return {}"""


@pytest.mark.slow
def test_checkpoints_stay_until_the_slowest_process_has_read_them(tmp_path):
    toy = toy_pipeline.create_pipeline(tmp_path)
    toy.replace_text(
        "stages/problems/one.py",
        "from stages.lib.run import execution",
        "from stages.lib.run import distributed, execution",
    )
    toy.replace_text("stages/problems/one.py", "def body(run):\n    ", f"def body(run):\n    {SLOW_RANK}")
    processes.run_module(2, "stages.problems.one", cwd=tmp_path)
    assert (tmp_path / "read.txt").read_text() == "work of the main process"
    assert not list((tmp_path / ".checkpoints").rglob("part")), "the main process removes them in the end"


@pytest.mark.slow
def test_figures_of_the_headline_are_metrics_and_all_are_results(tmp_path):
    toy = toy_pipeline.create_pipeline(tmp_path)
    toy.replace_text("stages/problems/one.py", "Params, body)", 'Params, body, ["dev.*.mean"])')
    toy.run_stage("one", ASSAY_TRACKING="off")
    metrics, results = (json.loads((tmp_path / f"data/one/{x}.json").read_text()) for x in ("metrics", "results"))
    assert metrics == {"dev": {"pass@1": {"mean": 0.5}}} == toy.read_journal()[0]["metrics"]
    assert set(results) == {"dev", "curve"} and set(results["dev"]["pass@1"]) == {"mean", "low", "high"}
