"""Stage scores: every sample of dev and test, scored by every verifier.

Reads data/orm/model, data/samples/{dev,test}.parquet and data/benchmarks/{dev,test}.jsonl; writes
data/scores/{dev,test}.parquet and metrics.json: AUC within a problem, calibration, correlation of score and length.
Problems are dealt round the processes; finished ones are kept as they come, so a killed run goes on where it was.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.scores
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from stages.lib.execution import Execution, run
from stages.lib.params import Params as Strict

if TYPE_CHECKING:
    from stages.lib.records import Sample, Score

VERIFIERS = ("orm",)


class Params(Strict):
    dtype: Literal["float32", "bfloat16"]


def measured(pools: dict[str, list[Sample]], scores: dict[tuple[str, int], float]) -> dict[str, float | None]:
    from stages.lib import scorecard

    by_problem = [[scores[s.problem_id, s.index] for s in pool] for pool in pools.values()]
    correct = [[bool(s.correct) for s in pool] for pool in pools.values()]
    samples = [s for pool in pools.values() for s in pool]
    flat, truth = [x for row in by_problem for x in row], [c for row in correct for c in row]
    if not flat:
        return {}
    return {
        "auc": scorecard.within_problem_auc(by_problem, correct),
        "brier": scorecard.brier(flat, truth),
        "ece": scorecard.calibration_error(flat, truth),
        "length_correlation": scorecard.length_correlation(flat, [s.tokens for s in samples]),
    }


def body(run: Execution[Params]) -> dict[str, Any]:
    from stages.lib import models, parts, records
    from stages.lib.verifiers import ScalarVerifier

    state = parts.joined(run)
    verifiers = [ScalarVerifier.load(run.data(name, "model"), run.params.dtype) for name in VERIFIERS]
    for verifier in verifiers:
        verifier.model.to(state.device)
        verifier.head.to(state.device)
    metrics: dict[str, Any] = {verifier.name: {} for verifier in verifiers}
    for split in ("dev", "test"):
        problems = {p.id: p for p in records.read_problems(run.data("benchmarks", f"{split}.jsonl"))}
        pools: dict[str, list[Sample]] = {}
        for sample in records.read_samples(run.data("samples", f"{split}.parquet")):
            pools.setdefault(sample.problem_id, []).append(sample)
        scores: list[Score] = []
        for verifier in verifiers:
            what = f"{verifier.name}-{split}"
            ids = parts.mine(run, list(pools), parts.finished(run.checkpoints, what, records.Score))
            progress = run.progress(ids, len(ids), what)
            parts.append(run, what, (verifier.score(problems[name], pools[name]) for name in progress))
            tokens = sum(sample.tokens for name in ids for sample in pools[name])
            run.count(tokens=tokens, flops=models.flops(verifier.model, tokens, training=False))
        state.wait_for_everyone()
        if run.is_main:
            for verifier in verifiers:
                scores += parts.merged(run, f"{verifier.name}-{split}", pools, records.Score)
            records.write_scores(run.out / f"{split}.parquet", scores)
            for verifier in verifiers:
                mine = {(s.problem_id, s.index): s.score for s in scores if s.verifier == verifier.name}
                metrics[verifier.name][split] = measured(pools, mine)
    return metrics


def main() -> None:
    run("scores", Params, body)


if __name__ == "__main__":
    main()
