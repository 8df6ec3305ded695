"""The script that measures an accelerator runs, at toy size, on whatever machine there is."""

import json
import subprocess
import sys

import pytest

from tests.helpers import tiny_models


@pytest.mark.slow
def test_every_part_runs(tmp_path):
    rows = [
        {"question": f"What is {i} plus {i + 1}?", "answer": f"It is {2 * i + 1}.\n#### {2 * i + 1}"} for i in range(60)
    ]
    for split, part in (("train", rows[:45]), ("test", rows[45:])):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    process = subprocess.run(
        [sys.executable, "-m", "bench.accelerator", "--toy", "--model", "data/raw/base", "--gsm8k", str(tmp_path)],
        cwd=tiny_models.ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout[-2000:] + process.stderr[-2000:]
    figures = json.loads(process.stdout.splitlines()[-1])
    assert figures["training"]["toy 8"]["tokens_per_s"] > 0 and figures["sampling"]["toy"]["ratio"] > 0
    assert figures["scoring"]["largest difference, padded"] < 1e-4
    assert "failed" not in process.stdout and "pass_at_1" in figures["pipeline"]["best_of_n"]["accuracy"]
