"""Source `path`: benchmark files as published, or folders of them: jsonl, json, csv (each also .gz), parquet.

A file is read as a whole: broken JSON, a csv record with a missing field or a truncated archive is an error
`file:line: reason`, never a skipped line. Blank lines at the end are allowed.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.lib.core import files, records
from stages.lib.core.errors import UserError
from stages.problems.benchmarks.rows import Row, Table

FORMATS = ("jsonl", "json", "csv", "parquet", "jsonl.gz", "json.gz", "csv.gz")


def load_tables(sources: dict[str, list[str]], header: list[str] | None = None) -> list[Table]:
    """One table per file of `sources` (published split -> files or folders). `header`: see `read_rows`."""
    paths_by_split = {split: [path for name in names for path in _list_files(name)] for split, names in sources.items()}
    counts = Counter(itertools.chain(*paths_by_split.values()))
    if repeated := [path for path, count in counts.items() if count > 1]:
        raise UserError(f"{repeated[0]}: named twice in benchmarks.path; every file may be read once, for one split")
    tables = []
    for split, paths in paths_by_split.items():
        for path, label in zip(paths, _make_labels(paths), strict=True):
            numbered = enumerate(read_rows(path, header))
            rows = [Row(values, str(path), line, f"{label}{i:04d}") for i, (line, values) in numbered]
            tables.append(Table(str(path), split, None, files.sha256(path), rows, _detect_licence(path.parent)))
    return tables


def _make_labels(paths: list[Path]) -> list[str]:
    """Prefixes that distinguish the rows of several files in ids: the file's name, and its folders as far as needed."""
    if len(paths) == 1:
        return [""]
    stems = [path.with_name(path.name.removesuffix("." + _get_format(path))) for path in paths]
    names = [path.parts if stems.count(stem) > 1 else stem.parts for path, stem in zip(paths, stems, strict=True)]
    labels = []
    for parts in names:
        depth = 1
        while sum(other[-depth:] == parts[-depth:] for other in names) > 1:
            depth += 1
        labels.append("/".join(parts[-depth:]).lstrip("/") + "/")
    return labels


_LICENCE_TITLES = {
    r"MIT License|Permission is hereby granted, free of charge": "MIT",
    r"Apache License\s+Version 2\.0": "Apache-2.0",
    r"Attribution-NonCommercial 4\.0 International": "CC-BY-NC-4.0",
    r"Attribution-ShareAlike 4\.0 International": "CC-BY-SA-4.0",
    r"Attribution 4\.0 International": "CC-BY-4.0",
}


def _detect_licence(folder: Path) -> str | None:
    """The SPDX name of the LICENSE file of a folder; `see PATH` for an unknown text; None without such a file."""
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
        paths = sorted(file for file in path.iterdir() if _get_format(file) in FORMATS)
        if not paths:
            raise UserError(f"{path}: no benchmark file in this folder; looked for {', '.join(FORMATS)}")
        return paths
    if not path.exists():
        raise UserError(f"{path}: not found; put the published file there or change benchmarks.path in params.yaml")
    if _get_format(path) not in FORMATS:
        raise UserError(f"{path}: unknown kind of file; allowed: {', '.join(FORMATS)}")
    return [path]


def _get_format(path: Path) -> str:
    parts = path.name.lower().split(".")
    return ".".join(parts[-2:] if parts[-1] == "gz" else parts[-1:])


def read_rows(path: Path, header: list[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row) of a file, both counted from 1; for json and parquet the line is the number of the row.

    `header` names the columns of csv files that are published without a header. Raises UserError.
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
        return records.decode(gzip.decompress(data) if path.suffix.lower() == ".gz" else data, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be unpacked ({error}); fetch the file again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _parse_json(path: Path, line: int, content: str) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON; write null")

    try:
        return json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        line += getattr(error, "lineno", 1) - 1
        raise UserError(f"{path}:{line}: {records.explain_unreadable(error)}") from None


def _check_row(path: Path, line: int, value: Any) -> tuple[int, dict[str, Any]]:
    if not isinstance(value, dict):
        raise UserError(f"{path}:{line}: found {type(value).__name__}; every row must be one JSON object")
    return line, value


def _read_jsonl(path: Path, content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines(): it also breaks at U+2028 and others, which may occur inside a JSON string.
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
    delimiter = next((sign for sign in ",;\t" if sign in content.partition("\n")[0]), ",")
    reader = csv.reader(io.StringIO(content, newline=""), strict=True, delimiter=delimiter)
    names: list[str] | None = None
    line = 1
    try:
        for record in reader:
            start, line = line, reader.line_num + 1
            if len(record) < 2 and not "".join(record).strip():
                continue  # a blank line
            if names is None:
                columns = {name.strip().casefold() for name in record}
                has_header = header is None or len(columns & set(header)) > 1
                names = record if has_header else header or []
                if len(set(names)) < len(names):
                    raise UserError(f"{path}:{start}: a column occurs twice in the header ({', '.join(names)})")
                if has_header:
                    continue
            if len(record) != len(names):
                raise UserError(f"{path}:{start}: {len(record)} fields, expected {len(names)} ({', '.join(names)})")
            yield start, dict(zip(names, record, strict=True))
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
