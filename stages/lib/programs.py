"""Programs in the text of a model: which part of a solution is code, and which programs are the same but for their looks.

A solution to a code problem comes as a fenced block, as a bare program, as the rest of a function whose head stands in
the prompt, or as that whole function; there may be prose around it, and a model that does not stop goes on with an invented
next question. `extract` gives a program that can be run as it stands. For a function that is the prompt's own imports and
helpers, the function, and what else the model wrote for it. Without its tests, calls of its own and prints: they are not
part of the answer (Chen et al. 2021, arXiv 2107.03374, stop at `\\ndef`, `\\nclass`, `\\nif`, `\\nprint`, `\\n#`).

Nothing is compiled or run here: lines are told apart by their tokens, which no program can make slow or crash.
"""

from __future__ import annotations

import io
import keyword
import re
import textwrap
import token
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

LONGEST = 200_000  # characters; more is not a program
TIMES = 5  # a program in a fence in a fence
_FENCE = re.compile(r"^[ \t]*(?:```+|~~~+)[ \t]*([\w+.#-]*)[^\n`]*$", re.M)
_PYTHON = {"python", "py", "python3", "py3"}
_COMPOUND = {"if", "for", "while", "with", "try", "def", "class", "async", "match"}
_GOES_ON = {"elif", "else", "except", "finally", "case"}  # belongs to the statement before
_SOFT = {"match", "case", "type", "print", "exec"}
_SKIPPED = (token.NEWLINE, token.INDENT, token.DEDENT, tokenize.NL, tokenize.COMMENT, token.ENDMARKER)


class _Statement(NamedTuple):
    """A statement that starts at the beginning of a line, with all that is indented below it."""

    start: int  # lines, the last one excluded
    end: int
    head: list[tokenize.TokenInfo]  # its first logical line
    names: set[str]  # all that stand in it, but not in its texts
    whole: bool  # whether the tokens end properly, a block after a head that promises one included


def extract(text: str, question: str = "", entry_point: str | None = None) -> str | None:
    """The program in a solution, None where there is none. With an entry point: of a function that `question` begins.

    What `extract` gives it finds again: `extract(extract(text)) == extract(text)`.
    """
    for _ in range(TIMES):
        found = _extract(text, question, entry_point)
        if not found or found == text:
            break
        text = found
    return found


def _extract(text: str, question: str, entry_point: str | None) -> str | None:
    if len(text) > LONGEST:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "").replace("\0", "")
    code, fenced = _find_block(text, entry_point)
    if not code.strip():
        return None
    if entry_point is None:
        found = code if fenced else _cut(code)
    elif _find_function(code, entry_point):
        found = _assemble(code, question, entry_point)
    else:
        found = _complete(code, question, entry_point, fenced)
    return found.strip("\n").rstrip() or None


@lru_cache(maxsize=1 << 12)
def normal(program: str) -> str:
    """A program without comments, blank lines and the white space between its words; itself where it has no tokens.

    Programs with one normal form do the same.
    """
    words = []
    try:
        for each in _tokens(program):
            if each.type in (tokenize.COMMENT, tokenize.NL):
                continue
            marks = each.type in (token.INDENT, token.DEDENT, token.NEWLINE)
            words.append(token.tok_name[each.type] if marks else each.string)
    except (SyntaxError, tokenize.TokenError):
        return program.strip()
    return "\0".join(words)


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(source).readline)


def _find_block(text: str, entry_point: str | None) -> tuple[str, bool]:
    """(the code, whether it stood in a fence): the last fenced block that defines the function; else the last one that
    is called Python; else the last one in no other language; else the last one."""
    blocks: list[tuple[str, str]] = []
    fences = list(_FENCE.finditer(text))
    while fences:
        opening = fences.pop(0)
        rest = text[opening.end() + 1 :]
        before = text[: opening.start()]
        if not (fences or blocks or opening[1]) and before.strip() and not any(map(_is_prose, _split(before))):
            return before, False  # the end of a block that the prompt opened
        if fences and not fences[0][1]:
            rest = text[opening.end() + 1 : fences.pop(0).start()]
        elif fences:
            rest = text[opening.end() + 1 : fences[0].start()]  # another one opens: this one was never closed
        blocks.append((opening[1].lower(), textwrap.dedent(rest) if opening[0][0].isspace() else rest))
    blocks = [(language, code) for language, code in blocks if code.strip()]
    if not blocks:
        return _FENCE.sub("", text), False
    for fits in (
        lambda language, code: entry_point is not None and bool(_find_function(code, entry_point)),
        lambda language, code: language in _PYTHON,
        lambda language, code: not language,
        lambda language, code: True,
    ):
        if fitting := [code for language, code in blocks if fits(language, code)]:
            return fitting[-1], True
    raise AssertionError("the last test fits every block")


def _find_function(code: str, entry_point: str) -> re.Match[str] | None:
    return re.search(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", code, re.M)


def _split(source: str) -> list[_Statement]:
    """The statements at the top of a program, also of one that is none: what has no tokens ends the last of them."""
    starts: list[tuple[int, list[tokenize.TokenInfo], set[str]]] = []
    line: list[tokenize.TokenInfo] = []
    whole, decorated, opened = True, False, False
    try:
        for each in _tokens(source):
            if each.type in (token.NEWLINE, token.ENDMARKER) and line:
                column, word = line[0].start[1], line[0].string
                if column == 0 and decorated:
                    starts[-1] = (starts[-1][0], line, starts[-1][2])
                elif column == 0 and not (starts and word in _GOES_ON):
                    starts.append((line[0].start[0] - 1, line, set()))
                if starts:
                    starts[-1][2].update(each.string for each in line if each.type == token.NAME)
                decorated = column == 0 and word == "@"
                opened = line[-1].string == ":" and word in _COMPOUND | _GOES_ON
                line = []
            elif each.type not in _SKIPPED:
                line.append(each)
    except (SyntaxError, tokenize.TokenError):
        whole = False
        if line and line[0].start[1] == 0:
            starts.append((line[0].start[0] - 1, line, set()))
    ends = [start for start, _, _ in starts[1:]] + [source.count("\n") + 1]
    last = len(starts) - 1
    return [
        _Statement(start, end, head, names, number < last or (whole and not opened))
        for number, ((start, head, names), end) in enumerate(zip(starts, ends, strict=False))
    ]


def _is_prose(statement: _Statement) -> bool:
    """Whether a line is no Python: two names side by side, a sign that Python has not, a colon that opens nothing."""
    head = statement.head
    if head[0].string in ("**", ">", "|") or (
        head[0].string in ("*", "-", "+") and len(head) > 1 and head[1].start[1] > head[0].end[1]
    ):
        return True  # bold, a quotation, a table, an item of a list
    for one, other in zip(head, head[1:], strict=False):
        if one.type == token.ERRORTOKEN or other.type == token.ERRORTOKEN:
            return True
        words = [
            each.type == token.NUMBER or (each.type == token.NAME and not keyword.iskeyword(each.string))
            for each in (one, other)
        ]
        if all(words) and one.string not in _SOFT:
            return True
    last = head[-1]
    if last.string == ":" and head[0].string not in _COMPOUND | _GOES_ON:
        return True
    return last.type == token.ERRORTOKEN or (last.type == token.OP and last.string in (".", "?", "-", "="))


def _cut(text: str) -> str:
    """A program without a fence: from its first statement to the first line of prose after it."""
    statements, lines = _split(text), text.split("\n")
    code = [statement for statement in statements if not _is_prose(statement)]
    if not code or len(code) == len(statements):
        return text
    after = [statement.start for statement in statements if statement.start > code[0].start and _is_prose(statement)]
    return "\n".join(lines[code[0].start : after[0] if after else len(lines)])


def _assemble(code: str, question: str, entry_point: str) -> str:
    """The prompt's part above its function, and the model's function with what belongs to it."""
    above = question[: found.start() if (found := _find_function(question, entry_point)) else 0].strip()
    lines = code.split("\n")
    statements, met = _split(code), False
    bodies = ["\n".join(lines[each.start : each.end]).strip("\n") for each in statements]
    kept: set[int] = set()
    later: list[int] = []
    for number, statement in enumerate(statements):
        if _is_definition(statement) and entry_point in _list_names(statement):
            if not met:  # a second try is none; the first was what was asked for
                kept.add(number)
            met = True
        elif bodies[number] in above or _is_prose(statement) or _is_trial(statement) or not statement.whole:
            continue  # the prompt said it, or it is no part of a function
        elif met and statement.head[0].string not in ("import", "from"):
            later.append(number)
        else:
            kept.add(number)
    wanted = set().union(*(statements[number].names for number in kept))
    while used := [number for number in later if number not in kept and _list_names(statements[number]) & wanted]:
        kept.update(used)  # of what stands below the function, what it uses
        wanted = wanted.union(*(statements[number].names for number in used))
    return "\n\n".join(filter(None, [above, *(bodies[number] for number in sorted(kept))]))


def _is_definition(statement: _Statement) -> bool:
    return statement.head[0].string in ("def", "class", "async")


def _list_names(statement: _Statement) -> set[str]:
    """The names that a statement gives a meaning, or may."""
    names = [each.string for each in statement.head if each.type == token.NAME and each.string != "async"]
    if _is_definition(statement):
        return set(names[1:2])
    signs = [each.string for each in statement.head]
    return set(signs[: signs.index("=")] if "=" in signs else names)


def _is_trial(statement: _Statement) -> bool:
    """A test, a print or what runs only as a script: not part of a function that was asked for."""
    words = [each.string for each in statement.head[:2]]
    return words[0] in ("print", "assert") or words == ["if", "__name__"]


def _complete(code: str, question: str, entry_point: str, fenced: bool) -> str:
    """The prompt and the rest of its function, up to the first line that is not part of it."""
    code = code.strip("\n").rstrip()
    own = re.search(r"^([ \t]+)\S", question[question.rfind(f"def {entry_point}") :], re.M)
    indent = own[1] if own else "    "
    if fenced:
        code = textwrap.indent(textwrap.dedent(code), indent)
    elif code and not code[0].isspace():
        code = indent + code  # the white space between prompt and answer was lost
    source = f"{question.rstrip()}\n{code}\n"
    lines = source.split("\n")
    for statement in _split(source):
        if _is_definition(statement) and entry_point in _list_names(statement):
            source = "\n".join(lines[: statement.end])
    return _assemble(source, question, entry_point)
