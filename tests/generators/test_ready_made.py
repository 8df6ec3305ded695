"""A ready-made model goes through the chain as it is, asked in its chat template; programs are graded by running them."""

import pytest

from stages.generators import generator, samples
from stages.lib.core import records
from stages.lib.core.records import Problem, Source
from stages.lib.grading import grader
from stages.lib.inference.sampling import Draw
from stages.lib.models import encoding
from stages.lib.models.prompts import Prompt
from stages.lib.training import sft
from stages.verifiers import labels, orm, prm
from tests.generators.test_generator import SETTINGS
from tests.helpers import tiny_models
from tests.lib.models.test_prompts import saved

ANSWER = {"answer": "B", "answer_type": "choice", "choices": ["one", "two", "three"]}
RIGHT, WRONG = "    return n + 1\n", "    return n\n"


def choice(split, i):
    return Problem(
        id=f"quiz/{split}/{i:02}",
        benchmark="quiz",
        split=split,
        question=f"Which is number {i}?",
        licence="MIT",
        source=Source(url="none"),
        **ANSWER,
    )


def world(root, family):
    saved(family, root / "data/base/model")
    for split, count in (("train", 4), ("verifier", 4), ("dev", 3), ("test", 4)):
        records.write_problems(tiny_models.get_problems_path(root, split), [choice(split, i) for i in range(count)])
    for path in ("ood/test", "aime/train", "aime/test", "aime/unseen"):
        (root / f"data/{path}").parent.mkdir(parents=True, exist_ok=True)
        records.write_problems(root / f"data/{path}.jsonl", [])


SAMPLES = dict(
    engine="native",
    n_verifier=3,
    n_eval=2,
    n_ood=2,
    temperature=1.0,
    top_k=0,
    top_p=1.0,
    max_new_tokens=30,
    max_rows=64,
    dtype="float32",
)
LABELS = dict(
    imported={"prm800k": [], "math_shepherd": []},
    methods=["mc_hard"],
    completer="data/generator/model",
    engine="native",
    completions=1,
    problems=4,
    audit_problems=0,
    audit_completions=1,
    samples_per_problem=2,
    temperature=1.0,
    top_k=0,
    top_p=1.0,
    max_new_tokens=20,
    hard_rule="any_success",
    progress_threshold=0.8,
    use_pool=True,
    skip_uniform_problems=False,
    max_rows=64,
    dtype="float32",
)
TRAINED = {
    **tiny_models.TRAINING_PARAMS,
    "init_from": "base",
    "lm_weight": 0.0,
    "dropout": 0.0,
    "samples_per_problem": 2,
    "dedupe": True,
    "skip_uniform_problems": False,
    "eval_problems": 2,
}
ORM = {**TRAINED, "predict_at": "solution", "loss": "bce", "lm_data": "samples", "head_init_tokens": []}
PRM = {
    **TRAINED,
    "labels": ["mc_hard"],
    "head": "scalar",
    "head_init_tokens": [],
    "step_marker": "",
    "learn_after_first_error": True,
    "aggregations": ["min"],
}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2", "llama3"])
def test_an_instruct_model_goes_through_the_chain(tmp_path, family):
    world(tmp_path, family)
    asked = {"style": "chat", "instruct": True, "shots": 1, "steps": "paragraphs"}
    settings = SETTINGS | {"train": False, "prompt": asked}
    stages = [
        ("generator", generator, settings),
        ("samples", samples, SAMPLES),
        ("labels", labels, LABELS),
        ("orm", orm, ORM),
        ("prm", prm, PRM),
    ]
    metrics = {}
    for name, module, params in stages:
        metrics[name] = module.body(tiny_models.make_run(tmp_path, name, module.Params(**params)))
    prompt = Prompt.read(tmp_path / "data/generator/prompt.json")
    shot, _ = prompt.examples
    assert shot.solution == "The answer is B." and "letter of the right option" in shot.question
    assert metrics["samples"]["test_options"]["samples"] == 4 and metrics["samples"]["dev"]["samples"] == 6
    likeliest = records.read_samples(tmp_path / "data/samples/test_options.parquet")
    assert {sample.text for sample in likeliest} <= {f"The answer is {letter}." for letter in "ABC"}
    for name in ("orm", "prm"):
        kept = encoding.Encoder.load(tmp_path / f"data/{name}/model")
        assert kept.prompt == prompt.drop_examples() and kept.prompt.style == "chat", (
            "a verifier carries the prompt, not the shots"
        )


def function(i):
    prompt = f'def after{i}(n):\n    """The whole number after n.\n\n    >>> after{i}(1)\n    2\n    """\n'
    test = f"def check(f):\n    assert f({i}) == {i + 1}\n"
    return Problem(
        id=f"humaneval/test/{i:03}",
        benchmark="humaneval",
        split="test",
        question=prompt,
        answer=RIGHT,
        answer_type="code",
        tests={"entry_point": f"after{i}", "test": test},
        licence="MIT",
        source=Source(url="none"),
    )


@pytest.mark.parametrize("instruct", [True, False])
def test_gold_programs_are_what_the_instruction_asks_for(instruct, workplace):
    problem = function(3)
    (grade,) = grader.grade(problem, ["\n".join(sft.get_steps(problem, Prompt(instruct=instruct)))])
    assert grade.correct and sft.get_steps(problem, Prompt(instruct=instruct))[0].startswith(
        "```python" if instruct else "    return"
    )
    assert sft.get_steps(problem.model_copy(update={"answer": ""}), Prompt(instruct=instruct)) == []


@pytest.mark.parametrize(("written", "share"), [(RIGHT, 1.0), (WRONG, 0.0)])
def test_canonical_programs_are_right_and_others_wrong(written, share, workplace):
    """From tokens to pass@1."""
    from stages.generators.base.tokenizer import build_tokenizer

    encoder = encoding.Encoder(build_tokenizer())
    ids = [*encoder.encode_texts([written])[0], encoder.end_id]
    drawn = [(i, [Draw(ids, [-1.0] * len(ids), "stop"), Draw(ids[:-1], [-1.0], "length")]) for i in range(3)]
    graded = [
        sample for group in samples.make_samples(drawn, encoder, [function(i) for i in range(3)]) for sample in group
    ]
    ended = [sample for sample in graded if sample.finish == "stop"]
    assert samples.summarize(ended)["pass_at_1"] == share
    assert not any(sample.correct for sample in graded if sample.finish == "length"), "cut off is not right"
