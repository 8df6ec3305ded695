"""Stage genrm: from graded samples to a verifier that writes; teachers, lambda, balance, and a killed run."""

import csv
import json

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.expressions import strip_annotations
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import Prompt
from stages.lib.procedural import gradeschool
from stages.lib.training import sft
from stages.lib.verifiers import generative_data, generative_metrics, rationales, self_training, verdicts
from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling, RationaleVerdicts
from stages.verifiers import genrm
from tests.helpers import tiny_models

TOKENIZER = build_tokenizer()
SETTINGS = tiny_models.TRAINING_PARAMS | YAML(typ="safe").load(
    """{epochs: 1.0, device_batch_size: 8, init_from: generator, mode: cot, teacher: procedural, chat: {},
    rounds: 0, rationales_per_sample: 1, rationale_style: rederived, refutation_weight: 2, direct_share: 0.5,
    balance_classes: false, lm_weights: [0.5], lm_data: samples, samples_per_problem: 4, votes: 2, temperature: 0.7,
    max_new_tokens: 8, max_rows: 64, eval_problems: 2, eval_samples: 4}"""
)


def problems(split, count):
    return gradeschool.generate_problems(split, count, seed=5, steps=(2, 2), max_value=30, inverse_share=0.3)


def pool(problem, count=4):
    """Right solutions and slips in turn."""
    samples = []
    for index in range(count):
        faults = {1: gradeschool.Fault("slip", index)} if index % 2 else None
        lines = gradeschool.solve_program(problem.program.params, faults)
        text = "\n".join(strip_annotations(line.text) for line in lines) + "\n"
        answer = str(lines[-1].value)
        change = {"text": text, "answer": answer, "correct": answer == problem.answer}
        samples.append(tiny_models.make_sample(problem, index, 0).model_copy(update=change))
    return samples


def write_inputs(tmp_path):
    loading.save(tiny_models.make_model("lfm2", len(TOKENIZER)), TOKENIZER, tmp_path / "data/generator/model")
    Prompt().write(tmp_path / "data/generator/prompt.json")
    for split, count in (("train", 3), ("verifier", 6), ("dev", 3)):
        generated = problems(split, count)
        records.write_problems(tiny_models.get_problems_path(tmp_path, split), generated)
        if split != "train":
            records.write_samples(
                tmp_path / f"data/samples/{split}.parquet", [s for problem in generated for s in pool(problem)]
            )
    return tmp_path


@pytest.fixture
def root(tmp_path):
    return write_inputs(tmp_path)


def params(**changes):
    return genrm.Params(**{**SETTINGS, **changes})


def train(root, **changes):
    run = tiny_models.make_run(root, "genrm", params(**changes))
    return genrm.body(run), list(csv.DictReader((run.out_dir / "history.csv").read_text().splitlines()))


@pytest.mark.slow
def test_trains_measures_and_writes(root):
    metrics, rows = train(root, lora_rank=2)
    assert metrics["samples"] == 24 and metrics["steps"] == len(rows) and metrics["teacher"]["kept"] > 18
    assert 24 < metrics["examples"] + sum(v for k, v in metrics["teacher"].items() if k != "kept") < 48
    assert set(metrics["dev"]) == {"cot", "direct", "cot_minus_direct"} and metrics["lm_weight"] == 0.5
    assert metrics["dev"]["cot"]["parsed"] == 0 and metrics["dev"]["cot"]["all_missing"] > 0, "untrained: all missing"
    assert set(metrics["dev"]["cot"]["by_votes"]) == {"1", "2"} and metrics["dev"]["direct"]["auc_se"] >= 0
    folder = root / "data/genrm/model"
    assert json.loads((folder / "verifier.json").read_text()) == {"kind": "generative", "name": "genrm", "mode": "cot"}
    assert not list(folder.glob("*adapter*"))


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "best"), [("cot", 0.25), ("direct", 1.0)])
def test_every_lambda_is_trained_and_the_best_in_the_mode_to_be_used_kept(root, monkeypatch, mode, best):
    aucs = {"cot": iter((0.4, 0.9, 0.6)), "direct": iter((0.5, 0.6, 0.7))}
    kind = {False: "direct", True: "cot"}
    monkeypatch.setattr(
        generative_metrics,
        "compute_metrics",
        lambda _, results, __: {"auc": next(aucs[kind[bool(results[0][0].p_yes)]])},
    )
    metrics, _ = train(root, lm_weights=[0.0, 0.25, 1.0], mode=mode)
    assert metrics["lm_weight"] == best and metrics["mode"] == mode and set(metrics["sweep"]) == {"0", "0.25", "1"}
    assert [part["cot"] for part in metrics["sweep"].values()] == [0.4, 0.9, 0.6], "all modes are measured all the same"
    assert GenerativeVerifier.load(root / "data/genrm/model", RationaleSampling()).mode == mode, (
        "stage scores asks in it"
    )


def test_lambda_is_not_chosen_by_nothing(root):
    samples = records.read_samples(root / "data/samples/dev.parquet")
    records.write_samples(root / "data/samples/dev.parquet", [s.model_copy(update={"correct": True}) for s in samples])
    with pytest.raises(UserError, match="right and wrong.*2 genrm.lm_weights"):
        train(root, lm_weights=[0.0, 0.5])


def test_ranking_by_the_number_of_rationales_takes_all_of_them():
    """K = 1 of four rationales is the mean of four rankings, not that of whichever was drawn first."""
    problem = [tiny_models.make_problem(i) for i in range(2)]
    pools = [(p, [tiny_models.make_sample(p, error, error) for error in (0, 1)]) for p in problem]  # right, then wrong
    votes = [[[0.9, 0.1, 0.9, 0.9], [0.5] * 4], [[0.1, 0.9, 0.5, 0.1], [0.5] * 4]]
    results = [
        [
            RationaleVerdicts(problem_id=p.id, index=i, p_yes=part, rationales=[""] * 4, tokens=1)
            for i, part in enumerate(v)
        ]
        for p, v in zip(problem, votes, strict=True)
    ]
    metrics = generative_metrics.compute_metrics(pools, results, 4)
    by_votes = metrics["by_votes"]
    assert [by_votes[k]["auc"] for k in ("1", "2", "4")] == [(0.75 + 0.375) / 2, (0.75 + 0.25) / 2, (1 + 0) / 2]
    assert by_votes["1"]["auc_se"] == pytest.approx((0.75 - 0.375) / 2), "over two problems: half of what lies between"
    assert (metrics["auc"], metrics["auc_se"]) == tuple(by_votes["4"].values())
    assert metrics["derivations"] == {}, "no line was derived again"
    direct = [
        [one.model_copy(update={"p_yes": [], "direct_p_yes": 0.5 - one.index / 9}) for one in part] for part in results
    ]
    difference = {"auc": (1 + 0) / 2 - 1, "auc_se": pytest.approx((0 - -1) / 2)}
    assert generative_metrics.compare_modes(pools, results, direct) == difference, "bare verdicts rank both right"


def test_derivations_are_compared_with_the_solution_and_with_the_truth():
    problem = problems("dev", 1)[0]
    right, wrong = pool(problem, 2)
    theirs, gold = wrong.text.splitlines(), right.text.splitlines()
    slip = next(i for i, (a, b) in enumerate(zip(theirs, gold, strict=True)) if a != b)

    def rationale(lines, solution, marks, verdict):
        parts = (
            [line, *(text for text, _ in verdicts.compare_step(quoted, mark == "Same", 1))]
            for line, quoted, mark in zip(lines, solution, marks, strict=False)
        )
        return "".join(map("".join, parts)) + f"{verdicts.VERDICT_QUESTION} {verdict}"

    same, differs = ["Same"] * len(gold), ["Same"] * slip + ["Differs"]
    judged = [
        # the solution derived; and stopped by a mistake of its own, marked as if it were the solution's line
        [[rationale(gold, gold, same, "Yes"), rationale([*gold[:slip], theirs[slip]], gold, same, "Yes")], [0.9, 0.7]],
        # the slip found; and repeated to the end
        [[rationale(gold, theirs, differs, "No"), rationale(theirs, theirs, same, "Yes")], [0.2, 0.8]],
    ]
    results = [
        [
            RationaleVerdicts(problem_id=problem.id, index=i, rationales=texts, p_yes=p_yes, tokens=1)
            for i, (texts, p_yes) in enumerate(judged)
        ]
    ]
    metrics = generative_metrics.compute_metrics([(problem, [right, wrong])], results, 2)["derivations"]
    assert (metrics["rationales"], metrics["true"], metrics["as_solution"]) == (4, 0.5, 0.5)
    assert metrics["marked_same"] == {"equal": 1.0, "different": 0.5}
    assert metrics["yes"] == {"all_same": pytest.approx((0.9 + 0.7 + 0.8) / 3), "differs": pytest.approx(0.2)}
    assert metrics["quoted"] == 1.0
    assert metrics["by_comparison"]["1"]["auc"] == 0.5 and metrics["by_comparison"]["2"]["auc"] == 0.5


@pytest.mark.slow
def test_a_second_run_resumes_to_the_same_bytes(root):
    first, _ = train(root)
    weights = (root / "data/genrm/model/model.safetensors").read_bytes()
    parts = sorted((root / ".checkpoints/genrm/key/0").glob("*.jsonl"))
    assert [part.name for part in parts] == ["cot.0.jsonl", "direct.0.jsonl"]
    parts[0].write_bytes(parts[0].read_bytes()[:-30])  # a line cut off by a kill
    again, _ = train(root)
    assert again == first and (root / "data/genrm/model/model.safetensors").read_bytes() == weights


@pytest.mark.parametrize("lm_data", ["gold", "samples"])
def test_lambda_is_the_weight_of_solutions_to_verification_in_rationales_and_in_verdicts(root, lm_data):
    """Zhang et al. 2024, section 3.3; a verdict of nine weights beside a solution of thirty must not be drowned by it."""
    problem = problems("verifier", 6)
    pairs = [(p, s) for p in problem for s in pool(p)]
    kept = [(pair, w.segments) for pair in pairs if (w := rationales.write_procedural(*pair, "rederived")).segments]
    encoder, gold = Encoder(TOKENIZER), None
    if lm_data == "gold":
        gold = [sft.make_sft_example(encoder, problem) for problem in problems("train", 3)]

    def build(weight):
        return generative_data.build_examples(encoder, pairs, kept, gold, direct_share=0.5, lm_weight=weight, seed=1)

    alone, joint = build(0.0), build(0.3)
    kinds = {"cot": slice(0, len(kept)), "direct": slice(len(kept), len(alone)), "gold": slice(len(alone), None)}
    for kind, part in kinds.items():
        verification, total = (sum(sum(example.lm_weight) for example in results[part]) for results in (alone, joint))
        if kind == "gold":
            assert total == pytest.approx(0.3 * len(alone) if lm_data == "gold" else 0)
        else:
            assert verification == pytest.approx(len(alone[part])), "a kind counts as often as it has examples"
            assert (total - verification) / verification == pytest.approx(0.3 if lm_data == "samples" else 0)
    assert len(joint) - len(alone) == (3 if lm_data == "gold" else 0)
    assert len(kept) < len(alone) < len(kept) + len(pairs), "half of the samples are asked for the bare verdict too"
    for example in alone:  # loss on what follows the request to verify, nowhere else
        text = TOKENIZER.decode([i for i, w in zip(example.ids, example.lm_weight, strict=True) if w])
        assert text.endswith(("Yes<eos>", "No<eos>")) and "Question" not in text
        assert text in (" Yes<eos>", " No<eos>") or text.startswith("We know")
        least = min(weight for weight in example.lm_weight if weight)
        assert max(example.lm_weight) / least == pytest.approx(
            verdicts.DIRECT_VERDICT_WEIGHT if len(text) < 10 else verdicts.DERIVED_VERDICT_WEIGHT
        )
    if lm_data == "samples":
        for example, plain in zip(joint, alone, strict=True):
            more = [i for i, (a, b) in enumerate(zip(example.lm_weight, plain.lm_weight, strict=True)) if a != b]
            right = TOKENIZER.decode(example.ids).endswith("Yes<eos>")
            solution_text = TOKENIZER.decode([example.ids[i] for i in more])
            assert (
                solution_text.startswith("We know") and "####" in solution_text and solution_text.endswith("\n")
                if right
                else not more
            )


def test_balance_and_which_samples():
    problem = {p.id: p for p in problems("verifier", 6)}
    samples = [s.model_copy(update={"correct": i == 0}) for p in problem.values() for i, s in enumerate(pool(p))]
    pairs = genrm.select_pairs(problem, samples, params(balance_classes=True), 1)
    kinds = [sample.correct for _, sample in pairs]
    assert kinds.count(True) == kinds.count(False) == 6
    assert genrm.select_pairs(problem, samples, params(balance_classes=True), 2) != pairs, (
        "which ones depends on the seed"
    )
    assert len(genrm.select_pairs(problem, samples, params(samples_per_problem=2), 1)) == 12
    wrong = [s.model_copy(update={"correct": False}) for s in samples]
    assert len(genrm.select_pairs(problem, wrong, params(balance_classes=True), 1)) == 24, (
        "one kind alone is kept, not thrown away"
    )


def judge(sample, *written):
    """What the verifier wrote about a sample: (text, whether it parses)."""
    texts, p_yes = [text for text, _ in written], [0.5 if parses else None for _, parses in written]
    return RationaleVerdicts(problem_id=sample.problem_id, index=sample.index, rationales=texts, p_yes=p_yes, tokens=1)


def test_own_rationales_are_learnt_where_they_are_right_and_corrected_where_not():
    problem = next(problem for problem in problems("verifier", 6) if not pool(problem, 2)[1].is_right)
    right, wrong = pool(problem, 2)
    yes, no = (f"Words {word}.\n{verdicts.VERDICT_QUESTION} {word}" for word in ("Yes", "No"))
    judged = [[judge(right, (yes, True), (no, True), (yes, True), ("Words", False)), judge(wrong, (yes, True))]]
    pools = self_training.group_pairs([(problem, right), (problem, wrong)])
    assert pools == [(problem, [right, wrong])]
    learnt, counts = self_training.weigh_rationales(pools, judged)
    assert counts == {"right verdict": 1, "without a verdict": 1, "wrong verdict": 2}, "equal ones count once"
    weight = verdicts.DIRECT_VERDICT_WEIGHT
    assert learnt == [
        ((problem, right), [(yes.removesuffix(" Yes"), 1), (" Yes", weight)]),
        ((problem, right), [(no.removesuffix(" No"), 0), (" Yes", weight)]),
        ((problem, wrong), [(yes.removesuffix(" Yes"), 0), (" No", weight)]),
    ]


@pytest.mark.slow
def test_rounds_of_self_training_resume_to_the_same_bytes(root):
    """Round 1 by the verifier that the teacher taught; killed while it sampled, the run ends with the same weights."""
    changes = {"rounds": 1, "rationales_per_sample": 2, "mode": "direct", "direct_share": 1.0}
    first, _ = train(root, **changes)
    assert first["round 1"]["without a verdict"] > 0 and first["teacher"]["kept"] > 18
    weights = (root / "data/genrm/model/model.safetensors").read_bytes()
    part = root / ".checkpoints/genrm/key/round 1/cot.0.jsonl"
    part.write_bytes(part.read_bytes()[:-30])
    assert train(root, **changes)[0] == first
    assert (root / "data/genrm/model/model.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_an_untrained_model_that_writes_no_verdict_cannot_teach_itself(root):
    with pytest.raises(UserError, match="no rationale ends with a verdict.*choose a genrm.teacher"):
        train(root, teacher="none", rounds=1)


@pytest.mark.slow
def test_without_a_teacher_the_bare_verdict_is_learnt(root):
    metrics, _ = train(root, teacher="none", direct_share=1.0, mode="direct")
    assert set(metrics["dev"]) == {"direct"} and metrics["examples"] == 24 and metrics["teacher"] == {}


def test_nothing_to_learn_from_is_refused(root):
    verifier = root / "data/selection/verifier.jsonl"
    generated = [p.model_copy(update={"program": None}) for p in records.read_problems(verifier)]
    records.write_problems(verifier, generated)
    with pytest.raises(UserError, match="no rationale.*no program that tells"):
        train(root)
    for changes, message in (
        ({"teacher": "model", "rationales_per_sample": 2, "chat": {"kind": "hf"}}, "gives the same rationale 2 times"),
        ({"teacher": "model"}, "needs chat"),
        ({"teacher": "none"}, "mode: cot needs a teacher of rationales or rounds: 1"),
        ({"mode": "direct", "direct_share": 0.0}, "raise direct_share"),
        ({"lm_weights": [-1.0]}, "greater than or equal to 0"),
    ):
        with pytest.raises(ValidationError, match=message):
            params(**changes)


def test_a_model_teaches_through_its_chat(root):
    """A local model that writes no check: everything is refused, counted, and asked only once."""
    tokenizer = build_tokenizer()
    tokenizer.chat_template = "{% for turn in messages %}{{ turn.content }}{% endfor %}"
    loading.save(tiny_models.make_model("lfm2", len(TOKENIZER)), tokenizer, root / "teacher")
    settings = {"kind": "hf", "model": str(root / "teacher"), "max_tokens": 4, "temperature": 1.0}
    run = tiny_models.make_run(root, "genrm", params(teacher="model", chat=settings, rationales_per_sample=2))
    problem = problems("verifier", 1)[0]
    kept, counts = genrm.write_rationales(run, [(problem, pool(problem, 1)[0])])
    assert kept == [] and sum(counts.values()) == 2 and run.counts["calls"] == 2
    assert genrm.write_rationales(run, [(problem, pool(problem, 1)[0])])[1] == counts and run.counts["cached"] == 2
