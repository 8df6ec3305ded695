"""Operators: variants keep their contract, follow from their program, and depend on nothing but their key."""

import json
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from stages.lib import gradeschool, lifting
from stages.lib.gradeschool import program as programs
from stages.lib.gradeschool import wording
from stages.lib.records import Problem
from stages.lib.tokenizer import words
from stages.ood import operators
from stages.ood.operators import names, noise, numbers, order, phrasing, premise, retold, tale
from stages.ood.operators.operator import Unfit
from stages.ood.rejects import Reject, write_rejects
from tests.test_lifting import problem, published, real

PARENTS = gradeschool.problems("test", 60, 5, steps=(3, 5), largest=60)
BY_ID = {parent.id: parent for parent in PARENTS}
ALL = list(operators.OPERATORS)
MADE, REJECTED = operators.variants(PARENTS, ALL, 3, largest=60)
STORIES = [
    problem(
        "Nora has 16 apples. Tom has 7 more apples than Nora and buys 4 pears for $3 each. How many apples does Tom have?",
        ["Tom has 16+7=<<16+7=23>>23 apples.", "#### 23"], number=1,
    ),
    problem(
        "Mary works 6 hours a day and earns $15 an hour. She works 5 days every week. How much does she earn per week?",
        ["She works 6*5=<<6*5=30>>30 hours.", "She earns 30*15=$<<30*15=450>>450.", "#### 450"], number=2,
    ),
    problem(
        "Jack buys 12 packs with 30 stickers. He bought 8 kites for 4 kids in total. How many stickers does he have?",
        ["He has 12*30=<<12*30=360>>360 stickers.", "#### 360"], number=3,
    ),
]  # fmt: skip


def of(name, made=MADE):
    return [variant for variant in made if variant.operator == name]


def test_every_variant_or_its_reject_is_accounted_for():
    assert {v.id for v in MADE} | {r.id for r in REJECTED} == {f"{p.id}~{name}" for p in PARENTS for name in ALL}
    assert len(MADE) + len(REJECTED) == len(PARENTS) * len(ALL)
    for name in ALL:
        assert len(of(name)) >= 0.8 * len(PARENTS), name
    assert all(reject.reason for reject in REJECTED)


@pytest.mark.parametrize("name", ALL)
def test_a_variant_keeps_its_contract(name):
    for variant in of(name):
        parent = BY_ID[variant.parent]
        assert operators.check(Problem.model_validate(json.loads(variant.model_dump_json()))) == []
        assert variant.question != parent.question and variant.steps[-1].text == f"#### {variant.answer}"
        same = variant.answer == parent.answer
        assert same if variant.contract == "preserving" else not same
        assert (variant.answer == "N/A") == (variant.contract == "unsolvable")
        assert (variant.split, variant.benchmark, variant.licence) == (parent.split, parent.benchmark, parent.licence)


@pytest.mark.parametrize("name", ALL)
def test_a_planted_wrong_label_is_found(name):
    variant = of(name)[0]
    wrong = {"answer": "4711", "contract": "preserving" if variant.contract != "preserving" else "changing",
             "question": variant.question.replace(" ", "  ", 1), "operator": "none"}  # fmt: skip
    for field, value in wrong.items():
        assert operators.check(variant.model_copy(update={field: value})), field
    for i in range(len(variant.steps)):
        steps = list(variant.steps)
        steps[i] = steps[i].model_copy(update={"value": "4711"})
        assert operators.check(variant.model_copy(update={"steps": steps})), i


def test_two_solvers_agree_on_the_benchmark():
    for split in wording.SPLITS:
        for item in gradeschool.problems(split, 60, 11, steps=(1, 7), largest=100):
            assert tale.solve(item.program.params) == (item.steps, item.answer)
            assert tale.question(item.program.params) == item.question


def test_numbers_are_drawn_by_the_benchmarks_law():
    relations = [relation for relation in wording.WORDINGS if relation not in ("given", "sum", "question")]
    for relation in relations:
        for value in range(1, 60):
            ours = tale.numbers(relation, value, 60)
            assert all(programs._used({"relation": relation, "number": said}) == used for said, used in ours)
            drawn = programs._number(relation, value, 60, gradeschool.program.seeds.rng(value))
            assert (drawn is None) == (not ours) and (drawn is None or drawn in ours)


def test_a_variant_depends_on_its_key_alone():
    few = operators.variants(list(reversed(PARENTS[:7])), list(reversed(ALL)), 3, largest=60)[0]
    every = {variant.id: variant for variant in MADE}
    assert few and all(every[variant.id] == variant for variant in few)
    other = operators.variants(PARENTS[:20], ["numbers", "order", "names"], 4, largest=60)[0]
    assert sum(every[v.id].question == v.question for v in other if v.id in every) <= 2


def test_the_same_bytes_in_every_process():
    code = (
        "import hashlib; from stages.lib import gradeschool; from stages.ood import operators as o;"
        "m, r = o.variants(gradeschool.problems('test', 12, 5), list(o.OPERATORS), 3, 60);"
        "print(hashlib.sha256(''.join(v.model_dump_json() for v in m).encode() + repr(r).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed}, cwd=Path(__file__).parent.parent,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1


def test_an_unsolvable_problem_has_two_completions_that_fit_what_is_told():
    for variant in of("premise"):
        params = variant.program.params
        state, change = params["base"]["params"], params["changes"][0]
        told = tale.sentences(operators.premise._apply_sentence(state, change))
        i = change["removed"]
        answers = set()
        for value, answer in change["completions"]:
            whole = json.loads(json.dumps(state))
            whole["quantities"][i] = {"relation": "given", "number": value, "template": [0, 0]}
            assert [s for j, s in enumerate(tale.sentences(whole)) if j != i] == told
            assert tale.solve(whole)[1] == str(answer)
            answers.add(answer)
        assert len(answers) == 2


def test_a_forged_proof_is_found():
    for variant in of("premise")[:5]:
        row = json.loads(variant.model_dump_json())
        (first, answer), second = row["program"]["params"]["changes"][0]["completions"]
        for forged in ([[first, answer], [first, answer]], [[first, answer + 1], second]):
            row["program"]["params"]["changes"][0]["completions"] = forged
            assert operators.check(Problem.model_validate(row))


def test_a_reversed_problem_asks_for_the_first_number():
    for variant in of("reversed"):
        state, change = variant.program.params["base"]["params"], variant.program.params["changes"][0]
        assert variant.answer == str(state["quantities"][change["asked"]]["number"])
        assert tale.sentences(state)[change["asked"]] not in variant.question
        assert re.search(rf"\b{BY_ID[variant.parent].answer}\b", variant.question)


def test_only_templates_of_the_own_split_or_of_none():
    for variant in [*of("irrelevant"), *of("steps"), *of("reversed")]:
        for change in variant.program.params["changes"]:
            entries = [change["entry"]] if "entry" in change else change.get("entries", [change.get("final")])
            assert {wording.owner(*entry["template"]) for entry in entries} == {"test"}
    old = {form for forms in wording.WORDINGS.values() for form in forms}
    assert not old & {form for forms in phrasing.FRESH.values() for form in forms}
    assert set(phrasing.FRESH) == set(wording.WORDINGS)


def test_fresh_words_are_in_the_vocabulary():
    known = {word.strip() for word in words()}
    texts = [form for forms in phrasing.FRESH.values() for form in forms]
    texts += [*names.ROLES, *operators.items.UNITS]
    for text in texts:
        for word in re.findall("[A-Za-z]+", re.sub(r"\{\w+\}", " ", text)):
            assert word in known, word


def test_typos_spare_what_carries_the_meaning():
    for variant in of("typos"):
        before, after = BY_ID[variant.parent].question.split(), variant.question.split()
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        assert len(changed) >= 2
        for old, _ in changed:
            assert old.islower() and old.strip(".,?") not in noise._PROTECTED | set(wording.UNITS) | set(wording.PARTS)


def test_operators_compose():
    made, rejects = operators.variants(PARENTS[:10], ["order+irrelevant+typos", "larger+premise"], 3, largest=60)
    assert len(made) >= 12 and all(operators.check(variant) == [] for variant in made)
    assert {(v.operator, v.contract) for v in made} == {
        ("order+irrelevant+typos", "preserving"), ("larger+premise", "unsolvable"),
    }  # fmt: skip


def test_larger_numbers_are_larger():
    for variant in of("larger"):
        state = variant.program.params["base"]["params"]
        params = variant.program.params["changes"][0]
        assert max(n for n in params["said"] if isinstance(n, int)) > max(
            entry["number"] for entry in state["quantities"] if isinstance(entry.get("number"), int)
        )


@pytest.mark.parametrize("largest", [30, 60, 100])
def test_numbers_keep_the_magnitudes_of_the_source(largest):
    from scipy.stats import ks_2samp

    parents = gradeschool.problems("test", 250, 8, steps=(3, 5), largest=largest)
    made, _ = operators.variants(parents, ["numbers"], 3, operators.bound(parents))
    said = [[float(n) for item in items for n in re.findall(r"\d+", item.question)] for items in (parents, made)]
    assert ks_2samp(*said).statistic <= 0.05


def test_a_variant_does_not_depend_on_the_problems_beside_it():
    names = ["numbers", "larger", "irrelevant", "steps"]
    alone = [operators.variants([parent], names, 3)[0] for parent in PARENTS[:8]]
    together = operators.variants(gradeschool.problems("test", 8, 5, steps=(3, 5), largest=60)
                                  + gradeschool.problems("dev", 4, 5, steps=(3, 5), largest=900), names, 3)[0]  # fmt: skip
    assert [v for own in alone for v in own] == [v for v in together if v.split == "test"]


# Real problems.


def test_real_stories_change_as_they_say():
    made, rejects = operators.variants(STORIES, ALL, 2)
    by = {variant.id: variant for variant in made}
    assert all(operators.check(variant) == [] for variant in made)
    names_ = by["gsm8k/test/0001~names"]
    assert "Nora" not in names_.question and "Tom" not in names_.question + names_.steps[0].text
    assert re.search(r"\d+ (apples|pears)\b", names_.question)
    units = by["gsm8k/test/0002~units"]
    assert units.answer == "450" and units.steps[0].value in ("15", "6", "5")
    undone = by["gsm8k/test/0002~reversed"]
    assert "The answer to that question is 450. What is x?" in undone.question
    further = by["gsm8k/test/0002~steps"]
    assert further.question.endswith("What is the result?") and len(further.steps) == 4
    assert {reject.id for reject in rejects} | set(by) == {f"{story.id}~{name}" for story in STORIES for name in ALL}


def test_what_the_story_may_hold_by_itself_is_left_alone():
    school = problem(
        "Of 20 students 12 are girls and 8 are boys. Each girl pays $3. How much do the girls pay?",
        ["12*3=$<<12*3=36>>36", "#### 36"],
    )
    made, rejects = operators.variants([school], ["numbers", "premise", "reversed"], 1)
    assert not made and all("12 + 8" in r.reason or "8 + 12" in r.reason for r in rejects)


def test_new_numbers_must_not_depend_on_how_a_number_is_read():
    bags = problem(
        "Ann has 2 bags with 4 pens in each and buys 8 cups. She puts 8 pens away and gets 3. How many has she?",
        ["2*4=<<2*4=8>>8 pens", "8-8=<<8-8=0>>0", "0+3=<<0+3=3>>3", "#### 3"],
    )
    program = lifting.lift(bags)
    assert numbers.fits(program, [Fraction(n) for n in (2, 4, 8, 8, 5)])
    assert not numbers.fits(program, [Fraction(n) for n in (3, 4, 8, 8, 5)])


def test_a_number_that_could_be_worked_out_is_no_missing_premise():
    assert premise.recoverable([Fraction(20), Fraction(12), Fraction(8)], 1)
    assert not premise.recoverable([Fraction(20), Fraction(11), Fraction(7)], 1)


GAPS = [
    (["Tom buys 5 red apples and 3 pears for $4 each.", "How much are the pears and apples?"],
     ["5+3=<<5+3=8>>8", "8*4=$<<8*4=32>>32", "#### 32"], "Tom buys red apples and 3 pears|5 red apples and pears"),
    (["Ann fills 4 crates.", "Each crate holds 30 bottles.", "How many bottles does Ann have?"],
     ["4*30=<<4*30=120>>120", "#### 120"], "Ann fills crates|^Ann fills 4 crates. How many"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "lines", "expected"), GAPS)
def test_a_missing_premise_leaves_no_marker(said, lines, expected):
    for seed in range(6):
        made, _ = operators.variants([problem(" ".join(said), lines)], ["premise"], seed)
        assert made and re.search(expected, made[0].question) and made[0].answer == "N/A"
        assert not re.search(r"\b(some|several|few|number of|x)\b", made[0].question)
        assert operators.check(made[0]) == []


def test_the_loss_of_an_event_is_no_missing_premise():
    story = problem(
        "Tom has 20 pears. A thief eats 7 of the pears. How many pears does Tom have?",
        ["20-7=<<20-7=13>>13", "#### 13"],
    )
    for seed in range(8):
        made, _ = operators.variants([story], ["premise"], seed)
        assert not made or "A thief eats 7" in made[0].question


def test_only_facts_are_told_in_another_order():
    leaning = problem(
        "Tom has 20 pears. Then he eats 4 pears. How many pears does Tom have?", ["20-4=<<20-4=16>>16", "#### 16"]
    )
    with pytest.raises(Unfit):
        order._draw(lifting.lift(leaning), None, {})


def test_two_facts_change_places_where_no_pronoun_follows():
    told = "Ann has 8 pears. Ben has 5 more pears than Ann. {} have 30 pears in all. How many has Eva?"
    for who, able in (("Cal, Dee and Eva", True), ("He and Eva", False)):
        story = problem(told.format(who), ["8+5=<<8+5=13>>13", "30-13=<<30-13=17>>17", "#### 17"])
        made, rejects = operators.variants([story], ["order"], 1)
        assert bool(made) == able, rejects
        assert not made or made[0].question.startswith("Ben has 5 more pears than Ann. Ann has 8 pears. ")


@real
def test_a_bag_of_words_hardly_tells_which_real_problems_lost_a_premise():
    from stages.ood import audit

    items = list(published("test", 2))
    made, _ = operators.variants(items, ["premise"], 1)
    by = {item.id: item for item in items}
    told = [(v.question, True, v.parent) for v in made] + [(by[v.parent].question, False, v.parent) for v in made]
    assert (
        len(made) >= 60 and audit.detector(told) <= 0.68
    )  # with `some`, `several`: over 0.9; a number less shows a bit


def test_without_a_program_only_noise_is_possible():
    plain = Problem.model_validate(
        {**STORIES[0].model_dump(), "benchmark": "mmlu", "id": "mmlu/test/1", "answer_type": "choice", "answer": "B",
         "choices": ["one thing", "another"], "steps": None}
    )  # fmt: skip
    made, rejects = operators.variants([plain], ALL, 1)
    assert [variant.operator for variant in made] == ["typos"] and len(rejects) == len(ALL) - 1
    assert operators.check(made[0]) == [] and operators.check(made[0].model_copy(update={"answer": "A"}))
    assert operators.check(made[0].model_copy(update={"choices": ["another", "one thing"]}))


@real
def test_real_problems_change_and_hold():
    items = list(published("test", 45))
    made, rejects = operators.variants(items, ALL, 1)
    assert len(made) + len(rejects) == len(items) * len(ALL)
    assert all(operators.check(variant) == [] for variant in made)
    for variant in made:
        for step in variant.steps[:-1]:
            if step.value is not None and variant.operator in ("numbers", "larger"):
                state = variant.program.params["base"]["params"]
                assert numbers.fits(state, retold.numbers({**state, **variant.program.params["changes"][0]}))


def test_rejects_are_written_in_order(tmp_path):
    rejects = [Reject("b~x", "x", "no"), Reject("a~x", "x", "no", 3)]
    write_rejects(tmp_path / "rejects.jsonl", rejects)
    rows = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a~x", "b~x"] and rows[0]["tries"] == 3
