"""Replies of a model to items, and how sure it is of each. The processes share the work; what is finished is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from stages.generators.honesty import refusals
from stages.generators.honesty.items import VERSION, Item
from stages.generators.honesty.selective import Outcomes
from stages.lib.core import seeds
from stages.lib.core.records import Problem, Record, Sample, Score
from stages.lib.grading.draws import make_samples
from stages.lib.inference import multiple_choice
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.models import encoding, forward
from stages.lib.models.encoding import Encoder
from stages.lib.run import distributed
from stages.lib.run.execution import StageRun
from stages.lib.verifiers import registry
from stages.lib.verifiers.generative import RationaleSampling


class Refusal(Record):
    """The probability that a reply to an item is one of the refusals."""

    problem_id: str
    probability: float


def allow_abstention(problem: Problem) -> Problem:
    """The problem with the sentence that N/A is an answer, which is all that a prompt can do."""
    return problem.model_copy(update={"abstain": True})


def draw(run: StageRun[Any], name: str, model: Any, encoder: Encoder, problems: Sequence[Problem]) -> list[Sample]:
    """One reply to each problem, at the stage's temperature, in the order of the problems."""
    params = run.params

    def work(engine: NativeEngine, shard: list[Problem]) -> Iterator[list[Sample]]:
        prompts = encoding.encode_prompts(encoder, shard, params.max_new_tokens, engine.context_length, "honesty")
        keys = [[seeds.key(run.seed, "honesty", VERSION, problem.id, "reply")] for problem in shard]
        stream = engine.stream(
            prompts, keys, params.distribution, params.max_new_tokens, encoder.stops, encoder.calculator
        )
        yield from make_samples(stream, encoder, shard)

    with forward.autocast(model, params.precision):
        workers = distributed.LocalWorkers(lambda: NativeEngine(model, params.max_rows))
        rows = distributed.map_sharded(run, workers, name, list(problems), work, Sample, lambda problem: problem.id)
    return [rows[problem.id][0] for problem in problems]


def measure_refusals(run: StageRun[Any], name: str, model: Any, encoder: Encoder, items: Sequence[Item]) -> list[float]:
    """For each item the probability that the whole reply is one of the taught refusals. Each string counts with all its
    tokens up to the end token, so the sum does not depend on how a tokenizer cuts it; the strings exclude each other."""

    def work(model: Any, shard: list[Item]) -> Iterator[list[Refusal]]:
        for item in shard:
            prompt = encoder.prompt_ids(item.problem, shots=True)
            texts = [encode_reply(encoder, item.problem, phrase) for phrase in refusals.TAUGHT]
            logprobs = multiple_choice.compute_logprobs(model, prompt, texts)
            yield [Refusal(problem_id=item.id, probability=min(1.0, sum(math.exp(sum(row)) for row in logprobs)))]

    with forward.autocast(model, run.params.precision):
        workers = distributed.LocalWorkers(lambda: model)
        rows = distributed.map_sharded(run, workers, name, list(items), work, Refusal, lambda item: item.id)
    return [rows[item.id][0].probability for item in items]


def encode_reply(encoder: Encoder, problem: Problem, text: str) -> list[int]:
    """Ids of a one-line reply and its end token."""
    encoded = encoder.encode(problem, [text], shots=True)
    return encoded.ids[encoded.prompt_length :]


def score(
    run: StageRun[Any], name: str, verifier: str, pairs: Sequence[tuple[Problem, Sample]], device: Any
) -> list[float]:
    """A verifier's score of each reply; one that was cut off has no answer and scores 0."""
    path = run.input_path(verifier, "model")

    def load() -> Any:
        return registry.load(path, "float32", RationaleSampling(seed=run.seed)).to(device)

    def work(model: Any, shard: list[tuple[Problem, Sample]]) -> Iterator[list[Score]]:
        for problem, sample in shard:
            scores = next(iter(model.score_many([(problem, [sample])])), []) if sample.finish == "stop" else []
            value = scores[0].score if scores else 0.0
            yield [Score(problem_id=problem.id, index=sample.index, verifier=verifier, score=value)]

    workers = distributed.LocalWorkers(load)
    rows = distributed.map_sharded(run, workers, name, list(pairs), work, Score, lambda pair: pair[0].id)
    workers.close()
    return [rows[problem.id][0].score for problem, _ in pairs]


def mean_probability(sample: Sample) -> float:
    """The geometric mean of a reply's token probabilities; 0 for an empty reply, which has none."""
    return math.exp(sample.logprob / sample.tokens) if sample.tokens else 0.0


def mix_confidence(sample: Sample, refusal: float) -> float:
    """R-Tuning's confidence: half the mean token probability, half p(sure). Here sure is not to refuse: the model has
    learned to say that it does not know, so p(sure) + p(unsure) = 1."""
    return 0.5 * mean_probability(sample) + 0.5 * (1.0 - refusal)


def make_outcomes(items: Sequence[Item], samples: Sequence[Sample], confidence: Any) -> Outcomes:
    """Who refused and who is right. An answer to an item without one is wrong, whatever it is."""
    refused = np.array([refusals.is_refusal(sample) for sample in samples], bool)
    right = np.array([item.is_answerable and s.is_right for item, s in zip(items, samples, strict=True)], bool)
    return Outcomes(refused, right & ~refused, np.asarray(confidence, float))
