"""Options: what is protected, which two say the same, and where code puts the key and a new one."""

from collections import Counter

import pytest

from stages.lib.core import seeds
from stages.lib.rewording import protected_spans
from stages.problems.ood.mpa import canonical, checks, option_order, pipeline, principles
from tests.helpers.mpa_items import RULE_AGENTS, make_item, make_variant, model  # noqa: F401


@pytest.mark.parametrize(
    "text, protected",
    [
        ("He pays $5 for tea and $10 for cake.", []),
        ("Let $x = 5$. Find $x^2.$", ["$x = 5$", "$x^2.$"]),
        (r"Then \[a \text{ if } b.\] Find [asy] draw(a); [/asy]", [r"\[a \text{ if } b.\]", "[asy] draw(a); [/asy]"]),
        ('It grew 3" and then 2" more.', []),
        ('She said, "How many are 12?" and left.', ['"How many are 12?"']),
    ],
)
def test_formulas_drawings_and_quotations_are_protected_and_money_is_not(text, protected):
    masked, kept = protected_spans.mask(text)
    assert kept == protected and protected_spans.unmask(masked, kept) == text


def test_sentences_join_to_the_text():
    text = "Mr. Smith has 2.5 kg.  Does he?\nYes! In the U.S. it is 3 p.m. now"
    parts = protected_spans.split_sentences(text)
    assert "".join(part + gap for part, gap in parts) == text
    assert [part for part, _ in parts][:2] == ["Mr. Smith has 2.5 kg.", "Does he?"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("forty-two", "42"),
        ("Twelve apples", "12 apples"),
        ("$1,200", "1200 dollars"),
        ("5%", "5 percent"),
        ("0.5", ".5"),
        ("The oak", "the oak."),
        ("the answer “oak”", "oak"),
        ("fats and oils", "oils and fats"),
        ("This isn't true", "this is not true"),
        ("All of these", "all of the above"),
    ],
)
def test_the_same_in_another_dress_has_one_form(one, other):
    assert canonical.normalize_option(one) == canonical.normalize_option(other) and checks.are_equivalent(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Aa", "aa"),
        ("42", "43"),
        ("$5", "5 euros"),
        ("5%", "5"),
        ("forty", "four"),
        ("an oak", "no oak"),
        ("Mitral valve stenosis", "Aortic valve stenosis"),
        ("eightfold", "8fold"),
        ("None of these", "All of these"),
    ],
)
def test_what_says_something_else_has_another_form(one, other):
    assert canonical.normalize_option(one) != canonical.normalize_option(other)


@pytest.mark.slow
def test_answer_positions_are_uniform_after_permuting_even_from_one_position():
    from scipy.stats import chisquare

    for source in (None, "A"):
        parents = [make_item(i, answer=source) for i in range(2000)]
        counts = Counter(
            RULE_AGENTS.paraphraser.apply("permute", parent, principles.start_draft(parent), 1, 0).answer
            for parent in parents
        )
        assert chisquare([counts[letter] for letter in "ABCD"]).pvalue > 0.01, counts


def test_permuting_moves_the_key_with_its_letter_and_is_never_the_identity():
    for i in range(200):
        parent = make_item(i)
        variant = make_variant(parent, "permute")
        assert sorted(variant.choices) == sorted(parent.choices) and variant.choices != parent.choices
        assert variant.choices["ABCD".index(variant.answer)] == parent.choices["ABCD".index(parent.answer)]


def test_permuting_equal_texts_keys_by_place_and_never_looks_unchanged():
    for i in range(100):
        parent = make_item(i, choices=["x", "x", "y", "z"], answer="B")
        draft = option_order.permute_options(principles.start_draft(parent), seeds.rng(i))
        assert draft.origin["ABCD".index(draft.answer)] == 1 and list(draft.choices) != parent.choices


def test_all_of_the_above_stays_last():
    for i in range(50):
        parent = make_item(i, choices=["the oak", "the elm", "the ash", "All of the above"], answer="D")
        variant = make_variant(parent, "permute")
        assert variant.choices[3] == "All of the above" and variant.answer == "D"
    assert not principles.refers_to_above("98% or above.") and not principles.refers_to_above(
        "All of the testimony is heard."
    )


@pytest.mark.slow
def test_a_new_choice_leaves_each_its_neighbours_and_stands_anywhere(model):  # noqa: F811
    stood = set()
    for i in range(60):
        parent = make_item(i)
        variant = make_variant(parent, "newchoice", model)
        new = variant.program.params["origin"].index(None)
        stood.add((new, variant.answer))
        old = variant.choices[:new] + variant.choices[new + 1 :]
        start = old.index(parent.choices[0])
        assert old[start:] + old[:start] == parent.choices
        assert variant.choices["ABCDE".index(variant.answer)] == parent.choices["ABCD".index(parent.answer)]
    assert {new for new, _ in stood} == set(range(5)) and {key for _, key in stood} == set("ABCDE")


def test_a_new_choice_that_says_what_another_says_is_refused(model):  # noqa: F811
    parent = make_item(3, choices=["the oak", "A tree made of glass.", "the elm", "the ash"], answer="A")
    variants, (reject,) = pipeline.make_variants([parent], "newchoice", model, 1, max_attempts=1)
    assert not variants and reject.reason == "the new option says the same as another one"


@pytest.mark.parametrize("source", ["A", "C", None])
def test_the_keys_place_is_drawn_anew_whatever_it_was_in_the_source(source):
    from scipy.stats import chisquare

    parents = [make_item(i, answer=source) for i in range(1000)]
    keys = (
        option_order.insert_option(
            parent,
            principles.start_draft(parent),
            "the fir",
            option_order.make_rng(1, parent, option_order.NEW_OPTION_FIELD, 0),
        )
        for parent in parents
    )
    counts = Counter(draft.answer for draft in keys)
    assert chisquare([counts[letter] for letter in "ABCDE"]).pvalue > 0.01, counts


def test_rising_numbers_rise_on_around_the_ring():
    for i in range(30):
        parent = make_item(i, "How much is it?", ["12", "14", "16", "18"], "B")
        draft = option_order.insert_option(
            parent,
            principles.start_draft(parent),
            "15",
            option_order.make_rng(1, parent, option_order.NEW_OPTION_FIELD, 0),
        )
        values = [int(choice) for choice in draft.choices]
        start = values.index(min(values))
        assert values[start:] + values[:start] == sorted(values)


def test_what_speaks_of_others_stays_behind_a_new_one(model):  # noqa: F811
    for i in range(20):
        parent = make_item(i, "How much?", ["12", "14", "17", "None of the above"], "B")
        draft = option_order.insert_option(
            parent,
            principles.start_draft(parent),
            "19",
            option_order.make_rng(1, parent, option_order.NEW_OPTION_FIELD, 0),
        )
        assert draft.choices[-1] == "None of the above" and draft.answer in "ABCD"
