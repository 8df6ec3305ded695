r"""Final answers: take one out of a solution, and decide whether two are the same.

`extract` finds what a solution says its answer is, the strongest mark first: after `####`, in the first `<<<...>>>`, in
`\boxed{}` or after "final answer" (whichever is later), after "the answer is". Only where nothing is marked, it is the
last number (or formula, the letter or truth word that the text opens with). Two different marked letters are none, and
so is a number that is denied or one of several offered; boxes are a list where only commas, "and" or "or" part them; a
next question that the model invents is not read. `equal` compares two answers, or two whole solutions, by type:

* number, integer: exactly, as fractions (`lib/numerals.py`), but for floating-point noise: a decimal of 12 or more
  significant digits equals what it is within 1e-12 of. Rounding is a difference, unless a tolerance is given.
* latex: by value, in worker processes (`lib/latex.py`). A formula that cannot be read whole equals only one written the
  same way; times of day and parts in words (`6 apples and 4 pears`) are compared whole.
* choice, boolean: by meaning (`not true` is false). text: but for case, outer punctuation and white space.
* code: by text, but for comments and white space.

It is symmetric. An answer that cannot be read equals nothing, itself included. A percentage equals both readings of it
(28% = 28 = 0.28), since benchmarks write it either way. `N/A` (the question has no answer; also "cannot be determined",
"not enough information", "unknown", "none") is read in every type where it is marked or stands alone, and equals only
itself.

Sources: GSM8K's `####` (Cobbe et al., 2021), MATH's `\boxed` (Hendrycks et al., 2021), `<<<>>>` and `N/A` of DyVal (Zhu
et al., 2024).
Command: `python -m stages grade FILE.jsonl`.
"""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from stages.lib import latex, numerals, programs

TYPES = ("number", "integer", "latex", "choice", "boolean", "code", "text")
WINDOW = 20_000  # characters at the end of a text in which its answer is looked for
LONGEST = 2_000  # characters of an answer; more is not an answer
MARKS = 20  # of "the answer is ...", the last ones are read
NONE = "N/A"

_ABSENT = re.compile(  # an answer that there is none, and perhaps why
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
_ABSTAINING = re.compile(r"N/A|\bnone\b|known|determin|can ?not|can['’]t|not enough|insufficient|no answer", re.I)
_ANGLED = re.compile(r"<<<(.*?)>>>", re.S)
_HASHES = re.compile("####")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|([0-9]+(?:\.[0-9]+)?|[A-Za-z](?=\s*(?:[$.,;]|\Z))))")  # else a word
_MARKED = re.compile(
    r"\b(final )?(?:answer|(?:correct|right|best) (?:option|choice|letter))\b"
    r"(?: ?\([^()\n]{0,60}\)| (?:to|of|for) [^.:!?\n]{0,80}?)?"
    r"(?:\**\s*:|\s*(?:is|was|=)(?![a-z]))\**\s*:?|^A:",
    re.I | re.M,
)
_NEXT = re.compile(  # a line that opens another question
    r"^[#*\s]*(?:(?:Q|Question|Problem|Exercise|Task|Instruction|Human|User|Input)\b[*\s#]*[0-9]*\**\s*:"
    r"|(?:Question|Problem|Exercise)\s+[0-9]+[.)])",
    re.I | re.M,
)
_DENIED = re.compile(r"\b(?:not|never|rather than|instead of)\s+(?:\w+\s+)?[\W_]*$|n['’]t\s+(?:be\s+)?[\W_]*$", re.I)
_DENIAL = re.compile(r"(?:definitely |certainly )?not\b|n['’]t\b", re.I)
_NOT_BUT = re.compile(r"^(?:definitely )?not [^,;]{1,40}?,? but ", re.I)
_ASSERTED = re.compile(r"\banswer\b[^.\n]{0,40}?(?:\bis|:|=)[\s*$]*$", re.I)
_CORRECTED = re.compile(
    r"\b(?:wait|actually|but|no|however|instead|sorry|rather|correct\w*|mistake|recheck\w*)\b", re.I
)
_HOPE = re.compile(r"\.?\s*I hope\b.*", re.S)
_SENTENCE = re.compile(  # its end; but not after `Dr`, nor between the initials of a name, nor in `9 a.m. on`
    r"(?<!\\)(?:[!?]|(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bSt)(?<!\bMt)(?<!\bJr)(?<!\bSr)(?<!\bvs)(?<!\bMrs)(?<!\bProf)"
    r"(?<!\.\s[A-Z])\.(?!(?<=\b[A-Z]\.)\s[A-Z]\.)(?!(?<=\b[A-Za-z]\.[A-Za-z]\.)\s[a-z]))(?=\s|$)|\n\s*\n|(?<=\S)\n"
)
_MATH = re.compile(r"\$\$[^$]+\$\$|(?<!\\)\$(?:\\[^\n]|[^$\\\n])+\$|\\\(.{0,1000}?\\\)|\\\[.{0,1000}?\\\]", re.S)
_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{2,}")
_COMMAND = re.compile(r"\\(?:text|mbox|textbf|textit|mathrm|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+|\$[^$]*\$")
_LISTED = re.compile(  # between boxes of one list: `and`, `, x =`, `papers and`
    r"(?:[\s$,;&]|\\(?:quad|qquad|,|;|\(|\)|\[|\])|\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:and|or)\s*\}|\b(?:and|or)\b"
    r"|\b[A-Za-z](?:_\{?\w+\}?)? ?=)*"
    r"|(?![^$]*\b(?:but|so|hence|then|thus)\b)[\s$\\A-Za-z{}()]{0,40}\b(?:and|or)\b[\s$}]*"
)
_LIST_WORD = re.compile(r"\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:and|or)\s*\}|\s+(?:and|or)\s+")
_LETTER_ALONE = re.compile(r"[(\[]?([A-Za-z])[)\].:,]*")
_LEADING = re.compile(  # of a statement: `(b) Paris`, `option B`, `B, because`
    r"(?:(?:(?i:either|option|choice|letter)) )?(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Z](?![\w'’])|[a-z](?=[).:,]|$)))"
)
_OPENING = re.compile(r"[(\[]([A-Za-z])[)\]]|([A-Za-z])(?:[).:,]|$)")
_ITEM = re.compile(r"[(\[]([A-Za-z])[)\]]|(?<![\w'’(])([A-Z])[).](?=\s)")
_LETTER = re.compile(r"(?<![A-Za-z'’])([A-Z])(?![A-Za-z'’])")
_ARTICLE = re.compile(r"A(?= +[a-z])|I(?=[ '’]|\.? (?:is|and)\b)")
_EITHER = re.compile(r"\s*(?:(?:,|/|&|\bor\b|\band\b)\s*)+[(\[]?[A-Za-z](?![\w'’])")
_TRUTH = re.compile(r"\b(?:yes|true|false|no(?=\s*(?:[.,;:!)*$}]|\Z)))(?![\w'’])", re.I)
_OPPOSITE = {"yes": "no", "no": "yes", "true": "false", "false": "true"}
_TWO_TRUTHS = re.compile(r"\b(?:yes|true|no|false) (?:or|and|/) (?:yes|true|no|false)\b", re.I)
_NEGATED = re.compile(
    r"(?:\b(?:not|never|cannot)|n['’]t)(?:\s+(?:be|necessarily|really|at all|the case that it is|a|is))?\s*$", re.I
)
_WORDS = re.compile(r"[A-Za-z]{2,}[,;]? +[A-Za-z]{2,}")
_PART = (
    r"(?:\d[\d,.]*(?:/\d+)?)(?: ?%| [A-Za-z][A-Za-z'-]*(?: (?!and\b|by\b|or\b)[A-Za-z][A-Za-z'-]*){0,2}|[A-Za-z]{1,2})"
)
_PARTS = re.compile(rf"{_PART}(?:(?:,| and| by| or| x| ×|, and) {_PART})+(?=[.!]?\Z)")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-4])(?:[:.]([0-5][0-9]))?\s*([ap])\.?\s*m\b\.?", re.I)
_TIME = re.compile(r"[1-9]:[0-5][0-9]|1[0-2]:[0-5][0-9]")
_FRAME = " \t\n.,;:!?*\"'“”‘’`$"


def extract(text: str | None, answer_type: str | None = None) -> str | None:
    """The final answer in a text, as it is written there; None if there is none. `extract(extract(t)) == extract(t)`.

    Without a type, a short text is its own answer; else what is marked, the last formula, or the last number.
    """
    if text is None:
        return None
    if answer_type == "code":
        return programs.extract(text)
    text = _tidied(text)
    if _ABSTAINING.search(text) and _abstained(text):
        return NONE
    read = {
        "choice": _choice, "boolean": _boolean, "number": _number, "integer": _number, "text": _text,
    }.get(answer_type or "", _formula)  # fmt: skip
    found = read(text)
    for _ in range(4):  # `#### \boxed{5}`: an answer may be marked twice
        if not found or found == text:
            break
        text, found = found, read(found)
    return found if found and len(found) <= LONGEST else None


def marked(text: str | None, answer_type: str | None = None) -> bool:
    """Whether `extract` finds an answer that the text marks, or that is all of the text.

    A last number, a leading letter or a last truth word in a longer text is one that it only happens to contain.
    """
    if extract(text, answer_type) is None:
        return False
    text = _tidied(text)
    return answer_type == "code" or bool(_marked(text)) or _alone(text, answer_type) or _abstained(text)


def equal(gold: str | None, pred: str | None, answer_type: str | None = None, tolerance: float = 0.0) -> bool:
    """Whether two answers (or solutions) have the same value. Never raises on a string, and takes bounded time.

    `tolerance`: how far numbers may differ, as a share of the larger one.
    """
    return equal_many([(gold, pred)], answer_type, tolerance)[0]


def equal_many(
    pairs: Sequence[tuple[str | None, str | None]], answer_type: str | None = None, tolerance: float = 0.0
) -> list[bool]:
    """`equal` for each (gold, pred); formulas are compared in parallel."""
    if answer_type in ("number", "integer"):
        return [_same_number(gold, pred, tolerance) for gold, pred in pairs]
    read = [(extract(gold, answer_type), extract(pred, answer_type)) for gold, pred in pairs]
    verdicts = [_verdict(gold, pred, answer_type, tolerance) for gold, pred in read]
    open_ = [index for index, verdict in enumerate(verdicts) if verdict is None]
    if open_:
        for index, same in zip(open_, latex.same_many([read[index] for index in open_]), strict=True):
            verdicts[index] = same
    return [bool(verdict) for verdict in verdicts]


def number(text: str | None) -> Fraction | None:
    """The exact value of a text that is a number, its currency and unit aside; None if it is anything else."""
    found = numerals.read(text) if text is not None else None
    return found.value / 100 if found and found.percent else found.value if found else None


def group(answers: Sequence[str | None], answer_type: str | None = None) -> list[int]:
    """A class id per answer, counted from 0 in order of first appearance; -1 for one that cannot be read.

    Equality is not transitive (28 = 28% = 0.28), so classes are the connected parts of the graph of equal pairs.
    Whether two answers share a class does not depend on the order of the answers.
    """
    read = [extract(answer, answer_type) for answer in answers]
    distinct = list(dict.fromkeys(answer for answer in read if answer is not None))
    distinct = [answer for answer in distinct if _readable(answer, answer_type)]
    leader = {answer: answer for answer in distinct}

    def find(answer: str) -> str:
        while leader[answer] != answer:
            leader[answer] = answer = leader[leader[answer]]
        return answer

    bucket: dict[str | Fraction, str] = {}
    for answer in distinct:
        for key in _keys(answer, answer_type):
            leader[find(answer)] = find(bucket.setdefault(key, answer))
    for a, b in _near(distinct, answer_type):
        leader[find(a)] = find(b)
    if answer_type in (None, "latex"):
        rest = [(a, b) for a, b in latex.candidates(distinct) if find(a) != find(b)]
        for (a, b), same in zip(rest, equal_many(rest, answer_type), strict=True):
            if same:
                leader[find(a)] = find(b)
    ids: dict[str, int] = {}
    return [ids.setdefault(find(answer), len(ids)) if answer in leader else -1 for answer in read]


# Equality of extracted answers.


def _near(given: Sequence[str], answer_type: str | None) -> Iterator[tuple[str, str]]:
    """The pairs of numbers that differ by floating-point noise only."""
    numeric, formula = answer_type in ("number", "integer"), answer_type in (None, "latex")
    if not (numeric or formula):
        return
    read = [(one, numerals.read(one, units=numeric, comma=numeric, formula=formula)) for one in given]
    values = sorted((value, one, found) for one, found in read if found for value in found.readings)
    for i, (value, one, found) in enumerate(values):
        for other_value, other, other_found in values[i + 1 :]:
            if other_value - value > numerals.NOISE * max(abs(value), abs(other_value)):
                break
            if numerals.same(found, other_found):
                yield one, other


def _same_number(gold: str | None, pred: str | None, tolerance: float) -> bool:
    ours, theirs = (
        (numerals.read(text) or numerals.read(extract(text, "number") or "")) if text else None for text in (gold, pred)
    )
    if not ours or not theirs:
        return extract(gold, "number") == extract(pred, "number") == NONE
    return ours == theirs or numerals.same(ours, theirs, tolerance)


def _verdict(gold: str | None, pred: str | None, answer_type: str | None, tolerance: float) -> bool | None:
    """True or False where it can be told here; None where Math-Verify has to be asked."""
    if gold is None or pred is None or not (_readable(gold, answer_type) and _readable(pred, answer_type)):
        return False
    if set(_keys(gold, answer_type)) & set(_keys(pred, answer_type)):
        return True
    if answer_type not in (None, "latex") or NONE in (gold, pred) or _whole(gold) or _whole(pred):
        return False
    ours, theirs = (numerals.read(answer, units=False, comma=False, formula=True) for answer in (gold, pred))
    if ours and theirs:
        return numerals.same(ours, theirs, tolerance)
    if ours or theirs:  # a number faces something looser: with a unit, or (no type given) with a decimal comma
        ours, theirs = (numerals.read(answer, comma=answer_type is None, formula=True) for answer in (gold, pred))
        if ours and theirs:
            return numerals.same(ours, theirs, tolerance)
    return None


def _readable(answer: str, answer_type: str | None) -> bool:
    return bool(_keys(answer, answer_type))


def _keys(answer: str, answer_type: str | None) -> list[str | Fraction]:
    """Two answers that share a key are equal; for types other than latex and numbers, only those."""
    if answer == NONE:
        return [NONE]
    if answer_type in ("number", "integer"):
        found = numerals.read(answer)
        return found.readings if found else []
    if answer_type == "choice":
        return [answer.upper()]
    if answer_type == "boolean":
        return ["true" if answer.lower() in ("yes", "true") else "false"]
    if answer_type == "code":
        return [programs.normal(answer)]
    if answer_type == "text":
        words = " ".join(answer.casefold().split())
        return [key] if (key := words.strip(_FRAME) or words) else []
    if whole := _whole(answer):
        return [whole]
    found = numerals.read(answer, units=False, comma=False, formula=True)
    plain = latex.normal(answer)
    if _TIME.fullmatch(plain):  # morning or afternoon is not said
        return [plain, *(f"{plain} {half}m" for half in "ap")]
    return [*(found.readings if found else []), *([plain] if re.search(r"\w|\\\{", plain) else [])]


def _whole(answer: str) -> str | None:
    """The normal form of a time of day or of parts in words (`6 apples and 4 pears`), which are compared as they are."""
    plain = re.sub(r"\\(?:text|mbox|textrm|mathrm)\s*\{([^{}]*)\}|[$~]|\\[,;: ]", lambda match: match[1] or " ", answer)
    plain = " ".join(plain.split())
    if time := _CLOCK.fullmatch(plain):
        return f"{int(time[1])}:{time[2] or '00'} {time[3].lower()}m"
    if _PARTS.fullmatch(plain.rstrip(" .!")):
        return re.sub(r",? and |, ", " & ", plain.rstrip(" .!").casefold())
    return None


def _abstained(text: str) -> bool:
    """Whether the marked answer, or the whole text, says that there is none; or the last sentence, of "the answer"."""
    marked = _marked(text)
    last = re.split(r"(?<=[.!?])\s+|\n", text)[-1]
    said = marked[:1] or [text, *([last] if re.search(r"\banswer\b", last, re.I) else [])]
    return any(_ABSENT.fullmatch(one) for one in said)


def _alone(text: str, answer_type: str | None) -> bool:
    """Whether a text is an answer and no more: `B`, `No.`, `72 km`, `x = 5`."""
    if answer_type == "choice":
        return bool(_LETTER_ALONE.fullmatch(_bare(text)))
    if answer_type == "boolean":
        return bool(re.fullmatch(r"\W*(?:yes|no|true|false)\W*", text, re.I))
    if "\n" in text or len(re.findall("[A-Za-z]{2,}", _COMMAND.sub(" ", text))) > 1:
        return False
    return answer_type not in ("number", "integer") or numerals.read(text) is not None


# Extraction, by type. Each takes a text and gives what an answer of the type is in it.


def _tidied(text: str) -> str:
    """The end of a text, of its own, with single blanks."""
    return _own(re.sub(r"[ \t\r\f\v]+", " ", text[-WINDOW:].replace("\0", "")).strip())


def _own(text: str) -> str:
    """The text before a next question that the model invented after its first marked answer."""
    firsts = [mark for pattern in (_MARKED, _BOXED, _ANGLED, _HASHES) if (mark := pattern.search(text))]
    following = _NEXT.search(text, min(mark.end() for mark in firsts)) if firsts else None
    return text[: following.start()].strip() if following else text


def _marked(text: str, single: bool = True) -> list[str]:
    """What the text says is its answer, the strongest mark first: `####`, `<<<>>>`, a box or a "final answer",
    whichever is later, "the answer is". `single`: several boxes are not a list."""
    found = []
    if "####" in text:
        found.append(text.rpartition("####")[2].strip().partition("\n")[0])
    if angled := _ANGLED.search(text):
        found.append(angled[1])
    spans = _spans(text)
    marks = list(_MARKED.finditer(text))[: -1 - MARKS : -1]
    if marks and marks[0][1] and marks[0].start() > (spans[-1][0] if spans else -1):
        marks, final = marks[1:], marks[0]
        found.append(_sentence(text, final.end()))
    found += _boxed(text, spans, single) + [_sentence(text, mark.end()) for mark in marks]
    return [one.strip() for one in found if one.strip()]


def _sentence(text: str, start: int) -> str:
    rest = _HOPE.sub("", text[start : start + LONGEST].strip())
    end = _SENTENCE.search(rest)
    return _NOT_BUT.sub("", rest[: end.start()] if end else rest)


def boxes(text: str) -> list[str]:
    r"""The content of the last `\boxed{}`; of the last few, with commas, where they stand in a list."""
    return _boxed(text, _spans(text), single=False)


def _spans(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of the boxes in a text."""
    spans: list[tuple[int, int, str]] = []
    closing = _closing(text) if _BOXED.search(text) else {}
    for match in _BOXED.finditer(text):
        if match[1]:
            spans.append((match.start(), match.end(), match[1]))
        elif (not spans or match.start() >= spans[-1][1]) and (end := closing.get(match.end())):
            spans.append((match.start(), end, text[match.end() : end - 1]))
    return spans


def _boxed(text: str, spans: list[tuple[int, int, str]], single: bool) -> list[str]:
    if not spans:
        return []
    before = [text[max(0, start - 80) : start] for start, _, _ in spans]
    kept = [i for i in range(len(spans)) if not _DENIED.search(before[i])] or [len(spans) - 1]
    last = first = next((i for i in reversed(kept) if _ASSERTED.search(before[i])), kept[-1])
    while not single and first and _LISTED.fullmatch(text[spans[first - 1][1] : spans[first][0]]):
        first -= 1
    while not single and last in kept[:-1] and _LISTED.fullmatch(text[spans[last][1] : spans[last + 1][0]]):
        last += 1
    contents = [_LIST_WORD.sub(", ", content.replace("$", " ").strip()) for _, _, content in spans[first : last + 1]]
    return [", ".join(dict.fromkeys(contents))]


def _closing(text: str) -> dict[int, int]:
    """{position after an opening brace: position after the brace that closes it}."""
    opened, closing = [], {}
    for match in re.finditer(r"\\.|[{}]", text, re.S):
        if match[0] == "{":
            opened.append(match.end())
        elif match[0] == "}" and opened:
            closing[opened.pop()] = match.end()
    return closing


def _number(text: str) -> str | None:
    text = _ANGLED.sub(lambda match: match[0].replace(",", ""), text)
    if numerals.read(text):
        return text
    marked = _marked(text)
    for candidate in marked:
        if found := candidate if numerals.read(candidate) else numerals.stated(candidate):
            return found
    return None if marked else numerals.last(text)


def _formula(text: str) -> str | None:
    marked = _marked(text, single=False)
    for candidate in marked or [text]:
        if _prose(candidate) or (not marked and len(text) >= 400):
            candidate = _last(candidate)
        elif len(found := _MATH.findall(candidate)) == 1 and not re.search("[0-9]", _MATH.sub("", candidate)):
            candidate = found[0]
        elif not marked and re.match("[A-Za-z]{3}", candidate) and not re.search(r"[=^_+*/\\<>()]", candidate):
            candidate = _last(candidate) or candidate if len(numerals.tokens(candidate)) == 1 else candidate
        if candidate:
            return candidate
    return None


def _prose(text: str) -> bool:
    """Whether words stand in a text as in a sentence: `ab+bc+ca` is a formula."""
    bare = _COMMAND.sub(" ", text)
    return len(_WORD.findall(bare)) > 2 and bool(_WORDS.search(bare))


def _last(sentence: str) -> str | None:
    """The last formula or number, but not the name of a quantity if there is anything else; `6 apples and 4 pears`
    whole."""
    if parts := _PARTS.search(sentence[-300:].rstrip(" .!")):
        return parts[0]
    found = numerals.tokens(sentence)
    for match in _MATH.finditer(sentence):
        found = [(at, one) for at, one in found if not match.start() <= at < match.end()] + [(match.start(), match[0])]
    names = [(at, one) for at, one in found if re.fullmatch(r"\W*[A-Za-z]+(?:\([A-Za-z]\))?\W*", one)]
    found = [each for each in found if each not in names] or found
    return max(found)[1] if found else None


def _choice(text: str) -> str | None:
    """The one letter that is marked; if nothing is marked, the one that the text is, opens with, or names alone."""
    if bare := _LETTER_ALONE.fullmatch(_bare(text)):
        return bare[1].upper()
    marked = _marked(text)
    if marked:
        found = [_letter(candidate) for candidate in marked]
        stated = list(_MARKED.finditer(text))
        if len(found) == len(stated) > 1 and found[0] and found[1] and found[0] != found[1] and not stated[-1][1]:
            corrected = _CORRECTED.search(text[stated[-2].end() : stated[-1].start()])
            return found[0] if corrected else None
        return next((letter for letter in found if letter), None)
    bare = _bare(text)
    letters = _letters(bare)
    if opening := _OPENING.match(bare):  # but not the first item of a list of options
        first = (opening[1] or opening[2]).upper()
        items = {(item[1] or item[2]).upper() for item in _ITEM.finditer(bare)}
        if items <= {first} and not (first == "I" and "II" in bare):
            return first
    return letters[0] if len(set(letters)) == 1 else None


def _letter(candidate: str) -> str | None:
    """The letter that a statement gives; None if it gives several."""
    candidate = _bare(candidate)
    if _DENIAL.match(candidate):
        return None
    if (found := _LEADING.match(candidate)) and not _ARTICLE.match(candidate):
        return None if _EITHER.match(candidate, found.end()) else (found[1] or found[2]).upper()
    letters = _letters(candidate)
    return letters[0] if len(set(letters)) == 1 else None


def _letters(text: str) -> list[str]:
    return [match[1] for match in _LETTER.finditer(text) if not _ARTICLE.match(text, match.start())]


def _bare(text: str) -> str:
    return re.sub(r"\\(?:text|textbf|mathrm|mathbf|mbox)\b|[${}*\\]", "", text).strip()


def _boolean(text: str) -> str | None:
    """Yes or no, true or false: as marked, else the word that the text opens with, else the last one."""
    marked = _marked(text)
    for candidate in marked or [text]:
        said = [] if _TWO_TRUTHS.search(candidate) else list(_TRUTH.finditer(candidate))
        if said:
            one = said[0] if marked or re.match(r"\W*(?:yes|no|true|false)\b", candidate, re.I) else said[-1]
            word = one[0].lower()
            return _OPPOSITE[word] if _NEGATED.search(candidate[max(0, one.start() - 40) : one.start()]) else word
    return None


def _text(text: str) -> str | None:
    return next((candidate for candidate in _marked(text)), text) or None
