"""Statements of code problems: the story, which may have typos, and the rest, which must not change.

The story of a contest problem is the text before the first heading (Input, Output, Constraints, Example, ...); that of a
function to complete is the prose at the start of its docstring, before the first example. Protected spans of a story must
not change either: formulas, numbers, variables, quoted strings, pictures and links, words in capitals, words that the
tests read or print, and the small words that decide an answer (`least`, `each`, `only`, `not`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from stages.lib.operators.programs.base import NotApplicable, State, apply_edits, word_set

_HEADING = re.compile(
    r"^[ \t]*(?:the )?(?:(?:sample |standard )?(?:inputs?|outputs?)(?: (?:format|example|specification)s?)?|constraints?"
    r"|limits|restrictions|scoring|(?:sample )?(?:examples?|notes?)|interaction|explanations?)[ \t]*\d*[ \t]*:?[ \t]*$",
    re.I | re.M,
)
_EXAMPLES = re.compile(  # a line that is no prose, or leads to such lines
    r"^[ \t]*(?:>>>|[-*#@\[]|\d+[.)]|assert\b|for exam|e\.g|(?:(?:some |the )?(?:examples?|inputs?|outputs?|notes?"
    r"|constraints?|variables|restrictions)|here (?:are|is))\b[^.\n]{0,20}(?::|$))|->|=>|➞|(?<![<>!])="
    r"|[“\"']{2}|\be\.g\.|\bfor exam",
    re.M | re.I,
)
_PROTECTED_SPANS = re.compile(  # spans that are one mark
    r"```.*?```|`[^`\n]*`|\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|(?<!\w)'[^'\n]{1,60}'(?!\w)|\$\$\$.*?\$\$\$|\$[^$\n]+\$"
    r"|<[^<>\n]{1,40}>|!?\[[^\]\n]*\]\([^()\n]*\)|https?://\S+",
    re.S,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_FORMULA = re.compile(r"[\d_^\\=<>≤≥≠≦≧+*/|{}\[\]$#@~%⊕⊙⋅·×−…⇒∞]")
_SHORT_WORDS = word_set("of to in it is be as at so we he by or on do if me my up an go no us am oh ok")
CRUCIAL_WORDS = word_set("""
    zero one two three four five six seven eight nine ten eleven twelve twenty hundred thousand million billion
    first second third fourth fifth last half once twice double pair pairs
    not no never none nothing neither nor without cannot except unless
    least most exactly only strictly minimum minimal minimize maximum maximal maximize smallest largest shortest longest
    lowest highest fewest earliest latest more less fewer greater smaller larger before after between
    each every all any some either both same equal different distinct adjacent consecutive contiguous arbitrary
    positive negative nonnegative integer integers real odd even prime divisible modulo remainder sum product
    left right up down row rows column columns horizontal vertical sorted ascending descending increasing decreasing
    lexicographically permutation subsequence substring prefix suffix empty unique else otherwise
    random probability expected optimal optimally infinite finite true false yes
""")


class Statement(NamedTuple):
    """A question with its story between start and end."""

    text: str
    start: int
    end: int

    @property
    def story(self) -> str:
        return self.text[self.start : self.end]

    @property
    def fixed_parts(self) -> tuple[str, str]:
        """(text before the story, text after it)."""
        return self.text[: self.start], self.text[self.end :]


class ProtectedSpan(NamedTuple):
    start: int
    end: int
    text: str


def parse_statement(question: str, entry: str | None = None) -> Statement:
    """The statement of a contest problem, or that of the function `entry`. A story may be empty."""
    if entry is None:
        heading = _HEADING.search(question)
        return Statement(question, 0, heading.start() if heading else len(question))
    opening = re.compile(r'"""|\'\'\'').search(question, question.rfind(f"def {entry}("))
    if not opening:
        return Statement(question, len(question), len(question))
    start = opening.end()
    closing = question.find(opening[0], start)
    closing = closing if closing >= 0 else len(question)
    end, called = closing, re.compile(rf"\b{re.escape(entry)}\(")
    for line in re.finditer(r"[^\n]*\n?", question[start:closing]):
        if line[0].strip() and (_EXAMPLES.search(line[0]) or called.search(line[0])):
            end = start + line.start()
            break
    return Statement(question, start, end)


def extract_words(text: str) -> set[str]:
    return set(_WORD.findall(text))


def find_tested_words(tests: Mapping[str, Any], question: str) -> list[str]:
    """The words of a question that its tests use: what a program reads or prints, or what a test calls or compares."""
    if "entry_point" in tests:
        signature = question[: parse_statement(question, tests["entry_point"]).start]
        text = " ".join(re.findall(r"'[^'\n]*'|\"[^\"\n]*\"", tests["test"])) + signature
    else:
        text = json.dumps(tests, ensure_ascii=False).replace("\\n", " ").replace("\\r", " ")
    words = {word for word in extract_words(text) if len(word) > 1}
    return sorted(words & extract_words(question))


def digest_tests(tests: Mapping[str, Any]) -> str:
    """A digest in place of the tests of a program, so that they are not stored twice."""
    return hashlib.sha256(json.dumps(tests, sort_keys=True).encode()).hexdigest()


def find_protected_spans(text: str, words: Iterable[str] = ()) -> list[ProtectedSpan]:
    """The spans of a text that must not change, in order. words: further words that must not."""
    spans, protected = (
        [ProtectedSpan(*match.span(), match[0]) for match in _PROTECTED_SPANS.finditer(text)],
        frozenset(words),
    )
    rest = _PROTECTED_SPANS.sub(lambda match: " " * len(match[0]), text)
    for match in re.finditer(r"\S+", rest):
        bare = match[0].strip(".,;:!?()—–-\"'’“”")
        if _FORMULA.search(match[0]) or _is_identifier(bare, rest[match.end() : match.end() + 3]):
            spans.append(ProtectedSpan(*match.span(), bare or match[0]))
            continue
        spans += [
            ProtectedSpan(match.start() + word.start(), match.start() + word.end(), word[0])
            for word in _WORD.finditer(match[0])
            if word[0] in protected
            or {*re.split("['’-]", word[0].lower())} & CRUCIAL_WORDS
            or word[0].lower().endswith("n't")
        ]
    return sorted(spans)


def _is_identifier(word: str, after: str) -> bool:
    """Variables (`x`, `xi`, `n-th`) and names in capitals; not the article and not I."""
    if re.fullmatch(r"[aAI]", word):
        return not re.match(r" [a-z]{2}|['’]", after)
    if re.fullmatch(r"[A-Za-z](?:-[a-z]+)?(?:['’]s?)?", word):
        return True
    if len(word) == 2 and word.isalpha() and word.lower() not in _SHORT_WORDS:
        return True
    return bool(re.search(r"[a-z][A-Z]|^[A-Z]{2,}", word))


def find_faults(before: str, after: str, tests: Mapping[str, Any]) -> list[str]:
    """Faults of a question that should state the same problem as another: [] where only the story differs, and in it no
    protected span."""
    entry = tests.get("entry_point")
    old, new = parse_statement(before, entry), parse_statement(after, entry)
    for name, part, other_part in zip(("before", "after"), old.fixed_parts, new.fixed_parts, strict=True):
        if part != other_part:
            return [f"what stands {name} the story changed: {_describe_change(part, other_part)}"]
    tested_words = find_tested_words(tests, before)
    part, other_part = (
        [mark.text for mark in find_protected_spans(statement.story, tested_words)] for statement in (old, new)
    )
    if part != other_part:
        return [f"what must stay in the story changed: {_describe_difference(part, other_part)}"]
    return []


def _describe_change(old: str, new: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return f"{old[max(0, at - 20) : at + 20]!r}, now {new[max(0, at - 20) : at + 20]!r}"


def _describe_difference(old: list[str], new: list[str]) -> str:
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return f"{(old[at:] or ['the end'])[0]!r}, now {(new[at:] or ['the end'])[0]!r}"


# The program of a code problem: its text, the digest of its tests and which of its words they use.


def make_state(question: str, answer: str, tests: Mapping[str, Any]) -> State:
    state = {
        "question": question,
        "answer": answer,
        "tests": digest_tests(tests),
        "kept": find_tested_words(tests, question),
    }
    return state | ({"entry": tests["entry_point"]} if "entry_point" in tests else {})


def render(state: State) -> tuple[str, None, str]:
    """(question, None for steps, answer)."""
    return apply_edits(state["question"], state.get("edits", [])), None, state["answer"]


def mask_protected(state: State) -> str:
    """The question with spaces in place of everything that must not change; positions stay. Raises NotApplicable where no
    story is left."""
    statement = parse_statement(state["question"], state.get("entry"))
    if not re.search(r"[a-z]{3,} [a-z]{2,} [a-z]{2,}", statement.story):
        raise NotApplicable("there is no story before the formats")
    text = list(statement.story)
    for mark in find_protected_spans(statement.story, state["kept"]):
        text[mark.start : mark.end] = " " * (mark.end - mark.start)
    before, after = statement.fixed_parts
    return " " * len(before) + "".join(text) + " " * len(after)


def check_contract(parent: State, question: str, tests: Mapping[str, Any] | None) -> list[str]:
    """Faults of a variant with this question: other tests than the parent's, or a change of what must not change."""
    if tests is None or digest_tests(tests) != parent["tests"]:
        return ["tests: differ from the parent's"]
    if parent["kept"] != find_tested_words(tests, parent["question"]):
        return ["kept: not the words of the tests"]
    return find_faults(parent["question"], question, tests)
