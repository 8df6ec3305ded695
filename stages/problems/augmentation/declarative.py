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
# The verbs that the rules know, with their irregular pasts. Any other word behind a subject may be the end of the subject
# ("the store owner have") or an adverb ("she now own").
_IRREGULAR_PASTS = {
    "break": "broke", "build": "built", "buy": "bought", "catch": "caught", "chop": "chopped", "cost": "cost",
    "cut": "cut", "do": "did", "draw": "drew", "drink": "drank", "drive": "drove", "drop": "dropped", "eat": "ate",
    "feed": "fed", "find": "found", "get": "got", "give": "gave", "grow": "grew", "hang": "hung", "have": "had",
    "hear": "heard", "hit": "hit", "hold": "held", "jog": "jogged", "keep": "kept", "lay": "laid", "leave": "left",
    "lose": "lost", "make": "made", "pay": "paid", "plan": "planned", "put": "put", "read": "read", "ride": "rode",
    "run": "ran", "see": "saw", "sell": "sold", "send": "sent", "sew": "sewed", "sleep": "slept", "spend": "spent",
    "steal": "stole", "swim": "swam", "take": "took", "teach": "taught", "throw": "threw", "win": "won",
    "wrap": "wrapped", "write": "wrote",
}  # fmt: skip
_REGULAR = re.compile(
    "add|answer|bake|borrow|burn|carry|charge|chew|clean|climb|collect|complete|consume|contain|"
    "cook|count|cover|create|deliver|donate|earn|exercise|expect|fill|finish|fold|gain|gather|"
    "handle|harvest|jump|juggle|lack|lift|miss|need|order|owe|own|pack|paint|perform|pick|"
    "plant|play|polish|practice|prepare|print|produce|purchase|rake|reach|receive|recycle|release|"
    "remove|require|review|save|score|serve|shovel|study|toss|transport|travel|type|use|visit|"
    "walk|want|wash|watch|weigh|work"
)
_MONEY = re.compile(r"^(?:spend|pay|earn|make|owe|have|need|cost|save|get|receive|charge|sell|donate)$")
_PARTICIPLE = re.compile(
    r"[a-z]{2,}ed|[a-z]*(?:had|made|sold|bought|eaten|read|spent|run|taken|given|seen|won|lost|written|driven|left)"
)
_STRANDED = re.compile(
    r"^(?:paid\b|(?:with|to|for|on|in|at|from|of|about)(?:$| (?:with|to|for|on|in|at|from|by|per|each)\b))"
)
_ENDS_STRANDED = re.compile(r"\b(?:with|to|for|on|in|at|from|of|about|by|into)$")
_RECEIVER = re.compile(
    r"^(?:[A-Z][a-z]+|him|her(?! )|them|me|us|(?:her|(?:the|his|her|their|an?) [a-z]+)(?= to\b))\b(?!')"
)
_ADVERBIAL = re.compile(r"(?:in|on|at|per|each|every|during|for|over|today|this|that|last|a|an|altogether)\b")
_ADVERBIAL_NOUN = re.compile(r" (?:times|(?:more )?(?:minutes|hours|days|weeks|months|years))$")
_TIME_OBJECTS = re.compile(r"spen[dt]s?|takes?|took|needs?|needed|have|has|had|saves?|saved|loses?|lost")
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
        if not _PARTICIPLE.fullmatch(verb) or rest.split(" ")[0] in ("it", "him", "her", "them"):
            return None
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
    """Subject, verb, amount, rest. None where the word behind the subject is no known verb, or where the object comes
    later."""
    verb, _, rest = match["rest"].partition(" ")
    if not (verb in _IRREGULAR_PASTS or _REGULAR.fullmatch(verb)) or _OBJECT_COMES_LATER.match(match["rest"]):
        return None
    if _STRANDED.match(rest) or _ENDS_STRANDED.search(rest):
        return None
    subject, auxiliary = match["subject"], match["auxiliary"]
    if auxiliary == "does":
        verb = "has" if verb == "have" else _add_s(verb)
    elif auxiliary == "did":
        verb = _IRREGULAR_PASTS.get(verb) or _add_ed(verb)
    elif auxiliary != "do":
        verb = f"{auxiliary} {verb}"
    if receiver := _RECEIVER.match(rest):  # "cost Ann $5 a week"
        return f"{subject} {verb} {receiver[0]} {amount} {rest[receiver.end() :]}"
    is_adverb = _ADVERBIAL_NOUN.search(amount) and not _TIME_OBJECTS.fullmatch(verb.split()[-1])
    if is_adverb and rest and not _ADVERBIAL.match(rest):  # the object comes behind: "jump rope"
        return None
    return f"{subject} {verb} {amount} {rest}"


def _add_ed(verb: str) -> str:
    if verb.endswith("e"):
        return f"{verb}d"
    return f"{verb[:-1]}ied" if re.search(r"[^aeiou]y$", verb) else f"{verb}ed"


def _add_s(verb: str) -> str:
    if re.search(r"(?:s|x|z|ch|sh|o)$", verb):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if re.search(r"[^aeiou]y$", verb) else f"{verb}s"


def _join(match: re.Match[str], statement: str | None) -> str | None:
    if statement is None:
        return None
    text = " ".join(f"{match['clause']}{statement}".split())
    return f"{text[0].upper()}{text[1:]}."
