"""Published step labels as training material: read, kept apart from what is tested, and trained on, end to end."""

import json

import pytest

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.labels import imported_labels
from stages.lib.models import loading
from stages.lib.models.encoding import split_steps
from stages.lib.models.prompts import Prompt
from stages.verifiers import labels, prm
from tests.helpers import tiny_models
from tests.verifiers import test_labels, test_prm

SHEPHERD = [  # question, steps and their signs
    ("How many pens are two and one?", [("Step 1: 1 + 2 = <<1+2=3>>3 ", "+"), ("Step 2: The answer is: 3 ", "+")]),
    ("How many pens are two and one?", [("Step 1: 2 - 1 = <<2-1=1>>1 ", "-"), ("Step 2: The answer is: 1 ", "-")]),
    ("How many are five and five?", [("Step 1: 5 + 5 = 10 ", "+"), ("Step 2: <<5+5=10>> ", "+")]),
]
RATED = [
    {"completions": [{"text": "Take 2\nand 2.", "rating": 1}], "chosen_completion": 0},
    {
        "completions": [{"text": "It is 5.", "rating": -1}, {"text": "It is 4.\n\n# Answer\n\n4", "rating": 1}],
        "chosen_completion": 1,
    },
]


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def shepherd(rows=SHEPHERD):
    return [
        {
            "input": f"{question} " + "\n".join(step + "ки" for step, _ in steps),
            "label": f"{question} " + "\n".join(step + sign for step, sign in steps),
            "task": "GSM8K",
        }
        for question, steps in rows
    ]


def prm800k(problem="What is 2 + 2?", answer="4"):
    question = {"problem": problem, "ground_truth_answer": answer}
    return {"question": question, "label": {"steps": RATED, "finish_reason": "solution"}}


@pytest.fixture
def root(tmp_path):
    lines(tmp_path / "data/raw/labels/s/one.jsonl", shepherd()[:1])
    lines(tmp_path / "data/raw/labels/s/two.jsonl", [*shepherd()[1:], {"input": "no tag"}])
    lines(tmp_path / "data/raw/labels/p.jsonl", [prm800k(), prm800k("What is 3 + 1?", None)])
    return tmp_path


HELD_OUT = [f"What is 9 + {i}?" for i in range(3)]  # questions of ood and aime
ALL = {"prm800k": ["data/raw/labels/p.jsonl"], "math_shepherd": ["data/raw/labels/s/*.jsonl"]}


@pytest.mark.parametrize("prompt", [Prompt(), Prompt(steps="paragraphs")], ids=["lines", "paragraphs"])
def test_solutions_of_a_question_are_one_pool(root, prompt):
    found = imported_labels.read(root, ALL, prompt, [])
    pools = records.group_by_problem(found.samples)
    assert {name: len(pool) for name, pool in pools.items()} == {
        "prm800k/train/000001": 2,
        "prm800k/train/000002": 2,
        "math_shepherd/train/000001": 2,
        "math_shepherd/train/000002": 1,
    }
    one, other = pools["math_shepherd/train/000001"]
    assert prompt.split_steps(one.text) == ["1 + 2 = 3", "The answer is: 3"], "no numbering, no annotations"
    assert (one.correct, other.correct, one.finish) == (True, False, "stop")
    assert prompt.split_steps(pools["math_shepherd/train/000002"][0].text)[1].startswith("Step 2:"), (
        "or its label had no step"
    )
    assert [pool[0].correct for name, pool in pools.items() if name.startswith("prm")] == [True, None]
    for sample in found.samples:
        own = [x.step for x in found.labels if (x.problem_id, x.index) == (sample.problem_id, sample.index)]
        assert own and max(own) < len(prompt.split_steps(sample.text)) == 2
    assert found.counts["math_shepherd"] == {
        "rows": 4,
        "rows_refused": 1,
        "problems_held_out": 0,
        "problems": 2,
        "samples": 3,
        "labels": 6,
    }
    assert found.reasons == [
        "two.jsonl: 1 rows left out; the first, row 3: label: field required, got {'input': 'no tag'}"
    ]


def test_annotations_stay_where_the_generator_writes_them(root):
    texts = [sample.text for sample in imported_labels.read(root, ALL, Prompt(calculator=True), []).samples]
    assert sum("<<1+2=3>>3" in text for text in texts) and not any(text.startswith("Step 1:") for text in texts)


def test_what_is_tested_is_not_learnt_from(root):
    """In other typesetting, whatever the answer; in other words where the answer is the same by value or not published."""
    words = (
        "Ann and her sister Mary have picked ten apples in the old garden and share them, so how many {} does each get?"
    )
    lines(
        root / "data/raw/labels/p.jsonl",
        [prm800k(), prm800k("What is 3 + 1.5?", "4"), prm800k("What is 3 + 15?"), prm800k(words.format("apples"), "5")],
    )

    def held(question, answer):
        return tiny_models.make_problem(1, "test").model_copy(update={"question": question, "answer": answer})

    shouted = held("How many pens, are two and one", "99")
    found = imported_labels.read(
        root, ALL, Prompt(), [shouted, held("What is $2 + 2$?", "4.0"), held("What is 3+1.5?", "5")]
    )
    assert [problem.question for problem in found.problems] == [
        "What is 3 + 15?",
        words.format("apples"),
        "How many are five and five?",
    ]
    assert [found.counts[form]["problems_held_out"] for form in ("prm800k", "math_shepherd")] == [2, 1]
    for answer, left in ((r"5.0", 1), ("7", 2)):
        lines(root / "data/raw/labels/p.jsonl", [prm800k("What?"), prm800k(words.format("apples"), r"\frac{10}{2}")])
        test = [held(words.format("pieces of fruit"), answer)]
        assert len(imported_labels.read(root, {"prm800k": ALL["prm800k"]}, Prompt(), test).problems) == left
    assert {x.problem_id for x in found.labels} == {x.id for x in found.problems}
    with pytest.raises(UserError, match="every problem nearly repeats one of dev, test, ood"):
        imported_labels.read(root, {"math_shepherd": ["data/raw/labels/s/one.jsonl"]}, Prompt(), [shouted])


@pytest.mark.parametrize(
    ("form", "pattern", "message"),
    [
        ("prm800k", "data/raw/benchmarks/p.jsonl", "is not in data/raw/labels/; put the file there"),
        ("prm800k", "data/raw/labels/../p.jsonl", "is not in data/raw/labels/"),
        ("prm800k", "data/raw/labels/none*.jsonl", r"labels\.imported\.prm800k: .* names no file"),
        (
            "math_shepherd",
            "data/raw/labels/p.jsonl",
            r"p\.jsonl: no row of the form math_shepherd \(row 1: input: field",
        ),
    ],
)
def test_mistakes_are_one_sentence(root, form, pattern, message):
    with pytest.raises(UserError, match=message):
        imported_labels.read(root, {form: [pattern]}, Prompt(), [])


def write_workspace(root):
    """What stages labels and prm read, beside published labels."""
    tokenizer = build_tokenizer()
    for name in ("base", "generator"):
        loading.save(tiny_models.make_model("lfm2", len(tokenizer)), tokenizer, root / f"data/{name}/model")
    Prompt().write(root / "data/generator/prompt.json")
    for split in ("verifier", "dev", "test"):
        problems = [tiny_models.make_problem(i, split) for i in range(3)]
        records.write_problems(tiny_models.get_problems_path(root, split), problems)
        pool = [tiny_models.make_sample(of, i, i % 2) for of in problems for i in range(2)]
        records.write_samples(root / f"data/samples/{split}.parquet", pool)
    for name, question in zip(("ood/test", "aime/test", "aime/unseen"), HELD_OUT, strict=True):
        held = tiny_models.make_problem(1, "test").model_copy(update={"question": question})
        records.write_problems(root / f"data/{name}.jsonl", [held])


@pytest.mark.slow
def test_from_published_rows_to_a_trained_verifier(root, tmp_path):
    """Stage labels reads them, stage prm learns them by heart; nothing of the pipeline's own pool is used."""
    write_workspace(root)
    # of no set that verifiers are scored on is anything learnt
    lines(root / "data/raw/labels/told.jsonl", [prm800k(question, f"1{i}") for i, question in enumerate(HELD_OUT)])
    long = ("How long is this?", [("Step 1: " + "very " * 600, "+"), ("Step 2: The answer is: 3 ", "+")])
    lines(root / "data/raw/labels/s/long.jsonl", shepherd([long]))
    settings = {**test_labels.SETTINGS, "methods": ["exact"]}
    settings["imported"] = {**ALL, "prm800k": ["data/raw/labels/*.jsonl"]}
    found = labels.body(tiny_models.make_run(root, "labels", labels.Params(**settings)))
    assert found["imported"]["prm800k"]["labels"] == 6 and found["imported"]["prm800k"]["problems_held_out"] == 3
    settings = {
        **test_prm.SETTINGS,
        "labels": ["imported"],
        "init_from": "base",
        "epochs": 30.0,
        "lm_weight": 0.0,
        "lr": 1e-2,
    }
    execution = tiny_models.make_run(root, "prm", prm.Params(**settings))
    metrics = prm.body(execution)
    assert (
        metrics["samples"] == 7
        and metrics["imported"] == 8
        and metrics["labels"] == 12
        and metrics["too_long"] == 1
        and metrics["dev"]["step_auc"] is None
    )
    from stages.lib.verifiers.process import ProcessVerifier

    verifier = ProcessVerifier.load(root / "data/prm/model")
    problems, samples, known, _ = prm.load_training_data(execution)
    for sample in (one for one in samples if "very" not in one.text):
        said = verifier.score_steps(problems[sample.problem_id], [sample])[0]
        for step, value in known["imported"][sample.problem_id, sample.index].items():
            assert abs(said[step] - value) < 0.3, (sample, said)
        assert len(said) == len(split_steps(sample.text)) + 1


def test_nothing_imported_is_told_before_anything_is_trained(root):
    out = root / "data/labels/imported"
    records.write_problems(out / "problems.jsonl", [])
    records.write_samples(out / "samples.parquet", [])
    records.write_labels(out / "labels.parquet", [])
    execution = tiny_models.make_run(root, "prm", prm.Params(**{**test_prm.SETTINGS, "labels": ["imported"]}))
    with pytest.raises(UserError, match=r"data/labels/imported/labels\.parquet: no step .* in labels\.imported"):
        prm.load_training_data(execution)
