"""The words, signs and units of answers, each at least once."""

from fractions import Fraction

import pytest

from stages.lib.grading.answers import equal_many, extract, group, parse_number
from tests.helpers.case_table import read_cases

NUMBER_CASES = read_cases(r"""
US$5 ≡ 5   USD 5 ≡ 5   EUR 5 ≡ 5   Rs. 5 ≡ 5   5 °F ≡ 5   5°C ≡ 5   5 oz ≡ 5   0.\bar{3} ≡ 1/3   0.\dot{3} ≡ 1/3
3*10^4 ≡ 30000   3×10^4 ≡ 30000   3\cdot10^4 ≡ 30000   2.5e-3 ≡ 1/400   1 trillion ≡ 1000000000000   2 hundred ≡ 200
3 thousand ≡ 3000   18k ≡ 18000   2bn ≡ 2000000000   3mn ≡ 3000000   12 pct ≡ 3/25   12 percentage ≡ 3/25
1,23,45,678.5 ≡ 24691357/2   １２ ≡ 12   ＄5 ≡ 5   5 ms ≡ 5   5 L ≡ 5   5 s ≡ 5   1.5M ≡ 1500000   7T ≡ 7000000000000
2B ≡ 2000000000   \(5\) ≡ 5   \[5\] ≡ 5   $$5$$ ≡ 5   \text{5} ≡ 5   5⅓ ≡ 16/3   5⅛ ≡ 41/8   5⅕ ≡ 26/5   5 m² ≡ 5
5 m**2 ≡ 5   5 mi/h ≡ 5   5 kWh ≡ 5   5 µm ≡ 5   = 5 ≡ 5   ≈5 ≡ 5   5 people per room ≡ 5   1/-2 ≡ -1/2   -1/2 ≡ -1/2
+ 5 ≡ 5   -$5.50 ≡ -11/2   5. ≡ 5   01/02 ≡ 1/2
""")
NUMBER_CASES += [
    ("1\u2009000", "1000"),
    ("1\u200a000", "1000"),
    ("1\u202f000", "1000"),
    ("100\xa0000", "100000"),
    ("5 % ", "1/20"),
]
NUMBERS = {text: Fraction(value) for text, value in NUMBER_CASES}
NOT_NUMBERS = [
    text
    for (text,) in read_cases(r"""
$5 US   5 ²   5 sin   5 mod 3   5 and 3   5 times   5 plus 3   5 over 3   2 choose 1   5 to 3   5 log 3   +-5   1e5.5
5,5,5   1,234,56   5%%
""")
]
EXTRACTED = [
    ("The right option: C", "choice", "C"),
    ("The best choice is (c).", "choice", "C"),
    ("The correct letter is C", "choice", "C"),
    ("The answer for part one is 7.", "number", "7"),
    ("The answer to the question is 7.", "number", "7"),
    ("The answer was 7.", "number", "7"),
    ("answer = 7", "number", "7"),
    ("The answer is 7.\n\nExercise 3. Add 2 and 3. The answer is 5.", "number", "7"),
    ("The answer is 7.\n\nHuman: 2?\nThe answer is 5.", "number", "7"),
    ("The answer is 7.\nUser: 2?\nThe answer is 5", "number", "7"),
    ("The answer is 7.\nInput: 2\nThe answer is 5", "number", "7"),
    ("The answer is 7.\nTask: 2\nThe answer is 5", "number", "7"),
    ("The answer is 7.\nInstruction: 2\nThe answer is 5", "number", "7"),
    ("It is 7 rather than 8", "number", "7"),
    ("It is 7, instead of 8", "number", "7"),
    ("It is never true", "boolean", "false"),
    ("It isn't really true", "boolean", "false"),
    ("It is not necessarily true", "boolean", "false"),
    ("It is not at all true", "boolean", "false"),
    ("It cannot be true", "boolean", "false"),
    ("It is not the case that it is true", "boolean", "false"),
    ("The answer is definitely not C but D.", "choice", "D"),
    ("The answer isn't C.", "choice", None),
    ("Either C or D", "choice", None),
    ("letter D", "choice", "D"),
    ("option (d) because", "choice", "D"),
    ("The answer is option D", "choice", "D"),
    ("The answer is [D]", "choice", "D"),
    ("The answer is either C or D", "choice", None),
    ("The answer is C/D", "choice", None),
    ("The answer is C & D", "choice", None),
    ("The answer is C, D", "choice", None),
    ("The answer is C and D", "choice", None),
    ("I. and II. hold, not III.", "choice", None),
    ("I is right.", "choice", None),
    ("A) red B) blue C) green", "choice", None),
    ("(A) red (B) blue", "choice", None),
    ("The answer is true or false.", "boolean", None),
    ("The answer is yes / no.", "boolean", None),
    ("C. The answer is C. Actually, the answer is D", "choice", "D"),
    ("The answer is D. The answer is D.", "choice", "D"),
    ("Final answer: C. The answer is D", "choice", None),
    ("The answer is C. Final answer: D", "choice", "D"),
    (r"\boxed{3} or \boxed{4}", "latex", "3, 4"),
    (r"\boxed{3}, \boxed{4}", "latex", "3, 4"),
    (r"$\boxed{3}$ and $\boxed{4}$", "latex", "3, 4"),
    (r"$x = \boxed{3}$ or $x = \boxed{4}$", "latex", "3, 4"),
    (r"\boxed{3} \text{ and } \boxed{4}", "latex", "3, 4"),
    (r"\boxed{3},\quad\boxed{4}", "latex", "3, 4"),
    (r"\boxed{3}\qquad\boxed{4}", "latex", "3, 4"),
    (r"\boxed{3 and 4}", "latex", "3, 4"),
    (r"\fbox{3}", "latex", "3"),
    (r"\boxed 3", "latex", "3"),
    (r"\boxed 3.5$", "latex", "3.5"),
    (r"\boxed A.", "choice", "A"),
    (r"The sum is \boxed{9}, never \boxed{2}", "latex", "9"),
    (r"The answer is \boxed{9}. Check: \boxed{2}", "latex", "9"),
    (r"We get $x=3$ and so $y = \frac{1}{2}$ holds here.", "latex", r"$y = \frac{1}{2}$"),
    (r"We get \(x=3\) at the end of it.", "latex", r"\(x=3\)"),
    (r"We then get \[x=3\] at the end.", "latex", r"\[x=3\]"),
    ("We then get $$x=3$$ at the end.", "latex", "$$x=3$$"),
    ("The result is 7 for x", "latex", "7"),
    ("Evelyn $7$", "latex", "$7$"),
    ("A box 6 cm by 9 cm", "latex", "6 cm by 9 cm"),
    ("cos 15°", "latex", "cos 15°"),
    ("sqrt 2", "latex", "sqrt 2"),
    ("Evelyn", "latex", "Evelyn"),
    ("Total 7", "latex", "7"),
    ("no", "boolean", "no"),
    ("No way it is", "boolean", None),
    ("There is no doubt: true", "boolean", "true"),
    ("#### \n5", "number", "5"),
    ("x", "choice", "X"),
    (r"$\textbf{(D)}$", "choice", "D"),
    (r"$\mathbf{D}$", "choice", "D"),
    (r"\mathrm{D}", "choice", "D"),
    (r"\mbox{D}", "choice", "D"),
    ("**D**", "choice", "D"),
]
ABSENT = [
    text
    for (text,) in read_cases(r"""
undetermined   undeterminable   indeterminate   It is unknown.   That cannot be known
The question cannot be answered.   The problem can't be solved   This couldn't be computed
The value could not be found.   The number can not be told   Thus, the answer cannot be calculated
Therefore it cannot be determined   Hence it is not known   So there is not enough data
There is insufficient data to tell   no answer   It cannot be determined whether it is, for a price is missing
N/A; a price is missing   $\text{N/A}$   (unknown)   \text{none}   None!
""")
]
EQUAL = read_cases(r"""
x≠2 ≡ x\ne 2   x ≥ 2 ≡ x\ge2   [0,1]∩[0,2] ≡ [0,1]   2×3x ≡ 6x   2·3x ≡ 6x   2⋅3x ≡ 6x   2∙3x ≡ 6x   6÷4 ≡ 1.5
1∓√2 ≡ 1\mp\sqrt{2}   −x–1 ≡ -x-1   θ+1 ≡ \theta+1   2α ≡ 2\alpha   2β ≡ 2\beta   2γ ≡ 2\gamma   2λ ≡ 2\lambda
2μ ≡ 2\mu   2φ ≡ 2\phi   2ω ≡ 2\omega   2ρ ≡ 2\rho   2σ ≡ 2\sigma   2Δ ≡ 2\Delta   ½x ≡ \frac{x}{2}   ⅓x ≡ \frac{x}{3}
⅔x ≡ \frac{2x}{3}   ¼x ≡ \frac{x}{4}   ¾x ≡ \frac{3x}{4}   arcsin x ≡ \arcsin x   arccos(x) ≡ \arccos x
arctan(x) ≡ \arctan x   ln(x) ≡ \ln x   log(x) ≡ \log x   exp(x) ≡ e^x   sec(x) ≡ \sec x   csc(x) ≡ \csc x
cot(x) ≡ \cot x   tan(x) ≡ \frac{\sin x}{\cos x}   sin^2(x)+cos^2(x) ≡ 1   \displaystyle\frac{1}{2}x ≡ \frac{x}{2}
x\,y ≡ xy   x\;y ≡ xy   x\ y ≡ xy   x\!y ≡ xy   1,\quad 2 ≡ 1,2   1,~2 ≡ 1,2   \tfrac{1}{2}x ≡ \cfrac{x}{2}
\text{x}+1 ≡ x+1   \mathbf{x}+1 ≡ x+1   \mathit{x}+1 ≡ x+1   \boldsymbol{x}+1 ≡ x+1   \textit{x}+1 ≡ x+1
x >= 2 ≡ x\geq 2   x<=2 ≡ x\leq2   (2, oo) ≡ (2,\infty)   (2, inf) ≡ (2,\infty)   (2, infinity) ≡ (2,\infty)
(-oo,1) U (2,oo) ≡ (-\infty,1)\cup(2,\infty)   2pi ≡ 2\pi   √x ≡ \sqrt x   √(x+1) ≡ \sqrt{x+1}   √π ≡ \sqrt{\pi}
sqrt{x} ≡ \sqrt{x}   sqrt((x+1)(x+2)) ≡ \sqrt{(x+1)(x+2)}   x^10 ≡ x^{10}   x^-2 ≡ \frac{1}{x^2}   x^(n+1) ≡ x^{n+1}
x⁻² ≡ \frac{1}{x^2}   xⁿ ≡ x^n   x⁺² ≡ x^2   x₁+x₂ ≡ x_2+x_1   a_n = 2n+1 ≡ 2n+1   \\frac{1}{2}x ≡ \frac{x}{2}
0.1\overline{6}x ≡ \frac{x}{6}   \bar{x} ≡ \bar{x}   \left\{1,2\right\} ≡ 1,2   1 \text{ and } 2 ≡ 1,2
1 \mbox{ or } 2 ≡ 1,2   1 and 2 ≡ 1,2   \sin 90^{\circ} ≡ 1   \sin 90\degree ≡ 1   \sin(90\text{ degrees}) ≡ 1
\sin x^\circ ≡ \sin\frac{\pi x}{180}   \cos\theta^\circ ≡ \cos\frac{\pi\theta}{180}   30 degrees ≡ 30
\left|x\right| ≡ |x|   $$x+1$$ ≡ 1+x   \[x+1\] ≡ 1+x   \(x+1\) ≡ 1+x   **x+1** ≡ 1+x   \boxed{x+1 ≡ 1+x
\left\{\begin{array}{ll}x & x>1\\1 & x\le1\end{array}\right. ≡ \begin{cases}x & x>1\\1 & x\le1\end{cases}
\begin{cases}x=1\\y=2\end{cases} ≡ \begin{cases}y=2\\x=1\end{cases}
\begin{cases}2x=2\\y=2\end{cases} ≡ \begin{cases}y=2\\x=1\end{cases}   \begin{pmatrix}1&2\end{pmatrix} ≡ (1,2)
\begin{vmatrix}1&2\\3&4\end{vmatrix} ≡ \begin{vmatrix}1&2\\3&4\end{vmatrix}   0.5(x+1) ≡ \frac{x+1}{2}   .5x ≡ x/2
60,120 ≡ 120,60   x=5 ≡ 5=x   1/2=x ≡ x=0.5   x=y ≡ y=x   2 < x ≡ x > 2   e^{i\pi} ≡ -1   x^2=2 ≡ 2=x^2
(x-1)^2=0 ≡ x=1   x\in\mathbb{R} ≡ \mathbb{R}   \mathbb{R}\setminus\{1,2\} ≡ (-\infty,1)\cup(1,2)\cup(2,\infty)
(0,1)\cup(1,2) ≡ (0,2)\setminus\{1\}   [0,1]\cup[1,2] ≡ [0,2]   x^2\le 4 ≡ |x|\le2
\frac{x}{x-1}>0 ≡ x<0 \text{ or } x>1   abc ≡ cba   5\text{ cm}^2 ≡ 5
""")
EQUAL += [
    (
        r"\begin{cases}x & \text{for } x>1\\1 & \text{when } x\le1\end{cases}",
        r"\begin{cases}1 & \text{if } x\le 1\\ x & \text{if } x>1\end{cases}",
    )
]
DIFFERENT = read_cases(r"""
x≠2 ≡ x=2   1∓√2 ≡ 1-\sqrt2   x<2 ≡ x\le 2   (0,1) ≡ (0,1]   \{1,2\} ≡ (2,1)   x^2>4 ≡ x>2   x^2\ge 4 ≡ |x|>2
\frac{1}{x}>0 ≡ x\ge 0   (x-1)^2>0 ≡ \mathbb{R}   x=y ≡ x=z   2x=y ≡ x=2y   x=1 ≡ y=1   x>1,y>2 ≡ x>2,y>1
\sin 90 ≡ 1   x^10 ≡ x^1 0   x₁ ≡ x₂   2θ ≡ 2φ   ab ≡ a+b   x^{2} ≡ x_2   \log_2 3 ≡ \log_3 2   |x-1|<2 ≡ |x+1|<2
[0,1]\cup[2,3] ≡ [0,3]   \mathbb{R} ≡ \mathbb{Z}   \emptyset ≡ \mathbb{R}   x^2=4 ≡ 2   x+y>5 ≡ 5   xy=1 ≡ x=1
x<1, x>3 ≡ 1<x<3   f(x)=1 ≡ g(x)=1
\begin{cases}x & x>1\\1 & x\le1\end{cases} ≡ \begin{cases}x & x>1\\1 & x<1\end{cases}   10^{25}+1 ≡ 10^{25}
5P2 ≡ 5C2   2k\pi ≡ 2k+\pi   k\pi ≡ 2k\pi   x>1 and x<3 ≡ x>1 or x<3   \infty ≡ -\infty   (-\infty,2) ≡ (2,\infty)
""")


def test_every_sign_and_unit_is_read():
    assert {text: parse_number(text) for text in NUMBERS} == {text: Fraction(value) for text, value in NUMBERS.items()}
    assert {text: parse_number(text) for text in NOT_NUMBERS} == dict.fromkeys(NOT_NUMBERS)


def test_every_way_to_say_an_answer_is_found():
    extracted = [(text, answer_type, extract(text, answer_type)) for text, answer_type, _ in EXTRACTED]
    assert [case for case in extracted if case not in EXTRACTED] == []


@pytest.mark.parametrize("answer_type", [None, "number", "latex", "choice", "boolean", "text"])
def test_every_way_to_say_that_there_is_none(answer_type):
    assert {text: extract(text, answer_type) for text in ABSENT} == dict.fromkeys(ABSENT, "N/A")


@pytest.mark.parametrize("verdict, cases", [(True, EQUAL), (False, DIFFERENT)])
def test_every_notation_is_compared(verdict, cases):
    for ordered in (cases, [(right, left) for left, right in cases]):
        verdicts = equal_many(ordered, "latex")
        assert [pair for pair, same in zip(ordered, verdicts, strict=True) if same != verdict] == []


def test_groups_hold_every_notation():  # what is different may still be joined, by a third that equals both
    classes = group([text for pair in EQUAL for text in pair], "latex")
    assert [pair for i, pair in enumerate(EQUAL) if classes[2 * i] != classes[2 * i + 1]] == []
