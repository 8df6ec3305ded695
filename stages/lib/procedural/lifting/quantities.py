"""The quantities of a word problem: numbers in digits and in words, fractions, percentages; and the constants of the
world that a solution may use without being told, each by name and only where its cue stands in the text."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

_ONES = re.findall(
    r"\w+",
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen
    """,
)
_TENS = re.findall(
    r"\w+",
    """
    twenty thirty forty fifty sixty seventy eighty ninety
    """,
)
NUMBER_WORDS = {word: n for n, word in enumerate(_ONES)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_CUES = {  # words that hold a number without being one: their values, as solutions use them
    "half": "2 1/2",
    "halves": "2 1/2",
    "halved": "2 1/2",
    "halfway": "2 1/2",
    "third": "3 1/3",
    "thirds": "3 1/3",
    "quarter": "4 1/4",
    "quarters": "4 1/4",
    "fourth": "4 1/4",
    "fourths": "4 1/4",
    "fifth": "5 1/5",
    "fifths": "5 1/5",
    "sixth": "6 1/6",
    "sixths": "6 1/6",
    "seventh": "7 1/7",
    "eighth": "8 1/8",
    "eighths": "8 1/8",
    "ninth": "9 1/9",
    "tenth": "10 1/10",
    "tenths": "10 1/10",
    "twice": "2",
    "doubled": "2",
    "double": "2",
    "doubles": "2",
    "doubling": "2",
    "thrice": "3",
    "triple": "3",
    "tripled": "3",
    "triples": "3",
    "quadruple": "4",
    "quadrupled": "4",
    "dozen": "12",
    "dozens": "12",
    "pair": "2",
    "pairs": "2",
    "couple": "2",
    "both": "2",
    "twins": "2",
    "triplets": "3",
    "score": "20",
    "once": "1",
    "single": "1",
    "another": "1",
    "hundred": "100",
    "hundreds": "100",
    "thousand": "1000",
    "thousands": "1000",
    "million": "1000000",
    "billion": "1000000000",
}
CONSTANTS = (  # value, name, what must stand in the text: all of these words
    ("1", "one, or the whole", ""),
    ("2", "both, or one of two halves", "both|each other|half|average|mean"),
    ("2", "pairs of sides", "long sides?|short sides?|rectang\\w+|perimeter"),
    ("2", "days of a weekend", "weekends?"),
    ("100", "percent", "%|percent\\w*"),
    ("100", "cents in a dollar", "cents?|penn(?:y|ies)|nickels?|dimes?|quarters?", "\\$|dollars?"),
    ("100", "centimeters in a meter", "centimeters?|cm", "meters?|m"),
    ("0.01", "one percent", "%|percent\\w*"),
    ("0.01", "a cent in dollars", "cents?|penn(?:y|ies)"),
    ("7", "days in a week", "days?|daily|nights?|mornings?|evenings?", "weeks?|weekly"),
    ("5", "weekdays in a week", "weekdays?|work\\w*|school|monday"),
    ("5", "cents in a nickel", "nickels?"),
    ("24", "hours in a day", "hours?|hourly", "days?|daily"),
    ("60", "minutes in an hour", "minutes?|mins?", "hours?|hourly|mph"),
    ("60", "seconds in a minute", "seconds?", "minutes?"),
    ("3600", "seconds in an hour", "seconds?", "hours?"),
    ("12", "a dozen", "dozens?"),
    ("12", "months in a year", "months?|monthly", "years?|yearly|annual\\w*"),
    ("12", "inches in a foot", "inch(?:es)?", "feet|foot"),
    ("52", "weeks in a year", "weeks?|weekly", "years?|yearly|annual\\w*"),
    ("365", "days in a year", "days?|daily", "years?|yearly|annual\\w*"),
    ("30", "days in a month of 30", "days?|daily", "months?|monthly|april|june|september|november"),
    ("31", "days in a month of 31", "days?|daily", "january|march|may|july|august|october|december"),
    ("28", "days in February", "february"),
    ("4", "weeks in a month", "weeks?|weekly", "months?|monthly"),
    ("4", "legs of an animal", "legs?"),
    ("4", "wheels of a car", "wheels?|tires?"),
    ("4", "sides of a square", "squares?|perimeter"),
    ("4", "quarters in a whole", "quarters?|quarts?", "dollars?|\\$|gallons?|years?"),
    ("3", "feet in a yard", "feet|foot", "yards?"),
    ("3", "sides of a triangle", "triang\\w+"),
    ("3", "wheels of a tricycle", "tricycles?"),
    ("10", "years in a decade", "decades?"),
    ("10", "cents in a dime", "dimes?"),
    ("10", "millimeters in a centimeter", "millimeters?|mm", "centimeters?|cm"),
    ("25", "cents in a quarter", "quarters?"),
    ("16", "ounces in a pound", "ounces?|oz", "pounds?|lbs?"),
    ("1000", "thousandths in a whole", "kilo\\w+|milli\\w+|km|kg|ml", "meters?|grams?|liters?|m|g|l|\\w*watts?"),
    ("1000", "kilograms in a ton", "kilograms?|kg", "tons?"),
    ("2000", "pounds in a ton", "pounds?|lbs?", "tons?"),
    ("5280", "feet in a mile", "feet|foot", "miles?"),
    ("180", "degrees of a triangle", "triangle|angles?"),
    ("360", "degrees of a circle", "circle|angles?"),
    ("90", "degrees of a right angle", "right angle|perpendicular"),
)
CONSTANT_VALUES = {name: Fraction(value) for value, name, *_ in CONSTANTS}
_CUE_PATTERNS = tuple(
    (name, [re.compile(rf"(?<![a-z])(?:{unit})(?![a-z])", re.I) for unit in units if unit])
    for _, name, *units in CONSTANTS
)

_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|(?<![\w.])\.\d+"
_NUMBER = re.compile(
    rf"(?P<digits>(?<![\d.,])(?:{_DIGITS}))"
    rf"|\b(?P<tens>{'|'.join(_TENS)})[- ](?P<unit>{'|'.join(_ONES[1:10])})\b"
    rf"|\b(?P<word>{'|'.join(NUMBER_WORDS)})\b|\b(?P<cue>{'|'.join(_CUES)})\b|(?P<symbol>[½⅓⅔¼¾⅕⅛])",
    re.I,
)
_LABEL = re.compile(
    r"\b(day|week|month|year|step|number|no\.|part|grade|level|chapter|room|route|type|group|team|box|lane|#)\s*#?$",
    re.I,
)
_SYMBOLS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8"}


_COMPOUND_SUFFIX = (  # a number word that is part of a longer number, or of a compound
    r"[- ](?:hundred|thousand|million|billion|thirds?|fourths?|fifths?|quarters?|half|halves|sixths?|eighths?|tenths?|"
    r"and a half)\b|-"
)


_MULTIPLIER_WORDS = ("dozen", "score", "pair", "pairs", "couple", "hundred", "thousand", "million", "billion")


class Quantity(NamedTuple):
    """A number at text[start:end]. kind: digits or word (one that can be replaced by another), fixed (a clock time, an
    ordinal, a year, part of a fraction), cue (half, dozen), fraction; `percent` where it is a percentage or cents."""

    start: int
    end: int
    value: Fraction
    kind: str
    percent: bool = False


def is_label(before: str) -> bool:
    """Whether a number after this text names something (day 2, grade 5) instead of counting."""
    return bool(_LABEL.search(before))


def find_quantities(text: str) -> list[Quantity]:
    """The quantities of a text in order. A fraction gives its parts and, after them, itself."""
    found: list[Quantity] = []
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        after = text[end : end + 12]
        if match["digits"]:
            value = Fraction(match["digits"].replace(",", ""))
            attached = re.match(r"(st|nd|rd|th)\b|:\d|/\s?\d|[A-Za-z]|-\d|\s+\d+/\d|[½⅓⅔¼¾⅕⅛]", after)
            before = re.search(r"[\w:/-]$|\d/\s?$|\d-$", text[:start])
            clock = re.match(r"\s*(a\.?m\b|p\.?m\b|o'clock)", after, re.I)
            year = value.denominator == 1 and 1500 <= value <= 2100 and "," not in match["digits"] and not before
            year = (
                year
                and not re.search(r"\$\s?$", text[:start])
                and re.search(r"\b(in|since|year|of|by)\s*$", text[:start], re.I)
            )
            percent = bool(re.match(r"\s?(%|percent|cents?\b|¢)", after))
            kind = "fixed" if attached or before or clock or year or is_label(text[:start]) else "digits"
            found.append(Quantity(start, end, value, kind, percent))
        elif match["tens"]:
            value = Fraction(NUMBER_WORDS[match["tens"].lower()] + NUMBER_WORDS[match["unit"].lower()])
            found.append(Quantity(start, end, value, "fixed"))
        elif match["word"]:
            tied = re.match(_COMPOUND_SUFFIX, after, re.I)
            found.append(
                Quantity(start, end, Fraction(NUMBER_WORDS[match["word"].lower()]), "fixed" if tied else "word")
            )
        elif match["cue"]:
            values = _CUES[match["cue"].lower()].split()
            found += [Quantity(start, end, Fraction(value), "cue") for value in values]
        else:
            found.append(Quantity(start, end, Fraction(_SYMBOLS[match["symbol"]]), "fraction"))
    return found + _find_compound(text, found)


def _find_compound(text: str, parts: list[Quantity]) -> list[Quantity]:
    """Numbers told in two or three parts: 3/4, two thirds, 2 1/2, two and a half, five hundred, 2.5 million."""
    found = []
    for at, one in enumerate(parts):
        for other in parts[at + 1 : at + 4]:
            found += _combine_pair(text, one, other) if other.start >= one.end else []
    halves = re.finditer(r"\b(an?|one|1) (?:\w+ )?and a half\b", text, re.I)
    return found + [Quantity(match.start(), match.end(), Fraction(3, 2), "fraction") for match in halves]


def _combine_pair(text: str, one: Quantity, other: Quantity) -> list[Quantity]:
    between, span = text[one.end : other.start], (one.start, other.end)
    if re.fullmatch(r"\s?/\s?", between) and other.value:
        made = [Quantity(*span, one.value / other.value, "fraction")]
        if whole := re.search(r"(\d+)\s+$", text[: one.start]):
            made.append(Quantity(whole.start(), other.end, int(whole[1]) + one.value / other.value, "fraction"))
        return made
    if re.fullmatch(r"[- ]|", between) and one.kind in ("word", "digits", "fixed"):
        if other.kind == "cue" and (other.value < 1 or text[other.start : other.end].lower() in _MULTIPLIER_WORDS):
            return [Quantity(*span, one.value * other.value, "fraction")]
        if other.kind == "fraction":
            return [Quantity(*span, one.value + other.value, "fraction")]
    if other.value == Fraction(1, 2) and re.fullmatch(r" and (a |one[- ])?", between):
        return [Quantity(*span, one.value + other.value, "fraction")]
    return []


def find_cued_constants(text: str, near: str | None = None) -> list[str]:
    """Names of the constants that may be used without being told: all their units stand in the text, one of them near."""
    near = text if near is None else near
    return [
        name
        for name, units in _CUE_PATTERNS
        if all(unit.search(text) for unit in units) and (not units or any(unit.search(near) for unit in units))
    ]


def match_constants(value: Fraction, text: str, near: str | None = None) -> list[str]:
    """Those of `find_cued_constants` that have this value."""
    return [name for name in find_cued_constants(text, near) if CONSTANT_VALUES[name] == value]
