"""Features of a text that no paraphrase may change: numbers with units, formulas, negations, comparisons, stems of content
words, and the quantity that it asks for.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from stages.lib.rewording import protected_spans
from stages.lib.rewording.synonyms import COMPARISONS, LEMMAS, NEGATIONS, NUMBER_WORDS, STOPWORDS, UNITS

_TOKEN = re.compile(
    rf"[{protected_spans.MASK_RANGE}]|[0-9]+/[0-9]+|[0-9]+(?:\.[0-9]+)?|\.[0-9]+|[a-z]+(?:'[a-z]+)?|[$€£%°]"
)
_FRACTION_DENOMINATORS = dict(third=3, quarter=4, fourth=4, fifth=5, sixth=6, seventh=7, eighth=8, tenth=10)
_FRACTION = re.compile(  # not `the third`, nor `a third time`
    rf"\b(?P<many>an?|one|two|three|four|five|six|seven|[2-9])[ -]"
    rf"(?P<part>{'|'.join(_FRACTION_DENOMINATORS)})s?\b(?! (?:day|time)\b)",
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


def _format_fraction(match: re.Match[str]) -> str:
    """`three-fifths` as 3/5."""
    numerator = match["many"].lower()
    top = "1" if numerator in ("a", "an", "one") else NUMBER_WORDS.get(numerator, numerator)
    return f"{top}/{_FRACTION_DENOMINATORS[match['part'].lower()]}"


def tokenize(text: str) -> list[str]:
    """Words in lower case, numbers, unit signs, and formulas, each as one token without white space."""
    masked, spans = protected_spans.mask(text)
    text = _THOUSANDS_COMMA.sub("", masked.lower().replace("’", "'").replace("n't", " not"))
    tokens = _TOKEN.findall(text)
    return [
        "".join(spans[ord(t) - protected_spans.FIRST_MASK].split()) if "\ue000" <= t <= "\uf8ff" else t for t in tokens
    ]


@lru_cache(maxsize=1 << 15)
def stem(word: str) -> str:
    """A rough stem: equal for most inflections of a word."""
    word = LEMMAS.get(word, word)
    return re.sub(r"(?:ies|es|s|ing|ed|ly)$", "", word)[:6] or word


class TextFeatures:
    """Counts of what no paraphrase may change."""

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
                near_stems = self.neighbours.setdefault(value.rstrip("."), Counter())
                near_stems.update(
                    {
                        stem(other)
                        for other in near
                        if other.isalpha() and other not in STOPWORDS and other not in NUMBER_WORDS
                    }
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
    """The sentences with a question mark or a cue such as `find`; the last sentence where there is none."""
    masked, spans = protected_spans.mask(text)
    parts = [(part, protected_spans.unmask(part, spans)) for part, _ in protected_spans.split_sentences(masked)]
    questions = tuple(sentence for part, sentence in parts if _QUESTION_CUE.search(part))
    return questions or tuple(sentence for _, sentence in parts[-1:])


def find_asked_nouns(text: str) -> frozenset[str]:
    """Stems of the noun a question asks for: for `how many red clips did she sell` those of red and clips."""
    for sentence in reversed(find_question_sentences(text)):
        match = _HEAD.search(sentence)
        if match and not _NO_NOUN.match(match[1]):
            words = [word for word in tokenize(match[1])[:5] if word not in STOPWORDS and word.isalpha()]
            return frozenset(stem(word) for word in words[:2])
    return frozenset()


def find_counted_nouns(text: str) -> frozenset[str]:
    """The stem of the word after `how many` in the sentences that ask."""
    matches = [_HOW_MANY_NOUN.search(sentence) for sentence in find_question_sentences(text)]
    return frozenset(
        stem(match[1].lower()) for match in matches if match and match[1].lower() not in STOPWORDS | COMPARISONS.keys()
    )
