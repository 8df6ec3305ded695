"""Python source, or text that may be none, as top-level statements: which names each binds and uses, and what it is.

Lines are classified by their tokens. Nothing is compiled or run, so no program can make this slow or crash it.
"""

from __future__ import annotations

import builtins
import io
import itertools
import keyword
import token
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

_COMPOUND_KEYWORDS = {"if", "for", "while", "with", "try", "def", "class", "async", "match"}
_CONTINUATION_KEYWORDS = {"elif", "else", "except", "finally", "case"}  # belongs to the statement before
_SOFT_KEYWORDS = {"match", "case", "type", "print", "exec"}
_EXIT_CALLS = {"exit", "quit", "_exit", "main", "testmod", "testfile"}  # ends the process, or runs what may
_INPUT_CALLS = {"input", "raw_input", "open"}  # fails where there is nothing to read
_BUILTINS = frozenset(dir(builtins))
_LAYOUT_TOKENS = (token.NEWLINE, token.INDENT, token.DEDENT, tokenize.NL, tokenize.COMMENT, token.ENDMARKER)


def tokenize_source(source: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens of a source. Raises SyntaxError or tokenize.TokenError at the first text that is no Python."""
    return tokenize.generate_tokens(io.StringIO(source).readline)


@dataclass(eq=False)
class Statement:
    """A statement that starts at the beginning of a line, with everything indented below it."""

    start: int  # index of the first line
    head: list[tokenize.TokenInfo]  # the first logical line; below a decorator, the line that it decorates
    end: int = 0  # index of the line after the last one
    names: set[str] = field(default_factory=set)  # all names in it, except in strings and after a dot
    attributes: set[str] = field(default_factory=set)  # the names after a dot
    calls: set[str] = field(default_factory=set)  # the names before an opening bracket
    is_complete: bool = True  # False if its end is no Python, or if a block is missing after a colon

    def add_names(self, line: list[tokenize.TokenInfo]) -> None:
        for word, before, after in zip(line, [None, *line], [*line[1:], None], strict=False):
            if word.type == token.NAME:
                (self.attributes if before and before.string == "." else self.names).add(word.string)
                if after and after.string == "(":
                    self.calls.add(word.string)

    @property
    def is_definition(self) -> bool:
        return self.head[0].string in ("def", "class", "async")

    @property
    def is_import(self) -> bool:
        return self.head[0].string in ("import", "from")

    @cached_property
    def targets(self) -> set[str] | None:
        """The names to which an assignment assigns; None if the statement is no assignment."""
        if keyword.iskeyword(self.head[0].string):
            return None
        targets, names, depth, before = None, set(), 0, ""
        for word in self.head:
            if word.string in (";", "lambda"):
                break
            depth += (word.string in tuple("([{")) - (word.string in tuple(")]}"))
            if word.string == "=" and depth == 0:
                targets = set(names)
            elif word.type == token.NAME and before != ".":
                names.add(word.string)
            before = word.string
        return targets

    @cached_property
    def bound_names(self) -> set[str]:
        """The names that the statement binds, or may bind if it is neither a definition nor an assignment."""
        if self.is_definition:
            names = [word.string for word in self.head if word.type == token.NAME and word.string != "async"]
            return set(names[1:2])
        names = self.names - _BUILTINS if self.targets is None else self.targets
        return {name for name in names if not keyword.iskeyword(name)}

    def binds(self, name: str) -> bool:
        """Whether the statement defines a name or assigns to it."""
        return (self.is_definition or self.targets is not None) and name in self.bound_names

    def is_alias(self, functions: set[str]) -> bool:
        """Whether the statement is an assignment that calls none of these functions: a second name, or a lambda."""
        return self.targets is not None and ("lambda" in self.names or not self.calls & functions)

    @property
    def is_test_code(self) -> bool:
        """Whether the statement tests, prints, exits, reads input or runs in scripts only: no part of a function."""
        words = [word.string for word in self.head[:2]]
        if words[0] in ("print", "assert", "raise", "return") or words == ["if", "__name__"]:
            return True
        if self.is_definition or (self.is_import and ";" not in [word.string for word in self.head]):
            return False
        return bool(
            self.calls & (_EXIT_CALLS | _INPUT_CALLS)
            or (self.names | self.attributes) & {"stdin", "argv", "SystemExit"}
        )

    @property
    def is_prose(self) -> bool:
        """Whether the first line is no Python: two names side by side, an unknown sign, a colon without a block."""
        first, last = self.head[0], self.head[-1]
        if first.string in ("**", ">", "|"):  # bold, a quotation, a table
            return True
        if first.string in ("*", "-", "+") and len(self.head) > 1 and self.head[1].start[1] > first.end[1]:
            return True  # an item of a list
        for left, right in itertools.pairwise(self.head):
            if token.ERRORTOKEN in (left.type, right.type):
                return True
            if _is_word(left) and _is_word(right) and left.string not in _SOFT_KEYWORDS:
                return True
        if last.string == ":" and first.string not in _COMPOUND_KEYWORDS | _CONTINUATION_KEYWORDS:
            return True
        return last.type == token.ERRORTOKEN or (last.type == token.OP and last.string in (".", "?", "-", "="))


def _is_word(word: tokenize.TokenInfo) -> bool:
    return word.type == token.NUMBER or (word.type == token.NAME and not keyword.iskeyword(word.string))


def split_statements(source: str) -> list[Statement]:
    """The top-level statements of a source, which need not be Python: the last one ends where the tokens do."""
    statements: list[Statement] = []
    line: list[tokenize.TokenInfo] = []
    is_tokenized, is_decorated, is_open = True, False, False
    try:
        for word in tokenize_source(source):
            if word.type in (token.NEWLINE, token.ENDMARKER) and line:
                first = line[0]
                is_top = first.start[1] == 0
                if is_top and is_decorated:
                    statements[-1].head = line
                elif is_top and not (statements and first.string in _CONTINUATION_KEYWORDS):
                    statements.append(Statement(first.start[0] - 1, line))
                if statements:
                    statements[-1].add_names(line)
                is_decorated = is_top and first.string == "@"
                is_open = line[-1].string == ":" and first.string in _COMPOUND_KEYWORDS | _CONTINUATION_KEYWORDS
                line = []
            elif word.type not in _LAYOUT_TOKENS:
                line.append(word)
    except (SyntaxError, tokenize.TokenError):
        is_tokenized = False
        if line and line[0].start[1] == 0:
            statements.append(Statement(line[0].start[0] - 1, line))
    for statement, following in itertools.pairwise(statements):
        statement.end = following.start
    if statements:
        statements[-1].end = source.count("\n") + 1
        statements[-1].is_complete = is_tokenized and not is_open
    return statements
