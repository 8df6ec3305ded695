"""DyVal has none of the measured defects of the original: labels, broken items and distractors give nothing away."""

from collections import Counter
from fractions import Fraction
from itertools import combinations, product
from statistics import mean, variance

import networkx
import pytest

from stages.lib.procedural import dyval
from stages.lib.procedural.dyval import bool_logic
from stages.lib.procedural.dyval.levels import get_knobs
from stages.lib.procedural.dyval.names import draw_names
from stages.lib.procedural.dyval.statements import LEAF, find_dependencies, get_operands
from tests.helpers.dyval_items import LOGIC_TASKS, NAME_PATTERN, TREE_TASKS, get_params, make_items

# Labels


@pytest.mark.slow
@pytest.mark.parametrize("task", [*LOGIC_TASKS, "reachability"])
def test_no_constant_answer_is_worth_anything_at_any_depth(task):
    sizes = (
        [{"nodes": n} for n in (8, 10, 20)] if task == "reachability" else [{"depth": d, "width": 2} for d in (3, 4, 5)]
    )
    classes = 3 if task in ("deductive_logic", "abductive_logic") else 2
    for size in sizes:
        counts = Counter(problem.answer for problem in make_items(task, 60, **size))
        assert sorted(counts.values()) == [60 // classes] * classes


def test_the_first_items_of_a_set_are_balanced_too_and_not_in_a_pattern():
    labels = [problem.answer for problem in make_items("deductive_logic", 96, level=1)]
    assert len({tuple(labels[start : start + 12]) for start in range(0, 96, 12)}) == 8
    assert max(Counter(labels[:50]).values()) <= 0.38 * 50


@pytest.mark.slow
def test_with_unsolvable_items_no_answer_leads():
    for knob in ("deleted", "cycles"):
        counts = Counter(problem.answer for problem in make_items("bool_logic", 60, **{knob: 1}))
        assert counts == {"True": 20, "False": 20, "N/A": 20}


def test_arithmetic_covers_negatives_and_stays_small():
    values = [Fraction(problem.answer) for problem in make_items("arithmetic", 400)]
    assert sum(value < 0 for value in values) > 40 and any(value.denominator > 1 for value in values)
    assert max(abs(value.numerator) for value in values) <= 10**5
    assert max(Counter(values).values()) < 0.1 * len(values)


# What stands at the names that are asked for


def degrees(problem):
    """What can be counted at the two nodes: links out of and into each, and the places of both in the hidden order."""
    statements, (start, end) = get_params(problem)["statements"], get_params(problem)["asked"]
    entered = Counter(child for s in statements for child in s[2])
    names = [s[0] for s in statements]
    out = {s[0]: len(s[2]) for s in statements}
    return [out[start], entered[start], out[end], entered[end], names.index(start), names.index(end)]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["reachability", "max_sum_path"])
def test_nodes_with_and_without_a_path_look_alike(task):
    """Means that differ by over four standard errors would be a shortcut."""
    for level in (1, 2) if task == "reachability" else (2, 3):
        kinds = {True: [], False: []}
        for problem in make_items(task, 240, level=level, order="topological"):
            kinds[problem.answer in ("False", "N/A")].append(degrees(problem))
            assert (
                get_params(problem)["asked"][1]
                not in dyval.graphs.build_adjacency(get_params(problem)["statements"])[get_params(problem)["asked"][0]]
            )
        for one, other in zip(*(zip(*rows, strict=True) for rows in kinds.values()), strict=True):
            error = (variance(one) / len(one) + variance(other) / len(other)) ** 0.5
            assert abs(mean(one) - mean(other)) <= 4 * error


def test_exchanging_links_keeps_every_node_its_links():
    import random

    for number in range(30):
        rng = random.Random(number)
        before = dyval.graphs.grow(rng, get_knobs("reachability", 1, {}))
        for reached in (True, False):
            pair = dyval.graphs.draw_matched_pair(random.Random(number), before, reached, 8)
            if pair:
                after, (start, end) = pair
                assert [len(below) for below in after] == [len(below) for below in before]
                assert Counter(sum(after, [])) == Counter(sum(before, []))
                assert all(child > node for node, below in enumerate(after) for child in {*below})
                assert bool(dyval.graphs.compute_reachable(after)[start] >> end & 1) is reached


@pytest.mark.slow
def test_a_rule_that_holds_the_asked_name_of_an_abductive_item_does_not_tell():
    """The best guess from the form of any one such rule, and how the name stands in it, is right in a third."""
    for level in (1, 2, 3, 4):
        forms_ = {}
        for problem in make_items("abductive_logic", 600, level=level):
            target, observed = get_params(problem)["asked"], get_params(problem)["observed"][1]
            for _, operation, below, sign, negated in get_params(problem)["statements"]:
                if target in below:
                    form = operation, negated[below.index(target)], sign, observed, sum(negated)
                    forms_.setdefault(form, Counter())[problem.answer] += 1
        right = sum(max(counts.values()) - 1 for counts in forms_.values())
        assert right / sum(counts.total() for counts in forms_.values()) <= 0.40  # the maximum of noisy counts is above


def test_and_is_no_or_in_abductive_items():
    """Who takes every AND for an OR is wrong in a good part of the items."""
    wrong = 0
    for problem in make_items("abductive_logic", 120):
        swapped = [[s[0], "or" if s[1] == "and" else s[1], *s[2:]] for s in get_params(problem)["statements"]]
        wrong += dyval.abductive_logic.solve({**get_params(problem), "statements": swapped})[1] != problem.answer
    assert wrong >= 12


@pytest.mark.slow
def test_the_number_of_facts_that_hold_tells_no_truth_value():
    for task in ("bool_logic", "deductive_logic"):
        for level in (1, 2):
            counts = {}
            for problem in make_items(task, 360, level=level):
                holding = sum(s[1] == LEAF and s[2] for s in get_params(problem)["statements"])
                counts.setdefault(problem.answer, []).append(holding)
            for one, other in combinations(counts.values(), 2):
                error = (variance(one) / len(one) + variance(other) / len(other)) ** 0.5
                assert abs(mean(one) - mean(other)) <= 4 * error


# What is broken says so


@pytest.mark.parametrize("task", TREE_TASKS)
@pytest.mark.parametrize("knobs", [{"deleted": 1}, {"deleted": 3}, {"cycles": 1}, {"cycles": 2}])
def test_a_broken_item_says_na_and_never_the_old_answer(task, knobs):
    whole, broken = make_items(task, 12), make_items(task, 12, unsolvable=1, **knobs)
    assert all(problem.answer == "N/A" and problem.contract == "unsolvable" for problem in broken)
    for before, after in zip(whole, broken, strict=True):
        assert dyval.check(after) == [], after.question  # for a deletion this proves two completions
        need = find_dependencies(get_params(after)["statements"], dyval._find_roots(get_params(after)))
        assert bool(need.cycle) == ("cycles" in knobs) and bool(need.missing) == ("deleted" in knobs)
        assert before.id == after.id and before.answer != "N/A"


@pytest.mark.slow
@pytest.mark.parametrize("task", TREE_TASKS)
@pytest.mark.parametrize("knobs", [{"deleted": 1}, {"cycles": 1}, {"deleted": 1, "cycles": 1}])
def test_what_is_broken_cannot_be_told_by_counting(task, knobs):
    """Sentences, names without one, and names that nothing rests on: as many in items that keep their answer."""
    counts = {True: [], False: []}
    for problem in make_items(task, 120, unsolvable=0.5, **knobs):
        statements = get_params(problem)["statements"]
        described, used = {s[0] for s in statements}, [operand for s in statements for operand in get_operands(s)]
        whole = get_params(problem)["broken"]
        counts[whole].append((len(described), len({*used} - described), len(described - {*used}), len(used)))
        assert dyval.check(problem) == []
    assert len(counts[True]) == len(counts[False]) == 60
    for first, other in zip(*(zip(*rows, strict=True) for rows in counts.values()), strict=True):
        error = (variance(first) / len(first) + variance(other) / len(other)) ** 0.5
        assert abs(mean(first) - mean(other)) <= 4 * error


@pytest.mark.slow
def test_a_circle_of_truth_values_fits_both_answers_or_none():
    for problem in make_items("bool_logic", 24, unsolvable=1, cycles=1):
        target = get_params(problem)["asked"]
        names = find_dependencies(get_params(problem)["statements"], [target]).names
        statements = [s for s in get_params(problem)["statements"] if s[0] in names]
        answers = set()
        for values in product((False, True), repeat=len(names)):
            world = dict(zip(names, values, strict=True))
            if all(
                world[n] == (below if op == LEAF else bool_logic.apply(op, [world[operand] for operand in below]))
                for n, op, below in statements
            ):
                answers.add(world[target])
        assert len(answers) != 1


# Distractors


def forms(task, **knobs):
    """{(operation, operands, sign): number} of the needed sentences and of the others."""
    counts = {True: Counter(), False: Counter()}
    for problem in dyval.generate_problems(task, 150, 3, **knobs):
        inside = find_dependencies(get_params(problem)["statements"], dyval._find_roots(get_params(problem))).names
        for statement in get_params(problem)["statements"]:
            counts[statement[0] in inside][(statement[1], len(get_operands(statement)), str(statement[3:]))] += 1
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("task", [*TREE_TASKS, "deductive_logic", "abductive_logic"])
def test_the_best_detector_of_distractor_sentences_is_near_chance(task):
    for level in (2, 3):
        counts = forms(task, level=level, distractors=2)
        kinds = sorted({*counts[True], *counts[False]}, key=str)
        apart = sum(
            abs(counts[True][k] / counts[True].total() - counts[False][k] / counts[False].total()) for k in kinds
        )
        assert 0.5 + apart / 4 <= 0.55, "balanced accuracy of Bayes' rule on the form of a sentence"


@pytest.mark.parametrize("task", [*TREE_TASKS, "deductive_logic", "abductive_logic"])
def test_distractors_hang_on_the_graph_and_are_named_like_it(task):
    for problem in make_items(task, 12, level=3):
        statements = get_params(problem)["statements"]
        graph = networkx.Graph([(s[0], one) for s in statements for one in get_operands(s)])
        graph.add_nodes_from(s[0] for s in statements)
        tops = dyval._find_roots(get_params(problem))
        parts = list(networkx.connected_components(graph))
        assert all(part & set(tops) for part in parts)
        assert all(NAME_PATTERN.fullmatch(s[0]) for s in statements)
        assert any(apart for _, apart, _ in dyval.label_sentences(problem))
        assert (
            dyval.rederive(
                {
                    **get_params(problem),
                    "statements": [
                        s
                        for s, (_, apart, _) in zip(statements, dyval.label_sentences(problem), strict=True)
                        if not apart
                    ],
                }
            )[2]
            == problem.answer
        )


def test_names_are_no_words_and_do_not_tell_their_order():
    import random

    names = draw_names(random.Random(1), 500)
    assert len(set(names)) == 500 and all(NAME_PATTERN.fullmatch(name) for name in names)
    assert draw_names(random.Random(1), 20) == names[:20]
    assert names != sorted(names)
