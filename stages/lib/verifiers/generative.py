"""The generative verifier (GenRM, Zhang et al. 2024, arXiv 2408.15240): verification as next-token prediction.

direct  score = p(Yes) after the question `Verification: Is the answer correct (Yes/No)?`
cot     score = mean p(Yes) over K sampled rationales (probabilities are averaged, verdicts are not counted). Each starts
        with `Verification: Let's verify step by step.`, checks line by line and ends with the same question

A rationale that does not end with the question and a verdict is missing and has no influence. If all K are missing, the
direct p(Yes) is used, and this is counted. p(Yes) is taken from the sampled verdict token (for a sampled `No` it is 1 -
p(No)): no second forward pass, and exact up to the probability of answering neither.

The K rationales of a solution share its encoded prompt, and each other's prefixes as long as they agree
(lib/inference/native_engine.py). Equal solutions of a problem are judged once. Rationale k is keyed by (seed, stage,
version, problem, text, k), so batch size, order and number of processes change nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Record, Sample, Score
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.inference.sampling import Distribution
from stages.lib.models import heads, loading
from stages.lib.models.encoding import Encoder, check_context_length
from stages.lib.models.objectives import LanguageModelingObjective
from stages.lib.verifiers import saving, verdicts
from stages.lib.verifiers.base import Pool, Verifier, compute_last_logits

if TYPE_CHECKING:
    from stages.lib.inference.sampling import Draw

VERSION = 1  # part of every sampling key: raise it when the way of sampling changes
MAX_KEPT_RATIONALES = 4  # rationales of a solution whose text its Score keeps
MAX_RATIONALE_CHARS = 2000  # characters kept of each

Mode = Literal["direct", "cot"]
Task = tuple[int, Problem, str]  # index of the pool, its problem, a solution


class RationaleSampling(NamedTuple):
    """How rationales are sampled. seed, stage: parts of the keys. max_rows: sequences at a time, changes speed only."""

    votes: int = 4
    temperature: float = 0.7
    max_new_tokens: int = 320
    max_rows: int = 1024
    seed: int = 1
    stage: str = "scores"


class RationaleVerdicts(Record):
    """The verdicts on one sample.

    p_yes: p(Yes) of each rationale, None for a missing one. direct_p_yes: p(Yes) without a rationale, where it was
    computed. rationales: their texts. tokens: read and generated after the problem. is_duplicate: a copy of the verdicts on
    an earlier sample with the same text.
    """

    problem_id: str
    index: int = 0
    p_yes: list[float | None] = []
    direct_p_yes: float | None = None
    rationales: list[str] = []
    tokens: int
    is_duplicate: bool = False

    def score(self, votes: int | None = None, turn: int = 0) -> float:
        """Mean p(Yes) over the rationales that are not missing, or the direct p(Yes) if all are.

        votes: how many rationales to use; turn t takes the t-th group of that size, wrapping around.
        """
        values = [p for p in self.p_yes if p is not None]
        if votes is not None and votes < len(values):
            start = turn * votes % len(values)
            values = (values + values)[start : start + votes]
        if values:
            return sum(values) / len(values)
        if self.direct_p_yes is None:
            raise ValueError(f"{self.problem_id} sample {self.index}: no rationale and no direct verdict")
        return self.direct_p_yes


def encode_question(encoder: Encoder, problem: Problem, text: str, mode: Mode) -> tuple[list[int], slice]:
    """The prompt of training and scoring: problem, solution and the request to verify it. Also the solution's span."""
    request = verdicts.VERDICT_QUESTION if mode == "direct" else verdicts.COT_PROMPT
    encoded = encoder.encode(problem, encoder.prompt.split_steps(text), finished=False)
    return encoded.ids + encoder.encode_texts([request])[0], slice(encoded.prompt_length, len(encoded.ids))


class GenerativeVerifier(Verifier):
    """A causal language model that answers in text. Score.score is p(Yes); Score.rationales the first texts, shortened."""

    mode: Mode

    def __init__(self, name: str, model: Any, encoder: Encoder, sampling: RationaleSampling, mode: Mode):
        self.name, self.model, self.encoder, self.sampling, self.mode = name, model, encoder, sampling, mode
        self.head = None
        yes, no = verdicts.format_verdict(True), verdicts.format_verdict(False)
        self._verdict_ids = encoder.encode_texts([yes, no])
        tokens = heads.get_first_tokens(encoder, yes, no)
        self._verdict_head = heads.TokenLogitHead(model.get_output_embeddings(), *tokens, model.config)

    def make_objective(self) -> LanguageModelingObjective:
        """The training objective: this model as a language model, on text alone."""
        return LanguageModelingObjective(self.model)

    @classmethod
    def load(cls, path: Path, sampling: RationaleSampling, dtype: str = "float32") -> GenerativeVerifier:
        """In the mode that the stage genrm chose. Raises UserError for a folder without a generative verifier."""
        config = saving.read_config(path, "generative")
        if config.get("mode") not in get_args(Mode):
            raise UserError(f"{path}: holds no generative verifier with its mode; run the stage genrm")
        return cls(config["name"], loading.load_causal_lm(path, dtype), Encoder.load(path), sampling, config["mode"])

    def save(self, path: Path) -> None:
        config = {"kind": "generative", "name": self.name, "mode": self.mode}
        saving.save_verifier(path, self.model, self.encoder, config)

    def count_tokens(self, problem: Problem, sample: Sample) -> int:
        """Number of tokens that are read and at most written for a sample, the prompt included."""
        new = self.sampling.max_new_tokens if self.mode == "cot" else 0
        return len(encode_question(self.encoder, problem, sample.text, self.mode)[0]) + new

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        return next(self.score_many([(problem, list(samples))]))

    def score_many(self, pools: Iterable[Pool]) -> Iterator[list[Score]]:
        """Scores of many pools with the sampler kept full. A pool's scores come when its last rationale has ended, so
        pools come in any order."""
        for pool in self.judge_many(pools):
            texts = [[text[:MAX_RATIONALE_CHARS] for text in x.rationales[:MAX_KEPT_RATIONALES]] for x in pool]
            yield [
                self.make_score(x, min(1.0, x.score()), x.tokens, rationales=kept or None)
                for x, kept in zip(pool, texts, strict=True)
            ]

    def judge_many(self, pools: Iterable[Pool]) -> Iterator[list[RationaleVerdicts]]:
        """The verdicts behind `score_many`. Raises UserError for a solution longer than the model's context."""
        pools = list(pools)
        texts = [list(dict.fromkeys(sample.text for sample in samples)) for _, samples in pools]
        tasks = [(p, pools[p][0], text) for p, distinct in enumerate(texts) for text in distinct]
        results: list[dict[str, RationaleVerdicts]] = [{} for _ in pools]
        yield from ([] for distinct in texts if not distinct)
        for task, verdict in self._judge_direct(tasks) if self.mode == "direct" else self._judge_cot(tasks):
            p, _, text = tasks[task]
            results[p][text] = verdict
            if len(results[p]) == len(texts[p]):
                yield self._broadcast(pools[p][1], results[p])
                results[p] = {}

    def _broadcast(self, samples: Sequence[Sample], by_text: dict[str, RationaleVerdicts]) -> list[RationaleVerdicts]:
        """The verdicts on each text, copied to every sample with that text."""
        seen, copies = set(), []
        for sample in samples:
            change = {"index": sample.index, "is_duplicate": sample.text in seen}
            copies.append(by_text[sample.text].model_copy(update=change))
            seen.add(sample.text)
        return copies

    def _encode_prompt(self, problem: Problem, text: str, mode: Mode, max_new_tokens: int = 0) -> list[int]:
        ids = encode_question(self.encoder, problem, text, mode)[0]
        check_context_length(problem.id, ids, max_new_tokens, self.model.config.max_position_embeddings)
        return ids

    def _judge_direct(self, tasks: Sequence[Task]) -> Iterator[tuple[int, RationaleVerdicts]]:
        for _, group in itertools.groupby(range(len(tasks)), key=lambda place: tasks[place][0]):
            places = list(group)
            problem = tasks[places[0]][1]
            p_yes = self._compute_p_yes(problem, [tasks[place][2] for place in places])
            for place, (p, tokens) in zip(places, p_yes, strict=True):
                yield place, RationaleVerdicts(problem_id=problem.id, direct_p_yes=p, tokens=tokens)

    def _judge_cot(self, tasks: Sequence[Task]) -> Iterator[tuple[int, RationaleVerdicts]]:
        votes, temperature, max_new_tokens, max_rows, seed, stage = self.sampling
        prompts = [self._encode_prompt(problem, text, "cot", max_new_tokens) for _, problem, text in tasks]
        keys = [
            [seeds.key(seed, stage, VERSION, problem.id, text, k) for k in range(votes)] for _, problem, text in tasks
        ]
        engine, ends = NativeEngine(self.model, max_rows), self.encoder.stops.token_ids
        for place, draws in engine.stream(prompts, keys, Distribution(temperature), max_new_tokens, ends):
            _, problem, text = tasks[place]
            p_yes = [self.parse_verdict(draw) for draw in draws]
            all_missing = all(p is None for p in p_yes)
            direct_p_yes = self._compute_p_yes(problem, [text])[0][0] if all_missing else None
            texts = [self.encoder.decode_text(draw.ids) for draw in draws]
            tokens = len(prompts[place]) - len(self.encoder.prompt_ids(problem)) + sum(len(draw.ids) for draw in draws)
            fields = {"p_yes": p_yes, "direct_p_yes": direct_p_yes, "rationales": texts, "tokens": tokens}
            yield place, RationaleVerdicts(problem_id=problem.id, **fields)

    def parse_verdict(self, draw: Draw) -> float | None:
        """p(Yes) by the last tokens of a rationale. None if it was cut off or does not end with question and verdict."""
        if draw.finish != "stop":
            return None
        ids = draw.ids[:-1]
        for verdict, is_yes in zip(self._verdict_ids, (True, False), strict=True):
            start = len(ids) - len(verdict)
            if ids[start:] == verdict and self.encoder.decode_text(ids[:start]).endswith(verdicts.VERDICT_QUESTION):
                p = math.exp(draw.logprobs[start])
                return min(1.0, p if is_yes else max(0.0, 1.0 - p))
        return None

    def _compute_p_yes(self, problem: Problem, texts: Sequence[str]) -> list[tuple[float, int]]:
        """For each solution, p(Yes) against p(No) right after the question, and the number of tokens read after the
        problem, which is read once."""
        rows = [self._encode_prompt(problem, text, "direct") for text in texts]
        start = len(self.encoder.prompt_ids(problem))
        p_yes = [0.0] * len(rows)
        requests = [ids[start:] for ids in rows]
        for indices, logits in compute_last_logits(self.model, self._verdict_head, rows[0][:start], requests):
            for i, logit in zip(indices, logits.tolist(), strict=True):
                p_yes[i] = sigmoid(logit)
        return [(p, len(request)) for p, request in zip(p_yes, requests, strict=True)]


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x), also for large |x|."""
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))
