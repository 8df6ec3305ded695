"""Principle 1 without a model: the question in other words, by a grammar.

The sentence that asks is turned into a request or back, its clauses change places, a phrase moves to the end, synonyms
and contractions are exchanged; where that changes little, a line before the question says what is to be done. Formulas,
numbers, units and quotations are masked and cannot change. In a multiple-choice question that cites a source only the
asking sentence is rewritten.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from random import Random

from stages.lib.records import Problem
from stages.ood.mpa import facts, normal, phrasings, spans, wording
from stages.ood.mpa.principles import Draft, Unfit
from stages.ood.mpa.stock import Pool

_MASK = f"[{spans.MASKED}]"
_NP = r"(?:the|his|her|their|its|each|every)\b"
_SUBJECT = rf"(?:{'|'.join(wording.PRONOUNS)}|[A-Z][a-z]+|the [a-z]+)"
_HOW = re.compile(
    rf"^(?P<lead>(?:\S.*, )?)(?P<wh>[Hh]ow (?:many|much|long|far|old|tall|fast|often)(?: [^,?]*?)?) "
    rf"(?P<aux>does|do|did|is|are|was|were|will|would|can|could|should) (?P<who>{_SUBJECT})(?= |\?)(?P<rest>[^?]*)\?$"
)
_WHAT = re.compile(rf"^(?P<lead>(?:\S.*, )?)[Ww]hat(?:'s| is| are| was| were) (?P<what>(?:{_NP}|{_MASK}).*)\?$", re.S)
_TASK = re.compile(rf"^(?P<verb>Find|Determine|Compute|Calculate) (?P<what>(?:{_NP}|{_MASK}).*?)(?P<end>\.?)$", re.S)
_IF = re.compile(r"^(?P<word>If|When|Given that) (?P<given>[^,]+), (?P<ask>[^,]+)(?P<end>[.?])$", re.S)
_ON = re.compile(
    r"^(?P<where>(?:On|In|At|During) (?:the |a |an |his |her |their )?(?:[a-z]+ )*?(?:[a-z]+|Monday|Tuesday|Wednesday|"
    r"Thursday|Friday|Saturday|Sunday|January|February|March|April|May|June|July|August|September|October|November|"
    r"December)), (?P<what>[^,;:?]{8,80})\.$"
)
_REFERS = re.compile(r"\b(?:he|she|it|its|his|hers?|they|them|their|this|that|these|those|such|there)\b", re.I)
_INTRODUCES = re.compile(r"\b(?:a|an|another|some|two|three)\b|\b(?!I\b)[A-Z][a-z]+")
_SOURCE = re.compile(r"refers? to the following|\n|passage|excerpt|quot|statement|“|\"|‘", re.I)
_OF_OPTIONS = (
    phrasings.reordered, phrasings.identified, phrasings.led, phrasings.completed
)  # fmt: skip
_SUBORDINATE = re.compile(r"\b(?:that|which|who|whom|whose|where|when|if|and|but|or|then|while|because|so)\b", re.I)
_PLURAL = re.compile(rf"^(?:{_NP} )(?:[a-z-]+ )*?[a-z]+(?<!s)s(?= of| that| in| for|$)")


def question(original: Problem, made: Draft, draw: Random, pool: Pool) -> Draft:
    masked, kept = spans.mask(made.question)
    parts = spans.sentences(masked)
    asks = frozenset(facts.asking(made.question))
    quoted = bool(original.choices) and bool(_SOURCE.search(made.question))
    rewritten = []
    for i, (sentence, gap) in enumerate(parts):
        is_asking = spans.unmask(sentence, kept) in asks or i == len(parts) - 1
        if is_asking or not quoted:
            sentence = _reworded(sentence, is_asking, made.choices, draw)
        rewritten.append(sentence + gap)
    text = spans.unmask("".join(rewritten), kept)
    if _distance(made.question, text) < 3 or draw.random() < 0.3:
        text = _framed(text, original, draw)
    if not normal.same(made.question, text):
        raise Unfit("no rewrite of the grammar keeps the meaning of this question")
    return made._replace(question=text)


def _reworded(sentence: str, asking: bool, choices: Sequence[str], draw: Random) -> str:
    head = re.match(r"\s*", sentence)[0]
    bare = sentence[len(head) :]
    if not asking:
        rewrites = [_moved]
    elif choices:
        rewrites = [*_OF_OPTIONS, _inverted, _requested, _asked]
    else:
        rewrites = [_inverted, _requested, _asked]
    for rewrite in draw.sample(rewrites, len(rewrites)):
        new = rewrite(bare, choices, draw)
        if new and normal.same(bare, new):
            bare = new
            break
    if asking and draw.random() < 0.7:
        bare = _turned(bare) or bare
    return head + substituted(bare, draw)


def _inverted(sentence: str, choices: Sequence[str], draw: Random) -> str | None:
    """How many apples does she have? -> Find how many apples she has."""
    found = _HOW.match(sentence)
    if not found or _SUBORDINATE.search(found["wh"]):
        return None
    aux, rest = found["aux"], found["rest"].strip()
    if aux in ("does", "did", "do"):
        verb, _, tail = rest.partition(" ")
        forms = wording.VERBS.get(verb)
        if not forms or (aux != "do" and found["who"] in ("they", "we", "you", "I") and aux == "does"):
            return None
        rest = f"{ {'does': forms[0], 'did': forms[1], 'do': verb}[aux] } {tail}".rstrip()
    else:
        rest = f"{aux} {rest}".rstrip()
    clause = f"{found['wh'][0].lower()}{found['wh'][1:]} {found['who']} {rest}"
    return _request(found["lead"], draw.choice(wording.ASK), clause) + "."


def _requested(sentence: str, choices: Sequence[str], draw: Random) -> str | None:
    """What is the sum? -> Find the sum."""
    found = _WHAT.match(sentence)
    if not found or re.search(r"\b(?:like|for|about|called|mean|meant|doing|due)$", found["what"]):
        return None
    return _request(found["lead"], draw.choice(wording.ASK_OPTIONS if choices else wording.ASK), found["what"]) + "."


def _asked(sentence: str, choices: Sequence[str], draw: Random) -> str | None:
    """Find the sum. -> What is the sum? or Determine the sum."""
    found = _TASK.match(sentence)
    if not found:
        return None
    what = found["what"]
    asks_more = not found["end"] or _SUBORDINATE.search(what) or len(what) > 120 or "," in what
    if not asks_more and not _PLURAL.match(what) and draw.random() < 0.7:
        return f"What is {what}?"
    return f"{draw.choice([verb for verb in wording.ASK if verb != found['verb']])} {what}{found['end']}"


def _request(lead: str, verb: str, what: str) -> str:
    return f"{lead}{verb.lower()} {what}" if lead else f"{verb} {what}"


def _turned(sentence: str) -> str | None:
    """If A, what is B? -> What is B if A?, unless B speaks of what A introduces."""
    found = _IF.match(sentence)
    if not found or _SUBORDINATE.search(found["ask"]) or re.match(r"(?:then|and)\b", found["ask"]):
        return None
    if _REFERS.search(found["ask"]) and _INTRODUCES.search(found["given"]):
        return None
    return f"{found['ask'][0].upper()}{found['ask'][1:]} {found['word'].lower()} {found['given']}{found['end']}"


def _moved(sentence: str, choices: Sequence[str], draw: Random) -> str | None:
    """On Monday, she ate 5 apples. -> She ate 5 apples on Monday."""
    found = _ON.match(sentence)
    if not found or _SUBORDINATE.search(sentence) or draw.random() < 0.3:
        return None
    what = found["what"]
    return f"{what[0].upper()}{what[1:]} {found['where'][0].lower()}{found['where'][1:]}."


_PAIRS = {old: [new] for old, new in wording.ONE_WAY}
for _one, _other in (*wording.TWO_WAY, *wording.CONTRACTIONS):
    _PAIRS.setdefault(_one, []).append(_other)
    _PAIRS.setdefault(_other, []).append(_one)
_MORE = _PAIRS | {one: [other] for pair in wording.OF_OPTIONS for one, other in (pair, pair[::-1])}


def _any(pairs: dict[str, list[str]]) -> re.Pattern[str]:
    names = sorted(pairs, key=len, reverse=True)
    return re.compile(r"(?<![\w'-])(?:" + "|".join(map(re.escape, names)) + r")(?![\w'-])", re.I)


_FIRST, _ANY = _any(_PAIRS), _any(_MORE)


def substituted(text: str, draw: Random, always: bool = False) -> str:
    """Synonyms and contractions, each with probability 0.8, or all and those of options, too; the case of a first letter
    is kept, capitals are left."""
    pairs, pattern = (_MORE, _ANY) if always else (_PAIRS, _FIRST)

    def other(found: re.Match[str]) -> str:
        word = found[0].replace("’", "'")
        if word.isupper() or word.lower() not in pairs or (not always and draw.random() > 0.8):
            return found[0]
        new = draw.choice(pairs[word.lower()])
        return new[0].upper() + new[1:] if word[0].isupper() else new

    return pattern.sub(other, text)


def _distance(one: str, other: str) -> int:
    """Words that stand in one of the texts only."""
    ours, theirs = Counter(one.split()), Counter(other.split())
    return ((ours - theirs) + (theirs - ours)).total()


def _framed(text: str, original: Problem, draw: Random) -> str:
    bare, asks = text.rstrip(), facts.asks(text)
    if re.match(r"\s*Statement 1", text):
        kind = "statements"
    elif re.search(r"_{2,}", text):
        kind = "blank"
    elif bare.endswith("?") or re.match(r"(?:which|what|how|who|when|where|why)\b", facts.asking(text)[-1], re.I):
        kind = "question"
    elif original.choices and not bare.endswith("."):
        kind = "stem"
    else:
        kind = "text" if original.choices and not asks else "task"
    return draw.choice(wording.FRAMES[kind]) + text.lstrip()
