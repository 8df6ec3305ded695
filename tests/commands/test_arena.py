"""`python -m stages arena`: any battle file becomes ratings.csv, ratings.png and report.md."""

import csv
import json
import random

import pytest

from stages.commands.arena import arena
from stages.lib.core.errors import UserError


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make_rows(n=120, **extra):
    draw = random.Random(0)
    rows = []
    for i in range(n):
        a, b = draw.sample(["strong", "middle", "weak"], 2)
        chance = {"strong": 0.8, "middle": 0.5, "weak": 0.2}
        better = draw.random() < chance[a] / (chance[a] + chance[b])
        winner = "tie" if i % 6 == 0 else "model_a" if better else "model_b"
        rows.append({"model_a": a, "model_b": b, "winner": winner, "question_id": i // 3, **extra})
    return rows


@pytest.mark.parametrize("extra", [{}, {"response_a": "long answer", "response_b": "short"}])
def test_ratings_picture_and_report(tmp_path, capsys, extra):
    file, out = write(tmp_path / "b.jsonl", make_rows(**extra)), tmp_path / "out"
    arena(file, out, rounds=100)
    rows = list(csv.DictReader((out / "ratings.csv").open()))
    assert [row["player"] for row in rows] == ["strong", "middle", "weak"]
    assert all(float(row["low"]) < float(row["rating"]) < float(row["high"]) for row in rows)
    assert all(int(row["games"]) == sum(int(row[x]) for x in ("wins", "losses", "ties")) for row in rows)
    assert all(bool(row["equal_length"]) == bool(extra) for row in rows)
    report = (out / "report.md").read_text()
    assert "120 battles on 40 prompts" in report and "Elo moves by up to" in report
    assert (out / "ratings.png").stat().st_size > 5000 and "strong" in capsys.readouterr().out
    first = (out / "ratings.csv").read_bytes()
    arena(file, out, rounds=100)
    assert (out / "ratings.csv").read_bytes() == first


def test_the_order_of_the_rows_moves_nothing_but_elo(tmp_path):
    rows, texts = make_rows(), []
    for i, some in enumerate((rows, rows[::-1])):
        arena(write(tmp_path / f"{i}.jsonl", some), tmp_path / f"{i}", rounds=100)
        cells = csv.DictReader((tmp_path / f"{i}/ratings.csv").open())
        texts.append([[row[x] for x in ("player", "rating", "low", "high", "se", "games")] for row in cells])
    assert texts[0] == texts[1]


def test_a_circle_and_a_separation_are_said(tmp_path):
    circle = [{"model_a": a, "model_b": b, "winner": "model_a"} for a, b in ("xy", "yz", "zx") for _ in range(40)]
    arena(write(tmp_path / "c.jsonl", circle), tmp_path / "c", rounds=100)
    text = (tmp_path / "c/report.md").read_text()
    assert "takes 100% of the points" in text and "its rating says 50%" in text and "counts as independent" in text
    arena(write(tmp_path / "s.jsonl", circle[:40]), tmp_path / "s", rounds=100)
    assert "No maximum of the likelihood" in (tmp_path / "s/report.md").read_text()


def test_a_bad_row_leaves_nothing_behind(tmp_path):
    file = write(tmp_path / "b.jsonl", [*make_rows(3), {"model_a": "x", "model_b": "y", "winner": "?"}])
    with pytest.raises(UserError, match=r"b.jsonl:4: winner '\?'; must be one of"):
        arena(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()
