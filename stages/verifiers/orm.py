"""Stage orm: train the outcome verifier of Cobbe et al. 2021 (arXiv 2110.14168, section 4.2).

Reads data/{generator or base}/model (`init_from`), data/generator/prompt.json, data/samples/{verifier,dev}.parquet and
the problems of data/selection/{train,verifier}.jsonl and data/benchmarks/dev.jsonl. Writes data/orm/{model, history.csv,
metrics.json}.

The verifier learns from final answers alone: every solution token (`predict_at: token`), or the last one (`solution`),
predicts whether the answer is right, by binary cross-entropy or squared error. A language-model loss is added
(`lm_weight`), either on gold solutions (`lm_data: gold`, as in the paper: as many language as verification examples) or
on the right samples themselves (`lm_data: samples`, which needs no extra sequences).

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.verifiers.orm
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from stages.lib.core.records import Problem, Sample
    from stages.lib.models.batch import Example
    from stages.lib.models.encoding import Encoder


class Params(TrainingParams):
    init_from: Literal["generator", "base"]  # the model that training starts from
    predict_at: Literal["token", "solution"]  # predict at every token of a solution, or only at its last
    loss: Literal["bce", "mse"]  # of verification: binary cross-entropy or squared error
    lm_weight: float = Field(ge=0)  # 1: the paper's unweighted sum; 0: verification alone
    lm_data: Literal["gold", "samples"]  # of the language-model loss: gold solutions, or the correct samples
    head_init_tokens: list[str] = Field(
        max_length=2
    )  # [right, wrong]: the head starts as their logits' difference; []: at 0
    dropout: float = Field(ge=0, lt=1)  # on what each layer adds to the residual stream
    samples_per_problem: int = Field(gt=0)  # at most this many samples of a problem; an epoch sees each once
    dedupe: bool  # equal solutions of a problem count once
    skip_uniform_problems: bool  # leave out problems whose samples are all right or all wrong
    eval_problems: int = Field(gt=0)  # of dev, for this stage's metrics; stage scores measures all

    @model_validator(mode="after")
    def _check_head_tokens(self) -> Params:
        if len(self.head_init_tokens) == 1:
            raise ValueError("head_init_tokens must be two, [right, wrong], or none, []")
        return self


def build_examples(
    encoder: Encoder, problems: dict[str, Problem], samples: list[Sample], gold: list[Problem], params: Params
) -> list[Example]:
    """Verification examples and, with `lm_data: gold`, as many gold solutions: the few there are, over and over."""
    from stages.lib.core.errors import UserError
    from stages.lib.training import sft
    from stages.lib.verifiers.outcome import make_example

    use_samples = params.lm_weight > 0 and params.lm_data == "samples"
    examples = [
        make_example(encoder, problems[s.problem_id], s, params.predict_at, lm=use_samples and bool(s.correct))
        for s in samples
    ]
    if params.lm_weight > 0 and params.lm_data == "gold":
        solutions = [sft.make_sft_example(encoder, problem) for problem in gold if sft.get_steps(problem)]
        if not solutions:
            raise UserError("data/selection/train.jsonl: no problem has a gold solution; set orm.lm_data: samples")
        examples += islice(cycle(solutions), len(examples))
    return examples


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.core.errors import UserError
    from stages.lib.metrics import ranking
    from stages.lib.training import loop
    from stages.lib.verifiers import data, saving
    from stages.lib.verifiers.outcome import OutcomeVerifier

    params = run.params
    problems, gold = data.read_problems(run, "verifier"), data.read_problems(run, "train")
    samples = data.read_samples(run, "verifier")
    samples = data.select_samples(samples, params.samples_per_problem, params.skip_uniform_problems, params.dedupe)
    if not samples:
        raise UserError(
            "data/samples/verifier.parquet: nothing to train on; raise benchmarks.sizes.verifier, or set "
            "orm.skip_uniform_problems: false"
        )
    data.warn_if_uniform(run, samples, "this verifier cannot tell them apart")
    dev = data.read_dev_pools(run)

    verifier = OutcomeVerifier("orm", data.load_model(run), data.load_encoder(run), params.loss)
    if params.head_init_tokens:
        verifier.init_head_from_tokens(*params.head_init_tokens)
    examples = build_examples(verifier.encoder, problems, samples, list(gold.values()), params)
    history = loop.train(run, verifier.make_objective(params.lm_weight), examples, params, dropout=params.dropout)
    scores = [[score.score for score in pool] for pool in data.score_dev(run, verifier, dev)]
    saving.write_outputs(run, verifier, history)
    tokens = [[sample.tokens for sample in pool] for _, pool in dev]
    return {
        "samples": len(samples),
        "tokens": sum(len(example.ids) for example in examples),
        "share_right": sum(bool(sample.correct) for sample in samples) / len(samples),
        "steps": len(history.rows),
        "verification_loss": history.rows[-1].get("verification_loss"),
        "lm_loss": history.rows[-1].get("lm_loss"),
        "dev": ranking.compute(scores, data.get_outcomes(dev), tokens),
    }


def main() -> None:
    run_stage("orm", Params, body)


if __name__ == "__main__":
    main()
