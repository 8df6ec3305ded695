"""Answers: extraction, exact numbers, equality by type, grouping, and workers that neither hang nor outlive anyone."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib import answers, latex
from stages.lib.answers import equal, equal_many, extract, group, number
from stages.lib.errors import UserError

ROOT = Path(__file__).parent.parent
PUBLISHED = os.environ.get("ASSAY_BENCHMARKS")
real = pytest.mark.skipif(not PUBLISHED, reason="ASSAY_BENCHMARKS is not set: no published samples to compare with")
TYPES = [None, *answers.TYPES]


def rows(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(PUBLISHED, path).read_text("utf-8").splitlines()]


# Numbers

NUMBERS = {
    "073": 73, "18.": 18, "$18": 18, r"\$18": 18, "$18$": 18, "−5": -5, "- 5": -5, "-$5": -5, "$-5": -5, "+5": 5,
    "1,234.50": Fraction(2469, 2), "1 000": 1000, "1{,}000": 1000, r"1,\!000": 1000, "14{,}916": 14916,
    ".4": Fraction(2, 5),
    "1,22": Fraction(61, 50), "0,111": Fraction(111, 1000), "3 1/2": Fraction(7, 2), "2½": Fraction(5, 2),
    r"\frac{1}{2}": Fraction(1, 2), r"-\frac12": Fraction(-1, 2), r"3\frac{1}{2}": Fraction(7, 2),
    "-1/2": Fraction(-1, 2),
    "28%": Fraction(7, 25), r"28\%": Fraction(7, 25), "28 percent": Fraction(7, 25),
    "1e5": 10**5, r"3 \times 10^{5}": 3 * 10**5,
    "2 million": 2 * 10**6, "18 dollars per day": 18, "5 km": 5, "1,000.99€": Fraction(100099, 100), r"90^\circ": 90,
    r"15\mbox{ cm}^2": 15, "**18**": 18, r"\boxed{18}": 18,
}  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_read_exactly(text):
    assert number(text) == NUMBERS[text]


@pytest.mark.parametrize(
    "text",
    ["", "x", "5x", "5 pi", "1/0", "1,2,3", "1.2.3", "12:30", "--5", "5-", "5 or 6", "1e9999", "1" * 5000, "nan"],
)
def test_what_is_not_one_number_is_none(text):
    assert number(text) is None


@given(st.fractions(max_denominator=10**6), st.integers(0, 8))
def test_every_way_of_writing_a_number_is_the_same_number(value, places):
    top, bottom, whole = value.numerator, value.denominator, f"{value.numerator:,}"
    assert number(f"{top}/{bottom}") == number(rf"\dfrac{{{top}}}{{{bottom}}}") == value
    decimal = f"{float(value):.{places}f}"
    assert number(decimal) == Fraction(decimal)
    assert number(whole) == number(f"${whole}") == number(f"{whole}.") == number(whole.replace("-", "−")) == top


# Extraction

EXTRACTED = [
    ("She has 5 + 3 = <<5+3=8>>8 eggs.\n#### 8", "number", "8"),
    ("A: 18", "number", "18"),
    (r"so \boxed{\frac{1}{\sqrt{2}}}. Done.", "latex", r"\frac{1}{\sqrt{2}}"),
    (r"\boxed{1}, no: \boxed{2}.", "number", "2"),
    (r"The roots are \boxed{-2} and \boxed{1}.", "latex", "-2, 1"),
    (r"First \boxed{4}. Then, checking, again \boxed{4}.", "latex", "4"),
    ("The answer is $1,234.", "number", "$1,234"),
    ("The answer is 18 because 3 hens lay 6 each.", "number", "18"),
    ("the answer is 5 + 3 = 8.", "number", "8"),
    ("Final Answer: The largest $n$ is 34.", "latex", "34"),
    (
        r"It was \boxed{3}, I thought. The final answer is $\frac{1}{2}$. I hope it is correct.",
        "latex",
        r"$\frac{1}{2}$",
    ),
    ("10 - 3 leaves 7 of AZYUK2A", "number", "7"),
    ("It costs 3/4 of it", "number", "3/4"),
    (r"x = \frac{3}{4}", "latex", r"x = \frac{3}{4}"),
    ("No number here.", "number", None),
    ("", None, None),
    (None, None, None),
    ("  42 ", None, "42"),
    ("The answer is (B).", "choice", "B"),
    ("B) Paris", "choice", "B"),
    (r"\boxed{\text{C}}", "choice", "C"),
    ("A dog is what I see. I choose D", "choice", "D"),
    ("b", "choice", "B"),
    ("Yes, it does. So the answer is no.", "boolean", "no"),
    ("It is TRUE", "boolean", "true"),
    ("Look:\n```python\ndef f():\n    return 1  \n```\nDone", "code", "def f():\n    return 1"),
]


@pytest.mark.parametrize("text, answer_type, answer", EXTRACTED)
def test_the_final_answer_is_found(text, answer_type, answer):
    assert extract(text, answer_type) == answer


def nested(depth):
    return st.recursive(
        st.text("xy+12", max_size=3),
        lambda inner: inner.map(lambda s: f"{{{s}}}") | st.tuples(inner, inner).map("".join),
    )


@given(nested(4), st.text("xyz .", max_size=10), st.text("xyz .{}", max_size=10))
def test_a_box_is_closed_by_its_own_brace(content, before, after):
    found = answers.boxes(rf"{before}\boxed{{{content}}}{after}")
    assert found == [content.strip()]


# Equality by type

EQUAL = [
    ("number", "073", "73"), ("number", "18", "She makes $18 every day."), ("number", "1/2", "0.5"),
    ("number", "28", "28%"), ("number", "0.28", "28%"), ("number", "2.74", "Soucis : 2,74 $ a.."),
    ("integer", "204", "204.0"),
    ("latex", r"\frac{1}{2}", "0.5"), ("latex", r"\frac{\sqrt{8}}{2}", r"\sqrt{2}"), ("latex", "(x+1)^2", "x^2+2x+1"),
    ("latex", r"\left(3, \frac{\pi}{2}\right)", r"(3,\frac\pi2)"), ("latex", "x=5", "5"),
    ("latex", r"\text{Evelyn}", "Evelyn"),
    ("latex", "1, 2", r"\{2, 1\}"), ("latex", r"28\%", "28"), ("latex", r"x \in [-2,7]", r"-2 \le x \le 7"),
    ("latex", r"10\%, 20\%", r"\{20, 10\}"),
    ("choice", "B", "the answer is (b)"), ("boolean", "yes", "True"), ("code", "a = 1\n", "```\na = 1  \n```"),
    (None, "1,22", "1.22"), (None, "18 dollars", "18"), (None, "B", "B"), (None, r"2\sqrt{2}", r"\boxed{\sqrt{8}}"),
]  # fmt: skip
DIFFERENT = [
    ("number", "1/3", "0.333333"), ("number", "2", "AZYUK2A"), ("number", "", ""), ("number", "x", "x"),
    ("number", "1", None),
    ("integer", "3", "3.5"), ("latex", "(3,1)", r"\{1,3\}"), ("latex", "(0,9)", "[0,9)"), ("latex", "5x", "5"),
    ("latex", "2x+z=1", "1"), ("latex", "$7 = 11a+c$", "11a+c"), ("latex", r"\sqrt{2}", "1.41"),
    ("latex", "1,2", "1.2"),
    ("latex", "", ""), ("latex", "$$", "$$"), ("latex", r"\text{even}", r"\text{odd}"),
    ("latex", r"\frac13", "0.333333"),
    ("choice", "B", "D"), ("choice", "1", "1"), ("boolean", "yes", "no"), ("boolean", "maybe", "maybe"),
    ("code", "a", "b"),
    (None, "12", "1 2 3"), (None, None, "1"),
]  # fmt: skip


@pytest.mark.parametrize("verdict, cases", [(True, EQUAL), (False, DIFFERENT)])
def test_equality_by_type_in_both_orders(verdict, cases):
    for answer_type in TYPES:
        pairs = [(gold, pred) for given_type, gold, pred in cases if given_type == answer_type]
        for ordered in (pairs, [pair[::-1] for pair in pairs]):
            assert [
                pair for pair, same in zip(ordered, equal_many(ordered, answer_type), strict=True) if same != verdict
            ] == []


PIECES = st.lists(
    st.sampled_from(
        [
            r"\frac",
            r"\sqrt",
            r"\boxed",
            "{",
            "}",
            "(",
            ")",
            "^",
            "_",
            "1",
            "2",
            "x",
            "=",
            ",",
            "$",
            r"\%",
            "####",
            " ",
            "-",
        ]
        + ["the answer is ", r"\text{", r"\left(", r"\right)", "\n", ".", "and", r"\pi", r"\\", "<", "|", "e", "!", "/"]
    ),
    max_size=12,
).map("".join)
STRINGS = st.text(max_size=30) | PIECES


@settings(max_examples=300, deadline=None)
@given(STRINGS, STRINGS, st.sampled_from(["number", "integer", "choice", "boolean", "code"]))
def test_no_string_raises(left, right, answer_type):
    assert equal(left, right, answer_type) is equal(right, left, answer_type)
    found = extract(left, answer_type)
    assert extract(found, answer_type) == found
    unread, other = group([left, None], answer_type)
    assert other == -1
    assert equal(left, left, answer_type) is (unread == 0)


@settings(max_examples=60, deadline=None)
@given(STRINGS, STRINGS, st.sampled_from([None, "latex"]))
def test_no_string_raises_in_a_formula(left, right, answer_type):
    assert equal(left, right, answer_type) is equal(right, left, answer_type)
    assert equal(left, left, answer_type) is (group([left], answer_type) == [0])


@settings(max_examples=300, deadline=None)
@given(STRINGS, st.sampled_from([None, "latex"]))
def test_what_is_extracted_is_its_own_answer(text, answer_type):
    found = extract(text, answer_type)
    assert extract(found, answer_type) == found


# Groups


@pytest.mark.parametrize("answer_type", [kind for kind in TYPES if kind != "code"])
def test_no_answer_can_be_read_where_it_is_marked_and_equals_only_itself(answer_type):
    said = ["N/A", "n/a.", r"so \boxed{\text{N/A}}", "5 of 7\n#### N/A", "The answer is N/A because 5 is missing.",
            "<<<N/A>>>, or <<<5>>>"]  # fmt: skip
    assert [extract(text, answer_type) for text in said] == ["N/A"] * len(said)
    for text in said:
        assert equal("N/A", text, answer_type) and equal(text, "N/A", answer_type)
    for other in ("5", "True", "no", "N", "A", r"\frac{N}{A}", "", "None", "Is it N/A? #### 5", "x <<<5>>> as N/A"):
        assert not equal("N/A", other, answer_type) and not equal(other, "N/A", answer_type)
    readable = {"choice": "B", "boolean": "True"}.get(answer_type, "5")
    assert group(["N/A", readable, "#### N/A", readable], answer_type) == [0, 1, 0, 1]


def test_an_angled_answer_is_the_first_one_without_commas():
    assert extract("first <<<1,234>>>, then <<<5>>>", "number") == "1234"
    assert extract("48 = <<48/2=24>>24, <<<1/2>>>", "number") == "1/2"
    assert equal("(7/3, -2)", "so <<<(7/3, -2)>>>", "latex") and not equal("(7/3, -2)", "<<<(-2, 7/3)>>>", "latex")
    assert extract("<<<True>>>, not False", "boolean") == "true" and extract("<<<B>>> beats A", "choice") == "B"
    assert extract("<<<4>>>\n#### 5", "number") == "5"


def test_groups_are_classes_of_equal_answers():
    given_ = [None, "1/2", "0.50", "x", "", "7", r"\frac{2}{4}", "7.0", "no idea at all", "-7"]
    assert group(given_, "number") == [-1, 0, 0, -1, -1, 1, 0, 1, -1, 2]
    assert group([r"\sqrt{8}", r"2\sqrt{2}", "3", None, r"\frac{6}{2}", "x+1", "1+x"], "latex") == [
        0,
        0,
        1,
        -1,
        1,
        2,
        2,
    ]
    assert group(["A", "(a)", "B", "none"], "choice") == [0, 0, 1, -1]
    assert group([], "latex") == []


def test_a_percentage_joins_both_its_readings():
    assert group(["28", "0.28", "28%"], "number") == [0, 0, 0]
    assert group(["28", "0.28"], "number") == [0, 1]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["1/2", "0.5", "50%", "50", ".50", "3", "3.0", "x", "", "2"]), max_size=8), st.randoms()
)
def test_groups_are_the_connected_parts_of_equality_in_any_order(given_, random):
    classes = group(given_, "number")
    parts = [{i} for i in range(len(given_))]
    for i, a in enumerate(given_):
        for j, b in enumerate(given_):
            if equal(a, b, "number") and parts[i] is not parts[j]:
                joined = parts[i] | parts[j]
                for k in joined:
                    parts[k] = joined
    readable = [i for i, a in enumerate(given_) if equal(a, a, "number")]
    assert [i for i in range(len(given_)) if classes[i] >= 0] == readable
    assert all((classes[i] == classes[j]) == (j in parts[i]) for i in readable for j in readable)
    order = random.sample(range(len(given_)), len(given_))
    shuffled = group([given_[i] for i in order], "number")
    assert (
        Counter(zip(shuffled, (classes[i] for i in order), strict=True)).keys()
        == dict(zip(shuffled, (classes[i] for i in order), strict=True)).items()
    )


# Workers


@pytest.fixture
def impatient(monkeypatch):
    """Workers with one second of processor time, in a pool of their own."""
    monkeypatch.setattr(latex, "SECONDS", 1.0)
    monkeypatch.setattr(latex, "_idle", [])
    monkeypatch.setattr(latex, "_deadly", {})
    yield
    for worker in latex._idle:
        latex._end(worker)


def test_what_takes_for_ever_is_different_and_asked_once(impatient):
    tower = "9^{9^{9^9}}"
    assert equal_many([(tower, "x"), (r"\frac{2}{4}", r"\sqrt{\frac14}")], "latex") == [False, True]
    start = time.process_time()
    assert group([tower, "x", "y", tower, *(f"{n}x" for n in range(30))], "latex")[:4] == [0, 1, 2, 0]
    assert time.process_time() - start < 1
    assert latex._deadly[tower] and sum(latex._deadly.values()) == 1


HUGE = 10_000_000


@pytest.mark.parametrize(
    "text",
    [
        "9" * HUGE, "{" * HUGE, r"\boxed{" * (HUGE // 7), "answer: " * (HUGE // 8), "\n" * HUGE,
        "`" * HUGE, r"\(" * (HUGE // 2),
        "1," * (HUGE // 2), "A:\n" * (HUGE // 3), "{" * 5000 + "1" + "}" * 5000, "5 a" + "-a" * 900,
        "1e999999999", "\ud800", "\0",
    ],
    ids=lambda text: f"{text[:6]!r}",
)  # fmt: skip
def test_no_string_takes_long(text):
    start = time.process_time()
    for answer_type in TYPES:
        extract(text, answer_type)
        assert equal(text, "7", answer_type) is False
        group([text, None], answer_type)
    assert time.process_time() - start < 10


PAIRS = [(rf"\frac{{{2 * n}}}{{{n}}}x", "2x") for n in range(2, 30)] + [(rf"{n}x", "2x") for n in range(3, 30)]


def test_threads_get_the_right_answers():
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda pair: latex.same(*pair), PAIRS))
    assert found == [True] * 28 + [False] * 27


def _forked(queue):
    queue.put((latex.same_many([("a+b", "b+a"), ("a+b", "b-a")]), [worker.pid for worker in latex._idle]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_has_workers_of_its_own(method):
    assert latex.same("a+c", "c+a")
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_forked, args=(queue,))
    child.start()
    found, workers = queue.get(timeout=120)
    child.join()
    assert found == [True, False]
    assert workers and {worker.pid for worker in latex._idle}.isdisjoint(workers)
    assert latex.same("a+d", "d+a")


def test_workers_that_were_killed_are_replaced():
    latex._idle.extend(latex._start() for _ in range(3))
    for worker in latex._idle:
        worker.kill()
        worker.poll = lambda: None  # its end has not been noticed yet
    assert latex.same("b+d", "d+b")


PARENT = """
import os, sys, threading
from stages.lib import latex
latex.SECONDS = 5.0
assert latex.same("a+b", "b+a")
busy = threading.Thread(target=latex.same, args=("9^{9^{9^9}}", "2"))
if sys.argv[1] == "busy":
    busy.start()
print(*(child for child in os.popen(f"pgrep -P {os.getpid()} -f latex.py").read().split()), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_no_worker_outlives_a_killed_parent(state):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, state], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert workers
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=90)
    assert not alive


def test_a_worker_that_cannot_start_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(latex, "_idle", [])
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(UserError, match="math-verify"):
        latex.same("q+r", "r+q")


# Published samples

ACCURACY = {"6b_finetuning": 21.68, "6b_verification": 39.04, "175b_finetuning": 34.72, "175b_verification": 56.25}


@real
def test_every_label_of_the_example_solutions_of_cobbe_et_al():
    published = rows("samples/gsm8k_example_model_solutions.jsonl")
    for model, accuracy in ACCURACY.items():
        found = equal_many([(row["ground_truth"], row[model]["solution"]) for row in published], "number")
        assert found == [row[model]["is_correct"] for row in published]
        assert round(100 * sum(found) / len(found), 2) == accuracy


@real
def test_predictions_and_labels_of_qwen_math():
    published = rows("samples/qwen_math_cot_100x8.jsonl")
    solutions = [(row, i, text) for row in published for i, text in enumerate(row["code"])]
    assert len(solutions) == 800
    assert all(equal_many([(row["pred"][i], text) for row, i, text in solutions], "latex"))
    found = equal_many([(row["gt"], text) for row, _, text in solutions], "latex")
    differ = {
        (row["gt"], row["pred"][i])
        for (row, i, _), same in zip(solutions, found, strict=True)
        if same != row["score"][i]
    }
    assert differ == {("10{,}000", "10000")}  # the published label is wrong: its grader did not read 10{,}000


DISAGREEMENTS = {
    ("$9$", "Answer $ \n 9 \n $"): "expects that `$` does not span lines; a line break does not change an answer",
    ("$9$", "Answer \\( \n 9 \n \\)"): "the same for `\\(`",
    (
        r"$\\boxed{35 cm} ++++++ \\boxed{4}$",
        "${35 cm,4}$",
    ): "boxes joined by `++++++`; here boxes are a list after a comma, and, or",
}


@real
@pytest.mark.parametrize("typed", [True, False])
def test_the_cases_of_math_verify_that_only_name_match_types(typed):
    cases = [row for row in rows("grader_cases/math_verify_cases.jsonl") if len(row["call_options"]) == 1]
    assert len(cases) == 231
    differ = set()
    for kind in ("expr']", "latex']", "latex', 'expr']"):
        mine = [row for row in cases if row["call_options"][0] == f"match_types=['{kind}"]
        answer_type = None if not typed else "number" if kind == "expr']" else "latex"
        for ordered in ([(row["gold"], row["pred"]) for row in mine], [(row["pred"], row["gold"]) for row in mine]):
            found = equal_many(ordered, answer_type)
            differ |= {
                (row["gold"], row["pred"])
                for row, same in zip(mine, found, strict=True)
                if same != bool(row["expected"])
            }
    assert differ == set(DISAGREEMENTS)
    assert len(differ) <= 0.03 * len(cases)
