"""The normal form of a text: equal for two texts that say the same in the rules' grammar.

Every rewrite of the rules agent maps to one form here: synonyms and contractions to one word, `What is`, `Find` and
`Determine` to one request, `does she have` and `she has` to one order, frames to nothing. Two questions say the same
when their sentences have equal forms, in order, but for the turning of one around its comma (`If A, B?` = `B if A?`).
The comparison is exact everywhere else, so a changed number, an exchanged name or an inserted `not` shows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from stages.ood.mpa import amounts, spans, wording

Form = tuple[str, ...]

_AUXILIARY = frozenset(["is", "are", "was", "were", "will", "would", "can", "could", "should", "has", "have", "had"])
_DO = frozenset(("do", "does", "did"))
LEMMA = {form: base for base, forms in wording.VERBS.items() for form in forms}
_WORDS = re.compile(
    rf"[{spans.MASKED}]|-?[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+|[^\W\d_]+(?:['-][^\W\d_]+)*|[^\s\w,.;:?!()'\"“”‘’]"
)
_REQUEST = re.compile(
    r"(^|, (?:then )?|\bthen |\band )(?:what (?:is|are|was|were)|find|determine|identify|calculate|compute|work out)"
    r"(?: the value of)?(?= )"
)
_SAYING = re.compile(r"^(?:identify|determine|indicate|state) (?=(?:which|what|who)\b)")
_AMONG = re.compile(r"^(?:out of|of|among) (the following|these)((?: [a-z-]+){0,3}), which ")
_WHICH = re.compile(r"\bwhich one of (?=the following|these)")
_WHAT = re.compile(r"^what (?:is|are|was|were) (.+) (called|termed|known as)\?$", re.S)
_CALLED = re.compile(r"^(.+?) (?:is|are|was|were) (called|termed|known as)(?: an?)?:?$", re.S)
_IS = re.compile(r"^(the [^,.?!:;]{6,}) (?:is|are|was|were)(?: the| an?)?:?$", re.S)
_DOES = re.compile(rf"^what (?:does|do) (.+?) ({wording.STATES})(| to| of| on| in)\?$", re.S)
_STEM = re.compile(rf"^([^,.?!:;]+?) ({wording.STATES})s?(| to| of| on| in)(?: the| an?)?:?$", re.S)
_ADVERB = "(?:best|most often|usually|primarily|mainly|often|closely|directly) "
_PARTICIPLE = (
    rf"((?:{_ADVERB})?(?:[a-z]+ed|known|found|made|given|caused|shown|seen|drawn) (?:by|as|in|to|from|with|for))"
)
_DONE = re.compile(rf"^([^,.?!:;]+?) (?:is|are|was|were) {_PARTICIPLE}(?: the| an?)?:?$")
_BY = re.compile(rf"^what (?:is|are|was|were) ([^,.!:;]+?) {_PARTICIPLE}\?$")
_WH = re.compile(r"\bASK (?=(?:how|what|which|who|whom|whose|where|when|why|whether)\b)")
FRAMES = sorted((frame.strip() for frames in wording.FRAMES.values() for frame in frames), key=len, reverse=True)
_TURNS = frozenset(
    ["if", "when", "given", "on", "in", "at", "during", "according", "as"]
)  # what a moved clause or phrase begins with
_HAVE = re.compile(r"^(?:have|had|has)$")


def _alternation(pairs: dict[str, str]) -> re.Pattern[str]:
    names = sorted(pairs, key=len, reverse=True)
    return re.compile(r"(?<![\w'-])(?:" + "|".join(map(re.escape, names)) + r")(?![\w'-])")


_PLAIN = {new.lower(): old for old, new in (*wording.TWO_WAY, *wording.ONE_WAY)} | {
    "is known as": "is referred to as", "are known as": "are referred to as", "is called": "is referred to as",
    "are called": "are referred to as", "can't": "can not", "cannot": "can not",
    "what's": "what is",
} | {short: long for long, short in wording.CONTRACTIONS if long != "cannot"}  # fmt: skip
_PLAINS = _alternation(_PLAIN)


def plain(text: str) -> str:
    """Lower case, with the first word of every pair of synonyms and no contraction."""
    text = text.lower().replace("’", "'").replace("‘", "'")
    return _PLAINS.sub(lambda found: _PLAIN[found[0]], text)


def unframed(text: str) -> str:
    """The text without the rules' opening line."""
    return next((text[len(frame) :].lstrip() for frame in FRAMES if text.startswith(frame)), text)


@lru_cache(maxsize=1 << 14)
def forms(text: str) -> tuple[Form, ...]:
    """The normal form of each sentence; a sentence without words has none."""
    masked, kept = spans.mask(unframed(text.strip()))
    found = (_form(sentence, kept) for sentence, _ in spans.sentences(masked))
    return tuple(form for form in found if form)


def _form(masked: str, kept: Sequence[str]) -> Form:
    text = _WH.sub("", _REQUEST.sub(r"\1ASK", _question_of(plain(masked.strip()))))
    words = [
        " ".join(kept[ord(word) - spans.FIRST].split()) if "\ue000" <= word <= "\uf8ff" else word.replace(",", "")
        for word in _WORDS.findall(text)
    ]
    if not any(re.search(r"\w", word) for word in words):
        return ()
    main = [
        LEMMA.get(word, word) for word in words if word not in _DO and (word not in _AUXILIARY or _HAVE.match(word))
    ]
    helpers = [word for word in words if word in _AUXILIARY and not _HAVE.match(word)]
    return (*main, "|", *helpers)


def _question_of(text: str) -> str:
    """A sentence in the one order of its kind: `Of these, which is` as `which of these is`, a statement to be completed
    as the question that it stands for."""
    text = text.replace("referred to as", "called")
    text = _WHICH.sub("which of ", _AMONG.sub(r"which of \1\2 ", _SAYING.sub("", text)))
    text = text.replace("which of these", "which of the following", 1)
    for statement, asked in ((_CALLED, _WHAT), (_STEM, _DOES), (_DONE, _BY)):
        if found := asked.match(text) or statement.match(text):
            said = "".join(found.groups()[1:])
            return f"ASK {found[1]} {'called' if said in ('known as', 'termed') else said}"
    if found := _IS.match(text):
        return f"ASK {found[1]}"
    return text


def turned(one: Form, other: Form) -> bool:
    """Whether two forms are equal, or one is the other turned around at one place."""
    if one == other:
        return True
    if len(one) != len(other) or sorted(one) != sorted(other):
        return False
    middle = one.index("|")
    if one[middle:] != other[other.index("|") :] and sorted(one[middle:]) != sorted(other[other.index("|") :]):
        return False
    main, turned_main = one[:middle], other[: other.index("|")]
    return any(
        main[i:] + main[:i] == turned_main and (main[0] in _TURNS or main[i] in _TURNS) for i in range(len(main))
    )


def same(original: str, text: str) -> bool:
    """Whether two questions say the same, sentence by sentence."""
    ours, theirs = forms(original), forms(text)
    return len(ours) == len(theirs) and all(map(turned, ours, theirs))


def context_of(original: str, text: str) -> str | None:
    """What stands before a text that otherwise says the same as the original: "" for nothing; None if it does not."""
    masked, kept = spans.mask(text.strip())
    parts = spans.sentences(masked)
    for count in range(len(parts)):
        rest = "".join(part + gap for part, gap in parts[count:])
        if same(original, spans.unmask(rest, kept)):
            return spans.unmask("".join(part + gap for part, gap in parts[:count]), kept).strip()
    return None


# Options.

_NO_LINK = (  # what would tie a word of one thing to the other
    r"(?!(?:of|in|on|for|to|with|by|from|at|and|or|but|not|no|is|are|was|were|as|than|that|which|both|between|his|her|its|"
    r"their|my|your|our|other|more|less|all|any|some)\b)[a-z][a-z-]+"
)
_PAIR = re.compile(
    rf"^(?:(?P<both>[Bb]oth) )?(?P<one>[A-Z]?[a-z][a-z-]+|(?:[Tt]he )?{_NO_LINK} {_NO_LINK}|[Tt]he {_NO_LINK}) "
    rf"(?P<link>and|as well as) (?P<other>{_NO_LINK}|(?:the )?{_NO_LINK} {_NO_LINK}|the {_NO_LINK})(?P<stop>\.?)$"
)
_HAD = """size function structure color shape length cost price value weight mass height name age role purpose surface wall
center roof floor rate speed quality level authority power owner area volume position temperature density strength duty
origin growth development success failure collapse rise fall outbreak frequency intensity duration behavior activity
location direction composition meaning content concentration charge energy velocity acceleration"""
OF_THE = re.compile(
    rf"^(?:[Tt]he )(?P<what>(?:[a-z]+ )?(?:{'|'.join(_HAD.split())})) of the (?P<owner>[a-z]+(?<!s))(?P<stop>\.?)$"
)
_OWNS = re.compile(rf"^the ([a-z]+)'s ((?:[a-z]+ )?(?:{'|'.join(_HAD.split())}))$")
_FRAMED = re.compile(  # what a model or a fault may put around an option
    r"^the (?:statement|answer|option) “(.+)”$|^the (?:value|figure|expression|formula) (.+)$", re.S
)
_IF_OPTION = re.compile(r"^[Ii]f ([^,;:]+), ([^,;:]+)$")
_GRID = re.compile(r"^the first: (.+); the second: (.+)$")
_MONEY = re.compile(r"\$ ?(-?[0-9][0-9,]*(?:\.[0-9]+)?)(?: dollars)?(?![0-9])")
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_OWN_WORDS = {new: old for old, new in wording.OF_OPTIONS}
_OTHER_WORDS = _alternation(_OWN_WORDS)
_ABOVE = re.compile(r"^(all|none) of (?:the above|these|the options above|the options given)$")


def pair(text: str) -> re.Match[str] | None:
    """Two things of one shape that change nothing by changing places: no word of one can belong to both."""
    found = _PAIR.match(text)
    if not found:
        return None
    one, other = found["one"].lower().split(), found["other"].split()
    return found if len(one) == len(other) and (one[0] == "the") == (other[0] == "the") else None


@lru_cache(maxsize=1 << 16)
def option(text: str) -> str:
    """The normal form of an option. The case of letters counts (`Aa` is not `aa`), except in a first word."""
    text = " ".join(text.split()).replace("’", "'").rstrip(".").strip()
    while found := _FRAMED.match(text):
        text = (found[1] or found[2]).rstrip(".").strip()
    if found := _GRID.match(text):
        text = f"{found[1]}, {found[2]}"
    text = re.sub(r"(?:^|(?<=, ))[A-Z](?=[a-z]{2,}\b)", lambda first: first[0].lower(), text)
    text = amounts.in_figures(_MONEY.sub(r"\1 dollars", _THOUSANDS.sub("", text)))
    text = re.sub(r"(?<=[0-9]) ?(?:%|percent\b)", " percent", re.sub(r"(?<![0-9.])\.(?=[0-9])", "0.", text))
    text = re.sub(r", (?:since|for the reason that) ", ", because ", text)
    text = _OTHER_WORDS.sub(lambda found: _OWN_WORDS[found[0]], _PLAINS.sub(lambda found: _PLAIN[found[0]], text))
    if found := _ABOVE.match(text):
        text = f"{found[1]} of the above"
    if found := _OWNS.match(text):
        text = f"the {found[2]} of the {found[1]}"
    if found := _IF_OPTION.match(text):
        text = f"{found[2]} if {found[1]}"
    if found := pair(text):
        text = " and ".join(sorted((found["one"].lower(), found["other"])))
    return text
