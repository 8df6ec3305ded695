"""Inputs on which the programs of a code problem are compared: those that its reader sees, and small changes of them.

Visible inputs are those of the public tests, or the examples in the docstring of the function. Hidden tests and published
solutions are never looked at. Changes keep the form of an input and are keyed by problem and number.
"""

from __future__ import annotations

import ast
import itertools
import random
import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from stages.lib.core import seeds
from stages.lib.core.records import Problem

VERSION = 2  # part of every draw
MAX_VISIBLE_INPUTS, MAX_CHANGED_INPUTS = 8, 8
MAX_INPUT_CHARS = 10_000  # longer inputs are not changed

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,18}(?![\w.])")
_WORD = re.compile(r"[A-Za-z]{2,}|[01]{5,}")


def make_inputs(problem: Problem) -> tuple[list[Any], int]:
    """(inputs, how many of them, at the start, are visible ones). An input is a text, or a tuple of arguments."""
    tests = problem.tests or {}
    change: Callable[[Any, list[Any], random.Random], Any]
    visible: list[Any]
    if "entry_point" in tests:
        visible, change = read_examples(problem.question, tests["entry_point"]), _change_arguments
    else:
        visible, change = list(dict.fromkeys((tests.get("public") or {}).get("input", []))), _change_text
    visible = visible[:MAX_VISIBLE_INPUTS]
    inputs = {repr(value): value for value in visible}
    for number in range(3 * MAX_CHANGED_INPUTS if visible else 0):
        draw = seeds.rng("behaviour", VERSION, problem.id, number)
        value = change(visible[number % len(visible)], visible, draw)
        inputs.setdefault(repr(value), value)
    return [*inputs.values()][: len(visible) + MAX_CHANGED_INPUTS], len(visible)


# Examples in the docstring of a function.


def read_examples(question: str, entry_point: str) -> list[tuple[Any, ...]]:
    """Arguments of the function in its docstring: `f(1, "a")` in any form of example, or `n = 3` for every parameter."""
    head = re.search(rf"def\s+{re.escape(entry_point)}\s*\(", question)
    if not head:
        return []
    text = question[head.end() :]
    names = _read_parameters(question[head.start() :])
    examples: list[tuple[Any, ...]] = []
    for call in re.finditer(rf"\b{re.escape(entry_point)}\s*\(", text):
        rest = text[call.end() :]
        arguments = _read_literals(rest[: end.start()] for end in re.finditer(r"\)", rest))
        if arguments is not None and (not names or len(arguments) == len(names)):
            examples.append(arguments)
    if not examples and names:
        columns = [_read_values(text, name) for name in names]
        if len({len(column) for column in columns}) == 1:
            examples = list(zip(*columns, strict=True))
    return list({repr(example): example for example in examples}.values())


def _read_values(text: str, name: str) -> list[Any]:
    """The values that a text gives a parameter: the longest literal after `name =` or `name :` in its line."""
    values = []
    for match in re.finditer(rf"\b{re.escape(name)}\s*[=:]\s*(\S.*)", text):
        literals = _read_literals(match[1][:end] for end in range(len(match[1]), 0, -1))
        values += [literals[0]] if literals else []
    return values


def _read_parameters(definition: str) -> list[str]:
    """The names of a function's parameters; [] if it takes any number of them."""
    try:
        function = ast.parse(definition.partition("\n")[0].rstrip() + " ...").body[0]
    except (SyntaxError, ValueError):
        return []
    if not isinstance(function, ast.FunctionDef):
        return []
    parameters = function.args
    if parameters.vararg or parameters.kwarg or parameters.kwonlyargs or parameters.defaults:
        return []
    return [parameter.arg for parameter in parameters.args]


def _read_literals(texts: Iterable[str]) -> tuple[Any, ...] | None:
    """The arguments in the first text that consists of literals; None if there is none."""
    for text in itertools.islice(texts, 400):
        try:
            with warnings.catch_warnings(action="ignore"):  # prose looks like odd code
                return ast.literal_eval(f"({text},)" if text.strip() else "()")
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


# Changes.


def _change_arguments(
    example: tuple[Any, ...], examples: list[tuple[Any, ...]], draw: random.Random
) -> tuple[Any, ...]:
    """The arguments with one of them changed."""
    changed = draw.randrange(len(example)) if example else 0
    others = [arguments[changed] for arguments in examples if len(arguments) > changed]
    return tuple(_change(value, others, draw) if place == changed else value for place, value in enumerate(example))


def _change(value: Any, others: list[Any], draw: random.Random) -> Any:
    """Another value of the same type: near by, or with a part left out, repeated, moved or changed.

    others: values in the same place, whose range an integer keeps to.
    """
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        integers = [other for other in others if isinstance(other, int) and not isinstance(other, bool)]
        if len(set(integers)) > 1:
            return draw.randint(min(integers), max(integers))
        return max(value + draw.choice((-1, 1, 2)), 0)
    if isinstance(value, float):
        return round(value + draw.choice((-1.0, -0.5, 0.5, 1.0)), 6)
    if isinstance(value, str | list | tuple) and value:
        parts = list(value)
        place, action = draw.randrange(len(parts)), draw.choice(("remove", "repeat", "swap", "change"))
        if action == "remove":
            del parts[place]
        elif action == "repeat":
            parts.insert(place, parts[draw.randrange(len(parts))])
        elif action == "swap":
            other = draw.randrange(len(parts))
            parts[place], parts[other] = parts[other], parts[place]
        else:
            parts[place] = draw.choice(parts) if isinstance(value, str) else _change(parts[place], parts, draw)
        return "".join(parts) if isinstance(value, str) else type(value)(parts)
    if isinstance(value, dict) and value:
        key = draw.choice(list(value))
        return {**value, key: _change(value[key], list(value.values()), draw)}
    return value


def _change_text(text: str, texts: list[str], draw: random.Random) -> str:
    """The text with one change: a line's words in another order, another letter in a word, or another number.

    A new number is in the range of those at its place in all texts and in its line. Numbers that may count something, and
    the order of the first line, are kept.
    """
    if len(text) > MAX_INPUT_CHARS:
        return text
    lines = text.split("\n")
    changes: list[tuple[int, re.Match[str] | None]] = []  # (line, the number or word to change; None: shuffle the line)
    for index, line in enumerate(lines):
        if len(line.split()) > 2 and len({*line.split()}) > 1 and index:
            changes.append((index, None))
        counts = _find_counts(line, [following.split() for following in lines[index + 1 :] if following.strip()])
        changes += [(index, match) for match in _NUMBER.finditer(line) if int(match[0]) not in counts]
        changes += [(index, match) for match in _WORD.finditer(line)]
    if not changes:
        return text
    index, match = draw.choice(changes)
    line = lines[index]
    if match is None:
        words = line.split()
        draw.shuffle(words)
        lines[index] = " ".join(words)
        return "\n".join(lines)
    if match.re is _NUMBER:
        place = len(line[: match.start()].split())
        rows = [words for other in texts for words in _split_line(other, index)]
        candidates = [words[place] for words in rows if len(words) > place] + line.split()
        numbers = [int(word) for word in candidates if _NUMBER.fullmatch(word)] or [int(match[0])]
        replacement = str(draw.randint(min(numbers), max(numbers)))
    else:
        letters = list(match[0])
        letters[draw.randrange(len(letters))] = draw.choice(letters)
        replacement = "".join(letters)
    lines[index] = line[: match.start()] + replacement + line[match.end() :]
    return "\n".join(lines)


def _split_line(text: str, index: int) -> list[list[str]]:
    """[the words of a line]; [] if there is no such line."""
    return [line.split() for line in text.split("\n")[index : index + 1]]


def _find_counts(line: str, following: list[list[str]]) -> set[int]:
    """Numbers that may count something: the words after the first, the lines that follow, their words and letters."""
    first, lines = line.split()[:1], len(following)
    words = {len(line.split()) - 1} & {int(word) for word in first if _NUMBER.fullmatch(word)}
    line_counts = {lines, lines + 1, lines // 2, lines // 3} if following else set()
    letters = {len(word) for row in following for word in row if _WORD.fullmatch(word)}
    return words | line_counts | letters | {len(row) for row in following}
