"""Competition families: two solvers that agree, text that reads back, solutions that end in the answer."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib import answers, competition, seeds
from stages.lib.competition import items, reading
from stages.lib.competition.family import AREAS, signed, unsigned
from tests.arithmetic import value

FAMILIES = competition.FAMILIES
by_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


def drawn(family, level, seed):
    """Parameters as `item` draws them, also where the answer is out of range."""
    for attempt in range(400):
        params = family.sample(lambda field, a=attempt: seeds.rng(seed, a, field), level)
        if params is not None:
            return params
    raise AssertionError(f"{family.name}: no parameters at level {level}")


def test_there_are_enough_families_of_every_kind():
    assert len(FAMILIES) >= 24
    areas = Counter(family.area for family in FAMILIES.values())
    assert set(areas) == set(AREAS) and min(areas.values()) >= 4


@by_family
@settings(deadline=None, max_examples=60)
@given(level=st.sampled_from(competition.LEVELS), seed=st.integers(0, 2**32))
def test_both_solvers_agree(family, level, seed):
    params = drawn(family, level, seed)
    assert family.solve_closed(params) == family.solve_brute(params), params


@by_family
@settings(deadline=None, max_examples=30)
@given(level=st.sampled_from(competition.LEVELS), seed=st.integers(0, 2**32))
def test_every_phrasing_reads_back_and_the_solution_ends_in_the_answer(family, level, seed):
    params = drawn(family, level, seed)
    words = family.words(params)
    assert len(family.phrasings) >= 3
    for phrasing in family.phrasings:
        text = reading.written(phrasing, words)
        assert "{" not in text and text[0].isupper() and text[-1] in ".?)"
        assert family.parse(reading.read(phrasing, text)) == params
    steps = family.steps(params)
    assert len(steps) >= 3 and steps[-1].value == str(family.solve_closed(params))
    assert [step.text.split()[0] for step in steps] == [f"{i}." for i in range(1, len(steps) + 1)]


LEFT = re.compile(r"(?:^|[a-z:,;] )([-\d(][-\d()+*/^ ]*)$")
RIGHT = re.compile(r"([-\d(][-\d()+*/^ ]*?)(?=$|[,.;:]| [a-z=])")


def equations(text):
    """(left, right) of every `left = right` that is plain arithmetic on both sides."""
    parts = text.split(". ", 1)[1].split(" = ")
    for before, after in zip(parts, parts[1:], strict=False):
        left, right = LEFT.search(before), RIGHT.match(after)
        if left and right and all(side[1].count("(") == side[1].count(")") for side in (left, right)):
            yield left[1], right[1]


@by_family
@settings(deadline=None, max_examples=15)
@given(level=st.sampled_from(competition.LEVELS), seed=st.integers(0, 2**32))
def test_the_equations_of_a_solution_hold(family, level, seed):
    for step in family.steps(drawn(family, level, seed)):
        for left, right in equations(step.text):
            assert value(left) == value(right), (step.text, left, right)


def test_the_reading_of_equations():
    assert list(equations("1. So n = 3 + 4 * 2 = 11, unique modulo 5 * 7 = 35.")) == [
        ("3 + 4 * 2", "11"), ("5 * 7", "35")]  # fmt: skip
    assert list(equations("2. C(5, 2) = 10 and x = 3.")) == []


@by_family
def test_items_are_proven_and_their_levels_mean_something(family):
    means = []
    for level in competition.LEVELS:
        made = [
            competition.item(family.name, level, 7, f"competition/test/{family.name}-{i}", "test") for i in range(25)
        ]
        assert all(not isinstance(item, str) for item in made), made
        for item in made:
            assert competition.check(item) == []
            assert 0 <= int(item.answer) <= 999 and answers.equal(item.answer, item.steps[-1].text, "integer")
            assert f"#### {item.answer}" == item.steps[-1].text
        means.append(sum(item.difficulty for item in made) / len(made))
    assert means[0] < means[2], means


def item(**changes):
    return competition.item("two_coins", 1, 3, "competition/test/x", "test").model_copy(update=changes)


def test_a_planted_error_is_caught(monkeypatch):
    assert competition.check(item()) == []
    assert competition.check(item(answer="1"))
    assert competition.check(item(question=item().question.replace("coins", "coins, 5 of them,")))
    steps = item().steps
    assert competition.check(item(steps=[steps[0].model_copy(update={"value": "1"}), *steps[1:]]))
    for solver in ("solve_closed", "solve_brute"):
        broken = replace(FAMILIES["two_coins"], **{solver: lambda p: 17})
        made = item()
        with monkeypatch.context() as patched:
            patched.setitem(items.FAMILIES, "two_coins", broken)
            assert any("disagree" in fault for fault in competition.check(made))
            assert "disagree" in competition.item("two_coins", 1, 3, "competition/test/x", "test")


def test_items_depend_on_their_id_and_seed_alone():
    def question(seed, name="a"):
        return competition.item("dice_sum", 2, seed, f"competition/test/{name}", "test").question

    assert question(1) == question(1) != question(2)
    assert question(1) != question(1, "b")


def said_by(item):
    return competition.content(item.program.params["family"], item.program.params["params"])


@by_family
def test_adjacent_seeds_share_nothing(family):
    said = [
        {said_by(competition.item(family.name, 1 + i % 3, seed, f"competition/test/{i}", "test")) for i in range(60)}
        for seed in (1, 2)
    ]
    assert not said[0] & said[1]


@given(st.integers(-999, 999).filter(bool))
def test_signed_terms_read_back(number):
    assert unsigned(signed(number)) == number
