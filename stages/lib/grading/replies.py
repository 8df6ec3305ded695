"""What counts in a model's reply: the text after its thinking, and in it the text between <<< and >>>.

Reasoning models write `<think>...</think>` (also `[THINK]`, `<thought>`, `<reasoning>`) before they answer, and may quote
the delimiters while they think. Nothing of that is graded.
"""

from __future__ import annotations

import re

_THINKING_TAG = re.compile(r"<(/?)(?:think(?:ing)?|thoughts?|reasoning)>|\[(/?)THINK\]|◁(/?)think▷", re.IGNORECASE)
_DELIMITED = re.compile(r"<<<((?:(?!<<<).)*?)>>>", re.S)
_WRAPPERS = (  # a code fence, bold type
    re.compile(r"\A```[a-z]*\n(?P<content>.*?)\n?```\Z", re.S),
    re.compile(r"\A(\*\*|__)(?=\S)(?P<content>(?:(?!\1).)+)\1\Z", re.S),
)


def strip_thinking(text: str) -> str | None:
    """The text after its last block of thinking, or the whole text if there is none.

    The opening tag may be missing, because it stood in the prompt. None if the last block is not closed: the reply was cut
    off before its answer.
    """
    tags = list(_THINKING_TAG.finditer(text))
    if not tags:
        return text
    return text[tags[-1].end() :] if any(tags[-1].groups()) else None


def extract_delimited(reply: str) -> str | None:
    """The text between the last <<< and >>> after the thinking, without a code fence or bold type around it.

    None if there is no such pair, or nothing in it. Prompts ask for <<< and >>> because no benchmark text contains them.
    """
    contents = _DELIMITED.findall(strip_thinking(reply) or "")
    text = contents[-1].strip() if contents else ""
    for wrapper in _WRAPPERS:
        if match := wrapper.match(text):
            text = match["content"].strip()
    return text or None
