"""Sets that mix problems without an answer and their twins: 1:1, the same surface, and nothing simple tells them apart."""

import re
from collections import Counter

import pytest
from scipy.stats import binom

from stages.commands import verify_items
from stages.lib.core import seeds
from stages.lib.core.records import ABSTAIN_INSTRUCTION, Problem
from stages.lib.datasets import eval_sets
from stages.lib.operators import registry
from stages.lib.operators.programs import competition_unknowns
from stages.lib.procedural import competition, gradeschool
from stages.problems.ood import audit
from tests.helpers.variant_checks import select_unsolvable
from tests.lib.procedural.test_lifting import problem, published, real

pytestmark = pytest.mark.slow


def bundled(number=150):
    return gradeschool.generate_problems("test", number, 5, steps=(2, 5), max_value=60)


def contest():
    families = [family for family in competition.FAMILIES for _ in range(3)]
    items = (
        competition.generate_item(f, 1 + i % 3, 7, f"competition/test/{f}-{i:05d}") for i, f in enumerate(families)
    )
    return [item for item in items if isinstance(item, Problem)]


def lifted():
    stories = "Ann fills {a} crates. Each crate holds {b} red bottles and {c} blue bottles. How many bottles has Ann?"
    for i in range(150):
        a, b, c = seeds.rng("lifted", i).sample(range(5, 99), 3)
        each, found = b + c, a * (b + c)
        lines = [f"<<{b}+{c}={each}>>{each}", f"<<{a}*{each}={found}>>{found}", f"#### {found}"]
        yield problem(stories.format(a=a, b=b, c=c), lines, number=i)


WORLDS = [
    bundled,
    contest,
    lambda: list(lifted()),
    pytest.param(lambda: list(published("test", 1)), marks=real, id="gsm8k"),
]


def sentences(text):
    return re.split(r"(?<=[.?!])\s+", text)


def once(text):
    """Names that occur once; words with a capital letter inside a sentence."""
    counts = Counter(
        re.findall(r"\b[A-Z][a-z]+\b", re.sub(r"(^|[.?!]\s+)(There|Now|We|In|Then|Today|Find|The)\b", " ", text))
    )
    return {name for name, number in counts.items() if number == 1}


def place(text, found):
    """Where the first of these stands, as a share of the text."""
    places = [at for at, sentence in enumerate(sentences(text)) if any(name in sentence for name in found)]
    return places[0] / len(sentences(text)) if places else -1


def numbers(text):
    return list(map(int, re.findall(r"\d+", text))) or [0]


FEATURES = {
    "names that occur once": lambda text: len(once(text)),
    "where a name that occurs once stands": lambda text: place(text, once(text)),
    "names that occur once in one sentence": lambda text: max(
        sum(name in sentence for name in once(text)) for sentence in sentences(text)
    ),
    "sentences": lambda text: len(sentences(text)),
    "numbers": lambda text: len(re.findall(r"\d+", text)),
    "numbers of the first sentence": lambda text: len(re.findall(r"\d+", sentences(text)[0])),
    "words": lambda text: len(text.split()),
    "the largest number": lambda text: max(numbers(text)),
    "the first number": lambda text: numbers(text)[0],
    "where the first number stands": lambda text: place(text, re.findall(r"\d+", text)[:1]),
}


def best(values, labels):
    """The accuracy of the best threshold on one feature, either way round."""
    accuracy = 0.5
    for threshold in set(values):
        right = sum((value >= threshold) == label for value, label in zip(values, labels, strict=True)) / len(values)
        accuracy = max(accuracy, right, 1 - right)
    return accuracy


@pytest.mark.parametrize("parents", WORLDS)
def test_twins_stand_one_to_one_and_nothing_simple_tells_which_has_an_answer(parents):
    parents = parents()
    variants, _ = registry.make_variants(parents, ["premise"], 3, largest=60)
    by_id = {parent.id: parent for parent in parents}
    assert len(variants) >= 200 and len({variant.id for variant in variants}) == len(variants)
    lost, kept = select_unsolvable(variants), [variant for variant in variants if variant.contract == "preserving"]
    assert [f"{variant.id}~kept" for variant in lost] == [variant.id for variant in kept]
    assert all(variant.answer == by_id[variant.parent].answer for variant in kept)
    assert all(variant.format_prompt().endswith(f"\n{ABSTAIN_INSTRUCTION}") for variant in variants)
    assert len({eval_sets.get_group_name(variant) for variant in variants}) == 1
    assert [verify_items.verify(variant, by_id) for variant in variants[::7]] == [("verified", [])] * len(variants[::7])
    labels = [variant.contract == "unsolvable" for variant in variants]
    allowance = binom.ppf(1 - audit.FALSE_ALARM_RATE, len(variants), 0.5 + audit.MARGIN) / len(variants)
    for name, feature in FEATURES.items():
        assert best([feature(variant.question) for variant in variants], labels) <= allowance, name


def test_twins_of_the_bundled_world_have_equally_many_words_of_every_frequency():
    variants, _ = registry.make_variants(
        gradeschool.generate_problems("test", 100, 8, steps=(5, 7), max_value=60), ["premise"], 3
    )
    for lost, kept in zip(variants[::2], variants[1::2], strict=True):
        one, other = (sorted(Counter(re.findall(r"\w+", item.question)).values()) for item in (lost, kept))
        assert one == other, lost.id


def test_a_constant_answer_is_worth_a_half_and_the_audit_knows_it():
    parents = {parent.id: parent for parent in bundled(60)}
    variants, _ = registry.make_variants(parents.values(), ["premise"], 3, largest=60)
    report = audit.audit_sets({"mixed": audit.ProblemSet(variants, parents)})["mixed"]
    assert report["figures"]["constant"] == report["figures"]["unsolvable"] == 0.5
    assert 0.5 < report["bounds"]["constant"] < 0.7 and not report["faults"]


def test_the_twin_of_a_forged_item_is_found():
    variants, _ = registry.make_variants(bundled()[:4], ["premise"], 3, largest=60)
    for variant in variants:
        wrong = {"contract": "changing", "abstain": None, "id": f"{variant.id}~kept", "answer": "4711"}
        for field, value in wrong.items():
            assert registry.check(variant.model_copy(update={field: value})), (variant.id, field)


def test_what_is_greatest_over_all_that_fits_is_no_missing_premise():
    families = ("remainder_system", "purchases", "order_modulo_prime", "two_coins", "shortest_way_by_a_line")
    items = [
        competition.generate_item(f, 1 + i % 3, 3, f"competition/test/{f}-{i:05d}") for f in families for i in range(6)
    ]
    words = ("least", "smallest", "largest", "greatest", "shortest")
    asked = [item for item in items if isinstance(item, Problem) and any(word in item.question for word in words)]
    variants, rejects = registry.make_variants(asked, ["premise"], 1)
    assert not variants and all("the least or the greatest" in reject.reason for reject in rejects)
    assert {reject.id.split("/")[2].split("-")[0] for reject in rejects} == set(families)
    assert competition_unknowns.EXTREMAL.search("Find the greatest possible number of pieces.")
    assert not competition_unknowns.EXTREMAL.search("How many of them use at least one of the numbers, and at most 3?")
