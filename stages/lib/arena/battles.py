"""Battles, and the files of them that arenas publish: JSONL, JSON or Parquet with `model_a`, `model_b` and `winner`.

The form is that of Chatbot Arena and MT-Bench (Zheng et al. 2023, arXiv 2306.05685). Optional columns: a prompt's id
(`prompt_id`, `question_id` or `problem_id`), `judge`, `turn`, and what tells the length of both answers: `length_a` and
`length_b`, or the texts `response_a` and `response_b`, or `conversation_a` and `conversation_b`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.lib.core.errors import UserError
from stages.lib.core.records import explain_unreadable, iter_jsonl, read_text

WINNERS = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "tie (bothbad)": 0.5, "both_bad": 0.5}  # points of model_a
PROMPT_COLUMNS = ("prompt_id", "question_id", "problem_id")
LENGTH_COLUMNS = (("length_a", "length_b"), ("response_a", "response_b"), ("conversation_a", "conversation_b"))
COLUMNS = (
    "model_a",
    "model_b",
    "winner",
    *PROMPT_COLUMNS,
    "judge",
    "turn",
    *(x for pair in LENGTH_COLUMNS for x in pair),
)


class Battles(NamedTuple):
    """Games in the order they were played; all arrays (games,).

    players: their names, sorted; a, b: indices of the two players; points: of a, 1 won, 0.5 tied, 0 lost; prompts: index of
    the prompt that a game is about (games on one prompt are not independent); lengths: (length a - length b) / (their
    sum), or None; notes: what a reader of the ratings has to know about the file."""

    players: list[str]
    a: np.ndarray
    b: np.ndarray
    points: np.ndarray
    prompts: np.ndarray
    lengths: np.ndarray | None = None
    notes: Sequence[str] = ()


def make_battles(
    games: Iterable[tuple[str, str, float]],
    prompts: Sequence[Any] | None = None,
    lengths: Sequence[float] | None = None,
    notes: Sequence[str] = (),
) -> Battles:
    """Battles of (player, player, points of the first). prompts: id of every game's prompt, by default each its own."""
    rows = list(games)
    players = sorted({player for first, second, _ in rows for player in (first, second)})
    index = {player: i for i, player in enumerate(players)}
    a, b = (np.array([index[player] for player in side], int) for side in ([x[0] for x in rows], [x[1] for x in rows]))
    if prompts is None:
        ids = np.arange(len(rows))
    else:
        ids = np.unique(
            np.array([f"{type(x).__name__}:{x}" for x in prompts], dtype=object).astype(str), return_inverse=True
        )[1]
    relative = None if lengths is None else np.array(lengths, float)
    return Battles(players, a, b, np.array([row[2] for row in rows], float), ids, relative, list(notes))


def read(path: Path, judge: str | None = None, turn: int | None = None) -> Battles:
    """The battles of a file, those of one judge or one turn if named.

    Raises UserError `file:line: reason` (`file: row N: reason` where a file has no lines) for a row that is no battle, and
    for a file without any."""
    kept, seen = [], {"judge": Counter(), "turn": Counter()}
    for where, row in _iter_rows(Path(path)):
        _check(row, where)
        for column, counter in seen.items():
            if isinstance(row.get(column), list | dict):
                raise UserError(f"{where}: `{column}` must be a name or a number, got {row[column]!r:.60}")
            counter[row.get(column)] += 1
        if judge in (None, row.get("judge")) and turn in (None, row.get("turn")):
            kept.append((where, row))
    if not seen["judge"]:
        raise UserError(f"{path}: no battles; every row needs model_a, model_b and winner")
    if not kept:
        wanted = " and ".join(f"{name} {x!r}" for name, x in (("judge", judge), ("turn", turn)) if x is not None)
        present = "; ".join(f"{name}: {', '.join(repr(x) for x, _ in c.most_common(8))}" for name, c in seen.items())
        raise UserError(f"{path}: no battle has {wanted}; the file has {present}")
    notes = _describe_pooled([row for _, row in kept])
    prompts, lengths = _collect_prompts(kept), _collect_lengths(kept)
    if prompts is None:
        notes.append("No column names the prompt, so every battle counts as independent of the others.")
    games = ((row["model_a"], row["model_b"], WINNERS[row["winner"]]) for _, row in kept)
    return make_battles(games, prompts, lengths, notes)


def _describe_pooled(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = {column: len({row.get(column) for row in rows}) for column in ("judge", "turn")}
    return [
        f"Battles of {count} {column}s are pooled; --{column} rates one of them."
        for column, count in counts.items()
        if count > 1
    ]


def _iter_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(place for messages, row)."""
    if path.suffix == ".jsonl":
        yield from ((f"{path}:{number}", row) for number, row in iter_jsonl(path))
    elif path.suffix == ".json":
        try:
            rows = json.loads(read_text(path))
        except (ValueError, RecursionError) as error:
            line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise UserError(f"{path}{line}: {explain_unreadable(error)}") from None
        if not isinstance(rows, list):
            raise UserError(f"{path}: found {type(rows).__name__}; must be a list of battles")
        for number, row in enumerate(rows, 1):
            if not isinstance(row, dict):
                raise UserError(f"{path}: row {number}: found {type(row).__name__}; every battle must be one object")
            yield f"{path}: row {number}", row
    elif path.suffix == ".parquet":
        yield from _iter_parquet(path)
    else:
        raise UserError(f"{path}: ending {path.suffix!r}; must be .jsonl, .json or .parquet")


def _iter_parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name in COLUMNS]
            number = 0
            for batch in file.iter_batches(columns=names):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", row
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None


def _check(row: Mapping[str, Any], where: str) -> None:
    for key in ("model_a", "model_b", "winner"):
        if key not in row:
            raise UserError(f"{where}: `{key}` is missing; a battle has model_a, model_b and winner")
        if not isinstance(row[key], str) or not row[key]:
            raise UserError(f"{where}: `{key}` must be a name, got {row[key]!r:.60}")
    if row["winner"] not in WINNERS:
        raise UserError(f"{where}: winner {row['winner']!r:.60}; must be one of {', '.join(WINNERS)}")
    if row["model_a"] == row["model_b"]:
        raise UserError(f"{where}: {row['model_a']!r:.60} plays against itself; leave the row out")


def _collect_prompts(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any] | None:
    """Every row's prompt, None where no row names it."""
    for column in PROMPT_COLUMNS:
        if all(row.get(column) is None for _, row in rows):
            continue
        for where, row in rows:
            value = row.get(column)
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise UserError(f"{where}: `{column}` must be a name or a whole number in every row, got {value!r:.60}")
        return [row[column] for _, row in rows]
    return None


def _collect_lengths(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[float] | None:
    """(length a - length b) / (length a + length b) of every row; None unless all rows have the columns."""
    for columns in LENGTH_COLUMNS:
        if all(row.get(column) is None for column in columns for _, row in rows):
            continue
        differences = []
        for where, row in rows:
            first, second = (_measure_length(row.get(column), column, where) for column in columns)
            differences.append((first - second) / (first + second) if first + second else 0.0)
        return differences
    return None


def _measure_length(value: Any, column: str, where: str) -> float:
    """A number as it is, a text in characters, a conversation in characters of its answers."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list) and all(isinstance(turn, dict) for turn in value):
        texts = (turn.get("content") for turn in value if turn.get("role") == "assistant")
        return sum(len(text) for text in texts if isinstance(text, str))
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return value
    raise UserError(f"{where}: `{column}` must be a length, a text or a conversation in every row, got {value!r:.60}")
