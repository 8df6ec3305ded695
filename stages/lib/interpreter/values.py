"""Values of programs, and what each operation on them may cost.

Numbers are exact: `/` gives a fraction in lowest terms, or a whole number where it is one. Every part of a value that an
operation reads or makes costs fuel before the operation runs, so that no nested list, long text or power can hold up the
interpreter: a value that contains itself runs out of fuel while it is weighed.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import isqrt
from types import GeneratorType
from typing import Any

from stages.lib.interpreter.language import OutsideLanguageError, ProgramError

MAX_BITS = 2048  # of a whole number, of a numerator and of a denominator
MAX_LENGTH = 100_000  # characters of a text, items of a list
CHARACTERS = 16  # of a text cost one unit of fuel
MAX_HASHED_BITS = 60  # of a number whose hash no other number of its size has
LONG_KEY_FUEL = 100  # of a longer one

_TEXT_METHODS = """
    split splitlines join strip lstrip rstrip lower upper replace startswith endswith find index count isdigit isalpha
    isupper islower removeprefix removesuffix title capitalize
"""
METHODS: dict[type, frozenset[str]] = {
    str: frozenset(_TEXT_METHODS.split()),
    list: frozenset(
        ("append", "extend", "insert", "pop", "remove", "reverse", "sort", "index", "count", "copy", "clear")
    ),
    dict: frozenset(("get", "keys", "values", "items", "pop", "setdefault", "update", "copy")),
    tuple: frozenset(("index", "count")),
}
VIEWS = (type({}.keys()), type({}.values()), type({}.items()))  # of a dictionary
ITERATORS = (GeneratorType, enumerate, zip)
ITEMS = (*VIEWS, *ITERATORS)  # are read where they are made, and never kept
_ITERABLE = (str, list, tuple, dict, range, *VIEWS)
_READERS = ("extend", "join", "update")  # methods that read items
_COMPARISONS: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


class Meter:
    """Fuel: an operation costs one, and one more for each part of a value that it reads."""

    def __init__(self, fuel: int):
        self.fuel = fuel

    def spend(self, amount: int = 1) -> None:
        """Raises ProgramError when the fuel is used up."""
        self.fuel -= amount
        if self.fuel < 0:
            raise ProgramError("out of fuel: it takes too many steps")

    def weigh_key(self, *keys: Any) -> None:
        """Spend what hashing keys of a dictionary costs. Long numbers can be chosen so that their hashes are equal, and a
        dictionary then compares each with all others."""
        self.weigh(*keys, long_number=LONG_KEY_FUEL)

    def weigh(self, *values: Any, long_number: int = 0) -> None:
        """Spend what reading every part of the values costs. long_number: what such a one costs."""
        stack = list(values)
        while stack:
            value = stack.pop()
            if isinstance(value, str):
                self.spend(len(value) // CHARACTERS)
            elif isinstance(value, list | tuple):
                self.spend(len(value))
                stack += value
            elif isinstance(value, dict):
                self.spend(2 * len(value))
                stack += [*value, *value.values()]
            elif isinstance(value, VIEWS):
                stack.append(list(value))
            elif long_number and isinstance(value, int | Fraction):
                self.spend(long_number * (count_bits(value) > MAX_HASHED_BITS))


def count_bits(value: int | Fraction) -> int:
    """Of a whole number, or of the longer one of numerator and denominator."""
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def check_number(value: Any) -> Any:
    """The number, a whole one as int. Raises ProgramError for one that is too large."""
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    if count_bits(value) > MAX_BITS:
        raise ProgramError(f"a number of more than {MAX_BITS} bits")
    return value


def read_constant(value: Any) -> Any:
    """A literal: a decimal becomes the fraction that it is written as."""
    if isinstance(value, float):
        if value in (float("inf"), float("-inf")):
            raise OutsideLanguageError("a number without end")
        return check_number(Fraction(repr(value)))
    return check_number(value) if type(value) is int else value


def format_value(value: Any, inner: bool = False) -> str:
    """What `print` shows. inner: inside a list or dictionary, where texts have quotation marks."""
    if isinstance(value, str):
        return repr(value) if inner else value
    if isinstance(value, list):
        return f"[{', '.join(format_value(item, True) for item in value)}]"
    if isinstance(value, tuple):
        return f"({', '.join(format_value(item, True) for item in value)}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{format_value(k, True)}: {format_value(v, True)}' for k, v in value.items())}}}"
    return str(keep(value))


def calculate(symbol: ast.operator, a: Any, b: Any, meter: Meter) -> Any:
    """`a symbol b`. Raises ProgramError for a result that is too large, TypeError and ZeroDivisionError as Python does."""
    if isinstance(a, int | Fraction) and isinstance(b, int | Fraction):
        return check_number(_calculate_number(symbol, a, b))
    if isinstance(symbol, ast.Add) and type(a) is type(b) and isinstance(a, str | list | tuple):
        meter.weigh(a, b)
        check_length(len(a) + len(b))
        return a + b
    if isinstance(symbol, ast.Mult):
        texts, number = (a, b) if isinstance(b, int) else (b, a)
        if isinstance(texts, str | list | tuple) and isinstance(number, int):
            length = len(texts) * max(0, number)
            check_length(length)
            meter.spend(length // (CHARACTERS if isinstance(texts, str) else 1))
            return texts * number
    if isinstance(symbol, ast.Mod) and isinstance(a, str):
        raise OutsideLanguageError("Mod of str: `%` writes no text here")
    raise TypeError(f"{type(symbol).__name__} of {name_type(a)} and {name_type(b)}")


def _calculate_number(symbol: ast.operator, a: Any, b: Any) -> Any:
    if isinstance(symbol, ast.Div):
        return Fraction(a) / b
    if isinstance(symbol, ast.Pow):
        if not isinstance(b, int):
            raise OutsideLanguageError("a power that is no whole number")
        bits = max(abs(a.numerator).bit_length(), a.denominator.bit_length())
        if bits > 1 and bits * abs(b) > 2 * MAX_BITS:
            raise ProgramError(f"a number of more than {MAX_BITS} bits")
        return Fraction(a) ** b if b < 0 else a**b
    plain: Mapping[type, Callable[[Any, Any], Any]] = {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.FloorDiv: operator.floordiv,
        ast.Mod: operator.mod,
    }
    return plain[type(symbol)](a, b)


def compare(symbol: ast.cmpop, a: Any, b: Any, meter: Meter) -> bool:
    if isinstance(symbol, ast.Is | ast.IsNot):
        if not any(x is None or isinstance(x, bool) for x in (a, b)):
            raise OutsideLanguageError("`is` compares with None, True and False only")
        return (a is b) == isinstance(symbol, ast.Is)
    meter.weigh(a, b)
    if isinstance(b, range) and not isinstance(a, int):
        meter.spend(len(b[:MAX_LENGTH]))  # Python compares with each
    if isinstance(b, ITERATORS):  # read only as far as need be
        is_in = any(item is a or compare(ast.Eq(), item, a, meter) for item in b)
        return is_in == isinstance(symbol, ast.In)
    return _COMPARISONS[type(symbol)](a, b)


def check_length(length: int) -> None:
    if length > MAX_LENGTH:
        raise ProgramError(f"a text or list of more than {MAX_LENGTH:,} characters or items")


def call_method(owner: Any, name: str, arguments: list[Any], meter: Meter) -> Any:
    """Raises ProgramError for a method that is not of the language, or whose result is too large."""
    if name not in METHODS.get(type(owner), ()):
        raise OutsideLanguageError(f"{name_type(owner)} has no method {name} here")
    if name not in _READERS:
        for argument in arguments:
            keep(argument)
    if name in ("append", "get", "keys", "values", "items", "pop", "setdefault"):
        weigh = {dict: meter.weigh_key}.get(type(owner), meter.weigh)
        weigh(*arguments[:1])
    else:
        meter.weigh(owner, *arguments)
    if name == "join" and len(arguments) == 1:
        parts = list(iterate(arguments[0], meter))
        check_length(sum(len(part) for part in parts) + len(owner) * len(parts))
        return owner.join(parts)
    if name == "replace" and len(arguments) >= 2:
        count = owner.count(arguments[0])
        check_length(len(owner) + count * len(arguments[1]))
        meter.spend(count * len(arguments[1]) // CHARACTERS)
    if name == "extend" and len(arguments) == 1 and not isinstance(arguments[0], list | tuple):
        arguments = [iterate(arguments[0], meter)]
    elif name == "extend":
        check_length(len(owner) + sum(map(len, arguments)))
    if name == "update":
        return update(owner, arguments, meter)
    result = getattr(owner, name)(*arguments)
    check_length(len(owner))
    return result


def update(table: dict[Any, Any], sources: Sequence[Any], meter: Meter) -> None:
    """`table.update(*sources)`: the source is a dictionary, or pairs."""
    if len(sources) > 1:
        raise TypeError(f"one dictionary at most, not {len(sources)}")
    for source in sources:
        for pair in iterate(source.items() if isinstance(source, dict) else source, meter):
            key, value = iterate(pair, meter)
            meter.weigh_key(key)
            table[key] = value


def keep(value: Any) -> Any:
    """The value. Raises OutsideLanguageError for items that are read where they are made."""
    if isinstance(value, ITEMS):
        raise OutsideLanguageError(f"{name_type(value)} is read where it is made here, and no value")
    return value


def iterate(value: Any, meter: Meter) -> Iterator[Any]:
    """The items of a value as they are when each is read, one unit of fuel each. Raises TypeError for what has none."""
    if isinstance(value, ITERATORS):
        return value  # what it reads has its cost
    if not isinstance(value, _ITERABLE):
        raise TypeError(f"{name_type(value)} has no items")
    return read_items(iter(value), meter)


def read_items(items: Iterator[Any], meter: Meter) -> Iterator[Any]:
    for item in items:
        meter.spend()
        yield item


def take_root(value: Any) -> Any:
    """The exact square root. Raises ProgramError where it is no fraction."""
    if not isinstance(value, int | Fraction) or value < 0:
        raise ProgramError("sqrt of what is no number from 0 on")
    top, bottom = isqrt(value.numerator), isqrt(value.denominator)
    if (top * top, bottom * bottom) != (value.numerator, value.denominator):
        raise ProgramError("sqrt that is no fraction")
    return check_number(Fraction(top, bottom))


def read_number(*arguments: Any) -> Any:
    """`int(value, base)`."""
    return check_number(int(*arguments))


def name_type(value: Any) -> str:
    return "number" if isinstance(value, Fraction) else type(value).__name__
