"""Rows of instruction files, in JSONL, one JSON list or Parquet, as rows that methods of selection read.

Forms, told by the keys of each row:

instruction     `instruction`, `output`, if any `input`: Alpaca (Taori et al. 2023)
messages        `messages` of `role`, `content`, or `conversations` of `from`, `value`: a chat, whose last message is the
                answer
completion      `prompt`, `completion`: two texts, or two lists of messages
question        `question`, `answer`: GSM8K
problem         a problem of this repository (lib/core/records.py)

A fault is fatal where the file is not what it seems to be: no form fits, a field is no text. A row that nothing can be
learned from (no question, no answer) is left out and counted. What looks odd but can be trained on (tags of HTML, the same
row twice, a placeholder for "no input", half a character) is counted and kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from stages.lib.core import files, records, row_files
from stages.lib.core.errors import UserError
from stages.lib.core.problem_ids import get_root
from stages.lib.models.prompts import format_options
from stages.lib.selection.rows import Row, join_surrogates

ROLES = {"human": "user", "gpt": "assistant", "model": "assistant"}  # names of roles in `conversations`
PLACEHOLDERS = {"<noinput>", "<no input>", "noinput", "no input", "n/a", "none", "-"}
LEFT_OUT = ("no question", "no answer", "empty answer")  # faults of rows that nothing can be learned from
_TAG = re.compile(r"</[a-zA-Z][\w-]*>|<(?:br|hr|img|input)\b[^<>]*>|<(?:div|span|p|a|table|html|body)\b[^<>]*>")
_TOKEN = re.compile(r"\w+|[^\w\s]")

CountTokens = Callable[[str], int]


class Malformed(ValueError):
    """A row that fits no form; its text is the reason."""


class InstructionFile(NamedTuple):
    """What a file holds: rows that can be trained on, their places in the file, and its faults."""

    rows: list[Row]
    places: dict[str, int]  # id -> line of a JSONL file, or place from 1
    total: int  # rows in the file
    faults: dict[str, list[int]]  # kind of fault -> the places that have it
    judgements: dict[str, bool]  # id -> whether the row is worth training on, of rows with a key `good`


def count_words(text: str) -> int:
    """Words and signs: an estimate of tokens that needs no tokenizer."""
    return sum(1 for _ in _TOKEN.finditer(text))


def read(path: Path, is_strict: bool = False, count_tokens: CountTokens = count_words) -> InstructionFile:
    """The rows of a file. An id is a digest of question and answer, so the order of the rows changes no id; a problem keeps
    its own. Rows of one question, or of one root problem, are a group.

    count_tokens: of an answer. Raises UserError `file:line: reason` for a row that fits no form, with `is_strict` also for
    the first fault of any kind, and for a file without a row that can be trained on.
    """
    rows, places, faults, judgements, total = [], {}, {}, {}, 0
    copies: Counter[str] = Counter()
    for place, value in row_files.iter_rows(path):
        total += 1
        try:
            row, found = parse(value)
        except Malformed as error:
            raise UserError(f"{path}:{place}: {error}") from None
        copies[row.id] += 1
        if (number := copies[row.id]) > 1:
            if _is_problem(value):
                raise UserError(f"{path}:{place}: id {row.id!r} is already used; ids must be unique")
            found.append("exact duplicate")
            row = row._replace(id=f"{row.id}#{number}")
        for fault in found:
            if is_strict:
                raise UserError(f"{path}:{place}: {fault}; mend the row, or leave out --strict")
            faults.setdefault(fault, []).append(place)
        if not set(found) & set(LEFT_OUT):
            rows.append(row._replace(tokens=count_tokens(row.answer)))
            places[row.id] = place
            if isinstance(value.get("good"), bool):
                judgements[row.id] = value["good"]
    if not rows:
        raise UserError(f"{path}: none of its {total} rows can be trained on; a row needs a question and an answer")
    return InstructionFile(rows, places, total, faults, judgements)


def parse(value: Any) -> tuple[Row, list[str]]:
    """A row and its faults; its tokens are not counted yet. Raises Malformed where no form fits."""
    if not isinstance(value, dict):
        raise Malformed(f"found {type(value).__name__}; a row must be one JSON object")
    if _is_problem(value):
        return _parse_problem(value), []
    question, answer, extra = _split_texts(value)
    faults = [] if question.strip() else ["no question"]
    if answer is None:
        faults.append("no answer")
    elif not answer.strip():
        faults.append("empty answer")
    elif _TAG.search(answer):
        faults.append("HTML in the answer")
    digest = hashlib.sha256(json.dumps([question, answer]).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    group = hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    source = next((text for key in ("source", "dataset") if isinstance(text := value.get(key), str)), "")
    row = Row(digest, join_surrogates(question), join_surrogates(answer or ""), group, source)
    if (row.question, row.answer) != (question, answer or ""):
        faults.append("half a character")
    return row, faults + extra


def _is_problem(value: Mapping[str, Any]) -> bool:
    return {"id", "question", "answer_type"} <= value.keys()


def _parse_problem(value: dict[str, Any]) -> Row:
    try:
        problem = records.Problem.model_validate(value)
    except ValidationError as error:
        raise Malformed(records.explain_error(error)) from None
    lines = [step.text for step in problem.steps or ()]
    answer = "\n".join(lines) or problem.answer
    root, source = get_root(problem.id), problem.operator or problem.benchmark
    options = tuple(format_options(problem))
    return Row(problem.id, problem.format_prompt(), answer, root, source, problem.benchmark, options=options)


def _split_texts(value: Mapping[str, Any]) -> tuple[str, str | None, list[str]]:
    """(question, answer, faults of the question); no answer: None."""
    if "instruction" in value:
        question, given = _get_text(value, "instruction") or "", _get_text(value, "input") or ""
        is_placeholder = given.strip().lower() in PLACEHOLDERS
        faults = ["placeholder for no input"] if is_placeholder else []
        return "\n".join(x for x in (question, given) if x.strip()), _get_text(value, "output"), faults
    for key, role, content in (("messages", "role", "content"), ("conversations", "from", "value")):
        if key in value:
            return *_split_chat(_list_messages(value[key], key, role, content)), []
    if "prompt" in value:
        both = (value["prompt"], value.get("completion"))
        if any(isinstance(part, list) for part in both):
            lists = [
                _list_messages(part or [], key, "role", "content")
                for part, key in zip(both, ("prompt", "completion"), strict=True)
            ]
            return *_split_chat(lists[0] + lists[1]), []
        return _get_text(value, "prompt") or "", _get_text(value, "completion"), []
    if "question" in value:
        return _get_text(value, "question") or "", _get_text(value, "answer"), []
    keys = ", ".join(sorted(map(str, value))[:8]) or "none"
    raise Malformed(
        f"keys {keys}; a row has instruction and output, messages, prompt and completion, or question and answer"
    )


def _get_text(value: Mapping[str, Any], key: str) -> str | None:
    text = value.get(key)
    if text is None or isinstance(text, str):
        return text
    raise Malformed(f"{key}: must be text, found {type(text).__name__}")


def _list_messages(value: Any, key: str, role: str, content: str) -> list[tuple[str, str]]:
    """(role, text) of each message."""
    if not isinstance(value, list):
        raise Malformed(f"{key}: must be a list of messages, found {type(value).__name__}")
    messages = []
    for number, message in enumerate(value, 1):
        if not isinstance(message, dict) or not isinstance(message.get(role), str):
            raise Malformed(f"{key}: message {number} must have {role} and {content}")
        name = message[role].lower()
        messages.append((ROLES.get(name, name), _get_text(message, content) or ""))
    return messages


def _split_chat(messages: list[tuple[str, str]]) -> tuple[str, str | None]:
    """All before the last message, and the last message if the assistant wrote it."""
    has_answer = bool(messages) and messages[-1][0] == "assistant"
    asked = messages[:-1] if has_answer else messages
    question = asked[0][1] if len(asked) == 1 else "\n".join(f"{role}: {text}" for role, text in asked if text.strip())
    return question, messages[-1][1] if has_answer else None


def write_rows(path: Path, source: Path, places: Iterable[int]) -> None:
    """Copy the rows at some places of `source` to a JSONL file, in their order: lines of JSONL as they are, rows of a list
    or of Parquet with equal values. Raises UserError for a value that JSON does not know."""
    with files.atomic_write(path) as temporary, open(temporary, "wb") as file:
        for line in _iter_lines(source, set(places)):
            file.write(line + b"\n")


def _iter_lines(source: Path, places: set[int]) -> Iterator[bytes]:
    if row_files.is_jsonl(source):
        with open(source, "rb") as file:
            for place, line in enumerate(file, 1):
                if place in places:
                    yield line.removeprefix(b"\xef\xbb\xbf" if place == 1 else b"").rstrip(b"\r\n")
        return
    for place, row in row_files.iter_rows(source):
        if place in places:
            try:
                yield json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")
            except TypeError as error:
                raise UserError(f"{source}:{place}: cannot be written as JSON ({error})") from None
