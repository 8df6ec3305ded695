"""Battle files: their three forms, optional columns, and what is refused with its place."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.lib.arena import battles
from stages.lib.core.errors import UserError

ROWS = [
    {"model_a": "x", "model_b": "y", "winner": "model_a", "question_id": 81, "judge": "gpt", "turn": 1},
    {"model_a": "y", "model_b": "x", "winner": "tie (bothbad)", "question_id": 81, "judge": "ann", "turn": 2},
    {"model_a": "x", "model_b": "z", "winner": "model_b", "question_id": 82, "judge": "gpt", "turn": 1},
]


def write(path, rows):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        text = json.dumps(rows) if path.suffix == ".json" else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(text)
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".parquet"])
def test_three_forms_of_one_file(tmp_path, ending):
    games = battles.read(write(tmp_path / f"b{ending}", ROWS))
    assert games.players == ["x", "y", "z"] and games.points.tolist() == [1.0, 0.5, 0.0]
    assert games.a.tolist() == [0, 1, 0] and games.b.tolist() == [1, 0, 2] and games.prompts.tolist() == [0, 0, 1]
    assert games.lengths is None and len(games.notes) == 2 and "--judge" in games.notes[0]


def test_one_judge_or_turn(tmp_path):
    path = write(tmp_path / "b.jsonl", ROWS)
    assert battles.read(path, judge="ann").players == ["x", "y"] and not battles.read(path, "ann").notes
    assert len(battles.read(path, turn=1).a) == 2
    for options, text in (
        ({"judge": "bob"}, "no battle has judge 'bob'; the file has judge: 'gpt', 'ann'; turn: 1, 2"),
        ({"judge": "ann", "turn": 1}, "no battle has judge 'ann' and turn 1; the file has"),
    ):
        with pytest.raises(UserError, match=text):
            battles.read(path, **options)


def test_lengths_are_numbers_texts_or_conversations(tmp_path):
    said = [{"role": "user", "content": "a long question"}, {"role": "assistant", "content": "abc"}]
    for columns in (
        {"length_a": 3, "length_b": 1},
        {"response_a": "abc", "response_b": "z"},
        {"conversation_a": said, "conversation_b": [{"role": "assistant", "content": "z"}]},
    ):
        games = battles.read(write(tmp_path / "b.jsonl", [ROWS[0] | columns]))
        assert games.lengths.tolist() == [0.5]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"winner": "modelA"}, "b.jsonl:2: winner 'modelA'; must be one of model_a, model_b, tie"),
        ({"winner": None}, "b.jsonl:2: `winner` must be a name, got None"),
        ({"winner": 1}, "b.jsonl:2: `winner` must be a name, got 1"),
        ({"model_b": "y"}, "b.jsonl:2: 'y' plays against itself"),
        ({"model_a": ""}, "b.jsonl:2: `model_a` must be a name, got ''"),
        ({"question_id": None}, "b.jsonl:2: `question_id` must be a name or a whole number in every row, got None"),
        ({"judge": ["a"]}, "b.jsonl:2: `judge` must be a name or a number"),
        ({"length_a": 3, "length_b": -1}, "b.jsonl:1: `length_a` must be a length"),
    ],
)
def test_a_bad_row_is_named(tmp_path, change, reason):
    with pytest.raises(UserError, match="must|itself") as error:
        battles.read(write(tmp_path / "b.jsonl", [ROWS[0], ROWS[1] | change, ROWS[2]]))
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_bad_files(tmp_path):
    (tmp_path / "missing.jsonl").write_text('{"model_a": "x", "winner": "tie"}\n')
    (tmp_path / "cut.json").write_text('[{"model_a": "x"')
    (tmp_path / "dict.json").write_text("{}")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "bad.parquet").write_text("no")
    (tmp_path / "b.csv").write_text("model_a,model_b,winner\n")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "empty.json").write_text("[]")
    for name, reason in {
        "missing.jsonl": "missing.jsonl:1: `model_b` is missing",
        "cut.json": "cut.json:1: not valid JSON",
        "dict.json": "dict.json: found dict; must be a list of battles",
        "list.json": "list.json: row 1: found int",
        "bad.parquet": "bad.parquet: cannot be read as Parquet",
        "b.csv": "b.csv: ending '.csv'; must be .jsonl, .json or .parquet",
        "empty.jsonl": "empty.jsonl: no battles",
        "empty.json": "empty.json: no battles",
        "absent.jsonl": "absent.jsonl: cannot be read",
    }.items():
        with pytest.raises(UserError) as error:
            battles.read(tmp_path / name)
        assert reason in str(error.value) and "\n" not in str(error.value)


def test_prompts_of_different_types_are_different():
    games = battles.make_battles([("a", "b", 1.0)] * 3, [1, "1", 1])
    assert games.prompts[0] == games.prompts[2] != games.prompts[1]
