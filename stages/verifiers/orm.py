"""Stage orm: the outcome verifier of Cobbe et al. 2021 (arXiv 2110.14168, section 4.2).

Reads data/{generator or base}/model (`start`), data/generator/prompt.json,
data/samples/{verifier,dev}.parquet and the problems of
data/benchmarks/{train,verifier,dev}.jsonl; writes data/orm/{model, history.csv, metrics.json}. Learns from final answers
alone: every solution token (level token) or the last one (level solution) predicts whether the answer is right, by bce or
mse. The joint language-model loss (`lm_weight`) falls on the generator's gold solutions (lm_data gold, as in the paper:
an equal mix of language and verification examples) or on the right samples themselves (lm_data samples: no extra
sequences).

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.verifiers.orm
"""

from __future__ import annotations

import sys
from itertools import cycle, islice
from typing import Any, Literal

from pydantic import Field

from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams


class Params(TrainingParams):
    init_from: Literal["generator", "base"]  # the model that it starts from
    predict_at: Literal["token", "solution"]  # predict at every token of a solution, or only at its last
    loss: Literal["bce", "mse"]  # of verification: binary cross-entropy or squared error
    lm_weight: float = Field(ge=0)  # 1: the paper's unweighted sum; 0: verification alone
    lm_data: Literal["gold", "samples"]  # of the language-model loss: gold solutions, or the correct samples
    head_init_tokens: list[str] = Field(
        max_length=2
    )  # [right, wrong]: the head starts as their logits' difference; []: at 0
    dropout: float = Field(ge=0, lt=1)  # on what each layer adds to the residual stream
    samples_per_problem: int = Field(gt=0)  # the first so many of the pool; an epoch sees each once
    skip_uniform_problems: bool  # leave out problems whose samples are all right or all wrong
    eval_problems: int = Field(gt=0)  # of dev, for this stage's own metrics; stage scores measures all


def select_samples(samples: list[Any], params: Params) -> list[Any]:
    """The samples to train on, by problem."""
    from stages.lib.core.records import group_by_problem

    pools = group_by_problem(sample for sample in samples if sample.index < params.samples_per_problem).values()
    if params.skip_uniform_problems:
        pools = [pool for pool in pools if len({sample.correct for sample in pool}) == 2]
    return [sample for pool in pools for sample in pool]


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.core import files, records, seeds
    from stages.lib.core.errors import UserError
    from stages.lib.metrics import ranking
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder
    from stages.lib.training import loop, sft
    from stages.lib.verifiers.outcome import OutcomeVerifier, make_example, score_pools

    params = run.params
    problems = {
        split: {
            problem.id: problem for problem in records.read_problems(run.input_path("benchmarks", f"{split}.jsonl"))
        }
        for split in ("train", "verifier", "dev")
    }
    samples = select_samples(records.read_samples(run.input_path("samples", "verifier.parquet")), params)
    if not samples:
        raise UserError(
            "data/samples/verifier.parquet: nothing to train on; raise benchmarks.sizes.verifier, or mixed_only: false"
        )
    if len({sample.correct for sample in samples}) < 2 and run.is_main:
        print(
            "orm: warning: all samples are right, or all wrong: this verifier cannot tell them apart", file=sys.stderr
        )
    path = run.input_path(params.init_from, "model")
    encoder = Encoder.load(path, run.input_path("generator", "prompt.json"))
    model = loading.add_lora(loading.load_causal_lm(path), params.lora_rank, seeds.key(run.seed, run.name, "adapters"))
    verifier = OutcomeVerifier("orm", model, encoder, params.loss)
    if params.head_init_tokens:
        verifier.init_head_from_tokens(*params.head_init_tokens)
    own = params.lm_weight > 0 and params.lm_data == "samples"
    examples = [
        make_example(
            encoder, problems["verifier"][sample.problem_id], sample, params.predict_at, lm=own and bool(sample.correct)
        )
        for sample in samples
    ]
    if params.lm_weight > 0 and params.lm_data == "gold":
        worked = [
            sft.make_sft_example(encoder, problem) for problem in problems["train"].values() if sft.get_steps(problem)
        ]
        if not worked:
            raise UserError("data/benchmarks/train.jsonl: no problem has a gold solution; set orm.lm_data: samples")
        examples += islice(cycle(worked), len(examples))  # an equal mix: the few gold solutions come round many times
    history = loop.train(
        run, verifier.make_loss_module(), examples, params, lm_weight=params.lm_weight, dropout=params.dropout
    )
    pools = records.group_by_problem(records.read_samples(run.input_path("samples", "dev.parquet")))
    pools = dict(list(pools.items())[: params.eval_problems])
    found = score_pools(run, verifier, problems["dev"], pools)
    scores = [[score.score for score in found[name]] for name in pools]
    correct = [[bool(sample.correct) for sample in pool] for pool in pools.values()]
    tokens = [[sample.tokens for sample in pool] for pool in pools.values()]
    if run.is_main:
        verifier.save(run.out_dir / "model")
        files.write_text(run.out_dir / "history.csv", history.to_csv())
    return {
        "samples": len(samples),
        "share_right": sum(bool(sample.correct) for sample in samples) / len(samples),
        "steps": len(history.rows),
        "verification_loss": history.rows[-1].get("verification_loss"),
        "lm_loss": history.rows[-1].get("lm_loss"),
        "dev": ranking.compute(scores, correct, tokens),
    }


def main() -> None:
    run_stage("orm", Params, body)


if __name__ == "__main__":
    main()
