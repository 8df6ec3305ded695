"""What a multiple-choice question asks of its options, asked in another way.

Which of the following is older?       -> Of the following, which is older?  Identify which of the following is older.
According to Kant, what is duty?       -> What is duty, according to Kant?
The largest planet is                  -> What is the largest planet?
A tax on imports is called             -> What is a tax on imports called?
The term `inflation` refers to         -> What does the term `inflation` refer to?
Digestion is activated by              -> What is digestion activated by?

Each takes a masked sentence and gives the new one, or None where its shape does not fit. normal.py maps both ways of
asking to one form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from stages.ood.mpa import spans, wording

_VERB = (
    "is|are|was|were|would|will|can|could|may|might|should|must|has|have|had|best|most|describes|represents|explains|"
    "illustrates|refers|contains|causes|shows|occurs|gives|applies|supports|reflects|characterizes|provides|requires"
)
_WHICH = re.compile(
    rf"^Which (?:one )?of (?P<these>the following|these)(?P<kind>(?: [a-z-]+){{0,3}}?) (?P<rest>(?:{_VERB})\b.+)$", re.S
)
_SUBJECT = re.compile(
    rf"^(?P<wh>Which|Who|What)(?P<kind>(?: (?!do\b|does\b|did\b)[a-z-]+){{0,6}}?) (?P<verb>{_VERB}|caused|led|made|wrote|"
    r"was|were) (?P<next>[\w-]+)(?P<rest>.*)\?$",
    re.S,
)
_INVERTED = re.compile(
    r"^(?:the|a|an|this|that|these|those|his|her|its|their|your|my|our|he|she|it|they|you|we|I|there|[A-Z]\w*)$"
)
_LEAD = re.compile(
    r"^(?P<lead>(?:According to|As of|In|During|On|At) (?!which\b|what\b)[^,;:?]{2,60}), "
    r"(?P<ask>(?:which|what|who|why)\b[^,;:]*)\?$"
)
_LOOSE = re.compile(
    r"\b(?:that|which|who|whose|where|when|if|because|this|these|it|its|his|her|their|following)\b", re.I
)
_CALLED = re.compile(
    r"^(?P<what>(?:The|A|An|This) [^.?!]+?) (?P<be>is|are|was|were) (?P<called>called|termed|known as|referred to as)"
    r"(?: an?)?:?$"
)
_IS = re.compile(r"^(?P<what>The [^,.?!:;]{6,}) (?P<be>is|are|was|were)(?P<article> the| an?)?:?$")
_NAMED = re.compile(
    r"\b(?:of|for|most|best|main|primary|first|major|chief|key|only|[a-z]{3,}est|reason|cause|term|name)\b"
)
_COMMON = r"[A-Z][a-z]+(?:ion|ing|ity|ment|ness|ence|ance|er|gy|le)s?"  # at the head of a sentence, no name
_DOES = re.compile(
    rf"^(?P<what>(?:The|A|An) [^,.?!:;]{{3,80}}|[A-Z][a-z]+(?: [a-z]+){{0,3}}) (?P<verb>{wording.STATES})(?P<s>s?)"
    r"(?P<rest>| to| of| on| in)(?: the| an?)?:?$"
)
_DONE = re.compile(
    rf"^(?P<what>(?:The|A|An|This|These) [^,.?!:;]{{3,90}}|{_COMMON}(?: [a-z]+){{0,4}}) (?P<be>is|are|was|were) "
    r"(?P<done>(?:(?:best|most often|usually|primarily|mainly|often|closely|directly) )?(?:[a-z]+ed|known|found|made|given|"
    r"caused|shown|seen|drawn) (?:by|as|in|to|from|with|for))(?: the| an?)?:?$"
)
_FINITE = re.compile(r"\b(?:is|are|was|were|has|have|had|can|will|would|should|must|may|that|which|who|to)\b", re.I)


def reordered(sentence: str, choices: Sequence[str], draw: Random) -> str | None:
    found = _WHICH.match(sentence)
    if not found:
        return None
    opening = draw.choice(("Of", "Among", "Out of"))
    return f"{opening} {found['these']}{found['kind']}, which {found['rest']}"


def identified(sentence: str, choices: Sequence[str], draw: Random) -> str | None:
    """Only where the asking word is the subject: else the verb would have to move."""
    found = _SUBJECT.match(sentence)
    if not found or _INVERTED.match(found["next"]) or re.match(r"(?:is|are|was|were)$", found["wh"] + found["kind"]):
        return None
    if found["wh"] == "What" and not found["kind"] and found["verb"] in ("is", "are", "was", "were"):
        return None
    verb = draw.choice(wording.ASK_WHICH)
    return f"{verb} {sentence[0].lower()}{sentence[1:-1]}."


def led(sentence: str, choices: Sequence[str], draw: Random) -> str | None:
    found = _LEAD.match(sentence)
    if not found or _LOOSE.search(found["lead"]) or (_LOOSE.search(found["ask"][5:]) and len(found["ask"]) > 90):
        return None
    lead, ask = found["lead"], found["ask"]
    comma = "," if lead.startswith(("According", "As of")) else ""
    return f"{ask[0].upper()}{ask[1:]}{comma} {lead[0].lower()}{lead[1:]}?"


def completed(sentence: str, choices: Sequence[str], draw: Random) -> str | None:
    """A statement to be completed becomes a question."""
    if found := _CALLED.match(sentence):
        if _LOOSE.search(found["what"].partition(" ")[2]) and "," in found["what"]:
            return None
        return f"What {found['be']} {_lower(found['what'])} {found['called']}?"
    named = all(_nominal(choice) for choice in choices)
    if (found := _IS.match(sentence)) and named and _NAMED.search(found["what"]):
        what = _lower(found["what"])
        return draw.choice((f"What {found['be']} {what}?", f"{draw.choice(wording.ASK_OPTIONS)} {what}."))
    if (found := _DOES.match(sentence)) and not _FINITE.search(found["what"]):
        does = "does" if found["s"] else "do"
        return f"What {does} {_lower(found['what'])} {found['verb']}{found['rest']}?"
    if (found := _DONE.match(sentence)) and named and not _FINITE.search(found["what"]):
        return f"What {found['be']} {_lower(found['what'])} {found['done']}?"
    return None


def _nominal(choice: str) -> bool:
    """Whether an option names a thing or an amount, so that it answers `What is ...?`."""
    choice = choice.strip()
    first = choice.partition(" ")[0].lower()
    return bool(re.match(rf"(?:(?:an?|the)\b|[0-9$.-]|[{spans.MASKED}])", choice, re.I)) or (
        not re.search(r"(?:ed|ly)$|^(?:to|that|because|not|by|in|on|at|of|for|from|with|likely|able)$", first)
        and len(choice.split()) <= 4
    )


def _lower(what: str) -> str:
    return f"{what[0].lower()}{what[1:]}" if re.match(rf"(?:The|An?|This|These|{_COMMON})\b", what) else what
