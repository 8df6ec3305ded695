"""Stage scores: verifiers that were not trained here, beside those that were. tests/verifiers/test_orm.py has kills
and processes.
"""

import json

import pytest
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, Qwen2Config

from stages.evaluation import scores
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.params import load_section
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import Prompt
from stages.lib.verifiers import published_models
from stages.lib.verifiers.aggregation import aggregate
from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling
from stages.lib.verifiers.outcome import OutcomeVerifier
from stages.lib.verifiers.process import ProcessVerifier
from tests.helpers import tiny_models
from tests.lib.verifiers.test_published_models import SHAPE, chat

TOKENIZER = build_tokenizer()
GENRM = {"votes": 2, "temperature": 1.0, "max_new_tokens": 8, "max_rows": 16}
SETTINGS = {"verifiers": ["base_genrm"], "published": {}, "dtype": "float32", "genrm": GENRM}


def classifier(kind, tokenizer, labels):
    return kind.from_config(Qwen2Config(vocab_size=len(tokenizer), num_labels=labels, pad_token_id=0, **SHAPE)).eval()


@pytest.fixture
def root(tmp_path):
    """One problem a set; the process verifier is one before its training; two published verifiers."""
    base = tiny_models.make_model("qwen2", len(TOKENIZER), seed=2)
    loading.save(base, TOKENIZER, tmp_path / "data/base/model")
    Prompt().write(tmp_path / "data/generator/prompt.json")
    words = ["Right", "Wrong"]
    ProcessVerifier("prm", base, Encoder(TOKENIZER), "scalar", words, "Right.\n", "product").save(
        tmp_path / "data/prm/model"
    )
    orm = OutcomeVerifier("orm", base, Encoder(TOKENIZER), "bce")
    orm.init_head_from_tokens(*words)
    orm.save(tmp_path / "data/orm/model")
    folder = tmp_path / "data/raw/verifiers"
    loading.save(classifier(AutoModelForTokenClassification, TOKENIZER, 2), TOKENIZER, folder / "steps")
    loading.save(classifier(AutoModelForSequenceClassification, chat(), 1), chat(), folder / "whole")
    for split in ("dev", "test", "ood", "aime"):
        problem = tiny_models.make_problem(3, "test" if split != "dev" else split).model_copy(
            update={"id": f"sums/{split}/1"}
        )
        pool = [tiny_models.make_sample(problem, i, i % 2, "length" if i == 3 else "stop") for i in range(4)]
        records.write_samples(tmp_path / f"data/samples/{split}.parquet", pool)
        where = {"ood": "data/ood/test.jsonl", "aime": "data/aime/test.jsonl"}
        records.write_problems(tmp_path / where.get(split, f"data/benchmarks/{split}.jsonl"), [problem])
    records.write_problems(tmp_path / "data/aime/unseen.jsonl", [])
    return tmp_path


def scored(root, *verifiers, **changes):
    return run_scores(root, *verifiers, **changes)[0]


def run_scores(root, *verifiers, **changes):
    run = tiny_models.make_run(root, "scores", scores.Params(**{**SETTINGS, "verifiers": list(verifiers), **changes}))
    metrics = scores.body(run)
    assert set(metrics) == set(verifiers) and all(card["parameters"] > 0 for card in metrics.values())
    results = records.read_scores(root / "data/scores/test.parquet")
    return {name: [score for score in results if score.verifier == name] for name in verifiers}, metrics


def pool(root):
    return records.read_problems(root / "data/benchmarks/test.jsonl")[0], records.read_samples(
        root / "data/samples/test.parquet"
    )


@pytest.mark.slow
def test_the_untrained_base_is_the_process_verifier_before_its_training(root):
    results = scored(root, "prm", "base_prm")
    for trained, base in zip(results["prm"][:3], results["base_prm"], strict=False):
        assert base.step_scores == pytest.approx(trained.step_scores, abs=1e-6) and len(base.step_scores) == 3
        assert base.score == aggregate("product", base.step_scores) and base.tokens == trained.tokens
    assert len({score.score for score in results["base_prm"]}) == 4
    cut_off = results["prm"][3]
    assert (cut_off.score, cut_off.step_scores, cut_off.tokens) == (0.0, None, 0), "nothing reads it"


def test_the_untrained_base_is_asked_for_its_verdict(root):
    """Directly, though the trained one is asked for rationales."""
    base = GenerativeVerifier(
        "base_genrm",
        loading.load_causal_lm(root / "data/base/model"),
        Encoder(TOKENIZER),
        RationaleSampling(),
        "direct",
    )
    results = scored(root, "base_genrm")["base_genrm"]
    assert results[:3] == base.score(*pool(root))[:3]
    assert base.score(*pool(root))[3].score > 0 == results[3].score, "it was cut off, whatever the verdict"


@pytest.mark.slow
def test_published_verifiers_share_the_stage(root):
    described = {
        "steps": {"form": "classes", "path": "data/raw/verifiers/steps", "aggregation": "mean", "batch_size": 2},
        "whole": {"form": "reward", "path": "data/raw/verifiers/whole"},
    }
    results = scored(root, "steps", "whole", published=described)
    theirs = published_models.load("classes", root / "data/raw/verifiers/steps", "steps", aggregation="mean")
    assert [s.score for s in results["steps"]] == pytest.approx([s.score for s in theirs.score(*pool(root))], abs=1e-6)
    assert all(s.score == aggregate("mean", s.step_scores) for s in results["steps"][:3])
    Prompt(steps="paragraphs").write(root / "data/generator/prompt.json")
    (root / ".checkpoints").rename(root / "before")
    whole = scored(root, "steps", published=described)["steps"]
    lengths = [len(s.step_scores) for s in results["steps"] + whole if s.step_scores]
    assert lengths == [2] * 3 + [1] * 3, "steps as the pipeline parts them"
    assert all(s.step_scores is None for s in results["whole"]) and len({s.score for s in results["whole"]}) == 4


def test_a_solution_that_a_published_verifier_cannot_read_scores_zero_and_is_counted(root):
    problem, samples = pool(root)
    long = tiny_models.make_sample(problem, 600, 0).model_copy(update={"index": 4})
    empty = samples[0].model_copy(update={"index": 5, "text": " \n", "correct": False})
    records.write_samples(root / "data/samples/test.parquet", [*samples, long, empty])
    described = {
        "steps": {"form": "classes", "path": "data/raw/verifiers/steps"},
        "whole": {"form": "reward", "path": "data/raw/verifiers/whole"},
    }
    results, metrics = run_scores(root, "steps", "whole", published=described)
    for name in described:
        assert [score.score > 0 for score in results[name]] == [True, True, True, False, False, False]
        assert metrics[name]["test"]["too_long"] == 1 and "too_long" not in metrics[name]["dev"]


@pytest.mark.slow
def test_a_process_verifier_of_another_method_is_scored_beside_the_first(root):
    with pytest.raises(UserError, match="prm_exact is not trained; name exact behind the first of prm.labels"):
        scored(root, "prm", "prm_exact")
    base = loading.load_causal_lm(root / "data/base/model")
    folder = root / "data/prm/others/exact/model"
    ProcessVerifier("prm_exact", base, Encoder(TOKENIZER), "scalar", ["Right", "Wrong"], "Right.\n", "min").save(folder)
    results = scored(root, "prm", "prm_exact")
    for first, other in zip(results["prm"][:3], results["prm_exact"][:3], strict=True):  # the last was cut off
        assert other.step_scores == first.step_scores and other.score == aggregate("min", other.step_scores)


def test_base_prm_needs_words_and_says_so_before_anything_is_scored(root):
    facts = root / "data/prm/model/verifier.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"head_init_tokens": []}))
    with pytest.raises(UserError, match=r"base_prm reads the tokens of prm\.head_init_tokens, which are \[\]"):
        scored(root, "prm", "base_prm")
    assert not list((root / ".checkpoints").rglob("prm-*"))
    with pytest.raises(UserError, match=r"scores\.published\.a: data/raw/verifiers/none is not a folder"):
        scored(root, "a", published={"a": {"form": "classes", "path": "data/raw/verifiers/none"}})
    with pytest.raises(UserError, match="the form separator has no good"):
        scored(root, "a", published={"a": {"form": "separator", "path": "data/raw/verifiers/steps", "good": "+"}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verifiers": ["orm", "skywork"]}, "described in scores.published, not 'skywork'"),
        ({"verifiers": ["orm", "orm"]}, "must differ"),
        ({"published": {"prm": {"form": "classes", "path": "data/raw/verifiers/a"}}}, "is none of orm, prm"),
        ({"published": {"likelihood_sum": {"form": "classes", "path": "data/raw/verifiers/a"}}}, "does not begin with"),
        ({"published": {"a|b": {"form": "classes", "path": "data/raw/verifiers/a"}}}, "small letters, digits and _"),
        ({"published": {"a": {"form": "classes"}}}, "must have path, or repo and revision"),
        ({"published": {"a": {"form": "classes", "repo": "a/b"}}}, "must have path, or repo and revision"),
        ({"published": {"a": {"form": "classes", "repo": "a/b", "revision": "main"}}}, "scores.published.a.revision"),
        ({"published": {"a": {"form": "classes", "path": "/tmp/model"}}}, "scores.published.a.path"),
        ({"published": {"a": {"form": "other", "path": "data/raw/verifiers/a"}}}, "scores.published.a.form"),
    ],
)
def test_mistakes_are_told_by_their_key(tmp_path, changes, message):
    (tmp_path / "params.yaml").write_text(json.dumps({"scores": {**SETTINGS, **changes}}))
    with pytest.raises(UserError, match=message):
        load_section("scores", scores.Params, tmp_path / "params.yaml")


@pytest.mark.slow
def test_the_untrained_base_is_the_outcome_verifier_before_its_training(root):
    results = scored(root, "orm", "base_orm")
    for trained, base in zip(results["orm"], results["base_orm"], strict=True):
        assert base.score == pytest.approx(trained.score, abs=1e-6)
    assert len({score.score for score in results["base_orm"]}) > 1
