"""Operators: variants keep their contract, follow from their program, and depend on nothing but their key."""

import json
import os
import random
import re
import subprocess
import sys
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

from stages.generators.base.tokenizer import build_word_list
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem
from stages.lib.operators import names, phrasing, preamble, registry, typos
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import program as programs
from stages.lib.procedural.gradeschool import variation, wording
from tests.helpers.variant_checks import select_operator, select_unsolvable

PARENTS = gradeschool.generate_problems("test", 60, 5, steps=(3, 5), max_value=60)
BY_ID = {parent.id: parent for parent in PARENTS}
ALL = [name for name, each in registry.OPERATORS.items() if "gradeschool" in each.changes]


@cache
def make_all():
    """(variants, rejects) of all parents, when a test first asks: what a module makes is made by whoever collects it."""
    return registry.make_variants(PARENTS, ALL, 3, largest=60)


def test_every_variant_or_its_reject_is_accounted_for():
    ids = [v.id for v in make_all()[0] if not v.id.endswith("~kept")] + [r.id for r in make_all()[1]]
    assert sorted(ids) == sorted(f"{p.id}~{name}" for p in PARENTS for name in ALL)
    for name in ALL:
        assert len(select_operator(make_all()[0], name)) >= 0.8 * len(PARENTS), name
    assert all(reject.reason for reject in make_all()[1])


@pytest.mark.parametrize("name", ALL)
def test_a_variant_keeps_its_contract(name):
    for variant in select_operator(make_all()[0], name):
        parent = BY_ID[variant.parent]
        assert registry.check(Problem.model_validate(json.loads(variant.model_dump_json()))) == []
        assert variant.question != parent.question and variant.steps[-1].text == f"#### {variant.answer}"
        same = variant.answer == parent.answer
        assert same if variant.contract == "preserving" else not same
        assert (variant.answer == "N/A") == (variant.contract == "unsolvable")
        assert (variant.split, variant.benchmark, variant.licence) == (parent.split, parent.benchmark, parent.licence)


@pytest.mark.parametrize("name", ALL)
def test_a_planted_wrong_label_is_found(name):
    variant = select_operator(make_all()[0], name)[0]
    wrong = {
        "answer": "4711",
        "contract": "preserving" if variant.contract != "preserving" else "changing",
        "question": variant.question.replace(" ", "  ", 1),
        "operator": "none",
    }
    for field, value in wrong.items():
        assert registry.check(variant.model_copy(update={field: value})), field
    for i in range(len(variant.steps)):
        steps = list(variant.steps)
        steps[i] = steps[i].model_copy(update={"value": "4711"})
        assert registry.check(variant.model_copy(update={"steps": steps})), i


@pytest.mark.slow
def test_two_solvers_agree_on_the_benchmark():
    for split in wording.SPLITS:
        for item in gradeschool.generate_problems(split, 60, 11, steps=(1, 7), max_value=100):
            assert variation.solve(item.program.params) == (item.steps, item.answer)
            assert variation.render(item.program.params)[0] == item.question


def test_numbers_are_drawn_by_the_benchmarks_law():
    relations = [relation for relation in wording.WORDINGS if relation not in ("given", "sum", "question")]
    for relation in relations:
        for value in range(1, 60):
            ours = variation.list_operands(relation, value, 60)
            assert all(programs._get_operand({"relation": relation, "number": said}) == used for said, used in ours)
            number = programs._draw_number(relation, value, 60, gradeschool.program.seeds.rng(value))
            assert (number is None) == (not ours) and (number is None or number in ours)


def test_a_variant_depends_on_its_key_alone():
    few = registry.make_variants(list(reversed(PARENTS[:7])), list(reversed(ALL)), 3, largest=60)[0]
    every = {variant.id: variant for variant in make_all()[0]}
    assert few and all(every[variant.id] == variant for variant in few)
    other = registry.make_variants(PARENTS[:20], ["numbers", "order", "names"], 4, largest=60)[0]
    assert sum(every[v.id].question == v.question for v in other if v.id in every) <= 2


@pytest.mark.slow
def test_the_same_bytes_in_every_process():
    code = (
        "import hashlib; from stages.lib.procedural import gradeschool;"
        "from stages.lib.operators import registry as o;"
        "m, r = o.make_variants(gradeschool.generate_problems('test', 12, 5), list(o.OPERATORS), 3, 60);"
        "print(hashlib.sha256(''.join(v.model_dump_json() for v in m).encode() + repr(r).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[3],
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_an_unsolvable_problem_has_two_completions_that_fit_what_is_told():
    for variant in select_unsolvable(make_all()[0]):
        params = variant.program.params
        state, change = params["base"]["params"], params["changes"][0]
        sentences = variation.render_sentences(registry.premise._apply_sentence(state, change))
        i = change["removed"]
        answers = set()
        for value, answer in change["completions"]:
            whole = registry.premise._apply_sentence(state, change | {"kept": True})
            whole["quantities"][i] = {"relation": "given", "number": value, "template": [0, 0]}
            others = [s for j, s in enumerate(variation.render_sentences(whole)) if j != i]
            assert others == sentences[:i] + sentences[i + 1 :]
            assert variation.solve(whole)[1] == str(answer)
            answers.add(answer)
        assert len(answers) == 2
        assert [change["person"] in sentence for sentence in sentences].count(True) == 2
        assert change["person"] in sentences[i]


def test_a_forged_proof_is_found():
    for variant in select_unsolvable(make_all()[0])[:5]:
        row = json.loads(variant.model_dump_json())
        (first, answer), second = row["program"]["params"]["changes"][0]["completions"]
        for forged in ([[first, answer], [first, answer]], [[first, answer + 1], second]):
            row["program"]["params"]["changes"][0]["completions"] = forged
            assert registry.check(Problem.model_validate(row))


def test_a_reversed_problem_asks_for_the_first_number():
    for variant in select_operator(make_all()[0], "reversed"):
        state, change = variant.program.params["base"]["params"], variant.program.params["changes"][0]
        assert variant.answer == str(state["quantities"][change["asked"]]["number"])
        assert variation.render_sentences(state)[change["asked"]] not in variant.question
        assert re.search(rf"\b{BY_ID[variant.parent].answer}\b", variant.question)


def test_only_templates_of_the_own_split_or_of_none():
    for variant in [
        *select_operator(make_all()[0], "irrelevant"),
        *select_operator(make_all()[0], "steps"),
        *select_operator(make_all()[0], "reversed"),
    ]:
        for change in variant.program.params["changes"]:
            entries = [aside["entry"] for aside in change.get("asides", ())]
            entries = entries or change.get("entries", [change.get("final")])
            assert {wording.find_owner(*entry["template"]) for entry in entries} == {"test"}
    old = {form for forms in wording.WORDINGS.values() for form in forms}
    assert not old & {form for forms in phrasing.NEW_TEMPLATES.values() for form in forms}
    assert set(phrasing.NEW_TEMPLATES) == set(wording.WORDINGS)


@pytest.mark.slow
def test_variants_of_one_split_share_no_words_with_those_of_another():
    """What an operator adds, by split: names, roles, things, preambles, fresh templates, typing errors."""
    added = {name: {} for name in ("names", "roles", "items", "preamble", "phrasing", "typos")}
    for split in ("train", "verifier", "dev", "test"):
        parents = gradeschool.generate_problems(split, 60, 42)
        variants, _ = registry.make_variants(parents, list(added), 9)
        by_id = {parent.id: parent for parent in parents}
        for variant in variants:
            used, old = added[variant.operator].setdefault(split, set()), by_id[variant.parent]
            (change,) = variant.program.params["changes"]
            if variant.operator in ("names", "roles"):
                used |= {*change["people"]}
            elif variant.operator == "items":
                used.add(change["unit"])
            elif variant.operator == "preamble":
                used |= {*re.split(r"(?<=[.]) ", change["preamble"])}
            elif variant.operator == "phrasing":
                used |= {tuple(template) for template in change["sentences"].values()}
                used.add(("question", *change["question"]))
            else:
                used |= {*re.findall(r"\w+", variant.question)} - {*re.findall(r"\w+", old.question)}
    for name, by_split in added.items():
        assert len(by_split) == 4 and all(by_split.values()), name
        for one, other in combinations(by_split.values(), 2):
            assert not one & other, name


def test_new_names_are_no_splits_and_roles_are_no_names():
    assert not {*names.UNSEEN_NAMES} & {*wording.NAMES}
    for name, allowed in (("names", {*names.UNSEEN_NAMES}), ("roles", {*names.ROLE_NAMES})):
        for variant in select_operator(make_all()[0], name):
            people = registry.compute_final_state(variant.program.params)["people"]
            assert {*people} <= allowed and len({*people}) == len(people)
            assert not {*re.findall(r"\w+", variant.question)} & {*wording.NAMES}


def test_a_preamble_holds_nothing_that_could_be_used():
    from stages.lib.rewording.text_features import extract_features

    for text in (*preamble.SETTINGS, *preamble.REQUESTS):
        features = extract_features(text)
        assert not features.numbers and not features.negations and "?" not in text and text.endswith(".")
    for variant in select_operator(make_all()[0], "preamble"):
        assert variant.question.endswith(" " + BY_ID[variant.parent].question)
    assert (
        len({v.question.removesuffix(BY_ID[v.parent].question) for v in select_operator(make_all()[0], "preamble")})
        > 10
    )


def test_fresh_words_are_in_the_vocabulary():
    vocabulary = {word.strip() for word in build_word_list()}
    texts = [form for forms in phrasing.NEW_TEMPLATES.values() for form in forms]
    texts += [*names.ROLE_NAMES, *registry.items.UNITS]
    for text in texts:
        for word in re.findall("[A-Za-z]+", re.sub(r"\{\w+\}", " ", text)):
            assert word in vocabulary, word


def test_typos_spare_what_carries_the_meaning():
    for variant in select_operator(make_all()[0], "typos"):
        before, after = BY_ID[variant.parent].question.split(), variant.question.split()
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        assert changed
        for old, _ in changed:
            assert old.islower() and old.strip(".,?") not in typos._PROTECTED | set(wording.UNITS) | set(
                wording.FRACTION_DIVISORS
            )


def test_no_letter_goes_and_no_denial_is_touched():
    """A letter less makes another word (friend, fiend), and a denial turns the answer."""
    text = "My friend cannot say whether the country would never sell silver to a stranger unless it must."
    for seed in range(40):
        changed = typos.apply_edits(text, typos.draw_edits(text, random.Random(seed), "test"))
        assert len(changed) >= len(text) and changed != text
        assert all(word in changed for word in (" cannot ", " never ", " unless ")) and "sliver" not in changed


def test_operators_compose():
    variants, rejects = registry.make_variants(
        PARENTS[:10], ["order+irrelevant+typos", "larger+premise"], 3, largest=60
    )
    assert len(variants) >= 12 and all(registry.check(variant) == [] for variant in variants)
    assert {(v.operator, v.contract) for v in variants} == {
        ("order+irrelevant+typos", "preserving"),
        ("larger+premise", "unsolvable"),
        ("larger+premise", "changing"),
    }


def test_only_addends_are_drawn_again():
    for variant in [*select_operator(make_all()[0], "numbers"), *select_operator(make_all()[0], "larger")]:
        base, now = variant.program.params["base"]["params"], registry.compute_final_state(variant.program.params)
        kept = [
            (old["number"], new["number"])
            for old, new in zip(base["quantities"], now["quantities"], strict=True)
            if wording.OPERATIONS.get(old["relation"], "+") in "*/"
        ]
        assert all(old == new for old, new in kept)


def test_larger_numbers_are_larger():
    for variant in select_operator(make_all()[0], "larger"):
        state = variant.program.params["base"]["params"]
        params = variant.program.params["changes"][0]
        assert max(n for n in params["said"] if isinstance(n, int)) > max(
            entry["number"] for entry in state["quantities"] if isinstance(entry.get("number"), int)
        )


@pytest.mark.slow
@pytest.mark.parametrize("largest", [30, 60, 100])
def test_numbers_keep_the_magnitudes_of_the_source(largest):
    from scipy.stats import ks_2samp

    parents = gradeschool.generate_problems("test", 1000, 8, steps=(3, 5), max_value=largest)
    variants, _ = registry.make_variants(parents, ["numbers"], 3, registry.compute_bound(parents))
    numbers = [[float(n) for item in items for n in re.findall(r"\d+", item.question)] for items in (parents, variants)]
    assert ks_2samp(*numbers).statistic <= 0.05


def test_a_variant_does_not_depend_on_the_problems_beside_it():
    names = ["numbers", "larger", "irrelevant", "steps"]
    alone = [registry.make_variants([parent], names, 3)[0] for parent in PARENTS[:8]]
    together = registry.make_variants(
        gradeschool.generate_problems("test", 8, 5, steps=(3, 5), max_value=60)
        + gradeschool.generate_problems("dev", 4, 5, steps=(3, 5), max_value=900),
        names,
        3,
    )[0]
    assert [v for own in alone for v in own] == [v for v in together if v.split == "test"]


# What each dose changes, as a set that a larger dose adds to.
TOUCHED = {
    "typos": lambda change: {tuple(edit) for edit in change["edits"]},
    "order": lambda change: {place for place, old in enumerate(change["order"]) if place != old},
    "names": lambda change: {*change["people"]} & {*names.UNSEEN_NAMES},
    "roles": lambda change: {*change["people"]} & {*names.ROLE_NAMES},
    "phrasing": lambda change: (
        {(i, *template) for i, template in change["sentences"].items()} | {tuple(change.get("question", ()))} - {()}
    ),
    "irrelevant": lambda change: {json.dumps(aside) for aside in change["asides"]},
    "steps": lambda change: {json.dumps(entry) for entry in change["entries"]},
    "preamble": lambda change: {*re.findall("[^.]+", change["preamble"])},
    "units": lambda change: {*change["measures"].items()},
}
DOSES = (0.25, 0.5, 1)


@pytest.mark.parametrize("name", TOUCHED)
def test_a_larger_dose_adds_to_a_smaller_one(name):
    labels = [registry.format_name(f"{name}@{dose}") for dose in DOSES]
    variants, _ = registry.make_variants(PARENTS, labels, 3, largest=60)
    assert all(registry.check(Problem.model_validate_json(variant.model_dump_json())) == [] for variant in variants)
    touched = {
        (v.parent, v.operator): TOUCHED[name](v.program.params["changes"][0])
        for v in variants
        if v.id.endswith(v.operator)
    }
    for parent in PARENTS:
        sets = [touched[parent.id, label] for label in labels if (parent.id, label) in touched]
        if name == "order":
            assert sets[0] <= sets[1] <= sets[2] == set(range(len(parent.program.params["people"])))
        elif sets:
            assert sets[0] <= sets[1] <= sets[2]
            for dose, part in zip(DOSES, sets, strict=True):
                assert len(part) == max(1, int(dose * len(sets[2]) + 0.5))
    mean = [sum(len(touched.get((p.id, label), ())) for p in PARENTS) for label in labels]
    assert mean[0] < mean[2] and mean[0] <= mean[1] <= mean[2]


@pytest.mark.parametrize("name", ["numbers", "larger"])
def test_a_dose_of_numbers_leaves_the_others(name):
    labels = [f"{name}@0.25", f"{name}@0.5", name]
    variants, rejects = registry.make_variants(PARENTS, labels, 3, largest=60)
    assert len(rejects) <= 0.1 * len(variants) and all(registry.check(variant) == [] for variant in variants)
    for variant in variants:
        (change,) = variant.program.params["changes"]
        addends = registry.numbers._find_addends(variant.program.params["base"]["params"])
        redrawn = [i for i, number in enumerate(change["said"]) if number is not None]
        assert {*redrawn} <= {*addends} and len(redrawn) == max(1, int(change["dose"] * len(addends) + 0.5))


def test_a_dose_is_part_of_the_name_and_of_what_is_checked():
    assert registry.format_name("order@.50+typos@1") == "order@0.5+typos"
    (variant,) = registry.make_variants(PARENTS[:1], ["order@0.50+typos@0.25"], 3)[0]
    assert variant.operator == "order@0.5+typos@0.25" and variant.id == f"{PARENTS[0].id}~order@0.5+typos@0.25"
    assert registry.check(variant.model_copy(update={"operator": "order+typos@0.25"}))
    row = json.loads(variant.model_dump_json())
    row["program"]["params"]["changes"][0]["dose"] = 1.0
    assert registry.check(Problem.model_validate(row))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reversed@0.5", r"'reversed@0.5': reversed has no dose; leave out @0.5, or use one of names, roles, order"),
        ("premise@1", r"'premise@1': premise has no dose"),
        ("typos@0", r"'typos@0': a dose is a share of the words that may carry a typo: above 0 and at most 1"),
        ("order+typos@2", r"'typos@2': a dose is a share of"),
        ("typos@much", r"'typos@much': a dose is a share of .*, as in typos@0.5"),
        ("typo@0.5", r"'typo' is no operator; allowed: names"),
    ],
)
def test_a_wrong_dose_is_refused(name, message):
    with pytest.raises(UserError, match=message):
        registry.parse_name(name)


def test_operators_share_no_phrase_with_the_benchmark():
    """Models are pretrained on the benchmark's words; lists of operators stay outside, else nothing is shifted."""
    ours = registry.collect_phrases()
    old = {*wording.NAMES, *wording.UNITS, *(form for forms in wording.WORDINGS.values() for form in forms)}
    assert not old & {phrase for phrases in ours.values() for phrase in phrases}
    for name in ("names", "roles", "items", "preamble"):
        for variant in select_operator(make_all()[0], name):
            assert any(phrase in variant.question for phrase in ours[name])
