"""Introductions that a model writes for a problem, and the proof that one changes nothing.

A reworded core cannot be proven: a model's "more than 5" for "at least 5" keeps every number, and a reader that accepts
free text is another model. So the core stays as the family's phrasing has it and reads back by that phrasing; a model
only puts a sentence in front. The sentence may say nothing about what the problem speaks of: it shares no word of
meaning with it, and has no number, sign, quantity, condition, question, denial or name. What is refused is refused with
its reason, and the item keeps its own words.
"""

from __future__ import annotations

import re

from stages.lib.grading import replies

MIN_WORDS, MAX_WORDS = 4, 30  # words


def _split_words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FUNCTION_WORDS = _split_words(
    "a an the and or but of in on at to from by with for as is are was were be been it its this that these those there "
    "their they them he she his her has have had while when where who which into over under after before during"
)
_FORBIDDEN_WORDS = {
    "a number in words": _split_words(
        "zero one two three four five six seven eight nine ten eleven twelve dozen hundred thousand million first second "
        "third fourth fifth last half quarter twice thrice double triple pair once single both"
    ),
    "a quantity": _split_words(
        "all every each any none some most more less fewer few many several much only exactly least almost equal same "
        "different distinct another other others total sum"
    ),
    "a denial": _split_words(
        "not no never nothing nobody neither nor without cannot don't doesn't isn't can't won't hardly"
    ),
    "a condition": _split_words(
        "if unless except provided must may should always assume suppose given whenever until instead"
    ),
    "a remark on the answer": _split_words(
        "answer answers solution solutions hint result results remainder find problem question puzzle"
    ),
}


def build_prompt(question: str) -> str:
    return (
        "Write one short sentence that sets a scene and could stand before the competition problem below. It must not "
        "speak of anything that occurs in the problem, and contain no number, name, quantity, condition, denial or "
        f"question. Reply with the sentence alone, between <<< and >>>.\n\nProblem: {question}"
    )


def parse_reply(reply: str) -> str | None:
    """The one marked sentence of a model's reply."""
    found = replies.extract_delimited(reply)
    return " ".join(found.split()) if found else None


def find_fault(sentence: str, core: str) -> str | None:
    """Why the sentence may not stand before the problem; None where it may."""
    if not re.fullmatch(r"[A-Z][A-Za-z' ,;-]*\.", sentence):
        return "not one sentence of plain words that ends in a full stop"
    words = re.findall(r"[A-Za-z']+", sentence)
    if not MIN_WORDS <= len(words) <= MAX_WORDS:
        return f"not {MIN_WORDS} to {MAX_WORDS} words"
    if any(word[0].isupper() for word in words[1:]):
        return "a name"
    said = {word.lower() for word in words}
    for what, refused in _FORBIDDEN_WORDS.items():
        if found := sorted(said & refused):
            return f"{what} ({found[0]})"
    spoken_of = {_stem_word(word) for word in re.findall(r"[A-Za-z']+", core.lower())}
    shared = sorted(word for word in said - _FUNCTION_WORDS if _stem_word(word) in spoken_of)
    return f"speaks of what the problem speaks of ({shared[0]})" if shared else None


def _stem_word(word: str) -> str:
    """Enough of one for `walks`, `walked` and `walking` to meet; too much in common refuses more, never less."""
    return re.sub(r"(?:ing|ed|es|s|e|er|y|ies)$", "", word)[:6]
