"""Introductory sentences that a model writes for a problem, and the rules that keep them harmless.

A reworded question cannot be proven correct: "more than 5" for "at least 5" keeps every number, and a reader of free text
is another model. So the question keeps the family's phrasing, which reads back, and a model only adds a sentence in
front. That sentence must not refer to the problem: it shares no content word with it, and has no number, sign, quantity,
condition, question, negation or name. A refused sentence is counted with its reason, and the item stays as it was.
"""

from __future__ import annotations

import re

from stages.lib.grading import replies

MIN_WORDS, MAX_WORDS = 4, 30
_FUNCTION_WORDS = (
    "a an the and or but of in on at to from by with for as is are was were be been it its this that these those there "
    "their they them he she his her has have had while when where who which into over under after before during"
)
_FORBIDDEN_WORDS = {
    "a number in words": "zero one two three four five six seven eight nine ten eleven twelve dozen hundred thousand "
    "million first second third fourth fifth last half quarter twice thrice double triple pair once single both",
    "a quantity": "all every each any none some most more less fewer few many several much only exactly least almost equal "
    "same different distinct another other others total sum",
    "a denial": "not no never nothing nobody neither nor without cannot don't doesn't isn't can't won't hardly",
    "a condition": "if unless except provided must may should always assume suppose given whenever until instead",
    "a remark on the answer": "answer answers solution solutions hint result results remainder find problem question "
    "puzzle",
}


def build_prompt(question: str) -> str:
    """The request for a sentence, as sent to the model."""
    return (
        "Write one short sentence that sets a scene and could stand before the competition problem below. It must not "
        "speak of anything that occurs in the problem, and contain no number, name, quantity, condition, denial or "
        f"question. Reply with the sentence alone, between <<< and >>>.\n\nProblem: {question}"
    )


def parse_reply(reply: str) -> str | None:
    """The marked sentence of a model's reply; None if there is none."""
    sentence = replies.extract_delimited(reply)
    return " ".join(sentence.split()) if sentence else None


def find_fault(sentence: str, question: str) -> str | None:
    """The reason why the sentence cannot precede the question; None if it can."""
    if not re.fullmatch(r"[A-Z][A-Za-z' ,;-]*\.", sentence):
        return "not one sentence of plain words that ends in a full stop"
    words = re.findall(r"[A-Za-z']+", sentence)
    if not MIN_WORDS <= len(words) <= MAX_WORDS:
        return f"not {MIN_WORDS} to {MAX_WORDS} words"
    if any(word[0].isupper() for word in words[1:]):
        return "a name"
    lower_words = {word.lower() for word in words}
    for kind, forbidden in _FORBIDDEN_WORDS.items():
        if matches := sorted(lower_words & set(forbidden.split())):
            return f"{kind} ({matches[0]})"
    question_stems = {_stem_word(word) for word in re.findall(r"[A-Za-z']+", question.lower())}
    shared = sorted(word for word in lower_words - set(_FUNCTION_WORDS.split()) if _stem_word(word) in question_stems)
    return f"speaks of what the problem speaks of ({shared[0]})" if shared else None


def _stem_word(word: str) -> str:
    """A crude stem, equal for `walks`, `walked` and `walking`. Stems that are too short only refuse more."""
    return re.sub(r"(?:ing|ed|es|s|e|er|y|ies)$", "", word)[:6]
