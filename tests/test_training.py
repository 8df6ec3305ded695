"""One loop: the same model from one process or two, whole or accumulated, undisturbed or killed and run again."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from stages.lib import packing, training
from stages.lib.errors import UserError
from stages.lib.execution import Execution
from tests import tiny, trainee


@pytest.fixture(autouse=True)
def fresh():
    """accelerate keeps its settings for the life of a process; a stage has one process to itself."""
    from accelerate.state import AcceleratorState

    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def final(folder):
    return load_file(folder / "final.safetensors")


def close(a, b, atol):
    for name, p in final(a).items():
        torch.testing.assert_close(p, final(b)[name], atol=atol, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


def test_accumulation_changes_nothing(tmp_path):
    trainee.main(tmp_path / "whole", optimizer="muon")
    trainee.main(tmp_path / "parts", optimizer="muon", device_batch=2)
    close(tmp_path / "whole", tmp_path / "parts", 1e-4)


def test_two_processes_train_what_one_trains(tmp_path):
    trainee.main(tmp_path / "one", device_batch=4, dropout=0.1)
    tiny.processes(2, "-m", "tests.trainee", str(tmp_path / "two"), "device_batch=4", "dropout=0.1")
    close(tmp_path / "one", tmp_path / "two", 1e-5)
    rows = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("one", "two")]
    assert rows[0][0] == rows[1][0] and len(rows[0]) == len(rows[1])
    for one, two in zip(rows[0][1:], rows[1][1:], strict=True):
        assert [float(x) for x in one.split(",")] == pytest.approx([float(x) for x in two.split(",")], rel=1e-3)


def test_killed_and_run_again_gives_the_same_bytes(tmp_path):
    settings = ["optimizer=muon", "checkpoint_steps=1", "dropout=0.1", "epochs=2.5", "device_batch=4"]
    tiny.processes(1, "-m", "tests.trainee", str(tmp_path / "calm"), *settings)
    folder, checkpoint = tmp_path / "killed", tmp_path / "killed/.checkpoints/orm/key"
    for step, middle in ((2, False), (6, True)):  # between two saves, and in the middle of one
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.trainee", str(folder), *settings], cwd=tiny.ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not any(path.name >= f"step-{step:08}" for path in checkpoint.glob("step-*")) or (
            middle and not list(checkpoint.glob(f".*{process.pid}.tmp"))
        ):
            assert time.monotonic() < deadline and process.poll() is None, "ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (folder / "final.safetensors").exists()
    tiny.processes(1, "-m", "tests.trainee", str(folder), *settings)
    for name in ("final.safetensors", "history.csv"):
        assert (tmp_path / "calm" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("name", ["lfm2", "qwen2"])
@pytest.mark.parametrize(
    "changes", [{"lora_rank": 4}, {"gradient_checkpointing": True}, {"precision": "bf16"}], ids=str
)
def test_settings_for_large_models_learn_too(tmp_path, name, changes):
    from stages.lib import models

    params = tiny.optimisation(epochs=6.0, lr=1e-2, **changes)
    losses = training.Losses(models.adapted(tiny.model(name), params.lora_rank, 1), torch.nn.Linear(32, 1))
    run = tiny.execution(tmp_path, "orm", params)
    rows = training.train(run, losses, trainee.examples(16), params, dropout=0.01).rows
    assert rows[-1]["lm_loss"] < rows[0]["lm_loss"] - 0.1
    assert run.counts["tokens"] == 6 * sum(len(example.ids) for example in trainee.examples(16))


def test_gradient_checkpointing_changes_nothing(tmp_path):
    trainee.main(tmp_path / "plain", dropout=0.1)
    trainee.main(tmp_path / "again", dropout=0.1, gradient_checkpointing=True)
    close(tmp_path / "plain", tmp_path / "again", 1e-5)


def test_dropout_touches_training_alone():
    model = tiny.model("qwen2")
    batch = packing.collate(trainee.examples(3))
    before = training.hidden_states(model, batch)
    hooks = training._residual_dropout(model, 0.5)
    assert torch.equal(training.hidden_states(model.eval(), batch), before)
    assert not torch.equal(training.hidden_states(model.train(), batch), before)
    for hook in hooks:
        hook.remove()
    assert torch.equal(training.hidden_states(model, batch), before)


def test_another_seed_is_another_order():
    def plan(seed):
        run = Execution("orm", None, seed, tiny.ROOT, "key", 0, 1)
        return [chosen for _, chosen, _ in training._plan(run, list(range(1, 60)), tiny.optimisation(epochs=1.5))]

    assert plan(1) == plan(1) != plan(2)
    assert len(plan(1)) == 8 + 4


def test_schedule_rises_then_falls_to_nothing():
    rates = [training._schedule(step, 100, 0.1) for step in range(100)]
    assert rates[9] == max(rates) == 1 and rates[0] == pytest.approx(0.1) and 0 < rates[99] < 0.02


def test_batches_that_do_not_fit(tmp_path):
    with pytest.raises(UserError, match="global_batch"):
        trainee.main(tmp_path, device_batch=3)


def test_nothing_to_train_on(tmp_path):
    run = tiny.execution(tmp_path, "generator", tiny.optimisation())
    with pytest.raises(UserError, match="no examples"):
        training.train(run, training.Losses(tiny.model("llama")), [], run.params)


def test_a_loss_that_explodes_is_told(tmp_path):
    with pytest.raises(UserError, match="orm.lr"):
        trainee.main(tmp_path, lr=1e30, clip=1e30)
