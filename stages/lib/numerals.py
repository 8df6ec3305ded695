r"""Numbers as people write them: `$1,234.50`, `3 1/2`, `-\frac{7}{2}`, `28\%`, `073`, `18.`, `5 km`, `2 million`.

A number is read exactly, as a fraction, or not at all. `read` wants the whole text to be one number; `stated` and
`last` look for one in a sentence.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple


class Numeral(NamedTuple):
    """`28%` is (28, percent): whether it means 28 or 0.28 is for the reader to say."""

    value: Fraction
    percent: bool


LONGEST = 2_000  # characters; also keeps int() below Python's limit of 4,300 digits

_SIMPLE = re.compile(r"-?[0-9]+")
_SYMBOLS = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "﹣": "-", "－": "-", "⁄": "/", "∕": "/", "％": "%", "＄": "$", "，": ",", "．": "."}
    | {chr(code): " " for code in (0xA0, 0x2007, 0x2009, 0x200A, 0x202F)}
    | {chr(0xFF10 + digit): str(digit) for digit in range(10)}
    | {sign: f" {top}/{bottom}" for sign, top, bottom in (("½", 1, 2), ("⅓", 1, 3), ("⅔", 2, 3), ("¼", 1, 4),
                                                           ("¾", 3, 4), ("⅕", 1, 5), ("⅛", 1, 8))}
)  # fmt: skip
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
    (re.compile(r",?\\!|,\\ ?"), ","),
    (re.compile(r"\\(?:left|right)\b|\\[,;: ]|~"), " "),
    (re.compile(r"\\([$%])"), r"\1"),
]
_MONEY = "$€£¥₹₽₩"
_DIGITS = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,2}(?: [0-9]{3})+|[0-9]+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)"
_SHORT = "mm|cm|dm|km|m|g|kg|mg|lb|lbs|oz|ft|in|yd|mi|s|h|hr|hrs|min|L|mL|ml|mph|kph|°|°C|°F|¢"
_UNIT = (
    rf"(?: ?(?:{_SHORT})(?:[²³]|\^?\{{?[23]\}}?)?| ?(?:{_SHORT})/(?:{_SHORT})"
    rf"| [A-Za-z][A-Za-z'-]{{2,}}(?:[ /][A-Za-z'-]+){{0,5}})\.?"
)
_NAMES = re.compile(  # what follows a number in a formula, and is no unit
    r"(?:pi|sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|mod|and|or|choose|times|plus|minus|to|over|[a-z])\b"
)
_SCALE = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_WHOLE = re.compile(
    rf"(?P<sign>[-+]?) ?(?:(?:US|USD|EUR|Rs\.?) ?)?[{_MONEY}]? ?(?P<minus>-?)"
    rf"(?:(?P<mixed>[0-9]+) +(?P<top>[0-9]+)/(?P<bottom>[0-9]+)"
    rf"|(?P<numerator>-?{_DECIMAL}) ?/ ?(?P<denominator>-?{_DECIMAL})"
    rf"|(?P<decimal>{_DECIMAL})(?:(?:[eE]|(?: ?(?:\*|×|\\times|\\cdot) ?10\^)\{{?)(?P<exponent>[-+]?[0-9]{{1,3}})\}}?)?"
    rf"|(?P<comma>[0-9]+,[0-9]+))"
    rf"(?: (?P<scale>{'|'.join(_SCALE)}))?(?P<percent> ?(?:%|(?i:percent|percentage|pct)\b))?"
    rf" ?[{_MONEY}]?(?P<unit>{_UNIT})?"
)

# In a sentence: no space between thousands there, and not inside a word.
_PLAIN = r"(?:[0-9]+(?:,[0-9]+)*(?:\.[0-9]+)?|\.[0-9]+)"
_TOKEN = re.compile(
    rf"(?:(?<![\w)\]}}])-)?\\[dtc]?frac\{{-?{_PLAIN}\}}\{{-?{_PLAIN}\}}"
    rf"|(?:(?<![\w)\]}}])- ?)?(?:\\?[{_MONEY}])?(?<![A-Za-z0-9_\\])-?"
    rf"(?:[0-9]+ +[0-9]+/[0-9]+|{_PLAIN}(?: ?/ ?{_PLAIN})?)(?![0-9])(?: ?\\?%| (?:percent|million|billion|thousand)\b)?"
)


def read(text: str, units: bool = True, comma: bool = True) -> Numeral | None:
    """The number that a text is; None if it is not one. `units`: a unit may follow. `comma`: `2,74` is 2.74."""
    if len(text) > LONGEST:
        return None
    return Numeral(Fraction(int(text)), False) if _SIMPLE.fullmatch(text) else _read(text, units, comma)


@lru_cache(maxsize=1 << 14)
def _read(text: str, units: bool, comma: bool) -> Numeral | None:
    found = _WHOLE.fullmatch(_tidied(text))
    if not found:
        return None
    part = found.groupdict()
    if part["unit"] and (not units or _NAMES.match(part["unit"].strip())):
        return None
    if (part["comma"] and not comma) or (part["sign"] and part["minus"]):
        return None
    try:
        value = _value(part)
    except ZeroDivisionError:
        return None
    if part["scale"]:
        value *= _SCALE[part["scale"]]
    return Numeral(-value if "-" in (part["sign"], part["minus"]) else value, bool(part["percent"]))


def _value(part: dict[str, str | None]) -> Fraction:
    if part["mixed"]:
        return int(part["mixed"]) + Fraction(int(part["top"]), int(part["bottom"]))
    if part["numerator"]:
        return _fraction(part["numerator"]) / _fraction(part["denominator"])
    if part["comma"]:
        return Fraction(part["comma"].replace(",", "."))
    value = _fraction(part["decimal"])
    return value * Fraction(10) ** int(part["exponent"]) if part["exponent"] else value


def _fraction(digits: str) -> Fraction:
    whole, _, rest = digits.replace(",", "").replace(" ", "").partition(".")
    return Fraction(int(whole + rest), 10 ** len(rest)) if rest else Fraction(int(whole))


def _tidied(text: str) -> str:
    """The text without the markup that does not change a number."""
    text = text.translate(_SYMBOLS).strip()
    for _ in range(4):
        if not (inner := _WRAPPED.fullmatch(text)):
            break
        text = inner[inner.lastindex].strip()
    if "\\" in text or "~" in text or "{" in text:
        for pattern, new in _REWRITES:
            text = pattern.sub(new, text)
    return " ".join(text.lstrip("=≈").rstrip(".,;:!").split())


def tokens(text: str) -> list[tuple[int, str]]:
    """(position, number as written) of the numbers in a text."""
    return [(match.start(), _one(match[0])) for match in _TOKEN.finditer(text.translate(_SYMBOLS))]


def stated(sentence: str) -> str | None:
    """The number that answers in "the answer is ...": the one it begins with, else the last one."""
    found = tokens(sentence)
    if found and found[0][0] < 4 and "=" not in sentence:
        return found[0][1]
    return found[-1][1] if found else None


def last(text: str) -> str | None:
    """The last number in a text, as it is written there; None if there is none."""
    found = tokens(text)
    return found[-1][1] if found else None


def _one(token: str) -> str:
    """Of a token that is a list without spaces, the last number."""
    return token if "," not in token or read(token) else token.rpartition(",")[2]
