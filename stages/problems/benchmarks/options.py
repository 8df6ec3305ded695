"""Options of multiple choice: the list and the key as published, and the order drawn for them."""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Iterable
from typing import Any

from stages.lib.core import seeds
from stages.lib.core.records import Problem
from stages.problems.benchmarks.rows import Reject

LETTERS = string.ascii_uppercase
VERSION = 1
_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_ARRAY = re.compile(rf"\[\s*{_QUOTED}(?:\s*,?\s*{_QUOTED})*\s*,?\s*\]", re.DOTALL)
# Options that refer to others or to their places, such as `all of these` and `both A and C`: valid in one order only.
_POSITIONAL = re.compile(
    r"\b(?:all|any|none|both|neither|either|of|the|listed|given|mentioned)(?: the)? (?:above|below)\b"
    r"|^(?:all|any|none|both|neither|either|each)(?: one)? of (?:these|those|them)\b"
    r"|^(?:all|any|none|both|neither|either|each) of the (?:\w+\W*$|options|choices|answers|statements|following|others)"
    r"|^(?:all|any|none|both|neither|either)(?: (?:options|choices|answers)\b.*|(?: are| is)? \w*(?:true|correct))?\W*$"
    r"|\b(?:both|neither|either|options?|choices?|answers?) \(?(?-i:[A-J])\b"
    r"|\bonly \(?(?-i:[A-J])\)?(?:,| and| or|\W*$)|\bsame as \(?(?-i:[A-J])\b"
    r"|\([a-j]\)\W+(?:(?:and|or|nor|to|but|not)\W+)*\([a-j]\)"  # (A), (B) and (C) are parts of it
    r"|^\W*(?-i:[A-J])(?:, (?-i:[A-J]))*,? (?:and|or) (?-i:[A-J])\b (?:are|is|but|were|would|can)\b"
    r"|^(?:all|any|none|both)(?: of)?(?: the| these| those)? (?:two|three|four|five)\b"
    r"|^(?:all|any|none|both)(?: of)?(?: the)? (?:other|given|previous|first|last) (?:options|choices|answers|ones)\b"
    r"|^the (?:first|last|other) (?:two|three|options?|choices?|answers?)\W*(?:options|choices|answers)?\W*$"
    r"|^\W*(?:both|neither|either)? ?\(?[a-j]\b\W*(?:,? \(?[a-j]\b\W*)*(?:and|or|nor|&) \(?[a-j]\b\W*(?:only|above)?\W*$",
    re.IGNORECASE,
)


def parse_options(value: Any) -> list[str]:
    """The options: a list, or the text of one in JSON (`["a", "b"]`), Python or numpy (`['a' 'b']`) notation.

    Raises Reject for anything else than 2 to 26 non-empty texts.
    """
    listed = _parse_list(value) if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise Reject("options: must be a list of texts")
    if not 2 <= len(listed) <= len(LETTERS):
        raise Reject(f"options: must be 2 to {len(LETTERS)}, found {len(listed)}")
    if not all(isinstance(option, str) and option.strip() for option in listed):
        raise Reject("options: each must be a text that is not empty")
    return listed


def _parse_list(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    # Literal by literal, because Python would read numpy's ['a' 'b'] as the text 'ab'.
    if not _ARRAY.fullmatch(value.strip()):
        return None
    try:
        return [ast.literal_eval(quoted.replace("\n", "\\n")) for quoted in re.findall(_QUOTED, value, re.DOTALL)]
    except (ValueError, SyntaxError):
        return None


def parse_letter(answer: Any, n: int) -> str:
    """The key as a letter, from a letter or an index from 0 (`2`, or `2.0` as pandas writes it). Raises Reject."""
    text = str(answer).strip().upper()
    index = re.fullmatch(r"([0-9]{1,2})(?:\.0+)?", text, re.ASCII)
    place = int(index[1]) if index else LETTERS.find(text) if len(text) == 1 else -1
    if not 0 <= place < n:
        raise Reject(f"answer: must be an index 0-{n - 1} or a letter A-{LETTERS[n - 1]}, found {answer!r}")
    return LETTERS[place]


def shuffle_options(problems: Iterable[Problem], seed: int) -> tuple[list[Problem], dict[str, int]]:
    """(problems with their options in an order drawn for each, counts of shuffled and kept orders).

    If an option refers to others, the published order is kept.
    """
    results, shuffled, kept = [], 0, 0
    for problem in problems:
        if problem.choices and any(map(_POSITIONAL.search, problem.choices)):
            kept += 1
        elif problem.choices:
            shuffled += 1
            n = len(problem.choices)
            order = seeds.rng(seed, "benchmarks", VERSION, problem.id, "options").sample(range(n), n)
            key = LETTERS[order.index(LETTERS.index(problem.answer))]
            choices = [problem.choices[i] for i in order]
            problem = problem.model_copy(update={"choices": choices, "answer": key})
        results.append(problem)
    return results, {"shuffled": shuffled, "kept in order": kept}
