"""What training on pairs has changed: accuracies, held-out pairs, divergence from the start, verifiers on both policies.

The start is the policy before, the generator, whose samples stage samples has drawn. The processes share the work, and what
is finished is kept, so a killed run resumes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stages.generators.preference.pairs import VERSION, SamplePair, encode_pair
from stages.lib.core import records, seeds
from stages.lib.core.records import Problem, Record, Sample, Score
from stages.lib.grading.draws import make_samples
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.inference.sampling import Distribution, Draw
from stages.lib.metrics import estimators, intervals, majority, ranking, voting
from stages.lib.models import divergence, encoding, forward, preference
from stages.lib.models.batch import Example, collate
from stages.lib.models.encoding import Encoder
from stages.lib.reports import pools
from stages.lib.run import distributed
from stages.lib.verifiers import registry
from stages.lib.verifiers.generative import RationaleSampling

if TYPE_CHECKING:
    from stages.generators.preference.__main__ import Params
    from stages.lib.run.execution import StageRun
    from stages.lib.verifiers.base import Pool

ROWS = 16  # sequences that are read at once, where nothing is learned
AT_TEMPERATURE_1 = Distribution(1.0)  # a divergence is that of the policy itself


class PairScore(Record):
    """Summed log-probabilities, in nats, of a held-out pair's solutions by the policy and by the start."""

    problem_id: str
    chosen: float
    rejected: float
    start_chosen: float
    start_rejected: float


class Divergence(Record):
    """KL(policy || start) along one draw of the policy; tokens: those that the policy chose."""

    problem_id: str
    value: float
    tokens: int


class Policies:
    """The trained policy, the one it started from, and the encoder of both."""

    def __init__(self, run: StageRun[Params], policy: Any, start: Any, encoder: Encoder):
        self.run, self.policy, self.start, self.encoder = run, policy, start, encoder

    def draw(self, name: str, problems: Sequence[Problem], n: int, distribution: Distribution) -> list[Sample]:
        """n solutions of each problem by the policy, in the order of the problems; the greedy one for n = 1."""
        params, seed = self.run.params, self.run.seed

        def work(engine: NativeEngine, shard: list[Problem]) -> Iterator[list[Sample]]:
            arguments = params.max_new_tokens, engine.context_length, "preference"
            prompts = encoding.encode_prompts(self.encoder, shard, *arguments)
            keys = [[seeds.key(seed, "preference", VERSION, problem.id, i) for i in range(n)] for problem in shard]
            stream = engine.stream(
                prompts, keys, distribution, params.max_new_tokens, self.encoder.stops, self.encoder.calculator
            )
            yield from make_samples(stream, self.encoder, shard)

        with forward.autocast(self.policy, params.precision):
            return self._share(name, list(problems), work, Sample, NativeEngine(self.policy, params.max_rows))

    def score_pairs(self, problems: Mapping[str, Problem], pairs: Sequence[SamplePair]) -> list[PairScore]:
        """Log-probabilities of the pairs' solutions, problem by problem."""
        groups: dict[str, list[SamplePair]] = {}
        for pair in pairs:
            groups.setdefault(pair.problem_id, []).append(pair)

        def work(_: Any, shard: list[str]) -> Iterator[list[PairScore]]:
            for name in shard:
                encoded = [encode_pair(self.encoder, problems[name], pair) for pair in groups[name]]
                batch = preference.collate_pairs(encoded).to(get_device(self.policy))
                with torch.inference_mode():
                    new, old = (preference.sum_log_probabilities(m, batch) for m in (self.policy, self.start))
                columns = zip(*new.chunk(2), *old.chunk(2), strict=True)
                names = ("chosen", "rejected", "start_chosen", "start_rejected")
                yield [PairScore(problem_id=name, **dict(zip(names, map(float, row), strict=True))) for row in columns]

        with forward.autocast(self.policy, self.run.params.precision):
            return self._share("held-out", list(groups), work, PairScore)

    def measure_divergence(self, problems: Sequence[Problem], n: int) -> list[Divergence]:
        """KL(policy || start) along n draws of the policy at temperature 1 for each problem."""
        params, seed = self.run.params, self.run.seed

        def work(engine: NativeEngine, shard: list[Problem]) -> Iterator[list[Divergence]]:
            arguments = params.max_new_tokens, engine.context_length, "preference"
            prompts = encoding.encode_prompts(self.encoder, shard, *arguments)
            keys = [[seeds.key(seed, "preference", VERSION, x.id, "kl", i) for i in range(n)] for x in shard]
            for i, draws in engine.stream(
                prompts, keys, AT_TEMPERATURE_1, params.max_new_tokens, self.encoder.stops, self.encoder.calculator
            ):
                prompt, values = prompts[i], []
                weights = [self.weigh_draw(draw) for draw in draws]
                examples = [
                    Example([*prompt, *draw.ids], [0.0] * len(prompt) + own)
                    for draw, own in zip(draws, weights, strict=True)
                ]
                for first in range(0, n, ROWS):
                    batch = collate(examples[first : first + ROWS]).to(get_device(self.policy))
                    values += divergence.sum_divergences(self.policy, self.start, batch).tolist()
                yield [
                    Divergence(problem_id=shard[i].id, value=value, tokens=round(sum(own)))
                    for value, own in zip(values, weights, strict=True)
                ]

        with forward.autocast(self.policy, params.precision):
            return self._share("kl", list(problems), work, Divergence, NativeEngine(self.policy, params.max_rows))

    def weigh_draw(self, draw: Draw) -> list[float]:
        """1 for each token of a draw, 0 for one that the calculator wrote: the policy did not choose it."""
        has_calculator = self.encoder.calculator is not None
        return [0.0 if has_calculator and not logprob else 1.0 for logprob in draw.logprobs]

    def _share(self, name: str, items: list[Any], work: Any, kind: Any, model: Any = None) -> list[Any]:
        def get_id(item: Problem | str) -> str:
            return item if isinstance(item, str) else item.id

        workers = distributed.LocalWorkers(lambda: model)
        results = distributed.map_sharded(self.run, workers, name, items, work, kind, get_id)
        return [row for item in items for row in results[get_id(item)]]


def get_device(model: Any) -> torch.device:
    return next(model.parameters()).device


def score_samples(run: StageRun[Params], name: str, verifier: str, sets: Sequence[Pool], device: Any) -> list[Score]:
    """The scores of samples by a trained verifier; one that was cut off has no answer and scores 0."""
    path = run.input_path(verifier, "model")

    def load() -> Any:
        return registry.load(path, "float32", RationaleSampling(seed=run.seed)).to(device)

    def work(model: Any, shard: list[Pool]) -> Iterator[list[Score]]:
        for problem, samples in shard:
            finished = [sample for sample in samples if sample.finish == "stop"]
            scores = next(iter(model.score_many([(problem, finished)])), []) if finished else []
            by_index = {score.index: score.score for score in scores}
            key: dict[str, Any] = {"problem_id": problem.id, "verifier": verifier}
            yield [Score(**key, index=sample.index, score=by_index.get(sample.index, 0.0)) for sample in samples]

    workers = distributed.LocalWorkers(load)
    results = distributed.map_sharded(
        run, workers, f"{name}-{verifier}", list(sets), work, Score, lambda pool: pool[0].id
    )
    workers.close()
    return [score for problem, _ in sets for score in results[problem.id]]


def make_values(pools_of: Mapping[str, Sequence[Sample]], scores: Sequence[Score] | None) -> dict[str, list[float]]:
    """problem id -> the teacher's judgement of each sample: its scores, or without any the truth."""
    if scores is None:
        return {name: [float(sample.is_right) for sample in pool] for name, pool in pools_of.items()}
    score_of = {(score.problem_id, score.index): score.score for score in scores}
    return {name: [score_of[name, sample.index] for sample in pool] for name, pool in pools_of.items()}


def measure_teacher(pools_of: Mapping[str, Sequence[Sample]], values: Mapping[str, Sequence[float]]) -> float | None:
    """The teacher's mean AUC within a problem."""
    outcomes = [[sample.is_right for sample in pool] for pool in pools_of.values()]
    return ranking.within_problem_auc([values[name] for name in pools_of], outcomes)


class Accuracies:
    """Accuracies of one policy's samples on the same problems, (problems, N) each; column k-1 is at k."""

    def __init__(self, problems: Sequence[Problem], samples: Sequence[Sample], scores: Sequence[Score] = ()):
        self.pools = pools.from_records(problems, samples, scores)
        self.correct = np.array([pool.correct for pool in self.pools])
        ids = np.array([pool.answer_ids for pool in self.pools])
        self.curves = {"pass": estimators.pass_at_k(self.correct), "majority": majority.majority(ids, self.correct)}
        self.weighted: dict[str, np.ndarray] = {}
        for name in sorted({score.verifier for score in scores}):
            values = np.array([pool.scores[name] for pool in self.pools])
            self.curves[f"best_of_{name}"] = estimators.best_of_k(self.correct, np.where(ids >= 0, values, -np.inf))
            with np.errstate(divide="ignore"):
                self.weighted[name] = voting.score_votes(ids, self.correct, np.log(values))

    @property
    def n(self) -> int:
        return self.correct.shape[1]

    def compute_auc(self, verifier: str) -> float | None:
        scores = [pool.scores[verifier] for pool in self.pools]
        return ranking.within_problem_auc(scores, [pool.correct for pool in self.pools])

    def list_solved(self) -> dict[str, float]:
        """problem id -> the share of its samples that are right."""
        return {pool.problem_id: float(own.mean()) for pool, own in zip(self.pools, self.correct, strict=True)}

    def list_methods(self) -> dict[str, np.ndarray]:
        """(problems,) of each method: pass@1, and at N pass, majority, best-of-N and the weighted vote by each verifier."""
        at_n = {f"{name}_n": curve[:, -1] for name, curve in self.curves.items()}
        weighted = {f"weighted_{name}_n": values for name, values in self.weighted.items()}
        return {"pass_1": self.curves["pass"][:, 0], **at_n, **weighted}


def compare_methods(policy: Accuracies, start: Accuracies, seed: int) -> dict[str, dict[str, float]]:
    """For each method: the accuracy of start and policy, and their difference paired by problem, with interval and p."""
    before, results = start.list_methods(), {}
    for name, values in policy.list_methods().items():
        key = seeds.key(seed, "preference", VERSION, name, "interval")
        difference = intervals.compare(values, before[name], key)
        results[name] = {
            "start": float(before[name].mean()),
            "policy": float(values.mean()),
            "difference": difference.difference,
            "low": difference.low,
            "high": difference.high,
            "p": difference.p,
        }
    return results


def summarize_draws(samples: Sequence[Sample]) -> dict[str, float]:
    """Mean length in tokens, and the shares that end and that give an answer."""
    count = len(samples)
    return {
        "tokens": sum(sample.tokens for sample in samples) / count,
        "finished": sum(sample.finish == "stop" for sample in samples) / count,
        "answered": sum(sample.answer is not None for sample in samples) / count,
    }


def summarize_pairs(scores: Sequence[PairScore]) -> dict[str, Any]:
    """Figures of held-out pairs, None without one.

    accuracy: the share that the policy moved the right way, log(policy/start) of chosen above that of rejected, with its
    standard error over problems. ranking, start_ranking: the share that is ranked rightly by log-probability itself.
    chosen, rejected: how far mean log-probabilities moved, in nats.
    """
    if not scores:
        return {"pairs": 0, "accuracy": None, "error": None}
    moved = [(s.chosen - s.start_chosen) - (s.rejected - s.start_rejected) for s in scores]
    mean, error = estimate_mean([float(x > 0) + 0.5 * (x == 0) for x in moved], [s.problem_id for s in scores])
    return {
        "pairs": len(scores),
        "accuracy": mean,
        "error": error,
        "ranking": float(np.mean([s.chosen > s.rejected for s in scores])),
        "start_ranking": float(np.mean([s.start_chosen > s.start_rejected for s in scores])),
        "start_chosen": float(np.mean([s.start_chosen for s in scores])),
        "start_rejected": float(np.mean([s.start_rejected for s in scores])),
        "chosen": float(np.mean([s.chosen - s.start_chosen for s in scores])),
        "rejected": float(np.mean([s.rejected - s.start_rejected for s in scores])),
    }


def summarize_divergence(rows: Sequence[Divergence]) -> dict[str, float]:
    """Mean KL a sequence and its standard error over problems, and KL a token, in nats."""
    mean, error = estimate_mean([row.value for row in rows], [row.problem_id for row in rows])
    return {"mean": mean, "error": error, "per_token": mean * len(rows) / sum(row.tokens for row in rows)}


def estimate_mean(values: Sequence[float], units: Sequence[str]) -> tuple[float, float]:
    """The mean of all values and its standard error, where the values of one unit are not independent (a ratio of sums
    over units; Cochran 1977, section 2.11)."""
    _, ids = np.unique(np.asarray(units, str), return_inverse=True)
    mean, n = float(np.mean(values)), int(ids.max()) + 1
    residuals = np.bincount(ids, np.asarray(values, float) - mean)
    return mean, float(np.sqrt((residuals**2).sum() * n / max(1, n - 1)) / len(values))


def limit_samples(samples: Sequence[Sample], problems: Sequence[Problem], n: int) -> list[Sample]:
    """The first n samples of each of these problems."""
    groups = records.group_by_problem(sample for sample in samples if sample.index < n)
    return [sample for problem in problems for sample in groups[problem.id]]
