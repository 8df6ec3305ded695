"""Meta probing: variants that prove themselves, rejects, and models that misbehave."""

import pytest

from stages.lib.core.errors import UserError
from stages.lib.procedural.gradeschool import generate_problems as gradeschool
from stages.problems.ood import mpa
from stages.problems.ood.mpa import agents, pipeline
from tests.helpers.chat_server import get_prompts, serve
from tests.helpers.mpa_items import RULE_AGENTS, make_item, make_open_item, make_variant, model, open_chat, paraphrase  # noqa: F401

# The records.


def test_a_variant_names_its_parent_operator_and_contract(model):  # noqa: F811
    parent = gradeschool("test", 1, 1)[0]
    for names, operator in [
        ("question", "mpa-question"),
        ("context+question", "mpa-question-context"),
        ("all", "mpa-all"),
    ]:
        variant = make_variant(parent, names, model)
        assert (variant.id, variant.operator) == (f"{parent.id}~{operator}", operator)
        assert (variant.parent, variant.contract, variant.program.generator) == (parent.id, "preserving", "mpa")
        assert (variant.answer, variant.steps, variant.difficulty) == (parent.answer, parent.steps, parent.difficulty)
        assert variant.question != parent.question and mpa.check(variant) == []


def test_what_cannot_be_done_is_a_reject_and_never_an_unchanged_item():
    cases = [
        (make_item(choices=["a", "a", "a", "a"], answer="B"), "permute", "reads the same"),
        (make_item(choices=["the oak", "the elm", "both A and B", "none"], answer="A"), "permute", "by letter"),
        (
            make_item(choices=["the oak", "the elm", "the ash", "All of the above"], answer="D"),
            "newchoice",
            "the key speaks",
        ),
        (make_item(choices=["the oak", "the elm", "the ash", "Both"], answer="A"), "newchoice", "counts the others"),
        (make_item(choices=["12", "All of these", "14", "17"], answer="A"), "newchoice", "does not stand last"),
        (make_item(answer="Z"), "permute", "not the letter"),
        (make_item(), "question", "wants a model"),
    ]
    for problem, name, reason in cases:
        kept, (reject,) = pipeline.make_variants([problem], name, RULE_AGENTS, 1)
        assert not kept and reason in reject.reason
        assert reject.id == f"{problem.id}~mpa-{name}" and reject.operator == f"mpa-{name}" and reject.tries >= 1
    with pytest.raises(UserError, match="allowed are all"):
        pipeline.make_variants([make_item()], "question+spin", RULE_AGENTS, 1)


def test_what_does_not_fit_is_not_asked_for():
    for problem, name in [
        (make_open_item("What is $1+1$?"), "permute"),
        (make_open_item("print it", "x", "code"), "question"),
    ]:
        assert pipeline.make_variants([problem], name, RULE_AGENTS, 1) == ([], [])


@pytest.mark.slow
def test_equal_seeds_give_equal_variants_whatever_the_order_and_the_company(model):  # noqa: F811
    problems = [make_item(i) for i in range(20)]
    first, _ = pipeline.make_variants(problems, "all", model, 1)
    again, _ = pipeline.make_variants(problems[::-1], "all", model, 1)
    assert sorted(first, key=lambda p: p.id) == sorted(again, key=lambda p: p.id)
    alone, _ = pipeline.make_variants(problems[:1], "all", model, 1)
    assert alone[0] == first[0]
    other, _ = pipeline.make_variants(problems, "all", model, 2)
    assert sum(a == b for a, b in zip(first, other, strict=True)) == 0


# Agents with a model behind them.


def test_all_principles_through_a_server(tmp_path):
    with serve(paraphrase) as server:
        model = open_chat(server, tmp_path)  # noqa: F811
        variants, rejects = pipeline.make_variants(
            [make_item(i) for i in range(6)], "all", agents.make_agents(model, model), 1
        )
        assert not rejects and len(server.requests) == 30
        judged = [text for text in get_prompts(server.requests) if "examination item" in text]
        assert len(judged) == 6 and all("glass" in text and "gardener" in text for text in judged)
        assert all(any(v.question in text and f"Answer: {v.answer}" in text for text in judged) for v in variants)
        for i, variant in enumerate(variants):
            assert "a tree made of glass" in variant.choices and "gardener" in variant.question
            key = make_item(i).choices["ABCD".index(make_item(i).answer)]
            assert variant.choices["ABCDE".index(variant.answer)] == key.replace("the ", "that ", 1)
        pipeline.make_variants([make_item(i) for i in range(6)], "all", agents.make_agents(model, model), 1)
        assert len(server.requests) == 30


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("no mark at all", "nothing between"),
        ("<think>I must write <<<Among these, which is the tallest here?>>> now", "nothing between"),
        ("<<<Which of the following is the tallest here?>>>", "unchanged"),
        ("<<<Which of the 7 is the tallest here?>>>", "numbers changed"),
        ("<<<Please answer: Which of the following is the very tallest here? Thanks.>>>", "no word of the question"),
        ("<<<Which of these is the shortest here, not the tallest?>>>", "denial"),
    ],
)
def test_a_paraphrase_that_stays_bad_is_a_reject_after_the_last_try(tmp_path, answer, reason):
    with serve(answer) as server:
        kept, (reject,) = pipeline.make_variants(
            [make_item()], "question", agents.make_agents(open_chat(server, tmp_path)), 1, max_attempts=3
        )
        assert not kept and reason in reject.reason and reject.tries == 3 and len(server.requests) == 3


@pytest.mark.parametrize(
    "form",
    [
        "<think>I must put it between <<< and >>>. Perhaps <<<that>>>?</think>\n\n<<<{}>>>",
        "I write between <<< and >>>, no <<<that>>>.\n</think><<<{}>>>",  # the opening tag stood in the prompt
        "**<<<{}>>>**",
        "<<<**{}**>>>",
        "```\n<<<{}>>>\n```",
        "<<<\n```text\n{}\n```\n>>>",
        "Between <<< and >>>: <<<{}>>>",
    ],
)
def test_an_answer_in_thought_bold_type_or_a_fence_is_read(tmp_path, form):
    question = "Among these, which is the tallest here?"
    with serve(form.format(question), form.format("Yes")) as server:
        model = open_chat(server, tmp_path)  # noqa: F811
        (variant,), rejects = pipeline.make_variants([make_item()], "question", agents.make_agents(model, model), 1)
    assert variant.question == question and not rejects


def test_a_bad_try_is_followed_by_a_good_one(tmp_path):
    with serve("no mark", "busy", "<<<Among these, which is the tallest here?>>>", "<<<Yes>>>") as server:
        model = open_chat(server, tmp_path)  # noqa: F811
        (variant,), rejects = pipeline.make_variants([make_item()], "question", agents.make_agents(model, model), 1)
        assert variant.question.startswith("Among") and not rejects and len(server.requests) == 4


def test_the_judges_no_and_its_reason_reach_the_ledger_of_rejects(tmp_path):
    with serve("<<<No: it asks for something else>>>") as server:
        kept, (reject,) = pipeline.make_variants(
            [make_item()], "permute", agents.make_agents(None, open_chat(server, tmp_path)), 1, max_attempts=2
        )
        assert not kept and reject.reason == "it asks for something else" and reject.tries == 2


def test_a_model_without_an_answer_makes_a_reject(tmp_path):
    with serve("broken") as server:
        kept, (reject,) = pipeline.make_variants(
            [make_item()], "question", agents.make_agents(open_chat(server, tmp_path, tries=2)), 1
        )
        assert not kept and "no answer after 2 tries" in reject.reason
