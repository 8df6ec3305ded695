r"""LaTeX that changes only how an answer looks: bold, italic, underlined, coloured."""

import re

_ARGUMENT = r"\s*\{((?:[^{}]|\{[^{}]*\})*)\}"
_STYLE_COMMAND = re.compile(
    r"\\(?:text(?:bf|it|sl|sf|tt|rm|normal)|math(?:bf|it|sf|tt|normal)|boldsymbol|bm|pmb|emph|underline|uline"
    rf"|textcolor\s*(?:\[\w+\])?\s*\{{[^{{}}]*\}}|colorbox\s*\{{[^{{}}]*\}}){_ARGUMENT}"
)
_STYLE_SWITCH = re.compile(r"\\(?:bf|it|bfseries|itshape|boldmath|color\s*\{[^{}]*\})(?![A-Za-z])\s*")


def unstyle(text: str) -> str:
    r"""The text without styles: `\mathbf{127}` is `127`, and `\textbf{even}` is `\text{even}`."""
    if "\\" not in text:
        return text
    text = _STYLE_SWITCH.sub("", text)
    for _ in range(4):  # a style may stand in another
        text, changed = _STYLE_COMMAND.subn(_replace_style, text)
        if not changed:
            break
    return text


def _replace_style(match: re.Match[str]) -> str:
    words = match[0].startswith((r"\text", r"\emph")) and re.search("[A-Za-z]{2}", match[1]) and "\\" not in match[1]
    return rf"\text{{{match[1]}}}" if words else match[1]
