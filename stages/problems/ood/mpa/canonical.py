"""The normal form of an option: equal for texts that differ in notation only.

Ignored are white space, quotation marks, a final full stop, a frame around the option (`the answer “...”`), a first
capital, digits or words for a number, `$5` or `5 dollars`, `5%` or `5 percent`, and the order of two things joined by
`and`. Everything else counts, the case of letters too: `Aa` is not `aa`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from stages.lib.procedural.lifting.quantities import NUMBER_WORDS

_FRAMED = re.compile(r"^the (?:statement|answer|option) “(.+)”$|^the (?:value|figure|expression|formula) (.+)$", re.S)
_MONEY = re.compile(r"\$ ?(-?[0-9][0-9,]*(?:\.[0-9]+)?)(?: dollars)?(?![0-9])")
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_TENS_WORDS = "|".join(word for word, number in NUMBER_WORDS.items() if number >= 20)
_SPELLED = re.compile(rf"^(?:({_TENS_WORDS})-)?({'|'.join(NUMBER_WORDS)})(?= [a-z]|$)")
_ALL_OR_NONE = re.compile(r"^(all|none) of (?:the above|these|the (?:options|choices|answers) (?:above|given))$")
_CONTRACTIONS = {f"{verb}n't": f"{verb} not" for verb in ("is", "are", "was", "were", "does", "do", "did")}
_CONTRACTIONS |= {"can't": "cannot", "won't": "will not"}


@lru_cache(maxsize=1 << 16)
def normalize_option(text: str) -> str:
    text = " ".join(text.split()).replace("’", "'").rstrip(".").strip()
    while match := _FRAMED.match(text):
        text = (match[1] or match[2]).rstrip(".").strip()
    text = re.sub(r"^[A-Z](?=[a-z]{2,}\b)", lambda first: first[0].lower(), text)
    text = _MONEY.sub(r"\1 dollars", _THOUSANDS.sub("", text))
    text = re.sub(r"(?<=[0-9]) ?(?:%|percent\b)", " percent", re.sub(r"(?<![0-9.])\.(?=[0-9])", "0.", text))
    text = _SPELLED.sub(lambda match: str((NUMBER_WORDS[match[1]] if match[1] else 0) + NUMBER_WORDS[match[2]]), text)
    text = re.sub(r"\b[a-z]+n't\b", lambda short: _CONTRACTIONS.get(short[0], short[0]), text)
    text = _ALL_OR_NONE.sub(r"\1 of the above", text)
    halves = text.split(" and ")
    return " and ".join(sorted(halves)) if len(halves) == 2 else text
