"""Principle 2 without a model: the options in other words.

Every rule says exactly the same, and normal.option maps both ways of saying it to one form:
number      figures and words, `%`, `$` and units short and in full
verdict     `True, False` by its statements; `, because` and `, since`
pair        `A and B`, in a question that asks for no order: `both B and A`, `A as well as B`
possessive  `the function of the heart` and `the heart's function`, of a closed list of nouns
condition   `If A, B` and `B if A`
words       synonyms and contractions of closed lists

An item is kept where half of its options at least are said in other words; the rest stand as they are. A name (`Mitral
valve stenosis`) has no other words here, and a frame around it (`the option "..."`) would only pass for some.
"""

from __future__ import annotations

import re
from random import Random

from stages.lib.records import Problem
from stages.ood.mpa import amounts, normal, spans
from stages.ood.mpa.principles import Draft, Unfit, above
from stages.ood.mpa.questions import substituted
from stages.ood.mpa.stock import Pool

SHARE = 0.5  # of the options, at least, must be said in other words
_GRID = re.compile(
    r"^(True|False|(?:Not )?wrong|Yes|No|(?:In)?valid), (true|false|(?:not )?wrong|yes|no|(?:in)?valid)$", re.I
)
_BECAUSE = re.compile(r", because (?=\w)")
_MONEY = re.compile(r"^\$ ?([0-9][0-9,]*(?:\.[0-9]+)?)(?= [a-z]|$)")
_REFERENCE = re.compile(r"^(all|none) of (?:the above|these)\.?$", re.I)
ORDER = re.compile(
    r"\b(?:respectively|order|ratio|first|second|last|sequence|steps?|stages?|phases?|then|before|after|followed|title|"
    r"called|named?|term|phrase|words?|blanks?)\b|_{2,}",
    re.I,
)
_IF = re.compile(r"^If ([^,;:]+), ([a-z][^,;:]+?)(\.?)$")
_LOOSE = re.compile(r"\b(?:he|she|it|its|his|her|they|them|their|this|that|these|those|then|if|unless|but)\b", re.I)


def choices(original: Problem, made: Draft, draw: Random, pool: Pool) -> Draft:
    """Raises Unfit where fewer than SHARE of the options, those that speak of the others aside, can be reworded."""
    ordered = bool(ORDER.search(made.question))
    new = [reworded(choice, ordered, draw) for choice in made.choices]
    plain = [i for i, choice in enumerate(made.choices) if not above(choice)]
    changed = sum(new[i] != made.choices[i].strip() for i in plain)
    if changed < SHARE * len(plain):
        raise Unfit(f"the grammar has other words for {changed} of {len(plain)} options only")
    return made._replace(choices=tuple(new))


def reworded(choice: str, ordered: bool, draw: Random) -> str:
    """The option in other words, or as it is. `ordered`: the question asks for an order or for words as they are."""
    text = choice.strip()
    if found := _REFERENCE.match(text):
        return f"{found[1]} of the options above"
    if found := _GRID.match(text):
        return f"the first: {found[1].lower()}; the second: {found[2].lower()}"
    masked, kept = spans.mask(text)
    rules = (_number, _joined, _possessive, _turned, _because)
    for rule in rules:
        if rule is _joined and ordered:
            continue
        masked = rule(masked, draw)
    new = spans.unmask(masked if ordered else substituted(masked, draw, always=True), kept)
    return new if normal.option(new) == normal.option(text) else text


def _number(text: str, draw: Random) -> str:
    bare = text.removesuffix(".") if re.fullmatch(r"\S+\.", text) else text
    bare = re.sub(r"^(-?[0-9.,]+) ?%", r"\1 percent", _MONEY.sub(r"\1 dollars", bare))
    new = amounts.in_words(bare)
    return text if new == text.removesuffix(".") else new


def _joined(text: str, draw: Random) -> str:
    """Two things of one shape, so that no word of one can belong to both, change places."""
    found = normal.pair(text)
    if not found:
        return text
    one, other, stop = found["one"], found["other"], found["stop"]
    first = one[0].isupper()
    one = one[0].lower() + one[1:] if first and one[1:].islower() else one
    new = draw.choice((f"both {other} and {one}", f"{other} as well as {one}", f"{other} and {one}"))
    return (new[0].upper() + new[1:] if first else new) + stop


def _possessive(text: str, draw: Random) -> str:
    found = normal.OF_THE.match(text)
    if not found:
        return text
    the = "The" if text[0].isupper() else "the"
    return f"{the} {found['owner']}'s {found['what'][0].lower()}{found['what'][1:]}{found['stop']}"


def _turned(text: str, draw: Random) -> str:
    """Where neither clause points to the other."""
    found = _IF.match(text)
    if not found or _LOOSE.search(found[1]) or _LOOSE.search(found[2]):
        return text
    return f"{found[2][0].upper()}{found[2][1:]} if {found[1]}{found[3]}"


def _because(text: str, draw: Random) -> str:
    return _BECAUSE.sub(lambda _: draw.choice((", since ", ", for the reason that ")), text, count=1)
