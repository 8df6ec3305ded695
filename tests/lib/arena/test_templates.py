"""Templates against a real server on loopback whose model has a known habit; what is read as a grade and what is not."""

import re

import pytest

from stages.lib import chat
from stages.lib.arena import judges, templates
from stages.lib.core.errors import UserError
from tests.helpers import chat_server

FACT = templates.load("fact")
BATTLE = templates.load("battle")
ROWS = [
    {"question": f"What is {i}+1?", "first": f"{i + 1}", "second": "a much longer answer " * (i % 2)} for i in range(4)
]


def ask(tmp_path, reply, rows=ROWS):
    """Verdicts in both orders of a server whose model answers as `reply` says."""
    with chat_server.serve(reply) as server:
        model = chat.create("openai", tmp_path, model="m", base_url=server.url, key_env=None, tries=1, threads=2)
        return templates.judge_pairs(BATTLE, rows, model, "k")


def read_shown(prompt):
    first, second = re.search(r"\[First solution\]\n(.*)\n\[Second solution\]\n(.*)\n\[End\]", prompt, re.S).groups()
    return first, second


@pytest.mark.parametrize("name", templates.list_names())
def test_the_templates_here(name):
    template = templates.load(name)
    prompt = template.render({field: "{first} of x" for field in template.fields})
    assert "{first} of x" in prompt, "braces in a value are text"
    assert template.parse(prompt) is None, "a model that repeats the question has not answered it"
    for choice in template.choices:
        assert template.parse(f"Because of that.\n\n**{choice}**.\n") == choice


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("A", "A"),
        ("I think so.\n(B)", "B"),
        ("A\nB\n", "B"),
        ("C\nThat is all there is to say.", "C"),
        ("Answer", None),  # openai/evals issue 424: its first letter is a choice
        ("Answer: A", None),
        ("The answer is A", None),
        ("a", None),
        ("", None),
        ("I cannot help with that.", None),
        ("<think>\nA\n</think>\nB", "B"),
        ("<think>\nA", None),  # cut off in its thinking
    ],
)
def test_the_last_line_that_is_a_choice_counts(answer, choice):
    assert FACT.parse(answer) == choice


@pytest.mark.parametrize(
    ("mode", "choice"), [("classify_then_reason", "A"), ("reason_then_classify", "C"), ("classify", "C")]
)
def test_a_choice_before_its_reasons_is_the_first_one(mode, choice):
    template = FACT.model_copy(update={"answer": mode})
    assert template.parse("<think>\nB\n</think>\nHere:\n**A**\nIt cannot be\nB\nor\nC.") == choice


def test_always_first(tmp_path):
    forward, backward, raw = ask(tmp_path, "It is better.\nFirst")
    assert forward == backward == [1] * 4 and len(raw) == 8
    assert [judges.merge_orders(*both) for both in zip(forward, backward, strict=True)] == [0] * 4
    assert judges.measure_habits(forward, backward, [1] * 4)["first"] == 1.0


def test_an_answer_that_was_cut_off_is_no_grade(tmp_path):
    """Its last line may be a choice that the reasons only weigh."""
    forward, backward, raw = ask(tmp_path, "cut off: It could be\nFirst")
    assert forward == backward == [None] * 4 and set(raw) == {"cut off: It could be\nFirst"}
    assert judges.measure_habits(forward, backward, [1] * 4)["invalid"] == 1.0


def test_longer_wins(tmp_path):
    def reply(prompt):
        first, second = map(len, read_shown(prompt))
        return "First" if first > second else "Second" if second > first else "Tie"

    forward, backward, _ = ask(tmp_path, reply)
    longer = [judges.compare_scores(len(row["first"]), len(row["second"])) for row in ROWS]
    habits = judges.measure_habits(forward, backward, longer)
    assert habits == {"invalid": 0.0, "consistency": 1.0, "first": 0.5, "length": 1.0}


@pytest.mark.parametrize("reply", [lambda prompt: prompt, "I cannot judge this.", "First or Second", "%$#"])
def test_echo_refusal_and_garbage_have_no_verdict(tmp_path, reply):
    rows = [row | {"second": "Second\nFirst"} for row in ROWS]  # an echo holds lines that are choices
    forward, backward, _ = ask(tmp_path, reply, rows)
    assert forward == backward == [None] * 4
    assert judges.measure_habits(forward, backward, [1] * 4)["invalid"] == 1.0


def test_a_server_that_fails_is_no_verdict(tmp_path):
    forward, _, raw = ask(tmp_path, "silent", ROWS[:3])
    assert forward == [None] * 3 and all(text.startswith("no answer: ") for text in raw)


def test_grades_have_the_choices_scores(tmp_path):
    rows = [{"question": "Q", "reference": "R", "answer": x} for x in "BDX"]
    replies = {"B": "reasons\nB", "D": "D.", "X": "unsure"}
    with chat_server.serve(lambda prompt: replies[re.search(r"\[Submission\]\n(.)", prompt)[1]]) as server:
        settings = {"model": "m", "base_url": server.url, "key_env": None}
        grades = templates.grade(FACT, rows, chat.create("openai", tmp_path, **settings), "k")
        again = templates.grade(FACT, rows, chat.create("openai", tmp_path, **settings), "k")
        assert len(server.requests) == 3, "answers are cached"
    assert again == grades and [x.score for x in grades] == [1.0, 0.0, None]
    assert [x.choice for x in grades] == ["B", "D", None] and grades[2].raw == "unsure"


def test_a_template_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text('prompt: "Is {x} even?"\nchoices: {"Yes": 1, "No": 0}\nanswer: classify\n')
    mine = templates.load(str(path))
    assert mine.render({"x": "{y}"}) == "Is {y} even?\n\nAnswer with one of these and nothing else: Yes, No."
    for text, reason in {
        'prompt: "Is it?"\nchoices: {"Yes": 1, "No": 0}\nanswer: classify': "names no {field}",
        'prompt: "{x}"\nchoices: {"Yes": 1}\nanswer: classify': "choices",
        'prompt: "{x}"\nchoices: {"Yes.": 1, "No": 0}\nanswer: classify': "without punctuation",
        'prompt: "{x}"\nchoices: {"Yes": 1, "No": 0}\nanswer: guess': "answer",
        'prompt: "{x}"\nchoices: {"Yes": 1, "No": 0}\nanswer: classify\nextra: 1': "extra",
        'prompt: "{x}"\nchoices: {"Yes": 1, "No": 0}\nanswer: classify\npairwise: true': "needs {first} and {second}",
        "- a": "expected",
    }.items():
        path.write_text(text)
        with pytest.raises(UserError) as error:
            templates.load(str(path))
        assert reason in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(
        UserError, match="template 'absent': not found; name a YAML file, or one of battle, closed_question"
    ):
        templates.load("absent")
