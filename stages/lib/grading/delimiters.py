"""What a model was asked to write between <<< and >>>, which no benchmark text contains.

A model may think aloud first and quote the marks while it does, and may dress its answer in bold type or a code fence.
What counts is the last pair of marks outside its thinking.
"""

from __future__ import annotations

import re

from stages.lib.grading.thinking import strip_thinking

_DELIMITED = re.compile(r"<<<((?:(?!<<<).)*?)>>>", re.S)
_FENCED = re.compile(r"\A```[a-z]*\n(.*?)\n?```\Z", re.S)
_BOLD = re.compile(r"\A(\*\*|__)(?=\S)((?:(?!\1).)+)\1\Z", re.S)


def extract(reply: str) -> str | None:
    """The text between the last pair of marks; None where there is none, or nothing in it."""
    found = _DELIMITED.findall(strip_thinking(reply) or "")
    text = found[-1].strip() if found else ""
    for dress in (_FENCED, _BOLD):
        if worn := dress.match(text):
            text = worn[worn.lastindex].strip()
    return text or None
