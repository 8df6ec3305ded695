"""Options of other items, sorted so that one that looks like an item's own can be found: where new options come from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import NamedTuple

from stages.lib import seeds
from stages.lib.records import Problem
from stages.ood.mpa import facts
from stages.ood.mpa.lexicon import DENIALS, EMPTY
from stages.ood.mpa.principles import VERSION, above, lettered

_DENIED = re.compile(
    r"\b(?:except|exception|exceptions|least|incorrectly|inconsistent|inappropriate|unlikely|untrue|unnecessary|"
    r"invalid|inaccurate|avoid|exclude[ds]?|lacks?|differs?|contrast|unlike|"
    + "|".join(sorted(DENIALS))
    + r")\b|n't\b",
    re.I,
)
_WHO = re.compile(
    r"\b(who (?:was|is) the"
    r"|who (?:wrote|invented|discovered|said|painted|directed|played|founded|developed|proposed|introduced|coined)"
    r"|what (?:city|country|state|river|language|planet|colou?r|animal|sport|actor|actress|band|author|president|month)"
    r"|in what (?:city|country|state)"
    r"|which (?:country|city|actor|actress|president|philosopher|artist|author|planet) (?:was|is|did|has))\b",
    re.I,
)
_CLAUSE = frozenset("it they he she there this these that those we you i".split())  # noqa: SIM905
_FUNCTION = """a an the in by on of for with from at because when if as to not no all both only is are was were be been
will would should can may must has have that than which and or"""
_OPENS = frozenset(_FUNCTION.split())
_PLAIN = re.compile(r"[0-9_=\\$“”\"<>|;:/]|\b(?:above|below|none|all of|both|neither|either|other)\b", re.I)
_TOPICLESS = frozenset(map(facts.stem, "true correct accurate best statement option describe".split()))  # noqa: SIM905
RARE = 2  # a word that so few items of a subject use says what an option is about

Form = tuple[bool, bool, str]
Field = tuple[str, str, str]  # benchmark, split, subject


class Option(NamedTuple):
    item: str
    text: str
    words: frozenset[str]
    length: int
    form: Form
    rank: int  # by its text alone


class Pool(NamedTuple):
    """kinds: by kind of question; forms: by how an option looks and how its question ends."""

    kinds: dict[tuple[Field, str], list[Option]]
    forms: dict[tuple[Field, str], list[Option]]
    seed: int


def pool(problems: Sequence[Problem], seed: int) -> Pool:
    made = Pool({}, {}, seed)
    common: dict[Field, Counter[str]] = {}
    for problem in problems:
        options = [
            _option(problem, choice) for choice in problem.choices or () if not (above(choice) or lettered(choice))
        ]
        if not options:
            continue
        field, kind = subject(problem), asked_kind(problem)
        common.setdefault(field, Counter()).update({word for option in options for word in option.words})
        if kind:
            made.kinds.setdefault((field, kind), []).extend(options)
        made.forms.setdefault((field, ending(problem.question)), []).extend(options)
    for (field, _), options in made.forms.items():
        known = common[field]
        options[:] = [
            option for option in options
            if not _PLAIN.search(option.text) and any(known[word] <= RARE and len(word) > 3 for word in option.words)
        ]  # fmt: skip
    return made


def _option(problem: Problem, text: str) -> Option:
    return Option(problem.id, text, words(text), len(text.split()), form(text), seeds.key("option", text))


def subject(problem: Problem) -> Field:
    return (problem.benchmark, problem.split, problem.id.rpartition("/")[0])


def denied(asked: str) -> bool:
    """Whether a question asks for what is not so: there an answer from elsewhere may be right."""
    return bool(_DENIED.search(asked))


def asked_kind(problem: Problem) -> str:
    """What a question with one named answer asks for: who, what city; "" for other questions."""
    asked = facts.asking(problem.question)[-1]
    if denied(asked) or not (found := _WHO.search(asked)):
        return ""
    what = " ".join(found[1].lower().split())
    return "who" if what.startswith("who") else what


@lru_cache(maxsize=1 << 16)
def words(text: str) -> frozenset[str]:
    """The stems of the words that carry meaning."""
    return frozenset(facts.stem(word) for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in EMPTY)


def form(text: str) -> Form:
    """How an option looks: capital, full stop, the kind of its first word."""
    first, *_ = [*re.findall(r"[^\W\d_]+", text.lower()), ""]
    if first in ("a", "an", "the"):
        kind = "article"
    elif first in _CLAUSE:
        kind = "clause"
    elif first in _OPENS:
        kind = first
    else:
        kind = "ing" if first.endswith("ing") else "other"
    return text[:1].isupper(), text.rstrip().endswith("."), kind


def ending(question: str) -> str:
    """How a question ends: `?` where it is a sentence, else its last word if that binds what may follow, else ""."""
    bare = question.rstrip(" :.…_")
    if bare.endswith("?"):
        return "?"
    last = bare.rpartition(" ")[2].lower()
    return last if last in _OPENS else ""


def same_kind(original: Problem, choices: Sequence[str], like: str, draw: Random, pool: Pool) -> str | None:
    """Another item's option, where both items ask for the same kind of thing with one answer."""
    kind = asked_kind(original)
    if not kind:
        return None
    taken = frozenset().union(*map(words, choices))
    return _drawn(original, pool.kinds.get((subject(original), kind), []), choices, taken, form(like), draw, pool)


def off_topic(original: Problem, choices: Sequence[str], like: str, draw: Random, pool: Pool) -> str | None:
    """Another item's option that looks like this one's and speaks of something else: no word of it that carries meaning
    stands in this item, and one at least is rare in the subject. Of a question that asks for what holds of its topic
    such an option is wrong; questions that deny, or name no topic, get none."""
    asked = facts.asking(original.question)[-1]
    if denied(asked) or len(words(asked) - _TOPICLESS) < 2:
        return None
    taken = words(original.question).union(*map(words, choices))
    end = ending(original.question)
    fitting = pool.forms.get((subject(original), end), [])
    found = _drawn(original, fitting, choices, taken, form(like), draw, pool)
    if found or end not in ("?", ""):
        return found
    kinds = {option.form for option in fitting} - {form(like)}  # behind a whole question more forms read well
    near = sorted(kind for kind in kinds if kind[:2] == form(like)[:2] and kind[2] in ("article", "other", "ing"))
    return next(filter(None, (_drawn(original, fitting, choices, taken, kind, draw, pool) for kind in near)), None)


def _drawn(
    original: Problem, options: Sequence[Option], choices: Sequence[str], taken: frozenset[str], looks: Form,
    draw: Random, pool: Pool,
) -> str | None:  # fmt: skip
    length = [len(choice.split()) for choice in choices]
    least, most, item = min(length), max(length), original.id
    fitting = [
        option for option in options
        if least <= option.length <= most and option.form == looks and option.item != item
        and taken.isdisjoint(option.words)
    ]  # fmt: skip
    nonce = seeds.key(pool.seed, "ood", VERSION, item, draw.random()) | 1
    # The smallest product wins: another item in the pool changes only the draws it wins.
    best = min(fitting, key=lambda option: (option.rank * nonce) % 2**64, default=None)
    return best.text if best else None
