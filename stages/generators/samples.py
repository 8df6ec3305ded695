"""Stage samples: draw N solutions for every problem, extract their answers, grade them.

Reads data/generator/{model, prompt.json}, data/selection/verifier.jsonl, data/benchmarks/{dev,test}.jsonl,
data/ood/test.jsonl and data/aime/{test,unseen}.jsonl. Writes data/samples/{verifier,dev,test,ood,aime}.parquet (N solutions
a problem at one temperature), test_greedy.parquet (one), test_options.parquet (for multiple choice, the likeliest option's
letter), results.json with the figures of every set, and metrics.json with their headline.

Verifiers learn from `verifier` and are evaluated on the others. All sets have one temperature, because a verifier should
be trained on the distribution that it will rank (Cobbe et al. 2021, arXiv:2110.14168, draw both at 0.7). A solution that
was cut off has no answer; nor has one that does not mark it, where prompt.json says `marked`. Every draw is keyed by
problem and index: more samples, another batch or more processes change none of those already drawn.

    python -m stages.generators.samples
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from stages.lib.core import records, seeds
from stages.lib.core.records import Problem, Sample
from stages.lib.datasets import eval_sets
from stages.lib.grading.draws import make_samples
from stages.lib.inference.sampling import GREEDY
from stages.lib.inference.sampling_params import SamplingParams
from stages.lib.run.execution import StageRun, run_stage

if TYPE_CHECKING:
    from pathlib import Path

    from stages.lib.inference.sampling import Engine
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.prompts import Prompt

VERSION = 1  # part of every key: raise it when the way of drawing changes
HEADLINE = (
    "*.pass_at_1",
    *(f"{name}.pass_at_n" for name in ("dev", "test", "ood", "aime")),
    *(f"{name}.finished" for name in ("test", "ood", "aime")),
    "test.mean_tokens",
)
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


def load_engine(params: Params, prompt: Prompt, path: Path, device: Any) -> tuple[Engine, Encoder]:
    from stages.lib.inference import engines
    from stages.lib.models.encoding import Encoder

    engine = engines.make_engine(params.engine, path, params.max_rows, params.dtype, device)
    return engine, Encoder.load(path, prompt)


def draw_samples(
    params: Params, seed: int, name: str, generator: tuple[Engine, Encoder], problems: list[Problem]
) -> Iterator[list[Sample]]:
    """The samples of each problem, as soon as the last of them has ended. Raises UserError for too long a prompt."""
    from stages.lib.models import encoding

    (engine, encoder), max_new_tokens = generator, params.max_new_tokens
    prompts = encoding.encode_prompts(encoder, problems, max_new_tokens, engine.context_length, "samples")
    keys = [make_keys(seed, problem, get_sample_count(name, params)) for problem in problems]
    distribution = GREEDY if name == "test_greedy" else params.distribution
    stream = engine.stream(prompts, keys, distribution, max_new_tokens, encoder.stops, encoder.calculator)
    yield from make_samples(stream, encoder, problems)


def load_model(params: Params, prompt: Prompt, path: Path, device: Any) -> tuple[Any, Encoder]:
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder

    model: Any = loading.load_causal_lm(path, params.dtype)
    return model.to(device), Encoder.load(path, prompt)


def predict_options(generator: tuple[Any, Encoder], problems: list[Problem]) -> Iterator[list[Sample]]:
    """The likeliest option of each problem."""
    from stages.lib.inference import multiple_choice

    for problem in problems:
        yield [multiple_choice.predict_choice(*generator, problem)]


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
    from stages.lib.models import loading
    from stages.lib.models.prompts import Prompt
    from stages.lib.run import distributed

    state: Any = distributed.init_processes(run)
    path, prompt = run.input_path("generator", "model"), Prompt.read(run.input_path("generator", "prompt.json"))
    problems = {name: eval_sets.load_problems(run, name.partition("_")[0]) for name in SAMPLE_SETS}
    problems["test_options"] = [problem for problem in problems["test_options"] if problem.choices]
    # The model that reads options is freed before an engine fills the memory.
    for names, load in ((SAMPLE_SETS[:1], load_model), (SAMPLE_SETS[1:], load_engine)):
        with distributed.open_workers(run, path, partial(load, run.params, prompt), state.device) as workers:
            for name in names:
                draw = predict_options if load is load_model else partial(draw_samples, run.params, run.seed, name)
                distributed.make_records(run, workers, name, problems[name], draw, Sample, lambda problem: problem.id)
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
    run_stage("samples", Params, body, HEADLINE)


if __name__ == "__main__":
    main()
