"""Templates of questions: filled in, and read back from a text."""

from __future__ import annotations

import re
from functools import lru_cache

_FIELD = re.compile(r"\{(\w+)\}")


def render_template(template: str, fields: dict[str, str]) -> str:
    """The template with every `{name}` replaced by `fields[name]`."""
    return _FIELD.sub(lambda match: fields[match[1]], template)


def parse_text(template: str, text: str) -> dict[str, str] | None:
    """The text of every field; None if the text does not match. A field that occurs twice must have one text."""
    match = _compile_pattern(template).fullmatch(text)
    return match.groupdict() if match else None


@lru_cache(maxsize=1024)
def _compile_pattern(template: str) -> re.Pattern[str]:
    names, pattern = set(), ""
    for i, part in enumerate(_FIELD.split(template)):
        pattern += re.escape(part) if i % 2 == 0 else f"(?P={part})" if part in names else f"(?P<{part}>.+?)"
        names |= {part} if i % 2 else set()
    return re.compile(pattern)
