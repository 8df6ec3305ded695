"""The files of a data set for `datasets.load_dataset`: Parquet, a file for each split, all with the same columns.

Problems are JSONL here, with programs and tests of any shape. In a table every row has the same columns, so `program`
and `tests` become JSON text.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stages.lib.core import records
from stages.lib.core.errors import UserError

_JSON_COLUMNS = ("program", "tests")
_TYPES = {
    "choices": pa.list_(pa.string()),
    "steps": pa.list_(pa.struct({"text": pa.string(), "value": pa.string()})),
    "difficulty": pa.float64(),
    "abstain": pa.bool_(),
    "source": pa.struct({"url": pa.string(), "revision": pa.string(), "sha256": pa.string()}),
}
PROBLEM_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in records.Problem.model_fields])


class Split(NamedTuple):
    """A file of the data set. columns: (name, type). benchmarks: where its problems are from, by their ids."""

    name: str
    path: str
    rows: int
    columns: list[tuple[str, str]]
    benchmarks: set[str]


def write_data(source: Path, folder: Path) -> list[Split]:
    """Write the problems (.jsonl) or the rows (.parquet) of a stage's folder to `folder`/data, and say what was written.

    Other files of the folder, and empty ones, are left out. Raises UserError for a folder without rows, and where files
    have different columns."""
    (folder / "data").mkdir()
    splits = []
    for path in sorted([*source.glob("*.jsonl"), *source.glob("*.parquet")]):
        target = folder / "data" / f"{path.stem}.parquet"
        if path.suffix == ".parquet":
            shutil.copyfile(path, target)
        elif _holds_problems(path):
            rows = [_flatten(problem) for problem in records.read_problems(path)]
            pq.write_table(pa.Table.from_pylist(rows, schema=PROBLEM_SCHEMA), target, compression="zstd")
        else:
            continue
        schema, rows = pq.read_schema(target), pq.read_metadata(target).num_rows
        if not rows:  # load_dataset takes no empty split
            target.unlink()
            continue
        columns = [(field.name, str(field.type)) for field in schema]
        if splits and columns != splits[0].columns:
            raise UserError(f"{path}: has other columns than {splits[0].name}, so both are no one data set")
        key = "id" if "id" in schema.names else "problem_id"
        ids = pq.read_table(target, columns=[key])[key].to_pylist() if key in schema.names else []
        benchmarks = {str(id).partition("/")[0] for id in ids}
        splits.append(Split(path.stem, f"data/{path.stem}.parquet", rows, columns, benchmarks))
    if not splits:
        raise UserError(
            f"{source}: holds neither a model (config.json) nor rows (.jsonl of problems, .parquet); name a folder such as "
            f"data/prm/model, data/ood or data/samples"
        )
    return splits


def _holds_problems(path: Path) -> bool:
    row: dict[str, Any] = next((row for _, row in records.iter_jsonl(path)), {})
    return {"id", "question", "answer"} <= row.keys()


def _flatten(problem: records.Problem) -> dict[str, Any]:
    row = problem.model_dump()
    return row | {key: None if row[key] is None else json.dumps(row[key], ensure_ascii=False) for key in _JSON_COLUMNS}
