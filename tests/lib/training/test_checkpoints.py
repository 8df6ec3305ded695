"""A checkpoint is whole or not there, whenever the process is killed."""

import time

import pytest
import torch

from stages.lib.training import checkpoints
from tests.helpers import processes

WRITER = """
import sys, torch
from pathlib import Path
from stages.lib.training import checkpoints
for step in range(10**6):
    checkpoints.save(Path(sys.argv[1]), step, {"w": torch.full((300_000,), float(step))}, {"step": step})
"""


def test_newest_is_read_and_older_go(tmp_path):
    assert checkpoints.load_latest(tmp_path) is None
    shared = torch.arange(4.0)
    for step in (0, 9, 10):
        checkpoints.save(tmp_path, step, {"a": shared, "b": shared[1:], "n": torch.tensor(step)}, {"step": step})
    tensors, facts = checkpoints.load_latest(tmp_path)
    assert facts == {"step": 10} and tensors["n"] == 10
    assert torch.equal(tensors["a"], shared) and torch.equal(tensors["b"], shared[1:])
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000010"]


@pytest.mark.slow
def test_killed_while_saving(tmp_path):
    (tmp_path / "writer.py").write_text(WRITER)
    last, output = -1, tmp_path / "output.txt"
    for attempt in range(4):
        writer = processes.start_module("writer", str(tmp_path), cwd=tmp_path, output=output)
        # Kill in the very act: a temporary folder is there.
        deadline = time.monotonic() + 600
        while not (checkpoints.load_latest(tmp_path) and list(tmp_path.glob(f".*{writer.pid}.tmp/*"))):
            assert time.monotonic() < deadline and writer.is_alive(), output.read_text()
        time.sleep(attempt * 0.003)
        writer.kill()
        writer.join()
        tensors, facts = checkpoints.load_latest(tmp_path)
        assert torch.equal(tensors["w"], torch.full((300_000,), float(facts["step"])))
        last = max(last, facts["step"])
    assert last >= 0
