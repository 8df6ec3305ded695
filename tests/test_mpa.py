"""Meta probing: rewrites keep the item, checks and judge catch planted faults, models that misbehave make rejects."""

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from stages.lib import chat, seeds
from stages.lib.errors import UserError
from stages.lib.gradeschool import problems as gradeschool
from stages.lib.records import Problem, Source
from stages.ood.mpa import agents, checks, distractors, faults, normal, pipeline, principles, rules, spans
from tests.chat_server import prompts, serve

ROOT = Path(os.environ.get("ASSAY_BENCHMARKS", ""))
REAL = pytest.mark.skipif(
    "ASSAY_BENCHMARKS" not in os.environ, reason="ASSAY_BENCHMARKS is not set; it names the folder of published files"
)
RULES = agents.of()
THINGS = ("beech", "oak", "maple", "willow", "cedar", "pine", "birch", "alder", "hazel", "rowan", "elm", "ash")


def item(number=0, question="Which of the following trees is the tallest here?", choices=None, answer=None, **more):
    draw = seeds.rng("test", number)
    choices = choices or [f"the {name}" for name in draw.sample(THINGS, 4)]
    answer = answer or "ABCD"[draw.randrange(4)]
    return Problem(
        id=f"quiz/test/trees/{number:04}", benchmark="quiz", split="test", question=question, choices=choices,
        answer=answer, answer_type="choice", licence="MIT", source=Source(url="none"), **more,
    )  # fmt: skip


def free(question, answer="4", kind="number", number=0):
    return Problem(
        id=f"sums/test/{number:04}", benchmark="sums", split="test", question=question, answer=answer,
        answer_type=kind, licence="MIT", source=Source(url="none"),
    )  # fmt: skip


def made(problem, names, seed=1, others=()):
    kept, rejects = pipeline.variants([problem], names, RULES, seed, others=[problem, *others])
    assert not rejects, rejects
    return kept[0]


# The records.


def test_a_variant_names_its_parent_operator_and_contract():
    parent = gradeschool("test", 1, 1)[0]
    for names, operator in [
        ("question", "mpa-question"),
        ("context+question", "mpa-question-context"),
        ("all", "mpa-all"),
    ]:
        variant = made(parent, names)
        assert (variant.id, variant.operator) == (f"{parent.id}~{operator}", operator)
        assert (variant.parent, variant.contract, variant.program) == (parent.id, "preserving", None)
        assert (variant.answer, variant.steps, variant.difficulty) == (parent.answer, parent.steps, parent.difficulty)
        assert variant.question != parent.question and not pipeline.contradictions(parent, variant, names)


def test_what_cannot_be_done_is_a_reject_and_never_an_unchanged_item():
    cases = [
        (free("What is $1+1$?"), "permute", "needs options"),
        (item(choices=["a", "a", "a", "a"], answer="B"), "permute", "reads the same"),
        (item(choices=["the oak", "the elm", "both A and B", "none"], answer="A"), "permute", "by letter"),
        (
            item(choices=["the oak", "the elm", "the ash", "All of the above"], answer="D"),
            "newchoice",
            "the key speaks",
        ),
        (item(choices=["True, True", "False, False", "True, False", "False, True"]), "newchoice", "all the verdicts"),
        (item(answer="Z"), "question", "not the letter"),
        (free("print it", "x", "code"), "question", "programming"),
    ]
    for problem, name, reason in cases:
        kept, (reject,) = pipeline.variants([problem], name, RULES, 1)
        assert not kept and reason in reject.reason
        assert reject.id == f"{problem.id}~mpa-{name}" and reject.operator == f"mpa-{name}" and reject.tries >= 1
    with pytest.raises(UserError, match="allowed are all"):
        pipeline.variants([item()], "question+spin", RULES, 1)


def test_equal_seeds_give_equal_variants_whatever_the_order_and_the_company():
    problems = [item(i) for i in range(20)]
    first, _ = pipeline.variants(problems, "all", RULES, 1)
    again, _ = pipeline.variants(problems[::-1], "all", RULES, 1)
    assert sorted(first, key=lambda p: p.id) == sorted(again, key=lambda p: p.id)
    alone, _ = pipeline.variants(problems[:1], "all", RULES, 1)
    assert alone[0] == first[0]
    other, _ = pipeline.variants(problems, "all", RULES, 2)
    assert sum(a == b for a, b in zip(first, other, strict=True)) == 0


# Spans and the normal form.


@pytest.mark.parametrize(
    "text, protected",
    [
        ("He pays $5 for tea and $10 for cake.", []),
        ("Let $x = 5$. Find $x^2.$", ["$x = 5$", "$x^2.$"]),
        (r"Then \[a \text{ if } b.\] Find [asy] draw(a); [/asy]", [r"\[a \text{ if } b.\]", "[asy] draw(a); [/asy]"]),
        ('It grew 3" and then 2" more.', []),
        ('She said, "How many are 12?" and left.', ['"How many are 12?"']),
    ],
)
def test_formulas_drawings_and_quotations_are_protected_and_money_is_not(text, protected):
    masked, kept = spans.mask(text)
    assert kept == protected and spans.unmask(masked, kept) == text


def test_sentences_join_to_the_text():
    text = "Mr. Smith has 2.5 kg.  Does he?\nYes! In the U.S. it is 3 p.m. now"
    parts = spans.sentences(text)
    assert "".join(part + gap for part, gap in parts) == text
    assert [part for part, _ in parts][:2] == ["Mr. Smith has 2.5 kg.", "Does he?"]


SAME = [
    ("How many apples does she have left?", "Find how many apples she has left."),
    ("What is the sum of the digits?", "Determine the sum of the digits."),
    ("If x is 3, what is the value of $y$?", "Find $y$ if x is 3."),
    ("Which of the following isn't a bird?", "Answer the following question. Which of these is not a bird?"),
    ("Tom bought 3 pens.", "Tom purchased 3 pens."),
]
OTHER = [
    ("Tom gives Ann 3 pens.", "Ann gives Tom 3 pens."),
    ("Tom has 3 pens and 5 cups.", "Tom has 5 pens and 3 cups."),
    ("Which of the following is a bird?", "Which of these is not a bird?"),
    ("How many clips did she sell?", "Find how many customers she sold."),
    ("Tom has 3 pens. He buys 2.", "Tom has 3 pens."),
    ("Find $x^2$.", "Find $x^3$."),
    ("It weighs at least 3 kg.", "It weighs at most 3 kg."),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_says_the_same_has_one_form(one, other):
    assert normal.same(one, other) and normal.same(other, one)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_what_says_something_else_has_not(one, other):
    assert not normal.same(one, other)


# The principles.


def test_questions_are_rewritten_by_the_grammar():
    texts = [
        made(free("Tom buys 3 pens for $2. How many pens does he have?", number=i), "question").question
        for i in range(30)
    ]
    assert any(re.search(r"(?:Find|Determine|Work out) how many pens he has\.", text) for text in texts)
    assert len(dict.fromkeys(texts)) > 5 and all("$2" in text for text in texts)


def test_a_formula_is_never_rewritten():
    formula = r"$\text{children buy in total}$"
    for i in range(20):
        assert (
            formula
            in made(free(f"Let {formula} be the sum. What is the sum, in total?", number=i), "question").question
        )


def test_answer_positions_are_uniform_after_permuting_even_from_one_position():
    from scipy.stats import chisquare

    for source in (None, "A"):
        parents, pool = [item(i, answer=source) for i in range(2000)], distractors.pool([], 1)
        counts = Counter(
            RULES.paraphraser.apply("permute", parent, principles.draft(parent), pool, (0,)).answer
            for parent in parents
        )
        assert chisquare([counts[letter] for letter in "ABCD"]).pvalue > 0.01, counts


def test_permuting_moves_the_key_with_its_letter_and_is_never_the_identity():
    for i in range(200):
        parent = item(i)
        variant = made(parent, "permute")
        assert sorted(variant.choices) == sorted(parent.choices) and variant.choices != parent.choices
        assert variant.choices["ABCD".index(variant.answer)] == parent.choices["ABCD".index(parent.answer)]


def test_permuting_equal_texts_keys_by_place_and_never_looks_unchanged():
    for i in range(100):
        parent = item(i, choices=["x", "x", "y", "z"], answer="B")
        draft = rules.permute(parent, principles.draft(parent), seeds.rng(i), distractors.pool([], 1))
        assert draft.origin["ABCD".index(draft.answer)] == 1 and list(draft.choices) != parent.choices


def test_all_of_the_above_stays_last():
    for i in range(50):
        parent = item(i, choices=["the oak", "the elm", "the ash", "All of the above"], answer="D")
        variant = made(parent, "permute")
        assert variant.choices[3] == "All of the above" and variant.answer == "D"


def test_context_holds_no_number_and_not_the_answer():
    parent = item(choices=["exam", "lesson", "class", "club"], answer="C", question="Where do students sit?")
    for i in range(20):
        added = checks.added(parent.question, made(parent, "context", seed=i).question)
        assert added and not re.search(r"\d|\bclass\b", added)


NEW = [
    (["12", "14", "16", "18"], "B", "How much is it?"),
    (["$1,200", "$1,400", "$1,650", "$1,800"], "B", "How much is it?"),
    (["0.5", "0.25", "0.75", "1.5"], "A", "What is the value of x?"),
    (["about 10", "about 20", "about 30", "about 40"], "C", "About how much is it?"),
    (["Yes, because the oak is tall.", "Yes, because the elm is.", "No, because it is short.", "No, because it was cut."],
     "A", "Will it win?"),
    (["an oak", "an elm", "an ash", "a pine"], "D", "All of the following are old except"),
]  # fmt: skip


@pytest.mark.parametrize(("choices", "answer", "question"), NEW)
def test_a_new_choice_differs_from_all_and_comes_last(choices, answer, question):
    for i in range(25):
        parent = item(i, question, choices, answer)
        variant = made(parent, "newchoice")
        assert variant.choices[:4] == choices and len(variant.choices) == 5 and variant.answer == answer
        assert not any(checks.alike(variant.choices[4], choice) for choice in choices)


def test_a_new_estimate_is_never_nearer_to_the_key_than_an_option_on_its_side():
    for i in range(60):
        values = [10, 20, 30, 40]
        parent = item(i, "About how much is it?", [f"about {v}" for v in values], "B")
        new = float(made(parent, "newchoice").choices[4].split()[1])
        assert any((v > 20) == (new > 20) and abs(v - 20) < abs(new - 20) for v in values if v != 20)


def test_two_wrong_options_that_make_up_the_key_are_not_joined():
    parent = item(0, "Which of these is found there?", ["actin", "myosin", "actin and myosin", "water"], "C")
    for i in range(20):
        new = made(parent, "newchoice", seed=i).choices[4]
        assert not ("actin" in new and "myosin" in new)


def test_options_are_rewritten_alike_and_keep_their_numbers():
    variant = made(item(choices=["$5", "$1,200", "$30", "$7.50"], answer="B"), "choices")
    assert variant.choices == ["5 dollars", "1,200 dollars", "30 dollars", "7.50 dollars"] and variant.answer == "B"
    grid = ["True, True", "False, False", "True, False", "False, True"]
    assert made(item(choices=grid, answer="C"), "choices").choices[2] == "the first: true; the second: false"
    assert normal.option("Aa") != normal.option("aa") and normal.option("0.5") == normal.option(".5")


# The judge, measured.


def measured(problems, floor=0.95):
    report = faults.measure(problems, RULES, 1)
    for name, found in report.items():
        if found["n"]:
            assert found["recall"] >= floor and found["precision"] >= floor, (name, found)
            for fault, (caught, planted) in found["by_fault"].items():
                assert planted < 20 or caught >= 0.9 * planted, (name, fault, caught, planted)
    return report


def test_planted_faults_in_the_bundled_benchmark_are_caught():
    report = measured(gradeschool("test", 25, 1))
    assert report["question"]["good"] == report["context"]["good"] == 25 and report["choices"]["n"] == 0
    planted = report["question"]["by_fault"]
    assert all(
        planted[name][1] > 0 for name in ("changed number", "exchanged numbers", "dropped condition", "unchanged")
    )


def test_planted_faults_in_multiple_choice_are_caught():
    problems = [item(i, *NEW[i % 6][2::-2], NEW[i % 6][1]) if i % 2 else item(i) for i in range(36)]
    report = measured(problems)
    assert all(found["n"] > 60 for found in report.values())


def test_a_judge_who_says_yes_to_all_is_found_out(tmp_path):
    """The measure measures: without the rules judge recall falls to what the checks see alone."""
    with serve("<<<Yes>>>") as server:
        blind = chat.make("openai", tmp_path, model="m", base_url=server.url, key_env=None)
        report = faults.measure(gradeschool("test", 5, 1), agents.of(None, blind), 1)
    assert report["question"]["recall"] < 0.95 and report["question"]["by_fault"]["exchanged numbers"][0] < 5


def test_a_faulty_composition_is_caught_whole():
    parent = item(3)
    good = principles.draft(parent)
    for name in principles.PRINCIPLES:
        good = RULES.paraphraser.apply(name, parent, good, distractors.pool([parent], 1), (0,))
    assert pipeline.fault(parent, good, principles.PRINCIPLES, RULES, (0,)) is None
    for name in principles.PRINCIPLES:
        for fault, broken in faults.planted(parent, good, name, 1):
            seen = broken._replace(origin=checks.origins(parent, broken.choices))
            assert pipeline.fault(parent, seen, principles.PRINCIPLES, RULES, (0,)), (name, fault)


# Agents with a model behind them.


def paraphrases(prompt):
    if "examination item" in prompt:
        return "Fine. <<<Yes>>>"
    if "Say each option" in prompt:
        listed = prompt.split("Options:\n")[1].split("\n\n")[0]
        return f"<<<{re.sub(r': the ', ': that ', listed)}>>>"
    if "one more option" in prompt:
        return "<<<a tree made of glass>>>"
    if "one sentence of context" in prompt:
        return "<<<A gardener walked through the park.>>>"
    return "<<<Out of these trees, which is the tallest here?>>>"


def talk(server, folder, **settings):
    return chat.make("openai", folder, model="m", base_url=server.url, key_env=None, backoff=0.01, **settings)


def test_all_principles_through_a_server(tmp_path):
    with serve(paraphrases) as server:
        model = talk(server, tmp_path)
        variants, rejects = pipeline.variants([item(i) for i in range(6)], "all", agents.of(model, model), 1)
        assert not rejects and len(server.asked) == 30
        judged = [text for text in prompts(server.asked) if "examination item" in text]
        assert len(judged) == 6 and all("glass" in text and "gardener" in text for text in judged)
        assert all(any(v.question in text and f"Answer: {v.answer}" in text for text in judged) for v in variants)
        for i, variant in enumerate(variants):
            assert "a tree made of glass" in variant.choices and "gardener" in variant.question
            key = item(i).choices["ABCD".index(item(i).answer)]
            assert variant.choices["ABCDE".index(variant.answer)] == key.replace("the ", "that ")
        pipeline.variants([item(i) for i in range(6)], "all", agents.of(model, model), 1)
        assert len(server.asked) == 30


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("no mark at all", "0 marked parts"),
        ("<<<a>>> or <<<b>>>", "2 marked parts"),
        ("<<<Which of the following trees is the tallest here?>>>", "unchanged"),
        ("<<<Which of the 7 trees is the tallest here?>>>", "numbers changed"),
        ("<<<Which of these trees is the shortest here, not the tallest?>>>", "denial"),
    ],
)
def test_a_paraphrase_that_stays_bad_is_a_reject_after_the_last_try(tmp_path, answer, reason):
    with serve(answer) as server:
        kept, (reject,) = pipeline.variants([item()], "question", agents.of(talk(server, tmp_path)), 1, tries=3)
        assert not kept and reason in reject.reason and reject.tries == 3 and len(server.asked) == 3


def test_a_bad_try_is_followed_by_a_good_one(tmp_path):
    with serve("no mark", "busy", "<<<Among these trees, which is the tallest here?>>>", "<<<Yes>>>") as server:
        model = talk(server, tmp_path)
        (variant,), rejects = pipeline.variants([item()], "question", agents.of(model, model), 1)
        assert variant.question.startswith("Among") and not rejects and len(server.asked) == 4


def test_the_judges_no_and_its_reason_reach_the_ledger_of_rejects(tmp_path):
    with serve("<<<No: it asks for something else>>>") as server:
        kept, (reject,) = pipeline.variants([item()], "question", agents.of(None, talk(server, tmp_path)), 1, tries=2)
        assert not kept and reject.reason == "it asks for something else" and reject.tries == 2


def test_a_model_without_an_answer_makes_a_reject(tmp_path):
    with serve("broken") as server:
        kept, (reject,) = pipeline.variants([item()], "question", agents.of(talk(server, tmp_path, tries=2)), 1)
        assert not kept and "no answer after 2 tries" in reject.reason


# The published files.


def real(name, count):
    from stages.benchmarks.__main__ import Params, build

    file = {"gsm8k": "gsm8k/test.jsonl", "math": "math/math500.jsonl", "aime": "aime/aime24.jsonl"}.get(
        name, "mmlu/test"
    )
    sizes = dict.fromkeys(("train", "verifier", "dev", "test"))
    params = {"name": name, "source": "path", "sizes": sizes, "shares": None, "path": {"test": [str(ROOT / file)]}}
    problems, _ = build(Params.model_validate(params), 1)
    return sorted(problems, key=lambda problem: seeds.key("sample", problem.id))[:count]


@REAL
@pytest.mark.parametrize("name", ["gsm8k", "math", "aime", "mmlu"])
def test_published_items_are_kept_and_planted_faults_in_them_caught(name):
    problems = real(name, 24)
    measured(problems)
    for wanted in ("all", *(principles.PRINCIPLES if name == "mmlu" else principles.FREE)):
        kept, rejects = pipeline.variants(problems, wanted, RULES, 1)
        reasons = Counter(reject.reason for reject in rejects)
        assert len(kept) >= 0.75 * len(problems) and len(kept) + len(rejects) == len(problems), reasons
        by_id = {problem.id: problem for problem in problems}
        for variant in kept:
            assert json.dumps(variant.model_dump()) and not pipeline.contradictions(
                by_id[variant.parent], variant, wanted
            )
