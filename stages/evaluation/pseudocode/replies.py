"""What a reasoner's reply says: the printed lines, the final answer, and where the lines leave the true trace."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from stages.evaluation.pseudocode.programs import FINAL
from stages.evaluation.pseudocode.tasks import Instance
from stages.lib.grading import answers
from stages.lib.grading.replies import strip_thinking

_FINAL = re.compile(rf"^.*?{re.escape(FINAL)}[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\w+|[^\w\s]")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_OUTER = string.whitespace + ".,;:!?*`\"'“”‘’"
_MARKUP = "*_`"


class Reply(NamedTuple):
    """lines: what stands before the final answer, a line each. final: the answer's text; None where there is none."""

    lines: list[str]
    final: str | None


def read_reply(text: str, prompt: str = "") -> Reply:
    """The last `Final answer:` counts. A prompt that the model repeats is no reply, and neither is what it thinks."""
    text = (strip_thinking(text) or "").replace(prompt, "") if prompt else strip_thinking(text) or ""
    matches = list(_FINAL.finditer(text))
    if not matches:
        return Reply(_list_lines(text), None)
    last = matches[-1]
    after = _list_lines(last[1]) or _list_lines(text[last.end() :])[:1]
    final = after[0].strip(_MARKUP).strip() if after else ""
    return Reply(_list_lines(text[: last.start()]), final or None)


def _list_lines(text: str) -> list[str]:
    """The lines that say something; the marks of a code block are left out."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("```")]


def parse_option(text: str | None, options: Sequence[str]) -> str | None:
    """The option that a text is, by exact equality but for case and marks around it: `(B)`, `b` and `B.` are (B). An option
    inside another word or sentence is none."""
    if text is None:
        return None
    said = _bare(text)
    matches = [option for option in options if _bare(option) == said]
    return matches[0] if len(matches) == 1 else None


def _bare(text: str) -> str:
    text = text.strip(_OUTER).casefold()
    return text[1:-1].strip() if text.startswith("(") and text.endswith(")") else text


def is_readable(instance: Instance, final: str | None) -> bool:
    """Whether a final answer is one of the kind that was asked for."""
    if instance.kind == "option":
        return parse_option(final, instance.options) is not None
    return answers.parse_number(final) is not None if instance.kind == "number" else bool(final)


def is_right(instance: Instance, final: str | None) -> bool:
    """Options by exact equality, numbers and formulas by value, other texts letter by letter, white space aside."""
    if final is None:
        return False
    if instance.kind == "option":
        return parse_option(final, instance.options) == parse_option(instance.answer, instance.options)
    if instance.kind != "text":
        return answers.equal(instance.answer, final, "number" if instance.kind == "number" else "latex")
    return "".join(final.split()) == "".join(instance.answer.split())


def find_divergence(gold: Sequence[str], lines: Sequence[str]) -> int | None:
    """The index of the first line that differs from the true trace, is missing or is too many; None where none does.

    White space and quotation marks do not count. Numbers are compared by value, 0.5 is 1/2 and 2.0 is 2, but nothing is
    worked out: 6/2 is neither 9/3 nor 3."""
    for i, (true, line) in enumerate(zip(gold, lines, strict=False)):
        if _split_tokens(true) != _split_tokens(line):
            return i
    return None if len(gold) == len(lines) else min(len(gold), len(lines))


def _split_tokens(line: str) -> list[str]:
    tokens = [token for token in _TOKEN.findall(line) if token not in "\"'"]
    return [part for token in tokens for part in (_split_number(token) if _NUMBER.fullmatch(token) else [token])]


def _split_number(token: str) -> list[str]:
    """A decimal as the fraction in lowest terms, whose parts are tokens too."""
    try:
        return [part for part in str(Fraction(token)).partition("/") if part]
    except ValueError:  # more digits than Python reads
        return [token]
