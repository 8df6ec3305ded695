"""The generative verifier: p(Yes) as the model says it, missing rationales, equal draws in any company."""

import json
import math

import pytest
import torch

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.inference.sampling import Draw
from stages.lib.models import objectives
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoder
from stages.lib.training import loop
from stages.lib.verifiers import generative, verdicts
from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling, RationaleVerdicts
from tests.helpers import tiny_models

TOKENIZER = build_tokenizer()
ENCODER = Encoder(TOKENIZER)
HOW = RationaleSampling(votes=4, temperature=1.0, max_new_tokens=12, max_rows=64, seed=1, stage="test")


def verifier(name="lfm2", seed=0, mode="cot", **changes):
    return GenerativeVerifier(
        "genrm", tiny_models.make_model(name, len(TOKENIZER), seed), ENCODER, HOW._replace(**changes), mode
    )


def pools(count=3, samples=4):
    problems = [tiny_models.make_problem(i + 3) for i in range(count)]
    return [(problem, [tiny_models.make_sample(problem, j % 3, j % 2) for j in range(samples)]) for problem in problems]


def ids(text):
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model that has learnt by heart to check two right and two wrong solutions, with rationales and without."""
    examples, model = [], tiny_models.make_model("lfm2", len(TOKENIZER))
    cases = [
        (problem, tiny_models.make_sample(problem, 0, error))
        for problem in map(tiny_models.make_problem, range(8, 10))
        for error in (0, 1)
    ]
    for problem, sample in cases:
        for mode, rationale in (("direct", ""), ("cot", verdicts.VERDICT_QUESTION)):
            prompt = generative.encode_question(ENCODER, problem, sample.text, mode)[0]
            expected = ids(rationale) + ids(verdicts.format_verdict(sample.correct)) + [TOKENIZER.eos_token_id]
            examples.append(Example(prompt + expected, [0.0] * len(prompt) + [1.0] * len(expected)))
    run = tiny_models.make_run(
        tmp_path_factory.mktemp("run"), "genrm", tiny_models.make_training_params(epochs=150.0, checkpoint_steps=999)
    )
    loop.train(run, objectives.LanguageModelingObjective(model), examples, run.params)
    return model, cases


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["direct", "cot"])
def test_learns_by_heart_and_says_so_after_saving(trained, mode, tmp_path):
    model, cases = trained
    sampling = HOW._replace(max_new_tokens=20, temperature=0.3)
    GenerativeVerifier("genrm", model, ENCODER, sampling, mode).save(tmp_path / "model")
    loaded = GenerativeVerifier.load(tmp_path / "model", sampling)
    for problem, sample in cases:
        (score,) = loaded.score(problem, [sample])
        assert (score.verifier, score.problem_id, score.index) == ("genrm", problem.id, sample.index)
        assert (score.score > 0.8) == sample.correct and not 0.2 < score.score < 0.8
        if mode == "cot":
            assert len(score.rationales) == generative.MAX_KEPT_RATIONALES
            verdict = verdicts.format_verdict(sample.correct)
            assert set(score.rationales) == {f"{verdicts.VERDICT_QUESTION}{verdict}"}
        else:
            assert score.rationales is None


def test_a_vote_is_what_the_model_says_after_the_rationale(trained):
    """The drawn verdict's probability against a forward pass over everything that was drawn."""
    model, cases = trained
    checker = GenerativeVerifier(
        "genrm", model, ENCODER, HOW._replace(max_new_tokens=20, temperature=0.3, votes=2), "cot"
    )
    problem, sample = cases[0]
    (judged,) = next(checker.judge_many([(problem, [sample])]))
    prompt = generative.encode_question(ENCODER, problem, sample.text, "cot")[0]
    for vote, text in zip(judged.p_yes, judged.rationales, strict=True):
        body = text.removesuffix(" Yes").removesuffix(" No")
        with torch.inference_mode():
            p = model(torch.tensor([prompt + ids(body)])).logits[0, -1].softmax(-1)
        yes, no = p[ids(" Yes")[0]].item(), p[ids(" No")[0]].item()
        assert yes - 1e-5 <= vote <= 1 - no + 1e-5 and 1 - yes - no < 0.05


def test_votes_are_read_off_the_end_alone_and_what_does_not_parse_is_missing():
    checker, yes, no, eos = verifier(), ids(" Yes"), ids(" No"), [TOKENIZER.eos_token_id]
    ask = ids(f"Fine.\n{verdicts.VERDICT_QUESTION}")

    def vote(tokens, finish="stop", p=0.7):
        return checker.parse_verdict(Draw(tokens, [math.log(p)] * len(tokens), finish))

    assert vote(ask + yes + eos) == pytest.approx(0.7)
    assert vote(ask + no + eos) == pytest.approx(0.3), "a drawn No says 1 - p(No)"
    assert vote(ask + yes + ids("\nNot so.\n" + verdicts.VERDICT_QUESTION) + no + eos) == pytest.approx(0.3), (
        "the last one counts"
    )
    for tokens in (ask + eos, ask + ids(" Perhaps") + eos, ids("It is right. Yes") + eos, yes + eos, eos):
        assert vote(tokens) is None
    assert vote(ask + yes, "length") is None and vote(ask + yes + ids(".") + eos) is None
    assert vote(ask + yes + eos, p=1e-9) == pytest.approx(1e-9) and vote(ask + no + eos, p=1.0) == 0.0


def test_missing_votes_count_neither_for_nor_against():
    def judgement(votes, direct=None):
        return RationaleVerdicts(problem_id="p", index=0, p_yes=votes, direct_p_yes=direct, rationales=[], tokens=1)

    assert judgement([0.9, None, 0.5]).score() == pytest.approx(0.7)
    assert judgement([None, 0.4, 0.8]).score(1) == 0.4 and judgement([0.0, None]).score() == 0.0
    assert judgement([None, None], 0.25).score() == 0.25 and judgement([], 0.0).score() == 0.0
    several = judgement([0.1, None, 0.2, 0.3, 0.4, None, 0.5])
    assert [several.score(2, turn) for turn in range(3)] == pytest.approx([0.15, 0.35, 0.3]), "each turn takes the next"
    assert several.score(5, 1) == several.score(7, 3) == several.score()
    with pytest.raises(ValueError, match="no rationale"):
        judgement([None]).score()


@pytest.mark.slow
def test_an_untrained_model_falls_back_to_the_bare_verdict():
    (problem, pool), *_ = pools()
    judged = next(verifier().judge_many([(problem, pool)]))
    direct = next(verifier(mode="direct").judge_many([(problem, pool)]))
    assert all(set(verdict.p_yes) == {None} for verdict in judged), "random text should not parse"
    expected = [
        verdict.direct_p_yes for verdict in direct
    ]  # there with the others of its problem, here alone: equal but for rounding
    assert [verdict.direct_p_yes for verdict in judged] == pytest.approx(expected, abs=1e-6)
    assert [score.score for score in verifier().score(problem, pool)] == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lfm2", "llama"])
@pytest.mark.parametrize("mode", ["direct", "cot"])
def test_company_order_and_room_change_nothing(name, mode):
    all_pools = pools(4)

    def judged(verifier, pools):
        results = {verdict[0].problem_id: verdict for verdict in verifier.judge_many(pools)}
        return {
            (key, verdict.index, i): verdict.model_dump()
            for key, pool_verdicts in results.items()
            for i, verdict in enumerate(pool_verdicts)
        }

    together = judged(verifier(name, mode=mode), all_pools)
    alone = {}
    for pool in all_pools:
        alone |= judged(verifier(name, mode=mode, max_rows=16), [pool])
    assert alone == together == judged(verifier(name, mode=mode), all_pools[::-1])
    texts = {tuple(verdict["rationales"]) for verdict in together.values()}
    assert mode == "direct" or len(texts) > 4, "draws that do not differ would prove nothing"
    other = judged(verifier(name, mode=mode, seed=2), all_pools)
    assert mode == "direct" or {tuple(verdict["rationales"]) for verdict in other.values()}.isdisjoint(texts)


def test_more_votes_keep_the_first_ones():
    few, many = verifier(votes=2), verifier(votes=6)
    for (a,), (b,) in zip(
        *(v.judge_many((problem, pool[:1]) for problem, pool in pools(2)) for v in (few, many)), strict=True
    ):
        assert a.rationales == b.rationales[:2] and a.p_yes == b.p_yes[:2]


def test_equal_texts_are_judged_once_and_every_sample_gets_its_score(monkeypatch):
    (problem, pool), *_ = pools()
    copies = [pool[i % 2].model_copy(update={"index": i}) for i in range(6)]
    read = []
    keys = seeds.key
    monkeypatch.setattr(seeds, "key", lambda *parts: read.append(parts) or keys(*parts))
    judged = next(verifier().judge_many([(problem, copies)]))
    assert len(read) == 2 * HOW.votes and [verdict.index for verdict in judged] == list(range(6))
    assert (
        {tuple(verdict.rationales) for verdict in judged[::2]}
        == {tuple(judged[0].rationales)}
        != {tuple(verdict.rationales) for verdict in judged[1::2]}
    )
    assert [verdict.is_duplicate for verdict in judged] == [False, False] + [True] * 4, "work is counted once"


def test_bounds_and_mistakes(tmp_path):
    (problem, pool), *_ = pools()
    assert next(verifier().judge_many([(problem, [])])) == [] and verifier().score(problem, []) == []
    with pytest.raises(UserError, match=r"sums/train/003: .* exceed the 512 tokens"):
        verifier(max_new_tokens=500).score(problem, pool)
    from stages.lib.models import loading

    loading.save(tiny_models.make_model("lfm2", len(TOKENIZER)), TOKENIZER, tmp_path / "model")
    for facts in (None, {"name": "genrm", "kind": "generative"}, {"name": "prm", "kind": "process", "mode": "cot"}):
        if facts:
            (tmp_path / "model/verifier.json").write_text(json.dumps(facts))
        with pytest.raises(UserError, match="holds no generative verifier"):
            GenerativeVerifier.load(tmp_path / "model", HOW)
