r"""The final answer in a solution: what a text says its answer is, the strongest mark first.

After `####`, in the first `<<<...>>>`, in `<answer>...</answer>`, in `\boxed{}` or after "final answer" (whichever is
later), after "the answer is". A heading (`#### Step 2: Money`) is no mark, but `### Final Answer` is.
Only where nothing is marked, it is the last number (or formula, the letter or truth word that the text opens with). Two
different marked letters are none, and so is a number that is denied or one of several offered; boxes are a list where only
commas, "and" or "or" part them; a next question that the model invents is not read.

`N/A` (the question has no answer; also "cannot be determined", "not enough information", "unknown", "none") is read in
every type where it is marked or stands alone.

Sources: GSM8K's `####` (Cobbe et al., 2021), MATH's `\boxed` (Hendrycks et al., 2021), `<<<>>>` and `N/A` of DyVal (Zhu
et al., 2024).
"""

import re

from stages.lib.grading import numerals, programs
from stages.lib.grading.answer_styles import unstyle

TYPES = ("number", "integer", "latex", "choice", "boolean", "code", "text")
SEARCH_WINDOW = 20_000  # characters at the end of a text in which its answer is looked for
MAX_ANSWER_CHARS = 2_000  # characters of an answer; more is not an answer
MAX_MARKS = 20  # of "the answer is ...", the last ones are read
NO_ANSWER = "N/A"

_ABSTENTION = re.compile(  # an answer that there is none, and perhaps why
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
_ANGLE_MARK = re.compile(r"<<<(.*?)>>>", re.S)
_ANSWER_TAG = re.compile(r"<((?:final_?)?answer)>(.*?)</\1>", re.I | re.S)
_HASH_MARK = re.compile(r"#{4,}\s*([^\n#]+)")
_SECTION_NAME = (
    r"(?:Steps?|Part|Cases?|Option|Question|Problem|Solution|Explanation|Verification|Check(?:ing)?|Conclusion|Summary|Note"
    r"|Analysis|Reasoning|Calculations?|Given|(?:The )?(?:Final )?Answer)\b"
)
_HEADING = re.compile(  # of a part of the text: `Step 2: Money`; where more follows, any title
    rf"(?P<place>\W*{_SECTION_NAME}(?! is\b))|\W*(?!(?:Yes|No|True|False|None)\b)(?:\d{{1,2}}[.)] +\W*)?[A-Z][a-z]{{2,}}(?!.*\.$)"
)
_DISPLAY_MATH = re.compile(r"\\\[(.*?)\\\]|\$\$(.+?)\$\$|\\begin\{(\w+\*?)\}.*?\\end\{\3\}", re.S)
_UNCLOSED_MATH = re.compile(r"\\\[(?!.*\\\])|\\\((?!.*\\\))|\\begin\{(\w+\*?)\}(?!.*\\end\{\1\})", re.S)
_BOX = re.compile(  # else a word
    r"\\(?:boxed|fbox|framebox)\s*(?:\{|([0-9]+(?:\.[0-9]+)?|[A-Za-z](?=\s*(?:[$.,;]|\Z))))"
)
_ANSWER_MARK = re.compile(
    r"(?P<line>^[#*_ ]*(?:the )?)?(?:\b(?P<final>final )?(?:answer|(?:correct|right|best) (?:option|choice|letter)"
    r"|Antwort|réponse|respuesta)\b|(?:最终)?答案)"
    r"(?: ?\([^()\n]{0,60}\)| (?:to|of|for) [^.:!?\n]{0,80}?)?"
    r"(?:(?:\**\s*[:：]|\s*(?:is|was|=|(?:would|should|must|will)(?: then| therefore)? be|ist|est|es|是|为)(?![a-z]))"
    r"\**\s*:?"
    r"|(?(line)[*_ ]*$|(?!)))|^A:",
    re.I | re.M,
)
_NEXT_QUESTION = re.compile(  # a line that opens another question
    r"^[#*\s]*(?:(?:Q|Question|Problem|Exercise|Task|Instruction|Human|User|Input)\b[*\s#]*[0-9]*\**\s*:"
    r"|(?:Question|Problem|Exercise)\s+[0-9]+[.)])",
    re.I | re.M,
)
_NEGATION_BEFORE = re.compile(
    r"\b(?:not|never|rather than|instead of)\s+(?:\w+\s+)?[\W_]*$|n['’]t\s+(?:be\s+)?[\W_]*$", re.I
)
_NEGATION = re.compile(r"(?:definitely |certainly )?not\b|n['’]t\b", re.I)
_NOT_BUT = re.compile(r"^(?:definitely )?not [^,;]{1,40}?,? but ", re.I)
_ASSERTION_BEFORE = re.compile(r"\banswer\b[^.\n]{0,40}?(?:\bis|:|=)[\s*$]*$", re.I)
_CORRECTION = re.compile(
    r"\b(?:wait|actually|but|no|however|instead|sorry|rather|correct\w*|mistake|recheck\w*)\b", re.I
)
_LEAD_IN = re.compile(
    r"(?:(?:therefore|thus|then|hence|so|indeed|simply|now|just|given by|as follows)\b[,:]?\s*)+", re.I
)
_WORKING_START = re.compile(  # of a working, which no answer opens with
    r"\W*(?:[Ff]irst(?:ly)?(?:,| we\b| I\b| let\b)|[Ll]et(?:['’]s| us| \W?[a-z]\b)|(?:Since|Given|If|Suppose|Consider)\b"
    r"(?!\W*$)|(?:In order )?[Tt]o (?:find|get|solve|determine|calculate|compute|answer|see)\b|Originally|Initially"
    r"|There (?:are|were|is|was)\b[^.]*\b(?:originally|initially|at first)\b|[A-Z][a-z]+ (?:had|started with|starts with) "
    r"|[Ww]e (?:start|begin|know|are given|first|need to|have to|want|can|will|let|use|must)\b)"
)
_CORRECT_OPTION = re.compile(  # `option B is correct`
    r"\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer) \(?([A-Za-z])\)? is (?:the )?(?:correct|right|best)\b"
    r"|(?<![\w'’])\(?([A-Z])\)? is the (?:correct|right|best) (?:answer|option|choice)\b"
)
_CLOSING_PHRASE = re.compile(r"\.?\s*I hope\b.*", re.S)
_SENTENCE_END = re.compile(  # its end; but not after `Dr`, nor between the initials of a name, nor in `9 a.m. on`
    r"(?<!\\)(?:[!?]|(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bSt)(?<!\bMt)(?<!\bJr)(?<!\bSr)(?<!\bvs)(?<!\bMrs)(?<!\bProf)"
    r"(?<!\.\s[A-Z])\.(?!(?<=\b[A-Z]\.)\s[A-Z]\.)(?!(?<=\b[A-Za-z]\.[A-Za-z]\.)\s[a-z]))(?=\s|$)|[。！？]|\n\s*\n|(?<=\S)\n"
)
_MATH = re.compile(r"\$\$[^$]+\$\$|(?<!\\)\$(?:\\[^\n]|[^$\\\n])+\$|\\\(.{0,1000}?\\\)|\\\[.{0,1000}?\\\]", re.S)
_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{2,}")
_WORD_FIRST = re.compile("(?!(?:arc)?(?:sin|cos|tan)|sec|csc|cot|log|exp|sqrt)[A-Za-z]{3}")
_LATEX_COMMAND = re.compile(r"\\(?:text|mbox|textbf|textit|mathrm|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+|\$[^$]*\$")
_BOX_SEPARATOR = re.compile(  # between boxes of one list: `and`, `, x =`, `papers and`
    r"(?:[\s$,;&]|\\(?:quad|qquad|,|;|\(|\)|\[|\])|\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:and|or)\s*\}|\b(?:and|or)\b"
    r"|\b[A-Za-z](?:_\{?\w+\}?)? ?=)*"
    r"|(?![^$]*\b(?:but|so|hence|then|thus)\b)[\s$\\A-Za-z{}()]{0,40}\b(?:and|or)\b[\s$}]*"
)
_LIST_CONJUNCTION = re.compile(r"\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:and|or)\s*\}|\s+(?:and|or)\s+")
_BARE_LETTER = re.compile(r"[(\[]?([A-Za-z])[)\].:,]*")
_LEADING_LETTER = re.compile(  # of a statement: `(b) Paris`, `option B`, `B, because`
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
    """The final answer in a text, as it is written there; None if there is none. `extract(extract(t)) == extract(t)`.

    Without a type, a short text is its own answer; else what is marked, the last formula, or the last number.
    """
    if text is None:
        return None
    if answer_type == "code":
        return programs.extract(text)
    text = _normalise(text)
    if _ABSTENTION_HINT.search(text) and _is_abstention(text):
        return NO_ANSWER
    read = {
        "choice": _extract_choice,
        "boolean": _extract_boolean,
        "number": _extract_number,
        "integer": _extract_number,
        "text": _extract_text,
    }.get(answer_type or "", _extract_formula)
    found = read(text)
    for _ in range(4):  # `#### \boxed{5}`: an answer may be marked twice
        if not found or found == text:
            break
        text, found = found, read(found)
    return found if found and len(found) <= MAX_ANSWER_CHARS else None


def has_marked_answer(text: str | None, answer_type: str | None = None) -> bool:
    """Whether `extract` finds an answer that the text marks, or that is all of the text.

    A last number, a leading letter or a last truth word in a longer text is one that it only happens to contain.
    """
    if extract(text, answer_type) is None:
        return False
    text = _normalise(text)
    return (
        answer_type == "code"
        or bool(_find_marked_answers(text))
        or _is_bare_answer(text, answer_type)
        or _is_abstention(text)
    )


def _is_abstention(text: str) -> bool:
    """Whether the marked answer, or the whole text, says that there is none; or the last sentence, of "the answer"."""
    marked = _find_marked_answers(text)
    last = re.split(r"(?<=[.!?])\s+|\n", text)[-1]
    said = marked[:1] or [text, *([last] if re.search(r"\banswer\b", last, re.I) else [])]
    return any(_ABSTENTION.fullmatch(one) for one in said)


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
        or _is_unclosed(text)
    ):
        return False
    if answer_type in ("latex", None) and (_WORKING_LINE.match(text) or text.count("{") != text.count("}")):
        return False
    return answer_type not in ("number", "integer") or numerals.parse(text) is not None


# By type. Each takes a text and gives what an answer of the type is in it.


def _normalise(text: str) -> str:
    """The end of a text, of its own, with single blanks."""
    return _drop_next_question(re.sub(r"[ \t\r\f\v]+", " ", text[-SEARCH_WINDOW:].replace("\0", "")).strip())


def _drop_next_question(text: str) -> str:
    """The text before a next question that the model invented after its first marked answer."""
    firsts = [
        mark for pattern in (_ANSWER_MARK, _BOX, _ANGLE_MARK) if (mark := pattern.search(text))
    ] + _find_hash_marks(text)[:1]
    following = _NEXT_QUESTION.search(text, min(mark.end() for mark in firsts)) if firsts else None
    if not following or (re.search("[0-9]", following[0]) and _has_only_later_boxes(text, following.start())):
        return text
    return text[: following.start()].strip()


def _has_only_later_boxes(text: str, at: int) -> bool:
    """Whether a text has boxes only after a place: who invents another question answers it as the first, so that a box
    after plain words is in a later part of the same solution."""
    return bool(_BOX.search(text, at)) and not any(mark.search(text[:at]) for mark in (_BOX, _ANGLE_MARK, _HASH_MARK))


def _find_hash_marks(text: str) -> list[re.Match[str]]:
    """The lines after `####` but headings: those of a part, and any title under which something stands."""
    return [
        mark
        for mark in _HASH_MARK.finditer(text)
        if not (heading := _HEADING.match(mark[1])) or not (heading["place"] or text[mark.end() :].strip())
    ]


def _find_marked_answers(text: str, single: bool = True) -> list[str]:
    """What the text says is its answer, the strongest mark first: `####`, `<<<>>>`, `<answer>`, a box or a "final
    answer", whichever is later, "the answer is", "option B is correct". `single`: several boxes are not a list."""
    found = [mark[1] for mark in _find_hash_marks(text)[-1:]]
    if angled := _ANGLE_MARK.search(text):
        found.append(angled[1])
    found += [tagged[2] for tagged in list(_ANSWER_TAG.finditer(text))[-1:]]
    spans = _find_boxes(text)
    marks = list(_ANSWER_MARK.finditer(text))[: -1 - MAX_MARKS : -1]
    if marks and marks[0]["final"] and marks[0].start() > (spans[-1][0] if spans else -1):
        marks, final = marks[1:], marks[0]
        found.append(_read_sentence(text, final.end()))
    found += _join_boxes(text, spans, single) + [_read_sentence(text, mark.end()) for mark in marks]
    right = {one or other for one, other in _CORRECT_OPTION.findall(text)}
    found += right if len(right) == 1 else []
    return [one.strip() for one in found if one.strip()]


def _read_sentence(text: str, start: int) -> str:
    """What stands after a mark, to the end of its sentence or formula; nothing where that broke off, or a working
    starts."""
    rest = _CLOSING_PHRASE.sub("", text[start : start + MAX_ANSWER_CHARS].strip())
    led = lead.end() if (lead := _LEAD_IN.match(rest)) else 0
    shown = _DISPLAY_MATH.match(rest, led)
    rest = rest[led:] if shown else rest
    end = _SENTENCE_END.search(rest, shown.end() - led if shown else 0)
    said = rest[: end.start()] if end else rest
    return "" if _is_unclosed(said) or _WORKING_START.match(said) else _NOT_BUT.sub("", said)


def _is_unclosed(text: str) -> bool:
    """Whether a formula or a box in a text is not closed."""
    if _UNCLOSED_MATH.search(text) or text.count("$$") % 2:
        return True
    return bool(_BOX.search(text)) and text.count("{") > text.count("}")


def extract_boxed(text: str) -> list[str]:
    r"""The content of the last `\boxed{}`; of the last few, with commas, where they stand in a list."""
    return _join_boxes(text, _find_boxes(text), single=False)


def _find_boxes(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of the boxes in a text."""
    spans: list[tuple[int, int, str]] = []
    closing = _match_braces(text) if _BOX.search(text) else {}
    for match in _BOX.finditer(text):
        if match[1]:
            spans.append((match.start(), match.end(), match[1]))
        elif (not spans or match.start() >= spans[-1][1]) and (end := closing.get(match.end())):
            spans.append((match.start(), end, text[match.end() : end - 1]))
    return spans


def _join_boxes(text: str, spans: list[tuple[int, int, str]], single: bool) -> list[str]:
    if not spans:
        return []
    before = [text[max(0, start - 80) : start] for start, _, _ in spans]
    kept = [i for i in range(len(spans)) if not _NEGATION_BEFORE.search(before[i])] or [len(spans) - 1]
    last = first = next((i for i in reversed(kept) if _ASSERTION_BEFORE.search(before[i])), kept[-1])
    while not single and first and _BOX_SEPARATOR.fullmatch(text[spans[first - 1][1] : spans[first][0]]):
        first -= 1
    while not single and last in kept[:-1] and _BOX_SEPARATOR.fullmatch(text[spans[last][1] : spans[last + 1][0]]):
        last += 1
    contents = [
        _LIST_CONJUNCTION.sub(", ", content.replace("$", " ").strip()) for _, _, content in spans[first : last + 1]
    ]
    return [", ".join(dict.fromkeys(contents))]


def _match_braces(text: str) -> dict[int, int]:
    """{position after an opening brace: position after the brace that closes it}."""
    opened, closing = [], {}
    for match in re.finditer(r"\\.|[{}]", text, re.S):
        if match[0] == "{":
            opened.append(match.end())
        elif match[0] == "}" and opened:
            closing[opened.pop()] = match.end()
    return closing


def _extract_number(text: str) -> str | None:
    text = _ANGLE_MARK.sub(lambda match: match[0].replace(",", ""), text)
    if numerals.parse(text):
        return text
    marked = _find_marked_answers(text)
    for candidate in marked:
        if found := candidate if numerals.parse(candidate) else numerals.extract_stated(candidate):
            return found
    return None if marked else numerals.extract_last(text)


def _extract_formula(text: str) -> str | None:
    marked = _find_marked_answers(text, single=False)
    for candidate in marked or [text]:
        if _is_prose(candidate) or (not marked and len(text) >= 400):
            candidate = _extract_last(candidate)
        elif len(found := _MATH.findall(candidate)) == 1 and not re.search("[0-9]", _MATH.sub("", candidate)):
            candidate = found[0]
        elif not marked and _WORD_FIRST.match(candidate) and not re.search(r"[=^_+*/\\<>()]", candidate):
            candidate = (
                _extract_last(candidate) or candidate if len(numerals.find_numbers(candidate)) == 1 else candidate
            )
        if candidate:
            return candidate
    return None


def _is_prose(text: str) -> bool:
    """Whether words stand in a text as in a sentence: `ab+bc+ca` is a formula."""
    bare = _LATEX_COMMAND.sub(" ", text)
    return len(_WORD.findall(bare)) > 2 and bool(_WORD_PAIR.search(bare))


def _extract_last(sentence: str) -> str | None:
    """The last formula or number, but not the name of a quantity if there is anything else; `6 apples and 4 pears`
    whole."""
    if parts := COMPOUND_AMOUNT.search(sentence[-300:].rstrip(" .!")):
        return parts[0]
    found = numerals.find_numbers(sentence)
    for match in _MATH.finditer(sentence):
        found = [(at, one) for at, one in found if not match.start() <= at < match.end()] + [(match.start(), match[0])]
    names = [(at, one) for at, one in found if re.fullmatch(r"\W*[A-Za-z]+(?:\([A-Za-z]\))?\W*", one)]
    found = [each for each in found if each not in names] or found
    return max(found)[1] if found else None


def _extract_choice(text: str) -> str | None:
    """The one letter that is marked; if nothing is marked, the one that the text is, opens with, or names alone."""
    if bare := _BARE_LETTER.fullmatch(_strip_markup(text)):
        return bare[1].upper()
    marked = _find_marked_answers(text)
    if marked:
        found = [_read_letter(candidate) for candidate in marked]
        stated = list(_ANSWER_MARK.finditer(text))
        if len(found) == len(stated) > 1 and found[0] and found[1] and found[0] != found[1] and not stated[-1]["final"]:
            corrected = _CORRECTION.search(text[stated[-2].end() : stated[-1].start()])
            return found[0] if corrected else None
        given = [one for one in zip(found, marked, strict=True) if one[0]]
        variables = [
            one for one in given if re.fullmatch("[k-z]", _strip_markup(one[1]))
        ]  # `\boxed{x}` is no option's letter
        return next((letter for letter, _ in [one for one in given if one not in variables] + variables), None)
    bare = _strip_markup(text)
    letters = _find_letters(bare)
    if opening := _OPENING_LETTER.match(bare):  # but not the first item of a list of options
        first = (opening[1] or opening[2]).upper()
        items = {(item[1] or item[2]).upper() for item in _OPTION_ITEM.finditer(bare)}
        if items <= {first} and not (first == "I" and "II" in bare):
            return first
    return letters[0] if len(set(letters)) == 1 else None


def _read_letter(candidate: str) -> str | None:
    """The letter that a statement gives; None if it gives several."""
    candidate = _strip_markup(candidate)
    if _NEGATION.match(candidate):
        return None
    if (found := _LEADING_LETTER.match(candidate)) and not _ARTICLE.match(candidate):
        return None if _LETTER_ALTERNATIVE.match(candidate, found.end()) else (found[1] or found[2]).upper()
    letters = _find_letters(candidate)
    return letters[0] if len(set(letters)) == 1 else None


def _find_letters(text: str) -> list[str]:
    return [
        match[1]
        for match in _LETTER.finditer(text)
        if not _ARTICLE.match(text, match.start())
        and not _NEGATION_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
    ]


def _strip_markup(text: str) -> str:
    text = re.sub(r"\\(?:text|mathrm|mbox)\b|[${}*\\]", "", unstyle(text))
    return re.sub(r"(?<!\w)['\"“”‘’`]([A-Za-z])['\"“”‘’`](?!\w)", r"\1", text).strip()


def _extract_boolean(text: str) -> str | None:
    """Yes or no, true or false: as marked, else the word that the text opens with, else the last one."""
    marked = _find_marked_answers(text)
    for candidate in marked or [text]:
        said = [] if _TRUTH_WORD_PAIR.search(candidate) else list(_TRUTH_WORD.finditer(candidate))
        if said:
            one = said[0] if marked or re.match(r"\W*(?:yes|no|true|false)\b", candidate, re.I) else said[-1]
            word = one[0].lower()
            return (
                _OPPOSITES[word] if _NEGATED_BEFORE.search(candidate[max(0, one.start() - 40) : one.start()]) else word
            )
    return None


def _extract_text(text: str) -> str | None:
    return next((candidate for candidate in _find_marked_answers(text)), text) or None
