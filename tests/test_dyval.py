"""DyVal: exact, balanced, the same bytes everywhere, and none of the measured defects of the original."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from fractions import Fraction
from itertools import product

import networkx
import pytest

from stages.lib import answers
from stages.lib.errors import UserError
from stages.ood import dyval
from stages.ood.dyval import bool_logic, trees
from stages.ood.dyval.levels import knobs_of
from stages.ood.dyval.names import names
from stages.ood.dyval.statements import LEAF, needed, operands
from tests.arithmetic import value

TREES = ("arithmetic", "linear_equation", "bool_logic")
LOGIC = ("bool_logic", "deductive_logic", "abductive_logic")
NAME = re.compile(r"\b[bcdfghjklmnpqrstvwz]{3}\b")


def made(task, n=24, seed=7, **knobs):
    return dyval.problems(task, n, seed, **knobs)


def params(problem):
    return problem.program.params


# What is said is so


@pytest.mark.parametrize("task", dyval.TASKS)
def test_every_item_can_be_derived_again_and_its_words_alone_give_its_answer(task):
    for level, order in zip((1, 2, 3, 4, 2), ("topological", "reversed", "random", "random", "random"), strict=True):
        for problem in made(task, 12, level=level, order=order):
            assert dyval.check(problem) == []
            again = dyval.rederive(json.loads(json.dumps(params(problem))))
            assert again == (problem.question, problem.steps, problem.answer)
            assert problem.steps[-1].text == f"#### {problem.answer}" and problem.steps[-1].value == problem.answer
            assert problem.benchmark == "dyval" and problem.operator == task and problem.contract is None


@pytest.mark.parametrize("task", dyval.TASKS)
def test_a_planted_fault_is_found(task):
    problem = made(task, 2, level=3)[1]
    other = "N/A" if problem.answer != "N/A" else "True"
    assert dyval.check(problem.model_copy(update={"answer": other}))
    assert dyval.check(problem.model_copy(update={"steps": problem.steps[1:]}))
    assert dyval.check(problem.model_copy(update={"question": problem.question.replace("?", "")}))
    twisted = json.loads(json.dumps(params(problem)))
    twisted["statements"] = twisted["statements"][:-1]
    assert dyval.check(problem.model_copy(update={"program": problem.program.model_copy(update={"params": twisted})}))


def worlds(statements, observed=None):
    """All truth assignments that satisfy facts, rules and what is observed."""
    told = list(dict.fromkeys(one for s in statements for one in (s[0], *operands(s))))
    for values in product((False, True), repeat=len(told)):
        world = dict(zip(told, values, strict=True))
        if observed and world[observed[0]] != observed[1]:
            continue
        for name, operation, below, *sign in statements:
            if operation == LEAF:
                holds = world[name] == below
            else:
                found = [world[one] for one in below]
                premise = {"and": all(found), "or": any(found), "not": not found[0]}[operation]
                holds = not premise or world[name] == sign[0]
            if not holds:
                break
        else:
            yield world


@pytest.mark.parametrize(
    ("task", "depth"), [("deductive_logic", 2), ("abductive_logic", 2), ("abductive_logic", 3), ("abductive_logic", 4)]
)
def test_logic_says_what_holds_in_every_world(task, depth):
    for problem in made(task, 24 if depth < 4 else 4, depth=depth, width=2):
        found = {
            world[params(problem)["asked"]]
            for world in worlds(params(problem)["statements"], params(problem).get("observed"))
        }
        assert problem.answer == (str(found.pop()) if len(found) == 1 else "N/A")


def test_graphs_agree_with_networkx():
    for task in ("reachability", "max_sum_path"):
        for problem in made(task, 24, level=3):
            statements, (start, end) = params(problem)["statements"], params(problem)["asked"]
            graph = networkx.DiGraph([(s[0], child) for s in statements for child in s[2]])
            if task == "reachability":
                assert problem.answer == str(networkx.has_path(graph, start, end))
                continue
            value = {s[0]: s[3] for s in statements}
            sums = [sum(value[n] for n in path) for path in networkx.all_simple_paths(graph, start, end)]
            assert problem.answer == (str(max(sums)) if sums else "N/A")


def test_the_unknowns_solve_the_equations_as_they_are_told():
    for problem in made("linear_equation", 24, dags=3):
        values = trees.evaluate(params(problem)["statements"], params(problem)["asked"], dyval.arithmetic.apply)
        x, y = map(Fraction, problem.answer.strip("()").split(", "))
        for line in problem.question.split("\n")[1:3]:
            a, b, c = (values.get(t) if NAME.fullmatch(t) else int(t) for t in re.fullmatch(
                r"(\S+) x \+ \(?([^ )]+)\)? y = (\S+)", line).groups())  # fmt: skip
            assert a * x + b * y == c


def test_every_line_of_arithmetic_holds():
    for problem in made("arithmetic", 40, level=3):
        for step in problem.steps[:-1]:
            *said, numbers, result = step.text.split(" = ")
            if not said:
                continue
            if "sqrt" in numbers:
                assert Fraction(result) ** 2 == Fraction(numbers[5:-1])
                continue
            assert value(numbers) == Fraction(result)


# Labels


@pytest.mark.parametrize("task", [*LOGIC, "reachability"])
def test_no_constant_answer_is_worth_anything_at_any_depth(task):
    sizes = (
        [{"nodes": n} for n in (5, 10, 20)]
        if task == "reachability"
        else [{"depth": d, "width": 2} for d in (2, 3, 4, 5)]
    )
    classes = 3 if task in ("deductive_logic", "abductive_logic") else 2
    for size in sizes:
        counts = Counter(problem.answer for problem in made(task, 60, **size))
        assert sorted(counts.values()) == [60 // classes] * classes


def test_the_first_items_of_a_set_are_balanced_too_and_not_in_a_pattern():
    labels = [problem.answer for problem in made("deductive_logic", 96, level=1)]
    assert len({tuple(labels[start : start + 12]) for start in range(0, 96, 12)}) == 8
    assert max(Counter(labels[:50]).values()) <= 0.38 * 50


def test_with_unsolvable_items_no_answer_leads():
    for knob in ("deleted", "cycles"):
        counts = Counter(problem.answer for problem in made("bool_logic", 60, **{knob: 1}))
        assert counts == {"True": 20, "False": 20, "N/A": 20}


def test_arithmetic_covers_negatives_and_stays_small():
    values = [Fraction(problem.answer) for problem in made("arithmetic", 400)]
    assert sum(value < 0 for value in values) > 40 and any(value.denominator > 1 for value in values)
    assert max(abs(value.numerator) for value in values) <= 10**5
    assert max(Counter(values).values()) < 0.1 * len(values)


# What is broken says so


@pytest.mark.parametrize("task", TREES)
@pytest.mark.parametrize("knobs", [{"deleted": 1}, {"deleted": 3}, {"cycles": 1}, {"cycles": 2}])
def test_a_broken_item_says_na_and_never_the_old_answer(task, knobs):
    whole, broken = made(task, 12), made(task, 12, unsolvable=1, **knobs)
    assert all(problem.answer == "N/A" and problem.contract == "unsolvable" for problem in broken)
    for before, after in zip(whole, broken, strict=True):
        assert dyval.check(after) == [], after.question  # for a deletion this proves two completions
        need = needed(params(after)["statements"], dyval._tops(params(after)))
        assert bool(need.circle) == ("cycles" in knobs) and bool(need.missing) == ("deleted" in knobs)
        assert before.id == after.id and before.answer != "N/A"


def test_a_circle_of_truth_values_fits_both_answers_or_none():
    for problem in made("bool_logic", 24, unsolvable=1, cycles=1):
        statements, asked = params(problem)["statements"], params(problem)["asked"]
        told = [s[0] for s in statements]
        found = set()
        for values in product((False, True), repeat=len(told)):
            world = dict(zip(told, values, strict=True))
            if all(
                world[n] == (below if op == LEAF else bool_logic.apply(op, [world[one] for one in below]))
                for n, op, below in statements
            ):
                found.add(world[asked])
        assert len(found) != 1


# Distractors


def forms(task, **knobs):
    """{(operation, operands, sign): number} of the needed sentences and of the others."""
    counts = {True: Counter(), False: Counter()}
    for problem in dyval.problems(task, 150, 3, **knobs):
        inside = needed(params(problem)["statements"], dyval._tops(params(problem))).names
        for statement in params(problem)["statements"]:
            counts[statement[0] in inside][(statement[1], len(operands(statement)), *statement[3:])] += 1
    return counts


@pytest.mark.parametrize("task", [*TREES, "deductive_logic", "abductive_logic"])
def test_the_best_detector_of_distractor_sentences_is_near_chance(task):
    for level in (2, 3):
        counts = forms(task, level=level, distractors=2)
        kinds = sorted({*counts[True], *counts[False]}, key=str)
        apart = sum(
            abs(counts[True][k] / counts[True].total() - counts[False][k] / counts[False].total()) for k in kinds
        )
        assert 0.5 + apart / 4 <= 0.55, "balanced accuracy of Bayes' rule on the form of a sentence"


@pytest.mark.parametrize("task", [*TREES, "deductive_logic", "abductive_logic"])
def test_distractors_hang_on_the_graph_and_are_named_like_it(task):
    for problem in made(task, 12, level=3):
        statements = params(problem)["statements"]
        graph = networkx.Graph([(s[0], one) for s in statements for one in operands(s)])
        graph.add_nodes_from(s[0] for s in statements)
        tops = dyval._tops(params(problem))
        parts = list(networkx.connected_components(graph))
        assert all(part & set(tops) for part in parts)
        assert all(NAME.fullmatch(s[0]) for s in statements)
        assert any(apart for _, apart, _ in dyval.sentences(problem))
        assert dyval.rederive({**params(problem), "statements": [
            s for s, (_, apart, _) in zip(statements, dyval.sentences(problem), strict=True) if not apart
        ]})[2] == problem.answer  # fmt: skip


def test_names_are_no_words_and_do_not_tell_their_order():
    import random

    drawn = names(random.Random(1), 500)
    assert len(set(drawn)) == 500 and all(NAME.fullmatch(name) for name in drawn)
    assert names(random.Random(1), 20) == drawn[:20]
    assert drawn != sorted(drawn)


# Keyed


def test_an_item_depends_on_nothing_but_its_key():
    for task in dyval.TASKS:
        many, few = made(task, 14), made(task, 3)
        assert many[:3] == few
        alone = dyval.problem(task, 13, 7, 2, "topological", "test", knobs_of(task, 2, {}))
        assert alone == many[13]


def test_a_knob_changes_only_what_depends_on_it():
    for plain, extra in zip(made("arithmetic", 12), made("arithmetic", 12, distractors=2), strict=True):
        kept = {json.dumps(s) for s in params(plain)["statements"]}
        assert kept < {json.dumps(s) for s in params(extra)["statements"]} and plain.answer == extra.answer
    for a, b, c in zip(*(made("bool_logic", 6, order=order) for order in dyval.ORDERS), strict=True):
        lines = [sorted(problem.question.split("\n")) for problem in (a, b, c)]
        assert lines[0] == lines[1] == lines[2] and a.answer == b.answer == c.answer
        assert a.question.split("\n")[1:-1] == b.question.split("\n")[1:-1][::-1]


def test_orders_are_what_they_are_called():
    for problem in made("arithmetic", 12, level=3):
        seen = set()
        for statement in params(problem)["statements"]:
            assert set(operands(statement)) <= seen
            seen.add(statement[0])


def test_seeds_splits_and_tasks_share_no_item():
    for task in dyval.TASKS:
        sets = [made(task, 60, seed=42), made(task, 60, seed=43), made(task, 60, seed=42, split="dev")]
        questions = [problem.question for each in sets for problem in each]
        assert len(set(questions)) == len(questions)


def test_five_thousand_items_are_different():
    assert len({problem.question for problem in made("arithmetic", 5000, level=1)}) >= 4990


def test_the_same_bytes_under_every_hash_seed():
    code = (
        "import hashlib; from stages.ood import dyval; print(hashlib.sha256(''.join(p.model_dump_json() for t in "
        "dyval.TASKS for p in dyval.problems(t, 8, 7, level=3, order='random')).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, check=True
        ).stdout.decode().strip()
        for salt in ("0", "1234")
    }  # fmt: skip
    here = "".join(p.model_dump_json() for t in dyval.TASKS for p in made(t, 8, level=3, order="random"))
    assert digests == {hashlib.sha256(here.encode()).hexdigest()}


# The rest


def test_a_maximum_sum_path_takes_polynomial_time():
    start = time.process_time()
    problem = next(p for p in made("max_sum_path", 3, nodes=120, min_links=8, max_links=10) if p.answer != "N/A")
    assert time.process_time() - start < 5 and int(problem.answer) > 0
    best = {}
    chain = [[f"n{i}", "to", [f"n{j}" for j in range(i + 1, min(i + 9, 150))], 1] for i in range(150)]
    best = dyval.rederive({"task": "max_sum_path", "statements": chain, "asked": ["n0", "n149"]})[2]
    assert best == "150"  # of more than 10^40 paths


def test_answers_are_graded_exactly():
    for task in dyval.TASKS:
        for problem in made(task, 6, level=1) + (
            made(task, 6, deleted=1, depth=3, unsolvable=0.5) if task in TREES else []
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


SCORES = [
    ("arithmetic", "so <<<2.33333>>> or <<<5>>>", "7/3", True),
    ("arithmetic", "<<<2.334>>>", "7/3", False),
    ("arithmetic", "<<<1,234>>>", "1234", True),
    ("arithmetic", "the answer is 7", "7", False),
    ("arithmetic", "<<<N/A>>>", "N/A", True),
    ("arithmetic", "<<<7>>>", "N/A", False),
    ("arithmetic", "<<<many>>>", "7", False),
    ("arithmetic", "<<<1/0>>>", "7", False),
    ("linear_equation", "<<<2.3333 -2>>>", "(7/3, -2)", True),
    ("linear_equation", "<<<(7/3, -2)>>>", "(7/3, -2)", True),
    ("linear_equation", "<<<2.3333>>>", "(7/3, -2)", False),
    ("bool_logic", "<<<true>>>", "True", True),
    ("deductive_logic", "<<<n/a>>>", "N/A", True),
    ("reachability", "<<<False>>>", "True", False),
    ("max_sum_path", "<<<40>>>", "40", True),
    ("max_sum_path", "<<<40.1>>>", "40", False),
]


@pytest.mark.parametrize(("task", "prediction", "gold", "right"), SCORES)
def test_scoring_follows_the_original(task, prediction, gold, right):
    assert dyval.score(task, prediction, gold) is right


def test_the_training_text_ends_in_the_original_form():
    for task in dyval.TASKS:
        for problem in made(task, 4, order="random"):
            question, text = dyval.training_text(problem)
            assert sorted(question.split("\n")) == sorted(problem.question.split("\n"))
            assert re.search(r"\n\nThus, the answer is <<<[^<>]+>>>$", text)
            assert dyval.score(task, text, problem.answer)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"task": "algebra"}, "task 'algebra' does not exist; use one of arithmetic"),
        ({"task": "arithmetic", "level": 5}, "level 5 of arithmetic does not exist; use one of 1, 2, 3, 4"),
        ({"task": "reachability", "depth": 3}, "reachability has no knob 'depth'; it has nodes"),
        ({"task": "deductive_logic", "deleted": 1}, "has no knob 'deleted'"),
        ({"task": "arithmetic", "depth": 99}, "depth of arithmetic is 99; allowed is 2 to 7"),
        ({"task": "arithmetic", "depth": 7, "width": 5}, "gives over 1000 leaves"),
        ({"task": "arithmetic", "depth": 2, "links": 0, "cycles": 1}, "no room for a cycle"),
        ({"task": "bool_logic", "depth": 2, "distractors": 1}, "too small to hide a distractor"),
        ({"task": "linear_equation", "dags": 0, "deleted": 1}, "set dags"),
        ({"task": "max_sum_path", "min_links": 5}, "min_links 5 is above max_links 3"),
        ({"task": "arithmetic", "order": "upwards"}, "order 'upwards' does not exist"),
    ],
)
def test_a_wrong_knob_is_a_clear_error(call, said):
    with pytest.raises(UserError, match=re.escape(said)):
        dyval.problems(n=1, seed=1, **call)
