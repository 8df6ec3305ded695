r"""Numbers as people write them: `$1,234.50`, `3 1/2`, `-\frac{7}{2}`, `28\%`, `073`, `18.`, `5 km`, `2 million`.

A number is read exactly, as a fraction, or not at all. `parse` wants the whole text to be one number; `extract_stated` and
`extract_last` look for one in a sentence.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from stages.lib.grading.latex import strip_styles


class Numeral(NamedTuple):
    """`28%` is (28, percent): whether it means 28 or 0.28 is for the reader to say."""

    value: Fraction
    is_percent: bool
    is_long_decimal: bool = (
        False  # a decimal of 12 or more significant digits, of which the last may be floating-point noise
    )

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
    | {
        sign: f" {top}/{bottom}"
        for sign, top, bottom in (
            ("½", 1, 2),
            ("⅓", 1, 3),
            ("⅔", 2, 3),
            ("¼", 1, 4),
            ("¾", 3, 4),
            ("⅕", 1, 5),
            ("⅛", 1, 8),
        )
    }
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
_NOT_UNITS = re.compile(  # what follows a number in a formula, and is no unit
    r"(?:pi|sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|mod|and|or|choose|times|plus|minus|to|over)\b"
)
_VARIABLE = re.compile(r"[A-Za-z](?![A-Za-z/])")
_SCALE = {
    "hundred": 100,
    "thousand": 10**3,
    "lakh": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "trillion": 10**12,
}
_SUFFIX = {"K": 10**3, "k": 10**3, "M": 10**6, "mn": 10**6, "B": 10**9, "bn": 10**9, "T": 10**12}  # 18K, $1.5M
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
    rf"(?:(?P<suffix>{'|'.join(_SUFFIX)})(?![a-z])| (?P<scale>{'|'.join(_SCALE)})s?\b)?"
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
    rf"(?:(?:[eE]| ?(?:\*|×|\\times|\\cdot) ?10\^\{{?)-?[0-9]+\}}?)?(?:(?:{'|'.join(_SUFFIX)})\b)?"
    rf"(?: ?\\?%| (?:percent|{'|'.join(_SCALE)})s?\b)?"
)


def parse(text: str, units: bool = True, comma: bool = True, formula: bool = False) -> Numeral | None:
    """The number that a text is; None if it is not one.

    `units`: a unit may follow. `comma`: `2,74` is 2.74, `1.234,5` is 1234.5, `1,23,456` is 123456. `formula`: a letter
    may be a variable (`5 m`), `!` a factorial, and a suffix (`5K`) is none.
    """
    if len(text) > MAX_CHARS:
        return None
    return Numeral(Fraction(int(text)), False) if _INTEGER.fullmatch(text) else _parse(text, units, comma, formula)


def equal(left: Numeral, right: Numeral, tolerance: float = 0.0) -> bool:
    """Whether two numbers have a common reading, but for floating-point noise and a tolerance (relative)."""
    if not set(left.possible_values).isdisjoint(right.possible_values):
        return True
    allowed = max(FLOAT_TOLERANCE if left.is_long_decimal or right.is_long_decimal else 0, Fraction(tolerance))
    return bool(allowed) and any(
        abs(ours - theirs) <= allowed * max(abs(ours), abs(theirs))
        for ours in left.possible_values
        for theirs in right.possible_values
    )


@lru_cache(maxsize=1 << 14)
def _parse(text: str, units: bool, comma: bool, formula: bool) -> Numeral | None:
    text = _normalise(text)
    if formula and text.endswith("!"):
        return None
    found = _NUMERAL.fullmatch(text.rstrip("!"))
    if not found:
        return None
    part = found.groupdict()
    unit = (part["unit"] or "").strip()
    if unit and (not units or _NOT_UNITS.match(unit) or (formula and _VARIABLE.match(unit))):
        return None
    if ((part["comma"] or part["indian"] or part["point"]) and not comma) or (part["sign"] and part["minus"]):
        return None
    if formula and part["suffix"]:
        return None
    try:
        value = _compute_value(part)
    except ZeroDivisionError:
        return None
    value *= _SCALE.get(part["scale"], 1) * _SUFFIX.get(part["suffix"], 1)
    digits = (part["decimal"] or "").lstrip("0.")
    long = "." in (part["decimal"] or "") and sum(map(str.isdigit, digits)) >= 12
    return Numeral(-value if "-" in (part["sign"], part["minus"]) else value, bool(part["percent"]), long)


def _compute_value(part: dict[str, str | None]) -> Fraction:
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
    """The text without the markup that does not change a number."""
    text = strip_styles(text.translate(_SYMBOLS)).strip()
    for _ in range(4):
        if not (inner := _WRAPPED.fullmatch(text)):
            break
        text = inner[inner.lastindex].strip()
    if "\\" in text or "~" in text or "{" in text:
        for pattern, new in _REWRITES:
            text = pattern.sub(new, text)
    text = " ".join(text.lstrip("=≈").rstrip(".,;:").split())
    return re.sub(rf"^{_MINUS} (?=[{_CURRENCY}]?[0-9.])", "-", text)


def find_numbers(text: str) -> list[tuple[int, str]]:
    """(position, number as written) of the numbers in a text."""
    found = ((match.start(), _check_token(match[0])) for match in _TOKEN.finditer(text.translate(_SYMBOLS)))
    return [(at, one) for at, one in found if one]


def extract_stated(sentence: str) -> str | None:
    """The number that answers in "the answer is ...": the one it begins with, else the last one."""
    sentence = strip_styles(sentence)
    found = _find_affirmed(sentence)
    if found and found[0][0] < 4 and "=" not in sentence and not _is_ambiguous(sentence, found):
        return found[0][1] if _is_standalone(sentence, *found[0]) else None
    return extract_last(sentence)


def extract_last(text: str) -> str | None:
    """The last number in a text, as it is written there; None if there is none, it is one of several offered, or a part
    of something."""
    found = _find_affirmed(text)
    return found[-1][1] if found and not _is_ambiguous(text, found) and _is_standalone(text, *found[-1]) else None


_NEGATION_BEFORE = re.compile(r"(?:\b(?:not|never|rather than|instead of)(?: equal to)?|n['’]t(?: be)?) *\$?$")
_ALTERNATIVE_BEFORE = re.compile(
    r"[0-9][^0-9.!?\n]{0,20}\bor\b[ $(]*$|\bbetween [^0-9.!?\n]{0,3}[0-9.,]+[^0-9.!?\n]{0,20}\band\b[ $(]*$"
)


_TIME_UNITS = r"(?:years?|months?|weeks?|days?|hours?|hrs?|h|minutes?|mins?|seconds?|secs?)"
_LENGTH_UNITS = r"(?:miles?|yards?|yds?|feet|foot|ft|inch(?:es)?|in|(?:kilo|centi|milli)?met(?:er|re)s?|k?m|cm|mm)"
_QUANTITY_UNITS = (
    r"(?:pounds?|lbs?|ounces?|oz|kilograms?|kg|grams?|g|gallons?|quarts?|pints?|cups?|dollars?|cents?|euros?)"
)
_FORMULA_AFTER = re.compile(  # by what makes a number a part: `2\sqrt{3}`, `4π`, `5 + 3`, `7 hours and 30 minutes`
    r"[\s$)}*]*(?:\\(?:sqrt|pi|ln|log|sin|cos|tan|left|binom|infty)(?![a-z])|[√π]|(?:pi|sqrt)\b|[iexyz](?![A-Za-z'’.])"
    r"|(?:[-+*/×·÷]|\\(?:times|cdot|pm|div)(?![a-z]))\s*(?:[($√π]|\\[a-z]|\d(?!\S*\s+\d)))"
    + "".join(
        rf"|\s*{kind}\.?(?:,|,? and)?\s+[\d./]+\s*{kind}\b" for kind in (_TIME_UNITS, _LENGTH_UNITS, _QUANTITY_UNITS)
    )
)
_FORMULA_BEFORE = re.compile(
    r"(?:[√π^]|\\(?:sqrt|ln|log|sin|cos|tan|pi|binom)(?![a-z]))(?:\[[^\]]*\]|_(?:\w|\{\w*\}))?(?:\{[^{}]*\})?\s*[{(]?\s*$"
    r"|[\d)}π]\s*(?:[+*/×·÷]|\\(?:times|cdot|pm|div))\s*\$?$"
    + "".join(rf"|\d\s*{kind}\.?(?:,|,? and)?\s+$" for kind in (_TIME_UNITS, _LENGTH_UNITS, _QUANTITY_UNITS))
)


def _is_standalone(text: str, at: int, token: str) -> bool:
    """Whether a number is no part of a formula, nor of a measure in two units."""
    before = text[max(0, at - 20) : at]
    return not (
        _FORMULA_AFTER.match(text, at + len(token))
        or _FORMULA_BEFORE.search(before)
        or (token[0] in "-–−" and re.search(r"[\d)}]\s*$", before))
    )


def _find_affirmed(text: str) -> list[tuple[int, str]]:
    """The numbers in a text but those that it denies: `not 7`."""
    return [(at, one) for at, one in find_numbers(text) if not _NEGATION_BEFORE.search(text[max(0, at - 20) : at])]


def _is_ambiguous(text: str, found: list[tuple[int, str]]) -> bool:
    """Whether the last two numbers are different ones to choose from: `6 or 7`, `between 6 and 7`."""
    at = found[-1][0]
    if len(found) < 2 or not _ALTERNATIVE_BEFORE.search(text[max(0, at - 40) : at]):
        return False
    one, other = (parse(token) for _, token in found[-2:])
    return not (one and other and equal(one, other))


def _check_token(token: str) -> str | None:
    """A token if it is a number; `1.2.3`, `12:30` and a list without spaces are none."""
    return token if token.strip("- ").isdigit() or parse(token) else None
