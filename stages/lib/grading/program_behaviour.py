"""Behaviour of programs: which do the same? Votes over programs group them by it, since equal ones rarely look equal.

Programs run on the visible inputs of their problem and on small changes of these (`program_inputs`). Their outputs on all,
errors included, are their behaviour (as in AlphaCode, Li et al. 2022, arXiv 2203.07814, and MBR-exec, Shi et al. 2022,
arXiv 2204.11454). A changed input may break what the statement promises, and then right programs differ; so it counts only
if the programs of the largest class by the visible inputs mostly agree on it and do not fail. Where no input can be made,
programs are grouped by their text without comments and white space.

Outcomes are cached with the verdicts of `code_tests`.
"""

from __future__ import annotations

import json
import math
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from stages.lib.core import json_cache
from stages.lib.core.records import Problem
from stages.lib.grading import code_tests, program_inputs, programs, sandbox
from stages.lib.grading.code_tests import Comparison
from stages.lib.grading.prefetch import MAX_AHEAD, run_ahead

VERSION = 2  # part of the key of every cached outcome
LIMITS = sandbox.DEFAULT_LIMITS._replace(cpu_seconds=5)
CALL_SECONDS = 1.0  # processor time for one call of a function
VALUE_PREFIX = "="  # starts an outcome that is a value; other outcomes say how the program failed


class _Pool(NamedTuple):
    """The programs of a problem: the key of each (None for no program), and how many of the inputs are visible ones."""

    keys: list[str | None]
    visible: int


def group(problem: Problem, solutions: Sequence[str | None]) -> list[int]:
    """A class id per program, counted from 0 in order of first appearance; -1 for None and for one that always fails."""
    (classes,) = group_ahead([(problem, solutions)])
    return classes


def group_ahead(pools: Iterable[tuple[Problem, Sequence[str | None]]], ahead: int = MAX_AHEAD) -> Iterator[list[int]]:
    """`group` for each problem and its programs, in order, on all cores. Raises UserError without a sandbox."""
    for pool, outcomes in run_ahead(map(_prepare_jobs, pools), ahead):
        yield _classify(pool, outcomes)


def group_by_text(solutions: Sequence[str | None]) -> list[int]:
    """Class ids of programs that are the same up to comments and white space; -1 for None."""
    return _assign_ids([None if code is None else programs.normalise(code) for code in solutions])


def _prepare_jobs(pool: tuple[Problem, Sequence[str | None]]) -> tuple[_Pool, dict[str, Callable[[], list[str]]]]:
    problem, solutions = pool
    inputs, visible = program_inputs.make_inputs(problem)
    entry_point = (problem.tests or {}).get("entry_point")
    codes = [programs.extract(code or "", problem.question, entry_point) for code in solutions]
    texts = [None if code is None else programs.normalise(code) for code in codes]
    if not inputs:
        return _Pool(texts, 0), {}
    rule = code_tests.read_comparison(problem.question, problem.tests)
    group_key = json_cache.hash_value(["behaviour", VERSION, repr(inputs), rule, LIMITS])
    keys: dict[str | None, str | None] = {None: None}
    jobs: dict[str, Callable[[], list[str]]] = {}
    for text, code in zip(texts, codes, strict=True):
        if code is not None and text not in keys:
            keys[text] = key = json_cache.hash_value([group_key, entry_point, text])
            jobs[key] = partial(_observe, key, code, inputs, entry_point, rule)
    return _Pool([keys[text] for text in texts], visible), jobs


def _classify(pool: _Pool, outcomes: dict[str, list[str]]) -> list[int]:
    if not outcomes:
        return _assign_ids(pool.keys)
    by_visible: dict[str, list[list[str]]] = {}
    for values in outcomes.values():
        if any(map(_is_value, values[: pool.visible])):
            by_visible.setdefault(json.dumps(values[: pool.visible]), []).append(values)
    largest = max(by_visible.values(), key=len, default=[])
    inputs = range(len(next(iter(outcomes.values()))))
    counted = [i for i in inputs if i < pool.visible or _is_agreed([values[i] for values in largest])]
    behaviours: list[str | None] = []
    for key in pool.keys:
        values = [outcomes[key][i] for i in counted] if key else []
        behaviours.append(json.dumps(values) if any(map(_is_value, values)) else None)
    return _assign_ids(behaviours)


def _is_value(outcome: str) -> bool:
    return outcome.startswith(VALUE_PREFIX)


def _is_agreed(outcomes: list[str]) -> bool:
    ((most_common, count),) = Counter(outcomes).most_common(1) or [("", 0)]
    return _is_value(most_common) and 2 * count >= len(outcomes)


def _assign_ids(values: Sequence[str | None]) -> list[int]:
    ids: dict[str, int] = {}
    return [-1 if value is None else ids.setdefault(value, len(ids)) for value in values]


# Running the programs.


def _observe(key: str, code: str, inputs: list[Any], entry_point: str | None, rule: Comparison) -> list[str]:
    """The outcome for each input, from the cache if it is there."""
    cache = json_cache.open_cache(code_tests.CACHE_FOLDER)
    cached: Any = cache.get(key)
    if cached is not None:
        return cached
    if entry_point:
        outcomes, is_conclusive = _call_function(code, inputs, entry_point)
    else:
        outcomes, is_conclusive = _run_program(code, inputs, rule)
    if is_conclusive:
        cache.set(key, outcomes)
    return outcomes


def _run_program(code: str, inputs: list[str], rule: Comparison) -> tuple[list[str], bool]:
    """What a program prints for each input. After a limit that it exceeds, it is taken to exceed it on all that follow."""
    outcomes: list[str] = []
    is_conclusive = True
    for text in inputs:
        outcome = sandbox.run(code, code_tests.ensure_trailing_newline(text), LIMITS)
        is_conclusive = is_conclusive and outcome.is_conclusive
        outcomes.append(VALUE_PREFIX + _normalise(outcome.stdout, rule) if outcome.status == "ok" else outcome.status)
        if outcome.status not in ("ok", "error"):
            outcomes += [outcome.status] * (len(inputs) - len(outcomes))
            break
    return outcomes, is_conclusive


def _normalise(printed: str, rule: Comparison) -> str:
    """The words of an output, as `code_tests` compares them: lower case and rounded where the rule allows it."""
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


def _call_function(code: str, inputs: list[tuple[Any, ...]], entry_point: str) -> tuple[list[str], bool]:
    """What a function returns for each tuple of arguments, all in one run. Equal values have equal texts.

    The outcomes are printed after a random token, which no program can know.
    """
    end = secrets.token_hex(8)
    arguments = json.dumps([repr(example) for example in inputs])
    driver = _DRIVER.format(
        run=f"_{end}", token=end, entry_point=entry_point, arguments=arguments, value=VALUE_PREFIX, seconds=CALL_SECONDS
    )
    outcome = sandbox.run(f"{code}\n{driver}", "", LIMITS)
    _, separator, printed = outcome.stdout.rpartition(f"\n{end}")
    outcomes = json.loads(printed.partition("\n")[0]) if separator else []
    failure = "error" if outcome.status == "ok" else outcome.status  # it ended before the last call
    return outcomes + [failure] * (len(inputs) - len(outcomes)), outcome.is_conclusive
