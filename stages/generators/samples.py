"""Stage samples: draw N solutions for every problem, extract their answers, grade them.

Reads data/generator/{model, prompt.json}, data/benchmarks/{verifier,dev,test}.jsonl, data/ood/test.jsonl and
data/aime/{test,unseen}.jsonl. Writes data/samples/{verifier,dev,test,ood,aime}.parquet (N solutions a problem at one
temperature), test_greedy.parquet (one) and test_options.parquet (for multiple choice, the likeliest option's letter).

Verifiers learn from `verifier` and are evaluated on the others. All sets have one temperature, because a verifier should
be trained on the distribution that it will rank (Cobbe et al. 2021, arXiv:2110.14168, draw both at 0.7). A solution that
was cut off has no answer; nor has one that does not mark it, where prompt.json says `marked`. Every draw is keyed by
problem and index: more samples, another batch or more processes change none of those already drawn.

    python -m stages.generators.samples
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from stages.lib.core import records, seeds
from stages.lib.core.records import Problem, Sample
from stages.lib.datasets import eval_sets
from stages.lib.grading.draws import grade_draws
from stages.lib.inference.sampling import GREEDY
from stages.lib.inference.sampling_params import SamplingParams
from stages.lib.run.execution import StageRun, run_stage

if TYPE_CHECKING:
    from pathlib import Path

    from stages.lib.inference.sampling import Draw, Engine
    from stages.lib.models.encoding import Encoder

VERSION = 1  # part of every key: raise it when the way of drawing changes
SAMPLE_SETS = ("test_options", *eval_sets.SET_FILES, "test_greedy")


class Params(SamplingParams):
    engine: Literal["native", "vllm"]  # what decodes: the engine of this repository, or vLLM
    n_verifier: int = Field(ge=1)  # samples a problem for training verifiers
    n_eval: int = Field(ge=1)  # samples a problem of dev and test
    n_ood: int = Field(ge=1)  # samples a problem of ood and aime
    dtype: Literal["float32", "bfloat16", "float16"]  # number format of the weights


def get_sample_count(name: str, params: Params) -> int:
    """Samples a problem of a set."""
    if name in eval_sets.OOD:
        return params.n_ood
    return {"verifier": params.n_verifier, "test_greedy": 1}.get(name, params.n_eval)


def make_keys(seed: int, problem: Problem, n: int) -> list[int]:
    return [seeds.key(seed, "samples", VERSION, problem.id, index) for index in range(n)]


def make_samples(
    stream: Iterable[tuple[int, list[Draw]]], encoder: Encoder, problems: Sequence[Problem]
) -> Iterator[list[Sample]]:
    """The graded samples of each problem, in the order of an engine's stream of (index of a problem, draws)."""
    for i, graded in grade_draws(stream, encoder, problems):
        yield [
            Sample(
                problem_id=problems[i].id,
                index=index,
                text=text,
                answer=answer,
                finish=draw.finish,
                correct=correct,
                logprob=sum(draw.logprobs),
                min_logprob=min(draw.logprobs),
                tokens=len(draw.ids),
            )
            for index, (draw, text, answer, correct) in enumerate(graded)
        ]


def draw_samples(
    engine: Engine, encoder: Encoder, problems: list[Problem], name: str, run: StageRun[Params]
) -> Iterator[list[Sample]]:
    """The samples of each problem, as soon as the last of them has ended. Raises UserError for too long a prompt."""
    from stages.lib.models import encoding

    params, max_new_tokens = run.params, run.params.max_new_tokens
    prompts = encoding.encode_prompts(encoder, problems, max_new_tokens, engine.context_length, "samples")
    keys = [make_keys(run.seed, problem, get_sample_count(name, params)) for problem in problems]
    distribution = GREEDY if name == "test_greedy" else params.distribution
    stream = engine.stream(prompts, keys, distribution, max_new_tokens, encoder.stops, encoder.calculator)
    yield from run.track_progress(make_samples(stream, encoder, problems), len(problems), name)


def predict_options(
    path: Path, device: Any, encoder: Encoder, problems: list[Problem], run: StageRun[Params]
) -> Iterator[list[Sample]]:
    """The likeliest option of each problem. The model is freed before an engine fills the memory."""
    from stages.lib.inference import multiple_choice
    from stages.lib.models import loading

    model: Any = loading.load_causal_lm(path, run.params.dtype)
    model.to(device)
    for problem in run.track_progress(problems, len(problems), "options"):
        yield [multiple_choice.predict_choice(model, encoder, problem)]


def summarize(samples: list[Sample]) -> dict[str, float]:
    """Counts and rates of a set: pass@1, pass@N, the shares that finished and that gave an answer, tokens."""
    if not samples:
        return {"problems": 0, "samples": 0, "tokens": 0}
    groups = [[sample.is_right for sample in pool] for pool in records.group_by_problem(samples).values()]
    tokens = sum(sample.tokens for sample in samples)
    return {
        "problems": len(groups),
        "samples": len(samples),
        "pass_at_1": sum(sum(group) / len(group) for group in groups) / len(groups),
        "pass_at_n": sum(map(any, groups)) / len(groups),
        "finished": sum(sample.finish == "stop" for sample in samples) / len(samples),
        "answered": sum(sample.answer is not None for sample in samples) / len(samples),
        "tokens": tokens,
        "mean_tokens": tokens / len(samples),
    }


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.inference import engines
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder
    from stages.lib.run import distributed

    state: Any = distributed.init_processes(run)
    path = run.input_path("generator", "model")
    encoder = Encoder.load(path, run.input_path("generator", "prompt.json"))
    problems = {name: eval_sets.load_problems(run, name.partition("_")[0]) for name in SAMPLE_SETS}
    problems["test_options"] = [problem for problem in problems["test_options"] if problem.choices]
    engine, params = None, run.params
    for name in SAMPLE_SETS:
        finished = distributed.load_finished(run.checkpoint_dir, name, Sample)
        shard = distributed.select_shard(run, problems[name], finished, lambda problem: problem.id)
        if shard and name == "test_options":
            distributed.append_records(run, name, predict_options(path, state.device, encoder, shard, run))
        elif shard:
            engine = engine or engines.make_engine(params.engine, path, params.max_rows, params.dtype, state.device)
            distributed.append_records(run, name, draw_samples(engine, encoder, shard, name, run))
    state.wait_for_everyone()
    if not run.is_main:
        return {}
    metrics: dict[str, Any] = {"parameters": loading.count_stored_parameters(path)}
    for name in SAMPLE_SETS:
        samples = distributed.gather_records(run, name, (problem.id for problem in problems[name]), Sample)
        records.write_samples(run.out_dir / f"{name}.parquet", samples)
        metrics[name] = summarize(samples)
        run.count(tokens=metrics[name]["tokens"])
    return metrics


def main() -> None:
    run_stage("samples", Params, body)


if __name__ == "__main__":
    main()
