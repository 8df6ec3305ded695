"""Stage preference: pairs of solutions, what may be learned from, and what a training on them has changed."""

import json
import random
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.generators.base.tokenizer import build_tokenizer
from stages.generators.preference import __main__ as preference
from stages.generators.preference import measures, pairs
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.datasets import eval_sets
from stages.lib.inference.sampling import Draw
from stages.lib.models import divergence, loading
from stages.lib.models.batch import collate
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import Prompt
from tests.helpers import tiny_models
from tests.helpers.training_script import make_examples

TOKENIZER = build_tokenizer()
SETTINGS = {
    **tiny_models.TRAINING_PARAMS,
    **{"objective": "dpo", "beta": 0.3, "reference": "soft", "alpha": 0.5, "tau": 2, "pairs_by": "truth"},
    **{"pairs_per_problem": 2, "max_pairs": None, "length_balanced": False, "heldout_problems": 4, "epochs": 6.0},
    **{"eval_problems": 3, "eval_samples": 3, "kl_samples": 2, "verifiers": ["orm"], "lr": 3e-3},
    **{"temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 12, "max_rows": 16},
}
HEADLINE = 15  # figures in metrics.json at most


def make_pool(problem):
    """Two right solutions and two wrong ones, which begin with "so"."""
    return [tiny_models.make_sample(problem, index, 0 if index < 2 else index) for index in range(4)]


def find_file(root, name):
    [parts] = eval_sets.SET_FILES[name]
    return root.joinpath("data", *parts)


def write_inputs(root):
    loading.save(tiny_models.make_model("lfm2", len(TOKENIZER)), TOKENIZER, root / "data/generator/model")
    Prompt().write(root / "data/generator/prompt.json")
    for split, count in (("verifier", 14), ("dev", 4), ("test", 4)):
        problems = [
            tiny_models.make_problem(i, split).model_copy(update={"question": f"{split}: what is {i} and {i}?"})
            for i in range(count)
        ]
        records.write_problems(find_file(root, split), problems)
        pools = [sample for problem in problems for sample in make_pool(problem)]
        records.write_samples(root / f"data/samples/{split}.parquet", pools)
        if split == "test":
            records.write_samples(root / "data/samples/test_greedy.parquet", [x for x in pools if not x.index])
    for name in ("ood/test", "aime/test", "aime/unseen"):
        records.write_problems(root / f"data/{name}.jsonl", [])
    tiny_models.save_outcome_verifier(root / "data/orm/model", TOKENIZER)
    return root


@pytest.mark.slow
def test_it_learns_what_tells_chosen_from_rejected_on_problems_held_out(tmp_path):
    run = tiny_models.make_run(write_inputs(tmp_path), "preference", preference.Params(**SETTINGS))
    metrics = preference.body(run)
    results = json.loads((run.out_dir / "results.json").read_text())
    assert results["pairs"] == pytest.approx(results["pairs"] | {"pairs": 20, "problems": 10, "right": 1.0})
    assert results["held_out"]["pairs"] == 8 and metrics["heldout_accuracy"] == 1.0
    assert results["held_out"]["chosen"] > results["held_out"]["rejected"]
    assert metrics["kl"] > 0 and metrics["steps"] == 18 and metrics["loss"] < 0.6
    assert results["test"]["auc"]["orm"]["start"] is not None and len(metrics) <= HEADLINE
    assert len(results["test"]["curves"]["policy"]["best_of_orm"]) == 3
    for policy, solved in results["test"]["solved"].items():
        assert np.mean([*solved.values()]) == pytest.approx(results["test"]["methods"]["pass_1"][policy])
    text = (run.out_dir / "report.md").read_text()
    assert "A weighted vote weighs a solution by its score itself (power 1)" in text
    assert "20 pairs of 10 problems, judged by truth" in text and "takes 0.5 of the policy every 2 steps" in text
    assert (run.out_dir / "curve.png").stat().st_size > 10_000
    kept, start = (loading.load_causal_lm(x / "model") for x in (run.out_dir, tmp_path / "data/generator"))
    assert not all(p.equal(q) for p, q in zip(kept.parameters(), start.parameters(), strict=True))


@pytest.mark.slow
def test_two_processes_measure_and_train_what_one_does(tmp_path):
    jobs = []
    for name, changes in (("whole", {}), ("adapters", {"lora_rank": 4, "pairs_by": "orm", "reference": "hard"})):
        (tmp_path / name).mkdir()
        root = write_inputs(tmp_path / name)
        jobs.append((root, "preference", {**SETTINGS, "epochs": 1.0, "device_batch_size": 4, **changes}))
    results = [tiny_models.train_on_processes(count, jobs) for count in (1, 2)]
    for (one, weights), (two, others) in zip(*results, strict=True):
        assert tiny_models.has_same_weights(weights, others)
        assert two == tiny_models.approx_nested(one, 2e-3)


def test_nothing_is_learned_from_an_evaluation_problem_its_variant_or_its_question(tmp_path):
    root = write_inputs(tmp_path)
    run = tiny_models.make_run(root, "preference", preference.Params(**SETTINGS))
    file = find_file(root, "verifier")
    clean, [test, *_] = records.read_problems(file), records.read_problems(find_file(root, "test"))
    planted = [
        test,
        test.model_copy(update={"id": f"{test.id}~answers2", "question": "Another?"}),  # known by its id alone
        test.model_copy(update={"id": "sums/verifier/900", "question": f" {test.question}\n"}),
        clean[0].model_copy(update={"id": "sums/verifier/901", "parent": test.id}),
    ]
    for problem in planted:
        records.write_problems(file, [*clean, problem])
        pools = [sample for each in (*clean, problem) for sample in make_pool(each)]
        records.write_samples(root / "data/samples/verifier.parquet", pools)
        with pytest.raises(UserError, match=f"problem {problem.id}: cannot be learned from, .* hold {test.id}"):
            preference.body(run)
    assert not (run.out_dir / "model").exists()


@pytest.mark.slow
def test_without_a_pair_it_says_so_and_the_policy_stays_the_generator(tmp_path, capsys):
    root = write_inputs(tmp_path)
    problems = records.read_problems(find_file(root, "verifier"))
    samples = [tiny_models.make_sample(problem, i, 0) for problem in problems for i in range(2)]
    records.write_samples(root / "data/samples/verifier.parquet", samples)
    run = tiny_models.make_run(root, "preference", preference.Params(**SETTINGS))
    metrics = preference.body(run)
    assert "warning: data/samples/verifier.parquet: no problem has both solutions that truth" in capsys.readouterr().err
    assert (metrics["pairs"], metrics["steps"], metrics["kl"], metrics["heldout_accuracy"]) == (0, 0, 0.0, None)
    one, two = (x / "model/model.safetensors" for x in (run.out_dir, root / "data/generator"))
    assert one.read_bytes() == two.read_bytes()


def test_all_seeds_are_measured_on_the_same_test_problems(tmp_path):
    problems = [tiny_models.make_problem(i, "test") for i in range(20)]
    chosen = preference.select_problems(problems, 5)
    assert chosen == preference.select_problems(problems[::-1], 9)[:5] != problems[:5]


def test_masters_in_half_precision_are_refused():
    with pytest.raises(ValueError, match="master must be float32"):
        preference.Params(**SETTINGS | {"master": "bfloat16"})


def test_a_soft_reference_with_too_many_adapters_is_refused(tmp_path):
    changes = {"lora_rank": 2, "reference": "soft", "alpha": 0.5, "tau": 1, "epochs": 1.0, "global_batch_size": 8}
    run = tiny_models.make_run(tmp_path, "preference", preference.Params(**SETTINGS | changes))
    with pytest.raises(UserError, match="preference.tau: 1 makes 130 updates .* 64 are allowed; raise it to 3, or set"):
        preference.build_objective(run, tiny_models.make_model("qwen2"), 8 * 130)
    few = tiny_models.make_run(tmp_path, "preference", preference.Params(**SETTINGS | changes | {"tau": 65}))
    objective = preference.build_objective(few, tiny_models.make_model("qwen2"), 8 * 130)
    assert len(objective.reference.names) == 2


def make_sample_pool(outcomes, problem_id="p", lengths=None):
    problem = tiny_models.make_problem(1).model_copy(update={"id": problem_id})
    pool = [tiny_models.make_sample(problem, i, 0 if right else i + 1) for i, right in enumerate(outcomes)]
    lengths = lengths or [10 * (i + 1) for i in range(len(pool))]
    return [sample.model_copy(update={"tokens": n}) for sample, n in zip(pool, lengths, strict=True)]


@given(st.lists(st.booleans(), max_size=7), st.integers(1, 6), st.randoms())
@settings(max_examples=40)
def test_a_pair_is_right_and_wrong_and_neither_order_nor_limit_changes_it(outcomes, limit, shuffler):
    pool = make_sample_pool(outcomes)
    values = [float(right) for right in outcomes]
    drawn = pairs.pair_samples(pool, values, limit, 1)
    assert len(drawn) == min(limit, sum(outcomes) * (len(outcomes) - sum(outcomes)))
    assert all(pair.chosen.is_right and not pair.rejected.is_right for pair in drawn)
    assert len({(pair.chosen.index, pair.rejected.index) for pair in drawn}) == len(drawn)
    order = list(range(len(pool)))
    shuffler.shuffle(order)
    assert pairs.pair_samples([pool[i] for i in order], [values[i] for i in order], limit, 1) == drawn
    assert pairs.pair_samples(pool, values, limit + 1, 1)[: len(drawn)] == drawn


def test_equal_solutions_count_once_and_a_verifier_is_believed_from_one_half():
    pool = make_sample_pool([True, False, False])
    copies = [*pool, pool[0].model_copy(update={"index": 3})]
    assert len(pairs.pair_samples(copies, [1.0, 0.0, 0.0, 1.0], 9, 1)) == 2
    believed = pairs.pair_samples(pool, [0.49, 0.5, 0.9], 9, 1)
    assert {(pair.chosen.index, pair.rejected.index) for pair in believed} == {(1, 0), (2, 0)}
    assert pairs.describe_pairs(believed) == pytest.approx(
        {"pairs": 2, "problems": 1, "right": 0, "exchanged": 1, "equal": 0, "length_difference": 15, "chosen_longer": 1}
    )


def test_the_control_has_the_pairs_of_the_truth_and_tosses_which_is_chosen():
    pools = {f"p{i}": make_sample_pool([True, False, True, False], f"p{i}") for i in range(200)}
    truth = measures.make_values(pools, None)
    both = [pairs.make_pairs(pools, truth, list(pools), 2, None, 1, is_random=x) for x in (False, True)]
    assert [{x.chosen.index, x.rejected.index} for x in both[0]] == [
        {x.chosen.index, x.rejected.index} for x in both[1]
    ]
    assert 0.42 < pairs.describe_pairs(both[1])["right"] < 0.58


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=30), st.integers(1, 30))
@settings(max_examples=60)
def test_balanced_pairs_have_as_many_longer_as_shorter_chosen_solutions(lengths, most):
    pools = {f"p{i:02}": make_sample_pool([True, False], f"p{i:02}", each) for i, each in enumerate(lengths)}
    values = measures.make_values(pools, None)
    made = pairs.make_pairs(pools, values, list(pools), 1, most, 1, length_balanced=True)
    signs = [np.sign(pair.chosen.tokens - pair.rejected.tokens) for pair in made]
    assert sum(signs) == 0 and len(made) <= most


def test_variants_of_a_problem_are_on_one_side():
    names = [f"p{i}{variant}" for i in range(30) for variant in ("", "~answers1", "~answers2")]
    learned, held_out = pairs.split_held_out(names, 20, 1)
    assert sorted(learned + held_out) == sorted(names) and 20 <= len(held_out) < 23
    assert not {pairs.get_root(x) for x in learned} & {pairs.get_root(x) for x in held_out}
    shuffled = random.Random(0).sample(names, len(names))
    assert pairs.split_held_out(shuffled, 20, 1) == (learned, held_out)


def test_a_pair_has_the_tokens_that_were_drawn_and_no_end_of_a_step_that_was_not():
    encoder, problem = Encoder(TOKENIZER, Prompt()), tiny_models.make_problem(1)
    whole, cut = tiny_models.make_sample(problem, 0, 0), tiny_models.make_sample(problem, 1, 1)
    for text in ("3 + 4 = 7\n7 + 2", "3 + 4", "3 + 4 = 7\n7 + 2 = 9\n#### "):
        part = cut.model_copy(update={"text": text, "finish": "length", "answer": None})
        pair = pairs.encode_pair(encoder, problem, pairs.SamplePair(problem.id, whole, part))
        start = len(encoder.prompt_ids(problem, shots=True))
        for example in pair:
            assert example.lm_weight == [0.0] * start + [1.0] * (len(example.ids) - start)
        assert encoder.decode_text(pair.rejected.ids[start:]) == text
        assert pair.chosen.ids[-1] == encoder.end_id and encoder.end_id not in pair.rejected.ids[start:]


def test_what_a_calculator_wrote_is_no_choice_and_has_no_divergence():
    draw, nobody = Draw([1, 2, 3], [-0.5, 0.0, -0.1], "stop"), cast("Any", None)
    calculating = Encoder(TOKENIZER, Prompt(calculator=True))
    for encoder, expected in ((Encoder(TOKENIZER, Prompt()), [1.0, 1.0, 1.0]), (calculating, [1.0, 0.0, 1.0])):
        assert measures.Policies(nobody, None, None, encoder).weigh_draw(draw) == expected


def test_a_divergence_is_the_sum_over_the_vocabulary_at_every_place_of_a_draw():
    policy, other = tiny_models.make_model("qwen2"), tiny_models.make_model("qwen2", seed=1)
    examples = make_examples(4)
    values = divergence.sum_divergences(policy, other, collate(examples))
    for example, value in zip(examples, values.tolist(), strict=True):
        p, q = (m(torch.tensor([example.ids])).logits[0, :-1].log_softmax(-1) for m in (policy, other))
        by_place = (p.exp() * (p - q)).sum(-1)
        assert value == pytest.approx((by_place * torch.tensor(example.lm_weight[1:])).sum().item(), rel=1e-4)
    assert (values > 0).all() and divergence.sum_divergences(policy, policy, collate(examples)).eq(0).all()


def test_the_error_of_a_mean_takes_the_values_of_a_problem_together():
    values = [1.0, 0.0, 1.0, 1.0]
    assert measures.estimate_mean(values, list("abcd"))[1] == pytest.approx(np.std(values, ddof=1) / 2)
    doubled = measures.estimate_mean(values * 2, list("abcdabcd"))
    assert doubled[1] == pytest.approx(np.std(values, ddof=1) / 2), "a copy of each value says nothing new"
