"""Programs in the text of a model: which part of a solution is code, and which programs are the same but for their looks.

A solution to a code problem comes as a fenced block, as a bare program, as the rest of a function whose head stands in
the prompt, or as that whole function; there may be prose around it, and a model that does not stop goes on with an invented
next question. `extract` gives a program that can be run as it stands. For a function that is the prompt's own imports and
helpers, the function, and what else the model wrote for it. Without its tests, calls of its own and prints: they are not
part of the answer (Chen et al. 2021, arXiv 2107.03374, stop at `\\ndef`, `\\nclass`, `\\nif`, `\\nprint`, `\\n#`).

Nothing is compiled or run here: lines are told apart by their tokens, which no program can make slow or crash.
"""

from __future__ import annotations

import builtins
import io
import keyword
import re
import textwrap
import token
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

MAX_CHARS = 200_000  # characters; more is not a program
MAX_NESTING = 5  # a program in a fence in a fence
_FENCE = re.compile(r"^([ \t]*)(?:```+|~~~+)[ \t]*([\w+.#-]*)[^\n`]*$", re.M)
_STRING_OR_COMMENT = re.compile(  # texts and comments, and what escapes
    r"""\\.|#[^\n]*|(\"{3}|'{3})(?:\\.|[^\\])*?\1|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S
)
_INPUT_PATTERN = re.compile(
    r"\b(?:raw_)?input\s*\(|[=(,]\s*input\b|\bstdin\b(?!\s*=[^=])|\bopen\s*\(\s*0\b|\bread\s*\(\s*0\b"
)
_PYTHON_TAGS = {"python", "py", "python3", "py3"}
_COMPOUND_KEYWORDS = {"if", "for", "while", "with", "try", "def", "class", "async", "match"}
_CONTINUATION_KEYWORDS = {"elif", "else", "except", "finally", "case"}  # belongs to the statement before
_SOFT_KEYWORDS = {"match", "case", "type", "print", "exec"}
_EXIT_CALLS = {"exit", "quit", "_exit", "main", "testmod", "testfile"}  # called: ends the process, or runs what may
_INPUT_CALLS = {"input", "raw_input", "open"}  # called: fails where there is nothing to read
_BUILTINS = frozenset(dir(builtins))
_IGNORED_TOKENS = (token.NEWLINE, token.INDENT, token.DEDENT, tokenize.NL, tokenize.COMMENT, token.ENDMARKER)


class _Statement(NamedTuple):
    """A statement that starts at the beginning of a line, with all that is indented below it."""

    start: int  # lines, the last one excluded
    end: int
    head: list[tokenize.TokenInfo]  # its first logical line
    names: set[str]  # all that stand in it, but not in its texts, nor after a dot
    attributes: set[str]  # those after a dot
    calls: set[str]  # those before a bracket, whether after a dot or not
    is_complete: bool  # whether the tokens end properly, a block after a head that promises one included


def extract(text: str, question: str = "", entry_point: str | None = None) -> str | None:
    """The program in a solution, None where there is none. With an entry point: of a function that `question` begins.

    What `extract` gives it finds again: `extract(extract(text)) == extract(text)`.
    """
    for _ in range(MAX_NESTING):
        found = _extract(text, question, entry_point)
        if not found or found == text:
            break
        text = found
    return found


def _extract(text: str, question: str, entry_point: str | None) -> str | None:
    if len(text) > MAX_CHARS:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "").replace("\0", "")
    code, fenced = _find_block(text, entry_point)
    if not code.strip():
        return None
    if entry_point is None:
        found = code if fenced else _cut_prose(code)
    elif _find_function(code, entry_point):
        found = _assemble(code, question, entry_point)
    else:
        found = _complete(code, question, entry_point, fenced)
    return found.strip("\n").rstrip() or None


@lru_cache(maxsize=1 << 12)
def normalise(program: str) -> str:
    """A program without comments, blank lines and the white space between its words; itself where these matter, and
    where it has no tokens.

    Programs with one normal form do the same.
    """
    if _depends_on_layout(program):
        return program
    words = []
    try:
        for each in _tokenize(program):
            if each.type in (tokenize.COMMENT, tokenize.NL):
                continue
            marks = each.type in (token.INDENT, token.DEDENT, token.NEWLINE)
            words.append(token.tok_name[each.type] if marks else each.string)
    except (SyntaxError, tokenize.TokenError):
        return program.strip()
    return "\0".join(words)


def _depends_on_layout(program: str) -> bool:
    """Whether comments or white space decide if a program runs at all: it names an encoding, is in none, or is indented
    by both tabs and spaces."""
    try:
        program.encode("utf-8")
    except UnicodeEncodeError:
        return True
    start = "".join(program.split("\n", 2)[:2])
    return bool(re.search("coding[:=]", start)) or len(set("".join(re.findall(r"^[ \t]+", program, re.M)))) > 1


def _tokenize(source: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(source).readline)


def _find_block(text: str, entry_point: str | None) -> tuple[str, bool]:
    """(the code, whether it stood in a fence): the last fenced block that defines the function or, where none is asked
    for, reads input; else the last one that is called Python; else the last one in no other language; else the last one.
    """
    blocks: list[tuple[str, str]] = []
    fences = _find_fences(text)
    while fences:
        opening = fences.pop(0)
        rest = text[opening.end() + 1 :]
        before = text[: opening.start()]
        if (
            not (fences or blocks or opening[2])
            and before.strip()
            and not any(map(_is_prose, _split_statements(before)))
        ):
            return before, False  # the end of a block that the prompt opened
        if fences and not fences[0][2]:
            rest = text[opening.end() + 1 : fences.pop(0).start()]
        elif fences:
            rest = text[opening.end() + 1 : fences[0].start()]  # another one opens: this one was never closed
        blocks.append((opening[2].lower(), textwrap.dedent(rest) if opening[0][0].isspace() else rest))
    blocks = [(language, code) for language, code in blocks if code.strip()]
    if not blocks:
        for fence in reversed(_find_fences(text)):
            text = text[: fence.start()] + text[fence.end() :]
        return text, False
    for fits in (
        lambda language, code: entry_point is not None and bool(_find_definition(code, entry_point)),
        lambda language, code: entry_point is not None and bool(_find_function(code, entry_point)),
        lambda language, code: entry_point is None and language in _PYTHON_TAGS and _reads_input(code),
        lambda language, code: entry_point is None and not language and _reads_input(code),
        lambda language, code: language in _PYTHON_TAGS,
        lambda language, code: not language,
        lambda language, code: True,
    ):
        if fitting := [code for language, code in blocks if fits(language, code)]:
            return fitting[-1], True
    raise AssertionError("the last test fits every block")


def _find_fences(text: str) -> list[re.Match[str]]:
    """The lines that open or close a block; one in a docstring, indented as it is, does neither."""
    fences = list(_FENCE.finditer(text))
    found: list[re.Match[str]] = []
    place = next_fence = 0
    while next_fence < len(fences):
        said = _STRING_OR_COMMENT.search(text, place)
        while next_fence < len(fences) and (not said or fences[next_fence].start() < said.start()):
            found.append(fences[next_fence])
            next_fence += 1
        if not said:
            break
        place = said.end()
        indent = _read_indent(text, said)
        while next_fence < len(fences) and fences[next_fence].start() < said.end():
            fence = fences[next_fence]
            next_fence += 1
            if indent is None or len(fence[1]) < indent:
                found.append(fence)
                place = fence.end()  # what seemed a text ends with its block
                break
    return found


def _read_indent(text: str, said: re.Match[str]) -> int | None:
    """The indentation of a docstring; None where a text is none, for it is short or does not begin its line."""
    before = text[text.rfind("\n", 0, said.start()) + 1 : said.start()]
    return len(before.rstrip("rRuU")) if said[1] and not before.rstrip("rRuU").strip() else None


def _reads_input(code: str) -> bool:
    return bool(
        _INPUT_PATTERN.search(_STRING_OR_COMMENT.sub(lambda said: "" if said[0].startswith("#") else said[0], code))
    )


def _find_definition(code: str, entry_point: str) -> re.Match[str] | None:
    return re.search(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", code, re.M)


def _find_function(code: str, entry_point: str) -> re.Match[str] | None:
    """Where a program defines the function, or else gives its name to another one."""
    if found := _find_definition(code, entry_point):
        return found
    name = re.escape(entry_point)
    # `f = cache(f)` gives no function where there is none, and in the rest of a function it may be any variable.
    value = rf"(?:[ \t]*lambda\b|(?!.*(?<![\w.]){name}\b))"
    found = re.search(rf"^{name}[ \t]*(?::[^=\n]*)?=(?!=){value}", code, re.M)
    return found if found and not _is_continuation(code) else None


def _is_continuation(code: str) -> bool:
    """Whether a function goes on: the first line is indented, or something is returned outside all definitions."""
    return code.lstrip("\n")[:1].isspace() or any(
        not _is_definition(statement) and statement.names & {"return", "yield"} for statement in _split_statements(code)
    )


def _split_statements(source: str) -> list[_Statement]:
    """The statements at the top of a program, also of one that is none: what has no tokens ends the last of them."""
    found: list[_Statement] = []
    line: list[tokenize.TokenInfo] = []
    whole, decorated, opened = True, False, False
    try:
        for each in _tokenize(source):
            if each.type in (token.NEWLINE, token.ENDMARKER) and line:
                column, word = line[0].start[1], line[0].string
                if column == 0 and decorated:
                    found[-1] = found[-1]._replace(head=line)
                elif column == 0 and not (found and word in _CONTINUATION_KEYWORDS):
                    found.append(_start_statement(line))
                if found:
                    _record_names(found[-1], line)
                decorated = column == 0 and word == "@"
                opened = line[-1].string == ":" and word in _COMPOUND_KEYWORDS | _CONTINUATION_KEYWORDS
                line = []
            elif each.type not in _IGNORED_TOKENS:
                line.append(each)
    except (SyntaxError, tokenize.TokenError):
        whole = False
        if line and line[0].start[1] == 0:
            found.append(_start_statement(line))
    ends = [statement.start for statement in found[1:]] + [source.count("\n") + 1]
    if found:
        found[-1] = found[-1]._replace(is_complete=whole and not opened)
    return [statement._replace(end=end) for statement, end in zip(found, ends, strict=False)]


def _start_statement(line: list[tokenize.TokenInfo]) -> _Statement:
    start = line[0].start[0] - 1
    return _Statement(start, start, line, set(), set(), set(), True)


def _record_names(statement: _Statement, line: list[tokenize.TokenInfo]) -> None:
    for number, each in enumerate(line):
        if each.type == token.NAME:
            dotted = number > 0 and line[number - 1].string == "."
            (statement.attributes if dotted else statement.names).add(each.string)
            if number + 1 < len(line) and line[number + 1].string == "(":
                statement.calls.add(each.string)


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
        if all(words) and one.string not in _SOFT_KEYWORDS:
            return True
    last = head[-1]
    if last.string == ":" and head[0].string not in _COMPOUND_KEYWORDS | _CONTINUATION_KEYWORDS:
        return True
    return last.type == token.ERRORTOKEN or (last.type == token.OP and last.string in (".", "?", "-", "="))


def _cut_prose(text: str) -> str:
    """A program without a fence: from its first statement to the first line of prose after it."""
    statements, lines = _split_statements(text), text.split("\n")
    code = [statement for statement in statements if not _is_prose(statement)]
    if not code or len(code) == len(statements):
        return text
    after = [statement.start for statement in statements if statement.start > code[0].start and _is_prose(statement)]
    return "\n".join(lines[code[0].start : after[0] if after else len(lines)])


def _assemble(code: str, question: str, entry_point: str) -> str:
    """The prompt's part above its function, and the model's function with what belongs to it."""
    above = question[: found.start() if (found := _find_function(question, entry_point)) else 0].strip()
    lines = code.split("\n")
    statements, met = _split_statements(code), False
    assigned = _find_definition(code, entry_point) is None
    bodies = ["\n".join(lines[each.start : each.end]).strip("\n") for each in statements]
    kept: set[int] = set()
    later: list[int] = []
    function = set()
    for number, statement in enumerate(statements):
        if (assigned or _is_definition(statement)) and not met and _defines(statement, entry_point):
            kept.add(number)
            function, met = statement.names, True
        elif _is_definition(statement) and _defines(statement, entry_point):
            continue  # a second try is none; the first was what was asked for
        elif bodies[number] in above or _is_prose(statement) or _is_test_code(statement) or not statement.is_complete:
            continue  # the prompt said it, or it is no part of a function
        elif met and not _is_import(statement):
            later.append(number)
        else:
            kept.add(number)
    definitions = [number for number, statement in enumerate(statements) if _is_definition(statement)]
    trials = {entry_point}  # the function, and what uses it but is not used by it
    for number in sorted({*definitions, *later} - _find_used(function, definitions, statements)):
        statement = statements[number]
        if not statement.names & trials or _defines(statement, entry_point):
            continue
        if number in later and not _is_definition(statement) and not _is_alias(statement, trials):
            later.remove(number)
        if _is_definition(statement) or _find_targets(statement) is not None:
            trials |= _list_names(statement)
    wanted = set().union(*(statements[number].names for number in kept))
    kept |= _find_used(wanted, later, statements)  # of what stands below the function, what it uses
    return "\n\n".join(filter(None, [above, *(bodies[number] for number in sorted(kept))]))


def _find_used(names: set[str], numbers: list[int], statements: list[_Statement]) -> set[int]:
    """Which of these statements give a meaning to the names, to those that stand in the former, and so on."""
    givers: dict[str, list[int]] = {}
    for number in numbers:
        for name in _list_names(statements[number]):
            givers.setdefault(name, []).append(number)
    found: set[int] = set()
    while names:
        used = {number for name in names for number in givers.pop(name, [])} - found
        found |= used
        names = set().union(*(statements[number].names for number in used))
    return found


def _is_definition(statement: _Statement) -> bool:
    return statement.head[0].string in ("def", "class", "async")


def _is_import(statement: _Statement) -> bool:
    return statement.head[0].string in ("import", "from")


def _defines(statement: _Statement, name: str) -> bool:
    """Whether a statement defines a name or assigns to it."""
    return (_is_definition(statement) or _find_targets(statement) is not None) and name in _list_names(statement)


def _is_alias(statement: _Statement, trials: set[str]) -> bool:
    """Whether an assignment runs none of these: it gives one another name, or is a function itself."""
    return _find_targets(statement) is not None and ("lambda" in statement.names or not statement.calls & trials)


def _list_names(statement: _Statement) -> set[str]:
    """The names that a statement gives a meaning, or may. Words of the language are none: every loop has them."""
    if _is_definition(statement):
        names = [each.string for each in statement.head if each.type == token.NAME and each.string != "async"]
        return set(names[1:2])
    targets = _find_targets(statement)
    return {
        name for name in (statement.names - _BUILTINS if targets is None else targets) if not keyword.iskeyword(name)
    }


def _find_targets(statement: _Statement) -> set[str] | None:
    """The names to which an assignment assigns, None where a statement is no assignment."""
    if keyword.iskeyword(statement.head[0].string):
        return None
    found, depth, last = None, 0, ""
    names: set[str] = set()
    for each in statement.head:
        if each.string in (";", "lambda"):
            break
        depth += (each.string in tuple("([{")) - (each.string in tuple(")]}"))
        if each.string == "=" and depth == 0:
            found = set(names)
        elif each.type == token.NAME and last != ".":
            names.add(each.string)
        last = each.string
    return found


def _is_test_code(statement: _Statement) -> bool:
    """A test, a print, an end, what reads input or what runs only as a script: no part of a function that was asked for."""
    words = [each.string for each in statement.head[:2]]
    if words[0] in ("print", "assert", "raise", "return") or words == ["if", "__name__"]:
        return True
    if _is_definition(statement) or (_is_import(statement) and ";" not in [each.string for each in statement.head]):
        return False
    return bool(
        statement.calls & (_EXIT_CALLS | _INPUT_CALLS)
        or (statement.names | statement.attributes) & {"stdin", "argv", "SystemExit"}
    )


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
    for statement in _split_statements(source):
        if _is_definition(statement) and entry_point in _list_names(statement):
            source = "\n".join(lines[: statement.end])
    return _assemble(source, question, entry_point)
