"""What is exported is read by transformers and datasets, scores as before, and states what is known of it."""

import contextlib
import io
import json
import re
import runpy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from stages.commands.export import export
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import digests, files, records
from stages.lib.core.errors import UserError
from stages.lib.hub.card import describe_licence
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling
from stages.lib.verifiers.outcome import OutcomeVerifier
from stages.lib.verifiers.process import ProcessVerifier
from tests.helpers import tiny_models
from tests.helpers.recorded_workspace import record_workspace


def make_verifier(kind, name, head="scalar", **options):
    tokenizer = build_tokenizer()
    model, encoder = tiny_models.make_model(name, len(tokenizer)), Encoder(tokenizer)
    if kind == "generative":
        return GenerativeVerifier("genrm", model, encoder, RationaleSampling(), "direct")
    if kind == "outcome":
        verifier = OutcomeVerifier("orm", model, encoder, **({"loss": "bce"} | options))
    else:
        verifier = ProcessVerifier("prm", model, encoder, head, **options)
    if head == "scalar":
        torch.nn.init.normal_(verifier.head.weight)
        torch.nn.init.constant_(verifier.head.bias, 0.3)
    return verifier


def read_front_matter(text):
    from huggingface_hub import DatasetCard

    return DatasetCard(text).data.to_dict()


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "mistral"])
@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("scalar", {}),
        ("scalar", {"loss": "beta_binomial"}),
        ("token_logits", {"head_init_tokens": ["Right", "Wrong"], "step_marker": "Right.\n"}),
    ],
)
def test_a_process_verifier_scores_as_a_token_classifier(tmp_path, capsys, name, head, options):
    verifier = make_verifier("process", name, head, **options)
    verifier.save(tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    is_beta = options.get("loss") == "beta_binomial"
    assert ("its concentration is not exported" in capsys.readouterr().out) == is_beta
    classifier = AutoModelForTokenClassification.from_pretrained(tmp_path / "out").eval()
    problem = tiny_models.make_problem(3)
    samples = [tiny_models.make_sample(problem, 0, 0), tiny_models.make_sample(problem, 1, 2)]
    for sample, expected in zip(samples, verifier.score_steps(problem, samples), strict=True):
        encoded = verifier.encode_sample(problem, sample)
        with torch.no_grad():
            p = classifier(torch.tensor([encoded.ids])).logits[0].softmax(-1)[:, 1]
        assert p[encoded.score_positions].tolist() == pytest.approx(expected[: len(encoded.score_positions)], abs=1e-5)
    told = json.loads((tmp_path / "out/format.json").read_text())
    assert told["after_step_is_scored"] == verifier.step_marker and classifier.config.id2label[1] == "right"
    assert loading.load_tokenizer(tmp_path / "out")("3 + 4")["input_ids"] == build_tokenizer()("3 + 4")["input_ids"]


@pytest.mark.parametrize(
    ("kind", "name", "head", "options"),
    [
        ("outcome", "llama", "scalar", {}),
        ("outcome", "llama", "scalar", {"loss": "mse"}),
        ("outcome", "lfm2", "scalar", {}),
        ("process", "qwen3", "scalar", {}),
        ("process", "lfm2", "scalar", {"step_marker": "Right.\n"}),
        ("process", "lfm2", "token_logits", {"head_init_tokens": ["Right", "Wrong"]}),
        ("generative", "lfm2", "", {}),
    ],
)
def test_the_code_on_the_card_gives_the_scores_of_the_example(tmp_path, monkeypatch, kind, name, head, options):
    make_verifier(kind, name, head, **options).save(tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    assert ("AutoModelForTokenClassification" in card) == (name != "lfm2" and options.get("loss") != "mse")
    (tmp_path / "use.py").write_text(re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0])
    monkeypatch.chdir(tmp_path / "out")
    was_enabled = torch.is_grad_enabled()
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            runpy.run_path(str(tmp_path / "use.py"))
    finally:
        torch.set_grad_enabled(was_enabled)
    given, expected = (json.loads(text) for text in re.findall(r"\[.*?\]", out.getvalue()))
    assert given == pytest.approx(expected, abs=1e-4) and min(expected) > 0 and max(expected) < 1


def test_a_generator_stays_as_it_is(tmp_path):
    tokenizer = build_tokenizer()
    loading.save(tiny_models.make_model("lfm2", len(tokenizer)), tokenizer, tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    example = json.loads((tmp_path / "out/format.json").read_text())["example"]
    assert example["ids"] == Encoder(tokenizer).prompt_ids(example["question"])
    assert AutoTokenizer.from_pretrained(tmp_path / "out").decode(example["ids"]) == tokenizer.decode(example["ids"])
    assert model.generate(torch.tensor([example["ids"]]), max_new_tokens=2).shape[1] <= len(example["ids"]) + 2


@pytest.fixture
def root(tmp_path, monkeypatch):
    record_workspace(tmp_path / "work", make_verifier("process", "llama"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_card_of_a_model_states_licence_data_results_and_lineage(root, tmp_path):
    export(Path("data/prm"), tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    front = read_front_matter(card)
    assert front["license"] == "mit" and front["library_name"] == "transformers"
    assert front["pipeline_tag"] == "token-classification" and "verifier" in front["tags"]
    for line in (
        "# prm: process verifier (PRM)",
        "| sums | MIT | 5 |",
        "| weighted vote of 4 by this model, test | 0.75 [0.7, 0.8] |",
        "| gain of the weighted vote over majority, test | 0.25 [0.2, 0.3] |",
        "| AUC within a problem, test | 0.875 [0.8, 0.9] |",
        "| dev auc | 0.625 |",
        "seed 1, prm.lr 0.25 (preset: 0.001)",
        "A tiny model",
    ):
        assert line in card, line


def test_results_of_another_model_are_not_claimed(root, tmp_path, capsys):
    """best_of_n tested other bytes than those that are exported."""
    text = (root / "dvc.lock").read_text()
    md5 = digests.md5(root / "data/prm/model")
    before, best = text.split("best_of_n:", 1)
    (root / "dvc.lock").write_text(before + "best_of_n:" + best.replace(md5, "0" * 32 + ".dir"))
    export(Path("data/prm/model"), tmp_path / "first")
    card = (tmp_path / "first/README.md").read_text()
    assert "Not tested by stage best_of_n yet" in card and "weighted vote of" not in card and "| dev auc |" in card
    files.write_text(root / "data/prm/model/more.txt", "x")
    export(Path("data/prm/model"), tmp_path / "second")
    assert "differs from what dvc.lock names, so the card states no data" in capsys.readouterr().out
    card = (tmp_path / "second/README.md").read_text()
    assert "dev auc" not in card and "## Lineage" not in card and "license" not in read_front_matter(card)


def test_results_of_a_model_that_was_not_tested_are_not_claimed(root, tmp_path):
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    lock = yaml.load((root / "dvc.lock").read_text())
    best = lock["stages"]["best_of_n"]
    best["deps"] = [dep for dep in best["deps"] if dep["path"] != "data/prm/model"]
    with open(root / "dvc.lock", "w") as file:
        yaml.dump(lock, file)
    export(Path("data/prm"), tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    assert "Not tested by stage best_of_n yet" in card and "majority vote of" not in card


def test_data_sets_are_read_back(root, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    import datasets

    problems = records.read_problems(root / "data/benchmarks/test.jsonl")
    files.write_text(root / "data/benchmarks/empty.jsonl", "")
    export(Path("data/benchmarks"), tmp_path / "problems")
    loaded = datasets.load_dataset(str(tmp_path / "problems"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["test"]
    back = []
    for row in loaded["test"]:
        whole = {key: json.loads(row[key]) if row[key] and key in ("program", "tests") else row[key] for key in row}
        back.append(records.Problem.model_validate(whole))
    assert back == problems
    samples = [tiny_models.make_sample(problem, 0, 0) for problem in problems]
    for split in ("dev", "test_greedy"):
        records.write_samples(root / f"data/samples/{split}.parquet", samples)
    records.write_samples(root / "data/samples/none.parquet", [])
    export(Path("data/samples"), tmp_path / "samples")
    loaded = datasets.load_dataset(str(tmp_path / "samples"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in loaded.items()} == {"dev": 5, "test_greedy": 5}
    assert [records.Sample.model_validate(row) for row in loaded["dev"]] == records.read_samples(
        root / "data/samples/dev.parquet"
    )
    assert "One solution drawn for a problem" in (tmp_path / "samples/README.md").read_text()


def test_gpqa_is_not_republished(root, tmp_path):
    path = root / "data/benchmarks/test.jsonl"
    path.write_text(path.read_text().replace('"id": "', '"id": "gpqa/'))
    with pytest.raises(UserError, match="terms forbid to republish"):
        export(Path("data/benchmarks"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_places_are_told_and_nothing_is_left(root, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("mine")
    (tmp_path / "empty").mkdir()
    for source, out, message in [
        ("data/prm", tmp_path / "full", "not empty"),
        ("data/prm", tmp_path / "full/x", "is a file"),
        ("data/prm", tmp_path / "full/x/y", "is a file"),
        ("data/prm/model", Path("data/prm/model/new"), "is inside"),
        ("data/best_of_n", tmp_path / "new", "holds neither a model"),
        ("data/nope", tmp_path / "new", "not a folder"),
        ("dvc.yaml", tmp_path / "new", "not a folder"),
        ("data/base", tmp_path / "new", "no .safetensors weights"),
    ]:
        with pytest.raises(UserError, match=message):
            export(Path(source), out)
    assert {path.name for path in tmp_path.iterdir()} == {"work", "full", "empty"}
    assert (tmp_path / "full/x").read_text() == "mine"
    export(Path("data/prm"), tmp_path / "empty")
    assert (tmp_path / "empty/README.md").exists()


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (["MIT"], {"license": "mit"}),
        (["CC-BY-4.0"], {"license": "cc-by-4.0"}),
        (["none stated"], {"license": "unknown"}),
        (["MIT", "Apache-2.0"], {"license": "other", "license_name": "Apache-2.0 and MIT"}),
        (["Our own"], {"license": "other", "license_name": "Our own"}),
        ([], {}),
    ],
)
def test_licence_of_the_hub(licences, expected):
    assert describe_licence(licences) == expected
