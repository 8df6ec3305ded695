"""What marks an answer and what only looks like a mark, as chat models write; and what is a part of a number."""

from fractions import Fraction

import pytest

from stages.lib.grading.answers import equal, extract, has_marked_answer, parse_number

HEADINGS = [
    ("#### Step 1..\n#### Step 2: Money\n9 x 2 = 18\n\nThe final answer is $\\boxed{18}$.", "number", "18"),
    ("#### Final Answer\n$$\\boxed{\\frac{1}{2}}$$", "latex", "\\frac{1}{2}"),
    ("#### Option A\nNo.\n#### Option C\nNo.\n\n**Answer: B**", "choice", "B"),
    ("\\boxed{204}\n\n#### Verification of 3 cases\nok", "number", "204"),
    ("\\boxed{204}\n\n#### 2. Verification of 3 cases\nok", "number", "204"),
    ("#### Final Answer\n18", "number", "18"),
    ("#### 18\n\n#### Explanation\nAll 3.", "number", "18"),
    ("### Final Answer\n\n18", "number", "18"),
    ("**Final Answer**\n\n18", "number", "18"),
    ("### Final Answer\n\nB", "choice", "B"),
    ("### Answer\n\nNo", "boolean", "no"),
    ("## Final Answer\n\n$$\n\\frac{1}{2}\n$$", "latex", "$$\n\\frac{1}{2}\n$$"),
    ("####\n\n18", "number", "18"),
    ("#### 18 ####", "number", "18"),
    ("#### Yes\n\nFor it is.", "boolean", "yes"),
    ("It is so.\n#### Paris", "text", "Paris"),
    ("#### 53. 20\nmore", "number", "53"),
    ("#### She has 18 eggs.\nDone", "number", "18"),
]
SHOWN = [
    ("The final answer is:\n\\[\n3\n\\]", "number", "\\[\n3\n\\]"),
    ("The final answer is:\n$$\n3\n$$", "latex", "$$\n3\n$$"),
    ("The answer is therefore\n\n\\[ x=18 \\]", "latex", "\\[ x=18 \\]"),
    ("The answer is therefore\n\n\\[ x=18 \\]", "number", "18"),
    ("The answer is given by\n$$x=18$$\nIt fits.", "latex", "$$x=18$$"),
    ("The answer is $$x=1$$ or $$x=2$$.", "latex", "$$x=1$$ or $$x=2$$"),
    ("The answer is so\n\\begin{pmatrix}1\\\\2\\end{pmatrix}", "latex", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"),
]
SAID = [
    ("The answer would be 18.", "number", "18"),
    ("The answer should be 18", "number", "18"),
    ("The answer must be 18.", "number", "18"),
    ("**Antwort:** 18", "number", "18"),
    ("答案:18", "number", "18"),
    ("最终答案是18。", "number", "18"),
    ("I see. <answer>18</answer>", "number", "18"),
    ("<answer> B </answer>", "choice", "B"),
    ("So option B is correct.", "choice", "B"),
    ("(C) is the best choice.", "choice", "C"),
    ("B. Paris", "choice", "B"),
    ("The answer is 'C'.", "choice", "C"),
    ("The answer is A because it is", "choice", "A"),
    ("The answer is No because it", "boolean", "no"),
    ("The value is $\\boxed{x}$. The answer is D.", "choice", "D"),
    ("The answer is 5 for part one.\nProblem 2: then \\boxed{3}", "number", "3"),
    ("The answer is \\boxed{5}.\nProblem 2: then \\boxed{3}", "number", "5"),
    ("\\framebox{49}", "number", "49"),
    ("The answer is to the left.", "text", "to the left"),
    ("Answer: First floor", "text", "First floor"),
    ("Answer: We need 18 eggs.", "number", "18"),
    ("\\boxed{\\underline{\\textbf{B}}}", "choice", "B"),
]
NOT_MARKED = [
    ("#### Step 1: 16 - 3 = 13 eggs", "number"),
    ("#### Understanding the problem\n3 + 4 = 7", "number"),
    ("The final answer is:\n\\[", "latex"),
    ("The final answer is:\n\\[\n3", "number"),
    ("The answer is $$3", "number"),
    ("The final answer is $\\boxed{18", "number"),
    ("Let $\\mathbf{v}=1$", "latex"),
    ("Let", "latex"),
    ("\\begin{align*}", "latex"),
    ("16 - 3 - 4 = 9 eggs", "latex"),
    ("Then $3+4=7$.", "latex"),
    ("\\frac{1}{", "latex"),
    ("Let's find the answer: first we compute 16 - 3 = 13", "number"),
    ("**Answer:** We start with 16 eggs.", "number"),
    ("A: First, we know that 15 trees", "number"),
    ("A: There are 15 trees originally. Then there", "number"),
    ("Answer: Jason started with 20 lollipops.", "number"),
    ("Option A is correct, or option B is correct", "choice"),
    ("B. 16 = 4 x 4", "choice"),
]
PARTS = [
    "2\\sqrt{3}",
    "\\sqrt{3}",
    "4π",
    "4\\pi",
    "7\\pi$",
    "2x",
    "\\log_2(5)",
    "16 - 3 - 4",
    "2 × 3",
    "5 feet 6 inches",
    "7 hours and 30 minutes",
    "1,2,3",
    "2,4,6",
    "\\sqrt{34} + 3\\sqrt{10}",
    "2 dollars and 5 cents",
    "2\\binom{4}{2}",
]
STYLED = [
    ("latex", "\\textbf{(211) }", "211"),
    ("latex", "\\mathbf{127}", "127"),
    ("number", "\\boxed{\\mathbf{127}}", "127"),
    ("number", "{\\bf 127}", "127"),
    ("latex", "\\bm{\\frac{1}{2}}", "0.5"),
    ("latex", "\\underline{5}", "5"),
    ("number", "\\textcolor{red}{\\textbf{5}}", "5"),
    ("latex", "\\boldsymbol{x+1}", "1+x"),
    ("latex", "\\textbf{even}", "\\text{even}"),
    ("text", "\\textbf{red}", "red"),
    ("latex", "\\mathbf{2}^{3}", "8"),
]


def test_a_heading_is_no_answer_but_stands_above_one():
    assert [(text, kind, extract(text, kind)) for text, kind, _ in HEADINGS] == HEADINGS


def test_a_formula_on_lines_of_its_own_is_the_answer():
    assert [(text, kind, extract(text, kind)) for text, kind, _ in SHOWN] == SHOWN


def test_what_says_an_answer_is_found_and_marks_it():
    assert [(text, kind, extract(text, kind)) for text, kind, _ in SAID] == SAID
    assert [case for case in HEADINGS + SHOWN + SAID if not has_marked_answer(*case[:2])] == []


def test_workings_and_what_broke_off_mark_nothing():
    assert [case for case in NOT_MARKED if has_marked_answer(*case)] == []


@pytest.mark.parametrize("text", PARTS)
def test_a_part_of_something_is_no_number(text):
    assert [extract(form.format(text), "number") for form in ("#### {}", "{}", "The answer is {}.")] == [None] * 3
    assert not any(equal(f"#### {text}", value, "number") for value in ("2", "4", "5", "6", "7", "16"))


def test_a_point_may_group_where_a_comma_follows():
    given = {"1.234,56": Fraction(123456, 100), "1.234,50 €": Fraction(12345, 10), "1.234,5": Fraction(12345, 10)}
    assert {text: parse_number(text) for text in given} == given
    assert equal("\\boxed{1.234,5}", "1,234.5", "number") and not equal("1.234,5", "1234.5", "latex")


@pytest.mark.parametrize(("kind", "styled", "plain"), STYLED)
def test_a_style_changes_no_value(kind, styled, plain):
    assert equal(styled, plain, kind) and equal(plain, styled, kind) and not equal(styled, "13", kind)
