"""`python -m stages select`: what it writes, what it refuses, and that a killed run goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image

from stages import __main__ as command_line
from stages.commands import select as command
from stages.lib.core.errors import UserError
from stages.lib.selection import choice_report, quality, resumable
from stages.lib.selection.methods import METHODS

FILE, OUT = Path("rows.jsonl"), Path("out/kept.jsonl")
TOPICS = ["Name a fruit that is", "Sum the numbers up to", "Translate the word of", "Write a poem about"]


def make_rows(count=60):
    return [
        {"instruction": f"{TOPICS[i % 4]} {i}", "input": "", "output": " ".join(["word"] * (i % 11 + 1) + [str(i)])}
        for i in range(count)
    ]


def write_rows(rows, path=FILE):
    path.write_text("".join(json.dumps(row, indent=None) + "\n" for row in rows), encoding="utf-8")


def read_lines(path=OUT):
    return path.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_rows(make_rows())
    return tmp_path


@pytest.fixture(scope="module")
def call():
    command_line._register_commands()
    return lambda text: command_line.app(["select", *text.split()], standalone_mode=False)


def test_car_with_a_budget(folder, call, capsys):
    call("rows.jsonl --method car --keep 12 --quality length --out out/kept.jsonl")
    kept, lines = read_lines(), FILE.read_text().splitlines()
    assert len(kept) == 12 and kept == [line for line in lines if line in kept], (
        "as they came, in the order of the file"
    )
    records = [json.loads(line) for line in read_lines(Path("out/kept.rows.jsonl"))]
    assert [record["row"] for record in records] == list(range(1, 61))
    chosen = [record for record in records if record["kept"]]
    assert [lines[record["row"] - 1] for record in chosen] == kept
    assert {record["cluster"] for record in chosen} == {record["cluster"] for record in records} == {*range(5)}
    page = Path("out/kept.md").read_text()
    for part in (
        "car: 12 of 60 rows",
        "random, as many rows",
        "random, as many tokens",
        "longest",
        "clusters: 5,",
        "rank alone, without clusters, keeps",
        "Length of the answers",
        "(kept.png)",
    ):
        assert part in page, part
    with Image.open("out/kept.png") as image:
        assert min(image.size) > 500
    assert not list(Path(".checkpoints").rglob("*.npy"))
    printed = capsys.readouterr().out
    assert "out/kept.jsonl: 12 rows; the report is out/kept.md" in printed


def test_a_choice_of_all_rows_is_told(folder, call, capsys):
    """Without a budget `car` keeps the 1,000 best and more, which is all of a small file."""
    said = "all 60 rows are kept, so nothing was chosen; ask for fewer with --keep"
    call("rows.jsonl --method car --quality length --out out/kept.jsonl")
    assert len(read_lines()) == 60 and said in Path("out/kept.md").read_text() and said in capsys.readouterr().out
    for options in ("--method car --quality length --keep 59", "--method all"):
        call(f"rows.jsonl {options} --out out/kept.jsonl")
        assert "nothing was chosen" not in Path("out/kept.md").read_text() + capsys.readouterr().out


def test_the_order_of_the_file_changes_no_choice(folder, call):
    call("rows.jsonl --keep 12 --quality length --out out/kept.jsonl")
    first = sorted(read_lines())
    write_rows(make_rows()[::-1])
    call("rows.jsonl --keep 12 --quality length --out out/kept.jsonl")
    assert sorted(read_lines()) == first


@pytest.mark.parametrize("method", ["all", "random", "longest", "one_pass", "k_center", "adversarial"])
def test_every_method_that_needs_no_language_model(method, folder, call):
    write_rows([{"question": f"What is {i} + {i}?", "answer": f"{2 * i}"} for i in range(40)], Path("old.jsonl"))
    write_rows(make_rows() + [{"question": f"What is {i} + 7?", "answer": f"{7 + i}"} for i in range(9)])
    quality = " --quality length" if method == "one_pass" else ""
    labelled = " --labelled old.jsonl" if method in ("adversarial", "k_center") else ""
    keep = "" if method == "all" else " --keep 10"
    call(f"rows.jsonl --method {method}{keep} --out out/kept.jsonl{quality}{labelled}")
    assert len(read_lines()) == (69 if method == "all" else 10)
    if method == "adversarial":
        assert "told from candidates with AUC" in Path("out/kept.md").read_text()
        assert sum("What is" in line for line in read_lines()) <= 1, "what is new comes first"


def test_a_budget_of_tokens(folder, call):
    call("rows.jsonl --method random --keep 50 --by tokens --embedding none --out out/kept.jsonl")
    tokens = sum(len(json.loads(line)["output"].split()) for line in read_lines())
    assert 38 < tokens <= 50
    assert not Path("out/kept.png").exists() and "png" not in Path("out/kept.md").read_text()


def test_faults_are_told_and_left_out(folder, call, capsys):
    rows = make_rows()
    rows[3]["output"], rows[5] = "", rows[4]
    write_rows(rows)
    call("rows.jsonl --method all --embedding none --out out/kept.jsonl --report report")
    assert len(read_lines()) == 59
    assert "1 rows are left out" in capsys.readouterr().err
    page = Path("report/kept.md").read_text()
    assert "empty answer | 1 | left out | 4" in page and "exact duplicate | 1 | kept | 6" in page
    with pytest.raises(UserError, match=r"rows.jsonl:4: empty answer; mend the row"):
        call("rows.jsonl --method all --embedding none --out strict.jsonl --strict")
    assert not Path("strict.jsonl").exists()


def make_messy_rows(count=200):
    """Every tenth row has a fault of another kind; the licences differ, and some rows have none."""
    rows = [row | {"licence": ("MIT", "CC-BY-4.0", None)[i % 3]} for i, row in enumerate(make_rows(count))]
    for i in range(0, count, 10):
        fault = i // 10 % 5
        changes = (
            {"output": ""},
            {"instruction": " \t"},
            {"output": "long " * 30_000},
            {"output": f"<p>{i} naïve 漢字 🚢\u200b</p>"},
        )
        rows[i] = rows[i] | changes[fault] if fault < 4 else rows[i - 1]
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def test_a_messy_file_is_chosen_from_and_its_faults_are_counted(folder, call, capsys):
    rows = make_messy_rows()
    write_rows(rows)
    call("rows.jsonl --method car --keep 40 --quality length --out out/kept.jsonl")
    kept, lines = read_lines(), FILE.read_text(encoding="utf-8").splitlines()
    assert len(kept) == 40 and set(kept) <= set(lines), "the bytes of a kept row are those of the file, licence and all"
    assert all(json.loads(line)["output"].strip() and json.loads(line)["instruction"].strip() for line in kept)
    page = Path("out/kept.md").read_text(encoding="utf-8")
    for fault in ("empty answer | 4 | left out", "no question | 4 | left out", "HTML in the answer | 4 | kept"):
        assert fault in page
    assert "exact duplicate | 4 | kept" in page and "8 rows are left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"instruction": "cut', "not valid JSON"),
        (b'["instruction"]', "one JSON object"),
        (b'{"instruction": 3, "output": "x"}', "instruction"),
        (b'{"instruction": "caf\xe9", "output": "x"}', "UTF-8"),
    ],
)
def test_a_broken_line_is_one_sentence_and_nothing_is_written(line, reason, folder, call):
    lines = FILE.read_bytes().splitlines()
    FILE.write_bytes(b"\n".join([*lines[:30], line, *lines[30:]]) + b"\n")
    with pytest.raises(UserError) as error:
        call("rows.jsonl --method car --keep 12 --quality length --out out/kept.jsonl")
    assert str(error.value).startswith("rows.jsonl:31: ") and reason in str(error.value)
    assert "\n" not in str(error.value) and not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--method best", f"--method best: must be one of {', '.join(METHODS)}"),
        ("--by rows", "--by rows: must be items or tokens"),
        ("--embedding bert", "--embedding bert: must be one of tfidf, hidden, minilm, none"),
        ("", "--method car: needs --quality length, iqs:PAIRS.csv"),
        ("--embedding none --quality length", "--method car: needs --embedding"),
        ("--method uncertainty", "--method uncertainty: needs --model DIR"),
        ("--method adversarial", "--method adversarial: needs --labelled FILE"),
        ("--method random --embedding hidden", "--embedding hidden: needs --model DIR"),
        ("--method random --model absent", "--model absent: not a folder"),
        ("--quality absent", "--quality absent: not a folder; must be length"),
        ("--method one_pass --set order=input --set tau=2", "--set tau: input should be less than or equal to 1"),
        ("--method one_pass --set order=input --set size=2", "keys of method one_pass: tau, order, running_mean"),
        ("--method random --set tau", "--set tau: must be KEY=VALUE; keys of method random: none"),
    ],
)
def test_options_are_refused_before_the_file_is_read(options, reason, folder, call):
    with pytest.raises(UserError) as error:
        call(f"absent.jsonl --out out/kept.jsonl {options}")
    assert reason in str(error.value) and not Path("out").exists()


@pytest.mark.slow
def test_torch_is_not_imported_without_a_model(folder):
    words = ["select", "rows.jsonl", "--quality", "length", "--keep", "9", "--out", "out/kept.jsonl"]
    code = f"import sys; from stages import __main__ as m; sys.argv[1:] = {words}\ntry: m.main()\nfinally: "
    code += "assert not {'torch', 'transformers'} & {*sys.modules}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert len(read_lines()) == 9


def test_a_folder_without_a_model(folder, call):
    with pytest.raises(UserError, match=r"plain: no config.json"):
        Path("plain").mkdir()
        call("rows.jsonl --method random --keep 5 --model plain --out out/kept.jsonl")
    assert not Path("out").exists()


def test_random_rows_stand_beside_others(folder, call):
    call("rows.jsonl --method random --keep 5 --out out/kept.jsonl")
    rows = [line.split("|")[1:] for line in Path("out/kept.md").read_text().splitlines() if line.startswith("| ")]
    arms = {row[0].strip(): row[1:] for row in rows}
    assert arms["this choice"] != arms["random, as many rows"]


def test_distances_of_choices_that_are_nearly_the_file_are_left_out(folder, call, monkeypatch):
    """A few long rows have as many tokens as most of the others: of 100,000 rows such distances took hours."""
    monkeypatch.setattr(choice_report, "MAX_PAIRS", 8 * 60)
    call("rows.jsonl --method longest --keep 8 --out out/kept.jsonl")
    rows = [line.split("|")[1:-1] for line in Path("out/kept.md").read_text().splitlines() if line.startswith("| ")]
    arms = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert int(arms["random, as many tokens"][0]) > 8 and arms["random, as many tokens"][2:4] == ["", ""]
    assert arms["random, as many tokens"][4] and all(arms["this choice"][2:5])


def test_rows_without_a_judgement_are_refused_before_anything_is_computed(folder, call, monkeypatch):
    def compute(*_):
        raise AssertionError("computed")

    monkeypatch.setattr(resumable.ResumableArrays, "compute", compute)
    base = Path(__file__).parents[2] / "data/raw/base"
    with pytest.raises(UserError, match=r"--labelled: 60 rows have no key `good`"):
        call(
            f"rows.jsonl --method uncertain_and_good --labelled rows.jsonl --quality length --model {base} "
            "--embedding none --out out/kept.jsonl"
        )


def test_bad_places_and_amounts(folder, call):
    for out, reason in (("kept.txt", "ending .jsonl"), ("rows.jsonl", "is read by this command")):
        with pytest.raises(UserError, match=reason):
            call(f"rows.jsonl --method all --out {out}")
    Path("busy.md").mkdir()
    with pytest.raises(UserError, match=r"busy.md: is a folder"):
        call("rows.jsonl --method all --out busy.jsonl")
    with pytest.raises(typer.BadParameter):
        call("rows.jsonl --method all --out kept.jsonl --keep 0")


def test_a_killed_run_goes_on(folder, monkeypatch):
    monkeypatch.setattr(resumable, "PART", 16)
    measure, seen = quality.score_length, []

    def die(rows):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(len(rows))
        return measure(rows)

    options = {"method": "longest", "quality": "length", "embedding": "none"}
    monkeypatch.setattr(quality, "score_length", die)
    with pytest.raises(KeyboardInterrupt):
        command.select(FILE, OUT, **options)
    assert len(list(Path(".checkpoints").rglob("*.npy"))) == 2 and not OUT.exists()
    monkeypatch.setattr(quality, "score_length", lambda rows: seen.append(len(rows)) or measure(rows))
    command.select(FILE, OUT, keep=7, **options)
    assert seen == [16, 16, 16, 12] and len(read_lines()) == 7
    assert not list(Path(".checkpoints").rglob("*.npy"))
