"""prm.loss: beta_binomial: what it reads of a label, that one try is bce, and that its checkpoints score like any other."""

import json

import pytest
import torch
from safetensors.torch import load_file

from stages.lib.core import records
from stages.lib.core.records import StepLabel
from stages.lib.models.batch import collate
from stages.lib.verifiers import registry, saving
from stages.lib.verifiers.process import ProcessVerifier, make_example
from stages.verifiers import prm
from tests.helpers import tiny_models
from tests.verifiers.test_prm import ENCODER, SETTINGS, TOKENIZER, right, sample, train, write_inputs


def make_label(step, method, value, rollouts=None, successes=None):
    return StepLabel(
        problem_id="p", index=0, step=step, method=method, value=value, rollouts=rollouts, successes=successes
    )


def make_verifier(loss):
    torch.manual_seed(0)
    model = tiny_models.make_model("lfm2", len(TOKENIZER))
    return ProcessVerifier("prm", model, ENCODER, "scalar", ["Right", "Wrong"], loss=loss)


def test_rollouts_are_tries_and_a_label_without_any_is_one_try():
    """A hard label counts the rollouts up to its first success; the outcome at the last step has none."""
    labels = [
        make_label(0, "mc_hard", 1.0, 3, 1),
        make_label(1, "mc_hard", 0.0, 8, 0),
        make_label(2, "mc_hard", 1.0, 0),
    ]
    assert prm.group_by_sample(labels, "mc_hard", prm.get_success_rate) == {("p", 0): {0: 1 / 3, 1: 0.0, 2: 1.0}}
    assert prm.group_by_sample(labels, "mc_hard", prm.get_tries) == {("p", 0): {0: 3, 1: 8, 2: 1}}
    exact = [make_label(0, "exact", 1.0)]
    assert prm.group_by_sample(exact, "exact", prm.get_tries) == {("p", 0): {0: 1}}
    assert prm.group_by_sample(labels, "mc_hard") == {("p", 0): {0: 1.0, 1: 0.0, 2: 1.0}}, "as bce reads them"


def make_examples(tries):
    verifier, problem = make_verifier("bce"), tiny_models.make_problem(3)
    solutions = [sample(problem, 0), sample(problem, 1, wrong_from=2)]
    return [
        make_example(
            verifier.encode_sample(problem, x), dict(enumerate(right(problem, x))), bool(x.correct), True, True, tries
        )
        for x in solutions
    ]


def test_tries_stand_beside_their_labels():
    (plain, _), (counted, _) = make_examples(None), make_examples({0: 5, 2: 7})
    assert plain.target_tries is None and counted[:4] == plain[:4]
    assert sorted(counted.target_tries, reverse=True)[:3] == [7.0, 5.0, 1.0]
    assert all(counted.target_weight[i] for i, tries in enumerate(counted.target_tries) if tries > 1)
    assert collate([plain]).target_tries is None
    batch = collate([plain, counted])
    assert batch.target_tries[1, : len(counted.ids)].tolist() == counted.target_tries
    assert (batch.target_tries[0] == 1).all() and batch.to(torch.device("cpu")).target_tries is not None


def test_one_try_each_is_the_loss_and_the_gradient_of_bce():
    sums, gradients = {}, {}
    for loss, tries in (("bce", None), ("beta_binomial", {0: 1}), ("beta_binomial", None)):
        verifier = make_verifier(loss)
        losses = verifier.make_objective()(collate(make_examples(tries)))
        sum(losses.values()).backward()
        sums[loss, str(tries)] = torch.stack([losses["lm"], losses["verification"]])
        gradients[loss, str(tries)] = verifier.head.weight.grad
    for key in sums:
        assert torch.allclose(sums[key], sums["bce", "None"], rtol=1e-6)
        assert torch.allclose(gradients[key], gradients["bce", "None"], rtol=1e-5, atol=1e-6)


def write_counts(tmp_path):
    """Steps of right lines succeed in 6 of 8 rollouts, of wrong ones in 1 of 8; the last step has only its outcome."""
    write_inputs(tmp_path)
    for split in ("verifier", "dev"):
        path = tmp_path / f"data/labels/{split}.parquet"
        labels = [x for x in records.read_labels(path) if x.method != "mc_hard"]
        soft = [
            x.model_copy(update={"value": k / 8, "rollouts": 8, "successes": k})
            for x in labels
            if x.method == "mc_soft" and x.step < 3
            for k in [6 if x.value else 1]
        ]
        last = [x for x in labels if x.method == "mc_soft" and x.step == 3]
        records.write_labels(path, [x for x in labels if x.method == "exact"] + soft + last)
    return tmp_path


@pytest.fixture
def root(tmp_path):
    return write_counts(tmp_path)


@pytest.mark.slow
def test_trains_on_counts_and_loads_as_any_other(root, capsys):
    changes = {"epochs": 40.0, "lm_weight": 0.0, "global_batch_size": 14, "device_batch_size": 14}
    metrics, rows = train(root, labels=["mc_soft"], loss="beta_binomial", **changes)
    assert metrics["dev"]["auc"] > 0.9 and float(rows[-1]["verification_loss"]) < float(rows[0]["verification_loss"])
    assert "count no rollouts" not in capsys.readouterr().err
    folder = root / "data/prm/model"
    assert json.loads((folder / "verifier.json").read_text())["loss"] == "beta_binomial"
    concentration = load_file(folder / saving.CONCENTRATION_FILE)
    assert concentration["weight"].abs().sum() > 0, "it has learnt"
    verifier = registry.load(folder)
    for name, weights in concentration.items():
        assert torch.equal(verifier.concentration_head.state_dict()[name], weights)
    problem = records.read_problems(root / "data/benchmarks/dev.jsonl")[0]
    good, bad = verifier.score_steps(problem, [sample(problem, 0), sample(problem, 1, wrong_from=1)])
    assert good[0] == pytest.approx(6 / 8, abs=0.15) and bad[1] == pytest.approx(1 / 8, abs=0.15), "the means"
    verifier.save(root / "again")
    assert (root / "again" / saving.HEAD_FILE).read_bytes() == (folder / saving.HEAD_FILE).read_bytes()


@pytest.mark.slow
def test_labels_without_rollouts_train_the_model_of_bce_and_say_so(root, capsys):
    settings = {"labels": ["exact"], "dedupe": True}
    train(root, **settings)
    plain = load_file(root / "data/prm/model/model.safetensors")
    facts = json.loads((root / "data/prm/model/verifier.json").read_text())
    assert "loss" not in facts and not (root / "data/prm/model" / saving.CONCENTRATION_FILE).exists()
    assert "warning" not in capsys.readouterr().err
    train(root, **settings, loss="beta_binomial")
    assert "exact labels count no rollouts, so beta_binomial is bce" in capsys.readouterr().err
    assert tiny_models.has_same_weights(plain, load_file(root / "data/prm/model/model.safetensors"), atol=1e-4)


def test_only_these_losses():
    with pytest.raises(ValueError, match="loss"):
        prm.Params(**{**SETTINGS, "loss": "mse"})
