"""Programs: which part of a solution is code, and which programs are the same up to comments and white space.

A solution to a code problem is a fenced block, a bare program, the rest of a function that the prompt begins, or that whole
function. There may be prose around it, and a model that does not stop invents a next question.
`extract` gives a program that can be run as it stands. For a function that is the prompt's own imports and helpers, the
function, and what else the model wrote for it, without the model's tests, calls and prints: they are no part of the answer
(Chen et al. 2021, arXiv 2107.03374, stop at `\\ndef`, `\\nclass`, `\\nif`, `\\nprint`, `\\n#`).

Nothing is compiled or run here (`python_statements`).
"""

from __future__ import annotations

import re
import textwrap
import token
import tokenize
from functools import lru_cache

from stages.lib.grading.python_statements import Statement, split_statements, tokenize_source

MAX_CHARS = 200_000  # a longer text is no program
MAX_PASSES = 20  # fences inside fences, and statements that turn out to be unused once another one has gone
_FENCE = re.compile(r"^([ \t]*)(?:```+|~~~+)[ \t]*([\w+.#-]*)[^\n`]*$", re.M)
_STRING_OR_COMMENT = re.compile(  # and escaped characters
    r"""\\.|#[^\n]*|(\"{3}|'{3})(?:\\.|[^\\])*?\1|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S
)
_INPUT_PATTERN = re.compile(
    r"\b(?:raw_)?input\s*\(|[=(,]\s*input\b|\bstdin\b(?!\s*=[^=])|\bopen\s*\(\s*0\b|\bread\s*\(\s*0\b"
)
_PYTHON_TAGS = {"python", "py", "python3", "py3"}


def extract(text: str, question: str = "", entry_point: str | None = None) -> str | None:
    """The program in a solution; None where there is none. entry_point: the function that `question` begins, if it does.

    It is a fixed point: `extract(extract(text)) == extract(text)`. What does not settle is no program.
    """
    for _ in range(MAX_PASSES):
        program = _extract(text, question, entry_point)
        if not program or program == text:
            return program
        text = program
    return None


def _extract(text: str, question: str, entry_point: str | None) -> str | None:
    if len(text) > MAX_CHARS:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "").replace("\0", "")
    code, is_fenced = _find_block(text, entry_point)
    if not code.strip():
        return None
    if entry_point is None:
        program = code if is_fenced else _cut_prose(code)
    elif _find_function(code, entry_point):
        program = _assemble(code, question, entry_point)
    else:
        program = _complete(code, question, entry_point, is_fenced)
    return program.strip("\n").rstrip() or None


@lru_cache(maxsize=1 << 12)
def normalise(program: str) -> str:
    """A program without comments, blank lines and the white space between its tokens.

    Programs with equal normal forms do the same. A program whose layout matters, or that is no Python, is its own.
    """
    if _depends_on_layout(program):
        return program
    words = []
    try:
        for word in tokenize_source(program):
            if word.type in (token.INDENT, token.DEDENT, token.NEWLINE):
                words.append(token.tok_name[word.type])
            elif word.type not in (tokenize.COMMENT, tokenize.NL):
                words.append(word.string)
    except (SyntaxError, tokenize.TokenError):
        return program.strip()
    return "\0".join(words)


def _depends_on_layout(program: str) -> bool:
    """Whether comments or white space decide if a program runs at all: it declares an encoding, cannot be encoded, or is
    indented by both tabs and spaces."""
    try:
        program.encode("utf-8")
    except UnicodeEncodeError:
        return True
    start = "".join(program.split("\n", 2)[:2])
    return bool(re.search("coding[:=]", start)) or len(set("".join(re.findall(r"^[ \t]+", program, re.M)))) > 1


# Which part of a text is code.


def _find_block(text: str, entry_point: str | None) -> tuple[str, bool]:
    """(the code in a text, whether it is a fenced block): the last block that fits best.

    Best fits one that defines the function or, without an entry point, reads input; then one that is tagged as Python; then
    one without a tag; then any.
    """
    blocks: list[tuple[str, str]] = []  # (language, code)
    fences = _find_fences(text)
    while fences:
        opening = fences.pop(0)
        before = text[: opening.start()]
        is_only_fence = not (fences or blocks or opening[2]) and before.strip()
        if is_only_fence and not any(statement.is_prose for statement in split_statements(before)):
            return before, False  # it closes a block that the prompt opened
        end = fences[0].start() if fences else len(text)
        if fences and not fences[0][2]:
            fences.pop(0)  # closes the block; a fence with a tag opens another, and this one was never closed
        code = text[opening.end() + 1 : end]
        blocks.append((opening[2].lower(), textwrap.dedent(code) if opening[0][0].isspace() else code))
    blocks = [(language, code) for language, code in blocks if code.strip()]
    if not blocks:
        for fence in reversed(_find_fences(text)):
            text = text[: fence.start()] + text[fence.end() :]
        return text, False

    def rank(language: str, code: str) -> int:
        is_python = language in _PYTHON_TAGS
        fits = (
            entry_point is not None and _find_definition(code, entry_point),
            entry_point is not None and _find_function(code, entry_point),
            entry_point is None and is_python and _reads_input(code),
            entry_point is None and not language and _reads_input(code),
            is_python,
            not language,
            True,
        )
        return next(place for place, fit in enumerate(fits) if fit)

    return min(reversed(blocks), key=lambda block: rank(*block))[1], True


def _find_fences(text: str) -> list[re.Match[str]]:
    """The lines that open or close a block; not those in a docstring that are indented as it is."""
    pending = list(_FENCE.finditer(text))[::-1]
    fences: list[re.Match[str]] = []
    position = 0
    while pending:
        string = _STRING_OR_COMMENT.search(text, position)
        while pending and (not string or pending[-1].start() < string.start()):
            fences.append(pending.pop())
        if not string:
            break
        position = string.end()
        indent = _measure_docstring_indent(text, string)
        while pending and pending[-1].start() < string.end():
            fence = pending.pop()
            if indent is None or len(fence[1]) < indent:
                fences.append(fence)
                position = fence.end()  # what looked like a string ends with its block
                break
    return fences


def _measure_docstring_indent(text: str, string: re.Match[str]) -> int | None:
    """The indentation of a docstring; None if a string is no docstring: not in triple quotes, or not first in its line."""
    before = text[text.rfind("\n", 0, string.start()) + 1 : string.start()].rstrip("rRuU")
    return len(before) if string[1] and not before.strip() else None


def _reads_input(code: str) -> bool:
    without_comments = _STRING_OR_COMMENT.sub(lambda match: "" if match[0].startswith("#") else match[0], code)
    return bool(_INPUT_PATTERN.search(without_comments))


def _cut_prose(text: str) -> str:
    """A program without a fence: from its first statement to the first line of prose after it."""
    statements, lines = split_statements(text), text.split("\n")
    code = [statement.start for statement in statements if not statement.is_prose]
    if not code or len(code) == len(statements):
        return text
    prose = [statement.start for statement in statements if statement.is_prose and statement.start > code[0]]
    return "\n".join(lines[code[0] : prose[0] if prose else len(lines)])


# Functions that the prompt begins.


def _find_definition(code: str, entry_point: str) -> re.Match[str] | None:
    return re.search(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", code, re.M)


def _find_function(code: str, entry_point: str) -> re.Match[str] | None:
    """Where a program defines the function, or else assigns another one to its name."""
    if definition := _find_definition(code, entry_point):
        return definition
    name = re.escape(entry_point)
    # `f = cache(f)` needs a function f, and in the rest of a function f may be any variable.
    value = rf"(?:[ \t]*lambda\b|(?!.*(?<![\w.]){name}\b))"
    assignment = re.search(rf"^{name}[ \t]*(?::[^=\n]*)?=(?!=){value}", code, re.M)
    return assignment if assignment and not _is_continuation(code) else None


def _is_continuation(code: str) -> bool:
    """Whether code is the rest of a function: it starts indented, or returns something outside all definitions."""
    return code.lstrip("\n")[:1].isspace() or any(
        not statement.is_definition and statement.names & {"return", "yield"} for statement in split_statements(code)
    )


def _complete(code: str, question: str, entry_point: str, is_fenced: bool) -> str:
    """The prompt and the rest of its function, up to the first line that is not part of it."""
    code = code.strip("\n").rstrip()
    first_line = re.search(r"^([ \t]+)\S", question[question.rfind(f"def {entry_point}") :], re.M)
    indent = first_line[1] if first_line else "    "
    if is_fenced:
        code = textwrap.indent(textwrap.dedent(code), indent)
    elif code and not code[0].isspace():
        code = indent + code  # the white space between prompt and answer was lost
    source = f"{question.rstrip()}\n{code}\n"
    lines = source.split("\n")
    for statement in split_statements(source):
        if statement.is_definition and entry_point in statement.bound_names:
            source = "\n".join(lines[: statement.end])
    return _assemble(source, question, entry_point)


def _assemble(code: str, question: str, entry_point: str) -> str:
    """The prompt's part above its function, and the model's function with the statements that belong to it."""
    definition = _find_function(question, entry_point)
    preamble = question[: definition.start() if definition else 0].strip()
    lines, statements = code.split("\n"), split_statements(code)
    bodies = ["\n".join(lines[statement.start : statement.end]).strip("\n") for statement in statements]
    is_assigned = _find_definition(code, entry_point) is None
    function: Statement | None = None
    kept: set[int] = set()  # indices of statements
    below: list[int] = []  # kept only if something kept uses them
    for index, statement in enumerate(statements):
        if function is None and (is_assigned or statement.is_definition) and statement.binds(entry_point):
            kept.add(index)
            function = statement
        elif statement.is_definition and statement.binds(entry_point):
            continue  # a second attempt: the first one counts
        elif bodies[index] in preamble or statement.is_prose or statement.is_test_code or not statement.is_complete:
            continue  # repeats the prompt, or is no part of a function
        elif function is not None and not statement.is_import:
            below.append(index)
        else:
            kept.add(index)
    definitions = [index for index, statement in enumerate(statements) if statement.is_definition]
    helpers = _find_used(function.names if function else set(), definitions, statements)
    users = {entry_point}  # the function, and what uses it but is not used by it
    for index in sorted({*definitions, *below} - helpers):
        statement = statements[index]
        if not statement.names & users or statement.binds(entry_point):
            continue
        if index in below and not statement.is_definition and not statement.is_alias(users):
            below.remove(index)
        if statement.is_definition or statement.targets is not None:
            users |= statement.bound_names
    kept |= _find_used(set().union(*(statements[index].names for index in kept)), below, statements)
    return "\n\n".join(filter(None, [preamble, *(bodies[index] for index in sorted(kept))]))


def _find_used(names: set[str], indices: list[int], statements: list[Statement]) -> set[int]:
    """Which of these statements bind the names, or the names that occur in such a statement, and so on."""
    binders: dict[str, list[int]] = {}
    for index in indices:
        for name in statements[index].bound_names:
            binders.setdefault(name, []).append(index)
    used: set[int] = set()
    while names:
        more = {index for name in names for index in binders.pop(name, [])} - used
        used |= more
        names = set().union(*(statements[index].names for index in more))
    return used
