"""The process verifier: where its labels stand, what it reads, and that it learns through the path that scores it."""

import csv
import json
import shutil
from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.params import load_section
from stages.lib.core.records import StepLabel
from stages.lib.inference import prefix_forward, tree_forward
from stages.lib.metrics import ranking
from stages.lib.models import forward, heads, loading
from stages.lib.models.encoding import Encoder, split_steps
from stages.lib.models.prompts import Prompt
from stages.lib.training import loop
from stages.lib.verifiers.aggregation import aggregate
from stages.lib.verifiers.process import ProcessVerifier, encode_with_markers, make_example
from stages.verifiers import prm
from tests.helpers import tiny_models

TOKENIZER = build_tokenizer()
ENCODER = Encoder(TOKENIZER)
MARK = TOKENIZER("Right.\n", add_special_tokens=False)["input_ids"]
SETTINGS = tiny_models.TRAINING_PARAMS | YAML(typ="safe").load(
    """{epochs: 1.0, device_batch_size: 4, init_from: generator, labels: [exact], head: scalar, head_init_tokens: [],
    step_marker: "", learn_after_first_error: false, lm_weight: 1.0, dropout: 0.0, samples_per_problem: 4, dedupe: false,
    skip_uniform_problems: false, aggregations: [min, product, last, mean], eval_problems: 99}"""
)


def sample(problem, index, wrong_from=None, finish="stop", lines=3):
    """A solution of so many lines and the answer; lines from `wrong_from` on are off by one."""
    value = int(problem.answer)
    results = [value + (wrong_from is not None and i >= wrong_from) for i in range(lines + 1)]
    text = "".join(f"line {i}: {results[i]}\n" for i in range(lines)) + f"#### {results[lines]}\n"
    return tiny_models.make_sample(problem, index, results[lines] - value, finish).model_copy(update={"text": text})


def right(problem, solution):
    return [float(line.split()[-1] == problem.answer) for line in split_steps(solution.text)]


def make_verifier(name="lfm2", form="scalar", mark="", aggregation="min", seed=0):
    words = ["Right", "Wrong"] if form == "token_logits" else []
    verifier = ProcessVerifier(
        "prm", tiny_models.make_model(name, len(TOKENIZER), seed), ENCODER, form, words, mark, aggregation
    )
    if form == "scalar":
        torch.nn.init.normal_(verifier.head.weight)
    return verifier


def test_labels_stand_on_the_last_token_of_each_step_and_on_the_end():
    problem = tiny_models.make_problem(3)
    solution = sample(problem, 0, wrong_from=2)
    for mark in ([], MARK):
        encoded = encode_with_markers(ENCODER, problem, solution, mark)
        plain = ENCODER.encode(problem, split_steps(solution.text))
        labelled = make_example(
            encoded, dict(enumerate([1.0, 1.0, 0.0, 0.0])), False, learn_after_first_error=True, lm=True
        )
        places = [t for t, w in enumerate(labelled.target_weight) if w]
        assert places == [place + i * len(mark) for i, place in enumerate([*plain.step_ends, len(plain.ids) - 1])]
        assert all(TOKENIZER.decode(encoded.ids[t]) == "\n" for t in places[:-1])
        assert encoded.ids[places[-1]] == TOKENIZER.eos_token_id
        assert [labelled.target[t] for t in places] == [1.0, 1.0, 0.0, 0.0, 0.0]
        written = [i for i, w in zip(encoded.ids, labelled.lm_weight, strict=True) if w]
        assert written == plain.ids[plain.prompt_length :], "marks and prompt are not language to learn"
        if not mark:
            assert encoded.ids == plain.ids


def test_what_follows_the_first_error_counts_only_if_asked_for():
    problem = tiny_models.make_problem(3)
    encoded = encode_with_markers(ENCODER, problem, sample(problem, 0, wrong_from=1), MARK)
    labels = dict(enumerate([1.0, 0.0, 0.0, 0.0]))
    kept = {past: sum(make_example(encoded, labels, False, past, lm=False).target_weight) for past in (False, True)}
    assert kept == {False: 2.0, True: 5.0}
    soft = make_example(encoded, dict(enumerate([0.75, 0.25, 0.5, 0.25])), False, False, lm=False)
    assert [v for v, w in zip(soft.target, soft.target_weight, strict=True) if w] == [0.75, 0.25, 0.5, 0.25, 0.0]


def test_steps_without_a_label_teach_nothing_and_labels_without_a_step_are_refused():
    problem = tiny_models.make_problem(3)
    encoded = encode_with_markers(ENCODER, problem, sample(problem, 0), [])
    some = make_example(encoded, {1: 1.0}, True, False, lm=False)
    assert [t for t, w in enumerate(some.target_weight) if w] == [encoded.step_ends[1], encoded.end_position]
    unknown = make_example(encoded, {1: 1.0}, None, False, lm=False)
    assert [t for t, w in enumerate(unknown.target_weight) if w] == [encoded.step_ends[1]], "nobody knows its outcome"
    with pytest.raises(ValueError, match="label for step 9"):
        make_example(encoded, {9: 1.0}, True, False, lm=False)


def test_a_solution_that_was_cut_off_has_no_end_and_scores_zero_there():
    problem = tiny_models.make_problem(3)
    cut, empty = (
        sample(problem, 0, finish="length"),
        sample(problem, 1, finish="length").model_copy(update={"text": ""}),
    )
    encoded = encode_with_markers(ENCODER, problem, cut, [])
    assert encoded.end_position is None and encoded.ids[-1] != TOKENIZER.eos_token_id
    assert sum(make_example(encoded, {}, True, True, lm=False).target_weight) == 0
    scores = make_verifier().score(problem, [cut, empty])
    assert [len(score.step_scores) for score in scores] == [5, 1]
    assert [score.step_scores[-1] for score in scores] == [score.score for score in scores] == [0.0, 0.0]
    assert min(scores[0].step_scores[:-1]) > 0


@pytest.mark.parametrize("mark", ["", "Right.\n"])
@pytest.mark.parametrize("form", ["scalar", "token_logits"])
@torch.no_grad()
def test_scores_are_read_where_the_labels_stand(form, mark):
    """By hand: every sample alone, prompt and all, no shared prefix; the head or the two words at each place."""
    verifier, problem = make_verifier(form=form, mark=mark), tiny_models.make_problem(3)
    pool = [sample(problem, 0), sample(problem, 1, 2, lines=7), sample(problem, 2, 0, lines=1)]
    for solution, score in zip(pool, verifier.score(problem, pool), strict=True):
        encoded = encode_with_markers(ENCODER, problem, solution, MARK if mark else [])
        output = verifier.model(torch.tensor([encoded.ids]), output_hidden_states=True)
        if form == "scalar":
            expected = torch.sigmoid(verifier.head(output.hidden_states[-1][0]))[:, 0]
        else:
            good, bad = (TOKENIZER(word)["input_ids"][0] for word in ("Right", "Wrong"))
            expected = output.logits[0][:, [good, bad]].softmax(-1)[:, 0]
        places = [*encoded.step_ends, encoded.end_position]
        assert score.step_scores == pytest.approx(expected[places].tolist(), abs=1e-5)
        assert score.score == aggregate("min", score.step_scores)


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny_models.ARCHITECTURES)
@pytest.mark.parametrize("as_tree", [True, False])
def test_neighbours_order_and_the_shared_prompt_change_nothing(name, as_tree, monkeypatch):
    """As a tree of tokens, and row by row as for models whose layers know no tree."""
    verifier, problem = make_verifier(name), tiny_models.make_problem(3)
    assert tree_forward.is_supported(verifier.model)
    monkeypatch.setattr(tree_forward, "is_supported", lambda model: as_tree)
    monkeypatch.setattr(tree_forward, "MAX_TOKENS", 512)  # several passes
    pool = [sample(problem, i, i % 7, lines=1 + i % 12) for i in range(60)]
    assert len({s.text for s in pool}) > prefix_forward.MAX_ROWS, "one forward pass would prove less"
    pool.append(pool[0].model_copy(update={"index": 60}))
    together = verifier.score_steps(problem, pool)
    assert len({round(row[-1], 6) for row in together}) > 10, "scores that do not differ would prove nothing"
    assert verifier.score_steps(problem, pool[::-1]) == together[::-1]
    for solution, row in zip(pool[:12:2], together[:12:2], strict=True):  # the longest come in the last pass
        assert verifier.score_steps(problem, [solution])[0] == pytest.approx(row, abs=1e-5)
        ids = torch.tensor([verifier.encode_sample(problem, solution).ids])
        hidden = forward.get_decoder(verifier.model)(input_ids=ids).last_hidden_state.detach()
        assert verifier.head(hidden)[
            0, verifier.encode_sample(problem, solution).end_position
        ].sigmoid().item() == pytest.approx(row[-1], abs=1e-5)
    assert together[0] == together[60], "equal solutions have equal scores, bit for bit"


def test_continuations_refuse_what_has_no_token_to_be_read_at():
    model = tiny_models.make_model("lfm2")
    for prompt, rows in (([], [[3]]), ([3], [[4], []])):
        with pytest.raises(ValueError, match="at least one token"):
            list(prefix_forward.compute_hidden_states(model, prompt, rows))
    assert list(prefix_forward.compute_hidden_states(model, [3], [])) == []


@given(st.lists(st.integers(1, 400), max_size=8).map(sorted), st.integers(1, 9))
def test_passes_are_the_cheapest_split(lengths, most):
    """Against every way to cut the rows into passes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix_forward, "MAX_ROWS", most)
        results = prefix_forward.plan_batches(lengths)
    n = len(lengths)

    def cost(cuts):
        spans = list(pairwise([0, *cuts, n]))
        if any(end - first > most for first, end in spans):
            return float("inf")
        return sum(
            prefix_forward.PASS_OVERHEAD_TOKENS + (end - first) * lengths[end - 1]
            for first, end in spans
            if end > first
        )

    assert [i for first, end in results for i in range(first, end)] == list(range(n))
    every = (cuts for k in range(n) for cuts in combinations(range(1, n), k))
    assert cost([first for first, _ in results[1:]]) == min(map(cost, every), default=0)


@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(2, 99), min_size=1, max_size=9), min_size=1, max_size=5))
def test_continuations_equal_whole_rows(rows):
    model, prompt = tiny_models.make_model("lfm2"), [5, 6, 7]
    results = {}
    for indices, hidden in prefix_forward.compute_hidden_states(model, prompt, rows):
        results |= {i: hidden[r, : len(rows[i])] for r, i in enumerate(indices)}
    with torch.no_grad():
        for i, row in enumerate(rows):
            whole = forward.get_decoder(model)(input_ids=torch.tensor([prompt + row])).last_hidden_state[0, 3:]
            assert torch.allclose(results[i], whole, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("form, mark", [("scalar", ""), ("token_logits", "Right.\n")])
def test_learns_eight_examples_by_heart(form, mark, tmp_path):
    """Trained, saved, loaded and scored: every step on its side of one half, and the solutions ranked."""
    verifier, pools = make_verifier(form=form, mark=mark, aggregation="product"), []
    for i in range(4):
        problem = tiny_models.make_problem(i + 8)
        pools.append((problem, [sample(problem, 0), sample(problem, 1, i % 4)]))
    examples = [
        make_example(
            verifier.encode_sample(problem, s),
            dict(enumerate(right(problem, s))),
            bool(s.correct),
            False,
            lm=bool(s.correct),
        )
        for problem, pool in pools
        for s in pool
    ]
    settings_ = tiny_models.make_training_params(epochs=80.0, lr=1e-2, checkpoint_steps=999)
    loop.train(
        tiny_models.make_run(tmp_path, "prm", settings_), verifier.make_objective(lm_weight=0.1), examples, settings_
    )
    verifier.save(tmp_path / "model")
    loaded = ProcessVerifier.load(tmp_path / "model")
    results, correct = [], []
    for problem, pool in pools:
        scores = loaded.score(problem, pool)
        for solution, score in zip(pool, scores, strict=True):
            targets = [*right(problem, solution), float(solution.correct)]
            until = targets.index(0.0) + 1 if 0.0 in targets else len(targets)
            pairs = zip(score.step_scores[:until], targets, strict=False)
            assert all(
                (probability > 0.8) == bool(truth) and not 0.2 < probability < 0.8 for probability, truth in pairs
            ), score
        results.append([score.score for score in scores])
        correct.append([bool(s.correct) for s in pool])
    assert ranking.within_problem_auc(results, correct) == 1.0


@pytest.mark.parametrize("form", ["scalar", "token_logits"])
def test_saved_and_loaded_scores_are_equal(form, tmp_path):
    verifier, problem = make_verifier("qwen2", form, "Right.\n", "mean"), tiny_models.make_problem(3)
    pool = [sample(problem, i, i % 3) for i in range(3)]
    verifier.save(tmp_path / "model")
    assert ProcessVerifier.load(tmp_path / "model").score(problem, pool) == verifier.score(problem, pool)
    facts = json.loads((tmp_path / "model/verifier.json").read_text())
    assert facts["kind"] == "process" and facts["aggregation"] == "mean"
    assert (tmp_path / "model/head").exists() == (form == "scalar"), "two words need no weights of their own"


def test_words_that_cannot_be_told_apart_are_refused():
    with pytest.raises(UserError, match="begin with the same token"):
        heads.get_first_tokens(ENCODER, "Right", "Right")


def write_inputs(tmp_path):
    """Samples whose errors a verifier can see by rote, and their labels of three methods."""
    loading.save(tiny_models.make_model("lfm2", len(TOKENIZER)), TOKENIZER, tmp_path / "data/generator/model")
    Prompt().write(tmp_path / "data/generator/prompt.json")
    for split, first, count in (("verifier", 5, 14), ("dev", 5, 5)):
        problems = [tiny_models.make_problem(first + i, split) for i in range(count)]
        records.write_problems(tiny_models.get_problems_path(tmp_path, split), problems)
        pool = [(problem, sample(problem, j, j if j % 2 else None)) for problem in problems for j in range(4)]
        records.write_samples(tmp_path / f"data/samples/{split}.parquet", [s for _, s in pool])
        labels = [
            StepLabel(problem_id=s.problem_id, index=s.index, step=k, method=method, value=value)
            for problem, s in pool
            for k, value in enumerate(right(problem, s))
            for method in ("exact", "mc_soft")
        ]
        half = [x.model_copy(update={"method": "mc_hard"}) for x in labels if x.method == "exact" and x.index < 2]
        records.write_labels(tmp_path / f"data/labels/{split}.parquet", labels + half)
    return tmp_path


@pytest.fixture
def root(tmp_path):
    return write_inputs(tmp_path)


def train(root, **changes):
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)  # one process here trains in several precisions
    run = tiny_models.make_run(root, "prm", prm.Params(**{**SETTINGS, **changes}))
    shutil.rmtree(run.checkpoint_dir, ignore_errors=True)  # or a second training would take up the first one's end
    try:
        metrics = prm.body(run)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)  # for the tests that this worker runs next
    return metrics, list(csv.DictReader((run.out_dir / "history.csv").read_text().splitlines()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "head": "token_logits",
            "head_init_tokens": ["Right", "Wrong"],
            "step_marker": "Right.\n",
            "learn_after_first_error": True,
            "dropout": 0.1,
        },
        {"labels": ["mc_soft"], "lora_rank": 2, "lm_weight": 0.0},
        {
            "precision": "bf16",
            "gradient_checkpointing": True,
            "head": "token_logits",
            "head_init_tokens": ["Yes", "No"],
            "lora_rank": 2,
        },
    ],
    ids=str,
)
def test_trains_and_writes(root, changes):
    metrics, rows = train(root, **changes)
    assert metrics["samples"] == 56 and metrics["labels"] == 56 * 4 and metrics["steps"] == len(rows) == 7
    assert ("lm_loss" in rows[0]) == (changes.get("lm_weight", 1) > 0) and float(rows[0]["verification_loss"]) > 0
    assert set(metrics["dev"]["auc_by_aggregation"]) == {"min", "product", "last", "mean"}
    assert metrics["dev"]["auc"] == max(metrics["dev"]["auc_by_aggregation"].values())
    facts = json.loads((root / "data/prm/model/verifier.json").read_text())
    assert facts["aggregation"] == metrics["aggregation"]
    assert not list((root / "data/prm/model").glob("*adapter*"))


@pytest.mark.slow
def test_learns_what_it_is_shown(root):
    metrics, _ = train(root, epochs=60.0, lm_weight=0.0, global_batch_size=14, device_batch_size=14)
    assert metrics["dev"]["auc"] > 0.95 and metrics["dev"]["step_auc"] > 0.9  # dev repeats problems of the training


@pytest.mark.slow
def test_training_twice_gives_the_same_bytes(root):
    train(root)
    first = (root / "data/prm/model/model.safetensors").read_bytes()
    train(root)
    assert (root / "data/prm/model/model.safetensors").read_bytes() == first
    train(root, learn_after_first_error=True)
    assert (root / "data/prm/model/model.safetensors").read_bytes() != first


@pytest.mark.slow
def test_each_further_method_trains_a_model_of_its_own(root):
    """Two methods at once give the bytes that each alone gives on the same solutions."""
    alone = {}
    for method in ("exact", "mc_soft"):
        train(root, labels=[method])
        alone[method] = (root / "data/prm/model/model.safetensors").read_bytes()
        assert list((root / "data/prm/others").iterdir()) == []
    flip = [
        label.model_copy(update={"value": 1 - label.value}) if label.method == "mc_soft" else label
        for label in records.read_labels(root / "data/labels/verifier.parquet")
    ]
    assert alone["exact"] == alone["mc_soft"], "equal values, equal models"
    records.write_labels(root / "data/labels/verifier.parquet", flip)
    metrics, _ = train(root, labels=["exact", "mc_soft"])
    other = root / "data/prm/others/mc_soft"
    assert (root / "data/prm/model/model.safetensors").read_bytes() == alone["exact"]
    beside = (other / "model/model.safetensors").read_bytes()
    assert beside != alone["exact"]
    assert ProcessVerifier.load(other / "model").name == "prm_mc_soft" and (other / "history.csv").is_file()
    assert metrics["label_method"] == "exact" and set(metrics["others"]) == {"mc_soft"}
    assert metrics["others"]["mc_soft"]["samples"] == metrics["samples"]
    train(root, labels=["mc_soft"])
    assert (root / "data/prm/model/model.safetensors").read_bytes() == beside
    assert not other.exists(), "no model of a method that is no longer named"


@pytest.mark.parametrize("methods", [["pool", "pool"], ["pool", "imported"], []], ids=str)
def test_methods_that_cannot_stand_together_are_refused(methods):
    with pytest.raises(ValueError, match="labels"):
        prm.Params(**{**SETTINGS, "labels": methods})


def test_which_samples(root):
    pool = records.read_samples(root / "data/samples/verifier.parquet")
    labels = prm.group_by_sample(records.read_labels(root / "data/labels/verifier.parquet"), "mc_hard")
    assert {key[1] for key in labels} == {0, 1} and len(labels) == 28
    exact = prm.group_by_sample(records.read_labels(root / "data/labels/verifier.parquet"), "exact")
    for methods in ([labels], [exact, labels]):
        kept = prm.select_samples(pool, methods, prm.Params(**SETTINGS))
        assert {(s.problem_id, s.index) for s in kept} == set(labels), "what has no label of a method is left out"
    once = prm.select_samples(pool, [exact], prm.Params(**{**SETTINGS, "dedupe": True}))
    assert {s.index for s in once} == {0, 1, 3}, "samples 0 and 2 are equal"
    first, last = (next(s for s in pool if (s.problem_id, s.index) == (once[0].problem_id, i)) for i in (0, 2))
    published = {(first.problem_id, 0): {0: 1.0, 1: 1.0}, (first.problem_id, 2): {1: 0.0, 2: 0.3}}
    merged = prm.merge_duplicates([first, last], published)
    assert merged == dict.fromkeys(published, {0: 1.0, 1: 0.5, 2: 0.3}), "no label of an equal solution is lost"
    assert prm.merge_duplicates(pool, exact) == exact
    one = prm.select_samples(pool, [exact], prm.Params(**{**SETTINGS, "samples_per_problem": 1}))
    assert len(one) == 14 and not prm.select_samples(
        one, [exact], prm.Params(**{**SETTINGS, "skip_uniform_problems": True})
    )


def test_a_method_without_labels_is_refused_with_its_name(root):
    with pytest.raises(UserError, match="no step has a label of method 'binary_search'"):
        train(root, labels=["exact", "binary_search"])


def test_one_word_is_not_enough(tmp_path):
    lines = "".join(
        f"  {key}: {json.dumps(value)}\n" for key, value in {**SETTINGS, "head_init_tokens": ["Right"]}.items()
    )
    (tmp_path / "params.yaml").write_text(f"prm:\n{lines}")
    with pytest.raises(UserError, match="head_init_tokens must be two"):
        load_section("prm", prm.Params, tmp_path / "params.yaml")
