"""What the pages tell to type exists, and what is cheap runs as written."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from rich.cells import cell_len
from typer.testing import CliRunner

from stages import __main__ as program
from stages.lib.core import files
from stages.lib.display import tables, terminal
from stages.lib.workspace import chapters
from tests.helpers import tiny_models
from tests.helpers.workspace import ENV, clone_repository
from tests.lib.display.test_terminal import read_tables

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "stages").rglob("README.md"), *(ROOT / "data/raw").rglob("README.md")])
EVALUATION = "stages/evaluation/README.md"
SAMPLES = [{"text": "3 + 4 = 7\n#### 7", "scores": {"rm": 0.9}}, {"text": "#### 8", "scores": {"rm": 0.2}}]
POOL = {"problem_id": "p1", "question": "3 + 4?", "gold": "7", "scales": {"rm": "probability"}, "samples": SAMPLES}


def list_commands(page: Path) -> list[str]:
    """Commands in indented blocks, without what stands behind them, and in code spans."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = [re.split(r"  +|\s#\s", line.strip())[0] for line in re.findall(r"^    (.+)$", text, re.MULTILINE)]
    spans = [
        " ".join(span.split()) for span in re.findall(r"`([^`]+)`", re.sub(r"^    .+$", "", text, flags=re.MULTILINE))
    ]
    return [x for x in [*lines, *spans] if re.match(r"(python -m stages\b|dvc |make )", x)]


def get_program():
    if not program.app.registered_commands:
        program._register_commands()
    return typer.main.get_command(program.app)


def check(command: str) -> None:
    """Raises an error for a command, option or target that does not exist."""
    words = shlex.split(command.replace("...", ""))
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
    elif words[0] == "dvc":
        from dvc.cli.parser import get_main_parser

        get_main_parser().parse_args(words[1:])
    elif words[2] != "stages":
        assert "<" in words[2] or chapters.is_stage(words[2].split(".")[-1]), command
    elif words[3:] and words[3] != "VERB":
        group = get_program()
        verb = group.commands.get(words[3])  # pyright: ignore
        assert verb, f"{command}: no such command"
        if words[4:]:  # a verb alone is only named
            verb.make_context(words[3], words[4:])


COMMANDS = sorted({(str(page.relative_to(ROOT)), command) for page in PAGES for command in list_commands(page)})


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=str)
def test_every_quoted_command_exists(page, command):
    check(re.sub(r"\[([^\]]*)\]", "", command))  # without what is optional
    check(re.sub(r"\[([^\]]*)\]", r"\1", command))


def test_the_check_sees_commands_and_what_does_not_exist():
    assert len(COMMANDS) > 40 and len({page for page, _ in COMMANDS}) > 5
    for wrong in (
        "python -m stages tabel",
        "python -m stages table --nope",
        "dvc reprodoce",
        "make rep",
        "dvc repro --nope",
    ):
        with pytest.raises((Exception, SystemExit)):
            check(wrong)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A clone with a tiny process verifier in its place, and files of the names that the pages use."""
    from stages.generators.base.tokenizer import build_tokenizer
    from stages.lib.models.encoding import Encoder
    from stages.lib.verifiers.process import ProcessVerifier

    root = tmp_path_factory.mktemp("clone")
    clone_repository(root)
    tokenizer = build_tokenizer()
    model = tiny_models.make_model("llama", len(tokenizer), seed=3)
    verifier = ProcessVerifier("prm", model, Encoder(tokenizer), "scalar", ["Right", "Wrong"])
    torch.nn.init.normal_(verifier.head.weight)
    verifier.save(root / "data/prm/model")
    (root / "DIR").symlink_to("data/prm/model")
    for name in ("POOL.jsonl", "POOL.scored.jsonl"):
        (root / name).write_text(json.dumps(POOL) + "\n")
    return root


GRADED = {"gold": "7", "pred": "It is 7."}
RUNS = {
    "python -m stages": "",
    "python -m stages plan": "",
    "python -m stages params [KEY]": "",
    "python -m stages preset [NAME ...]": "",
    "python -m stages preset mmlu nano": "",
    "python -m stages preset mmlu": "",
    "python -m stages preset smollm2": "",
    "python -m stages grade F.jsonl": json.dumps(GRADED),
    "python -m stages score F.jsonl --verifier DIR": json.dumps(POOL),
    "python -m stages best-of-n F.jsonl --out DIR": json.dumps(POOL),
    "python -m stages score POOL.jsonl --verifier data/prm/model": "",
    "python -m stages export data/prm/model --out FOLDER": "",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", RUNS)
def test_cheap_commands_run_as_written(command, workspace, monkeypatch):
    assert command in {x for _, x in COMMANDS}, "no page has it any more; remove it here"
    monkeypatch.chdir(workspace)
    (workspace / "F.jsonl").write_text(RUNS[command] + "\n")
    for file in workspace.glob("*.scored.jsonl"):
        file.unlink()
    words = shlex.split(re.sub(r"\[.*\]", "", command))[3:]
    if words[:1] in (["best-of-n"], ["export"]):  # where they write
        words[-1] = f"new-{words[0]}"
    get_program()
    done = CliRunner().invoke(program.app, words)
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", ["", "plan", "params", "preset", "doctor", "table", "table --all", "best-of-n", "score"]
)
def test_what_commands_print_fits_80_columns(words, workspace, monkeypatch, tmp_path):
    monkeypatch.chdir(workspace)
    monkeypatch.setattr(terminal, "get_width", lambda: 80)
    arguments = words.split()
    if words in ("best-of-n", "score"):
        arguments += ["POOL.jsonl", "--out", str(tmp_path / "out")]
    for name in ("table", "matrix"):  # as stage best_of_n writes them, in content as wide as they come
        report = {f"{name} {i}": (header, rows * 3) for i, (header, *rows) in enumerate(read_tables(ROOT / EVALUATION))}
        files.write_text(workspace / f"data/best_of_n/{name}.md", tables.format_report(report, ["note " * 40]))
    get_program()
    done = CliRunner().invoke(program.app, arguments)
    assert done.exit_code == 0 or words == "doctor", f"{done.output}\n{done.exception!r}"
    lines = [line for line in done.output.splitlines() if str(tmp_path) not in line]
    assert lines and [line for line in lines if cell_len(line) > 80 or "…" in line] == []


@pytest.mark.slow
def test_python_of_the_page_runs_as_written(workspace):
    (code,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace, env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = (line.split(" ", 1) for line in done.stdout.splitlines())
    assert 0 < float(first[0]) < 1 and len(json.loads(first[1])) == 3 and len(json.loads(second[1])) == 2
