"""Answers drawn by the hundred and written in many ways; whether two are equal is known from what they were made of."""

import random
from fractions import Fraction

import pytest
import sympy

from stages.lib.grading import answers

PAIRS = 40  # of a kind
Draw = random.Random


def a_number(draw: Draw) -> tuple[list[str], Fraction]:
    value = Fraction(draw.randint(-4000, 4000), draw.choice([1, 1, 2, 4, 5, 8, 3, 7]))
    sign, top, bottom = "-" if value < 0 else "", abs(value.numerator), value.denominator
    ways = [
        f"{sign}{top}/{bottom}",
        rf"{sign}\frac{{{2 * top}}}{{{2 * bottom}}}",
        f"The answer is {sign}{top}/{bottom}.",
    ]
    if bottom == 1:
        ways = [
            f"{sign}{top}.0",
            f"${sign}{top}$",
            f"{sign}{top:,}",
            f"{sign}{top:,}".replace(",", "{,}"),
            f"{sign}{top:_}",
            rf"\boxed{{{sign}{top}}}",
            f"#### {sign}{top}",
            f"{sign.replace('-', '−')}{top}",
        ]
    elif bottom in (2, 4, 5, 8):
        ways += [f"{float(value)}", f"{float(value)}0"]
    return [*ways, *([f"minus {top}/{bottom}", f"negative {top}/{bottom}"] if sign else [])], value


def a_surd(draw: Draw) -> tuple[list[str], object]:
    a, b, c = draw.randint(2, 4), draw.choice([2, 3]), draw.randint(2, 3)
    ways = [
        rf"\frac{{{a}\sqrt{{{b}}}}}{{{c}}}",
        f"{a}√{b}/{c}",
        f"{a}*sqrt({b})/{c}",
        rf"\frac{{{a}}}{{{c}}}\sqrt{b}",
        rf"\sqrt{{\frac{{{a * a * b}}}{{{c * c}}}}}",
        rf"\dfrac{{{a * b}}}{{{c}\sqrt{b}}}",
        f"{a}({b})^(1/2)/{c}",
    ]
    return ways, sympy.Rational(a, c) * sympy.sqrt(b)


def a_power(draw: Draw) -> tuple[list[str], Fraction]:
    base, exponent = draw.randint(2, 4), draw.choice([-40, -39, -2, 3, 4, 30, 60])
    raised = str(exponent).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
    ways = [
        f"{base}^{{{exponent}}}",
        f"{base}**{exponent}",
        f"{base}{raised}",
        rf"{base}\cdot {base}^{{{exponent - 1}}}",
    ]
    value = Fraction(base) ** exponent
    return [*ways, str(value) if exponent > 0 else rf"\frac{{1}}{{{1 / value}}}"], value


def a_sine(draw: Draw) -> tuple[list[str], object]:
    name, degrees = draw.choice(["sin", "cos", "tan"]), draw.choice([15, 30, 45, 60, 120, 150])
    ways = [
        rf"\{name} {degrees}^\circ",
        f"{name} {degrees}°",
        f"{name}({degrees}°)",
        rf"\{name}\frac{{{degrees // 15}\pi}}{{12}}",
    ]
    return ways, sympy.nsimplify(getattr(sympy, name)(sympy.rad(degrees))).evalf(30).round(20)


def a_polynomial(draw: Draw) -> tuple[list[str], object]:
    a, b, x = draw.choice([-2, -1, 1, 2]), draw.choice([-2, -1, 1, 2]), draw.choice("xn")
    s, p = -(a + b), a * b
    ways = [f"{x}^2{s:+}{x}{p:+}", f"({x}{-a:+})({x}{-b:+})", f"{x}**2{s:+}*{x}{p:+}", f"{p}+{x}²{s:+}{x}"]
    return ways, (x, s, p)


def an_interval(draw: Draw) -> tuple[list[str], object]:
    low, high = draw.randint(-2, 0), draw.randint(1, 2)
    left, right, kind = draw.choice("(["), draw.choice(")]"), draw.choice(["both", "both", "above", "below"])
    less, less_ = {"(": "<", "[": "≤"}[left], {")": "<", "]": r"\le "}[right]
    if kind == "above":
        more = less.replace("<", ">").replace("≤", "≥")
        ways = [f"{left}{low},∞)", rf"x \in {left}{low}, \infty)", f"{low} {less} x", f"2x {more} {2 * low}"]
        return ways, (low, left)
    if kind == "below":
        ways = [f"(-∞,{high}{right}", f"x {less_}{high}", f"3x {less_}{3 * high}", f"x-{high} {less_}0"]
        return ways, (high, right)
    ways = [
        f"{left}{low},{high}{right}",
        rf"x∈\left{left}{low}, {high}\right{right}",
        f"{low} {less} x {less_} {high}",
        rf"{low}{less}x \text{{ and }} x{less_}{high}",
        f"x {less_}{high} and {low} {less} x",
    ]
    return ways, (low, high, left, right)


def a_set(draw: Draw) -> tuple[list[str], object]:
    members = draw.sample(range(-2, 3), draw.randint(2, 3))
    *most, last = (str(member) for member in members)
    ways = [
        rf"\{{{', '.join([*most, last])}\}}",
        ",".join([*most, last]),
        f"x = {', '.join(most)} and {last}",
        rf"{', '.join(most)} \text{{ or }} {last}",
        f"The answer is ${', '.join([*most, last])}$.",
    ]
    return ways, frozenset(members)


def a_point(draw: Draw) -> tuple[list[str], object]:
    place = tuple(draw.randint(-1, 1) for _ in range(3))
    inside = ",".join(map(str, place))
    spaced = inside.replace(",", ", ")
    return [f"({inside})", rf"\left({spaced}\right)", rf"\boxed{{({inside})}}", f"(x,y,z)=({inside})"], place


def a_line(draw: Draw) -> tuple[list[str], object]:
    a, b, c = draw.randint(2, 3), draw.choice([-3, 2]), draw.choice([-1, 1])
    ways = [
        f"{a}x{b:+}y={c}",
        f"{2 * a}x{2 * b:+}y={2 * c}",
        f"{c}={a}x{b:+}y",
        f"{b}y{a:+}x={c}",
        f"{-a}x{-b:+}y={-c}",
        f"{a}x{b:+}y{-c:+}=0",
        rf"y=\frac{{{c}{-a:+}x}}{{{b}}}",
    ]
    return ways, (a, b, c)


def a_logarithm(draw: Draw) -> tuple[list[str], object]:
    a, b = draw.choice([2, 3, 5]), draw.choice([2, 3, 7])
    ways = [
        rf"\log_{a} {b}",
        rf"\log_{{{a}}}({b})",
        rf"\frac{{\ln {b}}}{{\ln {a}}}",
        rf"\frac{{1}}{{\log_{{{b}}} {a}}}",
    ]
    return ways, 1 if a == b else (a, b)


def a_complex_number(draw: Draw) -> tuple[list[str], object]:
    a, b = draw.choice([-2, 2, 3]), draw.choice([-2, 2, 3])
    return [f"{a}{b:+}i", f"{b}i{a:+}", f"i({b}{-a:+}i)", rf"{a}{b:+}\mathrm{{i}}"], (a, b)


def two_roots(draw: Draw) -> tuple[list[str], object]:
    a, b = draw.randint(1, 2), draw.choice([2, 3])
    ways = [
        rf"{a}\pm\sqrt{{{b}}}",
        f"{a}±√{b}",
        rf"x_1={a}+\sqrt{b}, x_2={a}-\sqrt{b}",
        rf"\{{{a}-\sqrt{b}, {a}+\sqrt{b}\}}",
    ]
    return ways, (a, b)


def a_turn(draw: Draw) -> tuple[list[str], object]:
    n, d = draw.randint(1, 3), draw.randint(1, 3)
    ways = [rf"x = \frac{{\pi}}{{{d}}} + {n}{k}\pi{where}" for k in "kn" for where in ("", rf", {k} \in \mathbb{{Z}}")]
    return ways, (n, d)


KINDS = [
    a_number,
    a_surd,
    a_power,
    a_sine,
    a_polynomial,
    an_interval,
    a_set,
    a_point,
    a_line,
    a_logarithm,
    a_complex_number,
    two_roots,
    a_turn,
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_two_ways_to_write_an_answer_are_equal_where_it_is_one(kind):
    draw = random.Random(kind.__name__)
    drawn = [(kind(draw), kind(draw)) for _ in range(PAIRS)]
    pairs = [(draw.choice(ways), draw.choice(other_ways)) for (ways, _), (other_ways, _) in drawn]
    pairs += [(draw.choice(ways), draw.choice(ways)) for (ways, _), _ in drawn]
    expected = [value == other_value for (_, value), (_, other_value) in drawn] + [True] * PAIRS
    verdicts = answers.equal_many(pairs, "latex")
    assert [pair for pair, same, want in zip(pairs, verdicts, expected, strict=True) if same != want] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_fingerprints_lose_no_class_and_join_none(kind):
    draw = random.Random(f"{kind.__name__} in groups")
    drawn = [kind(draw) for _ in range(PAIRS)]
    texts, values = [draw.choice(ways) for ways, _ in drawn], [value for _, value in drawn]
    assert answers.group(texts, "latex") == [list(dict.fromkeys(values)).index(value) for value in values]
