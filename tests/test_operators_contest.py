"""Operators on competition problems: variants hold by both solvers, and what is withheld is proven to be needed."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.commands import verify_items
from stages.lib import competition, records, seeds
from stages.lib.records import Problem
from stages.ood import operators
from stages.ood.operators import asides, contest, lawful, withheld

CHANGED = ("phrasing", "irrelevant", "typos", "numbers", "larger", "steps", "premise", "names")
NEVER = ("items", "units", "order", "reversed")
FAMILIES = st.sampled_from(list(competition.FAMILIES))


def item(family, level=1, number=0, seed=5):
    return competition.item(family, level, seed, f"competition/test/{family}-{number:05d}")


PARENTS = [item(family, 1 + i % 2) for i, family in enumerate(competition.FAMILIES)]
PARENTS += [item(family, 1, number) for family in ("bounded_shares", "taking_turns") for number in range(1, 5)]
BY_ID = {parent.id: parent for parent in PARENTS}
MADE, REJECTED = operators.variants(PARENTS, operators.OPERATORS, 5)


def of(name):
    return [variant for variant in MADE if variant.operator == name]


def sound(variant):
    return operators.check(Problem.model_validate(json.loads(variant.model_dump_json()))) == []


def test_every_variant_or_its_reject_with_a_reason():
    assert {v.id for v in MADE} | {r.id for r in REJECTED} == {
        f"{p.id}~{o}" for p in PARENTS for o in operators.OPERATORS
    }
    assert all(reject.reason for reject in REJECTED)
    for name in ("phrasing", "irrelevant", "typos", "numbers", "larger", "steps", "premise"):
        assert len(of(name)) >= 0.9 * len(PARENTS), name
    assert of("names") and not any(of(name) for name in NEVER)


@pytest.mark.parametrize("name", CHANGED)
def test_a_variant_keeps_its_contract(name):
    for variant in of(name):
        parent = BY_ID[variant.parent]
        assert sound(variant), variant.id
        assert variant.question != parent.question
        assert (variant.answer == parent.answer) == (variant.contract == "preserving")
        assert (variant.answer == "N/A") == (variant.contract == "unsolvable")


@settings(max_examples=25, deadline=None)
@given(FAMILIES, st.sampled_from(CHANGED), st.integers(1, 3), st.integers(0, 10**6))
def test_any_family_any_operator(family, name, level, seed):
    parent = item(family, level, seed=seed)
    if isinstance(parent, str):
        return
    made, rejects = operators.variants([parent], [name], seed)
    assert len(made) + len(rejects) == 1 and all(map(sound, made))


@pytest.mark.parametrize("name", CHANGED)
def test_a_planted_wrong_label_is_found_in_every_variant(name, tmp_path):
    planted = []
    for variant in of(name):
        wrong = "7" if variant.answer == "N/A" else str((int(variant.answer) + 1) % 1000)
        planted.append(variant.model_copy(update={"answer": wrong}))
    records.write_problems(tmp_path / "planted.jsonl", planted)
    for problem in verify_items.read(tmp_path / "planted.jsonl"):
        assert verify_items.verified(problem, {})[0] == "failed", problem.id


def test_new_parameters_never_meet_an_item_of_the_run():
    for name in ("numbers", "larger"):
        for variant in of(name):
            parent, change = BY_ID[variant.parent].program.params, variant.program.params["changes"][0]
            said = (competition.content(parent["family"], params) for params in (parent["params"], change["params"]))
            assert {seeds.key("aime", each) % 2 for each in said} == {0, 1}
            assert change["level"] == parent["level"] + (name == "larger")


def test_what_is_withheld_fits_two_items_that_differ():
    for variant in of("premise"):
        base, change = variant.program.params["base"]["params"], variant.program.params["changes"][0]
        one, other = contest.problem(base), contest.problem(base, change["other"])
        assert competition.check(one) == competition.check(other) == [] and one.answer != other.answer
        kept = re.escape(variant.question) if not change["letter"] else None
        for whole in (one, other):  # a letter stands for one number, the same everywhere
            if change["letter"]:
                letter = change["letter"]
                pattern = re.escape(variant.question).replace(letter, f"({letter}|\\d+)")
                assert re.fullmatch(pattern, whole.question)
        assert kept is None or len(variant.question) < len(one.question) + 25
        assert lawful.lawful(base["family"], change["other"])


def test_a_forged_proof_is_found():
    for variant in of("premise")[::4]:
        row = json.loads(variant.model_dump_json())
        change = row["program"]["params"]["changes"][0]
        base = row["program"]["params"]["base"]["params"]
        genuine = dict(change)
        for forged in (
            {"other": base["params"]},
            {"answers": [change["answers"][0], "1000"]},
            {"holes": [[0, 3, "x"]]},
        ):
            change.clear()
            change.update(genuine | forged)
            assert operators.check(Problem.model_validate(row)), forged


def test_a_completion_that_tells_something_else_is_found():
    for variant in of("premise")[::3]:
        row = json.loads(variant.model_dump_json())
        base, change = row["program"]["params"]["base"]["params"], row["program"]["params"]["changes"][0]
        for number in range(1, 9):
            other = item(base["family"], base["level"], number, 9)
            if isinstance(other, Problem) and other.answer != variant.program.params["changes"][0]["answers"][0]:
                change |= {"other": other.program.params["params"], "answers": [change["answers"][0], other.answer]}
                faults = operators.check(Problem.model_validate(row))
                assert any("do not tell the same" in fault for fault in faults), variant.id
                break


def test_every_family_has_a_law_that_its_own_items_obey():
    for family in competition.FAMILIES:
        for level in competition.LEVELS:
            made = item(family, level, 3)
            if isinstance(made, Problem) and family in lawful.LAWS:
                assert lawful.lawful(family, made.program.params["params"]), made.question


def test_a_sentence_in_front_stays_there():
    plain = item("change", 2)
    framed = competition.items.framed(plain, "The market had opened early in the rain.")
    assert isinstance(framed, Problem), framed
    made, _ = operators.variants([framed], ["premise", "phrasing", "irrelevant", "numbers", "typos+steps"], 3)
    assert len(made) == 5 and all(map(sound, made))
    for variant in made:
        assert variant.question.startswith("The m") and variant.question.count("ain. ") == 1


def test_an_unknown_family_is_left_whole(monkeypatch):
    monkeypatch.delitem(lawful.LAWS, "two_coins")
    made, rejects = operators.variants([item("two_coins")], ["premise"], 1)
    assert not made and "not known" in rejects[0].reason


def test_clauses_are_still_found_in_the_phrasings():
    texts = [item(family, level, n).question for family in competition.FAMILIES for level in (1, 2) for n in range(8)]
    used = [pattern for pattern, _ in withheld.CUTS if any(pattern.search(text) for text in texts)]
    assert len(used) >= len(withheld.CUTS) / 2


def test_an_aside_holds_no_number_of_the_problem():
    for variant in of("irrelevant"):
        parent, sentence = BY_ID[variant.parent], variant.program.params["changes"][0]["sentence"]
        known = " ".join([parent.question, *(step.text for step in parent.steps)])
        own = set(re.findall(r"\d+", sentence.replace("^2", "").replace("from 1 to", "")))
        assert own and not own & set(re.findall(r"\d+", known))
        assert variant.question.replace(sentence, "").split() == parent.question.split()
        assert " ".join(asides.sentences(variant.question)) == variant.question


def test_operators_compose():
    made, _ = operators.variants(PARENTS[:12], ["phrasing+irrelevant+typos", "larger+premise", "numbers+steps"], 2)
    assert len(made) > 24 and all(map(sound, made))


def test_a_variant_depends_on_its_key_alone():
    few = operators.variants(PARENTS[10:4:-1], ["premise", "numbers", "irrelevant"], 5)[0]
    every = {variant.id: variant for variant in MADE}
    assert few and all(every[variant.id] == variant for variant in few)
