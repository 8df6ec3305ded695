"""Extraction: the final answer in a solution, as it is written there, by type of answer.

It is what the solution marks as its answer (`answer_markers`). Only where nothing is marked, it is the last number (or
formula, the letter or truth word that the text opens with). There is no answer where two marked letters differ, or where
the number is denied or one of several offered.

`N/A` (the question has no answer; also "cannot be determined", "not enough information", "unknown", "none"; from DyVal,
Zhu et al., 2024) is read in every type if it is marked or alone.
"""

import re

from stages.lib.grading import numerals, programs
from stages.lib.grading.answer_markers import (
    ANGLE_BRACKETS,
    ANSWER_PHRASE,
    MAX_ANSWER_CHARS,
    NEGATION_BEFORE,
    find_marked_answers,
    is_unclosed,
    trim_solution,
)
from stages.lib.grading.latex import strip_styles

TYPES = ("number", "integer", "latex", "choice", "boolean", "code", "text")
NO_ANSWER = "N/A"
_ABSTENTION = re.compile(  # that there is no answer, and perhaps why
    r"[\s*_$({\[]*(?:\\[a-z]+\s*\{)?\s*(?:N/A(?:[\s*$)}.!]*|[,;]?\s+[A-Za-z].*)"
    r"|(?:none|unknown|undetermined|undeterminable|indeterminate)[\s*_$)}\].!]*"
    r"|(?:(?:so|thus|therefore|hence),?\s+)?"
    r"(?:(?:it|this|that|the (?:answer|question|problem|value|number))\s+|there\s+is\s+)?"
    r"(?:(?:cannot|can ?not|can['’]t|could not|couldn['’]t) be "
    r"(?:determined|answered|known|told|found|computed|calculated|solved)"
    r"|(?:is )?(?:not enough|insufficient) (?:information|data)|(?:is )?(?:unknown|not known)|no answer(?: can be given)?)"
    r"(?:(?!\b(?:but|however|yet|unless)\b)[^.!?\d\n])*[.!\s]*)",
    re.I | re.S,
)
_ABSTENTION_HINT = re.compile(
    r"N/A|\bnone\b|known|determin|can ?not|could|can['’]t|not enough|insufficient|no answer", re.I
)
_NEGATION = re.compile(r"(?:definitely |certainly )?not\b|n['’]t\b", re.I)
_CORRECTION = re.compile(
    r"\b(?:wait|actually|but|no|however|instead|sorry|rather|correct\w*|mistake|recheck\w*)\b", re.I
)
_MATH = re.compile(r"\$\$[^$]+\$\$|(?<!\\)\$(?:\\[^\n]|[^$\\\n])+\$|\\\(.{0,1000}?\\\)|\\\[.{0,1000}?\\\]", re.S)
_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{2,}")
_WORD_FIRST = re.compile("(?!(?:arc)?(?:sin|cos|tan)|sec|csc|cot|log|exp|sqrt)[A-Za-z]{3}")
_LATEX_COMMAND = re.compile(r"\\(?:text|mbox|textbf|textit|mathrm|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+|\$[^$]*\$")
_BARE_LETTER = re.compile(r"[(\[]?([A-Za-z])[)\].:,]*")
_LEADING_LETTER = re.compile(  # `(b) Paris`, `option B`, `B, because`
    r"(?:(?:(?i:either|option|choice|letter)) )?(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Z](?![\w'’])|[a-z](?=[).:,]|$)))"
)
_OPENING_LETTER = re.compile(r"(?:(?i:option|choice|letter) )?[(\[]([A-Za-z])[)\]]|([A-Za-z])(?:[).:,]|$)")
_OPTION_ITEM = re.compile(r"[(\[]([A-Za-z])[)\]]|(?<![\w'’(])([A-Z])[).](?=\s)")
_LETTER = re.compile(r"(?<![A-Za-z'’])([A-Z])(?![A-Za-z'’])")
_ARTICLE = re.compile(r"A(?= +(?!(?:because|since|as|for|due|but|given|is)\b)[a-z])|I(?=[ '’]|\.? (?:is|and)\b)")
_LETTER_ALTERNATIVE = re.compile(r"\s*(?:(?:,|/|&|\bor\b|\band\b)\s*)+[(\[]?[A-Za-z](?![\w'’])")
_OPTION = re.compile(r"[(\[]?[A-Z][)\].:]+ (?!\d+[ =])\S+(?: \S+){0,3}(?<![.?!,])")  # `B. Paris`
_WORKING_LINE = re.compile(  # in a line: `Let $v = 1$`, `16 - 7 = 9 eggs`
    r"\W*(?:let|then|so|thus|hence|since|we|first|now|given|if|by|to|next|therefore|because|suppose|note|consider|using|from"
    r"|as|for|and|but|where|assume|recall|step|finally)\b(?! *[=^_])|[^A-Za-z\\]*\d\s*[-+*/×·÷][^A-Za-z=\\]*=",
    re.I,
)
_TRUTH_WORD = re.compile(r"\b(?:yes|true|false|no(?=\s*(?:[.,;:!)*$}–—-]|because\b|since\b|as\b|\Z)))(?![\w'’])", re.I)
_OPPOSITES = {"yes": "no", "no": "yes", "true": "false", "false": "true"}
_TRUTH_WORD_PAIR = re.compile(r"\b(?:yes|true|no|false) (?:or|and|/) (?:yes|true|no|false)\b", re.I)
_NEGATED_BEFORE = re.compile(
    r"(?:\b(?:not|never|cannot)|n['’]t)(?:\s+(?:be|necessarily|really|at all|the case that it is|a|is))?\s*$", re.I
)
_WORD_PAIR = re.compile(r"[A-Za-z]{2,}[,;]? +[A-Za-z]{2,}")
_AMOUNT = (
    r"(?:\d[\d,.]*(?:/\d+)?)(?: ?%| [A-Za-z][A-Za-z'-]*(?: (?!and\b|by\b|or\b)[A-Za-z][A-Za-z'-]*){0,2}|[A-Za-z]{1,2})"
)
COMPOUND_AMOUNT = re.compile(rf"{_AMOUNT}(?:(?:,| and| by| or| x| ×|, and) {_AMOUNT})+(?=[.!]?\Z)")


def extract(text: str | None, answer_type: str | None = None) -> str | None:
    """The final answer in a text; None if there is none. `extract(extract(t)) == extract(t)`.

    Without a type, a short text is its own answer; otherwise what is marked, the last formula, or the last number.
    """
    if text is None:
        return None
    if answer_type == "code":
        return programs.extract(text)
    text = trim_solution(text)
    if _ABSTENTION_HINT.search(text) and _is_abstention(text):
        return NO_ANSWER
    extract_typed = {
        "choice": _extract_choice,
        "boolean": _extract_boolean,
        "number": _extract_number,
        "integer": _extract_number,
        "text": _extract_text,
    }.get(answer_type or "", _extract_formula)
    answer = extract_typed(text)
    for _ in range(4):  # `#### \boxed{5}`: an answer may be marked twice
        if not answer or answer == text:
            break
        text, answer = answer, extract_typed(answer)
    return answer if answer and len(answer) <= MAX_ANSWER_CHARS else None


def has_marked_answer(text: str | None, answer_type: str | None = None) -> bool:
    """Whether `extract` finds an answer that the text marks, or that is all of the text.

    A last number, a leading letter or a last truth word in a longer text is not enough.
    """
    if text is None or extract(text, answer_type) is None:
        return False
    text = trim_solution(text)
    return (
        answer_type == "code"
        or bool(find_marked_answers(text))
        or _is_bare_answer(text, answer_type)
        or _is_abstention(text)
    )


def _is_abstention(text: str) -> bool:
    """Whether a text says that there is no answer: where it marks one, as a whole, or in a last sentence with "answer"."""
    last = re.split(r"(?<=[.!?])\s+|\n", text)[-1]
    statements = find_marked_answers(text)[:1] or [text, *([last] if re.search(r"\banswer\b", last, re.I) else [])]
    return any(map(_ABSTENTION.fullmatch, statements))


def _is_bare_answer(text: str, answer_type: str | None) -> bool:
    """Whether a text is an answer and no more: `B`, `No.`, `72 km`, `x = 5`."""
    if answer_type == "choice":
        return bool(_BARE_LETTER.fullmatch(bare := _strip_markup(text)) or _OPTION.fullmatch(bare))
    if answer_type == "boolean":
        return bool(re.fullmatch(r"\W*(?:yes|no|true|false)\W*", text, re.I))
    if (
        "\n" in text
        or len(text) > MAX_ANSWER_CHARS
        or len(re.findall("[A-Za-z]{2,}", _LATEX_COMMAND.sub(" ", text))) > 1
        or is_unclosed(text)
    ):
        return False
    if answer_type in ("latex", None) and (_WORKING_LINE.match(text) or text.count("{") != text.count("}")):
        return False
    return answer_type not in ("number", "integer") or numerals.parse(text) is not None


# By type of answer.


def _extract_text(text: str) -> str | None:
    return next(iter(find_marked_answers(text)), text) or None


def _extract_number(text: str) -> str | None:
    text = ANGLE_BRACKETS.sub(lambda match: match[0].replace(",", ""), text)
    if numerals.parse(text):
        return text
    marked = find_marked_answers(text)
    for answer in marked:
        if number := answer if numerals.parse(answer) else numerals.extract_stated(answer):
            return number
    return None if marked else numerals.extract_last(text)


def _extract_formula(text: str) -> str | None:
    marked = find_marked_answers(text, join_boxes=True)
    for answer in marked or [text]:
        if _is_prose(answer) or (not marked and len(text) >= 400):
            answer = _extract_last(answer)
        elif len(formulas := _MATH.findall(answer)) == 1 and not re.search("[0-9]", _MATH.sub("", answer)):
            answer = formulas[0]
        elif not marked and _WORD_FIRST.match(answer) and not re.search(r"[=^_+*/\\<>()]", answer):
            answer = (_extract_last(answer) or answer) if len(numerals.find_numbers(answer)) == 1 else answer
        if answer:
            return answer
    return None


def _is_prose(text: str) -> bool:
    """Whether a text holds words as a sentence does: `ab+bc+ca` is a formula."""
    bare = _LATEX_COMMAND.sub(" ", text)
    return len(_WORD.findall(bare)) > 2 and bool(_WORD_PAIR.search(bare))


def _extract_last(sentence: str) -> str | None:
    """The last formula or number, `6 apples and 4 pears` as one; the name of a quantity only if there is nothing else."""
    if compound := COMPOUND_AMOUNT.search(sentence[-300:].rstrip(" .!")):
        return compound[0]
    parts = numerals.find_numbers(sentence)
    for match in _MATH.finditer(sentence):
        parts = [part for part in parts if not match.start() <= part[0] < match.end()] + [(match.start(), match[0])]
    values = [part for part in parts if not re.fullmatch(r"\W*[A-Za-z]+(?:\([A-Za-z]\))?\W*", part[1])]
    return max(values or parts, default=(0, None))[1]


def _extract_choice(text: str) -> str | None:
    """The letter that is marked; if none is, the one that the text is, opens with, or names alone."""
    if bare_letter := _BARE_LETTER.fullmatch(_strip_markup(text)):
        return bare_letter[1].upper()
    if marked := find_marked_answers(text):
        letters = [_read_letter(answer) for answer in marked]
        phrases = list(ANSWER_PHRASE.finditer(text))
        is_contradiction = len(letters) == len(phrases) > 1 and letters[0] and letters[1] and letters[0] != letters[1]
        if is_contradiction and not phrases[-1]["final"]:
            is_corrected = _CORRECTION.search(text[phrases[-2].end() : phrases[-1].start()])
            return letters[0] if is_corrected else None
        pairs = [(letter, answer) for letter, answer in zip(letters, marked, strict=True) if letter]
        # `\boxed{x}` is rather a variable than the letter of an option.
        options = [letter for letter, answer in pairs if not re.fullmatch("[k-z]", _strip_markup(answer))]
        return next(iter(options or [letter for letter, _ in pairs]), None)
    bare = _strip_markup(text)
    letters = _find_letters(bare)
    if opening := _OPENING_LETTER.match(bare):  # but not the first item of a list of options
        first = (opening[1] or opening[2]).upper()
        items = {(item[1] or item[2]).upper() for item in _OPTION_ITEM.finditer(bare)}
        if items <= {first} and not (first == "I" and "II" in bare):
            return first
    return letters[0] if len(set(letters)) == 1 else None


def _read_letter(statement: str) -> str | None:
    """The letter that a statement gives; None if it gives several."""
    statement = _strip_markup(statement)
    if _NEGATION.match(statement):
        return None
    if (leading := _LEADING_LETTER.match(statement)) and not _ARTICLE.match(statement):
        return None if _LETTER_ALTERNATIVE.match(statement, leading.end()) else (leading[1] or leading[2]).upper()
    letters = _find_letters(statement)
    return letters[0] if len(set(letters)) == 1 else None


def _find_letters(text: str) -> list[str]:
    """The letters in a text that may name an option: no article, no "I", nothing negated."""
    return [
        match[1]
        for match in _LETTER.finditer(text)
        if not _ARTICLE.match(text, match.start())
        and not NEGATION_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
    ]


def _strip_markup(text: str) -> str:
    text = re.sub(r"\\(?:text|mathrm|mbox)\b|[${}*\\]", "", strip_styles(text))
    return re.sub(r"(?<!\w)['\"“”‘’`]([A-Za-z])['\"“”‘’`](?!\w)", r"\1", text).strip()


def _extract_boolean(text: str) -> str | None:
    """Yes or no, true or false: the first one marked; else the one that the text opens with; else the last one."""
    marked = find_marked_answers(text)
    for statement in marked or [text]:
        matches = [] if _TRUTH_WORD_PAIR.search(statement) else list(_TRUTH_WORD.finditer(statement))
        if matches:
            is_first = marked or re.match(r"\W*(?:yes|no|true|false)\b", statement, re.I)
            match = matches[0 if is_first else -1]
            word = match[0].lower()
            is_negated = _NEGATED_BEFORE.search(statement[max(0, match.start() - 40) : match.start()])
            return _OPPOSITES[word] if is_negated else word
    return None
