"""The quantities of a word problem: numbers in digits and in words, fractions, percentages; and the constants that a
solution may use although the question does not state them, each by name and only if its units occur in the text."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

_ONE_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ONES, _TENS = _ONE_WORDS.split(), _TEN_WORDS.split()
NUMBER_WORDS = {word: n for n, word in enumerate(_ONES)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_WORDS_BY_VALUES = {  # values that solutions use for a word -> words
    "2 1/2": "half halves halved halfway",
    "3 1/3": "third thirds",
    "4 1/4": "quarter quarters fourth fourths",
    "5 1/5": "fifth fifths",
    "6 1/6": "sixth sixths",
    "7 1/7": "seventh",
    "8 1/8": "eighth eighths",
    "9 1/9": "ninth",
    "10 1/10": "tenth tenths",
    "1": "once single another",
    "2": "twice doubled double doubles doubling pair pairs couple both twins",
    "3": "thrice triple tripled triples triplets",
    "4": "quadruple quadrupled",
    "12": "dozen dozens",
    "20": "score",
    "100": "hundred hundreds",
    "1000": "thousand thousands",
    "1000000": "million",
    "1000000000": "billion",
}
_CUES = {word: values.split() for values, words in _WORDS_BY_VALUES.items() for word in words.split()}
CONSTANTS = (  # value, name, patterns of units that must all occur in the text
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
_COMPOUND_SUFFIX = re.compile(  # after a number word that is part of a longer number or of a compound
    r"[- ](?:hundred|thousand|million|billion|thirds?|fourths?|fifths?|quarters?|half|halves|sixths?|eighths?|tenths?|"
    r"and a half)\b|-",
    re.I,
)
_MULTIPLIER_WORDS = ("dozen", "score", "pair", "pairs", "couple", "hundred", "thousand", "million", "billion")


class Quantity(NamedTuple):
    """A number at text[start:end]. kind: digits or word (replaceable by another number), fixed (a clock time, an ordinal,
    a year, part of a fraction), cue (half, dozen), fraction. `percent`: a percentage or cents."""

    start: int
    end: int
    value: Fraction
    kind: str
    percent: bool = False


def is_label(before: str) -> bool:
    """Whether a number after this text is a label (day 2, grade 5) and not an amount."""
    return bool(_LABEL.search(before))


def find_quantities(text: str) -> list[Quantity]:
    """The quantities of a text in order; compound numbers (3/4, two and a half) come last, after all their parts."""
    quantities: list[Quantity] = []
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        if match["digits"]:
            quantities.append(_read_digits(text, match))
        elif match["tens"]:
            value = Fraction(NUMBER_WORDS[match["tens"].lower()] + NUMBER_WORDS[match["unit"].lower()])
            quantities.append(Quantity(start, end, value, "fixed"))
        elif match["word"]:
            kind = "fixed" if _COMPOUND_SUFFIX.match(text[end : end + 12]) else "word"
            quantities.append(Quantity(start, end, Fraction(NUMBER_WORDS[match["word"].lower()]), kind))
        elif match["cue"]:
            quantities += [Quantity(start, end, Fraction(value), "cue") for value in _CUES[match["cue"].lower()]]
        else:
            quantities.append(Quantity(start, end, Fraction(_SYMBOLS[match["symbol"]]), "fraction"))
    return quantities + _find_compounds(text, quantities)


def _read_digits(text: str, match: re.Match[str]) -> Quantity:
    """The quantity of a number in digits; fixed if the words beside it show that it is not a plain amount."""
    value = Fraction(match["digits"].replace(",", ""))
    before, after = text[: match.start()], text[match.end() : match.end() + 12]
    is_attached = re.match(r"(st|nd|rd|th)\b|:\d|/\s?\d|[A-Za-z]|-\d|\s+\d+/\d|[½⅓⅔¼¾⅕⅛]", after) or re.search(
        r"[\w:/-]$|\d/\s?$|\d-$", before
    )
    is_clock = re.match(r"\s*(a\.?m\b|p\.?m\b|o'clock)", after, re.I)
    is_year = value.denominator == 1 and 1500 <= value <= 2100 and "," not in match["digits"]
    is_year = is_year and re.search(r"\b(in|since|year|of|by)\s*$", before, re.I)
    kind = "fixed" if is_attached or is_clock or is_year or is_label(before) else "digits"
    percent = bool(re.match(r"\s?(%|percent|cents?\b|¢)", after))
    return Quantity(*match.span(), value, kind, percent)


def _find_compounds(text: str, parts: list[Quantity]) -> list[Quantity]:
    """Numbers written in two or three parts: 3/4, two thirds, 2 1/2, two and a half, five hundred, 2.5 million."""
    compounds = []
    for i, first in enumerate(parts):
        for second in parts[i + 1 : i + 4]:
            compounds += _combine_pair(text, first, second) if second.start >= first.end else []
    halves = re.finditer(r"\b(an?|one|1) (?:\w+ )?and a half\b", text, re.I)
    return compounds + [Quantity(*match.span(), Fraction(3, 2), "fraction") for match in halves]


def _combine_pair(text: str, first: Quantity, second: Quantity) -> list[Quantity]:
    between, span = text[first.end : second.start], (first.start, second.end)
    if re.fullmatch(r"\s?/\s?", between) and second.value:
        ratio = first.value / second.value
        compounds = [Quantity(*span, ratio, "fraction")]
        if whole := re.search(r"(\d+)\s+$", text[: first.start]):
            compounds.append(Quantity(whole.start(), second.end, int(whole[1]) + ratio, "fraction"))
        return compounds
    if re.fullmatch(r"[- ]|", between) and first.kind in ("word", "digits", "fixed"):
        if second.kind == "cue" and (second.value < 1 or text[second.start : second.end].lower() in _MULTIPLIER_WORDS):
            return [Quantity(*span, first.value * second.value, "fraction")]
        if second.kind == "fraction":
            return [Quantity(*span, first.value + second.value, "fraction")]
    if second.value == Fraction(1, 2) and re.fullmatch(r" and (a |one[- ])?", between):
        return [Quantity(*span, first.value + second.value, "fraction")]
    return []


def find_cued_constants(text: str, near: str | None = None) -> list[str]:
    """Names of the constants that a solution may use: all their units occur in `text`, and one of them in `near`."""
    near = text if near is None else near
    return [
        name
        for name, units in _CUE_PATTERNS
        if all(unit.search(text) for unit in units) and (not units or any(unit.search(near) for unit in units))
    ]


def match_constants(value: Fraction, text: str, near: str | None = None) -> list[str]:
    """The names of `find_cued_constants` with this value."""
    return [name for name in find_cued_constants(text, near) if CONSTANT_VALUES[name] == value]
