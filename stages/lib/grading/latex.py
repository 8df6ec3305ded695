r"""LaTeX as text: strip styles, and rewrite what people and chat models write into the LaTeX that Math-Verify reads.

Nothing is parsed here; `formulas` compares the values. In the argument of a trigonometric function degrees count,
elsewhere they are a unit; `a ± b` means both values.
"""

import re

_ARGUMENT = r"\s*\{((?:[^{}]|\{[^{}]*\})*)\}"
_STYLE_COMMAND = re.compile(
    r"\\(?:text(?:bf|it|sl|sf|tt|rm|normal)|math(?:bf|it|sf|tt|normal)|boldsymbol|bm|pmb|emph|underline|uline"
    rf"|textcolor\s*(?:\[\w+\])?\s*\{{[^{{}}]*\}}|colorbox\s*\{{[^{{}}]*\}}){_ARGUMENT}"
)
_STYLE_SWITCH = re.compile(r"\\(?:bf|it|bfseries|itshape|boldmath|color\s*\{[^{}]*\})(?![A-Za-z])\s*")
_SPACING = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;:! ]|\\quad(?![A-Za-z])|~")
_TEXT_COMMAND = re.compile(r"\\(?:text|mbox|mathrm|textrm|operatorname)\s*\{([^{}]*)\}")
_SIGNS = r"""
∞\infty π\pi ≤\le ≥\ge ≠\ne ∪\cup ∩\cap ∈\in ×\times ·\cdot ⋅\cdot ∙\cdot ÷/ ±\pm ∓\mp °^\circ ∅\emptyset
→\to −- –- ⁄/ ∕/ θ\theta α\alpha β\beta γ\gamma λ\lambda μ\mu φ\phi ω\omega ρ\rho σ\sigma Δ\Delta ∠\angle
∑\sum ∏\prod ∫\int ℝ\mathbb{R} ℤ\mathbb{Z} ℕ\mathbb{N} ⟨\langle ⟩\rangle …\ldots ∣\mid ∀\forall ∃\exists
⊂\subset ½\frac{1}{2} ⅓\frac{1}{3} ⅔\frac{2}{3} ¼\frac{1}{4} ¾\frac{3}{4}
"""
_SIGNS_TO_LATEX = str.maketrans({word[0]: word[1:] + " " * word[-1].isalpha() for word in _SIGNS.split()})
_SUPERSCRIPTS, _SUBSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n"), str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_DEGREES = re.compile(r"\s*(?:\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-z]))|\\degree(?![a-z])|\\text\{\s*degrees?\s*\})")
_ARRAY = re.compile(
    r"(?:\\left\s*)?[\[(|]?\s*\\begin\{array\}\{[lcr| ]*\}((?:(?!\\begin).)*)\\end\{array\}\s*(?:\\right\s*)?[\])|]?"
    r"(?<!\\right\.)$",
    re.S,
)
_REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?:√|(?<![A-Za-z\\])sqrt|\\sqrt)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)", r"\\sqrt{\1}"),
        (r"(?<![A-Za-z\\])sqrt(?=\{)", r"\\sqrt"),
        (r"√\s*(?=\{)", r"\\sqrt"),
        (r"√\s*([0-9]+|[A-Za-z]|\\[a-z]+)", r"\\sqrt{\1}"),
        (r"\*\*", "^"),
        (r"(?<![*])\*(?![*])", r"\\cdot "),
        (r"\^\s*\(([^()]*)\)", r"^{\1}"),
        (r"\^(-?[0-9]{2,}|-[0-9])(?![0-9])", r"^{\1}"),
        (r"<=", r"\\le "),
        (r">=", r"\\ge "),
        (r"(?<![A-Za-z\\])(?:oo|inf|infty|infinity)(?![A-Za-z])", r"\\infty "),
        (r"(?<![A-Za-z\\])pi(?![A-Za-z])", r"\\pi "),
        (r"(?<=[)\]]) *U *(?=[(\[])", r"\\cup "),
        (r"(?<![A-Za-z\\])(sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|log|ln|exp)(?=[ (^0-9]|\\)", r"\\\1"),
        (r"\\(?:mathrm|operatorname|text|rm)\s*\{\s*([A-Za-z])\s*\}", r" \1 "),
        (r"_\{?\\(max|min)\}?", r"_{\1}"),
        (r"\\varnothing|\\\{\s*\\\}", r"\\emptyset "),
        (r"\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:and|or)\s*\}|(?<![A-Za-z\\])\s*(?:and|or)(?=[\s(\[\d\\$A-Z-])", ", "),
    )
]
_COUNT = r"(\{\s*[0-9]{1,3}\s*\}|[0-9])"
_CHOOSE = re.compile(  # {}_5C_2, ^5P_2, 5C2
    rf"(?:(?:\{{\s*\}})?[_^]{_COUNT}|(?<![\w.])([0-9]{{1,3}}))\s*([CP])(?:_{_COUNT}|([0-9]{{1,3}})(?![\w.]))"
)
_CHOOSE_RAISED = re.compile(rf"(?<![A-Za-z0-9}}\\])C_{_COUNT}\s*\^\s*{_COUNT}")
_ANY_INTEGER = re.compile(  # `, n \in \mathbb{Z}` at the end
    r"[\s,;(]*(?:\\(?:text|mbox)\s*\{\s*,?\s*(?:where|for|with)?\s*\}|where|for|with)?[\s,;(]*([A-Za-z])\s*"
    r"(?:\\in\s*(?:\\mathbb\s*\{?\s*Z\s*\}?|\\Z|Z)|\s(?:is\s+)?an(?:y)?\s+integer)\s*\)?\s*$"
)
_MULTIPLE_OF_PI = re.compile(r"(?<![A-Za-z\\])([kmn])\s*\\pi(?![a-z])|\\pi\s*([kmn])(?![A-Za-z])")
_RELATION = r"[<>]|\\(?:[lg]eq?|ne)(?![a-z])"
_CONJUNCTION = re.compile(r"\\(?:text|mbox|textrm)\s*\{\s*,?\s*(and|or)\s*\}|(?<![A-Za-z\\])(and|or)(?![A-Za-z])")
_INDEXED = re.compile(r"^\s*[A-Za-z]_(?:\{[^{}]*\}|[A-Za-z0-9])\s*=(?!.*=)")
_REPEATING_DECIMAL = re.compile(r"([0-9]*)\.([0-9]*)\\(?:overline|bar|dot)\s*\{\s*([0-9]+)\s*\}")
_PLUS_MINUS = re.compile(r"\\(?:pm|mp)(?![a-z])")


def strip_styles(text: str) -> str:
    r"""The text without bold, italic, underline and colour: `\mathbf{127}` is `127`, `\textbf{even}` is `\text{even}`."""
    if "\\" not in text:
        return text
    text = _STYLE_SWITCH.sub("", text)
    for _ in range(4):  # styles may be nested
        text, replacements = _STYLE_COMMAND.subn(_replace_style, text)
        if not replacements:
            break
    return text


def _replace_style(match: re.Match[str]) -> str:
    is_words = match[0].startswith((r"\text", r"\emph")) and re.search("[A-Za-z]{2}", match[1]) and "\\" not in match[1]
    return rf"\text{{{match[1]}}}" if is_words else match[1]


def standardise(text: str) -> str:
    """What people write (`6√2`, `sqrt(3)/2`, `x**2`, `sin 30°`) as LaTeX that Math-Verify reads, without `$`."""
    text = strip_styles(text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda match: f"^{{{match[0].translate(_SUPERSCRIPTS)}}}", text)
    text = re.sub(r"[₀-₉]+", lambda match: f"_{{{match[0].translate(_SUBSCRIPTS)}}}", text)
    if "\\begin" not in text:
        text = re.sub(r"\\{2}(?=[a-z]{2})", r"\\", text)
    if text.count("{") != text.count("}"):
        text = re.sub(r"\\(?:boxed|fbox)\s*\{", "", text)
    text = re.sub(r"\\?[$\"]|\\[()\[\]](?![0-9])|\*\*$|^\*\*", " ", text.translate(_SIGNS_TO_LATEX)).strip()
    text = re.sub(r"(?<!\\right)\.+$", "", text)
    text = _join_relations(text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _ARRAY.sub(r"\\begin{pmatrix}\1\\end{pmatrix}", text)
    text = _CHOOSE.sub(_expand_choose, text)
    text = _CHOOSE_RAISED.sub(r"\\binom{\1}{\2}", text)
    text = _rename_any_integer(text)
    text = _REPEATING_DECIMAL.sub(_expand_repeating, text)
    if _TRIGONOMETRY.search(text):
        text = re.sub(
            rf"([0-9.]+|(?<!\\)[A-Za-z](?![A-Za-z])|\\[a-z]+){_DEGREES.pattern}", r"(\1\\cdot\\frac{\\pi}{180})", text
        )
    text = _DEGREES.sub("", text)
    text = _INDEXED.sub("", text)
    if _PLUS_MINUS.search(text) and "," not in text:
        upper = _PLUS_MINUS.sub(lambda match: "+" if match[0] == r"\pm" else "-", text)
        lower = _PLUS_MINUS.sub(lambda match: "-" if match[0] == r"\pm" else "+", text)
        text = f"{upper}, {re.sub('^[^=]*=', '', lower)}"
        text = re.sub("^ *[A-Za-z] *=", "", text)
    return text.strip()


def _join_relations(text: str) -> str:
    r"""`x < 1 or x > 3` with `\vee` for "or" (`\wedge` for "and"), if a relation is on each side of the word."""
    parts = _CONJUNCTION.split(text)
    if len(parts) == 1 or not all(re.search(_RELATION, part) for part in parts[::3]):
        return text
    words = [command or word for command, word in zip(parts[1::3], parts[2::3], strict=True)]
    signs = [{"and": r" \wedge ", "or": r" \vee "}[word] for word in words] + [""]
    return "".join(part.rstrip(" ,") + sign for part, sign in zip(parts[::3], signs, strict=True))


def _expand_choose(match: re.Match[str]) -> str:
    n, r = match[1] or match[2], match[4] or match[5]
    binomial = rf"\binom{{{n}}}{{{r}}}"
    return binomial if match[3] == "C" else rf"({binomial} \cdot {r.strip('{} ')}!)"


def _rename_any_integer(text: str) -> str:
    r"""`2k\pi` for `2n\pi` and for `2m\pi, m \in \mathbb{Z}`: the letter for any integer does not matter."""
    declared = _ANY_INTEGER.search(text)
    bare = text[: declared.start()] if declared else text
    names = {declared[1]} if declared else {before or after for before, after in _MULTIPLE_OF_PI.findall(bare)}
    if len(names) != 1 or (declared and declared[1] not in bare):
        return text
    (name,) = names
    if not declared and set(re.findall(r"(?<![A-Za-z\\])[A-Za-z]", re.sub("^[^=]*=", "", bare))) != names:
        return text  # such as the area n\pi r^2
    if name != "k" and re.search(r"(?<![A-Za-z\\])k(?![A-Za-z])", bare):
        return text
    return re.sub(rf"(?<![A-Za-z\\]){name}(?![A-Za-z])", "k", bare)


def _expand_repeating(match: re.Match[str]) -> str:
    whole, lead, cycle = match.groups()
    bottom = 10 ** len(lead) * (10 ** len(cycle) - 1)
    return rf"\frac{{{int(whole + lead + cycle) - int(whole + lead or 0)}}}{{{bottom}}}"


def normalise(text: str) -> str:
    """The expression without spacing and styles. Equal normal forms mean equal expressions, but not conversely."""
    text = re.sub(r"\$|\\[()\[\]](?![0-9])", " ", strip_styles(text))
    text = _TEXT_COMMAND.sub(r"\1", _SPACING.sub(" ", text))
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text).replace("{,}", ",").replace("−", "-")
    text = re.sub(r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}|∅", r"\\emptyset", text)
    text = re.sub(r"(?<=\w) +(?=\w)", "\0", text).replace(" ", "").replace("\0", " ")
    return text.strip().rstrip(".")
