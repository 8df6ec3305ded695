"""The tree of what an output came from."""

import json
from dataclasses import replace

import pytest

from stages.commands import lineage as command
from stages.commands.lineage import lineage
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import digests, files
from stages.lib.core.errors import UserError
from stages.lib.models.encoding import Encoder
from stages.lib.verifiers.process import ProcessVerifier
from stages.lib.workspace import lineage as workspace_lineage
from stages.lib.workspace.lineage import Lineage, Step
from tests.helpers import tiny_models
from tests.helpers.recorded_workspace import record_workspace


@pytest.fixture
def root(tmp_path, monkeypatch):
    tokenizer = build_tokenizer()
    model = tiny_models.make_model("llama", len(tokenizer))
    record_workspace(tmp_path, ProcessVerifier("prm", model, Encoder(tokenizer), "scalar"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tree(root, capsys):
    lineage("data/prm/model")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"data/prm/model  {digests.md5(root / 'data/prm/model')[:8]}"
    assert lines[1].startswith("└─ prm: Train the process verifier")
    assert "run 19700101T000001-prm-abcdef, 2.0 s, commit cccccccccc" in lines[2]
    assert lines[3].strip() == "seed 1, prm.lr 0.25 (preset: 0.001)"
    order = [next(i for i, line in enumerate(lines) if word in line) for word in ("├─ benchmarks:", "└─ base:")]
    assert order == sorted(order)
    text = "\n".join(lines)
    assert f"gives test.jsonl {digests.md5(root / 'data/benchmarks/test.jsonl')[:8]}" in text
    assert "run elsewhere" in text and "└─ data/raw/base" in text
    assert "licences: sums MIT (5 problems)" in text and "base model: source bundled, licence MIT" in text
    assert f"data/raw/base: README.md {digests.file_md5(root / 'data/raw/base/README.md')[:8]}" in text
    assert "preset: default" in text and "environment: requirements.lock" in text


@pytest.mark.parametrize(
    "path", ["data/prm", "data/prm/model/config.json", "./data/prm/", "data/../data/prm/metrics.json"]
)
def test_files_and_folders_of_a_stage_lead_to_it(root, path):
    assert [step.stage for step in workspace_lineage.trace(root, path).steps] == ["benchmarks", "base", "prm"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("data/prm/modle", "do you mean data/prm/model"),
        ("data/nothing/at/all", "do you mean"),
        ("data", "no output of one stage"),
        ("data/raw/base", "no output of one stage"),
        ("/etc", "outside the repository"),
        ("data/orm/model", "stage orm has not run"),
    ],
)
def test_other_paths_are_told(root, path, message):
    with pytest.raises(UserError, match=message):
        workspace_lineage.trace(root, path)
    (root / "dvc.lock").unlink()
    with pytest.raises(UserError, match="outside|dvc.lock: not found"):
        workspace_lineage.trace(root, path)


def test_an_input_that_was_written_anew_is_told(root, capsys):
    text = (root / "dvc.lock").read_text()
    md5 = digests.md5(root / "data/benchmarks/test.jsonl")
    before, reader = text.split("prm:", 1)
    assert md5 in before and md5 in reader
    (root / "dvc.lock").write_text(before.replace(md5, "0" * 32) + "prm:" + reader)
    lineage("data/prm/model")
    assert "data/benchmarks/test.jsonl was written anew since; `dvc repro prm`" in capsys.readouterr().out


def test_the_run_is_the_newest_that_wrote_these_outputs(root, capsys):
    path = root / ".assay/journal/19700101T000001-prm-abcdef/run.json"
    info = json.loads(path.read_text())
    outputs = info["outputs"] | {"data/prm/model": "0" * 32}
    for change in ({"outputs": outputs}, {"outputs": {}}, {"status": "FAILED"}, {"stage": "orm"}):
        files.write_json(path, info | change)
        assert workspace_lineage.trace(root, "data/prm").steps[-1].run is None
    files.write_json(path, info)
    assert workspace_lineage.trace(root, "data/prm").steps[-1].run["commit"] == "c" * 40
    later = path.parents[1] / "19700101T000009-prm-fedcba/run.json"
    files.write_json(later, info | {"started": 9.0})
    assert workspace_lineage.trace(root, "data/prm").steps[-1].run["id"] == later.parent.name
    lineage("data/prm/model")
    assert "with another" not in capsys.readouterr().out


def test_after_dvc_commit_the_run_is_told_with_the_input_that_is_another(root, capsys):
    path = root / ".assay/journal/19700101T000001-prm-abcdef/run.json"
    info = json.loads(path.read_text())
    later = info | {"started": 9.0, "inputs": info["inputs"] | {"data/base/model": "0" * 32}}
    files.write_json(path.parents[1] / "19700101T000009-prm-fedcba/run.json", later)
    assert workspace_lineage.trace(root, "data/prm").steps[-1].run["id"] == path.parent.name, "it read these inputs"
    path.unlink()
    lineage("data/prm/model")
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].endswith("commit cccccccccc, with another data/base/model")


def test_raw_files_that_changed_since_are_not_listed(root, capsys):
    files.write_text(root / "data/raw/base/README.md", "other\n")
    lineage("data/prm/model")
    assert "data/raw/base: changed since it was read" in capsys.readouterr().out


def test_json_holds_all_of_it(root, capsys):
    lineage("data/prm/model", as_json=True)
    told = json.loads(capsys.readouterr().out)
    traced = workspace_lineage.trace(root, "data/prm/model")
    assert replace(traced, steps=[]).to_json().items() <= (told | {"steps": []}).items()
    assert [step["stage"] for step in told["steps"]] == ["benchmarks", "base", "prm"]
    assert told["changes"]["prm"] == [{"key": "prm.lr", "default": 0.001, "current": 0.25}]
    assert told["steps"][-1]["inputs"]["data/base/model"] == digests.md5(root / "data/base/model")


def test_raw_is_what_no_stage_wrote_wherever_it_lies():
    own, code = {"own/llama": "1" * 32, "requirements.lock": "2" * 32}, {}
    base = Step("base", "", {"data/base/model": "3" * 32}, own, code, {}, [], [])
    orm = Step("orm", "", {"data/orm/model": "4" * 32}, {"data/base": "5" * 32}, code, {}, [], ["base"])
    traced = Lineage("data/orm", orm.outputs, [base, orm])
    assert traced.list_raw_inputs() == [("own/llama", "1" * 32, "base")] and base.owns("data/base/model/config.json")
    lines = command.format_tree(traced, {"base": [], "orm": []})
    assert any(line.endswith("own/llama 11111111") for line in lines)
    (_, environment, *_) = command.format_sources(traced, "default", {"own/llama": {}}, {})
    assert environment == "environment: requirements.lock 22222222"


def test_a_tree_is_wrapped_behind_its_branches():
    lines = ["one/model 12345678", "└─ one: Some words that go on", "   ├─ two: Read again and again", "   │  more"]
    assert command.wrap_tree(lines, None) == lines
    assert command.wrap_tree(lines, 26) == [
        "one/model 12345678",
        "└─ one: Some words that",
        "     go on",
        "   ├─ two: Read again",
        "   │    and again",
        "   │  more",
    ]
