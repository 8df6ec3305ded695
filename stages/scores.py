"""Stage scores: every sample of dev, test, ood and aime, scored by every verifier.

Reads data/{orm,prm,genrm}/model, data/generator/prompt.json, data/samples/{dev,test,ood,aime}.parquet and their problems;
writes data/scores/{dev,test,ood,aime}.parquet and metrics.json: weights, AUC within a problem, calibration, correlation of
score and length, how often the lowest step is the last. Solutions of a problem that are equal word for word are scored
once. Problems are dealt round the processes; finished ones are kept as they come, so a killed run goes on where it was.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.scores
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from stages.lib import sets
from stages.lib.execution import Execution, run
from stages.lib.params import Params as Strict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.lib.prompts import Prompt
    from stages.lib.records import Problem, Sample, Score
    from stages.lib.verifiers import Verifier


class Generative(Strict):
    """How rationales are drawn, where the generative verifier was chosen to write them (genrm.mode: cot)."""

    votes: int = Field(ge=1, le=32)  # K
    temperature: float = Field(gt=0)
    max_new_tokens: int = Field(ge=1)
    rows: int = Field(ge=16)  # rationales drawn at a time; changes speed and memory, none of them


class Params(Strict):
    verifiers: list[Literal["orm", "prm", "genrm"]] = Field(min_length=1)
    dtype: Literal["float32", "bfloat16"]
    genrm: Generative


def load(run: Execution[Params], name: str, device: Any) -> Verifier:
    """The verifier that a stage saved, on a device."""
    from stages.lib.generative import GenerativeVerifier, Sampling
    from stages.lib.stepwise import StepVerifier
    from stages.lib.verifiers import ScalarVerifier

    path, dtype = run.data(name, "model"), run.params.dtype
    if name == "genrm":
        asked = Sampling(**run.params.genrm.model_dump(), seed=run.seed)
        verifier = GenerativeVerifier.load(path, asked, dtype)
    else:
        verifier = {"orm": ScalarVerifier, "prm": StepVerifier}[name].load(path, dtype)
        verifier.head.to(device)
    verifier.model.to(device)
    return verifier


def scored(verifier: Verifier, problem: Problem, samples: list[Sample]) -> list[Score]:
    """One Score for each sample; equal solutions share theirs."""
    first: dict[tuple[str, str], int] = {}
    same = [first.setdefault((sample.text, sample.finish), i) for i, sample in enumerate(samples)]
    distinct = sorted(set(same))
    found = dict(zip(distinct, verifier.score(problem, [samples[i] for i in distinct]), strict=True))
    return [found[i].model_copy(update={"index": sample.index}) for i, sample in zip(same, samples, strict=True)]


def all_scored(
    run: Execution[Params], name: str, verifier: Verifier, pools: list[tuple[Problem, list[Sample]]], what: str
) -> Iterator[list[Score]]:
    """The scores of each problem, in any order."""
    if name == "genrm":
        yield from run.progress(verifier.score_many(pools), len(pools), what)
    else:
        for problem, samples in run.progress(pools, len(pools), what):
            yield scored(verifier, problem, samples)


def measured(pools: dict[str, list[Sample]], scores: list[Score], prompt: Prompt) -> dict[str, Any]:
    from stages.lib import scorecard

    given = {(score.problem_id, score.index): score.score for score in scores}
    by_problem = [[given[s.problem_id, s.index] for s in pool] for pool in pools.values()]
    correct = [[bool(s.correct) for s in pool] for pool in pools.values()]
    card = scorecard.card(by_problem, correct, [[s.tokens for s in pool] for pool in pools.values()])
    stepped = {(score.problem_id, score.index): score.step_scores for score in scores if score.step_scores}
    own = [sample for pool in pools.values() for sample in pool if (sample.problem_id, sample.index) in stepped]
    steps = [stepped[sample.problem_id, sample.index][: len(prompt.split(sample.text))] for sample in own]
    return card | ({"lowest_last": lowest} if (lowest := scorecard.lowest_last(steps)) else {})


def body(run: Execution[Params]) -> dict[str, Any]:
    from stages.lib import models, parts, records
    from stages.lib.prompts import Prompt

    prompt = Prompt.read(run.data("generator", "prompt.json"))
    state = parts.joined(run)
    verifiers = {name: load(run, name, state.device) for name in run.params.verifiers}
    metrics: dict[str, Any] = {
        name: {"parameters": models.parameters(verifier.model)} for name, verifier in verifiers.items()
    }
    for split in sets.SCORED:
        problems = {problem.id: problem for problem in sets.problems(run, split)}
        pools = records.by_problem(records.read_samples(run.data("samples", f"{split}.parquet")))
        for name, verifier in verifiers.items():
            what = f"{name}-{split}"
            ids = parts.mine(run, list(pools), parts.finished(run.checkpoints, what, records.Score))
            own = [(problems[item], pools[item]) for item in ids]
            parts.append(run, what, all_scored(run, name, verifier, own, what))
            tokens = sum(sample.tokens for pool in pools.values() for sample in pool)
            run.count(tokens=tokens, flops=models.flops(verifier.model, tokens, training=False))
        state.wait_for_everyone()
        if run.is_main:
            scores = {name: parts.merged(run, f"{name}-{split}", pools, records.Score) for name in verifiers}
            records.write_scores(run.out / f"{split}.parquet", [score for each in scores.values() for score in each])
            for name in verifiers:
                metrics[name][split] = measured(pools, scores[name], prompt)
    return metrics


def main() -> None:
    run("scores", Params, body)


if __name__ == "__main__":
    main()
