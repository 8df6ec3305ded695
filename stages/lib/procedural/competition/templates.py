"""Phrasings as templates, written out and read back."""

from __future__ import annotations

import re
from functools import lru_cache

_FIELD = re.compile(r"\{(\w+)\}")


def render_template(template: str, words: dict[str, str]) -> str:
    return _FIELD.sub(lambda match: words[match[1]], template)


def parse_text(template: str, text: str) -> dict[str, str] | None:
    """What stands in the fields; None where the text does not fit. A field that comes twice must say the same twice."""
    found = _compile_pattern(template).fullmatch(text)
    return found.groupdict() if found else None


@lru_cache(maxsize=1024)
def _compile_pattern(template: str) -> re.Pattern[str]:
    seen: list[str] = []

    def group(name: str) -> str:
        if name in seen:
            return f"(?P={name})"
        seen.append(name)
        return f"(?P<{name}>.+?)"

    parts = _FIELD.split(template)
    return re.compile("".join(group(part) if i % 2 else re.escape(part) for i, part in enumerate(parts)))
