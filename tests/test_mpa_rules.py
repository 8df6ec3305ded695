"""What the rules write: protected spans, one form for what says the same, and each principle's promise."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib import seeds
from stages.ood.mpa import amounts, checks, normal, options, pipeline, principles, rules, spans, stock
from tests.quiz import NEW, RULES, free, item, made

# Spans and the normal form.


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
    masked, kept = spans.mask(text)
    assert kept == protected and spans.unmask(masked, kept) == text


def test_sentences_join_to_the_text():
    text = "Mr. Smith has 2.5 kg.  Does he?\nYes! In the U.S. it is 3 p.m. now"
    parts = spans.sentences(text)
    assert "".join(part + gap for part, gap in parts) == text
    assert [part for part, _ in parts][:2] == ["Mr. Smith has 2.5 kg.", "Does he?"]


SAME = [
    ("How many apples does she have left?", "Find how many apples she has left."),
    ("What is the sum of the digits?", "Determine the sum of the digits."),
    ("If x is 3, what is the value of $y$?", "Find $y$ if x is 3."),
    ("Which of the following isn't a bird?", "Answer the following question. Which of these is not a bird?"),
    ("Tom bought 3 pens.", "Tom purchased 3 pens."),
]
OTHER = [
    ("Tom gives Ann 3 pens.", "Ann gives Tom 3 pens."),
    ("Tom has 3 pens and 5 cups.", "Tom has 5 pens and 3 cups."),
    ("Which of the following is a bird?", "Which of these is not a bird?"),
    ("How many clips did she sell?", "Find how many customers she sold."),
    ("Tom has 3 pens. He buys 2.", "Tom has 3 pens."),
    ("Find $x^2$.", "Find $x^3$."),
    ("It weighs at least 3 kg.", "It weighs at most 3 kg."),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_says_the_same_has_one_form(one, other):
    assert normal.same(one, other) and normal.same(other, one)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_what_says_something_else_has_not(one, other):
    assert not normal.same(one, other)


# The principles.


def test_questions_are_rewritten_by_the_grammar():
    texts = [
        made(free("Tom buys 3 pens for $2. How many pens does he have?", number=i), "question").question
        for i in range(30)
    ]
    assert any(re.search(r"(?:Find|Determine|Work out) how many pens he has\.", text) for text in texts)
    assert len(dict.fromkeys(texts)) > 5 and all("$2" in text for text in texts)


def test_a_formula_is_never_rewritten():
    formula = r"$\text{children buy in total}$"
    for i in range(20):
        assert (
            formula
            in made(free(f"Let {formula} be the sum. What is the sum, in total?", number=i), "question").question
        )


def test_answer_positions_are_uniform_after_permuting_even_from_one_position():
    from scipy.stats import chisquare

    for source in (None, "A"):
        parents, pool = [item(i, answer=source) for i in range(2000)], stock.pool([], 1)
        counts = Counter(
            RULES.paraphraser.apply("permute", parent, principles.draft(parent), pool, (0,)).answer
            for parent in parents
        )
        assert chisquare([counts[letter] for letter in "ABCD"]).pvalue > 0.01, counts


def test_permuting_moves_the_key_with_its_letter_and_is_never_the_identity():
    for i in range(200):
        parent = item(i)
        variant = made(parent, "permute")
        assert sorted(variant.choices) == sorted(parent.choices) and variant.choices != parent.choices
        assert variant.choices["ABCD".index(variant.answer)] == parent.choices["ABCD".index(parent.answer)]


def test_permuting_equal_texts_keys_by_place_and_never_looks_unchanged():
    for i in range(100):
        parent = item(i, choices=["x", "x", "y", "z"], answer="B")
        draft = rules.permute(parent, principles.draft(parent), seeds.rng(i), stock.pool([], 1))
        assert draft.origin["ABCD".index(draft.answer)] == 1 and list(draft.choices) != parent.choices


def test_all_of_the_above_stays_last():
    for i in range(50):
        parent = item(i, choices=["the oak", "the elm", "the ash", "All of the above"], answer="D")
        variant = made(parent, "permute")
        assert variant.choices[3] == "All of the above" and variant.answer == "D"


def test_context_holds_no_number_and_not_the_answer():
    parent = item(choices=["exam", "lesson", "class", "club"], answer="C", question="Where do students sit?")
    for i in range(20):
        added = checks.added(parent.question, made(parent, "context", seed=i).question)
        assert added and not re.search(r"\d|\bclass\b", added)


@pytest.mark.parametrize(("choices", "answer", "question"), NEW)
def test_a_new_choice_differs_from_all_and_leaves_each_its_neighbours(choices, answer, question):
    stood = set()
    for i in range(60):
        parent = item(i, question, choices, answer)
        variant = made(parent, "newchoice")
        new = variant.program.params["origin"].index(None)
        stood.add((new, variant.answer))
        old = variant.choices[:new] + variant.choices[new + 1 :]
        start = old.index(choices[0])
        assert old[start:] + old[:start] == choices
        assert variant.choices["ABCDE".index(variant.answer)] == choices["ABCD".index(answer)]
        assert not any(checks.alike(variant.choices[new], choice) for choice in choices)
    assert {new for new, _ in stood} == set(range(5)) and {key for _, key in stood} == set("ABCDE")


@pytest.mark.parametrize(("source", "name"), [("A", "newchoice"), ("C", "newchoice"), (None, "newchoice+permute")])
def test_the_keys_place_is_drawn_anew_whatever_it_was_in_the_source(source, name):
    from scipy.stats import chisquare

    parents = [item(i, answer=source) for i in range(1000)]
    kept, _ = pipeline.variants(parents, name, RULES, 1)
    counts = Counter(variant.answer for variant in kept)
    assert chisquare([counts[letter] for letter in "ABCDE"]).pvalue > 0.01, counts


def test_rising_numbers_rise_on_around_the_ring():
    for i in range(30):
        variant = made(item(i, "How much is it?", ["12", "14", "16", "18"], "B"), "newchoice")
        values = [int(choice) for choice in variant.choices]
        start = values.index(min(values))
        assert values[start:] + values[:start] == sorted(values)


def test_what_speaks_of_others_stays_behind_them_or_is_refused():
    for i in range(20):
        variant = made(
            item(i, choices=["12", "14", "17", "None of the above"], answer="B", question="How much?"), "newchoice"
        )
        assert variant.choices[-1] == "None of the above" and variant.answer in "ABCD"
    for choices, reason in [
        (["12", "All of these", "14", "17"], "does not stand last"),
        (["the oak", "the elm", "Both", "the ash"], "counts the others"),
        (["the oak", "the elm", "the ash", "A and C only"], "by letter"),
    ]:
        _, (reject,) = pipeline.variants(
            [item(choices=choices, answer="A", question="How much?")], "newchoice", RULES, 1
        )
        assert reason in reject.reason, reject
    assert not principles.above("98% or above.") and not principles.above("All of the testimony is heard.")


def test_a_new_estimate_is_never_nearer_to_the_key_than_an_option_on_its_side():
    for i in range(60):
        values = [10, 20, 30, 40]
        parent = item(i, "About how much is it?", [f"about {v}" for v in values], "B")
        variant = made(parent, "newchoice")
        new = float(variant.choices[variant.program.params["origin"].index(None)].split()[1])
        assert any((v > 20) == (new > 20) and abs(v - 20) < abs(new - 20) for v in values if v != 20)


def test_two_wrong_options_that_make_up_the_key_are_not_joined():
    parent = item(0, "Which of these is not found there?", ["actin", "myosin", "actin and myosin", "water"], "C")
    for i in range(20):
        new = next(choice for choice in made(parent, "newchoice", seed=i).choices if choice not in parent.choices)
        assert not ("actin" in new and "myosin" in new)


def test_options_are_rewritten_alike_and_keep_their_numbers():
    variant = made(item(choices=["$5", "$1,200", "$30", "$7.50"], answer="B"), "choices")
    assert variant.choices == ["five dollars", "1,200 dollars", "thirty dollars", "7.50 dollars"]
    assert variant.answer == "B"
    grid = ["True, True", "False, False", "True, False", "False, True"]
    assert made(item(choices=grid, answer="C"), "choices").choices[2] == "the first: true; the second: false"
    assert normal.option("Aa") != normal.option("aa") and normal.option("0.5") == normal.option(".5")


@pytest.mark.parametrize(
    ("choice", "ordered", "said"),
    [
        ("42", False, {"forty-two"}),
        ("12 m/s", False, {"12 meters per second"}),
        (
            "platelets and plasma",
            False,
            {"both plasma and platelets", "plasma as well as platelets", "plasma and platelets"},
        ),
        ("fats and oils", True, {"fats and oils"}),
        ("the function of the heart", False, {"the heart's function"}),
        ("the loss of the enzyme", False, {"the loss of the enzyme"}),
        ("If prices rise, output falls.", False, {"Output falls if prices rise."}),
        ("If Tom leaves, his sister stays.", False, {"If Tom leaves, his sister stays."}),
        ("speed of light and sound", False, {"speed of light and sound"}),
        ("strong acid and base", False, {"strong acid and base"}),
        ("5 men and 10 women", False, {"5 men and 10 women"}),
        ("Mitral valve stenosis", False, {"Mitral valve stenosis"}),
        ("an increase in the entire sum", False, {"a rise in the whole sum"}),
        ("It is not true", True, {"It is not true"}),
    ],
)
def test_an_option_in_other_words_or_as_it_is(choice, ordered, said):
    found = {options.reworded(choice, ordered, seeds.rng(i)) for i in range(20)}
    assert found <= said, found
    assert {normal.option(text) for text in found} == {normal.option(choice)}


@given(st.integers(0, amounts.LARGEST), st.sampled_from(["", " apples", " years of age"]))
def test_numbers_in_words_read_back(number, what):
    said = amounts.in_words(f"{number}{what}")
    assert not re.search("[0-9]", said) and amounts.in_figures(said) == f"{number}{what}"


def test_a_new_option_is_said_like_the_reworded_ones():
    for i in range(10):
        variant = made(item(i, "How much is it?", ["12", "14", "17", "21"], "B"), "choices+newchoice")
        assert len(variant.choices) == 5 and all(amounts.in_figures(choice).isdigit() for choice in variant.choices)
        assert not any(choice.isdigit() for choice in variant.choices)


def test_an_item_of_names_has_no_other_words_and_is_refused():
    names = ["Mitral valve stenosis", "Aortic valve stenosis", "Huguenots", "Lutherans"]
    _, (reject,) = pipeline.variants([item(choices=names, answer="A")], "choices", RULES, 1)
    assert reject.reason == "the grammar has other words for 0 of 4 options only"
