"""Answers: extraction, exact numbers, equality by type, grouping."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.grading import answer_markers, answers
from stages.lib.grading.answers import equal, equal_many, extract, group, parse_number
from tests.helpers.case_table import read_cases

TYPES = [None, *answers.TYPES]

# Numbers

NUMBER_CASES = read_cases(r"""
073 ≡ 73   18. ≡ 18   $18 ≡ 18   \$18 ≡ 18   $18$ ≡ 18   −5 ≡ -5   - 5 ≡ -5   -$5 ≡ -5   $-5 ≡ -5   +5 ≡ 5
1,234.50 ≡ 2469/2   1 000 ≡ 1000   1{,}000 ≡ 1000   1,\!000 ≡ 1000   14{,}916 ≡ 14916   .4 ≡ 2/5   1,22 ≡ 61/50
0,111 ≡ 111/1000   3 1/2 ≡ 7/2   2½ ≡ 5/2   \frac{1}{2} ≡ 1/2   -\frac12 ≡ -1/2   3\frac{1}{2} ≡ 7/2   -1/2 ≡ -1/2
28% ≡ 7/25   28\% ≡ 7/25   28 percent ≡ 7/25   1e5 ≡ 100000   3 \times 10^{5} ≡ 300000   2 million ≡ 2000000
18 dollars per day ≡ 18   5 km ≡ 5   1,000.99€ ≡ 100099/100   90^\circ ≡ 90   15\mbox{ cm}^2 ≡ 15   **18** ≡ 18
\boxed{18} ≡ 18   9.876.543 ≡ 9876543   9.876.543,21 ≡ 987654321/100   9'876'543 ≡ 9876543   9_876_543 ≡ 9876543
98,76,543 ≡ 9876543   45K ≡ 45000   $2.5M ≡ 2500000   3 lakh ≡ 300000   2 crore ≡ 20000000   7¾ ≡ 31/4   30 m^2 ≡ 30
30 m/s^2 ≡ 30   30 kg*m/s ≡ 30   30 cubic feet ≡ 30   30 tiles^2 ≡ 30   30{km} ≡ 30   5 \times 10^8 m/s ≡ 500000000
0.\overline{6} ≡ 2/3   2.1(6) ≡ 13/6
""")
NUMBERS = {text: Fraction(value) for text, value in NUMBER_CASES}


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_read_exactly(text):
    assert parse_number(text) == NUMBERS[text]


@pytest.mark.parametrize(
    "text",
    ["", "x", "5x", "5 pi", "1/0", "1,2,3", "1.2.3", "12:30", "--5", "5-", "5 or 6", "1e9999", "1" * 5000, "nan"],
)
def test_what_is_not_one_number_is_none(text):
    assert parse_number(text) is None


@given(st.fractions(max_denominator=10**6), st.integers(0, 8))
def test_every_way_of_writing_a_number_is_the_same_number(value, places):
    top, bottom, whole = value.numerator, value.denominator, f"{value.numerator:,}"
    assert parse_number(f"{top}/{bottom}") == parse_number(rf"\dfrac{{{top}}}{{{bottom}}}") == value
    decimal = f"{float(value):.{places}f}"
    assert parse_number(decimal) == Fraction(decimal)
    assert (
        parse_number(whole)
        == parse_number(f"${whole}")
        == parse_number(f"{whole}.")
        == parse_number(whole.replace("-", "−"))
        == top
    )


# Extraction

EXTRACTED = [
    ("She has 5 + 3 = <<5+3=8>>8 eggs.\n#### 8", "number", "8"),
    ("A: 18", "number", "18"),
    (r"so \boxed{\frac{1}{\sqrt{2}}}. Done.", "latex", r"\frac{1}{\sqrt{2}}"),
    (r"\boxed{1}, no: \boxed{2}.", "number", "2"),
    (r"With \boxed notation: the answer is 31.", None, "31"),
    (r"I end with \boxed{8}, in \boxed style.", None, "8"),
    (r"Either $a = \boxed{2}$ or $a = \boxed{9}$", "latex", "2, 9"),
    (r"The base is \boxed{2}, so the area is \boxed{9}", "latex", "9"),
    (r"The sum is \boxed{9}, not \boxed{2}.", "latex", "9"),
    (r"It cannot be \boxed{C}; it is \boxed{D}", "choice", "D"),
    (r"u = \boxed{4}, v = \boxed{6}, u + v = \boxed{10}", "integer", "10"),
    ("4 + 2 = 6\n#### 6\n\nQuestion: 8 and 1?\nAnswer: 9\n#### 9", "number", "6"),
    ("The answer is (D).\n\nQ: Is it? (A) yes (B) no\nA: The answer is (B).", "choice", "D"),
    ("The answer is no.\n\nProblem 2. Is it?\nThe answer is yes.", "boolean", "no"),
    ("The answer (in metres) is 61. It took 2 steps.", "number", "61"),
    ("I made 61 tries. The answer is beyond me.", "number", None),
    ("The answer is not 61.", "number", None),
    ("It may be 3, 4, 5 or 6", "number", None),
    ("It leaves at 12:30", "number", None),
    ("It is a number between 61 and 70", "number", None),
    ("The answer is 61 (not 62).", "number", "61"),
    ("It is 2^5", "number", None),
    ("The answer is 61!", "number", "61"),
    ("(b) Let us see. The best fit is another. The answer is (E).", "choice", "E"),
    ("II. holds, I. does not. The answer is C.", "choice", "C"),
    ("It is (C) or (D).", "choice", None),
    ("The answer is C or D.", "choice", None),
    ("The answer is C. The answer is D.", "choice", None),
    ("The answer is C. Wait, I misread. The answer is D.", "choice", "D"),
    ("The answer is not C but D.", "choice", "D"),
    ("Perhaps C, but D is possible", "choice", None),
    ("D looks right. The answer is: none of these.", "choice", None),
    ("The right choice is d", "choice", "D"),
    ("D. Since the rest is older.", "choice", "D"),
    ("No, this is never true.", "boolean", "no"),
    ("That isn't true.", "boolean", "false"),
    ("The answer is not false.", "boolean", "true"),
    ("The answer is yes or no.", "boolean", None),
    ("The answer is the second door on the left.", "text", "the second door on the left"),
    ("There are 9 cups and 8 mugs.", "latex", "9 cups and 8 mugs"),
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


MARKED = [
    ("4 + 2 = 6\n#### 6", "number"),
    ("so <<<6>>> it is", "number"),
    (r"so \boxed{6}.", "number"),
    ("The answer is 6. Right.", "number"),
    ("Answer: 6", "integer"),
    ("A: 6", "number"),
    ("6", "number"),
    ("$6.", "number"),
    ("6 km", "number"),
    ("3 1/2 cups", "number"),
    ("6%", "number"),
    ("B", "choice"),
    ("(b).", "choice"),
    ("(B) Paris", "choice"),
    ("The answer is (B), as A is not.", "choice"),
    ("No.", "boolean"),
    ("So the answer is no.", "boolean"),
    ("Answer: the second door", "text"),
    ("red", "text"),
    (r"\frac{\pi}{2}", "latex"),
    ("x = 5", "latex"),
    (r"\text{Evelyn}", "latex"),
    ("$6$", None),
    ("5 of 7\n#### N/A", "number"),
    ("It cannot be determined.", "number"),
    ("N/A", "latex"),
    ("A price is missing. So the answer cannot be determined.", "choice"),
    ("```\nprint(6)\n```", "code"),
]
UNMARKED = [
    ("We know Oli has 15.\nRight.\n", "number"),
    ("4 + 2 = 6", "number"),
    ("It is 6", "number"),
    ("6 of them", "number"),
    ("15\n15", "number"),
    ("5 apples were eaten", "number"),
    ("The answer is beyond me. 6", "number"),
    ("", "number"),
    ("#### \n", "number"),
    (None, "number"),
    ("B. Since the rest is older.", "choice"),
    ("It must be B", "choice"),
    ("The answer is B or C.", "choice"),
    ("No, it is not.", "boolean"),
    ("That is true", "boolean"),
    ("not true", "boolean"),
    (r"Hence $x = 5$ and so on", "latex"),
    ("x = 5\ny = 6", "latex"),
    ("It leaves at 5", None),
    ("the ball rolls left", "text"),
    ("It cannot be determined yet, but it is 5", "number"),
    ("", "code"),
]


@pytest.mark.parametrize("verdict, cases", [(True, MARKED), (False, UNMARKED)])
def test_an_answer_is_marked_or_all_there_is(verdict, cases):
    assert [case for case in cases if answers.has_marked_answer(*case) != verdict] == []


@given(
    st.lists(
        st.sampled_from(["we", "know", "6", "B", "(C)", "no", "true", "x", "=", "$y$", "has", ",", "."]), min_size=2
    ),
    st.sampled_from(["number", "integer", "choice", "boolean", "latex", None, "text"]),
)
def test_words_without_a_mark_are_never_marked(words, answer_type):
    assert not answers.has_marked_answer("so " + " ".join(words) + " it goes", answer_type)


def nested(depth):
    return st.recursive(
        st.text("xy+12", max_size=3),
        lambda inner: inner.map(lambda s: f"{{{s}}}") | st.tuples(inner, inner).map("".join),
    )


@given(nested(4), st.text("xyz .", max_size=10), st.text("xyz .{}", max_size=10))
def test_a_box_is_closed_by_its_own_brace(content, before, after):
    boxes = answer_markers.find_boxes(rf"{before}\boxed{{{content}}}{after}")
    assert [inside for _, _, inside in boxes] == [content]


# Equality by type

EQUAL_BY_TYPE = {
    "number": r"""
073 ≡ 73   18 ≡ She makes $18 every day.   1/2 ≡ 0.5   28 ≡ 28%   0.28 ≡ 28%   2.74 ≡ Soucis : 2,74 $ a..
6 ≡ 5.9999999999999996   0.7 ≡ 0.70000000000000007   1e21 ≡ 1000000000000000000000   -3 ≡ It is minus 3
3 ≡ 12 minus 3   -3 ≡ Answer: negative 3 degrees   -2/3 ≡ minus 2/3   -2/3 ≡ minus \frac{2}{3}   -5 ≡ minus $5
3 ≡ non-negative 3   5 ≡ The answer is 5. Dr. Smith has 6.   61 ≡ The answer is 61 V. Then 7.   -3 ≡ minus 3
-3 ≡ negative 3   -12.5 ≡ The answer is minus 12.5.
""",
    "integer": r"""
204 ≡ 204.0   -3 ≡ x = minus 3
""",
    "latex": r"""
\frac{1}{2} ≡ 0.5   \frac{\sqrt{8}}{2} ≡ \sqrt{2}   (x+1)^2 ≡ x^2+2x+1   \left(3, \frac{\pi}{2}\right) ≡ (3,\frac\pi2)
x=5 ≡ 5   \text{Evelyn} ≡ Evelyn   1, 2 ≡ \{2, 1\}   28\% ≡ 28   x \in [-2,7] ≡ -2 \le x \le 7
10\%, 20\% ≡ \{20, 10\}   \frac{1}{7} ≡ 0.14285714285714285   9:05 a.m. ≡ 9:05 AM
3 cups and 4 mugs ≡ 3 \text{ cups and } 4 \text{ mugs}   pq+qr+rp ≡ rp+pq+qr   5pq+2qr ≡ 2qr+5pq   720 ≡ 6!
57{cm} ≡ 57   7√5 ≡ 7\sqrt{5}   1/7P3 ≡ \frac{1}{210}   11:30 ≡ 11:30 a.m.   9:05 ≡ 9:05 PM   9 pm ≡ 9:00 p.m.
[2,∞) ≡ [2,\infty)   3⁴ ≡ 81   2π/3 ≡ \frac{2\pi}{3}   y≥4 ≡ y\ge 4   sqrt(5)/2 ≡ \frac{\sqrt5}{2}
(x+3)**2 ≡ x^2 + 6*x + 9   3*pi/4 ≡ \frac{3\pi}{4}   \frac{5}{9} ≡ 0.\overline{5}   ∅ ≡ \{\}   \varnothing ≡ \emptyset
3+4i ≡ i(4-3i)   \sin x ≡ \cos(90^\circ-x)   \sin 30^\circ ≡ 0.5   v_{\max}=\sqrt{2gh} ≡ \sqrt{2gh}
3\pm\sqrt{2} ≡ 3-\sqrt{2},3+\sqrt{2}   45^\circ, 135^\circ ≡ 45,135   [1, 0.5] ≡ \begin{pmatrix}1\\1/2\end{pmatrix}
\begin{array}{cc}1&2\\3&4\end{array} ≡ \begin{bmatrix}1&2\\3&4\end{bmatrix}
\begin{cases}x^2 & \text{if } x>1\\0 & x\le 1\end{cases} ≡ \begin{cases}0, & x\le1\\x\cdot x, & x>1\end{cases}
\sqrt{1/t} ≡ \frac{1}{\sqrt t}   y=2x+1 ≡ 2x-y+1=0   \log_2 5 ≡ \frac{\ln 5}{\ln 2}   -3 ≡ minus 3
2k\pi ≡ 2n\pi, n \in \mathbb{Z}   k\pi, k\in\mathbb{Z} ≡ k\pi
x=\frac{\pi}{4}+\frac{n\pi}{2} ≡ x=\frac{\pi}{4}+\frac{k\pi}{2} \text{ where } k \in \mathbb{Z}   2nπ ≡ 2kπ
2\pi n ≡ 2k\pi   5\pi k + 1 ≡ 5\pi n+1   C_7^3 ≡ 35   C_{10}^{2} ≡ 45   {}_{7}C_{3} ≡ 35   _7P_3 ≡ 210   7P3 ≡ 210
3C2 ≡ 3   \binom{7}{3} ≡ 7C3   C_1+C_2 ≡ C_2+C_1   {5 \choose 2} ≡ 10   2\cdot C_5^2 ≡ 20
\frac{C_5^2}{C_{10}^2} ≡ \frac{2}{9}   C_5^2+1 ≡ 11   \dbinom{5}{2} ≡ 10   2 \cdot {}_5C_2 ≡ 20
x<1 \text{ or } x>3 ≡ x>3 or x<1   x<1, x>3 ≡ x<1 \text{ or } x>3   x>1 \text{ and } y<3 ≡ y<3 \text{ and } x>1
x\ge 2 ≡ [2,\infty)   x \ne 3 ≡ (-\infty,3)\cup(3,\infty)   \mathbb{R}\setminus\{3\} ≡ (-\infty,3)\cup(3,\infty)
2x-4<0 ≡ x<2   \frac{1}{x}>1 ≡ 0<x<1   x^2-5x+6<0 ≡ 2<x<3   x^2-5x+6>0 ≡ (-\infty,2)\cup(3,\infty)   (1,2) ≡ 1<x<2
x>0,y>0 ≡ y>0,x>0   |x|<2 ≡ -2<x<2   x^3>8 ≡ x>2   x^2\ge 0 ≡ \mathbb{R}   x=1 \text{ or } x=2 ≡ x=2 or x=1
x=1 \text{ or } x=2 ≡ 1,2   2^{100} ≡ 1267650600228229401496703205376   100! ≡ 99! \cdot 100   3^{200} ≡ 9^{100}
2x+3y=6 ≡ 4x+6y=12   y=\frac{2}{x} ≡ xy=2   x^2+y^2=4 ≡ y^2+x^2-4=0   \frac{x^2}{4}+\frac{y^2}{9}=1 ≡ 9x^2+4y^2=36
y=2^x ≡ y=4^{x/2}   f(x)=x^2 ≡ f(x)=x\cdot x   2k\pi ≡ 2n\pi   \frac{\pi}{2}+k\pi ≡ \frac{\pi}{2}+n\pi   10 ≡ C_5^2
10 ≡ \binom{5}{2}   10 ≡ {}_5C_2   20 ≡ 5P2   10 ≡ 5C2   10 ≡ ^5C_2   x^2<4 ≡ -2<x<2   x>1 \text{ and } x<3 ≡ 1<x<3
x<1 \text{ or } x>3 ≡ (-\infty,1)\cup(3,\infty)   xy=1 ≡ y=\frac{1}{x}   2x=10 ≡ x=5
""",
    "choice": r"""
B ≡ the answer is (b)   B ≡ The answer is B. C is wrong.
""",
    "boolean": r"""
yes ≡ True
""",
    "text": r"""
( { < ≡ ( { <   J. K. Rowling ≡ The answer is J. K. Rowling. She wrote it.   Mrs. Jones ≡ The answer is Mrs. Jones.
at 9 a.m. on Monday ≡ The answer is at 9 a.m. on Monday.   St. Louis ≡ Answer: St. Louis. It lies there.
9 p.m. ≡ The answer is 9 p.m.   plan B ≡ The answer is plan B. The other fails.
U.S. dollars ≡ The answer is U.S. dollars.   Dr. Smith ≡ The answer is Dr. Smith.
""",
    None: r"""
1,22 ≡ 1.22   18 dollars ≡ 18   B ≡ B   2\sqrt{2} ≡ \boxed{\sqrt{8}}   -3 ≡ minus 3
""",
}
EQUAL = [(kind, *pair) for kind, table in EQUAL_BY_TYPE.items() for pair in read_cases(table)]
EQUAL += [("code", "a = 1\n", "```\na = 1  \n```"), ("text", "has no limit", " HAS no  limit.")]
DIFFERENT_BY_TYPE = {
    "number": r"""
1/3 ≡ 0.333333   2 ≡ AZYUK2A   x ≡ x   6 ≡ 5.99   2 ≡ 30 m^2   543 ≡ 9.876.543   9876 ≡ 9.876   45 ≡ so 45K of them
123456789012 ≡ 123456789013   3 ≡ It is minus 3   3 ≡ 10 minus 7
""",
    "integer": r"""
3 ≡ 3.5
""",
    "latex": r"""
(3,1) ≡ \{1,3\}   (0,9) ≡ [0,9)   5x ≡ 5   2x+z=1 ≡ 1   $7 = 11a+c$ ≡ 11a+c   \sqrt{2} ≡ 1.41   1,2 ≡ 1.2
5pq+2qr ≡ 2   5pq+2qr ≡ 5   \frac{2pq}{pr+q} ≡ 2   \begin{array}{cc}1&2\\3&4\end{array} ≡ 4   9:05 a.m. ≡ 9:50 a.m.
9:05 a.m. ≡ 9:05 p.m.   3 cups and 4 mugs ≡ 4   3 cups and 4 mugs ≡ 3 cups and 5 mugs   6 ≡ 6!   \emptyset ≡ 0
\frac{1}{7} ≡ 0.14   |x| ≡ x   \sin 60^\circ ≡ \sin 60   3^{-90} ≡ 3^{-91}   10^{-30} ≡ 0
2-\mathrm{e} ≡ 2+\mathrm{e}   1, 4, \ldots, n ≡ 1, 5, \ldots, n   8 ≡ 8\sqrt(3)   \exists y>1: y=2 ≡ \forall y>1: y=2
x\to 2 ≡ y\to 2   40_9 ≡ 40   \gcd(p,q)=1 ≡ \operatorname{lcm}(p,q)=1   3\mathbf{i}+2\mathbf{j} ≡ 3
\begin{cases}x & x>0\\1 & x\le 0\end{cases} ≡ \begin{cases}x & x>0\\2 & x\le 0\end{cases}   3\pm\sqrt{2} ≡ 3+\sqrt{2}
\begin{pmatrix}1&2\end{pmatrix} ≡ \begin{pmatrix}1\\2\end{pmatrix}   x \equiv 3 \pmod 7 ≡ 3   a=3,b=4 ≡ a=4,b=3
2a ≡ 2A   \frac{a}{\sin A} ≡ \frac{A}{\sin a}   A=2 ≡ a=2   $$ ≡ $$   \text{even} ≡ \text{odd}   \frac13 ≡ 0.333333
n\pi+m ≡ k\pi+m   \frac{\pi}{6}+2k\pi ≡ \frac{\pi}{6}+k\pi   kn\pi ≡ km\pi   C_2 ≡ 2   x\ge 2 ≡ (2,\infty)   x<2 ≡ y<2
x>0,y>0 ≡ x>0,y<0   x=1,x=2 ≡ x=1,x=3   10^{50}+1 ≡ 10^{50}   2^{100} ≡ 1267650600228229401496703205377
100! ≡ 100!+1   \frac{10^{40}+1}{10^{40}} ≡ 1   2x+3y=6 ≡ 4x+6y=13   x^2=4 ≡ x=2   f(x)=x^2 ≡ f(x)=x^3   2k ≡ 2n
20 ≡ P_5^2   x>1 \text{ or } x<3 ≡ x>1 \text{ and } x<3   2^{100} ≡ 2^{100}+1   10^{30} ≡ 10^{30}+1
y=\sqrt{x} ≡ y^2=x
""",
    "text": r"""
red, blue ≡ blue, red   ( { ≡ ( { <   Dr. Smith ≡ Dr. Jones
""",
    "choice": r"""
B ≡ D   1 ≡ 1
""",
    "boolean": r"""
yes ≡ no   maybe ≡ maybe
""",
    "code": r"""
a ≡ b
""",
    None: r"""
12 ≡ 1 2 3   -3 ≡ minus three
""",
}
DIFFERENT = [(kind, *pair) for kind, table in DIFFERENT_BY_TYPE.items() for pair in read_cases(table)]
DIFFERENT += [("number", "", ""), ("number", "1", None), ("latex", "", ""), (None, None, "1")]


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


@pytest.mark.slow
@settings(max_examples=300)
@given(STRINGS, STRINGS, st.sampled_from(["number", "integer", "choice", "boolean", "code", "text"]))
def test_no_string_raises(left, right, answer_type):
    assert equal(left, right, answer_type) is equal(right, left, answer_type)
    answer = extract(left, answer_type)
    assert extract(answer, answer_type) == answer
    unread, other = group([left, None], answer_type)
    assert other == -1
    assert equal(left, left, answer_type) is (unread == 0)


@settings(max_examples=60)
@given(STRINGS, STRINGS, st.sampled_from([None, "latex"]))
def test_no_string_raises_in_a_formula(left, right, answer_type):
    assert equal(left, right, answer_type) is equal(right, left, answer_type)
    assert equal(left, left, answer_type) is (group([left], answer_type) == [0])


@pytest.mark.slow
@settings(max_examples=300)
@given(STRINGS, st.sampled_from([None, "latex"]))
def test_what_is_extracted_is_its_own_answer(text, answer_type):
    answer = extract(text, answer_type)
    assert extract(answer, answer_type) == answer


# Groups


@pytest.mark.parametrize("answer_type", [kind for kind in TYPES if kind != "code"])
def test_no_answer_can_be_read_where_it_is_marked_and_equals_only_itself(answer_type):
    texts = [
        "N/A",
        "n/a.",
        r"so \boxed{\text{N/A}}",
        "5 of 7\n#### N/A",
        "The answer is N/A because 5 is missing.",
        "<<<N/A>>>, or <<<5>>>",
    ]
    assert [extract(text, answer_type) for text in texts] == ["N/A"] * len(texts)
    for text in texts:
        assert equal("N/A", text, answer_type) and equal(text, "N/A", answer_type)
    for other in ("5", "True", "no", "N", "A", r"\frac{N}{A}", "", "Is it N/A? #### 5", "x <<<5>>> as N/A"):
        assert not equal("N/A", other, answer_type) and not equal(other, "N/A", answer_type)
    readable = {"choice": "B", "boolean": "True"}.get(answer_type, "5")
    assert group(["N/A", readable, "#### N/A", readable], answer_type) == [0, 1, 0, 1]


ABSTAINED = [
    text
    for (text,) in read_cases(r"""
It cannot be determined.   Cannot be determined from the information given   **N/A**   #### unknown
There is not enough information to answer the question.   Insufficient information   none.   No answer can be given.
\boxed{\text{cannot be determined}}   The answer: None   <<<unknown>>>
The answer can't be determined because a price is missing.
""")
]
ABSTAINED += ["Tom has 5.\nSo the answer cannot be determined."]
ANSWERED = [
    text
    for (text,) in read_cases(r"""
The unknown is x = 5. #### 5   None of them has pears, so 5 are left. #### 5   none of the above, but 5
Let x be the unknown. x = 5   It cannot be determined directly, but it is 5.   Is it unknown? #### 5
The answer is 5, which was unknown.   The answer is (C) cannot be determined   C   (C) unknown
The answer is C: not enough information   Unknown to Tom, Ann ate 5.
""")
]


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
    texts = [None, "1/2", "0.50", "x", "", "7", r"\frac{2}{4}", "7.0", "no idea at all", "-7"]
    assert group(texts, "number") == [-1, 0, 0, -1, -1, 1, 0, 1, -1, 2]
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


def test_floating_point_noise_joins_in_any_order():
    for kind in ("number", "latex"):
        assert group(["1/3", "0.3333333333333333", "0.33", "0.33333333333333331"], kind) == [0, 0, 1, 0]


def test_every_type_is_grouped():
    assert group(["yes", "False", "True", "no", "maybe"], "boolean") == [0, 1, 0, 1, -1]
    assert group(["a = 1", "a=1 # one", "b = 1"], "code") == [0, 0, 1]
    assert group(["Red.", "red", "blue", "..."], "text") == [0, 0, 1, 2]
    assert group(["5 km", "5", "1/3", "x"], "integer") == [0, 0, 1, -1]


def test_a_percentage_joins_both_its_readings():
    assert group(["28", "0.28", "28%"], "number") == [0, 0, 0]
    assert group(["28", "0.28"], "number") == [0, 1]


@pytest.mark.slow
@settings(max_examples=100)
@given(
    st.lists(st.sampled_from(["1/2", "0.5", "50%", "50", ".50", "3", "3.0", "x", "", "2"]), max_size=8), st.randoms()
)
def test_groups_are_the_connected_parts_of_equality_in_any_order(texts, random):
    classes = group(texts, "number")
    parts = [{i} for i in range(len(texts))]
    for i, a in enumerate(texts):
        for j, b in enumerate(texts):
            if equal(a, b, "number") and parts[i] is not parts[j]:
                joined = parts[i] | parts[j]
                for k in joined:
                    parts[k] = joined
    readable = [i for i, a in enumerate(texts) if equal(a, a, "number")]
    assert [i for i in range(len(texts)) if classes[i] >= 0] == readable
    assert all((classes[i] == classes[j]) == (j in parts[i]) for i in readable for j in readable)
    order = random.sample(range(len(texts)), len(texts))
    shuffled = group([texts[i] for i in order], "number")
    assert (
        Counter(zip(shuffled, (classes[i] for i in order), strict=True)).keys()
        == dict(zip(shuffled, (classes[i] for i in order), strict=True)).items()
    )
