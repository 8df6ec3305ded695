"""Pretraining exercises that tell no story: values kept in a book, truth values, links to follow, facts about numbers.

They resemble the random graphs and the competition problems of the chapter `problems` as one schoolbook resembles another:
other sentences, fewer steps. Their texts are the pretraining text's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from stages.lib.procedural.gradeschool.program import apply

Exercise = tuple[str, list[str]]  # the question, and the lines of the solution
_LETTERS = "bcdfghjklmnpqrstvwz"


def generate_bookkeeping(rng: Random) -> Exercise:
    return rng.choice((_calculate_values, _calculate_values, _calculate_truth, _follow_links))(rng)


def generate_number_fact(rng: Random) -> Exercise:
    question, lines, answer = rng.choice(_FACTS)(rng)
    return question, [*(f"{i}. {line}" for i, line in enumerate(lines, 1)), f"#### {answer}"]


def _draw_names(rng: Random, n: int) -> list[str]:
    names: list[str] = []
    while len(names) < n:
        name = "".join(rng.choice(_LETTERS) for _ in range(3))
        if name not in names:
            names.append(name)
    return names


def _tell(sentences: list[str], rng: Random) -> str:
    rng.shuffle(sentences)
    return rng.choice((" ", "\n")).join(sentences)


def _calculate_values(rng: Random) -> Exercise:
    """Names with given numbers and names calculated from two others, one of which may be missing."""
    givens = rng.randint(2, 4)
    names = _draw_names(rng, givens + rng.randint(1, 3))
    values: list[int | None] = [rng.randint(1, rng.choice((9, 20, 60))) for _ in range(givens)]
    missing = rng.randrange(givens) if rng.random() < 0.2 else None
    verb = rng.choice(("is", "has the number", "stands for"))
    sentences = [f"{names[i]} {verb} {values[i]}." for i in range(givens) if i != missing]
    if missing is not None:
        values[missing] = None
    lines: list[str] = []
    for i in range(givens, len(names)):
        a = i - 1 if i > givens else rng.randrange(givens)
        b = rng.choice([j for j in range(i) if j != a])
        sign = rng.choice("+-*" if all((values[j] or 0) <= 12 for j in (a, b)) else "+-")
        if sign == "-" and (values[a] or 0) < (values[b] or 0):
            a, b = b, a
        word = {"+": ("plus", "and also"), "-": ("minus", "without"), "*": ("times", "multiplied by")}[sign]
        sentences.append(f"{names[i]} is {names[a]} {word[rng.random() < 0.3]} {names[b]}.")
        x, y = values[a], values[b]
        if x is None or y is None:
            values.append(None)
            lines.append(f"{names[i]} = {names[a]} {sign} {names[b]}: {names[missing or 0]} is not known")
        else:
            result = apply(sign, x, y)
            values.append(result)
            lines.append(f"{names[i]} = {names[a]} {sign} {names[b]} = {x} {sign} {y} = {result}")
    if missing is not None and values[-1] is not None:
        lines = [line for line in lines if "not known" not in line]
    lead = rng.choice(("These values are given.", "Here is what is known of some values.", "Keep book of these."))
    ask = rng.choice(("What number is {}?", "How much is {}?", "Find {}."))
    answer = "N/A" if values[-1] is None else str(values[-1])
    note = " Say N/A if it can not be found." if rng.random() < 0.5 or answer == "N/A" else ""
    return f"{lead} {_tell(sentences, rng)} {ask.format(names[-1])}{note}", [*lines, f"#### {answer}"]


def _calculate_truth(rng: Random) -> Exercise:
    """Names that are true or false, and names joined from two others by AND or OR."""
    givens = rng.randint(2, 4)
    names = _draw_names(rng, givens + rng.randint(1, 3))
    truths = [rng.random() < 0.5 for _ in range(givens)]
    verb = rng.choice(("is", "counts as", "was"))
    sentences = [f"{names[i]} {verb} {truths[i]}." for i in range(givens)]
    lines = []
    for i in range(givens, len(names)):
        a = i - 1 if i > givens else rng.randrange(givens)
        b = rng.choice([j for j in range(i) if j != a])
        is_and = rng.random() < 0.5
        sign = "AND" if is_and else "OR"
        truths.append(truths[a] and truths[b] if is_and else truths[a] or truths[b])
        means = "as soon as both of {} and {} are" if is_and else "as soon as one of {} and {} is"
        form = rng.choice((means.format(names[a], names[b]), f"like ({names[a]} {sign} {names[b]})"))
        sentences.append(f"{names[i]} is true {form}." if form.startswith("as") else f"{names[i]} is {form}.")
        lines.append(f"{names[i]} = ({names[a]} {sign} {names[b]}) = ({truths[a]} {sign} {truths[b]}) = {truths[i]}")
    lead = rng.choice(("Some things are true, others are not.", "Here are some truth values.", "Decide what is true."))
    return f"{lead} {_tell(sentences, rng)} Say True or False of {names[-1]}.", [*lines, f"#### {truths[-1]}"]


def _follow_links(rng: Random) -> Exercise:
    """Roads between places: can one get from one to another, forwards only?"""
    names = _draw_names(rng, rng.randint(3, 6))
    roads = {name: [x for x in names[i + 1 :] if rng.random() < 0.4] for i, name in enumerate(names)}
    start, end = names[0], rng.choice(names[1:])
    parent: dict[str, str] = {}
    queue = [start]
    for place in queue:
        for x in roads[place]:
            if x not in parent:
                parent[x] = place
                queue.append(x)
    lines = [f"from {parent[x]} on to {x}" for x in queue[1 : queue.index(end) + 1 if end in parent else None]]
    lines.append(f"{end} is reached" if end in parent else f"{end} is not reached")
    sentences = [f"From {name} a road goes to {', '.join(xs)}." for name, xs in roads.items() if xs]
    lead = rng.choice(("Roads go one way only.", "Here are some roads.", "This is a map."))
    ask = rng.choice(("Is there a way from {} to {}? Say True or False.", "True or False: from {} one can get to {}."))
    return f"{lead} {_tell(sentences, rng)} {ask.format(start, end)}", [*lines, f"#### {end in parent}"]


def _remainder(rng: Random) -> tuple[str, list[str], int]:
    b, q = rng.randint(2, 12), rng.randint(1, 20)
    r = rng.randrange(b)
    a = b * q + r
    ask = rng.choice(
        ("What is left when {a} is split into groups of {b}?", "Work out {a} mod {b}.", "Reduce {a} modulo {b}.")
    )
    return ask.format(a=a, b=b), [f"{b} * {q} = {b * q}.", f"{a} - {b * q} = {r}."], r


def _sequence(rng: Random) -> tuple[str, list[str], int]:
    first, step, n = rng.randint(1, 20), rng.randint(2, 12), rng.randint(4, 15)
    last = first + (n - 1) * step
    shown = ", ".join(str(first + i * step) for i in range(3))
    lines = [
        f"The difference is {first + step} - {first} = {step}.",
        f"Term {n} is {first} + {n - 1} * {step} = {last}.",
    ]
    if rng.random() < 0.5:
        return f"Which number stands at place {n} of {shown} and so on?", lines, last
    total = n * (first + last) // 2
    return (
        f"Add up the first {n} numbers of {shown} and so on.",
        [*lines, f"The sum is {n} * ({first} + {last}) / 2 = {total}."],
        total,
    )


def _common_divisor(rng: Random) -> tuple[str, list[str], int]:
    g = rng.randint(2, 12)
    a, b = g * rng.randint(2, 9), g * rng.randint(2, 9)
    x, y, lines = max(a, b), min(a, b), []
    while y:
        lines.append(f"{x} mod {y} = {x % y}.")
        x, y = y, x % y
    ask = rng.choice(("By which largest number can both {} and {} be divided?", "Work out gcd({}, {})."))
    return ask.format(a, b), lines, math.gcd(a, b)


def _digits(rng: Random) -> tuple[str, list[str], int]:
    n = rng.randint(100, 99999)
    digits = [int(d) for d in str(n)]
    ask = rng.choice(("Add the digits of {}.", "What do the digits of {} give together?"))
    return ask.format(n), [f"{' + '.join(map(str, digits))} = {sum(digits)}."], sum(digits)


def _choose(rng: Random) -> tuple[str, list[str], int]:
    n = rng.randint(3, 20)
    ask = rng.choice(("In how many ways can two of {} children be picked?", "How many pairs can be made of {} cards?"))
    return (
        ask.format(n),
        [f"{n} * {n - 1} = {n * (n - 1)}.", f"{n * (n - 1)} / 2 = {n * (n - 1) // 2}."],
        n * (n - 1) // 2,
    )


def _unknown(rng: Random) -> tuple[str, list[str], int]:
    a, x, b = rng.randint(2, 9), rng.randint(1, 20), rng.randint(1, 30)
    ask = rng.choice(("For which x is {a}x + {b} = {c}?", "Solve {a}x + {b} = {c}."))
    return ask.format(a=a, b=b, c=a * x + b), [f"{a}x = {a * x + b} - {b} = {a * x}.", f"x = {a * x} / {a} = {x}."], x


def _power(rng: Random) -> tuple[str, list[str], int]:
    base, exponent = rng.choice(((2, 9), (3, 5), (4, 4), (5, 4), (6, 3), (7, 3), (10, 3)))
    exponent, value, lines = rng.randint(2, exponent), base, []
    for k in range(2, exponent + 1):
        lines.append(f"{base}^{k} = {value} * {base} = {value * base}.")
        value *= base
    return f"Work out {base}^{exponent}.", lines, value


def _fraction(rng: Random) -> tuple[str, list[str], int]:
    g, p, q = rng.randint(2, 9), rng.randint(1, 9), rng.randint(2, 12)
    d = math.gcd(p, q)
    p, q = p // d, q // d
    question = f"Reduce {g * p}/{g * q} and add top and bottom."
    return question, [f"Both can be divided by {g}: {p}/{q}.", f"{p} + {q} = {p + q}."], p + q


_FACTS: tuple[Callable[[Random], tuple[str, list[str], int]], ...] = (
    _remainder,
    _sequence,
    _common_divisor,
    _digits,
    _choose,
    _unknown,
    _power,
    _fraction,
)
