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
    r"invalid|inaccurate|avoid|exclude[ds]?|lacks?|differs?|contrast|unlike|no(?! longer)|"
    + "|".join(sorted(DENIALS - {"no", "without"}))
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
_SIGNS = re.compile(r"\b(?:not|because|and|or)\b", re.I)
_FINITE = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|will|would|should|must|may|might|do|does|did|cannot)\b", re.I
)
_BROAD = re.compile(
    r"\b(?:may|can|could|might|likely|common|typical|important|useful|true|associated|known to|known for|should|must|"
    r"(?:relat|link|contribut|affect|influenc|effect|caus|includ|involv|consequen|symptom|sign|complicat|featur|character|"
    r"benefit|advantage|disadvantage|factor|risk|help|lead|increas|decreas|reduc|requir|need|concern|claim|argu|critici|"
    r"problem|reason|impact|lessen|lower|rais|prevent|improv|promot|enhanc|encourag|support|correct|statement|suggest|impl)[a-z]*)\b",
    re.I,
)
_STRANGE = re.compile(  # a formula, a quotation, a short number, what may speak of other options or of its own story
    r"[_=\\$“”\"<>|;:/]|^(?=.*[0-9])(?:\S+\s*){1,3}$|^(?:both|neither|either|none|others?|all)\b|\ball of\b"
    r"|\b(?:this|these|those|he|she|his|her|him|you|your)\b",
    re.I,
)
_TOPICLESS = frozenset(map(facts.stem, "true correct accurate best statement option describe".split()))  # noqa: SIM905
_NOUN = re.compile(
    r"\b(?:which|what)(?: one)?(?: of (?:the following|these))?(?: [a-z-]+){0,3}? ([a-z-]+) "
    r"(?:is|are|was|were|did|does|do|has|have|had|would|will|should|best|most|that|who|[a-z]{3,}(?<!s)s|[a-z]+ed)\b", re.I
)  # fmt: skip
_LEVEL = re.compile(r"/(?:elementary|high_school|college|professional|conceptual)_")
SLACK = 0.3  # of the shortest and the longest option
RARE = 2  # a word that so few items of a subject use says what an option is about

Field = tuple[str, str, str]  # benchmark, split, subject


class Form(NamedTuple):
    """How an option looks: its first letter, its last, the kind of its first word, whether it states something, and
    which of the words that shape a sentence are in it."""

    capital: bool
    stop: bool
    opens: str
    states: bool
    signs: tuple[str, ...]


class Option(NamedTuple):
    item: str
    text: str
    words: frozenset[str]
    length: int
    form: Form
    rank: int  # by its text alone
    bound: bool  # to its own question, by a word that hardly any other problem has
    asked: str  # the stem of what its question asks for


class Pool(NamedTuple):
    """kinds: by kind of question; forms: by how an option looks and how its question ends."""

    kinds: dict[tuple[Field, str], list[Option]]
    forms: dict[tuple[Field, str], list[Option]]
    seed: int


def pool(problems: Sequence[Problem], seed: int) -> Pool:
    made = Pool({}, {}, seed)
    common: dict[Field, Counter[str]] = {}
    anywhere = Counter(word for problem in problems for word in _said(problem))
    for problem in problems:
        options = [
            _option(problem, choice, anywhere)
            for choice in problem.choices or ()
            if not (above(choice) or lettered(choice))
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
            if not _STRANGE.search(option.text) and any(known[word] <= RARE and len(word) > 3 for word in option.words)
        ]  # fmt: skip
    return made


def _option(problem: Problem, text: str, anywhere: Counter[str]) -> Option:
    said = words(text)
    bound = any(anywhere[word] <= RARE and len(word) > 3 for word in said)
    return Option(
        problem.id, text, said, len(text.split()), form(text), seeds.key("option", text), bound, noun(problem.question)
    )


def _said(problem: Problem) -> frozenset[str]:
    return words(problem.question).union(*map(words, problem.choices or ()))


def subject(problem: Problem) -> Field:
    """Whose options may stand beside each other; the level of a subject (college, high school) does not part them."""
    return (problem.benchmark, problem.split, _LEVEL.sub("/", problem.id.rpartition("/")[0]))


def denied(asked: str) -> bool:
    """Whether a question asks for what is not so: there an answer from elsewhere may be right."""
    return bool(_DENIED.search(asked))


@lru_cache(maxsize=1 << 15)
def noun(question: str) -> str:
    """The stem of the noun that a question asks for: theory of `Which theory holds that ...?`; "" where none shows."""
    found = _NOUN.search(facts.asking(question)[-1])
    return facts.stem(found[1].lower()) if found and found[1].lower() not in EMPTY else ""


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
    first, *_ = [*re.findall(r"[^\W\d_]+", text.lower()), ""]
    if first in ("a", "an", "the"):
        kind = "article"
    elif first in _CLAUSE:
        kind = "clause"
    elif first in _OPENS:
        kind = first
    else:
        kind = "ing" if first.endswith("ing") else "other"
    signs = tuple(sorted({sign.lower() for sign in _SIGNS.findall(text)}))
    return Form(text[:1].isupper(), text.rstrip().endswith("."), kind, bool(_FINITE.search(text)), signs)


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
    if _BROAD.search(asked):
        fitting = [option for option in fitting if option.bound]
    elif own := noun(original.question):  # a unique answer: another of its kind is as wrong, and more tempting
        same = [option for option in fitting if option.asked == own]
        if found := _drawn(original, same, choices, taken, form(like), draw, pool):
            return found
    found = _drawn(original, fitting, choices, taken, form(like), draw, pool)
    if found or end not in ("?", ""):
        return found
    looks = form(like)
    kinds = {option.form for option in fitting} - {looks}  # behind a whole question more forms read well
    near = sorted(kind for kind in kinds if kind._replace(opens="") == looks._replace(opens=""))
    near = [
        kind for kind in near if {kind.opens, looks.opens} <= {"article", "other", "ing"} or kind.opens == looks.opens
    ]
    return next(filter(None, (_drawn(original, fitting, choices, taken, kind, draw, pool) for kind in near)), None)


def _drawn(
    original: Problem, options: Sequence[Option], choices: Sequence[str], taken: frozenset[str], looks: Form,
    draw: Random, pool: Pool,
) -> str | None:  # fmt: skip
    length, item = [len(choice.split()) for choice in choices], original.id
    least, most = min(length) * (1 - SLACK), max(length) * (1 + SLACK)
    fitting = [
        option for option in options
        if least <= option.length <= most and option.form == looks and option.item != item
        and taken.isdisjoint(option.words)
    ]  # fmt: skip
    nonce = seeds.key(pool.seed, "ood", VERSION, item, draw.random()) | 1
    # The smallest product wins: another item in the pool changes only the draws it wins.
    best = min(fitting, key=lambda option: (option.rank * nonce) % 2**64, default=None)
    return best.text if best else None
