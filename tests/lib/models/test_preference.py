"""The loss of pairs: equal to TRL's, to closed forms and to finite differences, whatever the batch."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.models import objectives, preference
from stages.lib.models.batch import Example
from stages.lib.models.preference import Pair, PreferenceObjective, collate_pairs, sum_log_probabilities
from stages.lib.models.reference import FullReference
from tests.helpers import tiny_models
from tests.helpers.training_script import make_pairs


def make_objective(loss="dpo", beta=0.3, name="qwen2", alpha=1.0, tau=0):
    """A policy that is not its reference."""
    model = tiny_models.make_model(name)
    reference = FullReference(tiny_models.make_model(name, seed=1), alpha, tau)
    return PreferenceObjective(model, reference, loss, beta)


def compute_h(objective, pairs):
    batch = collate_pairs(pairs)
    log_ratios = sum_log_probabilities(objective.model, batch) - sum_log_probabilities(objective.reference.model, batch)
    return preference.compare(log_ratios, batch, objective.loss == "ipo")


def sum_by_hand(model, example):
    """Token after token, from the logits of the whole model."""
    logprobs = model(torch.tensor([example.ids])).logits[0].log_softmax(-1)
    return sum(logprobs[t - 1, example.ids[t]].item() for t in range(1, len(example.ids)) if example.lm_weight[t])


@pytest.mark.parametrize("name", ["lfm2", "qwen2", "gemma2"])
def test_log_probabilities_are_those_of_the_solution_alone_in_any_batch(name):
    pairs = make_pairs(5)
    model = tiny_models.make_model(name)
    together = sum_log_probabilities(model, collate_pairs(pairs)).tolist()
    examples = [*(pair.chosen for pair in pairs), *(pair.rejected for pair in pairs)]
    assert together == pytest.approx([sum_by_hand(model, example) for example in examples], abs=1e-3)
    alone = [sum_log_probabilities(model, collate_pairs([pair])).tolist() for pair in pairs]
    assert together == pytest.approx([*(x for x, _ in alone), *(x for _, x in alone)], abs=1e-4)


def test_a_large_vocabulary_goes_in_chunks_and_nothing_changes(monkeypatch):
    pairs, found = make_pairs(4), {}
    for most in (2**28, 700):  # 7 positions of a vocabulary of 100
        monkeypatch.setattr(objectives, "MAX_LOGITS", most)
        objective = make_objective()
        objective(collate_pairs(pairs))["preference"].backward()
        found[most] = [p.grad for p in objective.model.parameters()]
    for whole, parts in zip(*found.values(), strict=True):
        torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("loss", ["dpo", "ipo"])
def test_chosen_and_rejected_exchanged_turn_the_sign(loss):
    objective, pairs = make_objective(loss), make_pairs(6)
    turned = [Pair(pair.rejected, pair.chosen) for pair in pairs]
    torch.testing.assert_close(compute_h(objective, turned), -compute_h(objective, pairs))
    one, two = (objective(collate_pairs(x)) for x in (pairs, turned))
    assert one["margin"].item() == pytest.approx(-two["margin"].item(), abs=1e-4)
    assert one["accuracy"].item() + two["accuracy"].item() == len(pairs)


@given(st.floats(-30, 30), st.floats(0.01, 2))
def test_losses_have_their_closed_forms(h, beta):
    value = torch.tensor([h], dtype=torch.float64)
    assert preference.compute_losses(value, "dpo", beta).item() == pytest.approx(math.log1p(math.exp(-beta * h)))
    assert preference.compute_losses(value, "ipo", beta).item() == pytest.approx((h - 0.5 / beta) ** 2)


# Losses of the two pairs below, once by TRL's form in float64, without code of this project. With the log-probability of a
# token as logps, sums over a solution for sigmoid and means over its tokens for ipo:
#     logits = (chosen_logps - rejected_logps) - (ref_chosen_logps - ref_rejected_logps)
#     sigmoid: -log(1 / (1 + exp(-beta * logits)))    ipo: (logits - 1 / (2 * beta)) ** 2
TOKEN_LOGPROBS = {  # policy and reference, of the tokens of a chosen solution or a rejected one
    "chosen": ([[-0.5, -1.25, -0.1], [-2.0, -0.75]], [[-0.9, -1.0, -0.3], [-1.5, -0.5]]),
    "rejected": ([[-1.1, -0.2], [-0.4, -0.6, -0.8, -3.0]], [[-1.0, -0.4], [-0.7, -0.9, -1.0, -1.0]]),
}
GOLDEN = {"dpo": [0.656350140827, 0.627923577708], "ipo": [2.56, 3.033402777778]}


@pytest.mark.parametrize("loss", ["dpo", "ipo"])
def test_losses_are_the_numbers_of_the_published_formula(loss):
    pairs, ratios = [], []
    for i in range(2):
        lengths = [len(TOKEN_LOGPROBS[side][0][i]) for side in ("chosen", "rejected")]
        pairs.append(Pair(*(Example([1, 2] + [3] * n, [0.0, 0.0] + [1.0] * n) for n in lengths)))
    for own, reference in TOKEN_LOGPROBS.values():
        ratios += [sum(a) - sum(b) for a, b in zip(own, reference, strict=True)]
    h = preference.compare(torch.tensor(ratios, dtype=torch.float64), collate_pairs(pairs), loss == "ipo")
    found = preference.compute_losses(h, loss, 0.3).tolist()
    assert found == pytest.approx(GOLDEN[loss], rel=1e-6, abs=1e-6)


def test_at_a_margin_of_zero_the_gradient_is_half_beta_times_that_of_the_log_probabilities():
    """By finite differences; the loss itself is log 2. (Norms compute in float32, so the steps are large.)"""
    beta, pairs = 0.3, make_pairs(3)
    model = tiny_models.make_model("qwen2").double()
    objective = PreferenceObjective(model, FullReference(model, 1.0, 0), "dpo", beta)
    batch = collate_pairs(pairs)
    losses = objective(batch)
    assert losses["preference"].item() == pytest.approx(3 * math.log(2), abs=1e-5)
    assert losses["accuracy"].item() == 1.5 and losses["margin"].item() == 0
    losses["preference"].backward()
    weight = model.model.layers[1].mlp.up_proj.weight

    def difference():
        with torch.no_grad():
            chosen, rejected = sum_log_probabilities_double(model, batch).chunk(2)
            return (chosen - rejected).sum().item()

    for row, column in ((0, 0), (3, 7), (20, 31)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[row, column] += sign * 3e-3
                values.append(difference())
                weight[row, column] -= sign * 3e-3
        slope = (values[0] - values[1]) / 6e-3
        assert weight.grad[row, column].item() == pytest.approx(-beta / 2 * slope, rel=1e-2, abs=1e-5)


def sum_log_probabilities_double(model, batch):
    """Without the rounding of logits to float32."""
    logprobs = model(batch.ids).logits.log_softmax(-1)[:, :-1]
    own = logprobs.gather(2, batch.ids[:, 1:, None])[..., 0]
    return (own * batch.lm_weight[:, 1:]).sum(1)


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "theirs"), [("dpo", "sigmoid"), ("ipo", "ipo")])
def test_the_loss_is_that_of_trl(ours, theirs, tmp_path):
    """The trainer of TRL on the same token ids, policy and reference."""
    trl = pytest.importorskip("trl", reason="pip install trl==1.16.0, the extra trl")
    from datasets import Dataset

    from stages.generators.base.tokenizer import build_tokenizer

    pairs, beta = make_pairs(6), 0.3
    objective = make_objective(ours, beta)
    rows = [
        {
            "prompt_ids": pair.chosen.ids[:2],
            "chosen_ids": pair.chosen.ids[2:],
            "rejected_ids": pair.rejected.ids[2:],
        }
        for pair in pairs
    ]
    settings = trl.DPOConfig(
        tmp_path,
        beta=beta,
        loss_type=[theirs],
        use_cpu=True,
        report_to=[],
        bf16=False,
        gradient_checkpointing=False,
        remove_unused_columns=False,
    )
    trainer = trl.DPOTrainer(
        model=objective.model,
        ref_model=objective.reference.model,
        args=settings,
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),  # it wants texts
        processing_class=build_tokenizer(),
    )
    batch = trainer.data_collator(rows)
    theirs_loss = trainer.compute_loss(objective.model, batch)
    ours_loss = objective(collate_pairs(pairs))["preference"] / len(pairs)
    assert ours_loss.item() == pytest.approx(theirs_loss.item(), rel=1e-6, abs=1e-6)
    [one] = torch.autograd.grad(ours_loss, [objective.model.model.layers[0].mlp.up_proj.weight])
    [two] = torch.autograd.grad(theirs_loss, [objective.model.model.layers[0].mlp.up_proj.weight])
    torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-4)
