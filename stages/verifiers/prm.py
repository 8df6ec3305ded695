"""Stage prm: the process verifier of Wang et al. 2023 (Math-Shepherd, arXiv 2312.08935).

Reads data/{generator or base}/model (`start`), data/generator/prompt.json,
data/samples/{verifier,dev}.parquet, data/labels/{verifier.parquet, dev.parquet, imported} and
data/benchmarks/{verifier,dev}.jsonl; writes data/prm/{model, history.csv, metrics.json}. It learns, at the last token of
every step, whether all is right so far, by the labels of one method (`labels`); at the end of the solution it learns the
outcome. With `labels: imported` problems, solutions and labels are published ones. How step scores become one score is
chosen on dev among `aggregations`, by AUC within a problem, and kept in model/verifier.json; stage scores stores the
step scores themselves.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.verifiers.prm
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams
from stages.lib.verifiers.aggregation import Aggregation

if TYPE_CHECKING:
    from stages.lib.core.records import Problem, Sample, StepLabel

LabelsBySample = dict[tuple[str, int], dict[int, float]]  # (problem, sample) -> step -> value


class Params(TrainingParams):
    init_from: Literal["generator", "base"]  # the model that it starts from
    labels: Literal["exact", "mc_hard", "mc_soft", "binary_search", "imported"]  # the step labels to learn from
    head: Literal["scalar", "token_logits"]  # a scalar head, or two words of the vocabulary
    head_init_tokens: list[str] = Field(
        max_length=2
    )  # [right, wrong]: what `token_logits` reads, and what a scalar head starts from; []: at 0
    step_marker: str  # what follows every step when it is read, as in work marked by a teacher; "" for nothing
    learn_after_first_error: bool  # also learn from what follows the first wrong step
    lm_weight: float = Field(ge=0)  # of the language-model loss on right samples
    dropout: float = Field(ge=0, lt=1)  # on what each layer adds to the residual stream
    samples_per_problem: int = Field(gt=0)  # the first so many of the pool; an epoch sees each once
    dedupe: bool  # equal solutions of a problem count once, as in Math-Shepherd's pool
    skip_uniform_problems: bool  # leave out problems whose samples are all right or all wrong
    aggregations: list[Aggregation] = Field(min_length=1)  # the best on dev is kept
    eval_problems: int = Field(gt=0)  # of dev, to choose by and for this stage's own metrics; stage scores measures all

    @model_validator(mode="after")
    def _check_head_tokens(self) -> Params:
        if len(self.head_init_tokens) == 1 or (self.head == "token_logits" and not self.head_init_tokens):
            raise ValueError("head_init_tokens must be two, [right, wrong], or for a scalar head also none, []")
        return self


def group_by_sample(labels: list[StepLabel], method: str) -> LabelsBySample:
    """The values of one method; imported: of all that there are."""
    found: LabelsBySample = {}
    for label in labels:
        if method in (label.method, "imported"):
            found.setdefault((label.problem_id, label.index), {})[label.step] = label.value
    return found


def merge_duplicates(samples: list[Sample], labels: LabelsBySample) -> LabelsBySample:
    """Every sample with the labels of all that are equal to it, of which `distinct` keeps one. Where labels of a step
    differ, as those of two people may, it has their mean."""
    from statistics import fmean

    values: dict[Any, dict[int, list[float]]] = {}
    for sample in samples:
        for step, value in labels.get((sample.problem_id, sample.index), {}).items():
            values.setdefault((sample.problem_id, sample.text, sample.finish), {}).setdefault(step, []).append(value)
    return {
        (sample.problem_id, sample.index): {
            step: given[0] if len(set(given)) == 1 else fmean(given) for step, given in sorted(own.items())
        }
        for sample in samples
        if (own := values.get((sample.problem_id, sample.text, sample.finish)))
    }


def select_samples(samples: list[Sample], labels: LabelsBySample, params: Params) -> list[Sample]:
    """The samples to train on, by problem: those that have labels, or no step that could have one."""
    from stages.lib.core.records import group_by_problem

    first: dict[Any, Sample] = {}
    for sample in samples:
        known = (sample.problem_id, sample.index) in labels or not sample.text.strip()
        if sample.index < params.samples_per_problem and known:
            which = (sample.text, sample.finish) if params.dedupe else sample.index
            first.setdefault((sample.problem_id, which), sample)
    pools = list(group_by_problem(first.values()).values())
    if params.skip_uniform_problems:
        pools = [pool for pool in pools if len({sample.correct for sample in pool} - {None}) == 2]
    return [sample for pool in pools for sample in pool]


def load_training_data(run: StageRun[Params]) -> tuple[dict[str, Problem], list[Sample], LabelsBySample]:
    """Problems, samples and labels to learn from: the pipeline's own, or what was published. Raises UserError for none."""
    from stages.lib.core import records
    from stages.lib.core.errors import UserError

    method = run.params.labels
    if method == "imported":
        folder = run.input_path("labels", "imported")
        files = folder / "problems.jsonl", folder / "samples.parquet", folder / "labels.parquet"
        remedy = "name files of published labels in labels.imported"
    else:
        files = (
            run.input_path("benchmarks", "verifier.jsonl"),
            run.input_path("samples", "verifier.parquet"),
            run.input_path("labels", "verifier.parquet"),
        )
        remedy = "set prm.labels to a method that stage labels makes for these problems"
    labels = group_by_sample(records.read_labels(files[2]), method)
    if not labels:
        raise UserError(f"{files[2].relative_to(run.root)}: no step has a label of method {method!r}; {remedy}")
    return {problem.id: problem for problem in records.read_problems(files[0])}, records.read_samples(files[1]), labels


def compute_step_auc(steps: Mapping[tuple[str, int], list[float]], labels: LabelsBySample) -> float | None:
    """Chance that a right step outscores a wrong one, over all steps up to the first wrong one of their solution."""
    from stages.lib.metrics.ranking import within_problem_auc

    scores, right = [], []
    for key, values in labels.items():
        for step, value in sorted(values.items()):
            if key not in steps or step >= len(steps[key]):
                break
            scores.append(steps[key][step])
            right.append(value > 0)
            if not value:
                break
    return within_problem_auc([scores], [right])


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.core import files, records, seeds
    from stages.lib.core.errors import UserError
    from stages.lib.metrics import ranking
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder
    from stages.lib.training import loop
    from stages.lib.verifiers import aggregation
    from stages.lib.verifiers.outcome import score_pools
    from stages.lib.verifiers.process import ProcessVerifier, make_example

    params = run.params
    problems, samples, labels = load_training_data(run)
    pool = len(samples)
    if params.dedupe:
        labels = merge_duplicates(samples, labels)
    samples = select_samples(samples, labels, params)
    if not samples:
        raise UserError(
            "prm: no solution to train on; raise benchmarks.sizes.verifier or samples_per_problem, or mixed_only: false"
        )
    path = run.input_path(params.init_from, "model")
    encoder = Encoder.load(path, run.input_path("generator", "prompt.json"))
    model = loading.add_lora(loading.load_causal_lm(path), params.lora_rank, seeds.key(run.seed, run.name, "adapters"))
    verifier = ProcessVerifier("prm", model, encoder, params.head, params.head_init_tokens, params.step_marker)
    examples, known, too_long, longest = [], 0, 0, model.config.max_position_embeddings
    for sample in samples:
        steps, right = labels.get((sample.problem_id, sample.index), {}), sample.correct
        read = verifier.encode_sample(problems[sample.problem_id], sample)
        if len(read.ids) > longest:
            too_long += 1
            continue
        examples.append(
            make_example(read, steps, right, params.learn_after_first_error, lm=params.lm_weight > 0 and bool(right))
        )
        known += len(steps)
    if not examples:
        raise UserError(f"prm: every solution is longer than the {longest} tokens that the model reads")
    history = loop.train(run, verifier.make_objective(params.lm_weight), examples, params, dropout=params.dropout)
    dev = {problem.id: problem for problem in records.read_problems(run.input_path("benchmarks", "dev.jsonl"))}
    truths = records.read_labels(run.input_path("labels", "dev.parquet"))  # of dev nothing is imported
    truths = group_by_sample(truths, "exact" if params.labels == "imported" else params.labels)
    pools = records.group_by_problem(records.read_samples(run.input_path("samples", "dev.parquet")))
    pools = dict(list(pools.items())[: params.eval_problems])
    found = score_pools(run, verifier, dev, pools)
    steps = {name: [score.step_scores for score in found[name]] for name in pools}
    correct = [[bool(sample.correct) for sample in pool] for pool in pools.values()]
    verifier.aggregation, areas = aggregation.choose(list(steps.values()), correct, params.aggregations)
    flat = [aggregation.aggregate(verifier.aggregation, found) for pool in steps.values() for found in pool]
    truth = [right for pool in correct for right in pool]
    by_key = {
        (s.problem_id, s.index): x for name, pool in pools.items() for s, x in zip(pool, steps[name], strict=True)
    }
    outcomes = [sample.correct for sample in samples if sample.correct is not None]
    if run.is_main:
        verifier.save(run.out_dir / "model")
        files.write_text(run.out_dir / "history.csv", history.to_csv())
    return {
        "samples": len(examples),
        **({"imported": pool} if params.labels == "imported" else {}),
        **({"too_long": too_long} if too_long else {}),
        "labels": known,
        "share_right": sum(outcomes) / len(outcomes) if outcomes else None,
        "steps": len(history.rows),
        "verification_loss": history.rows[-1].get("verification_loss"),
        "lm_loss": history.rows[-1].get("lm_loss"),
        "aggregation": verifier.aggregation,
        "dev": {
            "auc": areas[verifier.aggregation],
            "auc_by_aggregation": areas,
            "step_auc": compute_step_auc(by_key, truths),
            "brier": ranking.brier_score(flat, truth) if flat else None,
            "ece": ranking.expected_calibration_error(flat, truth) if flat else None,
        },
    }


def main() -> None:
    run_stage("prm", Params, body)


if __name__ == "__main__":
    main()
