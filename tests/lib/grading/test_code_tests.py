"""The judge: right programs pass, wrong ones fail by name, and only white space, allowed errors and cases are forgiven."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.core.records import Problem, Source
from stages.lib.grading import code_tests
from stages.lib.grading.code_tests import Comparison, run_tests
from stages.lib.grading.sandbox import Limits

SHORT = Limits(cpu_seconds=2, wall_seconds=30.0)
ADD = {
    "public": {"input": ["1 2", "3 4\n"], "output": ["3", "7"]},
    "private": {"input": ["10 -20\n"], "output": ["-10\n"]},
}
PROMPT = 'def double(x: int) -> int:\n    """Return twice x.\n    >>> double(2)\n    4\n    """\n'
DOUBLE = {
    "entry_point": "double",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n",
}


def test_a_right_program_passes_with_any_white_space():
    assert run_tests("Add.", "a, b = map(int, input().split())\nprint(a + b, '', end=' \\n\\n')", ADD, SHORT).passed
    assert run_tests("Add.", "print(sum(map(int, input()[:99].split())))", ADD, SHORT).passed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "test", "reason"),
    [
        ("print(3)", "public 1", "another answer"),
        ("a, b = map(int, input().split())\nprint(abs(a + b))", "private 0", "another answer"),
        ("print(1/0)", "public 0", "error: ZeroDivisionError: division by zero"),
        ("while True: pass", "public 0", "time limit"),
        ("open('/etc/hosts')", "public 0", "error: PermissionError: [Errno 13] Permission denied: '/etc/hosts'"),
        ("", "public 0", "another answer"),
    ],
)
def test_a_wrong_program_fails_at_a_test_with_a_reason(source, test, reason):
    verdict = run_tests("Add.", source, ADD, SHORT)
    assert verdict == (False, reason, test)


def test_a_last_line_without_its_end_is_read_like_any_other():
    tests = {"public": {"input": ["ab\ncd"], "output": ["cd"]}}
    assert run_tests("Echo.", "a, b = open(0)\nprint(b[:-1])", tests, SHORT).passed


def test_where_several_answers_are_right_the_reason_says_so():
    question = "Find two numbers. If there are multiple solutions, print any of them."
    assert run_tests(question, "print(3)", ADD, SHORT).reason == "another answer where several are right"


def test_a_function_is_judged_with_its_prompt():
    assert run_tests(PROMPT, "    return 2 * x\n", DOUBLE, SHORT).passed
    assert run_tests(PROMPT, "    return x * x\n", DOUBLE, SHORT) == (False, "error: AssertionError", "check")
    for early in ("    import os; os._exit(0)\n", "    raise SystemExit\n"):
        assert run_tests(PROMPT, early, DOUBLE, SHORT) == (False, "ended before its tests", "check")


def test_a_function_may_be_whole_and_call_things_as_it_likes():
    body = "    return 2 * x\n"
    for whole in (PROMPT + body, f"```python\n{PROMPT}{body}```", f"{PROMPT}{body}\nprint = None\ndouble.x = print\n"):
        assert run_tests(PROMPT, whole, DOUBLE, SHORT).passed, whole
    assert run_tests(PROMPT, "", DOUBLE, SHORT) == (False, "error: AssertionError", "check")


def test_tests_may_say_how_outputs_are_compared():
    """A statement that was changed, by typing errors say, still has its tests."""
    third = {"public": {"input": ["1\n"], "output": ["0.333333333"]}}
    statement = "The absolute or relative error must be at most 1e-6."
    assert run_tests(statement, "print(1 / 3)", third, SHORT).passed
    assert not run_tests("Teh absolute eror.", "print(1 / 3)", third, SHORT).passed
    lenient = third | {"compared": {"tolerance": 1e-6, "any_case": False}}
    assert run_tests("Teh absolute eror.", "print(1 / 3)", lenient, SHORT).passed
    strict = third | {"compared": code_tests.EXACT._asdict()}
    assert not run_tests(statement, "print(1 / 3)", strict, SHORT).passed


def code(question, tests):
    return Problem(
        id="p",
        benchmark="b",
        split="test",
        question=question,
        answer="",
        answer_type="code",
        tests=tests,
        licence="MIT",
        source=Source(url="x"),
    )


@pytest.mark.parametrize(
    ("question", "tests", "reason"),
    [
        ("Add.", ADD, None),
        (PROMPT, DOUBLE, None),
        (PROMPT, DOUBLE | {"test": "\n"}, "no test program"),
        ("Add.", None, "there are none"),
        ("Add.", {"public": {"input": [], "output": []}}, "there are none"),
        ("Add.", ADD | {"hidden": {}}, "unknown kind 'hidden'"),
        ("If there are multiple answers, print any of them.", ADD, "any of several answers"),
    ],
)
def test_problems_that_cannot_be_graded_are_told_before(question, tests, reason):
    explanation = code_tests.explain_ungradable(code(question, tests))
    assert explanation is reason is None or reason in explanation


@pytest.mark.parametrize(
    ("sentence", "several"),
    [
        ("If there are multiple solutions, output any of those.", True),
        ("If there are several answers, you can print any.", True),
        ("In case there multiple optimal schedules, print any of them.", True),
        ("If there are multiple suitable ways to divide it, find any of them.", True),
        ("Print any of the acceptable ways of tiling.", True),
        ("If there are multiple solutions, any of them may be printed.", True),
        ("Print the numbers in any order.", True),
        ("Note that you do not have to minimize the number of operations.", True),
        ("If there are several solutions, print one of them.", True),
        ("If there are several answers, print the lexicographically smallest.", False),
        ("You can print each letter in any case (upper or lower).", False),
        ("Save as many tokens as possible.", False),
        ("You can do any number of the following operations in any order.", False),
        ("How many ways are there to fill the table?", False),
        ("Phoenix may distribute the letters in many ways, such as: ba and ba.", False),
        ("The ray stops if it reaches any of the four corners.", False),
        ("The judge can return any two-character substring.", False),
        ("You don't need to minimize the length of the way. Find the smallest line.", False),
        ("Any of the prefixes can be the full name. There are many names possible.", False),
    ],
)
def test_the_statement_says_whether_several_answers_are_right(sentence, several):
    assert code_tests.accepts_several_answers(f"Given n. {sentence} Thanks.") == several


def test_other_tests_are_refused():
    with pytest.raises(ValueError, match="unknown kind: hidden"):
        run_tests("", "", {"hidden": {}})


@pytest.mark.parametrize(
    ("sentence", "error"),
    [
        ("Your answer is correct if its absolute or relative error does not exceed 10^{-6}.", 1e-6),
        ("The absolute or relative error should not exceed 10 - 9.", 1e-9),
        ("absolute error must be at most 1e-4", 1e-4),
        ("with an absolute or relative error of at most 0.001", 1e-3),
        ("All |x| are at most 10^9 and -10^6 ≤ y.", None),
        ("The digit on the i-th position is 0.1 in error-free text.", None),
    ],
)
def test_the_statement_says_which_error_is_allowed(sentence, error):
    assert code_tests.read_tolerance(f"Print a number. {sentence} Thanks.") == error


def test_errors_and_cases_are_forgiven_only_where_that_is_said():
    near = ("0.3333334 YES", "0.33333333 yes")
    assert (
        not code_tests.equal_outputs(*near)
        and not code_tests.equal_outputs(*near, Comparison(1e-6))
        and not code_tests.equal_outputs(*near, Comparison(None, True))
    )
    assert code_tests.equal_outputs(*near, Comparison(1e-6, True))
    assert not code_tests.equal_outputs("nan", "1.0", Comparison(1e-6)) and not code_tests.equal_outputs(
        "inf", "1.0", Comparison(1e-6)
    )
    assert code_tests.read_comparison("You can print each letter in any case.").any_case
    assert not code_tests.read_comparison("In any case, print the sum.").any_case


@given(st.lists(st.text(alphabet="ab1 .\n-", max_size=6), max_size=6))
def test_white_space_never_counts(words):
    text = " ".join(words)
    assert code_tests.equal_outputs(text, "\n\t ".join(["", *text.split(), ""]))
    if text.split():
        assert not code_tests.equal_outputs(text, text + " c")
