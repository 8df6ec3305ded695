"""Competition families: two solvers that agree, text that reads back, solutions that end in the answer."""

import copy
import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.core import seeds
from stages.lib.core.records import Step
from stages.lib.grading import answers
from stages.lib.procedural import competition
from stages.lib.procedural.competition import items, templates
from stages.lib.procedural.competition.equations import evaluate, find_equations
from stages.lib.procedural.competition.family import AREAS, format_signed, parse_signed
from tests.helpers import exact_arithmetic

FAMILIES = competition.FAMILIES
by_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


def draw_params(family, level, seed):
    """Parameters as `item` draws them, also where the answer is out of range."""
    for attempt in range(400):
        params = family.sample_at(lambda field, a=attempt: seeds.rng(seed, a, field), level)
        if params is not None:
            return params
    raise AssertionError(f"{family.name}: no parameters at level {level}")


def test_there_are_enough_families_of_every_kind():
    assert len(FAMILIES) >= 24
    areas = Counter(family.area for family in FAMILIES.values())
    assert set(areas) == set(AREAS) and min(areas.values()) >= 4


@pytest.mark.slow
@by_family
@settings(max_examples=60)
@given(rank=st.integers(0, 3), seed=st.integers(0, 2**32))
def test_both_solvers_agree(family, rank, seed):
    params = draw_params(family, family.levels[rank % len(family.levels)], seed)
    assert family.solve_closed(params) == family.solve_brute(params), params


@pytest.mark.slow
@by_family
@settings(max_examples=30)
@given(rank=st.integers(0, 3), seed=st.integers(0, 2**32))
def test_every_phrasing_reads_back_and_the_solution_ends_in_the_answer(family, rank, seed):
    params = draw_params(family, family.levels[rank % len(family.levels)], seed)
    words = family.format_fields(params)
    assert len(family.phrasings) >= 3
    for phrasing in family.phrasings:
        text = templates.render_template(phrasing, words)
        assert "{" not in text and text[0].isupper() and text[-1] in ".?)"
        assert family.parse_fields(templates.parse_text(phrasing, text)) == params
    steps = family.write_steps(params)
    assert len(steps) >= 3 and steps[-1].value == str(family.solve_closed(params))
    assert [step.text.split()[0] for step in steps] == [f"{i}." for i in range(1, len(steps) + 1)]


@pytest.mark.slow
@by_family
@settings(max_examples=15)
@given(rank=st.integers(0, 3), seed=st.integers(0, 2**32))
def test_every_step_states_its_value_and_its_equations_hold(family, rank, seed):
    assert (
        items.find_false_steps(family.write_steps(draw_params(family, family.levels[rank % len(family.levels)], seed)))
        == []
    )


def test_the_reading_of_equations():
    assert list(find_equations("1. So n = 3 + 4 * 2 = 11, unique modulo 5 * 7 = 35.")) == [
        ("3 + 4 * 2", "11", True),
        ("5 * 7", "35", True),
    ]
    assert list(find_equations("2. C(5, 2) = 10 and x = 3.")) == [("C(5, 2)", "10", True)]
    assert list(find_equations("3. 7 * 9 mod 10 = 4, and x + 2 = 5, f(3) = 7, 10 = 2x.")) == [
        ("7 * 9 mod 10", "4", False)
    ]
    assert list(find_equations("4. 5! / (3! * 2!) = 10 = 2^3 + sqrt(4) = -(-10).")) == [
        ("5! / (3! * 2!)", "10", True),
        ("10", "2^3 + sqrt(4)", True),
        ("2^3 + sqrt(4)", "-(-10)", True),
    ]
    assert evaluate("1/3 + 1/6") == Fraction(1, 2) and evaluate("2^-1") == Fraction(1, 2) and evaluate("-2^2") == -4
    for hopeless in ("1/0", "sqrt(2)", "2^10^9", "(1", "x", "", "3 4", "(-5)!"):
        assert evaluate(hopeless) is None, hopeless


@given(
    st.recursive(
        st.integers(0, 99).map(str),
        lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({' '.join(parts)})"),
        max_leaves=8,
    )
)
def test_expressions_have_the_value_that_python_gives(text):
    assert evaluate(text) == evaluate(text[1:-1] if text.startswith("(") else text) == exact_arithmetic.evaluate(text)


def test_a_false_step_and_an_empty_promise_are_caught():
    assert items.find_false_steps([Step(text="1. Then 7 * 11 = 78.", value="78")]) == [
        "7 * 11 = 78 does not hold: '1. Then 7 * 11 = 78.'"
    ]
    assert items.find_false_steps([Step(text="1. Then it is 77.", value="7")])
    end = [Step(text="1. p + q = 3 + 4 = 7.", value="7"), Step(text="#### 7", value="7")]
    assert items.check_answer_form("It is p/q in lowest terms.", end) == []
    assert items.check_answer_form("It is p/q.", end)
    assert items.check_answer_form("It is p/q in lowest terms.", [Step(text="1. So it is 7.", value="7"), end[1]])
    assert items.check_answer_form("Lowest: lowest terms.", [Step(text="1. p + q = 6 + 4 = 10.", value="10"), end[1]])
    root = [Step(text="1. m + n = 3 + 8 = 11.", value="11"), end[1]]
    assert items.check_answer_form("It is m*sqrt(n), and no square of a prime divides n.", root) == [
        "8 has a square factor"
    ]
    over = [Step(text="1. m + n + p = 2 + 12 + 4 = 18.", value="18"), end[1]]
    assert items.check_answer_form("m/p is in lowest terms and no square of a prime divides n.", over) == [
        "2/4 is not in lowest terms",
        "12 has a square factor",
    ]
    assert items.check_answer_form("No square of a prime divides n, as no square of a prime divides n.", over)


@pytest.mark.slow
@by_family
def test_items_are_proven_and_their_levels_mean_something(family):
    means = []
    for level in family.levels:
        generated = [
            competition.generate_item(family.name, level, 7, f"competition/test/{family.name}-{i}", "test")
            for i in range(25)
        ]
        assert all(not isinstance(item, str) for item in generated), generated
        for item in generated:
            assert competition.check(item) == []
            assert 0 <= int(item.answer) <= 999 and answers.equal(item.answer, item.steps[-1].text, "integer")
            assert f"#### {item.answer}" == item.steps[-1].text
        means.append(sum(item.difficulty for item in generated) / len(generated))
    assert means[0] < means[-1], means


@pytest.mark.slow
@by_family
def test_levels_rise_in_steps_or_in_search(family):
    """Strictly, on average, from every level above the easiest to the next, in one and the same of the two."""
    generated = {level: [draw_params(family, level, seed) for seed in range(120)] for level in family.levels}
    steps = [sum(len(family.write_steps(p)) for p in generated[level]) for level in family.levels]
    search = [sum(math.log10(max(1, family.count_work(p))) for p in generated[level]) for level in family.levels]
    assert any(first < second < third for *_, first, second, third in (steps, search)), (steps, search)
    assert 0 not in family.levels or steps[0] + search[0] < steps[1] + search[1], (steps, search)


def test_no_answer_stands_in_the_text():
    for name in ("hidden_period", "purchases", "expected_wait"):
        for i in range(40):
            generated = competition.generate_item(name, 1, 9, f"competition/test/{name}-{i}")
            assert not items.is_stated(generated.answer, generated.question)
    assert items.is_stated("7", "Find 7 coins.") and not items.is_stated("7", "Find x^7 + 17, or 7.5.")


def item(**changes):
    return competition.generate_item("two_coins", 1, 3, "competition/test/x", "test").model_copy(update=changes)


def test_a_planted_error_is_caught(monkeypatch):
    assert competition.check(item()) == []
    assert competition.check(item(answer="1"))
    assert competition.check(item(question=item().question.replace("coins", "coins, 5 of them,")))
    steps = item().steps
    assert competition.check(item(steps=[steps[0].model_copy(update={"value": "1"}), *steps[1:]]))
    for solver in ("solve_closed", "solve_brute"):
        broken = copy.copy(FAMILIES["two_coins"])
        setattr(broken, solver, lambda p: 17)
        generated = item()
        with monkeypatch.context() as patched:
            patched.setitem(items.FAMILIES, "two_coins", broken)
            assert any("disagree" in fault for fault in competition.check(generated))
            assert "disagree" in competition.generate_item("two_coins", 1, 3, "competition/test/x", "test")


def test_items_depend_on_their_id_and_seed_alone():
    def question(seed, name="a"):
        return competition.generate_item("dice_sum", 2, seed, f"competition/test/{name}", "test").question

    assert question(1) == question(1) != question(2)
    assert question(1) != question(1, "b")


def get_fingerprint(item):
    return competition.fingerprint(item.program.params["family"], item.program.params["params"])


@pytest.mark.slow
@by_family
def test_adjacent_seeds_share_nothing(family):
    fingerprints = [
        {
            get_fingerprint(competition.generate_item(family.name, 1 + i % 3, seed, f"competition/test/{i}", "test"))
            for i in range(60)
        }
        for seed in (1, 2)
    ]
    assert not fingerprints[0] & fingerprints[1]


@given(st.integers(-999, 999).filter(bool))
def test_signed_terms_read_back(number):
    assert parse_signed(format_signed(number)) == number
