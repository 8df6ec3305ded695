r"""Numbers as people write them: `$1,234.50`, `3 1/2`, `-\frac{7}{2}`, `28\%`, `073`, `18.`, `5 km`, `2 million`.

A number is read exactly, as a fraction, or not at all. `parse` reads a text that is one number; `extract_stated` and
`extract_last` find the number in a sentence that is its answer.
"""

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from stages.lib.grading.latex import strip_styles


class Numeral(NamedTuple):
    """A number as written: `28%` has the value 28 and is a percentage, which may mean 28 or 0.28."""

    value: Fraction
    is_percent: bool
    is_long_decimal: bool = False  # 12 or more significant digits, of which the last may be floating-point noise

    @property
    def possible_values(self) -> list[Fraction]:
        """The values it may mean."""
        return [self.value, self.value / 100] if self.is_percent else [self.value]


FLOAT_TOLERANCE = Fraction(1, 10**12)  # relative

MAX_CHARS = 2_000  # characters; also keeps int() below Python's limit of 4,300 digits

_INTEGER = re.compile(r"-?[0-9]+")
_SYMBOLS = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "﹣": "-", "－": "-", "⁄": "/", "∕": "/", "％": "%", "＄": "$", "，": ",", "．": "."}
    | {chr(code): " " for code in (0xA0, 0x2007, 0x2009, 0x200A, 0x202F)}
    | {chr(0xFF10 + digit): str(digit) for digit in range(10)}
    | {sign: " " + unicodedata.normalize("NFKC", sign).replace("⁄", "/") for sign in "½⅓⅔¼¾⅕⅛"}
)
_WRAPPED = re.compile(
    r"\$\$(.+)\$\$|\$(.+)\$|\\\((.+)\\\)|\\\[(.+)\\\]|\*\*(.+)\*\*"
    r"|\\boxed\{(.+)\}|\\text\{(.+)\}",
    re.S,
)
_REWRITES = [
    (re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r" \1/\2"),
    (re.compile(r"\\[dtc]?frac\s*([0-9])\s*([0-9])"), r" \1/\2"),
    (re.compile(r"\\(?:text|mbox|textbf|textrm|mathrm)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|\\degree\b)"), "°"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<=[0-9])\s*\{([a-zA-Z]+)\}"), r" \1"),
    (re.compile(r",?\\!|,\\ ?"), ","),
    (re.compile(r"\\(?:left|right)\b|\\[,;: ]|~"), " "),
    (re.compile(r"\\([$%])"), r"\1"),
]
_CURRENCY = "$€£¥₹₽₩"
_DIGITS = (  # grouped by comma, blank, apostrophe or underscore; by points if there are two; or not at all
    r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,2}(?: [0-9]{3})+|[1-9][0-9]{0,2}(?:['’][0-9]{3})+"
    r"|[1-9][0-9]{0,2}(?:_[0-9]{3})+|[0-9]+)"
)
_DECIMAL = rf"(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)"
_UNIT_SYMBOLS = (
    "mm|cm|dm|km|nm|µm|μm|m|g|kg|mg|lb|lbs|oz|ft|in|yd|mi|s|ms|h|hr|hrs|min|L|mL|ml|mph|kph|°|°C|°F|¢|N|J|kJ|W|kW|kWh"
    "|V|Hz|Pa|kPa|mol|rad|ha"
)
_POWER = r"(?:[²³]|\^?\{?-?[1-9]\}?|\*\*[1-9])?"
_UNIT = (
    rf"(?: ?(?:{_UNIT_SYMBOLS}){_POWER}(?: ?[/·*] ?(?:{_UNIT_SYMBOLS}){_POWER})*"
    rf"| [A-Za-z][A-Za-z'-]{{2,}}{_POWER}(?:[ /][A-Za-z'-]+{_POWER}){{0,5}})\.?"
)
_NOT_UNITS = re.compile(  # words that follow a number in a formula, but are no units
    r"(?:pi|sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|mod|and|or|choose|times|plus|minus|to|over)\b"
)
_VARIABLE = re.compile(r"[A-Za-z](?![A-Za-z/])")
_SCALE_POWERS = {"hundred": 2, "thousand": 3, "lakh": 5, "million": 6, "crore": 7, "billion": 9, "trillion": 12}
_SUFFIX_POWERS = {"K": 3, "k": 3, "M": 6, "mn": 6, "B": 9, "bn": 9, "T": 12}  # 18K, $1.5M
_NUMERAL = re.compile(
    rf"(?P<sign>[-+]?) ?(?:(?:US|USD|EUR|Rs\.?) ?)?[{_CURRENCY}]? ?(?P<minus>-?)"
    rf"(?:(?P<mixed>[0-9]+) +(?P<top>[0-9]+)/(?P<bottom>[0-9]+)"
    rf"|(?P<numerator>-?{_DECIMAL}) ?/ ?(?P<denominator>-?{_DECIMAL})"
    rf"|(?P<points>[1-9][0-9]{{0,2}}(?:\.[0-9]{{3}}){{2,}}(?:,[0-9]+)?)"
    rf"|(?P<point>[1-9][0-9]{{0,2}}\.[0-9]{{3}},[0-9]+)"
    rf"|(?P<indian>[1-9][0-9]?(?:,[0-9]{{2}})+,[0-9]{{3}}(?:\.[0-9]+)?)"
    rf"|(?P<start>[0-9]*)\.(?P<lead>[0-9]*)(?:\\(?:overline|bar|dot)\{{ ?(?P<cycle>[0-9]+)\}}|\((?P<round>[0-9]+)\))"
    rf"|(?P<decimal>{_DECIMAL})(?:(?:[eE]|(?: ?(?:\*|×|\\times|\\cdot) ?10\^)\{{?)(?P<exponent>[-+]?[0-9]{{1,3}})\}}?)?"
    rf"|(?P<comma>[0-9]+,[0-9]+))"
    rf"(?:(?P<suffix>{'|'.join(_SUFFIX_POWERS)})(?![a-z])| (?P<scale>{'|'.join(_SCALE_POWERS)})s?\b)?"
    rf"(?P<percent> ?(?:%|(?i:percent|percentage|pct)\b))?"
    rf" ?[{_CURRENCY}]?(?P<unit>{_UNIT})?"
)

# A minus in words; after anything else it may be the operation: `10 minus 7`.
_MINUS = r"(?i:(?<![\w-])negative|(?:\A|(?<=[=:(])|(?<=[=:(] )|(?<=\bis )|(?<=\bwas )|(?<=\bequals ))minus)"
# In a sentence: no space between thousands there, and not inside a word.
_PLAIN_NUMBER = r"(?:[0-9]+(?:[,.:'’_][0-9]+)*|\.[0-9]+)"
_TOKEN = re.compile(
    rf"(?:{_MINUS} )?(?:(?<![\w)\]}}])-)?\\[dtc]?frac\{{-?{_PLAIN_NUMBER}\}}\{{-?{_PLAIN_NUMBER}\}}"
    rf"|(?:{_MINUS} )?(?:(?<![\w)\]}}])- ?)?(?:\\?[{_CURRENCY}])?(?<![A-Za-z0-9_\\^])(?<!\^\{{)(?<!\^\{{-)(?<!\^-)-?"
    rf"(?:[0-9]+ +[0-9]+/[0-9]+|{_PLAIN_NUMBER}(?: ?/ ?{_PLAIN_NUMBER})?)(?![0-9^]|[.,][0-9])"
    rf"(?:(?:[eE]| ?(?:\*|×|\\times|\\cdot) ?10\^\{{?)-?[0-9]+\}}?)?(?:(?:{'|'.join(_SUFFIX_POWERS)})\b)?"
    rf"(?: ?\\?%| (?:percent|{'|'.join(_SCALE_POWERS)})s?\b)?"
)


def parse(text: str, units: bool = True, comma: bool = True, formula: bool = False) -> Numeral | None:
    """The number that a text is; None if it is anything else.

    units: a unit may follow. comma: `2,74` is 2.74, `1.234,5` is 1234.5, `1,23,456` is 123456. formula: a letter is a
    variable (`5 m`, `5K`), and `!` a factorial.
    """
    if len(text) > MAX_CHARS:
        return None
    return Numeral(Fraction(int(text)), False) if _INTEGER.fullmatch(text) else _parse(text, units, comma, formula)


def equal(left: Numeral, right: Numeral, tolerance: float = 0.0) -> bool:
    """Whether two numbers have a value in common, up to floating-point noise and the relative tolerance."""
    if not set(left.possible_values).isdisjoint(right.possible_values):
        return True
    allowed = max(FLOAT_TOLERANCE if left.is_long_decimal or right.is_long_decimal else 0, Fraction(tolerance))
    return bool(allowed) and any(
        abs(value - other) <= allowed * max(abs(value), abs(other))
        for value in left.possible_values
        for other in right.possible_values
    )


@lru_cache(maxsize=1 << 14)
def _parse(text: str, units: bool, comma: bool, formula: bool) -> Numeral | None:
    text = _normalise(text)
    if formula and text.endswith("!"):
        return None
    match = _NUMERAL.fullmatch(text.rstrip("!"))
    if not match:
        return None
    part = match.groupdict()
    unit = (part["unit"] or "").strip()
    if unit and (not units or _NOT_UNITS.match(unit) or (formula and _VARIABLE.match(unit))):
        return None
    if (part["comma"] or part["indian"] or part["point"]) and not comma:
        return None
    if (part["sign"] and part["minus"]) or (formula and part["suffix"]):
        return None
    try:
        value = _compute_value(part)
    except ZeroDivisionError:
        return None
    value *= 10 ** (_SCALE_POWERS.get(part["scale"], 0) + _SUFFIX_POWERS.get(part["suffix"], 0))
    digits = (part["decimal"] or "").lstrip("0.")
    is_long = "." in (part["decimal"] or "") and sum(map(str.isdigit, digits)) >= 12
    return Numeral(-value if "-" in (part["sign"], part["minus"]) else value, bool(part["percent"]), is_long)


def _compute_value(part: dict[str, Any]) -> Fraction:
    if part["mixed"]:
        return int(part["mixed"]) + Fraction(int(part["top"]), int(part["bottom"]))
    if part["numerator"]:
        return _parse_fraction(part["numerator"]) / _parse_fraction(part["denominator"])
    if points := part["points"] or part["point"]:
        return Fraction(points.replace(".", "").replace(",", "."))
    if part["indian"]:
        return _parse_fraction(part["indian"])
    if cycle := part["cycle"] or part["round"]:
        lead = part["lead"]
        return (int((part["start"] or "0") + lead) + Fraction(int(cycle), 10 ** len(cycle) - 1)) / 10 ** len(lead)
    if part["comma"]:
        return Fraction(part["comma"].replace(",", "."))
    value = _parse_fraction(part["decimal"])
    return value * Fraction(10) ** int(part["exponent"]) if part["exponent"] else value


def _parse_fraction(digits: str) -> Fraction:
    whole, _, rest = re.sub("[, '’_]", "", digits).partition(".")
    return Fraction(int(whole + rest), 10 ** len(rest)) if rest else Fraction(int(whole))


def _normalise(text: str) -> str:
    """The text without markup that does not change a number."""
    text = strip_styles(text.translate(_SYMBOLS)).strip()
    for _ in range(4):
        if not (wrapped := _WRAPPED.fullmatch(text)):
            break
        text = next(filter(None, wrapped.groups())).strip()
    if "\\" in text or "~" in text or "{" in text:
        for pattern, replacement in _REWRITES:
            text = pattern.sub(replacement, text)
    text = " ".join(text.lstrip("=≈").rstrip(".,;:").split())
    return re.sub(rf"^{_MINUS} (?=[{_CURRENCY}]?[0-9.])", "-", text)


def find_numbers(text: str) -> list[tuple[int, str]]:
    """(position, number as written) of the numbers in a text."""
    matches = _TOKEN.finditer(text.translate(_SYMBOLS))
    return [(match.start(), match[0]) for match in matches if _is_number(match[0])]


def extract_stated(sentence: str) -> str | None:
    """The number in what follows "the answer is": the one it begins with, else the last one (`extract_last`)."""
    sentence = strip_styles(sentence)
    numbers = _find_affirmed(sentence)
    if numbers and numbers[0][0] < 4 and "=" not in sentence and not _is_ambiguous(sentence, numbers):
        return numbers[0][1] if _is_standalone(sentence, *numbers[0]) else None
    return extract_last(sentence)


def extract_last(text: str) -> str | None:
    """The last number in a text, as it is written there.

    None if there is none, if several are offered as a choice, or if it is part of a formula or of a measure in two units.
    """
    numbers = _find_affirmed(text)
    if not numbers or _is_ambiguous(text, numbers) or not _is_standalone(text, *numbers[-1]):
        return None
    return numbers[-1][1]


_NEGATION_BEFORE = re.compile(r"(?:\b(?:not|never|rather than|instead of)(?: equal to)?|n['’]t(?: be)?) *\$?$")
_ALTERNATIVE_BEFORE = re.compile(
    r"[0-9][^0-9.!?\n]{0,20}\bor\b[ $(]*$|\bbetween [^0-9.!?\n]{0,3}[0-9.,]+[^0-9.!?\n]{0,20}\band\b[ $(]*$"
)
_TIME_UNITS = r"(?:years?|months?|weeks?|days?|hours?|hrs?|h|minutes?|mins?|seconds?|secs?)"
_LENGTH_UNITS = r"(?:miles?|yards?|yds?|feet|foot|ft|inch(?:es)?|in|(?:kilo|centi|milli)?met(?:er|re)s?|k?m|cm|mm)"
_QUANTITY_UNITS = (
    r"(?:pounds?|lbs?|ounces?|oz|kilograms?|kg|grams?|g|gallons?|quarts?|pints?|cups?|dollars?|cents?|euros?)"
)
_FORMULA_AFTER = re.compile(  # a number before it is only a part: `2\sqrt{3}`, `4π`, `5 + 3`, `7 hours and 30 minutes`
    r"[\s$)}*]*(?:\\(?:sqrt|pi|ln|log|sin|cos|tan|left|binom|infty)(?![a-z])|[√π]|(?:pi|sqrt)\b|[iexyz](?![A-Za-z'’.])"
    r"|(?:[-+*/×·÷]|\\(?:times|cdot|pm|div)(?![a-z]))\s*(?:[($√π]|\\[a-z]|\d(?!\S*\s+\d)))"
    + "".join(
        rf"|\s*{units}\.?(?:,|,? and)?\s+[\d./]+\s*{units}\b" for units in (_TIME_UNITS, _LENGTH_UNITS, _QUANTITY_UNITS)
    )
)
_FORMULA_BEFORE = re.compile(
    r"(?:[√π^]|\\(?:sqrt|ln|log|sin|cos|tan|pi|binom)(?![a-z]))(?:\[[^\]]*\]|_(?:\w|\{\w*\}))?(?:\{[^{}]*\})?\s*[{(]?\s*$"
    r"|[\d)}π]\s*(?:[+*/×·÷]|\\(?:times|cdot|pm|div))\s*\$?$"
    + "".join(rf"|\d\s*{units}\.?(?:,|,? and)?\s+$" for units in (_TIME_UNITS, _LENGTH_UNITS, _QUANTITY_UNITS))
)


def _is_standalone(text: str, at: int, token: str) -> bool:
    """Whether a number is neither part of a formula nor of a measure in two units."""
    before = text[max(0, at - 20) : at]
    return not (
        _FORMULA_AFTER.match(text, at + len(token))
        or _FORMULA_BEFORE.search(before)
        or (token[0] in "-–−" and re.search(r"[\d)}]\s*$", before))
    )


def _find_affirmed(text: str) -> list[tuple[int, str]]:
    """(position, number as written) of the numbers in a text without the negated ones: `not 7`."""
    return [(at, token) for at, token in find_numbers(text) if not _NEGATION_BEFORE.search(text[max(0, at - 20) : at])]


def _is_ambiguous(text: str, numbers: list[tuple[int, str]]) -> bool:
    """Whether the last two numbers differ and are offered as a choice: `6 or 7`, `between 6 and 7`."""
    at = numbers[-1][0]
    if len(numbers) < 2 or not _ALTERNATIVE_BEFORE.search(text[max(0, at - 40) : at]):
        return False
    left, right = (parse(token) for _, token in numbers[-2:])
    return not (left and right and equal(left, right))


def _is_number(token: str) -> bool:
    """Whether a token is one number: not `1.2.3`, `12:30` or a list without spaces."""
    return token.strip("- ").isdigit() or parse(token) is not None
