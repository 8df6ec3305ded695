"""Operators on DyVal items: a second reader agrees after every change, and what is taken away is proven to be needed."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.commands import verify_items
from stages.ood import dyval, operators
from stages.ood.dyval.statements import needed, operands
from stages.ood.operators import dags, gaps
from tests.variants import of, sound, told_apart

CHANGED = ("order", "names", "irrelevant", "numbers", "larger", "premise", "typos")
NUMERIC = ("arithmetic", "linear_equation", "max_sum_path")
PARENTS = [
    problem
    for task in dyval.TASKS
    for level, order in ((1, "topological"), (2, "reversed"), (3, "random"))
    for problem in dyval.problems(task, 3, 11, level, order)
]
BY_ID = {parent.id: parent for parent in PARENTS}
MADE, REJECTED = operators.variants(PARENTS, operators.OPERATORS, 4)


def state(variant):
    return operators.final_state(variant.program.params)


def test_every_variant_or_its_reject_with_a_reason():
    assert {v.id for v in MADE} | {r.id for r in REJECTED} == {
        f"{p.id}~{o}" for p in PARENTS for o in operators.OPERATORS
    }
    reasons = Counter(reject.operator for reject in REJECTED)
    assert {name for name in operators.OPERATORS if reasons[name] == len(PARENTS)} == set(dags.REASONS)
    for name in ("order", "names", "irrelevant", "larger", "typos"):
        assert reasons[name] <= 2, name
    assert {v.program.params["base"]["params"]["task"] for v in of(MADE, "numbers")} == set(NUMERIC)
    assert {v.program.params["base"]["params"]["task"] for v in of(MADE, "premise")} == set(dyval.TASKS) - {
        "reachability"
    }


@pytest.mark.parametrize("name", CHANGED)
def test_a_variant_keeps_its_contract(name):
    for variant in of(MADE, name):
        parent = BY_ID[variant.parent]
        assert sound(variant), variant.id
        assert variant.question != parent.question
        assert (variant.answer == parent.answer) == (variant.contract == "preserving")
        assert variant.contract != "unsolvable" or variant.answer == "N/A"


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(dyval.TASKS), st.sampled_from(CHANGED), st.integers(1, 4), st.sampled_from(dyval.ORDERS),
       st.integers(0, 10**6))  # fmt: skip
def test_any_task_any_operator(task, name, level, order, seed):
    (parent,) = dyval.problems(task, 1, seed, level, order)
    made, rejects = operators.variants([parent], [name], seed)
    assert len(made) + len(rejects) == 1 and all(map(sound, made))


@pytest.mark.parametrize("name", CHANGED)
def test_a_planted_wrong_label_is_found_in_every_variant(name):
    for variant in of(MADE, name):
        wrong = "False" if variant.answer == "True" else "True"
        assert verify_items.verified(variant.model_copy(update={"answer": wrong}), {})[0] == "failed", variant.id


def test_another_order_tells_the_same():
    for variant in of(MADE, "order"):
        assert sorted(variant.question.split("\n")) == sorted(BY_ID[variant.parent].question.split("\n"))
        told, order = state(variant)["statements"], state(variant)["order"]
        assert order != BY_ID[variant.parent].program.params["order"]
        place = {statement[0]: i for i, statement in enumerate(told)}
        if order != "random" and len(place) == len(told):
            pairs = [(place[one], place[s[0]]) for s in told for one in operands(s) if one in place]
            assert all(a < b if order == "topological" else a > b for a, b in pairs)


def test_what_is_added_hangs_on_the_item_and_is_not_needed():
    for variant in of(MADE, "irrelevant"):
        before, after = BY_ID[variant.parent].program.params, state(variant)
        old = {statement[0] for statement in before["statements"]}
        new = [statement for statement in after["statements"] if statement[0] not in old]
        assert new and len({s[0] for s in new} & old) == 0
        linked, found = set(old), True
        while found:  # every new name hangs on the old ones, by what it rests on or by what rests on it
            found = [s[0] for s in after["statements"] if s[0] not in linked and linked & set(operands(s))]
            found += [one for s in after["statements"] if s[0] in linked for one in operands(s) if one not in linked]
            linked |= set(found)
        assert {s[0] for s in new} <= linked
        if before["task"] not in ("reachability", "max_sum_path"):
            assert not {s[0] for s in new} & set(needed(after["statements"], gaps._asked(after)).names)


def test_a_node_that_is_added_lies_on_no_path():
    for variant in of(MADE, "irrelevant"):
        after = state(variant)
        if after["task"] == "max_sum_path":
            old = {s[0] for s in BY_ID[variant.parent].program.params["statements"]}
            assert set(dyval.max_sum_path.on_the_way(after["statements"], *after["asked"])) <= old
            assert not needed(after["statements"], [s[0] for s in after["statements"]]).circle


def test_what_is_missing_has_two_completions():
    kinds = Counter()
    for variant in of(MADE, "premise"):
        base, change = variant.program.params["base"]["params"], variant.program.params["changes"][0]
        kinds[change["kind"]] += 1
        assert gaps.proven(base, change) == []
        (one, first), (other, second) = change["completions"]
        assert one[0] == other[0] and first != second
        forged = {**change, "completions": [[one, first], [one, first]]}
        assert gaps.proven(base, forged)
        assert gaps.proven(base, {**change, "completions": [[one, second], [other, first]]})
    assert set(kinds) == {"another", "circle"}


def test_what_is_missing_changes_no_form():
    """Names aside, an item tells the same number of sentences of the same forms as its parent."""
    for variant in of(MADE, "premise"):
        told, parent = state(variant)["statements"], BY_ID[variant.parent].program.params["statements"]
        forms = [[(s[1], len(operands(s)), *s[3:]) for s in statements] for statements in (told, parent)]
        assert forms[0] == forms[1]


def test_a_bag_of_words_cannot_tell_what_has_no_answer():
    parents = [p for task in dyval.TASKS for level in (1, 2, 3) for p in dyval.problems(task, 24, 5, level, "random")]
    made, _ = operators.variants(parents, ["premise"], 4)
    whole = {parent.id: parent for parent in parents}
    assert len(made) > 250 and told_apart(made, whole) <= 0.55


def test_the_next_level_is_the_next_level():
    for variant in of(MADE, "larger"):
        assert state(variant)["level"] == BY_ID[variant.parent].program.params["level"] + 1


def test_an_item_without_an_answer_cannot_lose_it():
    broken = [p for p in dyval.problems("arithmetic", 24, 3, 2, deleted=1) if p.contract == "unsolvable"]
    made, rejects = operators.variants(broken, ["premise", "numbers"], 1)
    assert broken and not made and len(rejects) == 2 * len(broken)
