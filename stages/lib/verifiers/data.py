"""What the stages orm, prm and genrm share: reading problems, samples and the initial model, and evaluating on dev."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from stages.lib.core import records, seeds
from stages.lib.core.records import Problem, Record, Sample, Score
from stages.lib.metrics import ranking
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.models.forward import autocast
from stages.lib.run import distributed

if TYPE_CHECKING:
    from stages.lib.run.distributed import Workers
    from stages.lib.run.execution import StageRun
    from stages.lib.verifiers.base import Pool, Verifier

R = TypeVar("R", bound=Record)
V = TypeVar("V", bound="Verifier")


def read_problems(run: StageRun, split: str) -> dict[str, Problem]:
    """The problems of train (selected gold solutions), verifier or dev, by id."""
    problems = records.read_problems(run.input_path("benchmarks" if split == "dev" else "selection", f"{split}.jsonl"))
    return {problem.id: problem for problem in problems}


def read_samples(run: StageRun, split: str) -> list[Sample]:
    return records.read_samples(run.input_path("samples", f"{split}.parquet"))


def select_samples(samples: Iterable[Sample], limit: int, skip_uniform: bool, dedupe: bool = False) -> list[Sample]:
    """The samples to train on, by problem: those with an index below `limit`.

    skip_uniform: leave out problems whose samples are all right or all wrong. dedupe: of equal solutions of a problem
    keep the first.
    """
    distinct: dict[Any, Sample] = {}
    for sample in samples:
        if sample.index < limit:
            identity = (sample.text, sample.finish) if dedupe else sample.index
            distinct.setdefault((sample.problem_id, identity), sample)
    pools = records.group_by_problem(distinct.values()).values()
    return [s for pool in pools if not skip_uniform or len({s.correct for s in pool} - {None}) == 2 for s in pool]


def warn_if_uniform(run: StageRun, samples: Sequence[Sample], consequence: str) -> None:
    """Warn if all samples are right or all wrong, as those of a weak generator may be. Training continues."""
    if len({sample.is_right for sample in samples}) < 2 and run.is_main:
        print(f"{run.name}: warning: all samples are right, or all wrong: {consequence}", file=sys.stderr)


def load_encoder(run: StageRun) -> Encoder:
    """The tokenizer of the model that training starts from, and the generator's prompt."""
    return Encoder.load(run.input_path(run.params.init_from, "model"), run.input_path("generator", "prompt.json"))


def load_model(run: StageRun) -> Any:
    """The model that training starts from, with LoRA adapters where the parameters ask for them."""
    model = loading.load_causal_lm(run.input_path(run.params.init_from, "model"))
    return loading.add_lora(model, run.params.lora_rank, seeds.key(run.seed, run.name, "adapters"))


def read_dev_pools(run: StageRun, samples_per_problem: int | None = None, mixed_only: bool = False) -> list[Pool]:
    """The first `eval_problems` problems of dev with their samples.

    samples_per_problem: how many samples of a problem at most. mixed_only: only problems with right and wrong samples.
    """
    problems = read_problems(run, "dev")
    samples = read_samples(run, "dev")
    pools = records.group_by_problem(s for s in samples if samples_per_problem is None or s.index < samples_per_problem)
    mixed = {key: pool for key, pool in pools.items() if not mixed_only or len({s.is_right for s in pool}) == 2}
    return [(problems[key], pool) for key, pool in mixed.items()][: run.params.eval_problems]


def map_dev_pools(
    run: StageRun,
    workers: Workers[V],
    name: str,
    pools: list[Pool],
    evaluate: Callable[[V, list[Pool]], Iterable[list[R]]],
    kind: type[R],
) -> list[list[R]]:
    """`evaluate` for each pool, in their order, in the precision of training.

    The processes share the pools. What they have finished is kept under `name`, so that a killed run resumes.
    """
    work = partial(_evaluate_in_precision, evaluate, run.params.precision)
    results = distributed.map_sharded(run, workers, name, pools, work, kind, lambda pool: pool[0].id)
    return [results[problem.id] for problem, _ in pools]


def _evaluate_in_precision(
    evaluate: Callable[[V, list[Pool]], Iterable[list[R]]], precision: str, verifier: V, pools: list[Pool]
) -> Iterator[list[R]]:
    with autocast(verifier.model, precision):
        yield from evaluate(verifier, pools)


def score_dev(run: StageRun, verifier: Verifier, pools: list[Pool]) -> list[list[Score]]:
    """The Scores of each pool's samples, in their order, by the model that this process has trained."""

    def score(verifier: Verifier, shard: list[Pool]) -> Iterator[list[Score]]:
        return (verifier.score(*pool) for pool in shard)

    return map_dev_pools(run, distributed.LocalWorkers(lambda: verifier), "scored", pools, score, Score)


def get_outcomes(pools: Sequence[Pool]) -> list[list[bool]]:
    """Whether each sample of each pool is right."""
    return [[sample.is_right for sample in samples] for _, samples in pools]


def compute_calibration(scores: Sequence[Sequence[float]], outcomes: Sequence[Sequence[bool]]) -> dict[str, Any]:
    """Brier score and expected calibration error over all samples; None without a sample."""
    flat_scores, flat_outcomes = list(chain.from_iterable(scores)), list(chain.from_iterable(outcomes))
    measures = {"brier": ranking.brier_score, "ece": ranking.expected_calibration_error}
    return {name: measure(flat_scores, flat_outcomes) if flat_scores else None for name, measure in measures.items()}
