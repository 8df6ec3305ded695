"""Numbers and units of options in figures and in words: `42` and `forty-two`, `5 kg` and `5 kilograms`."""

from __future__ import annotations

import re

from stages.lib.lifting.quantities import WORDS

_NAMES = {number: word for word, number in WORDS.items()}
LARGEST = 999  # beyond it figures read better
UNITS = {  # short form -> long form after any number but 1; one name a unit, so that nothing is lost either way
    "kg": "kilograms", "g": "grams", "mg": "milligrams", "km": "kilometers", "cm": "centimeters", "mm": "millimeters",
    "m": "meters", "nm": "nanometers", "m/s": "meters per second", "m/s^2": "meters per second squared",
    "km/h": "kilometers per hour", "mL": "milliliters", "ml": "milliliters", "L": "liters", "J": "joules",
    "kJ": "kilojoules", "N": "newtons", "W": "watts", "kW": "kilowatts", "Hz": "hertz", "kHz": "kilohertz",
    "MHz": "megahertz", "V": "volts", "Pa": "pascals", "kPa": "kilopascals", "atm": "atmospheres", "s": "seconds",
    "ms": "milliseconds", "min": "minutes", "mol": "moles", "°C": "degrees Celsius", "°F": "degrees Fahrenheit",
    "eV": "electron volts", "Ω": "ohms", "T": "tesla", "mA": "milliamperes",
}  # fmt: skip
_MEASURE = re.compile(
    rf"^(-?[0-9][0-9,]*(?:\.[0-9]+)?) ?({'|'.join(sorted(map(re.escape, UNITS), key=len, reverse=True))})$"
)
_LEADING = re.compile(r"^([0-9]|[1-9][0-9]{1,2})(?= [a-z]{3,}|$)(?! (?:times|over|and|or|percent)\b)(?=[^0-9]*$)")


def spelled(number: int) -> str:
    """A number from 0 to LARGEST in words."""
    if number in _NAMES:
        return _NAMES[number]
    if number < 100:
        return f"{_NAMES[number // 10 * 10]}-{_NAMES[number % 10]}"
    return f"{_NAMES[number // 100]} hundred" + (f" {spelled(number % 100)}" if number % 100 else "")


_WORD = "|".join([*WORDS, "hundred"])
_SPELLED = re.compile(rf"^((?:{_WORD})(?:[- ](?:{_WORD}))*)(?= [a-z]|$)")
_VALUES = {spelled(number): number for number in range(LARGEST + 1)}


def in_words(text: str) -> str:
    """The leading number in words, or a unit in full; the text itself where neither stands there."""
    if found := _MEASURE.match(text):
        return f"{found[1]} {UNITS[found[2]]}" if found[1] not in ("1", "-1") else text
    return _LEADING.sub(lambda found: spelled(int(found[1])), text)


def in_figures(text: str) -> str:
    """The other way: equal for a text and its `in_words`."""
    if (found := _SPELLED.match(text)) and found[1] in _VALUES:
        text = f"{_VALUES[found[1]]}{text[found.end() :]}"
    if found := _MEASURE.match(text):
        return f"{found[1]} {UNITS[found[2]]}"
    return text
