"""What every verifier must do, whatever it is made of: `VERIFIERS` names them, the tests are the same for all.

A verifier that cannot learn eight examples by heart through the very path that scores it reads something else than it
was trained on; one whose scores move with the batch, the order or the padding ranks by accident.
"""

import json

import pytest
import torch

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.metrics import ranking
from stages.lib.models.encoding import Encoder, split_steps
from stages.lib.training import loop
from stages.lib.verifiers.outcome import OutcomeVerifier, make_example
from tests.helpers import tiny_models

TOKENIZER = build_tokenizer()
ENCODER = Encoder(TOKENIZER)
VERIFIERS = [(name, level, loss) for level in ("token", "solution") for loss in ("bce", "mse") for name in ("lfm2",)]
VERIFIERS += [("qwen2", "token", "bce")]


def eight():
    """Four problems, a right and a wrong solution of each; some long, one cut off, one empty."""
    results = []
    for i in range(4):
        problem = tiny_models.make_problem(i + 8)
        results.append(
            (problem, [tiny_models.make_sample(problem, i, 0), tiny_models.make_sample(problem, 3 - i, i + 1)])
        )
    results[0][1][1] = results[0][1][1].model_copy(update={"text": "it is", "answer": None, "finish": "length"})
    results[1][1][1] = results[1][1][1].model_copy(update={"text": "", "answer": None})
    return results


def untrained(name, loss="bce", seed=0):
    verifier = OutcomeVerifier("orm", tiny_models.make_model(name, len(TOKENIZER), seed), ENCODER, loss)
    torch.nn.init.normal_(verifier.head.weight)
    return verifier


def scores(verifier, problem, samples):
    return [score.score for score in verifier.score(problem, samples)]


@pytest.mark.slow
@pytest.mark.parametrize("name, level, loss", VERIFIERS)
def test_learns_eight_examples_by_heart(name, level, loss, tmp_path):
    model = tiny_models.make_model(name, len(TOKENIZER))
    verifier, pools = OutcomeVerifier("orm", model, ENCODER, loss), eight()
    examples = [
        make_example(ENCODER, problem, sample, level, lm=bool(sample.correct))
        for problem, pool in pools
        for sample in pool
    ]
    run = tiny_models.make_run(
        tmp_path, "orm", tiny_models.make_training_params(epochs=100.0, device_batch_size=4, checkpoint_steps=99)
    )
    loop.train(run, verifier.make_objective(), examples, run.params)
    verifier.save(tmp_path / "model")
    results = [scores(OutcomeVerifier.load(tmp_path / "model"), problem, pool) for problem, pool in pools]
    correct = [[sample.correct for sample in pool] for _, pool in pools]
    assert ranking.within_problem_auc(results, correct) == 1.0
    flat = [(s, c) for row, truth in zip(results, correct, strict=True) for s, c in zip(row, truth, strict=True)]
    assert all((score > 0.8) == right and not 0.2 < score < 0.8 for score, right in flat), flat


@pytest.mark.parametrize("name", tiny_models.ARCHITECTURES)
def test_one_at_a_time_order_and_neighbours_change_nothing(name):
    verifier, problem = untrained(name), tiny_models.make_problem(3)
    pool = [tiny_models.make_sample(problem, i, i % 3 - 1) for i in range(8)]
    together = scores(verifier, problem, pool)
    assert len({f"{score:.4g}" for score in together}) == 8, "scores that do not differ would prove nothing"
    assert [scores(verifier, problem, [sample])[0] for sample in pool] == pytest.approx(together, abs=5e-6)
    assert scores(verifier, problem, pool[::-1]) == together[::-1]
    longer = tiny_models.make_sample(problem, 60, 0)
    assert scores(verifier, problem, [*pool, longer])[:-1] == pytest.approx(together, abs=5e-6)
    many = [tiny_models.make_sample(problem, i, 0) for i in range(70)]  # more than one forward pass
    assert scores(verifier, problem, many)[:8] == pytest.approx(scores(verifier, problem, many[:8]), abs=5e-6)


@pytest.mark.parametrize("name", tiny_models.ARCHITECTURES)
def test_saved_and_loaded_scores_are_equal(name, tmp_path):
    verifier, problem = untrained(name, "mse"), tiny_models.make_problem(3)
    pool = [tiny_models.make_sample(problem, i, i % 2) for i in range(5)]
    verifier.save(tmp_path / "model")
    assert scores(OutcomeVerifier.load(tmp_path / "model"), problem, pool) == scores(verifier, problem, pool)
    assert json.loads((tmp_path / "model/verifier.json").read_text())["name"] == "orm"


@torch.no_grad()
def test_scores_are_read_where_training_put_them():
    """By hand, from encode() on: the head at the last token of a row computed alone."""
    for finish in ("stop", "length"):
        verifier, problem = untrained("lfm2"), tiny_models.make_problem(3)
        sample = tiny_models.make_sample(problem, 2, 0, finish)
        ids = ENCODER.encode(problem, split_steps(sample.text), finished=finish == "stop").ids
        hidden = verifier.model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
        expected = torch.sigmoid(verifier.head(hidden)).item()
        assert scores(verifier, problem, [sample]) == pytest.approx([expected], abs=5e-6)
        labelled = make_example(ENCODER, problem, sample, "solution", lm=False)
        assert [t for t, w in enumerate(labelled.target_weight) if w] == [len(ids) - 1]


@torch.no_grad()
def test_a_head_that_starts_from_words_says_what_the_model_says():
    """Its logit is that of the one word minus that of the other, so its score is their two-way softmax."""
    verifier, problem = untrained("lfm2"), tiny_models.make_problem(3)
    torch.nn.init.zeros_(verifier.head.bias)
    verifier.init_head_from_tokens("Right", "Wrong")
    sample = tiny_models.make_sample(problem, 2, 0)
    ids = torch.tensor([make_example(ENCODER, problem, sample, "token", lm=False).ids])
    words = [TOKENIZER(word)["input_ids"] for word in ("Right", "Wrong")]
    assert [len(word) for word in words] == [1, 1]
    expected = verifier.model(ids).logits[0, -1, [words[0][0], words[1][0]]].softmax(0)[0].item()
    assert scores(verifier, problem, [sample]) == pytest.approx([expected], abs=5e-6)


def test_labels_stand_on_every_solution_token():
    problem = tiny_models.make_problem(3)
    for sample in (tiny_models.make_sample(problem, 0, 0), tiny_models.make_sample(problem, 0, 1)):
        labelled = make_example(ENCODER, problem, sample, "token", lm=True)
        start = ENCODER.encode(problem, []).prompt_length
        assert labelled.target_weight == labelled.lm_weight == [0.0] * start + [1.0] * (len(labelled.ids) - start)
        assert labelled.ids[-1] == TOKENIZER.eos_token_id and set(labelled.target) == {float(sample.correct)}


def test_cut_off_is_wrong_whatever_it_says():
    problem = tiny_models.make_problem(3)
    assert set(
        make_example(ENCODER, problem, tiny_models.make_sample(problem, 0, 0, "length"), "token", lm=False).target
    ) == {0.0}


def test_an_ungraded_sample_is_refused():
    problem = tiny_models.make_problem(3)
    ungraded = tiny_models.make_sample(problem, 0, 0).model_copy(update={"correct": None})
    with pytest.raises(ValueError, match="not graded"):
        make_example(ENCODER, problem, ungraded, "token", lm=False)


@pytest.mark.slow
def test_nothing_is_cut():
    """The last of 3,000 tokens, far beyond the model's own 512 positions, still moves the score."""
    verifier, problem = untrained("lfm2"), tiny_models.make_problem(3)
    long = tiny_models.make_sample(problem, 0, 0).model_copy(update={"text": "so " * 3000 + "3"})
    other = long.model_copy(update={"text": "so " * 3000 + "4"})
    one, two = scores(verifier, problem, [long, other])
    assert one != two
    assert len(make_example(ENCODER, problem, long, "token", lm=False).ids) > 3000
