"""Principle 5 without a model: an option that is wrong by construction and looks like the others.

The first of six that fits, by what question and options look like:
number     the options are numbers and the question has one answer: a number near one of them; of a question that asks
           for an estimate, a number that lies farther from the key than an option on its side (nearer ones may be right)
part       the same inside formulas and measures: one number of an option changed
verdict    the options are verdicts with reasons: the verdict that the key denies, with a wrong option's reason
kind       the question names its one answer (who, what city): an answer to another question of the same kind
elsewhere  another question's option of the same form and length, on another topic of the same subject
both       else: two wrong options at once; wrong because each is, in a question about exceptions too
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from random import Random

from stages.lib import numerals
from stages.lib.records import Problem
from stages.ood.mpa import checks, facts, normal
from stages.ood.mpa.principles import LETTERS, Draft, Unfit, above
from stages.ood.mpa.stock import Pool, off_topic, same_kind, words

_ONE = re.compile(r"(?<![\w.])-?\$?[0-9][0-9,]*(?:\.[0-9]+)?(?![\w]*[0-9])")
_DIGIT = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?![0-9.,]|\^)")
_WORD = re.compile(r"(?<!\\)\b[a-zA-Z]{3,}")
_ESTIMATE = re.compile(
    r"about|approximat|roughly|closest|nearest|estimat|around|as of|percent|average|per capita|share|typical|usual|"
    r"normal|range|recommend|dose|at least|at most|more than|less than|population|likely|probab|how old|how long ago",
    re.I,
)
_SEVERAL = re.compile(
    r"\b(?:which(?! of the following (?:gives|equals|is the|is closest|best approximates|represents))|except|not|could|may|"
    r"might|possible|among|one of|an? (?:example|factor|multiple))\b|n't\b",
    re.I,
)
_VERDICT = re.compile(
    r"^(?P<verdict>[A-Z][\w ]{0,40}?)(?P<join>[,;.:]? (?:because|since|if|as|unless)\b|, )(?P<reason>.{12,})$", re.S
)
_GRID = re.compile(r"(?:true|false|wrong|not wrong|yes|no|valid|invalid), \S+(?: \S+)?$")
_PARTED = re.compile(r"[,;:()\[\]=]|\b(?:and|or|but|only|neither|not|because|if)\b", re.I)
_JOINS = re.compile(r"\w and \w")
JOINED = 6  # words of an option that may be joined to another


def new_choice(original: Problem, made: Draft, draw: Random, pool: Pool) -> str:
    """A wrong option like the others, clear of all of them. Raises Unfit with the reason where none can be made."""
    right = made.choices[LETTERS.index(made.answer)]
    if above(right):
        raise Unfit("the key speaks of all options, so another one would change it")
    if _GRID.match(normal.option(right)):
        raise Unfit("the options are all the verdicts there are on two statements")
    plain = [choice for choice in made.choices if not above(choice)]
    key = plain.index(right)
    for maker in (_number, _part, _verdict, _kind, _elsewhere, _both):
        for _ in range(6):
            new = maker(original, plain, key, draw, pool)
            if new is None:
                break
            if not any(checks.alike(new, choice) for choice in made.choices):
                return new
    raise Unfit("no option can be made that is surely wrong and differs from the others")


def _number(original: Problem, choices: Sequence[str], key: int, draw: Random, pool: Pool) -> str | None:
    asked = facts.asking(original.question)[-1]
    found = [_ONE.findall(choice) for choice in choices]
    if _SEVERAL.search(asked) or any(len(one) != 1 for one in found) or "\\" in choices[key]:
        return None
    values = [_value(one[0]) for one in found]
    if None in values or len(dict.fromkeys(_ONE.sub("#", choice).strip().rstrip(".") for choice in choices)) > 1:
        return None
    near = draw.choice([*range(len(values))])
    places = max(len(one[0].partition(".")[2]) for one in found)
    unit = Fraction(1, 10**places)
    deltas = [unit, 2 * unit, 10 * unit, abs(values[near]) / 10, abs(values[near]) / 4, abs(values[near])]
    new = values[near] + draw.choice((-1, 1)) * draw.choice(deltas)
    if _ESTIMATE.search(original.question):
        others = [value for i, value in enumerate(values) if i != key]
        side = [value for value in others if (value > values[key]) == (new > values[key])]
        far = draw.choice(side or others)
        new = far + (1 if far > values[key] else -1) * max(unit, abs(far) / draw.choice((4, 5, 8)))
    new = Fraction(round(new / unit)) * unit
    if (new < 0 and min(values) >= 0) or (new > 100 and "%" in choices[key]) or new in values:
        return draw.choice(choices)  # clashes with an option: asks for another try
    if (new == 0 and 0 not in values) or (_year(values) and not 1000 <= new <= 2030):
        return draw.choice(choices)
    return _ONE.sub(lambda one: _written(new, one[0], places), choices[key], count=1)


def _part(original: Problem, choices: Sequence[str], key: int, draw: Random, pool: Pool) -> str | None:
    """One number inside a formula or a measure changed, of a question with one exact answer."""
    asked = facts.asking(original.question)[-1]
    if _SEVERAL.search(asked) or _ESTIMATE.search(original.question):
        return None
    if any(len(choice) > 80 or not _DIGIT.search(choice) or len(_WORD.findall(choice)) > 2 for choice in choices):
        return None
    text = draw.choice(choices)
    one = draw.choice(list(_DIGIT.finditer(text)))
    new = int(one[0]) + draw.choice((-2, -1, 1, 2, 3))
    return text if new < 1 else f"{text[: one.start()]}{new}{text[one.end() :]}"


def _value(text: str) -> Fraction | None:
    read = numerals.read(text)
    return read.value if read else None


def _year(values: Sequence[Fraction]) -> bool:
    return all(value.denominator == 1 and 1000 <= value <= 2030 for value in values)


def _written(value: Fraction, like: str, places: int) -> str:
    comma = "," if "," in like or (value >= 10**4 and "," in like) else ""
    digits = f"{float(abs(value)):{comma}.{places}f}" if places else f"{int(abs(value)):{comma}d}"
    return ("-" if value < 0 else "") + ("$" if "$" in like else "") + digits


def _verdict(original: Problem, choices: Sequence[str], key: int, draw: Random, pool: Pool) -> str | None:
    read = [_VERDICT.match(choice.strip()) for choice in choices]
    if not all(read):
        return None
    verdicts = [found["verdict"].lower() for found in read]
    if len(dict.fromkeys(verdicts)) != 2:
        return None
    other = draw.choice([i for i in range(len(choices)) if verdicts[i] != verdicts[key]])
    reasons = [i for i in range(len(choices)) if verdicts[i] == verdicts[key] and i != key]
    if not reasons:
        return None
    reason = draw.choice(reasons)
    join = read[reason]["join"].rstrip()
    return f"{read[other]['verdict']}{join} {read[reason]['reason'].lstrip()}"


def _kind(original: Problem, choices: Sequence[str], key: int, draw: Random, pool: Pool) -> str | None:
    return same_kind(original, choices, choices[key], draw, pool)


def _elsewhere(original: Problem, choices: Sequence[str], key: int, draw: Random, pool: Pool) -> str | None:
    if any(not _WORD.search(choice) for choice in choices):
        return None  # words would stand out among numbers and formulas
    found = (off_topic(original, choices, like, draw, pool) for like in draw.sample(choices, len(choices)))
    return next(filter(None, found), None)


def _both(original: Problem, choices: Sequence[str], key: int, draw: Random, pool: Pool) -> str | None:
    if any(len(_WORD.findall(choice)) == 0 for choice in choices):
        return None  # `5 and 20` reads as no option at all
    if not any(_JOINS.search(choice) for choice in choices):
        return None  # among options that name one thing each, a joined one would stand out
    wrong = [
        i for i, choice in enumerate(choices)
        if i != key and len(choice.split()) <= JOINED and not _PARTED.search(choice)
    ]  # fmt: skip
    pairs = [(i, j) for i in wrong for j in wrong if i < j]
    draw.shuffle(pairs)
    claims = words(choices[key])
    for i, j in pairs:
        if claims and claims <= words(choices[i]) | words(choices[j]):
            continue  # the two together may be what the key says
        one, other = (_unquoted(choices[k]) for k in (i, j))
        if all(choice[:1].isupper() for choice in choices) and other.split()[0] not in original.question:
            other = re.sub(r"^[A-Z](?=[a-z]+\b)", lambda first: first[0].lower(), other)  # a sentence's capital
        return f"{one} and {other}" + "." * choices[i].rstrip().endswith(".")
    return None


def _unquoted(choice: str) -> str:
    found = re.match(r"^the (?:statement|claim|answer|option|value|figure|expression|formula) “?(.+?)”?$", choice, re.S)
    return (found[1] if found else choice).strip().rstrip(".")
