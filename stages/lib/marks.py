"""What a model was asked to write between <<< and >>>, which no benchmark text contains.

A model may think aloud first and quote the marks while it does, and may dress its answer in bold type or a code fence.
What counts is the last pair of marks outside its thinking.
"""

from __future__ import annotations

import re

_THOUGHT = re.compile(r"\A.*</think(?:ing)?>|<think(?:ing)?>.*\Z", re.S)  # an opening tag may stand in the prompt
_MARKED = re.compile(r"<<<((?:(?!<<<).)*?)>>>", re.S)
_FENCED = re.compile(r"\A```[a-z]*\n(.*?)\n?```\Z", re.S)
_BOLD = re.compile(r"\A(\*\*|__)(?=\S)((?:(?!\1).)+)\1\Z", re.S)


def marked(reply: str) -> str | None:
    """The text between the last pair of marks; None where there is none, or nothing in it."""
    found = _MARKED.findall(_THOUGHT.sub("", reply))
    text = found[-1].strip() if found else ""
    for dress in (_FENCED, _BOLD):
        if worn := dress.match(text):
            text = worn[worn.lastindex].strip()
    return text or None
