"""Stage prm: train the process verifier of Wang et al. 2023 (Math-Shepherd, arXiv 2312.08935).

Reads data/{generator or base}/model (`init_from`), data/generator/prompt.json, data/samples/{verifier,dev}.parquet,
data/labels/{verifier.parquet, dev.parquet, imported}, data/selection/verifier.jsonl and data/benchmarks/dev.jsonl. Writes
data/prm/{model, history.csv, others, results.json, metrics.json}.

At the last token of every step the verifier learns whether everything up to there is right, from the labels of one
method; at the end of the solution it learns the outcome. `labels` names the methods. The first trains the verifier `prm`.
Each other trains, with the same settings on the same solutions, the verifier `prm_<method>` in others/<method>/{model,
history.csv}: so labels that every benchmark can have stand beside the truth, which only a program knows. With
`labels: [imported]`, problems, solutions and labels are published ones.

`loss: beta_binomial` learns from the successes and the number of a step's rollouts (lib/models/beta_binomial.py), not from
a share or a decision. So labels mc_soft serve it, and the rollouts that mc_hard and binary_search drew: a search that stops
at its first success has the same likelihood. A label without rollouts is one try.

How step scores become one score is chosen on dev among `aggregations`, by AUC within a problem, and kept in
model/verifier.json. Stage scores keeps the step scores too.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.verifiers.prm
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from stages.lib.core.records import LabelMethod
from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams
from stages.lib.verifiers.aggregation import Aggregation

if TYPE_CHECKING:
    from pathlib import Path

    from stages.lib.core.records import Problem, Sample, StepLabel
    from stages.lib.models.batch import Example
    from stages.lib.verifiers.process import ProcessVerifier

Method = LabelMethod | Literal["imported"]
HEADLINE = (
    *("label_method", "samples", "too_long", "labels", "imported", "tokens", "steps", "verification_loss", "lm_loss"),
    *("aggregation", "dev.auc", "dev.step_auc", "dev.brier", "dev.ece", "others.*.dev.auc", "others.*.dev.step_auc"),
)
LabelsBySample = dict[tuple[str, int], dict[int, float]]  # (problem, sample) -> step -> value


class Params(TrainingParams):
    init_from: Literal["generator", "base"]  # the model that training starts from
    labels: list[Method] = Field(min_length=1)  # step labels to learn from; each after the first trains another model
    head: Literal["scalar", "token_logits"]  # a scalar head, or two words of the vocabulary
    loss: Literal["bce", "beta_binomial"] = "bce"  # cross-entropy, or the likelihood of successes among rollouts
    head_init_tokens: list[str] = Field(
        max_length=2
    )  # [right, wrong]: what `token_logits` reads, and what a scalar head starts from; []: at 0
    step_marker: str  # what follows every step when it is read, as in work marked by a teacher; "" for nothing
    learn_after_first_error: bool  # also learn from what follows the first wrong step
    lm_weight: float = Field(ge=0)  # of the language-model loss on right samples
    dropout: float = Field(ge=0, lt=1)  # on what each layer adds to the residual stream
    samples_per_problem: int = Field(gt=0)  # at most this many samples of a problem; an epoch sees each once
    dedupe: bool  # equal solutions of a problem count once, as in Math-Shepherd's pool
    skip_uniform_problems: bool  # leave out problems whose samples are all right or all wrong
    aggregations: list[Aggregation] = Field(min_length=1)  # the best on dev is kept
    eval_problems: int = Field(gt=0)  # of dev, for choices and for this stage's metrics; stage scores measures all

    @model_validator(mode="after")
    def _check_labels(self) -> Params:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels must differ, not {', '.join(self.labels)}")
        if "imported" in self.labels and len(self.labels) > 1:
            raise ValueError("labels: imported stands alone, because published labels are of other solutions")
        return self

    @model_validator(mode="after")
    def _check_head_tokens(self) -> Params:
        if len(self.head_init_tokens) == 1 or (self.head == "token_logits" and not self.head_init_tokens):
            raise ValueError("head_init_tokens must be two, [right, wrong], or for a scalar head also none, []")
        return self


def get_value(label: StepLabel) -> float:
    return label.value


def get_success_rate(label: StepLabel) -> float:
    """The share of successful rollouts; without rollouts the value."""
    return (label.successes or 0) / label.rollouts if label.rollouts else label.value


def get_tries(label: StepLabel) -> float:
    return label.rollouts or 1


def group_by_sample(
    labels: list[StepLabel], method: str, read: Callable[[StepLabel], float] = get_value
) -> LabelsBySample:
    """What `read` says of the labels of one method; of all methods for `imported`."""
    values: LabelsBySample = {}
    for label in labels:
        if method in (label.method, "imported"):
            values.setdefault((label.problem_id, label.index), {})[label.step] = read(label)
    return values


def merge_duplicates(samples: list[Sample], labels: LabelsBySample) -> LabelsBySample:
    """Give every sample the labels of all equal samples, since deduplication keeps only one. Where labels of a step
    differ, as those of two people may, take their mean."""
    from statistics import fmean

    merged: dict[Any, dict[int, list[float]]] = {}
    for sample in samples:
        for step, value in labels.get((sample.problem_id, sample.index), {}).items():
            merged.setdefault((sample.problem_id, sample.text, sample.finish), {}).setdefault(step, []).append(value)
    return {
        (sample.problem_id, sample.index): {
            step: values[0] if len(set(values)) == 1 else fmean(values) for step, values in sorted(by_step.items())
        }
        for sample in samples
        if (by_step := merged.get((sample.problem_id, sample.text, sample.finish)))
    }


def select_samples(samples: list[Sample], labels: Sequence[LabelsBySample], params: Params) -> list[Sample]:
    """The samples to train on, by problem: those that all methods have labelled, or without any step to label."""
    from stages.lib.verifiers import data

    keys = set.intersection(*map(set, labels))
    labelled = [s for s in samples if (s.problem_id, s.index) in keys or not s.text.strip()]
    return data.select_samples(labelled, params.samples_per_problem, params.skip_uniform_problems, params.dedupe)


class TrainingData(NamedTuple):
    """labels: of each method. tries: of how many tries each label is the share of successes; none but for beta_binomial."""

    problems: dict[str, Problem]
    samples: list[Sample]
    labels: dict[Method, LabelsBySample]
    tries: dict[Method, LabelsBySample]


def load_training_data(run: StageRun[Params]) -> TrainingData:
    """The pipeline's own problems, samples and labels, or published ones. Raises UserError for a method without labels."""
    from stages.lib.core import records
    from stages.lib.core.errors import UserError

    if "imported" in run.params.labels:
        folder = run.input_path("labels", "imported")
        paths = folder / "problems.jsonl", folder / "samples.parquet", folder / "labels.parquet"
        remedy = "name files of published labels in labels.imported"
    else:
        places = ("selection", "verifier.jsonl"), ("samples", "verifier.parquet"), ("labels", "verifier.parquet")
        paths = tuple(run.input_path(*place) for place in places)
        remedy = "set prm.labels to methods that stage labels makes for these problems"
    rows = records.read_labels(paths[2])
    methods, counts_tries = run.params.labels, run.params.loss == "beta_binomial"
    read = get_success_rate if counts_tries else get_value
    labels: dict[Method, LabelsBySample] = {method: group_by_sample(rows, method, read) for method in methods}
    tries: dict[Method, LabelsBySample] = {m: group_by_sample(rows, m, get_tries) for m in methods if counts_tries}
    for method in labels:
        if not labels[method]:
            raise UserError(f"{paths[2].relative_to(run.root)}: no step has a label of method {method!r}; {remedy}")
    problems = {problem.id: problem for problem in records.read_problems(paths[0])}
    return TrainingData(problems, records.read_samples(paths[1]), labels, tries)


def build_examples(
    verifier: ProcessVerifier,
    problems: dict[str, Problem],
    samples: list[Sample],
    labels: LabelsBySample,
    params: Params,
    tries: LabelsBySample | None = None,
) -> tuple[list[Example], int]:
    """(examples, number of labels in them). A sample longer than the model's context gives no example."""
    from stages.lib.verifiers.process import make_example

    examples, label_count = [], 0
    for sample in samples:
        encoded = verifier.encode_sample(problems[sample.problem_id], sample)
        if len(encoded.ids) <= verifier.model.config.max_position_embeddings:
            key, lm = (sample.problem_id, sample.index), params.lm_weight > 0 and bool(sample.correct)
            steps, counts = labels.get(key, {}), None if tries is None else tries.get(key, {})
            examples.append(make_example(encoded, steps, sample.correct, params.learn_after_first_error, lm, counts))
            label_count += len(steps)
    return examples, label_count


def compute_step_auc(step_scores: Mapping[tuple[str, int], list[float]], labels: LabelsBySample) -> float | None:
    """The chance that a right step scores above a wrong one, over all steps up to the first wrong one of a solution."""
    from stages.lib.metrics.ranking import within_problem_auc

    scores, is_right = [], []
    for key, values in labels.items():
        for step, value in sorted(values.items()):
            if key not in step_scores or step >= len(step_scores[key]):
                break
            scores.append(step_scores[key][step])
            is_right.append(value > 0)
            if not value:
                break
    return within_problem_auc([scores], [is_right])


def evaluate_dev(run: StageRun[Params], verifier: ProcessVerifier, method: Method) -> dict[str, Any]:
    """Choose the verifier's aggregation by AUC within a problem, and measure it on dev, its steps by the labels of `method`
    there."""
    from stages.lib.core import records
    from stages.lib.verifiers import aggregation, data

    pools = data.read_dev_pools(run)
    scores = data.score_dev(run, verifier, pools)
    steps, outcomes = [[score.step_scores or [] for score in pool] for pool in scores], data.get_outcomes(pools)
    verifier.aggregation, aucs = aggregation.choose(steps, outcomes, run.params.aggregations)
    aggregated = [[aggregation.aggregate(verifier.aggregation, x) for x in pool] for pool in steps]
    labels = records.read_labels(run.input_path("labels", "dev.parquet"))
    labels = group_by_sample(labels, "exact" if method == "imported" else method)
    by_sample = {(score.problem_id, score.index): score.step_scores or [] for pool in scores for score in pool}
    return {
        "auc": aucs[verifier.aggregation],
        "auc_by_aggregation": aucs,
        "step_auc": compute_step_auc(by_sample, labels),
        **data.compute_calibration(aggregated, outcomes),
    }


def train_and_evaluate(
    run: StageRun[Params],
    method: Method,
    problems: dict[str, Problem],
    samples: list[Sample],
    labels: LabelsBySample,
    tries: LabelsBySample | None,
    folder: Path,
) -> dict[str, Any]:
    """Train on the labels of one method, write model and history to `folder`, and return the metrics."""
    from stages.lib.core.errors import UserError
    from stages.lib.training import loop
    from stages.lib.verifiers import data, saving
    from stages.lib.verifiers.process import ProcessVerifier

    params = run.params
    model, encoder = data.load_model(run), data.load_encoder(run)
    name = "prm" if method == params.labels[0] else f"prm_{method}"
    options = params.head, params.head_init_tokens, params.step_marker
    verifier = ProcessVerifier(name, model, encoder, *options, loss=params.loss)
    examples, label_count = build_examples(verifier, problems, samples, labels, params, tries)
    counts = [max(example.target_tries or [1.0]) for example in examples]
    max_tries = math.ceil(max(counts, default=1.0))
    if params.loss == "beta_binomial" and max_tries == 1 and run.is_main:
        print(f"{run.name}: warning: {method} labels count no rollouts, so beta_binomial is bce", file=sys.stderr)
    if not examples:
        context = model.config.max_position_embeddings
        raise UserError(f"prm: every solution is longer than the {context} tokens that the model reads")
    objective = verifier.make_objective(params.lm_weight, max_tries)
    history = loop.train(run, objective, examples, params, dropout=params.dropout)
    dev = evaluate_dev(run, verifier, method)
    saving.write_outputs(run, verifier, history, folder)
    outcomes, too_long = [s.correct for s in samples if s.correct is not None], len(samples) - len(examples)
    return {
        "label_method": method,
        "samples": len(examples),
        **({"too_long": too_long} if too_long else {}),
        "labels": label_count,
        "tokens": sum(len(example.ids) for example in examples),
        "share_right": sum(outcomes) / len(outcomes) if outcomes else None,
        "steps": len(history.rows),
        "verification_loss": history.rows[-1].get("verification_loss"),
        "lm_loss": history.rows[-1].get("lm_loss"),
        "aggregation": verifier.aggregation,
        "dev": dev,
    }


def body(run: StageRun[Params]) -> dict[str, Any]:
    import shutil

    from stages.lib.core.errors import UserError

    params = run.params
    problems, pool, labels, tries = load_training_data(run)
    if params.dedupe:
        labels = {method: merge_duplicates(pool, values) for method, values in labels.items()}
        tries = {method: merge_duplicates(pool, values) for method, values in tries.items()}
    samples = select_samples(pool, list(labels.values()), params)
    if not samples:
        raise UserError(
            f"prm: no solution to train on has labels of {' and '.join(params.labels)}; raise benchmarks.sizes.verifier or "
            f"prm.samples_per_problem, or set prm.skip_uniform_problems: false"
        )
    first, *others = params.labels
    if run.is_main:
        shutil.rmtree(run.out_dir / "others", ignore_errors=True)  # models of methods that are no longer named
        (run.out_dir / "others").mkdir(parents=True)  # an output even where it stays empty
    metrics = train_and_evaluate(run, first, problems, samples, labels[first], tries.get(first), run.out_dir)
    metrics |= {"imported": len(pool)} if first == "imported" else {}
    for method in others:
        # Unfinished work of its own, and a log without its steps, which would be mistaken for those of the first model.
        own = replace(run, key=f"{run.key}/{method}", journal_entry=None)
        folder = run.out_dir / "others" / method
        metrics.setdefault("others", {})[method] = train_and_evaluate(
            own, method, problems, samples, labels[method], tries.get(method), folder
        )
    return metrics


def main() -> None:
    run_stage("prm", Params, body, HEADLINE)


if __name__ == "__main__":
    main()
