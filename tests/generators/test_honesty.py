"""Stage honesty: what is known, what may be learned, how refusals are read, and what selective answering is worth."""

import itertools
import json
import math
import shutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.generators.base.tokenizer import build_tokenizer
from stages.generators.honesty import __main__ as honesty
from stages.generators.honesty import agent, items, knowledge, policies, refusals, replies, report, selective, teaching
from stages.generators.honesty.selective import Outcomes
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.records import ABSTAIN_INSTRUCTION
from stages.lib.datasets import eval_sets
from stages.lib.grading import grader
from stages.lib.inference.sampling import Distribution
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import Prompt
from stages.lib.operators import registry
from stages.lib.procedural import gradeschool
from tests.helpers import chat_server, tiny_models

TOKENIZER = build_tokenizer()
SETTINGS = {
    **tiny_models.TRAINING_PARAMS,
    **{"train": {"problems": 6, "premise": 1, "facts": 4, "fact_copies": 2}, "samples": 4, "known_at": 0.5},
    **{"evaluate": {"dev": 4, "test": 4, "premise": 2, "deeper": 2, "passages": 1, "unknowns": 0}},
    **{"unknown_at": 0.25, "similarity": 1.0, "drift": 1.0, "shuffled": True, "verifier": "orm", "penalty": 1.0},
    **{"agent": {"kind": "rules"}, "judge": {"kind": "rules"}, "epochs": 2.0, "lr": 3e-3},
    **{"temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 16, "max_rows": 16},
}
HEADLINE = 15  # figures in metrics.json at most
QUICK = settings(max_examples=40)
AT_07 = Distribution(0.7)


def make_sample(text, answer=None, correct=False, finish: Any = "stop", index=0, name="x", tokens=3):
    return records.Sample(
        problem_id=name,
        index=index,
        text=text,
        answer=answer,
        correct=correct,
        finish=finish,
        logprob=-1.5,
        min_logprob=-1.0,
        tokens=tokens,
    )


def make_outcomes(refused, right, confidence):
    refused = np.array(refused, bool)
    return Outcomes(refused, np.array(right, bool) & ~refused, np.array(confidence, float))


OUTCOMES = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])), min_size=1, max_size=8
).map(lambda rows: make_outcomes(*zip(*rows, strict=True)))


# Figures.


@QUICK
@given(OUTCOMES)
def test_coverage_and_refusal_are_one_and_scores_follow_from_counts(outcomes):
    n = len(outcomes.refused)
    own = selective.summarize(outcomes, selective.never_refuse(outcomes), np.ones(n, bool), np.ones(n, bool))
    assert own["coverage"] + own["refusal"] == pytest.approx(1.0)
    right, wrong = selective.count_shares(outcomes)
    for penalty in selective.PENALTIES:
        assert own["scores"][f"{penalty:g}"] == pytest.approx(right - penalty * wrong)
    assert own["over_refusal"] == own["refusal"] and own["refusal_recall"] is None


@QUICK
@given(OUTCOMES)
def test_average_precision_and_area_under_risk_by_brute_force(outcomes):
    refused, right, confidence = outcomes
    values = np.where(refused, -1.0, confidence)
    if right.any():
        thresholds = sorted(set(values), reverse=True)
        points = [(right[values >= t].sum() / right.sum(), right[values >= t].mean()) for t in thresholds]
        recalls = [0.0, *(recall for recall, _ in points)]
        expected = sum((b - a) * p for (a, b), (_, p) in zip(itertools.pairwise(recalls), points, strict=True))
        assert selective.average_precision(outcomes) == pytest.approx(expected)
    else:
        assert selective.average_precision(outcomes) is None
    answered = np.flatnonzero(~refused)
    if not len(answered):
        assert selective.aurc(outcomes) is None
        return
    orders = [  # all orders in which no surer answer comes later
        order
        for order in itertools.permutations(answered)
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order))
    ]
    areas = [np.mean([1 - right[list(order[:k])].mean() for k in range(1, len(order) + 1)]) for order in orders[:5040]]
    if len(orders) <= 5040:
        assert selective.aurc(outcomes) == pytest.approx(np.mean(areas))


@QUICK
@given(st.integers(1, 30), st.integers(0, 30))
def test_the_area_of_a_perfect_ranking_is_its_closed_form(right, wrong):
    n = right + wrong
    outcomes = make_outcomes([False] * n, [True] * right + [False] * wrong, np.linspace(1, 0.01, n))
    expected = sum((k - right) / k for k in range(right + 1, n + 1)) / n
    assert selective.aurc(outcomes) == pytest.approx(expected)
    assert selective.average_precision(outcomes) == pytest.approx(1.0)


def test_trivial_policies_have_the_helpfulness_that_defines_it():
    start = make_outcomes([False] * 10, [True] * 4 + [False] * 6, np.full(10, 0.5))
    assert selective.truthful_helpfulness(start, start) == pytest.approx(0.0)
    assert selective.truthful_helpfulness(selective.always_refuse(10), start) == 0.0
    careful = make_outcomes([False] * 4 + [True] * 6, [True] * 4 + [False] * 6, np.full(10, 0.5))
    assert selective.truthful_helpfulness(careful, start) == pytest.approx(0.4)  # keeps what is right, wrongs nothing
    shy = make_outcomes([True] * 4 + [False] * 6, [False] * 10, np.full(10, 0.5))
    assert selective.truthful_helpfulness(shy, start) == pytest.approx(-0.4)
    assert selective.truthful_helpfulness(start, careful) is None  # no wrong answer to compare with
    refused = selective.summarize(selective.always_refuse(10), start, np.ones(10, bool), np.ones(10, bool))
    assert refused["accuracy"] is None and refused["over_refusal"] == 1.0  # nothing answered is not 0 % right
    assert set(refused["scores"].values()) == {0.0}


@QUICK
@given(OUTCOMES, st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=8))
def test_helpfulness_is_a_ratio_of_signed_areas_and_scores_are_sums_over_items(outcomes, before):
    """In the plane of (share right, share wrong), with E1 of the model before and E2 of the policy: the triangle O E2 E1
    over O A E1, where A = (1, 0) is right on everything."""
    start = make_outcomes([refused for refused, _ in before], [right for _, right in before], [0.5] * len(before))

    def place(policy):
        rows = list(zip(policy.refused.tolist(), policy.right.tolist(), strict=True))
        return rows.count((False, True)) / len(rows), rows.count((False, False)) / len(rows)

    def area(*points):
        return sum(a * d - b * c for (a, b), (c, d) in zip(points, (*points[1:], points[0]), strict=True)) / 2

    found = selective.truthful_helpfulness(outcomes, start)
    whole = area((0, 0), (1, 0), place(start))
    if not whole:
        assert found is None
    else:
        assert found == pytest.approx(area((0, 0), place(outcomes), place(start)) / whole)
    for penalty in selective.PENALTIES:
        rows = zip(outcomes.refused.tolist(), outcomes.right.tolist(), strict=True)
        expected = [0 if refused else 1 if right else -penalty for refused, right in rows]
        assert selective.score_items(outcomes, penalty).tolist() == expected


@QUICK
@given(OUTCOMES, st.integers(0, 8))
def test_equal_coverage_keeps_the_surest_answers(outcomes, count):
    """By all orders in which no surer answer comes later, each as likely."""
    answered = np.flatnonzero(~outcomes.refused)[:6]  # 720 orders at most
    outcomes = outcomes._replace(refused=~np.isin(np.arange(len(outcomes.refused)), answered))
    outcomes = outcomes._replace(right=outcomes.right & ~outcomes.refused)
    orders = [
        order
        for order in itertools.permutations(answered)
        if all(outcomes.confidence[a] >= outcomes.confidence[b] for a, b in itertools.pairwise(order))
    ]
    kept = [np.isin(np.arange(len(outcomes.refused)), order[:count]) & outcomes.right for order in orders]
    assert outcomes.expect_right(count) == pytest.approx(np.mean(kept, axis=0))


@QUICK
@given(OUTCOMES, st.sampled_from(selective.PENALTIES))
def test_the_threshold_of_dev_is_the_best_of_all(outcomes, penalty):
    def score(threshold):
        return selective.score_items(outcomes.apply_threshold(threshold), penalty).mean()

    best = selective.choose_threshold(outcomes, penalty)
    assert all(score(best) >= score(threshold) - 1e-12 for threshold in np.linspace(0, 1.1, 45))
    always_wrong = make_outcomes([False] * 3, [False] * 3, [0.2, 0.6, 1.0])
    if penalty:
        assert always_wrong.apply_threshold(selective.choose_threshold(always_wrong, penalty)).refused.all()


def test_a_threshold_changes_what_is_answered_and_not_how_answers_are_ranked():
    """Right answers below the threshold are still right answers for AP, AURC and calibration."""
    right, scores = [True, False, True, False, True, False], np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    made = [items.Item(problem=tiny_models.make_problem(i), set="test", kind="known") for i in range(6)]
    whole = make_outcomes([False] * 6, right, scores)
    samples = [make_sample("#### 7", "7")] * 6
    found = {
        "vanilla": policies.Policy(samples, whole, scores),
        "verifier": policies.Policy(samples, whole.apply_threshold(0.5), scores, writes=False),
    }
    table = policies.summarize(made, found, np.ones(6, bool))
    own, start = table["verifier"], table["vanilla"]
    assert (own["coverage"], own["accuracy"]) == (0.5, pytest.approx(2 / 3))
    for name in ("ap", "aurc", "ece"):
        assert own[name] == pytest.approx(start[name]), name


def test_trivial_policies_are_in_every_table():
    right, scores = [True, False, True, False], np.array([0.9, 0.8, 0.7, 0.3])
    made = [items.Item(problem=tiny_models.make_problem(i), set="test", kind="known") for i in range(4)]
    whole = make_outcomes([False, False, False, True], right, scores)
    samples = [make_sample("#### 7", "7")] * 4
    found = {
        "vanilla": policies.Policy(samples, whole, scores),
        "verifier": policies.Policy(samples, whole.apply_threshold(0.5), scores, writes=False),
    }
    run: Any = SimpleNamespace(seed=1)
    results = {"training": {}, **policies.compare(run, made, found)}
    for header, rows in report.build_tables(results).values():
        names = {*header, *(row[0] for row in rows)}
        assert {"always refuse", "never refuse"} <= names and all(len(row) == len(header) for row in rows)
    own = results["equal_coverage"]["always_refuse"]
    assert own["coverage"] == own["difference"] == own["low"] == own["high"] == 0.0 and own["accuracy"] is None
    assert results["equal_coverage"]["never_refuse"]["coverage"] == 0.75  # as many as the verifier lets pass


def test_a_policy_is_compared_at_the_coverage_of_the_verifier_and_not_where_it_refuses_nothing():
    """Of 40 items the verifier lets its 10 surest pass, all right; a policy that answers everything is right on half."""
    right = np.arange(40) % 2 == 0
    made = [items.Item(problem=tiny_models.make_problem(i), set="test", kind="known") for i in range(40)]
    samples, scores = [make_sample("#### 7", "7")] * 40, np.where(right & (np.arange(40) < 20), 0.9, 0.1)
    whole = make_outcomes([False] * 40, right, scores)
    found = {
        "vanilla": policies.Policy(samples, whole, scores),
        "verifier": policies.Policy(samples, whole.apply_threshold(0.5), scores, writes=False),
        "r_tuning": policies.Policy(samples, whole._replace(confidence=np.full(40, 0.5)), scores),
    }
    run: Any = SimpleNamespace(seed=1)
    own = policies.compare(run, made, found)["equal_coverage"]["r_tuning"]
    assert (own["coverage"], own["accuracy"], own["baseline"]) == (0.25, pytest.approx(0.5), 1.0)
    assert own["difference"] == pytest.approx(-5 / 40)


def test_what_is_unknown_has_a_share_of_refusals_of_its_own():
    outcomes = make_outcomes([True, False, True, True, False], [False] * 5, [0.5] * 5)
    answerable, known = np.array([True, True, True, False, False]), np.array([True, False, False, False, False])
    own = selective.summarize(outcomes, selective.never_refuse(outcomes), answerable, known)
    assert (own["over_refusal"], own["unknown_refusal"], own["refusal_recall"]) == (1.0, 0.5, 0.5)


# Refusals.


def test_every_phrasing_is_read_and_only_some_are_taught():
    for phrase in (*refusals.TAUGHT, *refusals.UNTAUGHT, "#### N/A", "n/a", "  i do NOT know "):
        assert refusals.is_refusal(make_sample(f"We know Ken has 9.\n{phrase}\n")), phrase
    drawn = {refusals.draw_phrase(1, f"p/{i}") for i in range(100)}
    assert drawn == set(refusals.TAUGHT) and not drawn & set(refusals.UNTAUGHT)
    no_order = [refusals.draw_phrase(1, f"p/{i}") for i in reversed(range(100))][::-1]
    assert no_order == [refusals.draw_phrase(1, f"p/{i}") for i in range(100)]  # keyed, not a stream
    for phrases, is_taught in ((refusals.TAUGHT, True), (refusals.UNTAUGHT, False)):
        assert {refusals.is_in_taught_words(make_sample(phrase)) for phrase in phrases} == {is_taught}
    counts = refusals.audit([make_sample("I am not sure."), make_sample("N/A"), make_sample("#### 7", "7")])
    assert (counts["listed"], counts["untaught"]) == (2, 1)
    for phrase in (*refusals.TAUGHT, *refusals.UNTAUGHT):
        [grade] = grader.grade(tiny_models.make_problem(1), [phrase], marked=True)
        assert not grade.correct and grade.answer in (None, "N/A")


def test_an_answer_an_empty_reply_and_a_cut_one_are_no_refusals():
    assert not refusals.is_refusal(make_sample("I do not know.\n#### 7", answer="7"))
    assert not refusals.is_refusal(make_sample("", tokens=0))
    assert not refusals.is_refusal(make_sample("I do not know.", finish="length"))
    assert not refusals.is_refusal(make_sample("I do not know how many, so 3 + 4 = 7"))
    assert replies.mean_probability(make_sample("", tokens=0)) == 0.0  # no division by zero


def test_what_the_list_misses_is_counted_and_shown():
    missed = "The answer is unknown."
    samples = [make_sample(missed), make_sample(missed), make_sample("I do not know."), make_sample("#### 7", "7")]
    found = refusals.audit(samples)
    assert found == {
        "replies": 4,
        "listed": 1,
        "untaught": 1,
        "missed": 2,
        "extra": 1,
        "unread": 0,
        "examples": [missed],
    }
    judged = refusals.audit(samples, lambda text: None)
    assert judged["unread"] == 4 and judged["missed"] == judged["extra"] == 0
    assert [refusals.parse_judgement(x) for x in ("YES", "It declines.\n**No.**", "maybe", "")] == [
        True,
        False,
        None,
        None,
    ]


def test_a_judge_that_says_nothing_usable_is_none_that_agrees():
    samples = [make_sample("#### N/A", "N/A"), make_sample("#### 7", "7")]
    audit = {"vanilla": refusals.audit(samples, lambda text: None)}
    results = {"training": {}, "judge": audit, "shortcuts": {}}
    params = honesty.Params(**{**SETTINGS, "agent": {"kind": "openai", "settings": {"model": "m"}}})
    notes = report.build_notes(params, results)
    assert "the judge takes 0 more for one and 0 of these for none; to 2 it says neither yes nor no." in notes[-1]
    audit["vanilla"] = refusals.audit(samples)
    assert report.build_notes(params, results)[-1].endswith("reads 1 as refusals, 0 in words that are not taught.")
    assert "judge" not in report.build_notes(params, results)[-1]


# Items.


def test_swapping_the_passage_flips_known_to_unread():
    made = items.make_passages(6, seed=3)
    assert [item.kind for item in made] == ["known", "unread"] * 12
    for i in range(0, len(made), 4):
        group = made[i : i + 4]
        assert len({item.passage for item in group}) == 2 and group[0].passage == group[1].passage
        for item, other in ((group[0], group[2]), (group[2], group[0])):
            question = item.problem.question.removeprefix(f"{item.passage} ")
            owner = question.removeprefix("What is the code of ").partition("'s")[0]
            swapped = items.ask_passage("passages/test/x", other.passage or "", question, item.problem.answer, owner)
            assert swapped.kind == "unread" and swapped.gold is None
            grades = grader.grade(item.problem, [f"#### {item.gold}", f"#### {item.gold}1", f"#### 1{item.gold}"])
            assert [grade.correct for grade in grades] == [True, False, False]  # equal, not a part of it
    assert items.make_passages(6, seed=3)[:8] == items.make_passages(2, seed=3)  # more passages change none
    assert items.make_passages(2, seed=4) != items.make_passages(2, seed=3)


def test_half_of_the_facts_are_taught_and_more_facts_change_none():
    facts = items.make_facts(20, seed=1)
    assert [fact.kind for fact in facts] == ["known", "unknown"] * 10
    assert facts[:8] == items.make_facts(8, seed=1)
    assert len({fact.problem.question for fact in facts}) == 20
    with pytest.raises(UserError, match=r"honesty.train.facts: 10000, but there are names for \d+"):
        items.make_facts(10_000, seed=1)


def test_no_passage_asks_for_a_fact_that_may_be_taught():
    taught = {fact.problem.question for fact in items.make_facts(100, seed=1)}
    asked = {item.problem.question.removeprefix(f"{item.passage} ") for item in items.make_passages(100, seed=1)}
    assert len(asked) > 100 and not taught & asked


def test_an_unanswerable_item_has_two_answers_and_a_twin_with_one():
    parents = make_parents("verifier", 12)
    made = items.make_premise_items("train", parents, 3, seed=1)
    assert [item.kind for item in made] == ["unanswerable", "known"] * 3
    for open_item, twin in zip(made[::2], made[1::2], strict=True):
        assert open_item.gold is None and twin.gold is not None
        assert registry.check(open_item.problem) == [] == registry.check(twin.problem)
        program: Any = open_item.problem.program
        [change] = program.params["changes"]
        (first, one), (second, two) = change["completions"]
        assert first != second and one != two
        assert open_item.problem.parent == twin.problem.parent
    assert items.make_premise_items("train", parents[::-1], 3, seed=1) == made


def make_parents(split, count):
    return gradeschool.generate_problems(split, count, 1, steps=[2, 3], max_value=60, inverse_share=0.25)


# What is known, and what may be learned.


def test_certainty_counts_finished_right_samples_of_the_first_m():
    pool = [make_sample("#### 4", "4", index != 1, "length" if index == 2 else "stop", index) for index in range(5)]
    assert items.compute_certainty(pool[::-1], 4) == 0.5  # of 0, 1, 2 and 3: 1 is wrong, 2 was cut off
    assert items.compute_certainty([], 4) is None
    assert [sample.index for sample in items.leave_out_reply(pool[::-1])] == [1, 2, 3, 4]
    assert items.leave_out_reply(pool[3:4]) == pool[3:4] and items.leave_out_reply([]) == []
    assert knowledge.label_by_first(pool[::-1]) and not knowledge.label_by_first(pool[1:])
    labels = [knowledge.label_by_certainty(c, 0.75, 0.25) for c in (1, 0.75, 0.5, 0.25, 0)]
    assert labels == [True, True, None, False, False]


def test_near_duplicates_with_opposite_labels_are_both_dropped():
    features = np.array([[1.0, 0.0], [0.99, 0.02], [-1.0, 0.1], [-1.0, 0.11], [0.0, 5.0]]) + 100.0
    near = knowledge.find_static_conflicts(features, [True, False, True, True, False], 0.95)
    assert near.tolist() == [True, True, False, False, False]
    assert not knowledge.find_static_conflicts(features, [True] * 5, -1.0).any()
    assert knowledge.find_static_conflicts(np.zeros((0, 4)), [], 0.5).tolist() == []


@QUICK
@given(st.lists(st.tuples(st.booleans(), st.floats(-50, 50)), min_size=1, max_size=6), st.floats(-100, 100))
def test_certainty_under_another_policy(rows, shift):
    right, ratios = zip(*rows, strict=True)
    assert knowledge.reweigh(right, [shift] * len(right)) == pytest.approx(np.mean(right))  # the same policy
    moved = knowledge.reweigh(right, ratios)
    assert moved == pytest.approx(knowledge.reweigh(right, [ratio + shift for ratio in ratios]))  # no refusal counts
    weights = [math.exp(ratio) for ratio in ratios]
    assert moved == pytest.approx(sum(w for w, r in zip(weights, right, strict=True) if r) / sum(weights))
    assert knowledge.reweigh(right, [-math.inf] * len(right)) == pytest.approx(np.mean(right))


@pytest.fixture(scope="module")
def encoder():
    return Encoder(TOKENIZER, Prompt())


def test_the_flow_of_an_item_starts_at_the_certainty_that_labels_it(encoder):
    problem = tiny_models.make_problem(1)
    pool = [
        make_sample(f"#### {problem.answer}", problem.answer, True, index=0),
        make_sample("#### 9999", "9999", index=1),
        make_sample("3 + 4 = 7, 7 + ", index=2, finish="length"),
        make_sample(f"#### {problem.answer}", problem.answer, True, index=3),
    ]
    start, other = (tiny_models.make_model("lfm2", len(TOKENIZER), seed=seed) for seed in (0, 1))
    for samples in (pool, pool[:1], pool[1:3], pool[2:3], [pool[0], pool[2]]):
        c = items.compute_certainty(samples, 4)
        candidate = knowledge.Candidate(items.Item(problem=problem, set="train", kind="known", c=c), samples)
        same, moved = (knowledge.measure_flow(candidate, start, model, encoder, AT_07) for model in (start, other))
        assert same.before == moved.before == c and same.after == pytest.approx(c)
        assert (moved.after != c) == (samples is pool)


@pytest.mark.parametrize(
    "distribution", [Distribution(1.0), AT_07, Distribution(1.3, top_k=3), Distribution(1.0, 0, 0.6)]
)
def test_a_draw_is_as_likely_as_its_temperature_makes_it(encoder, distribution):
    """Against products of one token's probability after another, from whole sequences."""
    model = tiny_models.make_model("lfm2", len(TOKENIZER), seed=3)
    prompt = encoder.prompt_ids(tiny_models.make_problem(1))
    texts = encoder.encode_texts(["#### 7", "3 + 4 = 7", "#### 8"])
    found = knowledge.compute_draw_logprobs(model, prompt, texts, distribution)
    for text, logprob in zip(texts, found, strict=True):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*prompt, *text]])).logits[0, len(prompt) - 1 : -1].double()
        scaled, expected = logits / distribution.temperature, 0.0
        for row, token in zip(scaled, text, strict=True):
            order = row.argsort(descending=True)
            order = order[: distribution.top_k or len(order)]
            p = row[order].softmax(0)
            order = order[: int((p.cumsum(0) - p < distribution.top_p).sum())]
            p = row[order].softmax(0)
            expected += float(p[order == token].sum().log())
        assert logprob == pytest.approx(expected, rel=1e-4)


def test_certainty_after_a_rehearsal_is_that_of_draws_at_their_temperature():
    """Two answers of one token each: at a temperature of 0.7, (.5, .5) -> (.8, .2) makes c .879 and not .8."""
    old, new = np.array([0.5, 0.5]) ** (1 / 0.7), np.array([0.8, 0.2]) ** (1 / 0.7)
    ratios = np.log(new / new.sum()) - np.log(old / old.sum())
    assert knowledge.reweigh([True, False], ratios.tolist()) == pytest.approx(0.879, abs=5e-4)


@pytest.mark.slow
def test_what_a_model_was_taught_to_refuse_it_refuses_and_it_answers_the_twins(encoder, tmp_path):
    from stages.lib.grading.draws import make_samples
    from stages.lib.inference.native_engine import NativeEngine
    from stages.lib.inference.sampling import GREEDY
    from stages.lib.models import objectives
    from stages.lib.training import loop

    taught = items.make_premise_items("train", make_parents("verifier", 12), 3, seed=1)
    examples = [knowledge.encode_target(encoder, item, not item.is_answerable, 1) for item in taught]
    params = honesty.Params(**{**SETTINGS, "epochs": 150.0, "lr": 1e-2})
    run = tiny_models.make_run(tmp_path, "honesty", params)
    model = tiny_models.make_model("lfm2", len(TOKENIZER))
    loop.train(run, objectives.LanguageModelingObjective(model), examples, params)
    problems = [item.problem for item in taught]
    prompts = [encoder.prompt_ids(problem) for problem in problems]
    stream = NativeEngine(model, 64).stream(prompts, [[0]] * len(problems), GREEDY, 160, encoder.stops)
    said = {pool[0].problem_id: pool[0] for pool in make_samples(stream, encoder, problems)}
    outcomes = replies.make_outcomes(taught, [said[item.id] for item in taught], np.ones(len(taught)))
    assert outcomes.refused.tolist() == [not item.is_answerable for item in taught]
    assert outcomes.right.tolist() == [item.is_answerable for item in taught]


def test_a_refusal_counts_with_its_whole_text(encoder, tmp_path):
    """Several refusals begin with one token, so its probability is none of a refusal."""
    import torch

    model = tiny_models.make_model("lfm2", len(TOKENIZER))
    run = tiny_models.make_run(tmp_path, "honesty", honesty.Params(**SETTINGS))
    made = items.make_facts(2, seed=1)
    found = replies.measure_refusals(run, "refusals", model, encoder, made)
    for item, probability in zip(made, found, strict=True):
        expected = 0.0
        for phrase in refusals.TAUGHT:
            encoded = encoder.encode(item.problem, [phrase])
            with torch.inference_mode():
                rows = model(torch.tensor([encoded.ids])).logits[0].double().log_softmax(-1)
            places = range(encoded.prompt_length, len(encoded.ids))
            expected += math.exp(sum(rows[i - 1, encoded.ids[i]].item() for i in places))
        assert probability == pytest.approx(expected, rel=1e-4)
    phrases = (*refusals.TAUGHT, *refusals.UNTAUGHT)
    texts = [replies.encode_reply(encoder, made[0].problem, phrase) for phrase in phrases]
    assert len({ids[0] for ids in texts}) < len(texts)
    assert all(ids[-1] == encoder.end_id for ids in texts)


def test_a_refusal_weighs_as_much_as_a_solution(encoder):
    """By tokens it would weigh a tenth, and 74 examples taught no refusal at all."""
    pair = items.make_premise_items("train", make_parents("verifier", 12), 1, seed=1)
    for item, refuses in zip(pair, (True, False), strict=True):
        example = knowledge.encode_target(encoder, item, refuses, 1)
        assert sum(example.lm_weight) == pytest.approx(1.0)
        first = next(i for i, weight in enumerate(example.lm_weight) if weight)
        target = "\n".join([*knowledge.make_target(encoder, item, refuses, 1), ""])
        assert encoder.decode_solution(example.ids[first:]) == target  # all of it, with its last character


@pytest.mark.slow
def test_facts_that_were_taught_are_told_from_those_that_were_not(encoder, tmp_path):
    from sklearn.metrics import roc_auc_score

    from stages.lib.grading.draws import make_samples
    from stages.lib.inference.native_engine import NativeEngine
    from stages.lib.inference.sampling import Distribution
    from stages.lib.models import objectives
    from stages.lib.training import loop

    facts = items.make_facts(16, seed=1)
    examples = [knowledge.encode_target(encoder, fact, False, 1) for fact in facts if fact.kind == "known"]
    params = honesty.Params(**{**SETTINGS, "epochs": 60.0, "lr": 1e-2})
    run = tiny_models.make_run(tmp_path, "honesty", params)
    model = tiny_models.make_model("lfm2", len(TOKENIZER))
    loop.train(run, objectives.LanguageModelingObjective(model), examples, params)
    problems = [fact.problem for fact in facts]
    prompts = [encoder.prompt_ids(problem) for problem in problems]
    stream = NativeEngine(model, 64).stream(prompts, [list(range(8))] * 16, Distribution(1.0), 12, encoder.stops)
    pools = {pool[0].problem_id: pool for pool in make_samples(stream, encoder, problems)}
    rated = items.make_sampled_items("facts", problems, pools, 8, 0.5)
    taught = [fact.kind == "known" for fact in facts]
    assert roc_auc_score(taught, [item.c for item in rated]) > 0.95
    assert [item.kind == "known" for item in rated] == taught


# The stage.


def find_file(root, name):
    [parts] = eval_sets.SET_FILES[name]
    return root.joinpath("data", *parts)


def answer(problem, index):
    """Right at an even index; wrong, empty or cut off at an odd one."""
    text = f"#### {problem.answer}" if index % 2 == 0 else ("", "#### 9999", "#### 1")[index % 3]
    correct = index % 2 == 0
    found = text.removeprefix("#### ") or None
    finish = "length" if index % 3 == 2 and not correct else "stop"
    return make_sample(text, found, correct, finish, index, problem.id, tokens=3 if text else 0)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("honesty")
    loading.save(tiny_models.make_model("lfm2", len(TOKENIZER)), TOKENIZER, root / "data/generator/model")
    Prompt().write(root / "data/generator/prompt.json")
    sets = {split: make_parents(split, count) for split, count in (("verifier", 10), ("dev", 4), ("test", 5))}
    parents = make_parents("test", 8)[5:]
    variants, _ = registry.make_variants(parents, ["premise", "steps@0.5"], 1)
    sets["ood"] = variants
    for split, problems in sets.items():
        records.write_problems(find_file(root, split), problems)
        shift = 0 if split != "verifier" else None
        pools = [
            answer(problem, index + (i % 2 if shift is None else 0)).model_copy(update={"index": index})
            for i, problem in enumerate(problems)
            for index in range(4)
        ]
        records.write_samples(root / f"data/samples/{split}.parquet", pools)
    for name in ("aime/test", "aime/unseen"):
        records.write_problems(root / f"data/{name}.jsonl", [])
    tiny_models.save_outcome_verifier(root / "data/orm/model", TOKENIZER)
    return root


@pytest.mark.slow
def test_every_policy_is_measured_on_the_same_items(inputs):
    run = tiny_models.make_run(inputs, "honesty", honesty.Params(**SETTINGS))
    metrics = honesty.body(run)
    results = json.loads((run.out_dir / "results.json").read_text())
    assert len(metrics) <= HEADLINE and all(
        value is None or isinstance(value, int | float) for value in metrics.values()
    )
    assert set(results["in_domain"]) == {"always_refuse", "never_refuse", *policies.POLICIES}
    assert results["in_domain"]["always_refuse"]["coverage"] == 0.0
    assert results["in_domain"]["never_refuse"]["coverage"] == 1.0
    assert {own["items"] for own in results["in_domain"].values()} == {8}
    assert set(results["sets"]) == {"test", "premise", "deeper", "passages", "facts"}
    assert results["kinds"]["premise"] == {"unanswerable": 2, "unknown": 2}  # one of three right, the reply not counted
    assert results["training"]["r_tuning"]["steps"] == results["training"]["certain"]["steps"]
    said = [json.loads(line) for line in (run.out_dir / "replies.jsonl").read_text().splitlines()]
    rows = [json.loads(line) for line in (run.out_dir / "items.jsonl").read_text().splitlines()]
    assert len(said) == len(rows) * len(policies.POLICIES)
    assert all(not row["right"] for row in said if row["refused"])
    by_id = {row["id"]: row for row in rows}
    assert not any(row["right"] for row in said if "gold" not in by_id[row["id"]])
    text = (run.out_dir / "report.md").read_text()
    assert "| always refuse | 0.0 |  |" in text and "At equal coverage" in text
    assert "of unknown / of known items / accuracy" in text and "Of passages, known items are those" in text
    assert (run.out_dir / "curve.png").stat().st_size > 10_000
    assert {path.name for path in (run.out_dir / "models").iterdir()} == {"r_tuning", "certain", "shuffled"}
    assert (run.out_dir / "history.csv").read_text().startswith("step,r_tuning_loss,certain_loss,shuffled_loss\n1,")
    plain, control = (results["training"][arm] for arm in ("r_tuning", "shuffled"))
    assert (
        plain == control and "Refusals at random: the 6 problems of R-Tuning" in text
    )  # as many of each kind, and steps
    again = tiny_models.make_run(inputs, "honesty", honesty.Params(**SETTINGS))
    before = (run.out_dir / "replies.jsonl").read_bytes()
    assert honesty.body(again) == metrics and (run.out_dir / "replies.jsonl").read_bytes() == before  # resumed


@pytest.mark.slow
def test_conflicts_are_left_out_of_what_the_filtered_arm_learns(inputs, tmp_path):
    """Planted: a question twice, solved under one name and not under the other; and problems that are solved half the time,
    of which the rehearsal moves c, beside others of which nothing can."""
    import torch

    shutil.copytree(inputs / "data", tmp_path / "data")
    clean = records.read_problems(find_file(inputs, "verifier"))
    twice = clean[1].model_copy(update={"id": "gradeschool/verifier/902"})
    shares = dict(zip([*(p.id for p in clean), twice.id], [4, 4, 0, 0, 4, 4, 0, 2, 2, 2, 0], strict=True))
    rights = [(p, index, index < shares[p.id]) for p in (*clean, twice) for index in range(4)]
    pools = [
        make_sample(
            f"#### {p.answer if is_right else 9999 + i}", p.answer if is_right else "9999", is_right, "stop", i, p.id
        )
        for p, i, is_right in rights
    ]
    records.write_problems(find_file(tmp_path, "verifier"), [*clean, twice])
    records.write_samples(tmp_path / "data/samples/verifier.parquet", pools)
    changes = {"train": {"problems": 6, "premise": 0, "facts": 0, "fact_copies": 1}, "similarity": 0.9999, "drift": 0.0}
    run = tiny_models.make_run(tmp_path, "honesty", honesty.Params(**{**SETTINGS, **changes}))
    learned = teaching.teach(run, honesty.prepare(run), torch.device("cpu"))
    about = learned.facts["certain"]
    assert about["pool"] == 11 and about["dropped"] == {"between": 0, "static": 2, "dynamic": 3}
    assert about["mean_drift"] > 0
    kept = {item.id: refuses for item, refuses in learned.taught["certain"]}
    assert kept.keys() <= {name for name, share in shares.items() if share in (0, 4)} - {clean[1].id, twice.id}
    assert len(kept) == 6 and all(refuses == (shares[name] == 0) for name, refuses in kept.items())
    assert len(learned.taught["r_tuning"]) == 6  # as many, of whatever kind


def test_the_control_refuses_as_many_items_and_other_ones():
    made = [items.Item(problem=tiny_models.make_problem(i), set="train", kind="unknown") for i in range(40)]
    labelled = [(item, i < 15) for i, item in enumerate(made)]
    shuffled = teaching.shuffle_labels(labelled, 1)
    assert [item for item, _ in shuffled] == made and sum(refuses for _, refuses in shuffled) == 15
    assert 0 < sum(a == b == (item, True) for a, b, item in zip(labelled, shuffled, made, strict=True)) < 15
    again = dict((item.id, refuses) for item, refuses in teaching.shuffle_labels(labelled[::-1], 1))
    assert again == {item.id: refuses for item, refuses in shuffled}  # keyed: no order changes it


def name_agent(server):
    return {"kind": "openai", "settings": {"model": "m", "base_url": server.url, "key_env": None}}


def read_rows(run, name):
    return [json.loads(line) for line in (run.out_dir / name).read_text().splitlines()]


@pytest.mark.slow
def test_a_chat_replies_in_place_of_the_generator(inputs):
    """It knows every second problem, refuses in words of its own where N/A is allowed, and one reply is cut off."""
    problems = {p.question: p for name in ("test", "ood") for p in records.read_problems(find_file(inputs, name))}
    known = sorted(problems)[::2]

    def reply(prompt):
        question = prompt.partition("\n")[0]
        assert prompt.endswith("and end with a line `#### ` and the answer.")
        if ABSTAIN_INSTRUCTION in prompt:
            return "I do not know." if question in known else "I have no idea what it is."
        if question.startswith("What is the code"):
            return "cut off: The code is #### 4"
        return f"#### {problems[question].answer}" if question in known else "#### 9999"

    with (
        chat_server.serve(reply) as server,
        chat_server.serve(lambda text: "YES" if "no idea" in text else "NO") as judge,
    ):
        changes = {"agent": name_agent(server), "judge": name_agent(judge)}
        run = tiny_models.make_run(inputs, "honesty", honesty.Params(**{**SETTINGS, **changes}))
        metrics = honesty.body(run)
        asked = len(server.requests)
        assert honesty.body(run) == metrics and len(server.requests) == asked, "answers are kept"
    results, items_, said = (
        json.loads((run.out_dir / "results.json").read_text()),
        {row["id"]: row for row in read_rows(run, "items.jsonl")},
        read_rows(run, "replies.jsonl"),
    )
    assert set(results["in_domain"]) == {"always_refuse", "never_refuse", "vanilla", "prompt"}
    assert results["training"] == {} and results["baseline"] == "vanilla" and len(metrics) <= HEADLINE
    asked_to = [row for row in said if row["policy"] == "prompt"]
    assert not any(row["right"] for row in asked_to)
    for row in said:
        item = items_[row["id"]]
        if item["set"] == "test":
            assert item["c"] == float(item["question"] in known) and (item["kind"] == "known") == bool(item["c"])
            assert row["policy"] == "prompt" or row["right"] == bool(item["c"])
            assert row["confidence"] == (row["policy"] == "vanilla")
        if item["set"] == "facts":
            assert item["kind"] == "unknown" and not row["right"], "nobody taught a chat made-up facts"
    missed = [row["reply"] for row in said if "no idea" in row["reply"]]
    audits = results["judge"]
    assert sum(audit["missed"] for audit in audits.values()) == len(missed) > 0
    assert audits["prompt"]["examples"] == ["I have no idea what it is."]
    text = (run.out_dir / "report.md").read_text()
    assert "m replies in place of the generator; nothing is trained" in text and "more for one" in text
    assert not list((run.out_dir / "models").iterdir()) and (run.out_dir / "train.jsonl").read_text() == ""


@pytest.mark.slow
def test_a_chat_that_does_not_answer_is_no_chat_that_refuses(inputs):
    with chat_server.serve("silent") as server:
        agent = name_agent(server)
        agent["settings"] |= {"tries": 1, "backoff": 0.01, "model": "mute"}
        run = tiny_models.make_run(inputs, "honesty", honesty.Params(**{**SETTINGS, "agent": agent}))
        with pytest.raises(UserError):
            honesty.body(run)


def test_agreement_is_by_value():
    pool = [make_sample(f"#### {x}", x) for x in ("7", "7.0", "8")] + [make_sample("#### 7", "7", finish="length")]
    problem = tiny_models.make_problem(1)
    assert agent.measure_agreement(problem, pool) == 0.5 and agent.measure_agreement(problem, pool[::-1]) == 0.0


def test_nothing_is_learned_from_an_evaluation_problem_its_variant_or_its_question(inputs):
    run = tiny_models.make_run(inputs, "honesty", honesty.Params(**SETTINGS))
    file, samples = find_file(inputs, "verifier"), inputs / "data/samples/verifier.parquet"
    clean, pools = records.read_problems(file), records.read_samples(samples)
    [test, *_], [variant, *_] = (records.read_problems(find_file(inputs, name)) for name in ("test", "ood"))
    planted = [
        test,
        test.model_copy(update={"id": f"{test.id}~answers2", "question": "Another?"}),  # known by its id alone
        test.model_copy(update={"id": "gradeschool/verifier/900", "question": f" {test.question}\n"}),
        clean[0].model_copy(update={"id": "gradeschool/verifier/901", "parent": variant.parent}),
    ]
    try:
        for problem in planted:
            records.write_problems(file, [*clean, problem])
            records.write_samples(samples, [*pools, answer(problem, 0)])
            with pytest.raises(UserError, match=f"problem {problem.id}: cannot be learned from"):
                honesty.prepare(run)
    finally:
        records.write_problems(file, clean)
        records.write_samples(samples, pools)
    learned = honesty.prepare(run)
    roots = {item.problem.id.partition("~")[0] for item in learned.items}
    assert not roots & {x.item.id.partition("~")[0] for x in learned.candidates} | roots & {
        item.id.partition("~")[0] for item in learned.premise
    }


def test_the_number_of_samples_behind_c_is_the_one_that_was_used(inputs):
    params = honesty.Params(**{**SETTINGS, "samples": 9})
    data = honesty.prepare(tiny_models.make_run(inputs, "honesty", params))
    assert data.counts == {"verifier": 4, "test": 3, "ood": 3}  # all that were drawn, but for the reply itself
    assert report.describe_counts(data.counts) == "4 (verifier), 3 (test), 3 (ood)"
    assert report.describe_counts({"verifier": 4, "test": 4, "ood": 4}) == "4"
    assert report.describe_counts({"verifier": 8, "ood": 2}) == "8 (verifier), 2 (ood)"


def test_all_policies_have_one_limit_of_tokens(inputs):
    sample = make_sample("#### 7", "7", True, tokens=12)
    assert policies.cut(sample, 12) == sample
    assert not policies.cut(sample, 11).is_right and policies.cut(sample, 11).answer is None
    for limit in (2, 3):  # the samples have three tokens
        run = tiny_models.make_run(inputs, "honesty", honesty.Params(**{**SETTINGS, "max_new_tokens": limit}))
        data = honesty.prepare(run)
        known = [knowledge.label_by_first(candidate.samples) for candidate in data.candidates]  # what R-Tuning learns
        known += [bool(candidate.item.c) for candidate in data.candidates]  # what the certainty-filtered arm learns
        known += [bool(item.c) for item in data.items if item.set in ("test", "deeper")]  # what is known
        known += [first.is_right for first in policies.read_first(run, "dev")]  # what the verifier's threshold is for
        assert any(known) == (limit == 3)


def test_shortcuts_are_measured():
    made = items.make_passages(20, seed=1)
    found = policies.measure_shortcuts(made)["passages"]
    assert found["length"] == pytest.approx(0.5)
    assert found["answer_in_question"] > 0.9  # a passage without the fact holds no such number: what reading means
    assert not policies.holds_number("21 and 13", "1") and policies.holds_number("a1, b 21", "21")


def test_bounds_that_exclude_each_other_are_refused():
    with pytest.raises(ValueError, match=r"unknown_at \(0.5\) must be below known_at"):
        honesty.Params(**{**SETTINGS, "unknown_at": 0.5})
