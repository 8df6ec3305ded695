"""One loop: the same model from one process or two, whole or accumulated, undisturbed or killed and run again."""

import shutil
import time
from functools import partialmethod

import pytest
import torch
from safetensors.torch import load_file

from stages.lib.core.errors import UserError
from stages.lib.core.records import Score
from stages.lib.models import forward, objectives
from stages.lib.models.batch import collate
from stages.lib.run.execution import StageRun
from stages.lib.training import fsdp, loop
from tests.helpers import processes, tiny_models, training_script


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


@pytest.mark.slow
def test_accumulation_changes_nothing(tmp_path):
    training_script.main(tmp_path / "whole", optimizer="muon")
    training_script.main(tmp_path / "parts", optimizer="muon", device_batch_size=2)
    close(tmp_path / "whole", tmp_path / "parts", 1e-4)


@pytest.mark.slow
def test_variables_of_accelerate_change_nothing(tmp_path, monkeypatch, fresh):
    """A job's environment may hold those of another launch; params.yaml alone says how a model is trained."""
    from accelerate.state import AcceleratorState

    training_script.main(tmp_path / "plain", count=9)
    AcceleratorState._reset_state(reset_partial_state=True)
    for name, value in {
        "GRADIENT_ACCUMULATION_STEPS": "4",
        "MIXED_PRECISION": "bf16",
        "DYNAMO_BACKEND": "EAGER",
    }.items():
        monkeypatch.setenv(f"ACCELERATE_{name}", value)
    training_script.main(tmp_path / "set", count=9)
    assert all(final(tmp_path / "set")[name].equal(p) for name, p in final(tmp_path / "plain").items())


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "atol"), [("adamw", 1e-5), ("muon", 1e-4)])  # muon enlarges what is nearly zero
def test_two_processes_train_what_one_trains(tmp_path, optimizer, atol):
    settings = ["device_batch_size=4", "dropout=0.1", f"optimizer={optimizer}"]
    training_script.main(tmp_path / "one", device_batch_size=4, dropout=0.1, optimizer=optimizer)
    processes.run_module(2, "tests.helpers.training_script", str(tmp_path / "two"), *settings)
    close(tmp_path / "one", tmp_path / "two", atol)
    rows = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("one", "two")]
    assert rows[0][0] == rows[1][0] and len(rows[0]) == len(rows[1])
    for one, two in zip(rows[0][1:], rows[1][1:], strict=True):
        assert [float(x) for x in one.split(",")] == pytest.approx([float(x) for x in two.split(",")], rel=1e-3)


@pytest.mark.slow
def test_killed_and_run_again_gives_the_same_bytes(tmp_path):
    settings = ["optimizer=muon", "checkpoint_steps=1", "dropout=0.1", "epochs=2.5", "device_batch_size=4"]
    processes.run_module(1, "tests.helpers.training_script", str(tmp_path / "calm"), *settings)
    folder, output = tmp_path / "killed", tmp_path / "output.txt"
    checkpoint = folder / ".checkpoints/orm/key"
    for step, middle in ((2, False), (6, True)):  # between two saves, and in the middle of one
        process = processes.start_module("tests.helpers.training_script", str(folder), *settings, output=output)
        deadline = time.monotonic() + 600
        while not any(path.name >= f"step-{step:08}" for path in checkpoint.glob("step-*")) or (
            middle and not list(checkpoint.glob(f".*{process.pid}.tmp"))
        ):
            assert time.monotonic() < deadline and process.is_alive(), output.read_text()
        process.kill()
        process.join()
    assert not (folder / "final.safetensors").exists()
    processes.run_module(1, "tests.helpers.training_script", str(folder), *settings)
    for name in ("final.safetensors", "history.csv"):
        assert (tmp_path / "calm" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lfm2", "qwen2"])
@pytest.mark.parametrize(
    "changes", [{"lora_rank": 4}, {"gradient_checkpointing": True}, {"precision": "bf16"}], ids=str
)
def test_settings_for_large_models_learn_too(tmp_path, name, changes):
    from stages.lib.models import loading

    params = tiny_models.make_training_params(epochs=6.0, lr=1e-2, **changes)
    losses = objectives.VerificationObjective(
        loading.add_lora(tiny_models.make_model(name), params.lora_rank, 1), torch.nn.Linear(32, 1)
    )
    run = tiny_models.make_run(tmp_path, "orm", params)
    rows = loop.train(run, losses, training_script.make_examples(16), params, dropout=0.01).rows
    assert rows[-1]["lm_loss"] < rows[0]["lm_loss"] - 0.1
    assert run.counts["tokens"] == 6 * sum(len(example.ids) for example in training_script.make_examples(16))


@pytest.mark.slow
def test_adapters_without_a_head_learn_by_muon_alone(tmp_path):
    """They are matrices all, so nothing is left for AdamW."""
    from stages.lib.models import loading

    params = tiny_models.make_training_params(epochs=4.0, optimizer="muon", lora_rank=4)
    losses = objectives.LanguageModelingObjective(loading.add_lora(tiny_models.make_model("qwen2"), 4, 1))
    rows = loop.train(
        tiny_models.make_run(tmp_path, "genrm", params), losses, training_script.make_examples(16), params
    ).rows
    assert rows[-1]["lm_loss"] < rows[0]["lm_loss"]


@pytest.mark.slow
def test_gradient_checkpointing_changes_nothing(tmp_path):
    training_script.main(tmp_path / "plain", dropout=0.1)
    training_script.main(tmp_path / "again", dropout=0.1, gradient_checkpointing=True)
    close(tmp_path / "plain", tmp_path / "again", 1e-5)


def test_dropout_touches_training_alone():
    model = tiny_models.make_model("qwen2")
    batch = collate(training_script.make_examples(3))
    before = forward.compute_hidden_states(model, batch)
    hooks = loop._add_residual_dropout(model, 0.5)
    assert torch.equal(forward.compute_hidden_states(model.eval(), batch), before)
    assert not torch.equal(forward.compute_hidden_states(model.train(), batch), before)
    for hook in hooks:
        hook.remove()
    assert torch.equal(forward.compute_hidden_states(model, batch), before)


def test_another_seed_is_another_order():
    def plan(seed):
        run = StageRun("orm", None, seed, tiny_models.ROOT, "key", 0, 1)
        return [
            chosen
            for _, chosen, _ in loop._plan_steps(run, list(range(1, 60)), tiny_models.make_training_params(epochs=1.5))
        ]

    assert plan(1) == plan(1) != plan(2)
    assert len(plan(1)) == 8 + 4


def test_schedule_rises_then_falls_to_nothing():
    rates = [loop._compute_lr_scale(step, 100, 0.1) for step in range(100)]
    assert rates[9] == max(rates) == 1 and rates[0] == pytest.approx(0.1) and 0 < rates[99] < 0.02


def test_batches_that_do_not_fit(tmp_path):
    with pytest.raises(UserError, match="global_batch"):
        training_script.main(tmp_path, device_batch_size=3)


def test_nothing_to_train_on(tmp_path):
    run = tiny_models.make_run(tmp_path, "generator", tiny_models.make_training_params())
    with pytest.raises(UserError, match="no examples"):
        loop.train(run, objectives.LanguageModelingObjective(tiny_models.make_model("llama")), [], run.params)


def test_a_loss_that_explodes_is_told(tmp_path):
    with pytest.raises(UserError, match="orm.lr"):
        training_script.main(tmp_path, lr=1e30, max_grad_norm=1e30)


@pytest.mark.parametrize("name", ["lfm2", "qwen2", "gemma2"])  # tied, untied, with bounded logits
def test_logits_some_at_a_time_are_the_same_loss(name, monkeypatch):
    gradients, places, whole_loss = {}, [], objectives._sum_chunk

    def counted(hidden, *rest):
        places.append(len(hidden))
        return whole_loss(hidden, *rest)

    monkeypatch.setattr(objectives, "_sum_chunk", counted)
    for logits in (2**28, 700):  # 7 places of a vocabulary of 100
        places.clear()
        monkeypatch.setattr(objectives, "MAX_LOGITS", logits)
        losses = objectives.VerificationObjective(tiny_models.make_model(name), torch.nn.Linear(32, 1, bias=False))
        torch.nn.init.ones_(losses.head.weight)
        sums = losses(collate(training_script.make_examples(5))).values()
        (0.5 * sum(sums)).backward()
        gradients[logits] = [*sums, *(p.grad for p in losses.parameters())]
    assert len(places) > 5 and max(places) == 7
    assert sum(places) == sum(sum(e.lm_weight[1:]) for e in training_script.make_examples(5))
    for whole, parts in zip(*gradients.values(), strict=True):
        torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("vocabulary", [150_000, 262_144])
def test_a_large_vocabulary_changes_nothing(vocabulary, monkeypatch):
    """Qwen's and Gemma's sizes, against torch's own loss over all logits at once."""
    torch.manual_seed(0)
    matrix, hidden = torch.randn(vocabulary, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    ids, weight = torch.randint(vocabulary, (20,)), torch.rand(20)
    expected = (torch.nn.functional.cross_entropy(hidden @ matrix.T, ids, reduction="none") * weight).sum()
    of_expected = torch.autograd.grad(expected, [hidden, matrix])
    config = tiny_models.make_model("llama").config
    loss = objectives.ChunkedLoss.apply(hidden, matrix, None, ids, weight, config, 3)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    for found, right in zip(torch.autograd.grad(loss, [hidden, matrix]), of_expected, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-7)


def lora_in_bf16(folder, on_epoch=None):
    """(losses, tensors that were trained) of a model whose weights bfloat16 can hold, as published ones are."""
    from stages.lib.models import loading

    params = tiny_models.make_training_params(precision="bf16", lora_rank=4, lr=1e-2)
    model = tiny_models.make_model("qwen2").bfloat16().float()
    torch.manual_seed(0)
    losses = objectives.VerificationObjective(loading.add_lora(model, 4, 1), torch.nn.Linear(32, 1))
    run = tiny_models.make_run(folder, "orm", params)
    loop.train(run, losses, training_script.make_examples(24), params, on_epoch=on_epoch)
    return losses, {name: p.detach().clone() for name, p in losses.named_parameters() if p.requires_grad}


@pytest.mark.slow
def test_frozen_matrices_are_half_as_large_and_nothing_else_changes(tmp_path, monkeypatch):
    from stages.lib.models import loading

    seen = {}

    def look(epoch, losses):
        assert torch.is_autocast_enabled("cpu"), "measured as it is trained"
        seen.update({name: p.dtype for name, p in losses.named_parameters()})
        return {}

    losses, trained = lora_in_bf16(tmp_path / "half", look)
    half = {name for name, dtype in seen.items() if dtype == torch.bfloat16}
    assert half == {name for name in seen if "base_layer" in name} and len(half) == 4 * 10
    assert {p.dtype for p in losses.parameters()} == {torch.float32}
    monkeypatch.setattr(loop, "_get_frozen_weights", lambda model: [])
    whole, expected = lora_in_bf16(tmp_path / "whole")
    assert trained.keys() == expected.keys() and all(trained[name].equal(expected[name]) for name in trained)
    one, two = (loading.merge_lora(own.model).state_dict() for own in (losses, whole))
    assert all(one[name].equal(two[name]) for name in two), "what is saved is the same to the last bit"


@pytest.mark.slow
def test_a_merged_model_is_float32_while_its_matrices_are_not(tmp_path):
    from stages.lib.models import loading

    merged = {}
    losses, _ = lora_in_bf16(
        tmp_path, lambda epoch, losses: merged.update(loading.merge_lora(losses.model).state_dict()) or {}
    )
    assert {p.dtype for p in merged.values()} == {torch.float32}
    assert all(merged[name].equal(p) for name, p in loading.merge_lora(losses.model).state_dict().items())


def test_dev_scores_are_computed_in_the_precision_of_training(tmp_path):
    from stages.lib.verifiers.base import Verifier
    from stages.lib.verifiers.data import score_dev

    class Asking(Verifier):
        model = tiny_models.make_model("llama")

        def score(self, problem, samples):
            score = float(torch.is_autocast_enabled("cpu"))
            return [Score(problem_id=problem.id, index=0, verifier="asking", score=score)]

    problem = tiny_models.make_problem(1)
    for precision, wanted in (("no", 0.0), ("bf16", 1.0)):
        run = tiny_models.make_run(tmp_path / precision, "orm", tiny_models.make_training_params(precision=precision))
        [scores] = score_dev(run, Asking(), [(problem, [tiny_models.make_sample(problem, 0, 0)])])
        assert [score.score for score in scores] == [wanted]
    assert not torch.is_autocast_enabled("cpu")


def test_a_twin_reads_the_same_weights_and_keeps_ties():
    losses = objectives.VerificationObjective(tiny_models.make_model("lfm2"), torch.nn.Linear(32, 1))
    copied = fsdp.copy_for_sharding(losses)
    for (name, p), (other, own) in zip(losses.named_parameters(), copied.named_parameters(), strict=True):
        assert (
            name == other and p is not own and p.data_ptr() == own.data_ptr() and p.requires_grad == own.requires_grad
        )
    for made in (losses, copied):
        assert made.model.get_output_embeddings().weight is made.model.get_input_embeddings().weight


def test_masters_in_half_precision_learn_and_come_back_in_float32(tmp_path):
    params = tiny_models.make_training_params(epochs=6.0, precision="bf16", master="bfloat16", lr=1e-2)
    losses = objectives.VerificationObjective(tiny_models.make_model("qwen2"), torch.nn.Linear(32, 1))
    rows = loop.train(
        tiny_models.make_run(tmp_path, "orm", params), losses, training_script.make_examples(16), params
    ).rows
    assert rows[-1]["lm_loss"] < rows[0]["lm_loss"] - 0.1
    for p in losses.model.parameters():
        assert p.dtype == torch.float32 and torch.equal(p, p.bfloat16().float())
    assert not torch.equal(losses.head.weight, losses.head.weight.bfloat16().float()), "a head keeps its precision"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on CPUs")
@pytest.mark.parametrize(("name", "layers", "backend"), [("llama", 1, "inductor"), ("lfm2", 4, "aot_eager")])
def test_compiled_layers_train_what_plain_ones_train(tmp_path, monkeypatch, name, layers, backend):
    """By the compiler that users have, for one layer, since each costs it seconds; of all layers the tracing alone."""
    plain, compiler = tiny_models.make_model, torch.nn.Module.compile
    monkeypatch.setattr(tiny_models, "make_model", lambda _: plain(name, num_hidden_layers=layers))
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(compiler, backend=backend))
    for folder, compiled in (("plain", False), ("compiled", True)):
        training_script.main(tmp_path / folder, compile=compiled, device_batch_size=4, count=16)
    close(tmp_path / "plain", tmp_path / "compiled", 1e-4)


def test_a_step_waits_for_the_device_once(tmp_path, monkeypatch):
    params = tiny_models.make_training_params()
    losses = objectives.VerificationObjective(tiny_models.make_model("qwen2"), torch.nn.Linear(32, 1))
    trainer = loop.Trainer(
        tiny_models.make_run(tmp_path, "orm", params), losses, training_script.make_examples(16), params, 0.0
    )
    trainer.step(0, range(8), 1.0)
    with tiny_models.count_waits(monkeypatch) as waits:
        trainer.step(1, range(8), 1.0)
    # AdamW asks for its count of steps, which is on the CPU; transformers, whether a forward pass holds packed sequences.
    assert [name for name in waits if name != "item"] == ["__bool__", "tolist"]


@pytest.mark.slow
def test_sharded_processes_train_masters_in_half_precision_beside_heads_in_float32(tmp_path, monkeypatch):
    settings = ["device_batch_size=4", "precision=bf16", "master=bfloat16", "beta_binomial=true"]
    processes.run_module(2, "tests.helpers.training_script", str(tmp_path / "joined"), *settings)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    processes.run_module(2, "tests.helpers.training_script", str(tmp_path / "sharded"), *settings)
    close(tmp_path / "joined", tmp_path / "sharded", 0.02)  # a few steps of bfloat16
    assert final(tmp_path / "sharded")["concentration_head.weight"].any(), "four tries teach the second head, too"
