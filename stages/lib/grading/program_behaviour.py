"""Behaviour of programs: which do the same? Votes over programs group by it, for equal programs rarely look equal.

Programs are run on inputs that a reader of the problem has: those of the public tests or of the docstring's examples, and
small changes of these that keep their form. What they give on all of them, errors included, is their behaviour (as in
AlphaCode, Li et al. 2022, arXiv 2203.07814, and MBR-exec, Shi et al. 2022, arXiv 2204.11454). Hidden tests and published
solutions are never looked at. A changed input may break what the statement promises, and right programs differ there. So
it counts only if the programs of the largest class, by the unchanged inputs, mostly agree on it and do not fail. Where no
input can be made, equal behaviour is equal text, but for comments and white space.

Changes are keyed by problem and number, outcomes are kept with the verdicts in `.assay/judge/`.
"""

from __future__ import annotations

import ast
import itertools
import json
import math
import random
import re
import secrets
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from stages.lib.core import json_cache, seeds
from stages.lib.core.records import Problem
from stages.lib.grading import code_tests, programs, sandbox
from stages.lib.grading.code_tests import Comparison
from stages.lib.grading.prefetch import MAX_AHEAD, run_ahead

VERSION = 2  # part of every draw and of every kept outcome
MAX_PUBLIC_INPUTS, MAX_CHANGED_INPUTS = 8, 8  # inputs at most
LIMITS = sandbox.DEFAULT_LIMITS._replace(cpu_seconds=5)
MAX_INPUT_CHARS = 10_000  # characters of an input that is changed
CALL_SECONDS = 1.0  # of the processor, for one call of a function
VALUE_PREFIX = "="  # begins an outcome that is a value; others say how the program failed

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,18}(?![\w.])")
_WORD = re.compile(r"[A-Za-z]{2,}|[01]{5,}")


def group(problem: Problem, solutions: Sequence[str | None]) -> list[int]:
    """A class for each program, counted from 0 in order of first appearance; -1 for none and for one that always fails."""
    (classes,) = group_ahead([(problem, solutions)])
    return classes


def group_ahead(pools: Iterable[tuple[Problem, Sequence[str | None]]], ahead: int = MAX_AHEAD) -> Iterator[list[int]]:
    """`group` for each problem and its programs, in order, on all cores.

    Raises UserError where this machine has no sandbox.
    """
    for (names, unchanged), outcomes in run_ahead(map(_prepare_jobs, pools), ahead):
        yield _classify(names, unchanged, outcomes)


def group_by_text(solutions: Sequence[str | None]) -> list[int]:
    """Classes of programs that are the same but for comments and white space."""
    return _assign_ids([None if code is None else programs.normalise(code) for code in solutions])


def make_inputs(problem: Problem) -> tuple[list[Any], int]:
    """The inputs of a problem, and how many of them, the first, were given: texts, or arguments (tuples)."""
    tests = problem.tests or {}
    if "entry_point" in tests:
        given, change = read_examples(problem.question, tests["entry_point"]), _change_arguments
    else:
        given, change = list(dict.fromkeys((tests.get("public") or {}).get("input", []))), _change_text
    given = given[:MAX_PUBLIC_INPUTS]
    changed: list[Any] = []
    for number in range(3 * MAX_CHANGED_INPUTS if given else 0):
        draw = seeds.rng("behaviour", VERSION, problem.id, number)
        one = change(given[number % len(given)], given, draw)
        if repr(one) not in {repr(other) for other in given + changed}:
            changed.append(one)
    return given + changed[:MAX_CHANGED_INPUTS], len(given)


def _prepare_jobs(pool: tuple[Problem, Sequence[str | None]]) -> tuple[Any, dict[str, Callable[[], list[str]]]]:
    problem, solutions = pool
    given, unchanged = make_inputs(problem)
    entry_point = (problem.tests or {}).get("entry_point")
    codes = [programs.extract(code or "", problem.question, entry_point) for code in solutions]
    texts = [None if code is None else programs.normalise(code) for code in codes]
    if not given:
        return (texts, 0), {}
    rule = code_tests.read_comparison(problem.question, problem.tests)
    known = json_cache.hash_value(["behaviour", VERSION, repr(given), rule, LIMITS])
    jobs, names = {}, {}
    for text, code in zip(texts, codes, strict=True):
        if code is not None and text not in names:
            names[text] = json_cache.hash_value([known, entry_point, text])
            jobs[names[text]] = partial(_observe, names[text], code, given, entry_point, rule)
    return ([names.get(text) for text in texts], unchanged), jobs


def _classify(names: list[str | None], unchanged: int, outcomes: dict[str, list[str]]) -> list[int]:
    if not outcomes:
        return _assign_ids(names)
    by_unchanged: dict[str, list[list[str]]] = {}
    for each in outcomes.values():
        if any(map(_is_value, each[:unchanged])):
            by_unchanged.setdefault(json.dumps(each[:unchanged]), []).append(each)
    largest = max(by_unchanged.values(), key=len, default=[])
    valid = [
        place < unchanged or _is_agreed([each[place] for each in largest])
        for place in range(len(next(iter(outcomes.values()))))
    ]
    told: list[str | None] = []
    for name in names:
        mine = [one for one, counts in zip(outcomes[name], valid, strict=True) if counts] if name else []
        told.append(json.dumps(mine) if any(map(_is_value, mine)) else None)
    return _assign_ids(told)


def _is_value(outcome: str) -> bool:
    return outcome.startswith(VALUE_PREFIX)


def _is_agreed(outcomes: list[str]) -> bool:
    ((common, number),) = Counter(outcomes).most_common(1) or [("", 0)]
    return _is_value(common) and 2 * number >= len(outcomes)


def _assign_ids(values: Sequence[str | None]) -> list[int]:
    ids: dict[str, int] = {}
    return [-1 if value is None else ids.setdefault(value, len(ids)) for value in values]


# Runs.


def _observe(name: str, code: str, given: list[Any], entry_point: str | None, rule: Comparison) -> list[str]:
    kept = json_cache.open_cache(code_tests.CACHE_FOLDER)
    if (known := kept.get(name)) is not None:
        return known
    outcomes, sure = _call_function(code, given, entry_point) if entry_point else _run_program(code, given, rule)
    if sure:
        kept.set(name, outcomes)
    return outcomes


def _run_program(code: str, given: list[str], rule: Comparison) -> tuple[list[str], bool]:
    """What a program prints for each input; after the first that it does not end on, it is taken to end on none."""
    outcomes: list[str] = []
    sure = True
    for text in given:
        outcome = sandbox.run(code, code_tests.ensure_trailing_newline(text), LIMITS)
        sure = sure and outcome.is_conclusive
        outcomes.append(VALUE_PREFIX + _normalise(outcome.stdout, rule) if outcome.status == "ok" else outcome.status)
        if outcome.status not in ("ok", "error"):
            outcomes += [outcome.status] * (len(given) - len(outcomes))
            break
    return outcomes, sure


def _normalise(printed: str, rule: Comparison) -> str:
    """An output as the judge compares it: its words, their case and errors aside where these do not count."""
    words = printed.lower().split() if rule.any_case else printed.split()
    if rule.tolerance is not None:
        words = [_round(word, rule.tolerance) for word in words]
    return " ".join(words)


def _round(word: str, tolerance: float) -> str:
    try:
        value = float(word)
    except ValueError:
        return word
    return f"{value + 0.0:.{max(1, round(-math.log10(tolerance)) - 1)}g}"  # -0 is 0


_DRIVER = """
def {run}(builtins, json, signal, token):
    def stop(*_):
        raise builtins.TimeoutError

    def show(value, depth=0):
        if depth > 20:
            return "..."
        if builtins.isinstance(value, builtins.int):
            return builtins.str(builtins.int(value))
        if builtins.isinstance(value, builtins.float):
            return builtins.format(value + 0.0, ".9g")
        for kind in (builtins.list, builtins.tuple, builtins.set, builtins.frozenset, builtins.dict):
            if builtins.isinstance(value, kind):
                items = value.items() if kind is builtins.dict else value
                shown = [show(one, depth + 1) for one in items]
                ordered = kind in (builtins.list, builtins.tuple)
                return kind.__name__ + "(" + ", ".join(shown if ordered else builtins.sorted(shown)) + ")"
        text = builtins.repr(value)
        return builtins.type(value).__name__ if " at 0x" in text else text

    signal.signal(signal.SIGVTALRM, stop)
    outcomes = []
    for arguments in json.loads({arguments!r}):
        signal.setitimer(signal.ITIMER_VIRTUAL, {seconds})
        try:
            outcomes.append({value!r} + show({entry_point}(*builtins.eval(arguments, {{}}))))
        except builtins.TimeoutError:
            outcomes.append("time")
        except builtins.Exception:
            outcomes.append("error")
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        builtins.print("\\n" + token + json.dumps(outcomes), flush=True)
{run}(__import__("builtins"), __import__("json"), __import__("signal"), {token!r})
"""


def _call_function(code: str, given: list[tuple[Any, ...]], entry_point: str) -> tuple[list[str], bool]:
    """What a function returns for each tuple of arguments, all in one run. Equal values are equal texts; a word that no
    program knows stands before them."""
    end = secrets.token_hex(8)
    arguments = json.dumps([repr(each) for each in given])
    driver = _DRIVER.format(
        run=f"_{end}", token=end, entry_point=entry_point, arguments=arguments, value=VALUE_PREFIX, seconds=CALL_SECONDS
    )
    outcome = sandbox.run(f"{code}\n{driver}", "", LIMITS)
    _, met, told = outcome.stdout.rpartition(f"\n{end}")
    outcomes = json.loads(told.partition("\n")[0]) if met else []
    failed = "error" if outcome.status == "ok" else outcome.status  # it ended before the last call
    return outcomes + [failed] * (len(given) - len(outcomes)), outcome.is_conclusive


# Inputs.


def read_examples(question: str, entry_point: str) -> list[tuple[Any, ...]]:
    """Arguments of the function in its docstring: `f(1, "a")` in any form of example, or `n = 3` for every parameter."""
    head = re.search(rf"def\s+{re.escape(entry_point)}\s*\(", question)
    if not head:
        return []
    text = question[head.end() :]
    names = _read_parameters(question[head.start() :])
    found: list[tuple[Any, ...]] = []
    for call in re.finditer(rf"\b{re.escape(entry_point)}\s*\(", text):
        rest = text[call.end() :]
        arguments = _read_literal(rest[: end.start()] for end in re.finditer(r"\)", rest))
        if arguments is not None and (not names or len(arguments) == len(names)):
            found.append(arguments)
    if not found and names:
        columns = [_read_values(text, name) for name in names]
        if len({len(column) for column in columns}) == 1:
            found = list(zip(*columns, strict=True))
    return [each for number, each in enumerate(found) if repr(each) not in map(repr, found[:number])]


def _read_values(text: str, name: str) -> list[Any]:
    """What a text says that a parameter is: the longest literal after `name =` or `name :` in its line."""
    found = []
    for match in re.finditer(rf"\b{re.escape(name)}\s*[=:]\s*(\S.*)", text):
        value = _read_literal(match[1][:end] for end in range(len(match[1]), 0, -1))
        found += [value[0]] if value else []
    return found


def _read_parameters(definition: str) -> list[str]:
    """The names of a function's parameters; none where it takes any number of them."""
    body = definition.partition("\n")[0].rstrip() + " ..."
    try:
        arguments = ast.parse(body).body[0].args
    except (SyntaxError, ValueError, AttributeError):
        return []
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.defaults:
        return []
    return [each.arg for each in arguments.args]


def _read_literal(texts: Iterable[str]) -> tuple[Any, ...] | None:
    """The arguments in the first text that is literals and nothing else; None where there is none."""
    for text in itertools.islice(texts, 400):
        try:
            with warnings.catch_warnings(action="ignore"):  # prose looks like odd code
                return ast.literal_eval(f"({text},)" if text.strip() else "()")
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


def _change_arguments(one: tuple[Any, ...], given: list[tuple[Any, ...]], draw: random.Random) -> tuple[Any, ...]:
    place = draw.randrange(len(one)) if one else 0
    others = [each[place] for each in given if len(each) > place]
    return tuple(_change(value, others, draw) if here == place else value for here, value in enumerate(one))


def _change(value: Any, others: list[Any], draw: random.Random) -> Any:
    """Another value of the type: near by, or with parts left out, twice, or in another order."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        known = [each for each in others if isinstance(each, int) and not isinstance(each, bool)]
        return draw.randint(min(known), max(known)) if len(set(known)) > 1 else max(value + draw.choice((-1, 1, 2)), 0)
    if isinstance(value, float):
        return round(value + draw.choice((-1.0, -0.5, 0.5, 1.0)), 6)
    if isinstance(value, str | list | tuple) and value:
        parts = list(value)
        at, way = draw.randrange(len(parts)), draw.choice(("leave", "twice", "swap", "change"))
        if way == "leave":
            del parts[at]
        elif way == "twice":
            parts.insert(at, parts[draw.randrange(len(parts))])
        elif way == "swap":
            to = draw.randrange(len(parts))
            parts[at], parts[to] = parts[to], parts[at]
        else:
            parts[at] = draw.choice(parts) if isinstance(value, str) else _change(parts[at], parts, draw)
        return "".join(parts) if isinstance(value, str) else type(value)(parts)
    if isinstance(value, dict) and value:
        key = draw.choice(list(value))
        return {**value, key: _change(value[key], list(value.values()), draw)}
    return value


def _change_text(text: str, given: list[str], draw: random.Random) -> str:
    """Another input of the form: a line's words in another order, another number within the range seen at its place in
    all inputs and in its line, or another letter of a word.

    A number that may count something is kept.
    """
    if len(text) > MAX_INPUT_CHARS:
        return text
    lines = text.split("\n")
    ways: list[tuple[int, re.Match[str] | None]] = []
    for at, line in enumerate(lines):
        if len(line.split()) > 2 and len({*line.split()}) > 1 and at:
            ways.append((at, None))
        counts = _find_counts(line, [each.split() for each in lines[at + 1 :] if each.strip()])
        ways += [(at, match) for match in _NUMBER.finditer(line) if int(match[0]) not in counts]
        ways += [(at, match) for match in _WORD.finditer(line)]
    if not ways:
        return text
    at, match = draw.choice(ways)
    if match is None:
        words = lines[at].split()
        draw.shuffle(words)
        lines[at] = " ".join(words)
        return "\n".join(lines)
    if match.re is _NUMBER:
        place = len(lines[at][: match.start()].split())
        there = [words[place] for other in given for words in _split_line(other, at) if len(words) > place]
        seen = [int(word) for word in there + lines[at].split() if _NUMBER.fullmatch(word)] or [int(match[0])]
        new = str(draw.randint(min(seen), max(seen)))
    else:
        letters = list(match[0])
        letters[draw.randrange(len(letters))] = draw.choice(letters)
        new = "".join(letters)
    lines[at] = lines[at][: match.start()] + new + lines[at][match.end() :]
    return "\n".join(lines)


def _split_line(text: str, at: int) -> list[list[str]]:
    """The words of a line, if there is such a line."""
    return [line.split() for line in text.split("\n")[at : at + 1]]


def _find_counts(line: str, following: list[list[str]]) -> set[int]:
    """Numbers of a line that may count: the words after the first, the lines that follow, their words and letters."""
    first, lines = line.split()[:1], len(following)
    own = {len(line.split()) - 1} & {int(word) for word in first if _NUMBER.fullmatch(word)}
    of_lines = {lines, lines + 1, lines // 2, lines // 3} if following else set()
    letters = {len(word) for words in following for word in words if _WORD.fullmatch(word)}
    return own | of_lines | letters | {len(words) for words in following}
