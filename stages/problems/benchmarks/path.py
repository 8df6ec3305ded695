"""Source `path`: benchmark files as published, or folders of them: jsonl, json, csv (these also .gz), parquet.

A file is read whole or not at all: what is not a row (broken JSON, a csv record with a field too few, a cut-off
archive) is an error `file:line: reason`, never a skipped line; blank lines at the end are none.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.lib.core import files
from stages.lib.core.errors import UserError
from stages.problems.benchmarks.rows import Row, Table

FORMATS = ("jsonl", "json", "csv", "parquet", "jsonl.gz", "json.gz", "csv.gz")


def load_tables(sources: dict[str, list[str]], header: list[str] | None = None) -> list[Table]:
    """One table per file of `sources` (published split -> files or folders). `header`: see `read_rows`."""
    files_of = {split: [file for name in names for file in _list_files(name)] for split, names in sources.items()}
    every = [file for found in files_of.values() for file in found]
    if twice := [file for file in every if every.count(file) > 1]:
        raise UserError(f"{twice[0]}: named twice in benchmarks.path; every file may be read once, for one split")
    result = []
    for split, found in files_of.items():
        for file, label in zip(found, _make_labels(found), strict=True):
            rows = [
                Row(values, str(file), line, f"{label}{i:04d}")
                for i, (line, values) in enumerate(read_rows(file, header))
            ]
            result.append(Table(str(file), split, None, files.sha256(file), rows, _detect_licence(file.parent)))
    return result


def _make_labels(found: list[Path]) -> list[str]:
    """What keeps the rows of several files apart in ids: a file's name, with the folders that tell it from the others."""
    if len(found) == 1:
        return [""]
    stems = [file.with_name(_get_stem(file)) for file in found]
    parts = [file.parts if stems.count(stem) > 1 else stem.parts for file, stem in zip(found, stems, strict=True)]
    labels = []
    for own in parts:
        depth = 1
        while sum(other[-depth:] == own[-depth:] for other in parts) > 1:
            depth += 1
        labels.append("/".join(own[-depth:]).lstrip("/") + "/")
    return labels


_LICENCE_TITLES = {
    r"MIT License|Permission is hereby granted, free of charge": "MIT",
    r"Apache License\s+Version 2\.0": "Apache-2.0",
    r"Attribution-NonCommercial 4\.0 International": "CC-BY-NC-4.0",
    r"Attribution-ShareAlike 4\.0 International": "CC-BY-SA-4.0",
    r"Attribution 4\.0 International": "CC-BY-4.0",
}


def _detect_licence(folder: Path) -> str | None:
    """What a LICENSE file of a folder says: its SPDX name where it is a known one, else where to read it."""
    if folder.resolve() == Path.cwd():
        return None  # the project's own
    for path in sorted(folder.iterdir()):
        if re.fullmatch(r"licen[cs]e(\.(txt|md))?", path.name, re.IGNORECASE) and path.is_file():
            content = path.read_text(encoding="utf-8", errors="replace")
            return next((name for title, name in _LICENCE_TITLES.items() if re.search(title, content)), f"see {path}")
    return None


def _list_files(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if _get_format(file) in FORMATS)
        if not inside:
            raise UserError(f"{path}: no benchmark file in this folder; looked for {', '.join(FORMATS)}")
        return inside
    if not path.exists():
        raise UserError(f"{path}: not found; put the published file there or change benchmarks.path in params.yaml")
    if _get_format(path) not in FORMATS:
        raise UserError(f"{path}: unknown kind of file; allowed: {', '.join(FORMATS)}")
    return [path]


def _get_stem(path: Path) -> str:
    return path.name.removesuffix("." + _get_format(path))


def _get_format(path: Path) -> str:
    parts = path.name.lower().split(".")
    return ".".join(parts[-2:] if parts[-1] == "gz" else parts[-1:])


def read_rows(path: Path, header: list[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row) of a file; for json and parquet the line is the number of the row, from 1.

    `header` names the columns of csv files that are published without a first line of names. Raises UserError.
    """
    kind = _get_format(path).removesuffix(".gz")
    if kind == "parquet":
        return _read_parquet(path)
    content = _read_text(path)
    if kind == "jsonl":
        return _read_jsonl(path, content)
    return _read_json(path, content) if kind == "json" else _read_csv(path, content, header)


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix.lower() == ".gz" else data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be unpacked ({error}); fetch the file again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _parse_json(path: Path, line: int, content: str) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        line += getattr(error, "lineno", 1) - 1
        reason = getattr(error, "msg", str(error))
        raise UserError(f"{path}:{line}: not valid JSON ({reason}); the file may be cut off") from None


def _check_row(path: Path, line: int, value: Any) -> tuple[int, dict[str, Any]]:
    if not isinstance(value, dict):
        raise UserError(f"{path}:{line}: found {type(value).__name__}; every row must be one JSON object")
    return line, value


def _read_jsonl(path: Path, content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines(): it also breaks at U+2028 and others, which may stand inside a JSON string.
    content = content.rstrip()
    for line, entry in enumerate(content.split("\n") if content else [], 1):
        if not entry.strip():
            raise UserError(f"{path}:{line}: empty line; every line must be one JSON object")
        yield _check_row(path, line, _parse_json(path, line, entry))


def _read_json(path: Path, content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    entries = _parse_json(path, 1, content)
    if not isinstance(entries, list):
        raise UserError(f"{path}: found {type(entries).__name__}; expected a list of objects")
    for line, entry in enumerate(entries, 1):
        yield _check_row(path, line, entry)


def _read_csv(path: Path, content: str, header: list[str] | None) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(2**31 - 1)  # the default, 131,072, is less than a long statement
    first = content.partition("\n")[0]
    delimiter = next((sign for sign in ",;\t" if sign in first), ",")
    reader = csv.reader(io.StringIO(content, newline=""), strict=True, delimiter=delimiter)
    names, line = None, 1
    try:
        for record in reader:
            if len(record) < 2 and not "".join(record).strip():
                line = reader.line_num + 1  # a blank line
                continue
            start = names is None
            if start:
                columns = {name.strip().casefold() for name in record}
                names = record if header is None or len(columns & set(header)) > 1 else header
                if len(set(names)) < len(names):
                    raise UserError(f"{path}:{line}: a column stands twice in the header ({', '.join(names)})")
            if start and names is record:
                pass
            elif len(record) != len(names):
                raise UserError(f"{path}:{line}: {len(record)} fields, expected {len(names)} ({', '.join(names)})")
            else:
                yield line, dict(zip(names, record, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}:{line}: not valid csv ({error})") from None


def _read_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None
    yield from enumerate(rows, 1)
