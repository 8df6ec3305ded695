"""samples: draw N solutions for every problem, extract their answers, grade them.

Reads data/generator/{model, prompt.json}, data/benchmarks/{verifier,dev,test}.jsonl, data/ood/test.jsonl and
data/aime/{test,unseen}.jsonl.
Writes data/samples/{verifier,dev,test,ood,aime}.parquet (N solutions a problem at one temperature), test_greedy.parquet
(one) and test_options.parquet (of multiple choice, the option whose letter is likeliest).

The verifiers learn from `verifier` and are judged on the others; all are drawn at the same temperature, for a
verifier trained on other samples than it will rank is tested out of its depth (Cobbe et al. 2021, arXiv:2110.14168, draw
both at 0.7). A solution that was cut off has no answer, nor has one
that does not mark it (prompt.json, `marked`). Every draw is keyed by problem and index: more samples, another
batch or more processes change none of those already drawn.

    python -m stages.generators.samples
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from stages.lib.core import params, records, seeds
from stages.lib.core.records import Problem, Sample
from stages.lib.datasets import eval_sets
from stages.lib.grading import grader
from stages.lib.models import encoding
from stages.lib.run.execution import StageRun, run_stage

if TYPE_CHECKING:
    from pathlib import Path

    from stages.lib.inference.sampling import Draw, Engine
    from stages.lib.models.encoding import Encoder

VERSION = 1  # part of every key: raise it when the way of drawing changes
SAMPLE_SETS = ("test_options", *eval_sets.SET_FILES, "test_greedy")


class Params(params.Params):
    engine: Literal["native", "vllm"]  # what decodes: the engine of this repository, or vLLM
    n_verifier: int = Field(ge=1)  # samples a problem for training verifiers
    n_eval: int = Field(ge=1)  # samples a problem of dev and test
    n_ood: int = Field(ge=1)  # samples a problem of ood and aime
    temperature: float = Field(gt=0)  # of every draw, except the greedy ones
    max_new_tokens: int = Field(ge=1)  # tokens of a sample at most; a longer one is cut off and counts as wrong
    max_rows: int = Field(ge=16)  # samples decoded at a time on each process; changes speed and memory, no sample
    dtype: Literal["float32", "bfloat16", "float16"]  # number format of the weights


def get_sample_count(name: str, params: Params) -> int:
    """Samples a problem."""
    if name in eval_sets.OOD:
        return params.n_ood
    return {"verifier": params.n_verifier, "test_greedy": 1}.get(name, params.n_eval)


def make_keys(seed: int, problem: Problem, n: int) -> list[int]:
    return [seeds.key(seed, "samples", VERSION, problem.id, index) for index in range(n)]


def grade_draws(drawn: Iterable[tuple[Problem, list[Draw]]], encoder: Encoder) -> Iterator[list[Sample]]:
    """The draws of each problem as samples, graded, in order; those that were cut off have no answer."""
    read = ((problem, draws, [encoder.decode_solution(draw.ids) for draw in draws]) for problem, draws in drawn)

    def solutions(one: tuple[Problem, list[Draw], list[str]]) -> grader.ProblemTexts:
        problem, draws, texts = one
        return problem, [text if draw.finish == "stop" else None for text, draw in zip(texts, draws, strict=True)]

    for (problem, draws, texts), grades in grader.grade_each(read, solutions, encoder.prompt.marked):
        yield [
            Sample(
                problem_id=problem.id,
                index=index,
                text=text,
                answer=grade.answer,
                finish=draw.finish,
                correct=grade.correct,
                logprob=sum(draw.logprobs),
                min_logprob=min(draw.logprobs),
                tokens=len(draw.ids),
            )
            for index, (draw, text, grade) in enumerate(zip(draws, texts, grades, strict=True))
        ]


def draw_samples(
    engine: Engine, encoder: Encoder, problems: list[Problem], name: str, run: StageRun[Params]
) -> Iterator[list[Sample]]:
    """The samples of each problem, as soon as the last of them has ended. Raises UserError for too long a prompt."""
    prompts = encoding.encode_prompts(encoder, problems, run.params.max_new_tokens, engine.context_length, "samples")
    own = [make_keys(run.seed, problem, get_sample_count(name, run.params)) for problem in problems]
    temperature = 0.0 if name == "test_greedy" else run.params.temperature
    stream = engine.stream(prompts, own, temperature, run.params.max_new_tokens, encoder.stops)
    found = grade_draws(((problems[i], draws) for i, draws in stream), encoder)
    yield from run.track_progress(found, len(problems), name)


def predict_options(
    path: Path, device: Any, encoder: Encoder, problems: list[Problem], run: StageRun[Params]
) -> Iterator[list[Sample]]:
    """The likeliest option of each problem. Its model is gone before an engine fills the memory."""
    from stages.lib.inference import multiple_choice
    from stages.lib.models import loading

    model = loading.load_causal_lm(path, run.params.dtype).to(device)
    for problem in run.track_progress(problems, len(problems), "options"):
        yield [multiple_choice.predict_choice(model, encoder, problem)]


def summarize(samples: list[Sample]) -> dict[str, float]:
    if not samples:
        return {"problems": 0, "samples": 0, "tokens": 0}
    groups = [[bool(sample.correct) for sample in own] for own in records.group_by_problem(samples).values()]
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

    state = distributed.init_processes(run)
    path = run.input_path("generator", "model")
    encoder = Encoder.load(path, run.input_path("generator", "prompt.json"))
    problems = {name: eval_sets.load_problems(run, name.partition("_")[0]) for name in SAMPLE_SETS}
    problems["test_options"] = [problem for problem in problems["test_options"] if problem.choices]
    engine = None
    for name in SAMPLE_SETS:
        done = distributed.load_finished(run.checkpoint_dir, name, Sample)
        mine = distributed.select_shard(run, problems[name], done, lambda problem: problem.id)
        if mine and name == "test_options":
            distributed.append_records(run, name, predict_options(path, state.device, encoder, mine, run))
        elif mine:
            engine = engine or engines.make_engine(
                run.params.engine, path, run.params.max_rows, run.params.dtype, state.device
            )
            distributed.append_records(run, name, draw_samples(engine, encoder, mine, name, run))
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
