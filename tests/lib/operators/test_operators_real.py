"""Operators on real problems: what a lifted solution allows is changed, everything else is rejected."""

import json
import re
from fractions import Fraction

import pytest

from stages.lib.core.records import Problem
from stages.lib.operators import numbers, premise, registry
from stages.lib.operators.programs import gsm8k_program
from stages.lib.operators.rejects import Reject, write_rejects
from stages.lib.procedural import lifting
from tests.lib.procedural.test_lifting import problem, published, real

ALL = [name for name, each in registry.OPERATORS.items() if "lifted" in each.changes]
STORIES = [
    problem(
        "Nora has 16 apples. Tom has 7 more apples than Nora and buys 4 pears for $3 each. How many apples does Tom have?",
        ["Tom has 16+7=<<16+7=23>>23 apples.", "#### 23"],
        number=1,
    ),
    problem(
        "Mary works 6 hours a day and earns $15 an hour. She works 5 days every week. How many dollars is that a week?",
        ["She works 6*5=<<6*5=30>>30 hours.", "She earns 30*15=$<<30*15=450>>450.", "#### 450"],
        number=2,
    ),
    problem(
        "Jack buys 12 packs with 30 stickers. He bought 8 kites for 4 kids in total. How many stickers does he have?",
        ["He has 12*30=<<12*30=360>>360 stickers.", "#### 360"],
        number=3,
    ),
]


def test_real_stories_change_as_they_say():
    variants, rejects = registry.make_variants(STORIES, ALL, 2)
    by = {variant.id: variant for variant in variants}
    assert all(registry.check(variant) == [] for variant in variants)
    names_ = by["gsm8k/test/0001~names"]
    assert "Nora" not in names_.question and "Tom" not in names_.question + names_.steps[0].text
    assert re.search(r"\d+ (apples|pears)\b", names_.question)
    units = by["gsm8k/test/0002~units"]
    assert units.answer == "450" and units.steps[0].value == "15"
    undone = by["gsm8k/test/0002~reversed"]
    assert "The answer to that question is 450. What is x?" in undone.question
    further = by["gsm8k/test/0002~steps"]
    assert further.question.endswith("What is the result?") and len(further.steps) == 4
    assert {reject.id for reject in rejects} | set(by) == {f"{story.id}~{name}" for story in STORIES for name in ALL}


def test_the_words_for_things_people_and_order_of_real_text_are_left_alone():
    assert not {"items", "order", "phrasing", "irrelevant", "roles"} & {*ALL}
    unlifted = problem("Rose has some roses. How many?", ["She has many.", "#### 3"], number=4)
    variants, rejects = registry.make_variants([unlifted], ["items", "numbers", "typos", "preamble"], 1)
    assert {variant.operator for variant in variants} <= {"typos", "preamble"}
    assert [reject.operator for reject in rejects if reject.reason.startswith("no program: ")] == ["numbers"]


def change_one(question, lines, name, seeds=8):
    """The questions that an operator makes of a story, over some seeds."""
    draws = [registry.make_variants([problem(question, lines)], [name], seed)[0] for seed in range(seeds)]
    return [variants[0].question for variants in draws if variants]


BOTH = ["6+4=<<6+4=10>>10", "#### 10"]


@pytest.mark.parametrize(
    ("question", "able"),
    [
        ("Tom has 6 pens and Nora has 4 pens. How many have they?", True),
        ("Tom and Ginger have 6 pens each day and 4 at night. How many have they?", False),
        ("Ginger has 6 pens. Nora has 4 pens. How many have they?", False),
        ("Tom has 6 pens and Zorba's friend has 4. How many have they?", False),
        ("Tom has 6 pens on Monday. After lunch he has 4 more. How many has he?", True),
    ],
)
def test_all_who_are_named_are_renamed_or_nobody(question, able):
    found = change_one(question, BOTH, "names")
    assert bool(found) == able and not any("Tom" in text or "Nora" in text for text in found)


DAY = ["3*20=<<3*20=60>>60", "#### 60"]


@pytest.mark.parametrize(
    ("question", "able"),
    [
        ("Ann earns $20 a day. How many dollars does she earn in 3 days?", True),
        ("Ann earns $20 a day for 3 days. How much does she earn?", False),  # 6000 would be right, in cents
        ("Ann wants a $3 hat, 20 times over. She has $70. How much do they cost?", False),  # a 300 cents hat
        ("Ann rests for 3 minutes 20 times. How long does she rest?", False),  # 3600, in seconds
        ("Ann rests for 3 minutes 20 times. How many minutes does she rest?", True),
        ("Ann works an 8 hour day for 3 days and digs 20 holes a day. How many holes does she dig?", False),
        ("Ann has 3 20 minute breaks. How many minutes is that?", False),  # 3 1200 seconds breaks
    ],
)
def test_a_unit_is_changed_where_the_answer_keeps_its_own(question, able):
    assert bool(change_one(question, DAY, "units")) == able


def test_what_the_story_may_hold_by_itself_is_left_alone():
    school = problem(
        "Of 20 students 12 are girls and 8 are boys. Each girl pays $3. How much do the girls pay?",
        ["12*3=$<<12*3=36>>36", "#### 36"],
    )
    made, rejects = registry.make_variants([school], ["numbers", "premise", "reversed"], 1)
    assert not made and all("12 + 8" in r.reason or "8 + 12" in r.reason for r in rejects)


def test_new_numbers_must_not_depend_on_how_a_number_is_read():
    bags = problem(
        "Ann has 2 bags with 6 pens in each and buys 12 cups. She puts 12 pens away and gets 20. How many has she?",
        ["2*6=<<2*6=12>>12 pens", "12-12=<<12-12=0>>0", "0+20=<<0+20=20>>20", "#### 20"],
    )
    program = lifting.lift(bags)
    assert numbers.is_plausible(program, [Fraction(n) for n in (2, 6, 12, 12, 25)])
    assert not numbers.is_plausible(program, [Fraction(n) for n in (3, 6, 12, 12, 25)])


def made_of(question, line, names, seeds=range(4)):
    """All variants of a story with one step, over some seeds."""
    story = problem(question, [line, "#### " + line.rpartition(">>")[2]])
    return [variant for seed in seeds for variant in registry.make_variants([story], names, seed)[0]]


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("Ann rings 3 times more than Ben, who rings 20 times. How often does Ann ring?", "3+20=<<3+20=23>>23"),
        (
            "Ann picks 4 pears a day on the first 3 days and 4 more on each of the rest of the week. How many then?",
            "4*4=<<4*4=16>>16",
        ),
        (
            "Ann drives 60 miles an hour for 2 hours and 30 miles an hour for 1 hour. What is her average speed?",
            "(60*2+30)/3=<<(60*2+30)/3=50>>50",
        ),
    ],
)
def test_a_number_that_may_be_meant_otherwise_is_not_redrawn_alone(question, line):
    for variant in made_of(question, line, ["numbers", "reversed", "larger"]):
        said = [int(n) for n in re.findall(r"\d+", variant.question)]
        assert "first" in question and variant.operator == "numbers" and 7 - said[1] == said[0], variant.question


def test_a_calendar_money_and_legs_keep_their_numbers():
    for question, line in (
        ("Ann earns $12 a day in a 6 day week. How much in all?", "6*12=<<6*12=72>>72"),
        ("Ann has 12 20-dollar bills. How much is that?", "12*20=<<12*20=240>>240"),
        ("Ann builds 12 tricycles with 3 wheels each. How many wheels?", "12*3=<<12*3=36>>36"),
    ):
        made = made_of(question, line, ["numbers"])
        assert made and all(re.search(r" 6 day week| 20-dollar | 3 wheels", variant.question) for variant in made)


def test_nobody_gets_older_than_a_hundred():
    made = made_of(
        "Ann is 6 years old. Ben is 15 times as old. How old is Ben?", "6*15=<<6*15=90>>90", ["numbers"], range(20)
    )
    assert made and all(int(variant.answer) <= 100 for variant in made)


@pytest.mark.parametrize(
    ("told", "stays"),
    [
        ("Ann earns $12 and Ben $30. What is the average of the two?", "the two"),
        ("Ann and Ben earn $12 and $30. What is that for each of 2 people?", "2 people"),
        ("Ann, Ben, and Cal earn $12 and $30. What is that for each of three?", "three"),
    ],
)
def test_as_many_as_are_named_stay(told, stays):
    made = made_of(
        told, "(12+30)/3=<<(12+30)/3=14>>14" if "three" in told else "(12+30)/2=<<(12+30)/2=21>>21", ["numbers"]
    )
    assert made and all(re.search(rf"{stays}\b", variant.question) for variant in made)


def test_larger_numbers_are_for_the_bundled_world():
    assert "lifted" not in registry.OPERATORS["larger"].changes and not registry.fits_problem("larger", STORIES[0])


def test_a_quotient_that_may_be_rounded_tells_nothing_back():
    boxes = "Ann has 30 eggs. {} 6 eggs. How many boxes {}?"
    filled = made_of(boxes.format("A box holds", "can she fill"), "30/6=<<30/6=5>>5", ["reversed"])
    shared = made_of(boxes.format("Each of her boxes has", "does she have"), "30/6=<<30/6=5>>5", ["reversed"])
    assert not filled and shared
    assert not made_of("Ann has 30 eggs, Ben has 6. What is the difference?", "30-6=<<30-6=24>>24", ["reversed"])


def test_who_comes_may_be_those_who_were_invited():
    told = "Ann cooks for 30 {0}. Then 17 {0} eat 3 eggs each. How many eggs are that?"
    assert not made_of(told.format("guests"), "17*3=<<17*3=51>>51", ["premise"])
    starts = "{} children eat 3 eggs each. How many eggs are that?"
    assert not made_of(starts.format("17"), "17*3=<<17*3=51>>51", ["premise"])
    assert made_of(starts.format("Ann sees 17"), "17*3=<<17*3=51>>51", ["premise"])


def test_a_number_that_could_be_worked_out_is_no_missing_premise():
    assert premise.is_recoverable([Fraction(20), Fraction(12), Fraction(8)], 1)
    assert not premise.is_recoverable([Fraction(20), Fraction(11), Fraction(7)], 1)


GAPS = [
    (
        ["Tom buys 7 red apples and 3 pears for $9 each.", "How much are the pears and apples?"],
        ["7+3=<<7+3=10>>10", "10*9=$<<10*9=90>>90", "#### 90"],
        "Tom buys red apples and 3 pears",
    ),
    (
        ["Ann fills 4 crates.", "Each crate holds 30 bottles.", "How many bottles does Ann have?"],
        ["4*30=<<4*30=120>>120", "#### 120"],
        "Ann fills crates|Each crate holds bottles",
    ),
]


@pytest.mark.parametrize(("said", "lines", "expected"), GAPS)
def test_a_missing_premise_leaves_no_marker(said, lines, expected):
    for seed in range(6):
        made, _ = registry.make_variants([problem(" ".join(said), lines)], ["premise"], seed)
        lost, twin = made
        assert re.search(expected, lost.question) and lost.answer == "N/A" and lost.abstain and twin.abstain
        assert twin.question.endswith(" ".join(said)) and twin.answer == lines[-1].removeprefix("#### ")
        assert not re.search(r"\b(some|several|few|number of|x)\b", lost.question)
        assert registry.check(lost) == registry.check(twin) == []


def test_the_loss_of_an_event_is_no_missing_premise():
    story = problem(
        "Tom has 20 pears. A thief eats 7 of the pears. How many pears does Tom have?",
        ["20-7=<<20-7=13>>13", "#### 13"],
    )
    for seed in range(8):
        made, _ = registry.make_variants([story], ["premise"], seed)
        assert not made or "A thief eats 7" in made[0].question


@real
def test_a_bag_of_words_hardly_tells_which_real_problems_lost_a_premise():
    from stages.problems.ood import shortcuts

    items = list(published("test", 2))
    variants, _ = registry.make_variants(items, ["premise"], 1)
    labelled = [(v.question, v.contract == "unsolvable", v.parent) for v in variants]
    assert len(variants) >= 120 and shortcuts.distractor_detector_accuracy(labelled) <= 0.6


def test_without_a_program_only_noise_and_a_preamble_are_asked_for():
    plain = Problem.model_validate(
        {
            **STORIES[0].model_dump(),
            "benchmark": "mmlu",
            "id": "mmlu/test/1",
            "answer_type": "choice",
            "answer": "B",
            "choices": ["one thing", "another"],
            "steps": None,
        }
    )
    variants, rejects = registry.make_variants([plain], registry.OPERATORS, 1)
    assert [variant.operator for variant in variants] == ["typos", "preamble"] and not rejects
    assert registry.check(variants[0]) == [] and registry.check(variants[0].model_copy(update={"answer": "A"}))
    assert registry.check(variants[0].model_copy(update={"choices": ["another", "one thing"]}))


@real
def test_real_problems_change_and_hold():
    items = list(published("test", 45))
    variants, rejects = registry.make_variants(items, ALL, 1)
    assert len({v.id.removesuffix("~kept") for v in variants}) + len(rejects) == len(items) * len(ALL)
    assert all(registry.check(variant) == [] for variant in variants)
    for variant in variants:
        for step in variant.steps[:-1]:
            if step.value is not None and variant.operator in ("numbers", "larger"):
                state = variant.program.params["base"]["params"]
                assert numbers.is_plausible(
                    state, gsm8k_program.get_numbers({**state, **variant.program.params["changes"][0]})
                )


def test_rejects_are_written_in_order(tmp_path):
    rejects = [Reject("b~x", "x", "no"), Reject("a~x", "x", "no", 3)]
    write_rejects(tmp_path / "rejects.jsonl", rejects)
    rows = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a~x", "b~x"] and rows[0]["tries"] == 3
