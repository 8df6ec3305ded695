"""Grading: programs are run, each once; published solutions are right and wrong ones are not, in every form."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stages.lib.core import cpus
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Source
from stages.lib.grading import code_tests, grader, sandbox
from stages.lib.grading.code_tests import Verdict
from stages.lib.grading.grader import Grade

pytestmark = pytest.mark.usefixtures("workplace")
ROOT = Path(__file__).parents[3]
PROMPT = 'def double(x: int) -> int:\n    """Return twice x.\n\n    >>> double(2)\n    4\n    """\n'
DOUBLE = {
    "entry_point": "double",
    "test": "def check(candidate):\n    assert candidate(2) == 4 and candidate(-1) == -2\n",
}
ADD = {
    "public": {"input": ["1 2\n"], "output": ["3\n"]},
    "private": {"input": ["10 -20\n", "5 5"], "output": ["-10\n", "10"]},
}


def problem(name="p", question="Add.", answer="print(sum(map(int, input().split())))", tests=ADD, kind="code", **more):
    return Problem(
        id=name,
        benchmark="b",
        split="test",
        question=question,
        answer=answer,
        answer_type=kind,
        tests=tests,
        licence="MIT",
        source=Source(url="x"),
        **more,
    )


def function(name="f"):
    return problem(name, PROMPT, "    return 2 * x\n", DOUBLE)


def correct(problem, texts):
    return [grade.correct for grade in grader.grade(problem, texts)]


@pytest.fixture
def runs(monkeypatch):
    """The programs that are run, in the order in which they start."""
    seen, run = [], sandbox.run
    monkeypatch.setattr(sandbox, "run", lambda source, *rest: seen.append(source) or run(source, *rest))
    return seen


def test_what_a_model_thinks_is_not_graded():
    item = problem(kind="number", answer="4", tests=None)
    texts = [
        "<think>Perhaps \\boxed{4}.</think>\nIt is \\boxed{5}.",
        "<think>\\boxed{5}</think>So \\boxed{4}.",
        "<think>#### 4",
    ]
    assert grader.grade(item, texts) == [Grade("5", False), Grade("4", True), Grade(None, False)]


@pytest.mark.slow
def test_published_programs_are_right_and_others_wrong():
    item = problem()
    fenced = f"I add them.\n```python\n{item.answer}\n```\nThat's all.\n"
    assert correct(item, [item.answer, fenced, "print(3)", "a b", None, ""]) == [True, True, False, False, False, False]
    assert grader.grade(item, [None, "", "print(3)"]) == [
        Grade(None, False),
        Grade(None, False),
        Grade("print(3)", False),
    ]


def test_published_functions_are_right_in_every_form_and_others_wrong():
    item = function()
    forms = [
        item.answer,
        PROMPT + item.answer,
        f"```python\n{PROMPT}{item.answer}```",
        "return 2 * x\n\nQuestion: And now?\n",
        "    return x * x\n",
        "    return x + 2\n",
    ]
    assert correct(item, forms) == [True, True, True, True, False, False]
    assert PROMPT.strip() in grader.grade(item, forms)[0].answer, "an answer can be run as it stands"


@pytest.mark.slow
def test_trials_of_its_own_do_not_make_a_function_wrong():
    trials = [
        "for x, want in [(1, 3)]:\n    assert double(x) == want\n",
        "if double(1) != 3:\n    raise ValueError\n",
        "import unittest\n\nclass T(unittest.TestCase):\n    def test(self):\n        self.fail()\n\nunittest.main()\n",
        "import sys\nsys.exit(0)\n",
        "x = input()\n",
    ]
    texts = [f"{PROMPT}    return 2 * x\n\n{trial}" for trial in trials]
    assert correct(function(), texts) == [True] * len(texts)
    assert correct(function(), ["```python\ndouble = lambda x: 2 * x\n```"]) == [True]


@pytest.mark.slow
def test_a_comment_that_stops_a_program_stops_no_other():
    item = problem()
    for number, looks in enumerate(["# coding: foo", "# -*- coding: ascii -*-\n# é", "# \ud800"]):
        plain = f"{item.answer[:-1]} + {number} - {number})"
        assert correct(item, [f"{looks}\n{plain}", plain]) == [False, True]


def test_other_answers_are_compared():
    item = problem(answer="12", tests=None, kind="number")
    assert correct(item, ["so #### 12", "#### 13", None]) == [True, False, False]


@pytest.mark.parametrize("end", ["#### {}", "So the answer is ${}.", "It costs 48 / 2 = ${}"])
@pytest.mark.parametrize("marked", [True, False])
def test_calculator_annotations_change_no_answer(end, marked):
    item = problem(answer="24", tests=None, kind="number")
    plain, annotated = (
        ("2 * 12 = {}\n" + end).format("24", "24"),
        ("2 * 12 = {}\n" + end).format("<<2*12=24>>24", "<<48/2=24>>24"),
    )
    assert grader.grade(item, [annotated], marked) == grader.grade(item, [plain], marked)


@pytest.mark.slow
def test_a_program_is_run_once_whatever_its_looks(runs):
    item, again = problem("p"), problem("q")
    looks = [item.answer, f"# of mine\n{item.answer}   ", f"```\n{item.answer}\n```"]
    assert correct(item, looks) == [True] * 3 and len(runs) == 3, "one run for each test"
    assert correct(again, looks) == [True] * 3 and len(runs) == 3, "kept for another problem of equal tests"
    harder = problem("r", tests=ADD | {"private": {"input": ["1 1"], "output": ["3"]}})
    assert correct(harder, looks) == [False] * 3 and len(runs) == 5
    lenient = problem("s", question="Add. The absolute or relative error should not exceed 10^-6.")
    assert correct(lenient, looks) == [True] * 3 and len(runs) == 8, "outputs are compared in another way"


def test_the_first_test_that_fails_ends_it(runs):
    assert correct(problem(), ["print(4)"]) == [False] and len(runs) == 1


def test_verdicts_of_another_judge_are_not_used(runs, monkeypatch):
    assert correct(function(), ["    return x"]) == [False] and len(runs) == 1
    monkeypatch.setattr(code_tests, "VERSION", code_tests.VERSION + 1)
    assert correct(function(), ["    return x"]) == [False] and len(runs) == 2


def test_what_the_machine_may_have_done_is_not_kept(monkeypatch):
    item, real = problem(), sandbox.run
    busy = sandbox.Outcome("time", "", "", 60.0, is_conclusive=False)
    monkeypatch.setattr(sandbox, "run", lambda *_: busy)
    assert correct(item, [item.answer]) == [False]

    def no_sandbox(*_):
        raise UserError("this machine cannot keep a program to its limits")

    monkeypatch.setattr(sandbox, "run", no_sandbox)
    with pytest.raises(UserError, match="cannot keep"):
        grader.grade(item, [item.answer])
    monkeypatch.setattr(sandbox, "run", real)
    assert correct(item, [item.answer]) == [True]


def test_no_tests_are_no_success():
    for tests in (None, {}):
        with pytest.raises(UserError, match="p: no tests"):
            grader.grade(problem(tests=tests), ["print(3)"])


def test_grades_come_in_order_while_the_next_solutions_are_made(monkeypatch):
    """A slow program holds nothing up but its own grades: the maker goes on, and stops `ahead` problems before them."""
    gate, requested = threading.Event(), []

    def passes(question, code, tests):
        if "slow" in code:
            gate.wait(30)
        return Verdict(True)

    monkeypatch.setattr(code_tests, "run_tests", passes)
    monkeypatch.setattr(cpus, "count_usable", lambda: 2)

    def solutions():
        for number in range(6):
            requested.append(number)
            if number == 4:
                gate.set()
            yield problem(str(number)), [f"slow = {number}" if number == 0 else f"fast = {number}"]

    graded = grader.grade_ahead(solutions(), ahead=8)
    assert next(graded)[0].answer == "slow = 0" and len(requested) > 4
    assert [grades[0].answer for grades in graded] == [f"fast = {number}" for number in range(1, 6)]


def test_no_more_than_ahead_are_taken(monkeypatch):
    gate, requested = threading.Event(), []
    monkeypatch.setattr(code_tests, "run_tests", lambda *_: Verdict(gate.wait(30)))

    def solutions():
        for number in range(9):
            requested.append(number)
            if number == 3:
                threading.Timer(0.1, gate.set).start()
            yield problem(str(number)), [f"x = {number}"]

    graded = grader.grade_ahead(solutions(), ahead=3)
    assert next(graded)[0].correct and len(requested) == 4
    assert len(list(graded)) == 8


def test_the_cores_are_shared_among_the_processes_of_a_launch(monkeypatch):
    monkeypatch.setattr(cpus, "count_usable", lambda: 8)
    assert cpus.count_per_process() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert cpus.count_per_process() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "64")
    assert cpus.count_per_process() == 1


@pytest.mark.slow
def test_who_is_interrupted_waits_for_no_program():
    def solutions():
        yield problem("p"), [f"while True: x = {number}" for number in range(8)]
        time.sleep(1.0)
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(grader.grade_ahead(solutions()))
    assert time.monotonic() - start < 8
    assert correct(problem(), ["while x: pass"]) == [False], "and goes on afterwards"
    assert not sandbox._running_pids


KILLED = """
import sys
from tests.lib.grading.test_grader import grader, problem
for number in range(400):
    grader.grade(problem(), [f"print(sum(map(int, input().split())) + {number})"])
    print(number, flush=True)
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(tmp_path, runs):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen([sys.executable, "-c", KILLED], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "0\n" and running.stdout.readline() == "1\n"
    running.send_signal(signal.SIGKILL)
    running.wait()
    running.stdout.close()
    time.sleep(0.1)
    for number in range(2):
        code = f"print(sum(map(int, input().split())) + {number})"
        assert correct(problem(), [code]) == [number == 0]
    assert runs == []


@pytest.mark.skipif("ASSAY_BENCHMARKS" not in os.environ, reason="ASSAY_BENCHMARKS is not set")
@pytest.mark.parametrize(
    ("name", "file", "known_faults"),
    [
        ("humaneval", "code/HumanEval.jsonl.gz", set()),
        # Published programs that fail their own tests: two for an older Python, one for another problem's inputs.
        ("codeforces", "code/codeforces_openr_sample.json", {"0020", "0065", "0082"}),
    ],
)
def test_published_solutions_of_published_problems(name, file, known_faults):
    from tests.problems.benchmarks.test_benchmarks_real import build

    problems, _ = build(name, test=[file])
    problems = [item for item in problems if code_tests.explain_ungradable(item) is None]
    assert len(problems) == {"humaneval": 164, "codeforces": 86}[name]
    if name == "codeforces":  # the first test of a kind is enough here
        few = [
            p.tests | {kind: {side: item[:1] for side, item in p.tests[kind].items()} for kind in code_tests.TEST_KINDS}
            for p in problems
        ]
        problems = [item.model_copy(update={"tests": tests}) for item, tests in zip(problems, few, strict=True)]
    wrong = "    return 'wrong'\n" if name == "humaneval" else "print('wrong')"
    graded = grader.grade_ahead((item, [item.answer, wrong]) for item in problems)
    faults = set()
    for item, (published, other) in zip(problems, graded, strict=True):
        assert not other.correct, item.id
        faults |= set() if published.correct else {item.id.rpartition("/")[2]}
    assert faults == known_faults
