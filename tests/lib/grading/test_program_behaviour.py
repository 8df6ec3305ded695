"""Behaviour: programs that do the same vote together, whatever they look like, and nothing hidden has a say."""

import os

import pytest

from stages.lib.core.records import Sample
from stages.lib.grading import program_behaviour, program_inputs, sandbox
from stages.lib.grading.program_behaviour import group, group_by_text
from stages.lib.grading.program_inputs import make_inputs, read_examples
from stages.lib.reports import pools
from tests.lib.grading.test_grader import ADD, PROMPT, function, problem

pytestmark = pytest.mark.usefixtures("workplace")
SUMS = ["print(sum(map(int, input().split())))", "a, b = map(int, input().split())\nprint(a + b)"]
PUBLIC = {"public": {"input": ["2\n10 20\n", "3\n7 60 81\n"], "output": ["30\n", "148\n"]}, "private": {}}
MAX = 'def largest(values, least):\n    """The largest of the values that are at least `least`.\n\n    {}\n    """\n'


@pytest.mark.slow
def test_programs_that_do_the_same_vote_together(monkeypatch):
    monkeypatch.setattr(program_behaviour, "LIMITS", program_behaviour.LIMITS._replace(cpu_seconds=1))
    item = problem(tests=PUBLIC)
    read = "input()\nvalues = list(map(int, input().split()))\n"
    same = [read + "print(sum(values))", read + "total = 0\nfor x in values:\n    total += x\nprint(total, '')"]
    other, failing = read + "print(max(values))", read + "print(values[9])"
    assert group(item, [*same, other, failing, None, "print(", "while True: pass"]) == [0, 0, 1, -1, -1, -1, -1]
    assert group(item, [other, failing, *same[::-1]]) == [0, -1, 1, 1], "in order of first appearance"


@pytest.mark.slow
def test_functions_that_do_the_same_vote_together():
    texts = [
        "    return 2 * x\n",
        "    return x + x\n",
        f"```python\n{PROMPT}    return sum([x, x])\n```",
        "    return float(x << 1)\n",
        "    print(4)\n    return 2 * x\n",
        "    return [2 * x]\n",
        "    return x * x\n",
        "    raise ValueError\n",
        "    return undefined\n",
    ]
    assert group(function(), texts) == [0, 0, 0, 0, 0, 1, 2, -1, -1], "x * x is 2 * x at the example, and not beside it"


@pytest.mark.slow
def test_values_are_equal_where_python_finds_them_equal():
    """As the tests of a function would."""
    same = ["4 if x == 2 else 0", "4.0 if x == 2 else -0.0", "(1 + 3.0000000000001) * (x == 2)"]
    assert group(function(), [f"    return {value}" for value in same]) == [0, 0, 0]
    pairs = [
        "dict(a=1, b=x)",
        "{'b': x, 'a': True}",
        "__import__('collections').Counter(b=x, a=1)",
        "[('a', 1), ('b', x)]",
    ]
    assert group(function("g"), [f"    return {value}" for value in pairs]) == [0, 0, 0, 1]
    others = ["[x]", "(x,)", "{x}", "str(x)", "object()", "object()", "lambda: x", "None"]
    assert group(function("h"), [f"    return {value}" for value in others]) == [0, 1, 2, 3, 4, 4, 5, 6]


@pytest.mark.slow
def test_hidden_tests_have_no_say(monkeypatch):
    """What only hidden tests tell apart stays together, and no hidden input is ever given to a program."""
    trap = "a, b = map(int, input().split())\nprint(0 if a == 10 and b == -20 else a + b)"
    assert group(problem(), [SUMS[0], trap]) == [0, 0]
    without = problem(tests={"public": ADD["public"], "private": {"input": [], "output": []}})
    assert make_inputs(problem()) == make_inputs(without)
    hidden = function().model_copy(update={"tests": {"entry_point": "double", "test": "double(41) == 82"}})
    assert make_inputs(function()) == make_inputs(hidden)
    runs = []
    run = sandbox.run
    monkeypatch.setattr(sandbox, "run", lambda source, *rest: runs.append((source, rest[0])) or run(source, *rest))
    group(problem("q"), ["print(input())"])
    group(function("g"), ["    return x - 1"])
    assert runs and not any("-20" in text or "check" in source for source, text in runs)


def test_the_published_solution_has_no_say():
    item = problem(tests=PUBLIC)
    assert make_inputs(item) == make_inputs(item.model_copy(update={"answer": "raise"}))


def test_a_text_that_looks_like_outcomes_fakes_nothing():
    fake = "    import json\n    print('\\n' + json.dumps(['=4'] * 9))\n    raise SystemExit\n"
    assert group(function(), ["    return 2 * x", fake]) == [0, -1]
    shadowed = f"{PROMPT}    return 2 * x\n\ndef print(*_):\n    return print\n\nstr = repr = json = None\n"
    assert group(function(), ["    return 2 * x", shadowed + "double.print = print, str, repr, json"]) == [0, 0]


@pytest.mark.slow
def test_one_call_that_does_not_end_says_nothing_of_the_others():
    item = function().model_copy(
        update={"question": PROMPT.replace("4\n", "4\n    >>> double(7)\n    14\n    >>> double(9)\n    18\n")}
    )
    hanging = "    while x == 7: pass\n    return 2 * x\n"
    right, hangs, hangs_too, fails = group(
        item,
        ["    return 2 * x", hanging, "    n = 0\n" + hanging, hanging.replace("while", "if").replace("pass", "1 / 0")],
    )
    assert (right, hangs, fails) == (0, 1, 2) and hangs == hangs_too, "failing is not hanging"


@pytest.mark.slow
def test_a_changed_input_that_most_right_programs_fail_on_does_not_count(monkeypatch):
    monkeypatch.setattr(program_inputs, "make_inputs", lambda _: (["5\n", "-5\n"], 1))
    root = "n = int(input())\nprint({} if n >= 0 else {})"
    programs = [root.format("n", "1 / 0"), root.format("0 + n", "[][0]"), root.format("+n", "-1")]
    assert group(problem(), programs) == [0, 0, 0]
    assert group(problem(), [root.format("n", "n"), root.format("n", "1"), root.format("n", "+n")]) == [0, 1, 0]


@pytest.mark.slow
def test_a_changed_input_that_right_programs_differ_on_does_not_count(monkeypatch):
    monkeypatch.setattr(program_inputs, "make_inputs", lambda _: (["5\n", "-5\n", "6\n"], 1))
    root = "n = int(input())\nprint({} if n >= 0 else {})"
    differing = [root.format("n", value) for value in ("1", "2", "3", "4", "+1")]
    assert group(problem(), differing) == [0] * 5, "not half of them agree on -5"
    assert group(problem(), [*differing, root.format("max(5, n - 1)", "5")]) == [0] * 5 + [1], "most agree on 6"


def test_without_inputs_equal_text_is_equal_behaviour(monkeypatch):
    monkeypatch.setattr(sandbox, "run", lambda *_: pytest.fail("nothing is to be run"))
    bare = function().model_copy(update={"question": "def double(x):\n"})
    assert group(bare, ["    return 2 * x", "    return 2*x  # twice", "    return x + x", None]) == [0, 0, 1, -1]
    assert group_by_text(["a = 1", "a=1 #", None, "b"]) == [0, 0, -1, 1]


def test_outcomes_are_kept(monkeypatch):
    assert group(problem(), SUMS) == [0, 0]
    monkeypatch.setattr(sandbox, "run", lambda *_: pytest.fail("it is known"))
    assert group(problem(), [SUMS[1], "# again\n" + SUMS[0]]) == [0, 0]


def test_what_the_machine_may_have_done_is_not_kept(monkeypatch):
    with monkeypatch.context() as busy:
        busy.setattr(sandbox, "run", lambda *_: sandbox.Outcome("time", "", "", 60.0, is_conclusive=False))
        assert group(problem(), SUMS[:1]) == group(function(), ["    return 2 * x"]) == [-1]
    assert group(problem(), SUMS[:1]) == group(function(), ["    return 2 * x"]) == [0]


@pytest.mark.slow
def test_outputs_are_equal_where_the_judge_finds_them_equal():
    texts = ["input()\nprint('Yes')", "input()\nprint('YES ')"]
    assert group(problem(), texts) == [0, 1]
    assert group(problem(question="Print each letter in any case."), texts) == [0, 0]
    texts = ["input()\nprint(1 / 3)", "input()\nprint(0.33333334)", "input()\nprint(0.334)"]
    assert group(problem(), texts) == [0, 1, 2]
    assert group(problem(question="The absolute error should not exceed 10^-6."), texts) == [0, 0, 1]


@pytest.mark.parametrize(
    ("example", "arguments"),
    [
        (">>> largest([1, 2], 0)\n    2", [([1, 2], 0)]),
        ('largest(["a)", "b("], least=1) == 3', []),
        ("largest([1], 0) => 1, largest((2, 3), -1) -> 3", [([1], 0), ((2, 3), -1)]),
        (
            "For values = [1, 2], least = 2 the output is 2.\n    For values = [3], least = 0 it is 3",
            [([1, 2], 2), ([3], 0)],
        ),
        ("Input:\n    values : [1]\n    least : 4", [([1], 4)]),
        ("largest(x, y) is largest(sorted(x), 1)", []),
        ('largest([")"], 1)', [([")"], 1)]),
        ("largest([1]) == 1", []),
    ],
)
def test_arguments_are_read_from_a_docstring(example, arguments):
    assert read_examples(MAX.format(example), "largest") == arguments


def test_changed_inputs_keep_their_form():
    inputs, visible = make_inputs(problem(tests=PUBLIC))
    assert inputs[:visible] == PUBLIC["public"]["input"] and len(inputs) > visible
    for text in inputs[visible:]:
        count, numbers = text.splitlines()
        assert int(count) == len(numbers.split()) and all(7 <= int(word) <= 81 for word in numbers.split())
    assert make_inputs(problem(tests=PUBLIC)) == (inputs, visible)
    assert make_inputs(problem("another", tests=PUBLIC)) != (inputs, visible), "drawn by problem"
    example = "largest([1, 2], 5)\n    largest([8, 9], 3)"
    arguments, visible = make_inputs(
        function().model_copy(
            update={"question": MAX.format(example), "tests": {"entry_point": "largest", "test": "x"}}
        )
    )
    assert visible == 2 and len(arguments) > 4
    assert all(isinstance(values, list) and 3 <= least <= 5 for values, least in arguments)
    assert all(isinstance(value, int) for values, _ in arguments for value in values)


def sample(index, answer, correct=False, finish="stop"):
    return Sample(
        problem_id="p",
        index=index,
        text=answer,
        answer=answer,
        correct=correct,
        finish=finish,
        logprob=-1.0,
        min_logprob=-1.0,
        tokens=3,
    )


@pytest.mark.slow
def test_pools_of_programs_are_classed_by_behaviour():
    samples = [
        sample(0, SUMS[0], True),
        sample(1, "print(3)"),
        sample(2, SUMS[1], True),
        sample(3, SUMS[1], finish="length"),
    ]
    (pool,) = pools.from_records([problem()], samples, [])
    assert pool.answer_ids.tolist() == [0, 1, 0, -1] and pool.correct.tolist() == [1, 0, 1, 0]


@pytest.mark.skipif("ASSAY_BENCHMARKS" not in os.environ, reason="ASSAY_BENCHMARKS is not set")
@pytest.mark.parametrize(
    ("name", "file", "least"),
    [("humaneval", "HumanEval.jsonl.gz", 150), ("codeforces", "codeforces_openr_sample.json", 86)],
)
def test_published_problems_have_inputs(name, file, least):
    from tests.problems.benchmarks.test_benchmarks_real import build

    problems, _ = build(name, test=[f"code/{file}"])
    assert sum(make_inputs(item)[1] > 0 for item in problems) >= least
    selected = [item for item in problems if make_inputs(item)[1]][::8]
    broken = "    return None\n" if name == "humaneval" else "print('no')"
    classes = program_behaviour.group_ahead(
        (item, [item.answer, f"# mine\n{item.answer}", broken]) for item in selected
    )
    assert all(ids in ([0, 0, 1], [-1, -1, 0]) for ids in classes)
