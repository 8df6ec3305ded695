"""Files of instructions: every form, every container, faults that are fatal and faults that are counted."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.selection import instruction_files

ALPACA = {"instruction": "Add.", "input": "2 and 3", "output": "It is 5."}
PROBLEM = {
    "id": "g/train/1~answers2",
    "benchmark": "g",
    "split": "train",
    "question": "2 + 3?",
    "answer": "5",
    "answer_type": "integer",
    "steps": [{"text": "2 + 3 = 5", "value": "5"}, {"text": "#### 5"}],
    "operator": "answers",
    "licence": "MIT",
    "source": {"url": "-"},
}


def write(path, rows):
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def chat(*texts, role="role", content="content", names=("user", "assistant")):
    return [{role: names[i % 2], content: text} for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        (ALPACA, "Add.\n2 and 3", "It is 5."),
        ({"instruction": "Hi", "output": "Yo"}, "Hi", "Yo"),
        ({"instruction": "Hi", "input": " ", "output": "Yo"}, "Hi", "Yo"),
        ({"messages": chat("Hi", "Yo")}, "Hi", "Yo"),
        ({"messages": chat("a", "b", "c", "d")}, "user: a\nassistant: b\nuser: c", "d"),
        ({"conversations": chat("Hi", "Yo", role="from", content="value", names=("human", "gpt"))}, "Hi", "Yo"),
        ({"prompt": "Hi", "completion": "Yo"}, "Hi", "Yo"),
        ({"prompt": chat("Hi"), "completion": [{"role": "assistant", "content": "Yo"}]}, "Hi", "Yo"),
        ({"question": "Hi", "answer": "Yo"}, "Hi", "Yo"),
        (PROBLEM, "2 + 3?", "2 + 3 = 5\n#### 5"),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_every_form_in_every_container(row, question, answer, ending, tmp_path):
    file = instruction_files.read(write(tmp_path / f"f.{ending}", [row]))
    (only,) = file.rows
    assert (only.question, only.answer, file.total, file.faults) == (question, answer, 1, {})
    assert only.tokens == instruction_files.count_words(answer) > 0
    assert file.places == {only.id: 1}


def test_a_problem_keeps_its_id_and_its_root_is_the_group(tmp_path):
    (row,) = instruction_files.read(write(tmp_path / "f.jsonl", [PROBLEM])).rows
    assert (row.id, row.group, row.source, row.family) == ("g/train/1~answers2", "g/train/1", "answers", "g")
    assert records.Problem.model_validate(PROBLEM).id == row.id
    with pytest.raises(UserError, match=r"f.jsonl:2: id 'g/train/1~answers2' is already used"):
        instruction_files.read(write(tmp_path / "f.jsonl", [PROBLEM, PROBLEM]))


def test_ids_do_not_depend_on_the_order_and_equal_questions_are_one_group(tmp_path):
    rows = [{"instruction": f"q{i % 3}", "output": f"a{i}"} for i in range(7)]
    first = instruction_files.read(write(tmp_path / "f.jsonl", rows)).rows
    second = instruction_files.read(write(tmp_path / "g.jsonl", rows[::-1])).rows
    assert {row.id: row.answer for row in first} == {row.id: row.answer for row in second}
    assert len({row.id for row in first}) == 7 and len({row.group for row in first}) == 3


FAULTY = [
    ALPACA,
    ALPACA,
    {"instruction": "Q", "input": "<noinput>", "output": "A"},
    {"instruction": "Page", "output": "<div>x</div>"},
    {"instruction": "No answer"},
    {"instruction": "Null", "output": None},
    {"instruction": "Empty", "output": " \n"},
    {"instruction": " ", "output": "A"},
    {"instruction": "1 < 2 > 0 and a<b>c?", "output": "x < y > z"},
    {"instruction": "A cut emoji", "output": "smile \ud83e"},
]


def test_faults_are_counted_and_only_what_cannot_be_learned_from_is_left_out(tmp_path):
    file = instruction_files.read(write(tmp_path / "f.jsonl", FAULTY))
    assert file.faults == {
        "exact duplicate": [2],
        "placeholder for no input": [3],
        "HTML in the answer": [4],
        "half a character": [10],
        "no answer": [5, 6],
        "empty answer": [7],
        "no question": [8],
    }
    assert (file.total, sorted(file.places.values())) == (10, [1, 2, 3, 4, 9, 10])
    assert len({row.id for row in file.rows}) == 6, "both copies keep an id"


@pytest.mark.parametrize("place", [2, 3, 4, 5, 7, 8, 10])
def test_strict_refuses_the_first_fault(place, tmp_path):
    path = write(tmp_path / "f.jsonl", [ALPACA, FAULTY[place - 1]])
    with pytest.raises(UserError, match=r"f.jsonl:2: .*; mend the row, or leave out --strict"):
        instruction_files.read(path, is_strict=True)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "x"}, "keys text; a row has instruction and output, messages, prompt and completion, or question"),
        ({}, "keys none; a row has"),
        ({"instruction": 3, "output": "x"}, "instruction: must be text, found int"),
        ({"instruction": "x", "output": ["y"]}, "output: must be text, found list"),
        ({"messages": "x"}, "messages: must be a list of messages, found str"),
        ({"messages": [{"content": "x"}]}, "messages: message 1 must have role and content"),
        (PROBLEM | {"answer_type": "x"}, "answer_type: "),
    ],
)
def test_a_row_of_no_form_is_fatal(row, reason, tmp_path):
    with pytest.raises(UserError, match=f"f.jsonl:2: {reason}"):
        instruction_files.read(write(tmp_path / "f.jsonl", [ALPACA, row]))


def test_a_file_from_which_nothing_can_be_learned(tmp_path):
    with pytest.raises(UserError, match="none of its 1 rows can be trained on"):
        instruction_files.read(write(tmp_path / "f.jsonl", [{"instruction": "x"}]))
    (tmp_path / "f.jsonl").write_text("")
    with pytest.raises(UserError, match="none of its 0 rows can be trained on"):
        instruction_files.read(tmp_path / "f.jsonl")
    with pytest.raises(UserError, match="cannot be read"):
        instruction_files.read(tmp_path / "absent.jsonl")


def test_kept_lines_are_the_same_bytes(tmp_path):
    lines = [b'{"instruction":"\xc3\xa9 1",  "output": "\\u00e9", "n": 1.50}', b'{"output": "b", "instruction": "a"}']
    (tmp_path / "f.jsonl").write_bytes(b"\xef\xbb\xbf" + lines[0] + b"\r\n" + lines[1] + b"\n\n\n")
    file = instruction_files.read(tmp_path / "f.jsonl")
    assert sorted(file.places.values()) == [1, 2]
    instruction_files.write_rows(tmp_path / "kept.jsonl", tmp_path / "f.jsonl", [2, 1])
    assert (tmp_path / "kept.jsonl").read_bytes() == lines[0] + b"\n" + lines[1] + b"\n"


@pytest.mark.parametrize("ending", ["json", "parquet"])
def test_kept_rows_of_other_containers_have_equal_values(ending, tmp_path):
    rows = [ALPACA | {"extra": {"n": i, "x": [i / 7]}, "output": f"é\u2028{i}"} for i in range(4)]
    path = write(tmp_path / f"f.{ending}", rows)
    instruction_files.write_rows(tmp_path / "kept.jsonl", path, [3, 1])
    kept = (tmp_path / "kept.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert list(map(json.loads, kept)) == [rows[0], rows[2]]


def test_a_value_that_json_does_not_know(tmp_path):
    write(tmp_path / "f.parquet", [ALPACA | {"raw": b"\x00"}])
    with pytest.raises(UserError, match=r"f.parquet:1: cannot be written as JSON \(Object of type bytes"):
        instruction_files.write_rows(tmp_path / "kept.jsonl", tmp_path / "f.parquet", [1])
    assert not (tmp_path / "kept.jsonl").exists()
