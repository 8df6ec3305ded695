"""Stage compression: its sets, scores whose values are known, and the whole stage on tiny models."""

import json
import math
import re
import shutil

import pytest
import torch

from stages.evaluation.compression import __main__ as stage
from stages.evaluation.compression import abilities, corpora
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.compression import bits
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.records import Step
from stages.lib.models import loading, sources
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import Prompt
from tests.helpers import tiny_models
from tests.lib.models.test_sources import TOKENS, write_gguf

SETTINGS = tiny_models.TRAINING_PARAMS | {
    "widths": [8],
    "num_layers": 2,
    "tune_lr": 1e-3,
    "base_tokens": 1000,
    "models": {},
    "learn_problems": 8,
    "tune_problems": 4,
    "epochs": 2.0,
    "problems": 4,
    "solve_problems": 1,
    "chars": 300,
    "block": 0,
    "resamples": 100,
    "max_new_tokens": 8,
    "max_rows": 16,
}


@pytest.fixture(scope="module")
def encoder():
    return Encoder(build_tokenizer(), Prompt(marked=True))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A workspace with the inputs of the stage: problems, a base, a generator, and the prose of this repository."""
    root, tokenizer = tmp_path_factory.mktemp("compression"), build_tokenizer()
    for split, n in (("train", 14), ("dev", 8), ("test", 10)):
        records.write_problems(
            root / f"data/benchmarks/{split}.jsonl", [tiny_models.make_problem(i, split) for i in range(n)]
        )
    shifted = [
        tiny_models.make_problem(i, "test").model_copy(update={"id": f"sums/test/{i}~names", "operator": "names"})
        for i in range(8)
    ]
    graphs = [x.model_copy(update={"id": f"dyval/test/{i}", "benchmark": "dyval"}) for i, x in enumerate(shifted)]
    records.write_problems(root / "data/ood/test.jsonl", [*shifted, *graphs])
    for name, seed in (("base", 0), ("generator", 1)):
        loading.save(tiny_models.make_model("lfm2", len(tokenizer), seed), tokenizer, root / f"data/{name}/model")
    Prompt(marked=True).write(root / "data/generator/prompt.json")
    (root / stage.PROSE).parent.mkdir(parents=True)
    (root / stage.PROSE).write_bytes((tiny_models.ROOT / stage.PROSE).read_bytes())
    return root


def make_run(root, **changes):
    return tiny_models.make_run(root, "compression", stage.Params(**SETTINGS | changes))


@pytest.fixture(scope="module")
def finished(root):
    return make_run(root), stage.body(make_run(root))


def test_sets_share_no_problem(root):
    learned, sets, asked = stage.select_sets(make_run(root))
    assert [len(learned), len(sets["learned"]), len(sets["fresh"])] == [8, 8, 6]
    assert not {p.id for p in sets["learned"]} & {p.id for p in sets["fresh"]}
    assert {p.split for p in sets["matched"]} == {"dev"} and {p.benchmark for p in sets["dyval"]} == {"dyval"}
    assert len(asked["test"]) == len(asked["ood"]) == 4 and all(p.operator == "names" for p in asked["ood"])
    more, *_ = stage.select_sets(make_run(root, learn_problems=10))
    assert more[:8] == learned, "more problems are the same and others"
    assert len(stage.select_sets(make_run(root, learn_problems=99))[0]) == 10, "a quarter of train stays fresh"


def test_results_are_the_numbers_that_steps_calculate(encoder):
    texts = ["Bob has 19.", "Eve has Bob + 34: 19 + 34 = 53, so Eve has 53.", "53 = 50 + 3 = 53.", "#### 53"]
    steps = [Step(text=text, value=value) for text, value in zip(texts, ("19", "53", "53", "53"), strict=True)]
    problem = tiny_models.make_problem(1).model_copy(update={"steps": steps})
    (task,) = abilities.make_tasks(encoder, [problem])
    assert [encoder.decode_text(task.ids[a:b]).strip() for a, b in task.results] == ["53", "53"]
    assert [encoder.decode_text(task.ids[a:b]).strip() for a, b in task.steps] == texts[:3]
    before = [encoder.decode_text(task.ids[:a]) for a, _ in task.results]
    assert before[0].endswith("19 + 34 =") and before[1].endswith("50 + 3 ="), "the last one that the step calculates"
    (plain,) = abilities.make_tasks(encoder, [tiny_models.make_problem(1)])
    ((start, end),) = plain.results
    assert encoder.decode_text(plain.ids[start:end]).strip() == "#### 3", "without known values the last line"


def test_scores_of_a_model_whose_logits_are_known(encoder):
    """All tokens are equally likely; then the digit 3 is nearly sure everywhere."""
    vocabulary = len(encoder.tokenizer)
    model = tiny_models.make_model("llama", vocabulary)
    torch.nn.init.zeros_(model.lm_head.weight)
    steps = [Step(text="1 + 2 = 3", value="3"), Step(text="3 + 1 = 4", value="4"), Step(text="#### 4", value="4")]
    problem = tiny_models.make_problem(1).model_copy(update={"steps": steps})
    (task,) = abilities.make_tasks(encoder, [problem])
    assert abilities.measure_gold(model, [task]) == pytest.approx((0.0, -math.log(vocabulary)), rel=1e-5)
    model.lm_head.bias = torch.nn.Parameter(torch.zeros(vocabulary))
    model.lm_head.bias.data[task.ids[task.results[0][0]]] = 20.0
    assert abilities.measure_gold(model, [task])[1] == pytest.approx(-10, abs=0.01), "3 is nearly sure, 4 impossible"
    one, two = task.results
    alone = task._replace(steps=[one, two])
    assert abilities.measure_gold(model, [alone])[0] == 0.5, "of two steps of a token each one is the likeliest"
    with pytest.raises(ValueError, match="no problem"):
        abilities.measure_gold(model, [])


def test_texts_are_cut_at_whole_documents():
    assert corpora.take(["abcd", "efgh", "ij"], 5) == ["abcd", "efgh"] and corpora.take(["abcdef"], 3) == ["abc"]
    text = corpora.format_problem(tiny_models.make_problem(1))
    assert text == "Question: Ann has 2 and buys 1. How many?\nAnswer:\n2 + 1 = 3\n#### 3\n"


@pytest.mark.slow
def test_the_stage(finished, root):
    run, metrics = finished
    written = {path.name for path in run.out_dir.iterdir()}
    assert written == {"bpc.jsonl", "law.json", "law.png", "report.md"} and metrics["checkpoints"] == 5
    assert len(json.dumps(metrics).split(":")) <= 18 and "nan" not in json.dumps(metrics).lower()
    lines = [json.loads(line) for line in (run.out_dir / "bpc.jsonl").read_text().splitlines()]
    assert len(lines) == 6 * 5 and {line["corpus"] for line in lines} == set(corpora.TITLES)
    content = json.loads((run.out_dir / "law.json").read_text())
    rows = {row["name"]: row for row in content["models"]}
    assert list(rows)[-1] == "generator" and not rows["generator"]["fitted"] and rows["base"]["fitted"]
    first, second = (rows[f"width 8, epoch {i}"] for i in (1, 2))
    assert second["bits"]["learned"]["bpc"] < first["bits"]["learned"]["bpc"], "it learns"
    assert (
        second["flops"] == pytest.approx(2 * first["flops"])
        and rows["base"]["flops"] == 6 * rows["base"]["weights"] * 1000
    )
    assert content["contamination"]["base"]["excess"] == 0.0
    law = content["laws"]["matched"]["accuracy_test"]
    assert law["n_models"] == 5 and set(law["predicted"]) <= {"generator"} and "solved_ood" in content["laws"]["prose"]
    report = (run.out_dir / "report.md").read_text()
    assert "5 checkpoints of 2 trainings" in report and not re.search(r"\bnan\b", report)
    before = {path.name: path.read_bytes() for path in run.out_dir.iterdir()}
    snapshot = run.checkpoint_dir / "snapshots/width 8/2"
    for path in (run.checkpoint_dir / "figures").iterdir():
        if path.stem in ("width 8, epoch 2", "base, tuned, epoch 1"):
            path.unlink()
    stage.body(make_run(root))  # as after a kill: the snapshots and most figures are there
    assert snapshot.exists() and {path.name: path.read_bytes() for path in run.out_dir.iterdir()} == before


@pytest.mark.slow
def test_models_from_elsewhere_read_the_same_text_with_their_own_tokenizer(root):
    write_gguf(root / "m.gguf", tiny_models.make_model("llama", len(TOKENS), 3))
    here = {"path": str(root / "m.gguf"), "sha256": sources.check_sha256(root / "m.gguf", "", "m"), "licence": "MIT"}
    base = {"path": str(root / "data/base/model"), "tokens": 1000, "fitted": False}
    base["sha256"] = sources.check_sha256(root / "data/base/model", "", "base")
    run = make_run(root, models={"theirs": here, "twin": base})
    metrics = stage.body(run)
    content = json.loads((run.out_dir / "law.json").read_text())
    rows = {row["name"]: row for row in content["models"]}
    assert list(rows)[-3:] == ["theirs", "twin", "generator"] and metrics["checkpoints"] == 6
    theirs, twin = rows["theirs"], rows["twin"]
    assert theirs["origin"] == {"file": "m.gguf", "sha256": here["sha256"], "licence": "MIT"}
    assert theirs["flops"] is None and theirs["family"] == "elsewhere" and theirs["fitted"]
    assert {k: twin[k] for k in ("weights", "flops", "scores", "bits")} == {
        k: rows["base"][k] for k in ("weights", "flops", "scores", "bits")
    }
    model, tokenizer = sources.read(root / "m.gguf")
    _, sets, _ = stage.select_sets(run)
    prose = next(c for c in corpora.make_corpora(sets, root / stage.PROSE, run.params.chars) if c.name == "prose")
    measured = bits.measure(model, tokenizer, prose, None).describe()
    assert theirs["bits"]["prose"] == pytest.approx(measured) and measured["begin"]
    assert theirs["bits"]["prose"]["tokens"] != rows["base"]["bits"]["prose"]["tokens"]
    law = content["laws"]["matched"]["logprob_test"]
    assert law["n_models"] == 6 and law["r_compute"] is None and set(law["predicted"]) == {"twin", "generator"}
    report = (run.out_dir / "report.md").read_text()
    assert "From elsewhere: theirs, twin." in report and "6 checkpoints of 3 trainings" in report
    (root / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(UserError, match=r"compression\.models\.theirs\.sha256: m\.gguf has "):
        stage.body(run)


HASH = "0" * 64


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        ({}, "must have one of path, package, repo, not none"),
        ({"path": "a", "repo": "b/c"}, "not path and repo"),
        ({"path": "a"}, "path needs sha256"),
        ({"package": "a==1"}, "package needs file"),
        ({"repo": "a/b"}, "repo needs revision"),
        ({"repo": "a/b", "revision": "main"}, "revision"),
    ],
)
def test_a_model_from_elsewhere_is_named_and_pinned(peer, said):
    with pytest.raises(ValueError, match=said):
        stage.Params(**SETTINGS | {"models": {"theirs": peer}})


@pytest.mark.parametrize("name", ["base", "generator", "../x", "", "a b"])
def test_a_model_from_elsewhere_has_a_name_of_its_own(name):
    with pytest.raises(ValueError, match="models"):
        stage.Params(**SETTINGS | {"models": {name: {"path": "a", "sha256": HASH}}})


@pytest.mark.slow
def test_without_problems_to_learn_from_there_is_no_law_and_no_failure(root, tmp_path):
    shutil.copytree(root / "data", tmp_path / "data", ignore=shutil.ignore_patterns("compression"))
    (tmp_path / "data/benchmarks/train.jsonl").write_text("")
    (tmp_path / "data/ood/test.jsonl").write_text("")
    metrics = stage.body(make_run(tmp_path, solve_problems=0))
    assert metrics["checkpoints"] == 1 and "contamination" not in metrics and metrics["r"] == {}
    assert (
        json.loads((tmp_path / "data/compression/law.json").read_text())["laws"]["matched"]["accuracy_test"]["r"]
        is None
    )
    (tmp_path / "data/benchmarks/test.jsonl").write_text("")
    with pytest.raises(UserError, match="test has no problem with a gold solution"):
        stage.body(make_run(tmp_path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 1.5}, "epochs must be a whole number"),
        ({"widths": [8, 8]}, "widths must differ"),
        ({"widths": [], "tune_lr": 0.0}, "a law needs 4"),
        ({"block": 1}, "block must be 0 or at least 2"),
        ({"master": "bfloat16"}, "master must be float32"),
    ],
)
def test_settings_that_make_no_ladder(changes, said):
    with pytest.raises(ValueError, match=said):
        stage.Params(**SETTINGS | changes)
