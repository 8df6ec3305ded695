r"""Final answers: take one out of a solution, and decide whether two are the same.

`extract` finds what a solution says its answer is: after `####`, in the first `<<<...>>>`, in `\boxed{}`, after "the
answer is"; failing these, the last number (or formula, letter, yes or no) in it. `equal` compares two answers, or two
whole solutions, by type: numbers exactly, as fractions (`lib/numerals.py`); formulas by Math-Verify in worker processes
(`lib/latex.py`); letters and yes/no by meaning; code by text, but for comments and white space. It is symmetric. An
answer that cannot be read equals nothing, itself included. A percentage equals both readings of it (28% = 28 = 0.28),
since benchmarks write it either way. `N/A` (the question has no answer; also "cannot be determined", "not enough
information", "unknown", "none") is read in every type where it is marked or stands alone, and equals only itself.

Sources: GSM8K's `####` (Cobbe et al., 2021), MATH's `\boxed` (Hendrycks et al., 2021), `<<<>>>` and `N/A` of DyVal (Zhu
et al., 2024).
Command: `python -m stages grade FILE.jsonl`.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

from stages.lib import latex, numerals, programs

TYPES = ("number", "integer", "latex", "choice", "boolean", "code")
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
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|([^\s{\\$]))")
_MARKED = re.compile(r"\b(final )?answer\b(?:\**\s*:|\s*(?:is|was|=)(?![a-z]))\**\s*:?|^A:", re.I | re.M)
_HOPE = re.compile(r"\.?\s*I hope\b.*", re.S)
_SENTENCE = re.compile(r"[.!?](?=\s|$)|\n\s*\n|(?<=\S)\n")
_MATH = re.compile(r"\$\$[^$]+\$\$|\$[^$\n]+\$|\\\([^\n]{0,1000}?\\\)|\\\[.{0,1000}?\\\]", re.S)
_DELIMITER = re.compile(r"\$|\\\(|\\\[")
_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{2,}")
_COMMAND = re.compile(r"\\(?:text|mbox|textbf|textit|mathrm|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+|\$[^$]*\$")
_TOGETHER = re.compile(r"\b(?:and|or)\b|[,;&]")
_LIST_WORD = re.compile(r"\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:and|or)\s*\}|\s+(?:and|or)\s+")
_CHOICE = re.compile(r"[(\[{]?\s*([A-Za-z])\s*(?:[)\]}.:,].*)?", re.S)
_LETTER = re.compile(r"(?<![A-Za-z'’])([A-Z])(?![A-Za-z'’])")
_ARTICLE = re.compile(r"A(?= +[a-z])|I(?=[ '])")
_TRUTH = re.compile(r"\b(yes|true|no|false)\b", re.I)


def extract(text: str | None, answer_type: str | None = None) -> str | None:
    """The final answer in a text, as it is written there; None if there is none. `extract(extract(t)) == extract(t)`.

    Without a type, a short text is its own answer; else what is marked, the last formula, or the last number.
    """
    if text is None:
        return None
    if answer_type == "code":
        return programs.extract(text)
    text = re.sub(r"[ \t\r\f\v]+", " ", text[-WINDOW:].replace("\0", "")).strip()
    if _ABSTAINING.search(text) and _abstained(text):
        return NONE
    read = {"choice": _choice, "boolean": _boolean, "number": _number, "integer": _number}.get(
        answer_type or "", _formula
    )
    found = read(text)
    for _ in range(4):  # `#### \boxed{5}`: an answer may be marked twice
        if not found or found == text:
            break
        text, found = found, read(found)
    return found if found and len(found) <= LONGEST else None


def equal(gold: str | None, pred: str | None, answer_type: str | None = None) -> bool:
    """Whether two answers (or solutions) have the same value. Never raises on a string, and takes bounded time."""
    return equal_many([(gold, pred)], answer_type)[0]


def equal_many(pairs: Sequence[tuple[str | None, str | None]], answer_type: str | None = None) -> list[bool]:
    """`equal` for each (gold, pred); formulas are compared in parallel."""
    if answer_type in ("number", "integer"):
        return [_same_number(gold, pred) for gold, pred in pairs]
    read = [(extract(gold, answer_type), extract(pred, answer_type)) for gold, pred in pairs]
    verdicts = [_verdict(gold, pred, answer_type) for gold, pred in read]
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
    if answer_type in (None, "latex"):
        rest = [(a, b) for i, a in enumerate(distinct) for b in distinct[:i] if find(a) != find(b)]
        for (a, b), same in zip(rest, equal_many(rest, answer_type), strict=True):
            if same:
                leader[find(a)] = find(b)
    ids: dict[str, int] = {}
    return [ids.setdefault(find(answer), len(ids)) if answer in leader else -1 for answer in read]


# Equality of extracted answers.


def _same_number(gold: str | None, pred: str | None) -> bool:
    ours, theirs = (
        (numerals.read(text) or numerals.read(extract(text, "number") or "")) if text else None for text in (gold, pred)
    )
    if not ours or not theirs:
        return extract(gold, "number") == extract(pred, "number") == NONE
    return ours == theirs or not set(_number_keys(ours)).isdisjoint(_number_keys(theirs))


def _verdict(gold: str | None, pred: str | None, answer_type: str | None) -> bool | None:
    """True or False where it can be told here; None where Math-Verify has to be asked."""
    if gold is None or pred is None or not (_readable(gold, answer_type) and _readable(pred, answer_type)):
        return False
    if set(_keys(gold, answer_type)) & set(_keys(pred, answer_type)):
        return True
    if answer_type not in (None, "latex") or NONE in (gold, pred):
        return False
    ours, theirs = (numerals.read(answer, units=False, comma=False) for answer in (gold, pred))
    if ours and theirs:
        return False
    if ours or theirs:  # a number faces something looser: with a unit, or (no type given) with a decimal comma
        ours, theirs = (numerals.read(answer, comma=answer_type is None) for answer in (gold, pred))
        if ours and theirs:
            return bool(set(_number_keys(ours)) & set(_number_keys(theirs)))
    return None


def _readable(answer: str, answer_type: str | None) -> bool:
    return bool(_keys(answer, answer_type))


def _keys(answer: str, answer_type: str | None) -> list[str | Fraction]:
    """Two answers that share a key are equal; for types other than latex, only those."""
    if answer == NONE:
        return [NONE]
    if answer_type in ("number", "integer"):
        found = numerals.read(answer)
        return _number_keys(found) if found else []
    if answer_type == "choice":
        return [answer.upper()]
    if answer_type == "boolean":
        return ["true" if answer.lower() in ("yes", "true") else "false"]
    if answer_type == "code":
        return [programs.normal(answer)]
    found = numerals.read(answer, units=False, comma=False)
    plain = latex.normal(answer)
    return [*(_number_keys(found) if found else []), *([plain] if re.search(r"\w", plain) else [])]


def _number_keys(found: numerals.Numeral) -> list[str | Fraction]:
    return [found.value, found.value / 100] if found.percent else [found.value]


def _abstained(text: str) -> bool:
    """Whether the marked answer, or the whole text, says that there is none; or the last sentence, of "the answer"."""
    marked = _marked(text)
    last = re.split(r"(?<=[.!?])\s+|\n", text)[-1]
    said = marked[:1] or [text, *([last] if re.search(r"\banswer\b", last, re.I) else [])]
    return any(_ABSENT.fullmatch(one) for one in said)


# Extraction, by type. Each takes a text and gives what an answer of the type is in it.


def _marked(text: str) -> list[str]:
    """What the text says is its answer, the most deliberate first: a box or a "final answer", whichever is later."""
    found = []
    if "####" in text:
        found.append(text.rpartition("####")[2].strip().partition("\n")[0])
    if angled := _ANGLED.search(text):
        found.append(angled[1])
    boxed = boxes(text)
    marks = list(_MARKED.finditer(text))[: -1 - MARKS : -1]
    if marks and marks[0][1] and marks[0].start() > text.rfind("\\boxed"):
        marks, final = marks[1:], marks[0]
        found.append(_sentence(text, final.end()))
    found += boxed + [_sentence(text, mark.end()) for mark in marks]
    return [one.strip() for one in found if one.strip()]


def _sentence(text: str, start: int) -> str:
    rest = _HOPE.sub("", text[start : start + LONGEST].strip())
    end = _SENTENCE.search(rest)
    return rest[: end.start()] if end else rest


def boxes(text: str) -> list[str]:
    r"""The content of the last `\boxed{}`; of the last few, with commas, where they stand in a list."""
    spans: list[tuple[int, int, str]] = []
    closing = _closing(text) if _BOXED.search(text) else {}
    for match in _BOXED.finditer(text):
        if match[1]:
            spans.append((match.start(), match.end(), match[1]))
        elif (not spans or match.start() >= spans[-1][1]) and (end := closing.get(match.end())):
            spans.append((match.start(), end, text[match.end() : end - 1]))
    if not spans:
        return []
    last = len(spans) - 1
    while last and _listed(text[spans[last - 1][1] : spans[last][0]]):
        last -= 1
    contents = [_LIST_WORD.sub(", ", content.replace("$", " ").strip()) for _, _, content in spans[last:]]
    return [", ".join(dict.fromkeys(contents))]


def _listed(between: str) -> bool:
    if not between.strip("$ "):
        return True
    return len(between) < 60 and bool(_TOGETHER.search(between)) and not re.search(r"[.:?!]\s|\n\s*\n", between)


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
    for candidate in _marked(text):
        if found := candidate if numerals.read(candidate) else numerals.stated(candidate):
            return found
    return numerals.last(text)


def _formula(text: str) -> str | None:
    marked = _marked(text)
    for candidate in marked:
        if found := _last(candidate) if _prose(candidate) else candidate:
            return found
    if not marked and len(text) < 400 and not _prose(text):
        return text or None
    return _last(text)


def _prose(text: str) -> bool:
    return len(_WORD.findall(_COMMAND.sub(" ", text))) > 2


def _last(sentence: str) -> str | None:
    """The last formula or number, but not the name of a quantity if there is anything else."""
    found = numerals.tokens(sentence)
    for match in _MATH.finditer(sentence):
        found = [(at, one) for at, one in found if not match.start() <= at < match.end()] + [(match.start(), match[0])]
    names = [(at, one) for at, one in found if re.fullmatch(r"\W*[A-Za-z]+(?:\([A-Za-z]\))?\W*", one)]
    found = [each for each in found if each not in names] or found
    return max(found)[1] if found else None


def _choice(text: str) -> str | None:
    for candidate in [text, *_marked(text)]:
        bare = re.sub(r"\\(?:text|textbf|mathrm|mathbf|mbox)\b|[${}*\\]", "", candidate).strip()
        if found := _CHOICE.fullmatch(bare):
            return found[1].upper()
    for candidate in [*_marked(text), text]:
        letters = [match[1] for match in _LETTER.finditer(candidate) if not _ARTICLE.match(candidate, match.start())]
        if letters:
            return letters[-1] if candidate is text else letters[0]
    return None


def _boolean(text: str) -> str | None:
    for candidate in [*_marked(text), text]:
        if found := _TRUTH.findall(candidate):
            return (found[-1] if candidate is text else found[0]).lower()
    return None
