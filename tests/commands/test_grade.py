"""`python -m stages grade`: rows in, the same rows with `equal` and `extracted` out, and clear errors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    {"gold": "18", "pred": "She makes 9 * 2 = $18.\n#### 18", "id": 7},
    {"gold": r"\frac{1}{2}", "pred": r"so it is \boxed{0.5}", "answer_type": "latex"},
    {"gold": "B", "pred": "The answer is (C).", "answer_type": "choice"},
    {"gold": "3", "pred": "I do not know", "answer_type": "number"},
    {"gold": "3", "pred": None},
]


def grade(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages", "grade", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_rows_come_back_with_a_verdict(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)) + "\n\n")
    done = grade(file)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["equal"] for row in rows] == [True, True, False, False, False]
    assert [row["extracted"] for row in rows] == ["18", "0.5", "C", None, None]
    assert [{key: row[key] for key in original} for row, original in zip(rows, ROWS, strict=True)] == ROWS
    assert "5 rows: 2 equal (40.00%), 2 without an answer" in done.stderr

    out = tmp_path / "graded.jsonl"
    again = grade(file, "--out", out)
    assert again.returncode == 0 and again.stdout == ""
    assert out.read_text() == done.stdout


def test_what_a_model_thinks_aloud_is_not_graded(tmp_path, workplace):
    from stages.commands.grade import grade_rows

    tests = {"public": {"input": [""], "output": ["3"]}, "private": {"input": [], "output": []}}
    code = {"gold": "print(3)", "answer_type": "code", "tests": tests}
    rows = [
        {"gold": "3", "pred": "<think>#### 4</think>\n#### 3"},
        {"gold": "4", "pred": "<think>#### 4</think>\n#### 3"},
        {"gold": "3", "pred": "#### 3 <think>or rather"},
        code | {"pred": "<think>```python\nprint(3)\n```</think>```python\nprint(4)\n```"},
        code | {"pred": "<think>```python\nprint(4)\n```</think>```python\nprint(3)\n```"},
    ]
    graded = grade_rows(rows)
    assert [row["equal"] for row in graded] == [True, False, False, False, True]
    assert [row["extracted"] for row in graded][:3] == ["3", "3", None] and graded[0]["pred"] == rows[0]["pred"]


def test_programs_with_tests_are_run(tmp_path, workplace):
    from stages.commands.grade import grade_rows, read_rows
    from stages.lib.core.errors import UserError

    tests = {"public": {"input": ["1 2"], "output": ["3"]}, "private": {"input": [], "output": []}}
    code = "print(sum(map(int, input().split())))"
    head, check = "def f(x):\n", {"entry_point": "f", "test": "def check(f):\n    assert f(1) == 2\n"}
    rows = [
        {"gold": code, "pred": "a, b = input().split()\nprint(int(a) + int(b))", "answer_type": "code", "tests": tests},
        {"gold": code, "pred": "print(4)", "answer_type": "code", "tests": tests},
        {"gold": code, "pred": code + "  # mine", "answer_type": "code"},
        {"gold": "", "pred": "    return x + 1", "answer_type": "code", "tests": check, "question": head},
        {"gold": "3", "pred": "#### 3"},
        {"gold": code, "pred": None, "answer_type": "code", "tests": tests},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    graded = grade_rows(list(read_rows(file)))
    assert [row["equal"] for row in graded] == [True, False, True, True, True, False]
    assert graded[3]["extracted"] == "def f(x):\n    return x + 1"
    for broken in ({"tests": []}, {"tests": {"hidden": {}}}, {"tests": {}}, {"question": 1}):
        file.write_text(json.dumps(rows[0] | broken))
        with pytest.raises(UserError, match="rows.jsonl:1: .*tests"):
            list(read_rows(file))


@pytest.mark.parametrize(
    "line, reason",
    [
        ("{", "not valid JSON"),
        ("[1]", "every line must be one JSON object"),
        ('{"gold": "1"}', "`pred` is missing"),
        ('{"gold": 1, "pred": "1"}', "`gold` must be a string"),
        ('{"gold": null, "pred": "1"}', "`gold` must be a string"),
        ('{"gold": "1", "pred": "1", "answer_type": "numbre"}', "must be one of number, integer, latex"),
        ('{"gold": "1", "pred": "1", "answer_type": ["number"]}', "`answer_type` must be one of"),
        ('{"gold": "\\u00"}', "not valid JSON"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, line, reason):
    from stages.commands.grade import read_rows
    from stages.lib.core.errors import UserError

    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROWS[0]) + "\n" + line + "\n")
    with pytest.raises(UserError) as raised:
        list(read_rows(file))
    assert str(raised.value).startswith(f"{file}:2: ") and reason in str(raised.value)


@pytest.mark.slow
def test_a_user_sees_one_line_and_nothing_is_written(tmp_path):
    file, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    file.write_bytes(b'{"gold": "1", "pred": "\xff"}\n')
    done = grade(file, "--out", out)
    assert done.returncode == 2 and done.stdout == "" and not out.exists()
    assert done.stderr.startswith(f"{file}:1: not UTF-8") and done.stderr.count("\n") == 1
    missing = grade(tmp_path / "none.jsonl")
    assert (
        missing.returncode == 2
        and missing.stderr == f"{tmp_path / 'none.jsonl'}: cannot be read (No such file or directory)\n"
    )


@pytest.mark.slow
def test_a_tolerance_is_asked_for(tmp_path):
    from stages.commands.grade import grade_rows

    rows = [
        {"gold": "\\frac{1}{3}", "pred": "0.333", "answer_type": "latex"},
        {"gold": "300", "pred": "about 301", "answer_type": "number"},
        {"gold": "300", "pred": "330", "answer_type": "number"},
    ]
    assert [row["equal"] for row in grade_rows(rows)] == [False] * 3
    assert [row["equal"] for row in grade_rows(rows, tolerance=0.01)] == [True, True, False]
    assert grade(tmp_path / "rows.jsonl", "--tolerance", -1).returncode == 2


@pytest.mark.slow
def test_rows_are_utf8_whatever_the_terminal_is(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"gold": "4", "pred": "é #### 4"}\n')
    command = [sys.executable, "-m", "stages", "grade", file]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True
    )
    assert json.loads(done.stdout.decode())["pred"] == "é #### 4"


@pytest.mark.slow
def test_any_string_survives_the_round_trip(tmp_path):
    file, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    strange = {"gold": "\ud800", "pred": "é\u2028\n½", "note": "\x85"}
    file.write_text(json.dumps(strange) + "\n")
    done = grade(file, "--out", out)
    assert done.returncode == 0, done.stderr
    (line,) = out.read_text("utf-8").split("\n")[:-1]
    assert json.loads(line) | {"equal": None, "extracted": None} == strange | {"equal": None, "extracted": None}
