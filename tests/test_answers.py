"""Answers: extraction, exact numbers, equality by type, grouping."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib import answers
from stages.lib.answers import equal, equal_many, extract, group, number

TYPES = [None, *answers.TYPES]

# Numbers

NUMBERS = {
    "073": 73, "18.": 18, "$18": 18, r"\$18": 18, "$18$": 18, "−5": -5, "- 5": -5, "-$5": -5, "$-5": -5, "+5": 5,
    "1,234.50": Fraction(2469, 2), "1 000": 1000, "1{,}000": 1000, r"1,\!000": 1000, "14{,}916": 14916,
    ".4": Fraction(2, 5),
    "1,22": Fraction(61, 50), "0,111": Fraction(111, 1000), "3 1/2": Fraction(7, 2), "2½": Fraction(5, 2),
    r"\frac{1}{2}": Fraction(1, 2), r"-\frac12": Fraction(-1, 2), r"3\frac{1}{2}": Fraction(7, 2),
    "-1/2": Fraction(-1, 2),
    "28%": Fraction(7, 25), r"28\%": Fraction(7, 25), "28 percent": Fraction(7, 25),
    "1e5": 10**5, r"3 \times 10^{5}": 3 * 10**5,
    "2 million": 2 * 10**6, "18 dollars per day": 18, "5 km": 5, "1,000.99€": Fraction(100099, 100), r"90^\circ": 90,
    r"15\mbox{ cm}^2": 15, "**18**": 18, r"\boxed{18}": 18,
}  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_read_exactly(text):
    assert number(text) == NUMBERS[text]


@pytest.mark.parametrize(
    "text",
    ["", "x", "5x", "5 pi", "1/0", "1,2,3", "1.2.3", "12:30", "--5", "5-", "5 or 6", "1e9999", "1" * 5000, "nan"],
)
def test_what_is_not_one_number_is_none(text):
    assert number(text) is None


@given(st.fractions(max_denominator=10**6), st.integers(0, 8))
def test_every_way_of_writing_a_number_is_the_same_number(value, places):
    top, bottom, whole = value.numerator, value.denominator, f"{value.numerator:,}"
    assert number(f"{top}/{bottom}") == number(rf"\dfrac{{{top}}}{{{bottom}}}") == value
    decimal = f"{float(value):.{places}f}"
    assert number(decimal) == Fraction(decimal)
    assert number(whole) == number(f"${whole}") == number(f"{whole}.") == number(whole.replace("-", "−")) == top


# Extraction

EXTRACTED = [
    ("She has 5 + 3 = <<5+3=8>>8 eggs.\n#### 8", "number", "8"),
    ("A: 18", "number", "18"),
    (r"so \boxed{\frac{1}{\sqrt{2}}}. Done.", "latex", r"\frac{1}{\sqrt{2}}"),
    (r"\boxed{1}, no: \boxed{2}.", "number", "2"),
    (r"The roots are \boxed{-2} and \boxed{1}.", "latex", "-2, 1"),
    (r"First \boxed{4}. Then, checking, again \boxed{4}.", "latex", "4"),
    ("The answer is $1,234.", "number", "$1,234"),
    ("The answer is 18 because 3 hens lay 6 each.", "number", "18"),
    ("the answer is 5 + 3 = 8.", "number", "8"),
    ("Final Answer: The largest $n$ is 34.", "latex", "34"),
    (
        r"It was \boxed{3}, I thought. The final answer is $\frac{1}{2}$. I hope it is correct.",
        "latex",
        r"$\frac{1}{2}$",
    ),
    ("10 - 3 leaves 7 of AZYUK2A", "number", "7"),
    ("It costs 3/4 of it", "number", "3/4"),
    (r"x = \frac{3}{4}", "latex", r"x = \frac{3}{4}"),
    ("No number here.", "number", None),
    ("", None, None),
    (None, None, None),
    ("  42 ", None, "42"),
    ("The answer is (B).", "choice", "B"),
    ("B) Paris", "choice", "B"),
    (r"\boxed{\text{C}}", "choice", "C"),
    ("A dog is what I see. I choose D", "choice", "D"),
    ("b", "choice", "B"),
    ("Yes, it does. So the answer is no.", "boolean", "no"),
    ("It is TRUE", "boolean", "true"),
    ("Look:\n```python\ndef f():\n    return 1  \n```\nDone", "code", "def f():\n    return 1"),
]


@pytest.mark.parametrize("text, answer_type, answer", EXTRACTED)
def test_the_final_answer_is_found(text, answer_type, answer):
    assert extract(text, answer_type) == answer


def nested(depth):
    return st.recursive(
        st.text("xy+12", max_size=3),
        lambda inner: inner.map(lambda s: f"{{{s}}}") | st.tuples(inner, inner).map("".join),
    )


@given(nested(4), st.text("xyz .", max_size=10), st.text("xyz .{}", max_size=10))
def test_a_box_is_closed_by_its_own_brace(content, before, after):
    found = answers.boxes(rf"{before}\boxed{{{content}}}{after}")
    assert found == [content.strip()]


# Equality by type

EQUAL = [
    ("number", "073", "73"), ("number", "18", "She makes $18 every day."), ("number", "1/2", "0.5"),
    ("number", "28", "28%"), ("number", "0.28", "28%"), ("number", "2.74", "Soucis : 2,74 $ a.."),
    ("integer", "204", "204.0"),
    ("latex", r"\frac{1}{2}", "0.5"), ("latex", r"\frac{\sqrt{8}}{2}", r"\sqrt{2}"), ("latex", "(x+1)^2", "x^2+2x+1"),
    ("latex", r"\left(3, \frac{\pi}{2}\right)", r"(3,\frac\pi2)"), ("latex", "x=5", "5"),
    ("latex", r"\text{Evelyn}", "Evelyn"),
    ("latex", "1, 2", r"\{2, 1\}"), ("latex", r"28\%", "28"), ("latex", r"x \in [-2,7]", r"-2 \le x \le 7"),
    ("latex", r"10\%, 20\%", r"\{20, 10\}"),
    ("choice", "B", "the answer is (b)"), ("boolean", "yes", "True"), ("code", "a = 1\n", "```\na = 1  \n```"),
    (None, "1,22", "1.22"), (None, "18 dollars", "18"), (None, "B", "B"), (None, r"2\sqrt{2}", r"\boxed{\sqrt{8}}"),
]  # fmt: skip
DIFFERENT = [
    ("number", "1/3", "0.333333"), ("number", "2", "AZYUK2A"), ("number", "", ""), ("number", "x", "x"),
    ("number", "1", None),
    ("integer", "3", "3.5"), ("latex", "(3,1)", r"\{1,3\}"), ("latex", "(0,9)", "[0,9)"), ("latex", "5x", "5"),
    ("latex", "2x+z=1", "1"), ("latex", "$7 = 11a+c$", "11a+c"), ("latex", r"\sqrt{2}", "1.41"),
    ("latex", "1,2", "1.2"),
    ("latex", "", ""), ("latex", "$$", "$$"), ("latex", r"\text{even}", r"\text{odd}"),
    ("latex", r"\frac13", "0.333333"),
    ("choice", "B", "D"), ("choice", "1", "1"), ("boolean", "yes", "no"), ("boolean", "maybe", "maybe"),
    ("code", "a", "b"),
    (None, "12", "1 2 3"), (None, None, "1"),
]  # fmt: skip


@pytest.mark.parametrize("verdict, cases", [(True, EQUAL), (False, DIFFERENT)])
def test_equality_by_type_in_both_orders(verdict, cases):
    for answer_type in TYPES:
        pairs = [(gold, pred) for given_type, gold, pred in cases if given_type == answer_type]
        for ordered in (pairs, [pair[::-1] for pair in pairs]):
            assert [
                pair for pair, same in zip(ordered, equal_many(ordered, answer_type), strict=True) if same != verdict
            ] == []


PIECES = st.lists(
    st.sampled_from(
        [
            r"\frac",
            r"\sqrt",
            r"\boxed",
            "{",
            "}",
            "(",
            ")",
            "^",
            "_",
            "1",
            "2",
            "x",
            "=",
            ",",
            "$",
            r"\%",
            "####",
            " ",
            "-",
        ]
        + ["the answer is ", r"\text{", r"\left(", r"\right)", "\n", ".", "and", r"\pi", r"\\", "<", "|", "e", "!", "/"]
    ),
    max_size=12,
).map("".join)
STRINGS = st.text(max_size=30) | PIECES


@settings(max_examples=300, deadline=None)
@given(STRINGS, STRINGS, st.sampled_from(["number", "integer", "choice", "boolean", "code"]))
def test_no_string_raises(left, right, answer_type):
    assert equal(left, right, answer_type) is equal(right, left, answer_type)
    found = extract(left, answer_type)
    assert extract(found, answer_type) == found
    unread, other = group([left, None], answer_type)
    assert other == -1
    assert equal(left, left, answer_type) is (unread == 0)


@settings(max_examples=60, deadline=None)
@given(STRINGS, STRINGS, st.sampled_from([None, "latex"]))
def test_no_string_raises_in_a_formula(left, right, answer_type):
    assert equal(left, right, answer_type) is equal(right, left, answer_type)
    assert equal(left, left, answer_type) is (group([left], answer_type) == [0])


@settings(max_examples=300, deadline=None)
@given(STRINGS, st.sampled_from([None, "latex"]))
def test_what_is_extracted_is_its_own_answer(text, answer_type):
    found = extract(text, answer_type)
    assert extract(found, answer_type) == found


# Groups


@pytest.mark.parametrize("answer_type", [kind for kind in TYPES if kind != "code"])
def test_no_answer_can_be_read_where_it_is_marked_and_equals_only_itself(answer_type):
    said = ["N/A", "n/a.", r"so \boxed{\text{N/A}}", "5 of 7\n#### N/A", "The answer is N/A because 5 is missing.",
            "<<<N/A>>>, or <<<5>>>"]  # fmt: skip
    assert [extract(text, answer_type) for text in said] == ["N/A"] * len(said)
    for text in said:
        assert equal("N/A", text, answer_type) and equal(text, "N/A", answer_type)
    for other in ("5", "True", "no", "N", "A", r"\frac{N}{A}", "", "Is it N/A? #### 5", "x <<<5>>> as N/A"):
        assert not equal("N/A", other, answer_type) and not equal(other, "N/A", answer_type)
    readable = {"choice": "B", "boolean": "True"}.get(answer_type, "5")
    assert group(["N/A", readable, "#### N/A", readable], answer_type) == [0, 1, 0, 1]


ABSTAINED = [
    "It cannot be determined.",
    "Cannot be determined from the information given",
    "**N/A**",
    "#### unknown",
    "There is not enough information to answer the question.",
    "Insufficient information",
    "none.",
    "No answer can be given.",
    r"\boxed{\text{cannot be determined}}",
    "The answer: None",
    "<<<unknown>>>",
    "The answer can't be determined because a price is missing.",
    "Tom has 5.\nSo the answer cannot be determined.",
]
ANSWERED = ["The unknown is x = 5. #### 5", "None of them has pears, so 5 are left. #### 5", "none of the above, but 5",
            "Let x be the unknown. x = 5", "It cannot be determined directly, but it is 5.", "Is it unknown? #### 5",
            "The answer is 5, which was unknown.", "The answer is (C) cannot be determined", "C", "(C) unknown",
            "The answer is C: not enough information", "Unknown to Tom, Ann ate 5."]  # fmt: skip


@pytest.mark.parametrize("answer_type", [None, *(kind for kind in TYPES if kind != "code")])
def test_an_abstention_in_english_is_one_only_where_it_is_the_answer(answer_type):
    assert [extract(text, answer_type) for text in ABSTAINED] == ["N/A"] * len(ABSTAINED)
    assert "N/A" not in [extract(text, answer_type) for text in ANSWERED]


def test_an_angled_answer_is_the_first_one_without_commas():
    assert extract("first <<<1,234>>>, then <<<5>>>", "number") == "1234"
    assert extract("48 = <<48/2=24>>24, <<<1/2>>>", "number") == "1/2"
    assert equal("(7/3, -2)", "so <<<(7/3, -2)>>>", "latex") and not equal("(7/3, -2)", "<<<(-2, 7/3)>>>", "latex")
    assert extract("<<<True>>>, not False", "boolean") == "true" and extract("<<<B>>> beats A", "choice") == "B"
    assert extract("<<<4>>>\n#### 5", "number") == "5"


def test_groups_are_classes_of_equal_answers():
    given_ = [None, "1/2", "0.50", "x", "", "7", r"\frac{2}{4}", "7.0", "no idea at all", "-7"]
    assert group(given_, "number") == [-1, 0, 0, -1, -1, 1, 0, 1, -1, 2]
    assert group([r"\sqrt{8}", r"2\sqrt{2}", "3", None, r"\frac{6}{2}", "x+1", "1+x"], "latex") == [
        0,
        0,
        1,
        -1,
        1,
        2,
        2,
    ]
    assert group(["A", "(a)", "B", "none", "both?"], "choice") == [0, 0, 1, 2, -1]
    assert group([], "latex") == []


def test_a_percentage_joins_both_its_readings():
    assert group(["28", "0.28", "28%"], "number") == [0, 0, 0]
    assert group(["28", "0.28"], "number") == [0, 1]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["1/2", "0.5", "50%", "50", ".50", "3", "3.0", "x", "", "2"]), max_size=8), st.randoms()
)
def test_groups_are_the_connected_parts_of_equality_in_any_order(given_, random):
    classes = group(given_, "number")
    parts = [{i} for i in range(len(given_))]
    for i, a in enumerate(given_):
        for j, b in enumerate(given_):
            if equal(a, b, "number") and parts[i] is not parts[j]:
                joined = parts[i] | parts[j]
                for k in joined:
                    parts[k] = joined
    readable = [i for i, a in enumerate(given_) if equal(a, a, "number")]
    assert [i for i in range(len(given_)) if classes[i] >= 0] == readable
    assert all((classes[i] == classes[j]) == (j in parts[i]) for i in readable for j in readable)
    order = random.sample(range(len(given_)), len(given_))
    shuffled = group([given_[i] for i in order], "number")
    assert (
        Counter(zip(shuffled, (classes[i] for i in order), strict=True)).keys()
        == dict(zip(shuffled, (classes[i] for i in order), strict=True)).items()
    )
