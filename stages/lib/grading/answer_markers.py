r"""Answer markers: what a solution says its final answer is.

Markers, the strongest first: a line after `####`; `<<<...>>>`; `<answer>...</answer>`; `\boxed{}` or "final answer",
whichever comes later; "the answer is"; "option B is correct". A heading (`#### Step 2: Money`) is no marker, but
`### Final Answer` is. Several boxes are a list if only commas, "and" or "or" separate them.

Sources: GSM8K's `####` (Cobbe et al., 2021), MATH's `\boxed` (Hendrycks et al., 2021), DyVal's `<<<>>>` (Zhu et al., 2024).
"""

import re

SEARCH_WINDOW = 20_000  # characters at the end of a text in which its answer is looked for
MAX_ANSWER_CHARS = 2_000  # characters of an answer; more is not an answer
MAX_PHRASES = 20  # only the last ones of "the answer is ..." are read
ANGLE_BRACKETS = re.compile(r"<<<(.*?)>>>", re.S)
_ANSWER_TAG = re.compile(r"<((?:final_?)?answer)>(.*?)</\1>", re.I | re.S)
_HASH_LINE = re.compile(r"#{4,}\s*([^\n#]+)")
_SECTION_NAME = (
    r"(?:Steps?|Part|Cases?|Option|Question|Problem|Solution|Explanation|Verification|Check(?:ing)?|Conclusion|Summary|Note"
    r"|Analysis|Reasoning|Calculations?|Given|(?:The )?(?:Final )?Answer)\b"
)
_HEADING = re.compile(  # `Step 2: Money`, which has a `place`; or any title, which is a heading only if text follows
    rf"(?P<place>\W*{_SECTION_NAME}(?! is\b))"
    r"|\W*(?!(?:Yes|No|True|False|None)\b)(?:\d{1,2}[.)] +\W*)?[A-Z][a-z]{2,}(?!.*\.$)"
)
_DISPLAY_MATH = re.compile(r"\\\[(.*?)\\\]|\$\$(.+?)\$\$|\\begin\{(\w+\*?)\}.*?\\end\{\3\}", re.S)
_UNCLOSED_MATH = re.compile(r"\\\[(?!.*\\\])|\\\((?!.*\\\))|\\begin\{(\w+\*?)\}(?!.*\\end\{\1\})", re.S)
_BOX = re.compile(  # an opening brace, or a number or letter without braces
    r"\\(?:boxed|fbox|framebox)\s*(?:\{|([0-9]+(?:\.[0-9]+)?|[A-Za-z](?=\s*(?:[$.,;]|\Z))))"
)
ANSWER_PHRASE = re.compile(
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
NEGATION_BEFORE = re.compile(
    r"\b(?:not|never|rather than|instead of)\s+(?:\w+\s+)?[\W_]*$|n['’]t\s+(?:be\s+)?[\W_]*$", re.I
)
_NOT_BUT = re.compile(r"^(?:definitely )?not [^,;]{1,40}?,? but ", re.I)
_ASSERTION_BEFORE = re.compile(r"\banswer\b[^.\n]{0,40}?(?:\bis|:|=)[\s*$]*$", re.I)
_LEAD_IN = re.compile(
    r"(?:(?:therefore|thus|then|hence|so|indeed|simply|now|just|given by|as follows)\b[,:]?\s*)+", re.I
)
_WORKING_START = re.compile(  # how a calculation opens, but no answer
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
_SENTENCE_END = re.compile(  # but not after `Dr`, between the initials of a name, or in `9 a.m. on`
    r"(?<!\\)(?:[!?]|(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bSt)(?<!\bMt)(?<!\bJr)(?<!\bSr)(?<!\bvs)(?<!\bMrs)(?<!\bProf)"
    r"(?<!\.\s[A-Z])\.(?!(?<=\b[A-Z]\.)\s[A-Z]\.)(?!(?<=\b[A-Za-z]\.[A-Za-z]\.)\s[a-z]))(?=\s|$)|[。！？]|\n\s*\n|(?<=\S)\n"
)
_BOX_SEPARATOR = re.compile(  # between the boxes of a list: `and`, `, x =`, `papers and`
    r"(?:[\s$,;&]|\\(?:quad|qquad|,|;|\(|\)|\[|\])|\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:and|or)\s*\}|\b(?:and|or)\b"
    r"|\b[A-Za-z](?:_\{?\w+\}?)? ?=)*"
    r"|(?![^$]*\b(?:but|so|hence|then|thus)\b)[\s$\\A-Za-z{}()]{0,40}\b(?:and|or)\b[\s$}]*"
)
_LIST_CONJUNCTION = re.compile(r"\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:and|or)\s*\}|\s+(?:and|or)\s+")


def trim_solution(text: str) -> str:
    """The end of a solution, with single blanks, and without a next question that the model invented."""
    return _drop_next_question(re.sub(r"[ \t\r\f\v]+", " ", text[-SEARCH_WINDOW:].replace("\0", "")).strip())


def _drop_next_question(text: str) -> str:
    """The text before the first line after a marked answer that opens another question."""
    markers = [match for pattern in (ANSWER_PHRASE, _BOX, ANGLE_BRACKETS) if (match := pattern.search(text))]
    markers += _find_hash_lines(text)[:1]
    question = _NEXT_QUESTION.search(text, min(match.end() for match in markers)) if markers else None
    if not question or (re.search("[0-9]", question[0]) and _is_only_boxed_after(text, question.start())):
        return text
    return text[: question.start()].strip()


def _is_only_boxed_after(text: str, position: int) -> bool:
    """Whether boxes come after a position, and no box, `<<<>>>` or `####` before it.

    Then `Problem 2:` opens a later part of the same solution: a model that invents a question answers it in the form of
    its first answer.
    """
    before = text[:position]
    return bool(_BOX.search(text, position)) and not any(
        marker.search(before) for marker in (_BOX, ANGLE_BRACKETS, _HASH_LINE)
    )


def _find_hash_lines(text: str) -> list[re.Match[str]]:
    """The lines after `####` that are no headings: not `Step 2: Money`, and no title with text below it."""
    return [
        line
        for line in _HASH_LINE.finditer(text)
        if not (heading := _HEADING.match(line[1])) or not (heading["place"] or text[line.end() :].strip())
    ]


def find_marked_answers(text: str, join_boxes: bool = False) -> list[str]:
    """What a trimmed solution marks as its answer, the strongest marker first.

    join_boxes: the last boxes of a list are one answer, with commas; otherwise only the last box is.
    """
    answers = [line[1] for line in _find_hash_lines(text)[-1:]]
    if angled := ANGLE_BRACKETS.search(text):
        answers.append(angled[1])
    answers += [tag[2] for tag in list(_ANSWER_TAG.finditer(text))[-1:]]
    boxes = find_boxes(text)
    phrases = list(ANSWER_PHRASE.finditer(text))[: -1 - MAX_PHRASES : -1]
    if phrases and phrases[0]["final"] and phrases[0].start() > (boxes[-1][0] if boxes else -1):
        final, *phrases = phrases
        answers.append(_read_sentence(text, final.end()))
    answers += _join_boxes(text, boxes, join_boxes) + [_read_sentence(text, phrase.end()) for phrase in phrases]
    options = {after or before for after, before in _CORRECT_OPTION.findall(text)}
    answers += options if len(options) == 1 else []
    return [answer.strip() for answer in answers if answer.strip()]


def _read_sentence(text: str, start: int) -> str:
    """The text from a position to the end of its sentence or formula; "" if that is cut off, or opens a calculation."""
    rest = _CLOSING_PHRASE.sub("", text[start : start + MAX_ANSWER_CHARS].strip())
    lead_in = _LEAD_IN.match(rest)
    skipped = lead_in.end() if lead_in else 0
    formula = _DISPLAY_MATH.match(rest, skipped)
    rest = rest[skipped:] if formula else rest
    end = _SENTENCE_END.search(rest, formula.end() - skipped if formula else 0)
    sentence = rest[: end.start()] if end else rest
    return "" if is_unclosed(sentence) or _WORKING_START.match(sentence) else _NOT_BUT.sub("", sentence)


def is_unclosed(text: str) -> bool:
    """Whether a formula or a box in a text is not closed."""
    if _UNCLOSED_MATH.search(text) or text.count("$$") % 2:
        return True
    return bool(_BOX.search(text)) and text.count("{") > text.count("}")


def find_boxes(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of the boxes in a text."""
    boxes: list[tuple[int, int, str]] = []
    closing = _match_braces(text) if _BOX.search(text) else {}
    for match in _BOX.finditer(text):
        if match[1]:
            boxes.append((match.start(), match.end(), match[1]))
        elif (not boxes or match.start() >= boxes[-1][1]) and (end := closing.get(match.end())):
            boxes.append((match.start(), end, text[match.end() : end - 1]))
    return boxes


def _join_boxes(text: str, boxes: list[tuple[int, int, str]], join: bool) -> list[str]:
    """[the box that answers, joined with its neighbours in a list if `join`]; [] without a box.

    It is the last one after "the answer is", or the last one that is not negated.
    """
    if not boxes:
        return []
    before = [text[max(0, start - 80) : start] for start, _, _ in boxes]
    affirmed = [i for i in range(len(boxes)) if not NEGATION_BEFORE.search(before[i])] or [len(boxes) - 1]
    last = first = next((i for i in reversed(affirmed) if _ASSERTION_BEFORE.search(before[i])), affirmed[-1])
    while join and first and _BOX_SEPARATOR.fullmatch(text[boxes[first - 1][1] : boxes[first][0]]):
        first -= 1
    while join and last in affirmed[:-1] and _BOX_SEPARATOR.fullmatch(text[boxes[last][1] : boxes[last + 1][0]]):
        last += 1
    contents = [_LIST_CONJUNCTION.sub(", ", box[2].replace("$", " ").strip()) for box in boxes[first : last + 1]]
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
