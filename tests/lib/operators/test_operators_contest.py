"""Operators on competition problems: variants hold by both solvers, and what is withheld is proven to be needed."""

import json
import re
from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.commands import verify_items
from stages.lib.core import records, seeds
from stages.lib.core.records import Problem
from stages.lib.operators import registry
from stages.lib.operators.programs import (
    competition_constraints,
    competition_distractors,
    competition_program,
    competition_unknowns,
)
from stages.lib.procedural import competition
from tests.helpers.variant_checks import is_valid, measure_detectability, select_operator, select_unsolvable

CHANGED = ("irrelevant", "typos", "preamble", "numbers", "larger", "steps", "unknowns", "premise", "names")
FAMILIES = st.sampled_from(list(competition.FAMILIES))


def item(family, level=1, number=0, seed=5):
    return competition.generate_item(family, level, seed, f"competition/test/{family}-{number:05d}")


PARENTS = [item(family, 1 + i % 2) for i, family in enumerate(competition.FAMILIES)]
PARENTS += [item(family, 1, number) for family in ("bounded_shares", "taking_turns") for number in range(1, 5)]
BY_ID = {parent.id: parent for parent in PARENTS}


@cache
def make_all():
    """(variants, rejects) of all parents, when a test first asks: what a module makes is made by whoever collects it."""
    return registry.make_variants(PARENTS, registry.OPERATORS, 5)


def test_every_variant_or_its_reject_with_a_reason():
    assert {v.id.removesuffix("~kept") for v in make_all()[0]} | {r.id for r in make_all()[1]} == {
        f"{p.id}~{name}" for p in PARENTS for name in CHANGED
    }
    assert all(reject.reason for reject in make_all()[1])
    for name in ("preamble", "typos", "numbers", "larger", "steps", "unknowns"):
        assert len(select_operator(make_all()[0], name)) >= 0.9 * len(PARENTS), name
    assert select_operator(make_all()[0], "names") and len(select_operator(make_all()[0], "irrelevant")) >= 0.2 * len(
        PARENTS
    ), "what tells a story"


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGED)
def test_a_variant_keeps_its_contract(name):
    for variant in select_operator(make_all()[0], name):
        parent = BY_ID[variant.parent]
        assert is_valid(variant), variant.id
        assert variant.question != parent.question
        assert (variant.answer == parent.answer) == (variant.contract == "preserving")
        assert (variant.answer == "N/A") == (variant.contract == "unsolvable")


@pytest.mark.slow
@settings(max_examples=25)
@given(FAMILIES, st.sampled_from(CHANGED), st.integers(1, 3), st.integers(0, 10**6))
def test_any_family_any_operator(family, name, level, seed):
    parent = item(family, level, seed=seed)
    if isinstance(parent, str):
        return
    variants, rejects = registry.make_variants([parent], [name], seed)
    assert len(variants) + len(rejects) == 1 + bool(select_unsolvable(variants)) and all(map(is_valid, variants))


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGED)
def test_a_planted_wrong_label_is_found_in_every_variant(name, tmp_path):
    planted = []
    for variant in select_operator(make_all()[0], name):
        wrong = "7" if variant.answer == "N/A" else str((int(variant.answer) + 1) % 1000)
        planted.append(variant.model_copy(update={"answer": wrong}))
    records.write_problems(tmp_path / "planted.jsonl", planted)
    for problem in records.read_problems(tmp_path / "planted.jsonl"):
        assert verify_items.verify(problem, {})[0] == "failed", problem.id


def test_new_parameters_never_meet_an_item_of_the_run():
    for name in ("numbers", "larger"):
        for variant in select_operator(make_all()[0], name):
            parent, change = BY_ID[variant.parent].program.params, variant.program.params["changes"][0]
            said = (
                competition.fingerprint(parent["family"], params) for params in (parent["params"], change["params"])
            )
            assert {seeds.key("aime", each) % 2 for each in said} == {0, 1}
            assert change["level"] == parent["level"] + (name == "larger")


def test_an_open_number_fits_two_items_that_differ():
    for variant in select_unsolvable(make_all()[0]):
        base, change = variant.program.params["base"]["params"], variant.program.params["changes"][0]
        whole = [
            competition_program.build_plain_problem(base),
            competition_program.build_plain_problem(base, change["other"]),
        ]
        assert competition.check(whole[0]) == competition.check(whole[1]) == []
        (value, one), (other, two) = change["completions"]
        assert [item.answer for item in whole] == [one, two] and one != two
        text, pieces, end = whole[0].question, [], 0
        for start, stop in sorted(change["holes"]):
            pieces, end = [*pieces, text[end:start]], stop
        pieces.append(text[end:])
        assert variant.question == f"{competition_unknowns.render_sentence(change)} {change['letters'][0].join(pieces)}"
        for item, number in zip(whole, (value, other), strict=True):
            assert item.question == str(number).join(pieces)
            partners = {Fraction(c - a * number, b) for a, b, c in change["equations"]}
            assert len(partners) == 1 and min(partners) > 0 and partners.pop().denominator == 1
        assert competition_constraints.satisfies_constraints(base["family"], change["other"])


def test_a_number_told_by_equations_is_the_one_of_the_parent():
    for variant in select_operator(make_all()[0], "unknowns"):
        change = variant.program.params["changes"][0]
        (a, b, c), (d, e, f) = change["equations"]
        start, end = change["holes"][0]
        assert Fraction(c * e - b * f, a * e - b * d) == int(BY_ID[variant.parent].question[start:end])
        assert variant.steps[1:-1] and variant.steps[0].text.startswith(f"1. {change['letters'][0]} = ")
        assert [step.text.split(".")[0] for step in variant.steps[:-1]] == [
            str(number) for number in range(1, len(variant.steps))
        ]


@pytest.mark.slow
def test_a_bag_of_words_cannot_tell_which_equations_leave_the_answer_open():
    parents = [item(family, 1 + i % 3, i, 2) for family in competition.FAMILIES for i in range(4)]
    variants, _ = registry.make_variants([p for p in parents if isinstance(p, Problem)], ["premise"], 4)
    solvable = {variant.parent: variant for variant in variants if variant.contract == "preserving"}
    assert len(solvable) > 120 and measure_detectability(select_unsolvable(variants), solvable) <= 0.58


@pytest.mark.slow
def test_a_forged_proof_is_found():
    for variant in select_unsolvable(make_all()[0])[::4] + select_operator(make_all()[0], "unknowns")[::4]:
        row = json.loads(variant.model_dump_json())
        change = row["program"]["params"]["changes"][0]
        base = row["program"]["params"]["base"]["params"]
        (a, b, c), second = change["equations"]
        forgeries = [{"holes": [[0, 3]]}, {"equations": [[a, b, c + 1], second]}]
        if variant.operator == "premise":
            forgeries += [
                {"other": base["params"]},
                {"completions": [change["completions"][0], [change["completions"][1][0], "1000"]]},
                {"equations": [[a, b, c], [2 * a, 3 * b, 2 * c]]},
            ]
        genuine = dict(change)
        for forged in forgeries:
            change.clear()
            change.update(genuine | forged)
            assert registry.check(Problem.model_validate(row)), forged


def test_a_completion_that_tells_something_else_is_found():
    for variant in select_unsolvable(make_all()[0])[::3]:
        row = json.loads(variant.model_dump_json())
        base, change = row["program"]["params"]["base"]["params"], row["program"]["params"]["changes"][0]
        mine, (number, answer) = change["completions"]
        for place in range(1, 9):
            other = item(base["family"], base["level"], place, 9)
            if isinstance(other, Problem) and other.answer not in (mine[1], answer):
                change |= {"other": other.program.params["params"], "completions": [mine, [number, other.answer]]}
                faults = registry.check(Problem.model_validate(row))
                assert any("do not tell the same" in fault for fault in faults), variant.id
                break


def test_every_family_has_a_law_that_its_own_items_obey():
    for family in competition.FAMILIES:
        for level in competition.LEVELS:
            problem = item(family, level, 3)
            if isinstance(problem, Problem):
                assert competition_constraints.satisfies_constraints(family, problem.program.params["params"]), (
                    problem.question
                )


def test_a_law_refuses_what_makes_no_sense():
    product = {"kind": "products", "k": 0, "right": [6, 12, 8]}  # x = 2, y = 3, z = 4
    assert competition_constraints.satisfies_constraints("symmetric_system", product)
    assert competition_constraints.satisfies_constraints(
        "symmetric_system", product | {"kind": "sums", "right": [14, 18, 20]}
    )
    assert competition_constraints.satisfies_constraints(
        "symmetric_system", product | {"kind": "shifted", "k": 1, "right": [11, 19, 14]}
    )
    for right in ([6, 12, 9], [6, 12, 32], [0, 12, 8]):
        assert not competition_constraints.satisfies_constraints("symmetric_system", product | {"right": right})
    equation = {"c": 1, "a": 2, "b": 3, "n": 54}  # (x + 3)(y + 2) = 60
    assert competition_constraints.satisfies_constraints("factorable_equation", equation)
    for change in ({"n": 5}, {"a": 0}, {"c": 2, "a": 2, "b": 4, "n": 60}, {"n": -80}):
        assert not competition_constraints.satisfies_constraints("factorable_equation", equation | change)


def test_a_sentence_in_front_stays_there():
    plain = item("change", 2)
    framed = competition.items.add_intro(plain, "The market had opened early in the rain.")
    assert isinstance(framed, Problem), framed
    variants, _ = registry.make_variants([framed], ["premise", "preamble", "irrelevant", "numbers", "typos+steps"], 3)
    assert len(variants) == 6 and all(map(is_valid, variants))
    for variant in variants:
        assert variant.question.count("The m") >= 1 and variant.question.count("ain. ") == 1


def test_an_unknown_family_is_left_whole(monkeypatch):
    monkeypatch.delitem(competition_constraints.CONSTRAINTS, "two_coins")
    variants, rejects = registry.make_variants([item("two_coins")], ["premise"], 1)
    assert not variants and "not known" in rejects[0].reason


def test_an_aside_holds_no_number_of_the_problem():
    for variant in select_operator(make_all()[0], "irrelevant"):
        parent, sentence = BY_ID[variant.parent], variant.program.params["changes"][0]["sentence"]
        text = " ".join([parent.question, *(step.text for step in parent.steps)])
        numbers = set(re.findall(r"\d+", sentence))
        assert numbers and not numbers & set(re.findall(r"\d+", text))
        assert variant.question.replace(sentence, "").split() == parent.question.split()
        assert " ".join(competition_distractors.split_sentences(variant.question)) == variant.question


@pytest.mark.slow
def test_operators_compose():
    variants, _ = registry.make_variants(PARENTS[:12], ["preamble+typos", "larger+premise", "numbers+steps"], 2)
    assert len(variants) > 24 and all(map(is_valid, variants))
    variants, rejects = registry.make_variants(
        PARENTS[12:], ["premise+irrelevant", "premise+numbers", "unknowns+larger"], 2
    )
    assert (
        len(variants) > 8
        and all(map(is_valid, variants))
        and {variant.operator for variant in variants} == {"premise+irrelevant"}
    )
    assert len([reject for reject in rejects if "go with these words" in reject.reason]) > 40


@pytest.mark.slow
def test_a_variant_depends_on_its_key_alone():
    few = registry.make_variants(PARENTS[10:4:-1], ["premise", "numbers", "irrelevant"], 5)[0]
    every = {variant.id: variant for variant in make_all()[0]}
    assert few and all(every[variant.id] == variant for variant in few)
