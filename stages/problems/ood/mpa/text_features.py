"""What a text says that no paraphrase may change: its numbers with their units, formulas, denials, comparisons, its
content words as stems, and the quantity that it asks for.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from stages.problems.ood.mpa import protected_spans
from stages.problems.ood.mpa.synonyms import COMPARISONS, LEMMAS, NEGATIONS, NUMBER_WORDS, STOPWORDS, UNITS

_TOKEN = re.compile(
    rf"[{protected_spans.MASK_RANGE}]|[0-9]+/[0-9]+|[0-9]+(?:\.[0-9]+)?|\.[0-9]+|[a-z]+(?:'[a-z]+)?|[$€£%°]"
)
_FRACTION_DENOMINATORS = {
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "tenth": 10,
}
_FRACTION = re.compile(  # `the third` is none, nor is `a third time`
    rf"\b(?P<many>an?|one|two|three|four|five|six|seven|[2-9])[ -](?P<part>{'|'.join(_FRACTION_DENOMINATORS)})s?\b(?! (?:day|time)\b)",
    re.I,
)
_FORMULA = re.compile(r"[0-9\\^_=]|^\$")
_THOUSANDS_COMMA = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_QUESTION_CUE = re.compile(
    r"\?|(?:^|, (?:then )?)"
    r"(?:find|determine|identify|compute|calculate|evaluate|simplify|express|what|how|which|work out)\b",
    re.I,
)
_HEAD = re.compile(
    r"\b(?:how (?:many|much)|(?:find|determine|identify|what (?:is|are|was|were)|number of|value of)(?: the)?)\s+(.+)",
    re.I,
)
_HOW_MANY_NOUN = re.compile(r"\bhow (?:many|much) ([a-z]+)", re.I)
_NO_NOUN = re.compile(r"(?:do|does|did|is|are|was|were|will|would|can|could|should|has|have|had)\b", re.I)


def _format_fraction(found: re.Match[str]) -> str:
    """`three-fifths` as 3/5."""
    many = found["many"].lower()
    top = "1" if many in ("a", "an", "one") else NUMBER_WORDS.get(many, many)
    return f"{top}/{_FRACTION_DENOMINATORS[found['part'].lower()]}"


def tokenize(text: str) -> list[str]:
    """Words in lower case, numbers, unit signs; formulas as their whole text without white space."""
    masked, kept = protected_spans.mask(text)
    text = _THOUSANDS_COMMA.sub("", masked.lower().replace("’", "'").replace("n't", " not"))
    found = _TOKEN.findall(text)
    return [
        "".join(kept[ord(t) - protected_spans.FIRST_MASK].split()) if "\ue000" <= t <= "\uf8ff" else t for t in found
    ]


@lru_cache(maxsize=1 << 15)
def stem(word: str) -> str:
    """What a word shares with its inflections, roughly."""
    word = LEMMAS.get(word, word)
    return re.sub(r"(?:ies|es|s|ing|ed|ly)$", "", word)[:6] or word


class TextFeatures:
    """What a text says that no paraphrase may change."""

    def __init__(self, text: str):
        words = tokenize(_FRACTION.sub(_format_fraction, text))
        self.numbers: Counter[str] = Counter()
        self.measures: Counter[tuple[str, str]] = Counter()
        self.formulas: Counter[str] = Counter()
        self.neighbours: dict[str, Counter[str]] = {}  # number -> stems of the words that stand near it
        for at, (before, word, after) in enumerate(zip(["", *words], words, [*words[1:], ""], strict=False)):
            value = NUMBER_WORDS.get(word, word if word[0].isdigit() or word[0] == "." else None)
            if value is not None and len(word) < 40:
                self.numbers[value.rstrip(".")] += 1
                near = words[max(0, at - 2) : at] + words[at + 1 : at + 4]
                own = self.neighbours.setdefault(value.rstrip("."), Counter())
                own.update(
                    {stem(one) for one in near if one.isalpha() and one not in STOPWORDS and one not in NUMBER_WORDS}
                )
                unit = UNITS.get(before) if before in ("$", "€", "£") else UNITS.get(after)
                if unit:
                    self.measures[value, unit] += 1
            elif _FORMULA.search(word):
                self.formulas[word] += 1
        self.units = Counter(UNITS[word] for word in words if word in UNITS)
        self.negations = sum(word in NEGATIONS for word in words)
        self.comparisons = Counter(COMPARISONS[word] for word in words if word in COMPARISONS)
        self.stems = Counter(stem(word) for word in words if word not in STOPWORDS and word[0].isalpha())


@lru_cache(maxsize=1 << 13)
def extract_features(text: str) -> TextFeatures:
    return TextFeatures(text)


@lru_cache(maxsize=1 << 13)
def find_question_sentences(text: str) -> tuple[str, ...]:
    """The sentences that ask, as written; the last one where none shows it by its mark or first word."""
    masked, kept = protected_spans.mask(text)
    parts = [(part, protected_spans.unmask(part, kept)) for part, _ in protected_spans.split_sentences(masked)]
    found = tuple(whole for part, whole in parts if _QUESTION_CUE.search(part))
    return found or tuple(whole for _, whole in parts[-1:])


def find_asked_nouns(text: str) -> frozenset[str]:
    """Stems of the noun a question asks for: of `how many red clips did she sell` clip or red."""
    for sentence in reversed(find_question_sentences(text)):
        found = _HEAD.search(sentence)
        if found and not _NO_NOUN.match(found[1]):
            words = [word for word in tokenize(found[1])[:5] if word not in STOPWORDS and word.isalpha()]
            return frozenset(stem(word) for word in words[:2])
    return frozenset()


def find_counted_nouns(text: str) -> frozenset[str]:
    """The stem of the word after `how many` in the sentences that ask."""
    found = [_HOW_MANY_NOUN.search(sentence) for sentence in find_question_sentences(text)]
    return frozenset(
        stem(one[1].lower()) for one in found if one and one[1].lower() not in STOPWORDS | COMPARISONS.keys()
    )
