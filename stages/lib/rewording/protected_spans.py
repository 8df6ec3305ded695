r"""Spans of a text that must not change, and its sentences.

Formulas, drawings, quotations and code are masked: each becomes one private-use character, so that no change can
touch it and no full stop inside it ends a sentence. `$5 and $7` is money, `$5$` a formula: a formula's dollar
signs hug their content and no digit follows the closing one.
"""

from __future__ import annotations

import re

FIRST_MASK = 0xE000
MASK_RANGE = "\ue000-\uf8ff"
_PROTECTED = re.compile(
    r"\[asy\].*?(?:\[/asy\]|\Z)|```.*?(?:```|\Z)|\\begin\{(\w+\*?)\}.*?\\end\{\1\}"
    r"|\$\$.+?\$\$|\\\[.+?\\\]|\\\(.+?\\\)|(?<![\\\w])\$(?=[^\s$])[^$]*?(?<=[^\s\\])\$(?!\d)"
    r"|“[^”]{1,4000}”|(?<![\w”])\"(?=\S)[^\"]{1,4000}\"|<[a-z/][^<>]{0,40}>|_{2,}|https?://\S+",
    re.S,
)
_ABBREVIATIONS = (
    r"Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|v|No|Inc|Co|Corp|Ltd|U\.S|D\.C|e\.g|i\.e|cf|al|etc|approx|Fig|Art|Gen|Gov|Sen|[A-Z]"
)
_SENTENCE_END = re.compile(rf"(?<=[.?!])(?<!\.\.)[\"”’')\]]*(\s+)(?=[A-Z0-9(\[“\"'‘_\\{MASK_RANGE}])")
_ENDS_IN_ABBREVIATION = re.compile(rf"(?:^|[\s(])(?:{_ABBREVIATIONS})\.$")


def mask(text: str) -> tuple[str, list[str]]:
    """(the text with every protected span as one character, the spans)."""
    spans: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if len(spans) >= 6000:  # the private-use area is used up
            return match[0]
        spans.append(match[0])
        return chr(FIRST_MASK + len(spans) - 1)

    return _PROTECTED.sub(replace, re.sub(f"[{MASK_RANGE}]", " ", text)), spans


def unmask(text: str, spans: list[str]) -> str:
    return re.sub(f"[{MASK_RANGE}]", lambda match: spans[ord(match[0]) - FIRST_MASK], text)


def split_sentences(masked: str) -> list[tuple[str, str]]:
    """[(sentence, white space after it)]; joined they give the text back."""
    parts, start = [], 0
    for match in _SENTENCE_END.finditer(masked):
        before = masked[start : match.start(1)]
        if not _ENDS_IN_ABBREVIATION.search(before):
            parts.append((before, match[1]))
            start = match.end()
    rest = masked[start:]
    bare = rest.rstrip()
    return [*parts, (bare, rest[len(bare) :])] if bare or not parts else parts
