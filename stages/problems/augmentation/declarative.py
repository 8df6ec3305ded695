r"""A question and its answer as one statement: "How many pens does Ann have left?", 5 -> "Ann has 5 pens left."

Rules turn the common forms of `how many` and `how much`. A clause before the question stays in front; the question is
never cut at its last comma or full stop, as published code does. What fits no form, or has a subject whose end no rule
finds, is left out (None).
"""

from __future__ import annotations

import re

_CLAUSE = r"(?P<clause>(?:[^?]*,\s+)?(?:(?:then|so|and)\s+)?)"
_NOUN = (
    r"(?P<noun>(?:more |total |extra |whole )?[a-z][\w'-]*(?: of [a-z][\w'-]*(?: [a-z][\w'-]*)?)?(?: [a-z][\w'-]*)?)"
)
_SUBJECT = (
    r"(?P<subject>(?:[A-Z][a-z]+(?: and [A-Z][a-z]+)?|he|she|it|they|we|I|you|everyone|"
    r"(?:the|his|her|their|each|my)(?: two| three)? [a-z]+(?: and (?:his|her|the|their) [a-z]+)?))"
)
_AUXILIARIES = r"(?P<auxiliary>do|does|did|will|would|can|could|must|should)"
_HOW_MANY = re.compile(rf"^{_CLAUSE}[Hh]ow many {_NOUN} {_AUXILIARIES} {_SUBJECT} (?P<rest>[a-z][^?]*)\?$")
_HOW_MUCH = re.compile(rf"^{_CLAUSE}[Hh]ow much (?:money )?{_AUXILIARIES} {_SUBJECT} (?P<rest>[a-z][^?]*)\?$")
_STATE = re.compile(rf"^{_CLAUSE}[Hh]ow many {_NOUN} (?P<verb>are|were|will be)(?P<rest>(?: [^?]*)?)\?$")
_HAVE = re.compile(
    rf"^{_CLAUSE}[Hh]ow many {_NOUN} (?P<auxiliary>has|have|had) {_SUBJECT} (?P<rest>[a-z]+(?: [^?]*)?)\?$"
)
_NO_VERBS = {
    "a",
    "an",
    "the",
    "of",
    "in",
    "on",
    "at",
    "for",
    "to",
    "and",
    "or",
    "with",
    "from",
    "by",
    "who",
    "that",
    "which",
}
_IRREGULAR = {"have": "has", "do": "does", "go": "goes", "be": "is"}
_MONEY = re.compile(r"^(?:spend|pay|earn|make|owe|have|need|cost|save|get|receive|charge|sell|donate)$")
_PASTS = {
    "have": "had", "make": "made", "spend": "spent", "cost": "cost", "pay": "paid", "earn": "earned", "sell": "sold",
    "buy": "bought", "get": "got", "eat": "ate", "give": "gave", "take": "took", "read": "read", "drive": "drove",
    "run": "ran", "use": "used", "need": "needed", "receive": "received", "collect": "collected", "save": "saved",
    "lose": "lost", "win": "won", "score": "scored", "walk": "walked", "bake": "baked", "pick": "picked",
}  # fmt: skip
_STRANDED = re.compile(r"^(?:with|to|for|on|in|at|from|of|about)(?:$| (?:with|to|for|on|in|at|from|by|per|each)\b)")
_RECEIVER = re.compile(r"^(?:[A-Z][a-z]+|him|her(?! )|them|me|us)\b(?!')")
_OBJECT_COMES_LATER = re.compile(r"^[a-z]+ (?:to|and) ")  # "need to buy": the number belongs behind `buy`


def make_statement(question: str, answer: str) -> str | None:
    """The last sentence of a problem with its answer in it; None where no rule fits."""
    question = question.strip()
    if question.count("?") != 1:
        return None
    if match := _HOW_MANY.match(question):
        return _join(match, _put_amount(match, f"{answer} {match['noun']}"))
    if (match := _HOW_MUCH.match(question)) and _MONEY.match(match["rest"].split()[0]):
        return _join(match, _put_amount(match, f"${answer}"))
    if match := _HAVE.match(question):
        verb, _, rest = match["rest"].partition(" ")
        amount = f"{answer} {match['noun']}"
        return _join(match, f"{match['subject']} {match['auxiliary']} {verb} {amount} {rest}")
    if match := _STATE.match(question):
        rest = match["rest"].strip()
        if rest.split(" ")[0] == "there":
            return _join(match, f"there {match['verb']} {answer} {match['noun']} {rest.removeprefix('there').strip()}")
        if re.match(r"[a-z]+(?:ed|t|n)?\b", rest) and rest.split(" ")[0] not in ("the", "his", "her", "their", "there"):
            return _join(match, f"{answer} {match['noun']} {match['verb']} {rest}")
    return None


def _put_amount(match: re.Match[str], amount: str) -> str | None:
    """Subject, verb, amount, rest. None where the word behind the subject is no verb, or where the object comes later."""
    verb, _, rest = match["rest"].partition(" ")
    if verb in _NO_VERBS or verb.endswith(("ing", "ly")) or _OBJECT_COMES_LATER.match(match["rest"]):
        return None
    if _STRANDED.match(rest):
        return None
    subject, auxiliary = match["subject"], match["auxiliary"]
    if auxiliary == "does":
        verb = _IRREGULAR.get(verb) or _add_s(verb)
    elif auxiliary == "did":
        verb = _PASTS.get(verb) or f"did {verb}"
    elif auxiliary != "do":
        verb = f"{auxiliary} {verb}"
    if receiver := _RECEIVER.match(rest):  # "cost Ann $5 a week"
        return f"{subject} {verb} {receiver[0]} {amount} {rest[receiver.end() :]}"
    return f"{subject} {verb} {amount} {rest}"


def _add_s(verb: str) -> str:
    if re.search(r"(?:s|x|z|ch|sh|o)$", verb):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if re.search(r"[^aeiou]y$", verb) else f"{verb}s"


def _join(match: re.Match[str], statement: str | None) -> str | None:
    if statement is None:
        return None
    text = " ".join(f"{match['clause']}{statement}".split())
    return f"{text[0].upper()}{text[1:]}."
