"""What a model says once it has thought: `<think>...</think>` is no part of its answer, and nothing in it is graded.

Models name it differently: `[THINK]`, `<thought>`, `<reasoning>`.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"<(/?)(?:think(?:ing)?|thoughts?|reasoning)>|\[(/?)THINK\]|◁(/?)think▷", re.IGNORECASE)


def strip_thinking(text: str) -> str | None:
    """The text after its last thinking; whole where there is none. The opening tag may have stood in the prompt. None
    where the last thinking never ends: such a text was cut off and says nothing yet."""
    tags = list(_TAG.finditer(text))
    if not tags:
        return text
    return text[tags[-1].end() :] if any(tags[-1].groups()) else None
