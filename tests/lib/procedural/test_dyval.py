"""DyVal: exact, keyed, and the same bytes everywhere."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from fractions import Fraction

import networkx
import pytest

from stages.lib.core.errors import UserError
from stages.lib.grading import answers
from stages.lib.procedural import dyval
from stages.lib.procedural.dyval import trees
from stages.lib.procedural.dyval.levels import get_knobs
from stages.lib.procedural.dyval.statements import get_operands
from tests.helpers.dyval_items import NAME_PATTERN, TREE_TASKS, get_params, make_items
from tests.helpers.exact_arithmetic import evaluate

# What is said is so


@pytest.mark.slow
@pytest.mark.parametrize("task", dyval.TASKS)
def test_every_item_can_be_derived_again_and_its_words_alone_give_its_answer(task):
    for level, order in zip((1, 2, 3, 4, 2), ("topological", "reversed", "random", "random", "random"), strict=True):
        for problem in make_items(task, 12, level=level, order=order):
            assert dyval.check(problem) == []
            again = dyval.rederive(json.loads(json.dumps(get_params(problem))))
            assert again == (problem.question, problem.steps, problem.answer)
            assert problem.steps[-1].text == f"#### {problem.answer}" and problem.steps[-1].value == problem.answer
            assert problem.benchmark == "dyval" and problem.operator == task and problem.contract is None


@pytest.mark.parametrize("task", dyval.TASKS)
def test_a_planted_fault_is_found(task):
    problem = make_items(task, 2, level=3)[1]
    other = "N/A" if problem.answer != "N/A" else "True"
    assert dyval.check(problem.model_copy(update={"answer": other}))
    assert dyval.check(problem.model_copy(update={"steps": problem.steps[1:]}))
    assert dyval.check(problem.model_copy(update={"question": problem.question.replace("?", "")}))
    twisted = json.loads(json.dumps(get_params(problem)))
    twisted["statements"] = twisted["statements"][:-1]
    assert dyval.check(problem.model_copy(update={"program": problem.program.model_copy(update={"params": twisted})}))


def clauses(question):
    """The facts, rules and observation of a question in clausal form: a list of (name, value), one of which holds."""
    result = []
    for line in question.split("\n"):
        if fact := re.fullmatch(r"(\w+) (holds|fails)\.", line):
            result.append([(fact[1], fact[2] == "holds")])
        elif rule := re.fullmatch(r"\((.+)\) -> (\(NOT )?(\w+)\)?\.", line):
            parts = [(name, not no) for no, name in re.findall(r"(NOT )?\b([a-z]{3})\b", rule[1])]
            conclusion = (rule[3], not rule[2])
            against = (
                [[(name, not value) for name, value in parts]]
                if " AND " in rule[1]
                else [[(name, not value)] for name, value in parts]
            )
            result += [[*operand, conclusion] for operand in against]
        elif observation := re.match(r"It is observed that (\w+) is (True|False)", line):
            result.append([(observation[1], observation[2] == "True")])
    return result


def satisfiable(clauses, world):
    """Whether some world that goes on from this one satisfies all clauses (Davis, Logemann and Loveland)."""
    open_ = [
        [(n, v) for n, v in each if n not in world] for each in clauses if not any(world.get(n) is v for n, v in each)
    ]
    if not open_:
        return True
    shortest = min(open_, key=len)
    if not shortest:
        return False
    name, value = shortest[0]
    guesses = (value,) if len(shortest) == 1 else (value, not value)
    return any(satisfiable(open_, world | {name: guess}) for guess in guesses)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["deductive_logic", "abductive_logic"])
@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_logic_says_what_holds_in_every_world(task, level):
    for problem in make_items(task, 120, level=level):
        formulas, target = clauses(problem.question), get_params(problem)["asked"]
        possible = [value for value in (True, False) if satisfiable(formulas, {target: value})]
        assert possible, "no world is possible"
        assert problem.answer == (str(possible[0]) if len(possible) == 1 else "N/A")


@pytest.mark.slow
def test_one_part_of_an_and_at_most_leads_to_the_asked_name():
    """From two that do, more would follow by cases than rule by rule: of (b AND c) -> (NOT d) and a True d, that one of
    b and c is False, and so perhaps what both rest on."""
    for level in (1, 2, 3, 4):
        for problem in make_items("abductive_logic", 120, level=level):
            statements, ways = get_params(problem)["statements"], {get_params(problem)["asked"]}
            for _ in statements:
                ways |= {s[0] for s in statements if ways & {*s[2]}}
            needed_ = {*dyval.find_dependencies(statements, [get_params(problem)["observed"][0]]).names}
            assert all(len(ways & {*s[2]}) <= 1 for s in statements if s[1] == "and" and s[0] in needed_)


def test_graphs_agree_with_networkx():
    for task in ("reachability", "max_sum_path"):
        for problem in make_items(task, 24, level=3):
            statements, (start, end) = get_params(problem)["statements"], get_params(problem)["asked"]
            graph = networkx.DiGraph([(s[0], child) for s in statements for child in s[2]])
            if task == "reachability":
                assert problem.answer == str(networkx.has_path(graph, start, end))
                continue
            value = {s[0]: s[3] for s in statements}
            sums = [sum(value[n] for n in path) for path in networkx.all_simple_paths(graph, start, end)]
            assert problem.answer == (str(max(sums)) if sums else "N/A")


def test_the_unknowns_solve_the_equations_as_they_are_told():
    for problem in make_items("linear_equation", 24, dags=3):
        values = trees.evaluate(get_params(problem)["statements"], get_params(problem)["asked"], dyval.arithmetic.apply)
        x, y = map(Fraction, problem.answer.strip("()").split(", "))
        for line in problem.question.split("\n")[1:3]:
            line = NAME_PATTERN.sub(lambda match, known=values: f"({known[match[0]]})", line)
            left, right = re.sub(r"(\d)(?=[xy])", r"\1*", line).split(" = ")
            assert evaluate(left.replace("x", f"({x})").replace("y", f"({y})")) == evaluate(right)


@pytest.mark.parametrize(
    ("coefficients", "said"),
    [
        ([-5, -8, 6, 1, ["nlj"], 9], "-5x - 8y = 6|x + nlj*y = 9"),
        ([0, -1, ["nlj"], -1, 1, 0], "-y = nlj|-x + y = 0"),
        ([["nlj"], 0, -3, 2, -1, 0], "nlj*x = -3|2x - y = 0"),
    ],
)
def test_equations_are_written_as_one_writes_them(coefficients, said):
    before, _ = dyval.linear_equation.render_frame({"coefficients": coefficients, "asked": ["nlj"]})
    assert "|".join(before.split("\n")[1:3]) == said


def test_every_line_of_arithmetic_holds():
    for problem in make_items("arithmetic", 40, level=3):
        for step in problem.steps[:-1]:
            *said, numbers, result = step.text.split(" = ")
            if not said:
                continue
            if "sqrt" in numbers:
                assert Fraction(result) ** 2 == Fraction(numbers[5:-1])
                continue
            assert evaluate(numbers) == Fraction(result)


# Keyed


def test_an_item_depends_on_nothing_but_its_key():
    for task in dyval.TASKS:
        many, few = make_items(task, 14), make_items(task, 3)
        assert many[:3] == few
        alone = dyval.generate_problem(task, 13, 7, 2, "random", "test", get_knobs(task, 2, {}))
        assert alone == many[13]


def test_graphs_are_told_in_their_hidden_order_so_that_a_path_does_not_show_by_it():
    for task in ("reachability", "max_sum_path"):
        for problem in make_items(task, 24, order="topological"):
            names = [s[0] for s in get_params(problem)["statements"]]
            start, end = get_params(problem)["asked"]
            assert names.index(end) < names.index(start), problem.answer
            assert all(names.index(c) < at for at, s in enumerate(get_params(problem)["statements"]) for c in s[2])


def test_a_knob_changes_only_what_depends_on_it():
    for plain, extra in zip(make_items("arithmetic", 12), make_items("arithmetic", 12, distractors=2), strict=True):
        kept = {json.dumps(s) for s in get_params(plain)["statements"]}
        assert kept < {json.dumps(s) for s in get_params(extra)["statements"]} and plain.answer == extra.answer
    for a, b, c in zip(*(make_items("bool_logic", 6, order=order) for order in dyval.ORDERS), strict=True):
        lines = [sorted(problem.question.split("\n")) for problem in (a, b, c)]
        assert lines[0] == lines[1] == lines[2] and a.answer == b.answer == c.answer
        assert a.question.split("\n")[1:-1] == b.question.split("\n")[1:-1][::-1]


def test_orders_are_what_they_are_called():
    for problem in make_items("arithmetic", 12, level=3, order="topological"):
        defined = set()
        for statement in get_params(problem)["statements"]:
            assert set(get_operands(statement)) <= defined
            defined.add(statement[0])


@pytest.mark.slow
def test_seeds_splits_and_tasks_share_no_item():
    for task in dyval.TASKS:
        sets = [
            make_items(task, 60, seed=42),
            make_items(task, 60, seed=43),
            make_items(task, 60, seed=42, split="dev"),
        ]
        questions = [problem.question for each in sets for problem in each]
        assert len(set(questions)) == len(questions)


@pytest.mark.slow
def test_five_thousand_items_are_different():
    assert len({problem.question for problem in make_items("arithmetic", 5000, level=1)}) >= 4990


@pytest.mark.slow
def test_the_same_bytes_under_every_hash_seed():
    code = (
        "import hashlib; from stages.lib.procedural import dyval; print(hashlib.sha256(''.join(p.model_dump_json() "
        "for t in dyval.TASKS for p in dyval.generate_problems(t, 8, 7, level=3, order='random')).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, check=True
        )
        .stdout.decode()
        .strip()
        for salt in ("0", "1234")
    }
    here = "".join(p.model_dump_json() for t in dyval.TASKS for p in make_items(t, 8, level=3, order="random"))
    assert digests == {hashlib.sha256(here.encode()).hexdigest()}


# The rest


@pytest.mark.slow
def test_a_maximum_sum_path_takes_polynomial_time():
    start = time.process_time()
    problem = next(p for p in make_items("max_sum_path", 3, nodes=120, min_links=8, max_links=10) if p.answer != "N/A")
    assert time.process_time() - start < 5 and int(problem.answer) > 0
    best = {}
    chain = [[f"n{i}", "to", [f"n{j}" for j in range(i + 1, min(i + 9, 150))], 1] for i in range(150)]
    best = dyval.rederive({"task": "max_sum_path", "statements": chain, "asked": ["n0", "n149"]})[2]
    assert best == "150"  # of more than 10^40 paths


def test_answers_are_graded_exactly():
    for task in dyval.TASKS:
        for problem in make_items(task, 6, level=1) + (
            make_items(task, 6, deleted=1, depth=3, unsolvable=0.5) if task in TREE_TASKS else []
        ):
            solution = "\n".join(step.text for step in problem.steps)
            assert answers.equal(problem.answer, solution, problem.answer_type)
            assert answers.equal(problem.answer, f"It is <<<{problem.answer}>>>, as <<<5>>>.", problem.answer_type)
            wrong = (
                "N/A"
                if problem.answer != "N/A"
                else {"boolean": "True", "latex": "(1, 2)"}.get(problem.answer_type, "3")
            )
            assert not answers.equal(problem.answer, f"#### {wrong}", problem.answer_type)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"task": "algebra"}, "task 'algebra' does not exist; use one of arithmetic"),
        ({"task": "arithmetic", "level": 5}, "level 5 of arithmetic does not exist; use one of 0, 1, 2, 3, 4"),
        ({"task": "reachability", "depth": 3}, "reachability has no knob 'depth'; it has nodes"),
        ({"task": "deductive_logic", "deleted": 1}, "has no knob 'deleted'"),
        ({"task": "arithmetic", "depth": 99}, "depth of arithmetic is 99; allowed is 2 to 7"),
        ({"task": "arithmetic", "depth": 7, "width": 5}, "gives over 1000 leaves"),
        ({"task": "arithmetic", "depth": 2, "links": 0, "cycles": 1}, "no room for a cycle"),
        ({"task": "arithmetic", "depth": 2, "links": 0, "distractors": 1}, "too small to hide a distractor"),
        ({"task": "bool_logic", "depth": 2}, "bool_logic of depth 2 shows its answer in one sentence; set depth to 3"),
        ({"task": "linear_equation", "dags": 0, "deleted": 1}, "set dags"),
        ({"task": "max_sum_path", "min_links": 5}, "min_links 5 is above max_links 3"),
        ({"task": "max_sum_path", "max_links": 1}, "there is one path at most; set max_links to 2 or more"),
        ({"task": "reachability", "nodes": 12, "min_links": 10, "max_links": 10}, "draws gave no reachability with"),
        ({"task": "arithmetic", "order": "upwards"}, "order 'upwards' does not exist"),
    ],
)
def test_a_wrong_knob_is_a_clear_error(call, said):
    with pytest.raises(UserError, match=re.escape(said)):
        dyval.generate_problems(n=1, seed=1, **call)
