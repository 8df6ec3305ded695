"""Rows of published files: JSONL, one JSON list, or Parquet. The content says which; names end in anything on the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from stages.lib.core import records
from stages.lib.core.errors import UserError

READ_CHARS = 1 << 16  # characters of a JSON list read at a time
PARQUET_ROWS = 1024  # rows of a Parquet file read at a time


def iter_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """(line of a JSONL file, or place from 1, row), read piece by piece. Raises UserError for a file that breaks off."""
    kind = _detect_format(path)
    yield from (
        iter_parquet(path)
        if kind == "parquet"
        else iter_json_list(path)
        if kind == "list"
        else records.iter_jsonl(path)
    )


def is_jsonl(path: Path) -> bool:
    """Whether each row is a line of its own. Raises UserError for a file that cannot be read."""
    return _detect_format(path) == "jsonl"


def _detect_format(path: Path) -> Literal["parquet", "list", "jsonl"]:
    try:
        with open(path, "rb") as file:
            start = file.read(256)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if start.startswith(b"PAR1"):
        return "parquet"
    return "list" if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[") else "jsonl"


def iter_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(place from 1, row) of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be read as Parquet after row {number} ({reason})") from None


def iter_json_list(path: Path) -> Iterator[tuple[int, Any]]:
    """(place from 1, value) of a JSON list, read piece by piece."""
    decoder, text, ended, number = json.JSONDecoder(), "", False, 0
    try:
        with open(path, encoding="utf-8-sig") as file:

            def read_piece() -> None:
                nonlocal text, ended
                piece = file.read(READ_CHARS)
                text, ended = text + piece, not piece

            def pop_sign() -> str:
                nonlocal text
                while not (text := text.lstrip()) and not ended:
                    read_piece()
                sign, text = text[:1], text[1:]
                return sign

            if pop_sign() != "[":
                raise UserError(f"{path}: not a JSON list of rows")
            sign = ","
            while sign == ",":
                while True:
                    text = text.lstrip()
                    if text.startswith("]") and not number:
                        break
                    try:
                        row, end = decoder.raw_decode(text)
                        if end < len(text) or ended:
                            break
                    except ValueError:
                        if ended:
                            raise
                    read_piece()
                if not text.startswith("]"):
                    number, text = number + 1, text[end:]
                    yield number, row
                sign = pop_sign()
            if sign != "]" or pop_sign():
                raise ValueError("not valid JSON (the list neither goes on nor ends the file); the file may be cut off")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        reason = records.explain_unreadable(error)
        raise UserError(f"{path}: after row {number}: {reason}") from None
