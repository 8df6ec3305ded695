"""Principle 2 without a model: the options in other words."""

from __future__ import annotations

import re
from random import Random

from stages.lib.records import Problem
from stages.ood.mpa import normal, spans, wording
from stages.ood.mpa.principles import Draft, Unfit, above
from stages.ood.mpa.questions import substituted
from stages.ood.mpa.stock import Pool

# Principle 2, every option in other words.

_GRID = re.compile(
    r"^(True|False|(?:Not )?wrong|Yes|No|(?:In)?valid), (true|false|(?:not )?wrong|yes|no|(?:in)?valid)$", re.I
)
_BECAUSE = re.compile(r", because (?=\w)")
_NUMBER = re.compile(r"^-?\$? ?-?[0-9][0-9,]*(?:\.[0-9]+)?(?: ?/ ?[0-9]+)?(?: ?%| [a-z]+(?: [a-z]+)?)?\.?$")
_REFERENCE = re.compile(r"^(all|none) of (?:the above|these)\.?$", re.I)
_SENTENCE = re.compile(r"^[A-Z].*\s\S+\s\S+\s\S+.*[.]$", re.S)


def choices(original: Problem, made: Draft, draw: Random, pool: Pool) -> Draft:
    """Rewrites inside the options where at least half of them allow it, else a wrapper around every one.

    All options are treated alike, so that the treatment does not mark the key.
    """
    ordered = not re.search(r"\brespectively\b|\border\b|\bratio\b|\bfirst\b|\bsequence\b", made.question, re.I)
    new = [_option(choice, ordered, draw) for choice in made.choices]
    plain = [i for i, choice in enumerate(made.choices) if not above(choice)]
    if sum(new[i] != made.choices[i] for i in plain) * 2 < len(plain):
        kinds = [_kind(made.choices[i]) for i in plain]
        kind = kinds[0] if len(dict.fromkeys(kinds)) == 1 else "phrase"
        wrapper = draw.choice(wording.WRAPPERS[kind])
        for i in plain:
            new[i] = wrapper.format(made.choices[i].strip().rstrip("."))
    same = [normal.option(one) == normal.option(other) for one, other in zip(made.choices, new, strict=True)]
    if not all(same):
        raise Unfit("no rewrite of the grammar keeps the meaning of these options")
    return made._replace(choices=tuple(new))


def _kind(choice: str) -> str:
    choice = choice.strip()
    if _NUMBER.match(choice):
        return "number"
    masked, kept = spans.mask(choice)
    if len(masked.rstrip(".")) == 1 and kept:
        return "formula"
    return "statement" if _SENTENCE.match(choice) else "phrase"


def _option(choice: str, ordered: bool, draw: Random) -> str:
    text = choice.strip()
    if found := _REFERENCE.match(text):
        return f"{found[1]} of the options above"
    if found := _GRID.match(text):
        return f"the first: {found[1].lower()}; the second: {found[2].lower()}"
    if _NUMBER.match(text):
        return re.sub(r"(?<=[0-9]) ?%", " percent", re.sub(r"^\$ ?([0-9.,]+)$", r"\1 dollars", text.rstrip(".")))
    masked, kept = spans.mask(text)
    masked = substituted(masked, draw)
    masked = _BECAUSE.sub(lambda _: draw.choice((", since ", ", for the reason that ")), masked, count=1)
    pair = re.match(r"^([a-z]{4,}) and ([a-z]{4,})(\.?)$", masked)
    if pair and ordered:
        masked = f"{pair[2]} and {pair[1]}{pair[3]}"
    return spans.unmask(masked, kept)
