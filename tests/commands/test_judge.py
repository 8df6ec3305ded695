"""`python -m stages judge`: grades by a template from a real server on loopback, and overlap without a model."""

import json

import pytest

from stages.commands.judge import judge
from stages.lib.core.errors import UserError
from tests.helpers import chat_server


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_grades_and_what_cannot_be_read(tmp_path, capsys):
    rows = [{"question": "q", "answer": x, "criterion": "short", "id": i} for i, x in enumerate(("a", "b", "c"))]
    file, out = write(tmp_path / "rows.jsonl", *rows), tmp_path / "graded.jsonl"
    replies = {"a": "It is.\nYes", "b": "No.", "c": "Yes and no"}
    with chat_server.serve(lambda prompt: replies[prompt.split("[Submission]\n")[1][0]]) as server:
        judge(file, out, "closed_question", "m", server.url)
    assert [(row["id"], row["score"], row["choice"]) for row in read(out)] == [
        (0, 1.0, "Yes"),
        (1, 0.0, "No"),
        (2, None, None),
    ]
    said = "3 rows: mean score 0.500, 1 answers could not be read\nm: 3 requests, 30 tokens read, of which "
    said += "the server had 0 cached, 15 written; stored answers count as if asked again. "
    said += "It was asked at temperature 0 for 1,000 tokens an answer at most.\n"
    assert capsys.readouterr().err == said
    judge(file, out, "closed_question", "m", server.url)
    assert capsys.readouterr().err == said, "the server is gone, and nothing was asked again"


def test_pairs_are_asked_in_both_orders(tmp_path, capsys):
    file, out = (
        write(tmp_path / "rows.jsonl", {"question": "q", "first": "x", "second": "longer"}),
        tmp_path / "o.jsonl",
    )
    with chat_server.serve("First") as server:
        judge(file, out, "battle", "m", server.url, repeats=3)
        assert len(server.requests) == 6
    assert read(out)[0]["verdict"] == 0 and read(out)[0]["orders"] == [1, 1]
    said = capsys.readouterr().err
    assert "tie 1" in said and "first 100.0%" in said and "stability 100.0%" in said


def test_what_is_refused(tmp_path):
    file = write(tmp_path / "rows.jsonl", {"question": "q", "answer": "a"})
    for template, model, reason in (
        ("fact", None, "--model: missing"),
        ("fact", "m", "rows.jsonl:1: `reference` must be a text, got None"),
        ("absent", "m", "template 'absent': not found"),
        ("overlap", None, "rows.jsonl:1: `reference` must be a text"),
    ):
        with pytest.raises(UserError, match=reason):
            judge(file, tmp_path / "out.jsonl", template, model, "http://127.0.0.1:9/v1")
    assert not (tmp_path / "out.jsonl").exists()


def test_overlap_needs_no_model(tmp_path, capsys):
    pytest.importorskip("rouge_score")
    file, out = (
        write(tmp_path / "rows.jsonl", {"answer": "a cat sat down", "reference": "a cat sat down"}),
        tmp_path / "o.jsonl",
    )
    judge(file, out, "overlap")
    assert read(out)[0]["rougeL"] == 1.0 and "rouge1 1.000" in capsys.readouterr().err
