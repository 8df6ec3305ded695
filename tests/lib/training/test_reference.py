"""A reference that follows the policy: identities, closed forms, and kills, adapters, processes that change nothing."""

import csv
import math

import pytest
import torch
from safetensors.torch import load_file

from stages.lib.models import loading, reference
from stages.lib.models.preference import collate_pairs, sum_log_probabilities
from stages.lib.training import loop
from tests.helpers import processes, tiny_models, training_script
from tests.helpers.training_script import make_pairs, make_preference


@pytest.fixture(autouse=True)
def fresh():
    """accelerate keeps its settings for the life of a process; a stage has one process to itself."""
    from accelerate.state import AcceleratorState

    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def train(folder, kind, alpha=0.5, tau=2, count=20, name="qwen2", **changes):
    """(objective, rows of the history) of a training on pairs."""
    run = tiny_models.make_run(folder, "preference", tiny_models.make_training_params(lr=1e-2, **changes))
    model = loading.add_lora(tiny_models.make_model(name), run.params.lora_rank, 1)
    objective = make_preference(run, model, count, kind, alpha, tau)
    return objective, loop.train(run, objective, make_pairs(count), run.params).rows


def weights(model):
    return {name: p.detach().clone() for name, p in loading.merge_lora(model).named_parameters()}


def test_a_share_of_nothing_is_a_fixed_reference_to_the_last_bit(tmp_path):
    (fixed, one), (soft, two) = (
        train(tmp_path / "a", "fixed", epochs=2.0),
        train(tmp_path / "b", "soft", 0.0, 1, epochs=2.0),
    )
    assert one == two and len(one) == 6
    assert all(p.equal(q) for p, q in zip(fixed.parameters(), soft.parameters(), strict=True))


def test_a_hard_update_every_step_keeps_the_loss_at_log_2_and_still_moves(tmp_path):
    """So a constant loss with margins of 0 is no sign that nothing is learned."""
    objective, rows = train(tmp_path, "hard", tau=1, epochs=2.0)
    assert [row["preference_loss"] for row in rows] == pytest.approx([math.log(2)] * 6, abs=1e-6)
    assert all(row["margin"] == 0 and row["accuracy"] == 0.5 for row in rows)
    start = tiny_models.make_model("qwen2")
    assert not all(p.equal(q) for p, q in zip(objective.model.parameters(), start.parameters(), strict=True))


def test_the_margin_is_zero_right_after_a_hard_update_and_not_before(tmp_path):
    """Steps 1, 3 and 5 of an update every second step begin at policies that are their reference, the first as well."""
    _, rows = train(tmp_path, "hard", tau=2, epochs=2.0)
    assert [row["margin"] == 0 for row in rows] == [True, False] * 3
    _, rows = train(tmp_path / "fixed", "fixed", epochs=2.0)
    assert [row["margin"] == 0 for row in rows] == [True] + [False] * 5


def follow(model, updates, alpha, tau=1, steps=5, seed=0):
    """(references after every step, merged policies after every step, the start) of a policy that takes random steps."""
    start, own = weights(model), reference.make_reference(model, alpha, tau, updates)
    generator = torch.Generator().manual_seed(seed)
    policies, references = [], []
    for step in range(1, steps + 1):
        with torch.no_grad():
            for p in model.parameters():
                if p.requires_grad:
                    p.add_(0.1 * torch.randn(p.shape, generator=generator))
        own.update(model, step)
        policies.append(weights(model))
        references.append(merge_reference(model, own))
    return own, references, policies, start


def merge_reference(model, own):
    if isinstance(own, reference.FullReference):
        return weights(own.model)
    with reference._use_adapters(model, own.names):
        return weights(model)


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_the_reference_has_its_closed_form_over_merged_weights(rank, alpha):
    """(1 - a)^n start + sum of a (1 - a)^(n - j) policy_j, after every update, with adapters as without."""
    model = loading.add_lora(tiny_models.make_model("qwen2"), rank, 1)
    _, references, policies, start = follow(model, 5, alpha)
    for n in range(1, 6):
        for name, p in references[n - 1].items():
            expected = (1 - alpha) ** n * start[name]
            for j in range(1, n + 1):
                expected = expected + alpha * (1 - alpha) ** (n - j) * policies[j - 1][name]
            torch.testing.assert_close(p, expected, atol=2e-5, rtol=1e-4)


def test_updates_come_after_every_tau_th_step_and_never_before_the_first():
    _, references, policies, start = follow(tiny_models.make_model("qwen2"), 2, 1.0, tau=2)
    name = "model.layers.0.mlp.up_proj.weight"
    expected = [start, policies[1], policies[1], policies[3], policies[3]]
    assert all(one[name].equal(two[name]) for one, two in zip(references, expected, strict=True))


def test_adapters_of_the_reference_leave_the_policy_and_what_is_trained_alone():
    model = loading.add_lora(tiny_models.make_model("qwen2"), 4, 1)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    batch, before = collate_pairs(make_pairs(3)), weights(model)
    own, *_ = follow(model, 3, 0.5, steps=3)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == trained
    value = sum_log_probabilities(model, batch)
    own.compute(model, batch, sum_log_probabilities)
    assert sum_log_probabilities(model, batch).equal(value) and model.active_adapter == "default"
    changed = {name for name, p in weights(model).items() if not p.equal(before[name])}
    assert changed == {name for name in before if ".layers." in name and "proj.weight" in name}


def test_parameters_are_paired_by_name_and_buffers_are_copied():
    """Pairing in the order of registration breaks once a model has been taken apart and put together again."""
    policy = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "b": torch.nn.Linear(2, 2)})
    policy.register_buffer("scale", torch.ones(2))
    own = reference.FullReference(policy, 1.0, 1)
    turned = torch.nn.ModuleDict({"b": policy["b"], "a": policy["a"]})
    turned.register_buffer("scale", torch.full((2,), 3.0))
    with torch.no_grad():
        turned["a"].weight.fill_(7)
    own.update(turned, 1)
    assert own.model["a"].weight.eq(7).all() and own.model["b"].weight.equal(policy["b"].weight)
    assert own.model.scale.eq(3).all()


class Killed(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 4])
def test_a_training_killed_after_any_of_its_20_steps_ends_with_the_same_bytes(tmp_path, monkeypatch, rank):
    """A reference that is not saved would begin at the start again. One training is killed after each of its steps: what
    any kill loses shows at the end."""
    settings = {"checkpoint_steps": 1, "global_batch_size": 2, "device_batch_size": 2, "epochs": 2.0, "lora_rank": rank}
    settings |= {"tau": 3, "alpha": 0.4, "count": 20}
    calm, rows = train(tmp_path / "calm", "soft", **settings)
    assert len(rows) == 20
    step_of, steps = loop.Trainer.step, []
    for last in range(20):

        def kill(trainer, step, *arguments, last=last):
            if step == last:
                raise Killed
            steps.append(step)
            return step_of(trainer, step, *arguments)

        monkeypatch.setattr(loop.Trainer, "step", kill)
        with pytest.raises(Killed):
            train(tmp_path / "killed", "soft", **settings)
    monkeypatch.setattr(loop.Trainer, "step", step_of)
    again, own_rows = train(tmp_path / "killed", "soft", **settings)
    assert steps == list(range(19)), "each process went on where the last one was killed"
    assert own_rows == rows
    for (name, p), q in zip(again.named_parameters(), calm.parameters(), strict=True):
        assert p.equal(q), name


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 4])
def test_processes_with_whole_and_with_sharded_models_train_what_one_trains(tmp_path, monkeypatch, rank):
    settings = {"reference": "soft", "device_batch_size": 4, "lora_rank": rank, "tau": 2, "count": 24}
    training_script.main(tmp_path / "one", **settings)
    arguments = [f"{key}={value}" for key, value in settings.items()]
    processes.run_module(2, "tests.helpers.training_script", str(tmp_path / "joined"), *arguments)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    processes.run_module(2, "tests.helpers.training_script", str(tmp_path / "sharded"), *arguments)
    one = load_file(tmp_path / "one/final.safetensors")
    first = list(csv.DictReader((tmp_path / "one/history.csv").read_text().splitlines()))
    for kind in ("joined", "sharded"):
        for name, p in load_file(tmp_path / kind / "final.safetensors").items():
            torch.testing.assert_close(p, one[name], atol=1e-5, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
        rows = list(csv.DictReader((tmp_path / kind / "history.csv").read_text().splitlines()))
        assert [float(row["margin"]) for row in rows] == pytest.approx([float(x["margin"]) for x in first], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"lora_rank": 4, "precision": "bf16"}, {"gradient_checkpointing": True}], ids=str)
def test_settings_of_large_models_keep_the_reference_in_float32_and_learn(tmp_path, changes):
    objective, rows = train(tmp_path, "soft", 0.01, 1, epochs=6.0, **changes)
    assert rows[-1]["preference_loss"] < 0.5 and rows[-1]["accuracy"] > 0.8
    followers = objective.list_followers()
    assert followers and {p.dtype for p in followers.values()} == {torch.float32}
    rounded = [p for name, p in followers.items() if "lora_A" not in name and not p.equal(p.bfloat16().float())]
    assert rounded, "small updates are kept"
