"""Step labels: is each step of a solution right? Exact where a program knows the truth; from the pool; by Monte Carlo.

Reads   data/generator/{model, prompt.json} (the completer, unless `completer` names another model),
        data/samples/{verifier,dev}.parquet, data/selection/verifier.jsonl, data/benchmarks/{dev,test}.jsonl, and the
        files of data/raw/labels/ that `imported` names
Writes  data/labels/{verifier,dev}.parquet, imported/{problems.jsonl, samples.parquet, labels.parquet}, and the audit of
        Monte-Carlo labels against the truth: {audit.json, audit.md, audit.png}; {results.json, metrics.json}: counts, and
        how good each method's labels are

Math-Shepherd (Wang et al. 2023, arXiv 2312.08935) completes a solution N times after every step. A step is right if any
completion reaches the answer (hard label); or its value is the share that does (soft label). OmegaPRM (Luo et al. 2024,
arXiv 2406.06592) finds the first wrong step by binary search. A rollout is a pure function of (seed, problem, prefix,
number), so solutions with the same first steps share rollouts, and methods too: each uses a prefix of the same list.
Processes draw rollouts and save them a problem at a time; all labels, and the audit at every N, are computed from them.

Samples are rollouts, too: each continues its own prefixes. So the samples of a problem label the steps of each other at
no cost (`pool`): the steps that a right sample shares are right, those after them wrong. Of a problem without a right
sample, only the last steps are labelled. `pool` and `exact` take all samples, the other methods `problems` of them.

The audit (lib/labels/label_audit.py) compares binary labels with the truth by the micro F1 of placed first errors, and
all labels by AUC and Brier score.

    python -m stages.verifiers.labels
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from stages.lib.core import params, records, seeds
from stages.lib.core.errors import UserError
from stages.lib.core.records import LabelMethod, Problem, Record, Sample, StepLabel
from stages.lib.inference.sampling_params import SamplingParams
from stages.lib.labels import label_methods, truth
from stages.lib.labels.label_methods import Estimate, Solution
from stages.lib.labels.rollouts import Completer, PrefixKey, Search, make_cached_completer, run_searches
from stages.lib.models.prompts import Prompt
from stages.lib.run.execution import StageRun, run_stage

if TYPE_CHECKING:
    from pathlib import Path

    from stages.lib.run.distributed import Workers

SPLITS = ("verifier", "dev")
HEADLINE = (
    *("*.truth_known", "*.completions", "*.right_answer_wrong_step"),
    *("dev.*.auc", "dev.*.micro_f1"),
    "imported.*.labels",
)
CHUNK_PROBLEMS = 64  # problems whose rollouts are drawn together; a kill loses at most these

Place = tuple[str, int]  # problem id, sample index
Truth = Mapping[Place, list[bool]]  # whether each step is right


class Labels(NamedTuple):
    """The labels of a method, by sample and step, and the completions that it takes alone."""

    estimates: dict[Place, dict[int, Estimate]]
    completions: int = 0


LabelsByMethod = dict[LabelMethod, Labels]


class ImportParams(params.Params):
    """Files of published labels, or patterns of them, in data/raw/labels/ (lib/labels/imported_labels.py)."""

    prm800k: list[str]  # files of PRM800K
    math_shepherd: list[str]  # files of Math-Shepherd
    trl: list[str] = []  # files of the stepwise form of TRL: prompt, completions, labels


class Params(SamplingParams):
    imported: ImportParams  # files of published labels, for prm.labels: [imported]
    methods: list[LabelMethod] = Field(
        min_length=1
    )  # how steps are labelled; exact needs a program that knows the truth
    completer: str = Field(min_length=1)  # folder of the model that completes prefixes
    engine: Literal["native", "vllm"]  # what decodes: the engine of this repository, or vLLM
    completions: int = Field(ge=1)  # N, the most rollouts after a step
    problems: int = Field(ge=0)  # the first problems of verifier, for the Monte-Carlo methods; exact and pool take all
    audit_problems: int = Field(ge=0)  # the first problems of dev, for the same and for the audit
    audit_completions: int = Field(ge=1)  # largest N of the audit
    samples_per_problem: int = Field(ge=1)  # the first samples of each problem
    hard_rule: Literal["any_success", "progress", "agreed"]  # mc_hard: any success; relative progress; where both agree
    progress_threshold: float = Field(gt=0)  # threshold of relative progress (GenPRM: 0.8)
    use_pool: bool  # binary search starts after the last step that a right sample of the problem shares
    skip_uniform_problems: bool  # no Monte Carlo for problems whose samples are all right or all wrong
    dtype: Literal["float32", "bfloat16", "float16"]  # number format of the completer's weights


class PrefixRollouts(Record):
    """The outcomes of the rollouts of one prefix of a problem's solutions, in the order of their numbers."""

    problem_id: str
    prefix: str
    correct: list[bool]
    tokens: int  # of all rollouts of the problem; on the row with the empty prefix


def build_searches(params: Params) -> dict[LabelMethod, Callable[[Solution], Search[list[Estimate] | None]]]:
    """The Monte-Carlo methods of `params.methods`; the one that needs most rollouts first, because the others use them."""
    n, threshold = params.completions, params.progress_threshold
    hard_rules = {
        "any_success": lambda solution: label_methods.mc_hard(solution, n),
        "progress": lambda solution: label_methods.relative_progress(solution, n, threshold),
        "agreed": lambda solution: label_methods.consensus(solution, n, threshold),
    }
    searches: dict[LabelMethod, Callable[[Solution], Search[Any]]] = {
        "mc_soft": lambda solution: label_methods.mc_soft(solution, n),
        "mc_hard": hard_rules[params.hard_rule],
        "binary_search": lambda solution: label_methods.binary_search(solution, n),
    }
    return {method: search for method, search in searches.items() if method in params.methods}


def load_samples(path: Path, problems: Sequence[Problem]) -> dict[str, list[Sample]]:
    """problem id -> its samples. Raises UserError for a sample of another problem."""
    pools: dict[str, list[Sample]] = {problem.id: [] for problem in problems}
    for sample in records.read_samples(path):
        if sample.problem_id not in pools:
            raise UserError(
                f"{path}: a sample of {sample.problem_id}, which is no problem of this set; run samples again"
            )
        pools[sample.problem_id].append(sample)
    return pools


def select_solutions(
    problems: Sequence[Problem], pools: Mapping[str, list[Sample]], params: Params, prompt: Prompt
) -> dict[str, list[Solution]]:
    """problem id -> the solutions to label by Monte Carlo."""
    selected = {}
    for problem in problems if build_searches(params) else ():
        pool = pools[problem.id]
        is_mixed = label_methods.is_mixed([bool(sample.correct) for sample in pool])
        if pool and (is_mixed or not params.skip_uniform_problems):
            solutions = label_methods.build_solutions(problem, pool, params.use_pool, prompt.split_steps)
            selected[problem.id] = solutions[: params.samples_per_problem]
    return selected


def draw_rollouts(
    params: Params, name: str, complete: Completer, groups: list[list[Solution]]
) -> Iterator[list[PrefixRollouts]]:
    """For each problem, the rollouts that the methods need and, on dev, the audit. groups: solutions by problem."""
    searches = list(build_searches(params).values())
    if name == "dev":
        searches.insert(0, lambda solution: label_methods.mc_soft(solution, params.audit_completions))
    for chunk in (groups[start : start + CHUNK_PROBLEMS] for start in range(0, len(groups), CHUNK_PROBLEMS)):
        outcomes: dict[PrefixKey, list[bool]] = {}
        tokens: dict[str, int] = {}

        def complete_and_count(requests: Sequence[Any], tokens: dict[str, int] = tokens) -> list[Any]:
            replies = complete(requests)
            for request, reply in zip(requests, replies, strict=True):
                tokens[request.problem.id] = tokens.get(request.problem.id, 0) + reply.tokens
            return replies

        for search in searches:
            jobs = [(solution.problem, solution.steps, search(solution)) for group in chunk for solution in group]
            run_searches(jobs, complete_and_count, outcomes)
        rows: dict[str, list[PrefixRollouts]] = {}
        for (problem_id, prefix), correct in sorted(outcomes.items()):
            row = PrefixRollouts(problem_id=problem_id, prefix=prefix, correct=correct, tokens=0)
            rows.setdefault(problem_id, []).append(row)
        for problem_id in (group[0].problem.id for group in chunk):
            total = PrefixRollouts(problem_id=problem_id, prefix="", correct=[], tokens=tokens.get(problem_id, 0))
            yield [total, *rows.get(problem_id, [])]


def estimate_labels(
    solutions: Sequence[Solution], outcomes: Mapping[PrefixKey, Sequence[bool]], params: Params
) -> LabelsByMethod:
    """The labels of each Monte-Carlo method."""
    labels: LabelsByMethod = {}
    for method, search in build_searches(params).items():
        jobs = [(solution.problem, solution.steps, search(solution)) for solution in solutions]
        results, cost = run_searches(jobs, make_cached_completer(outcomes))
        pairs = zip(solutions, results, strict=True)
        estimates = {(x.problem.id, x.index): dict(enumerate(steps)) for x, steps in pairs if steps is not None}
        labels[method] = Labels(estimates, cost.completions)
    return labels


def label_by_pool(problems: Sequence[Problem], pools: Mapping[str, list[Sample]], prompt: Prompt) -> Labels:
    """What the samples of each problem say about their steps."""
    estimates = {}
    for problem in problems:
        for solution in label_methods.build_solutions(problem, pools[problem.id], split=prompt.split_steps):
            if values := label_methods.label_by_pool(solution):
                estimates[problem.id, solution.index] = {step: Estimate(value) for step, value in values.items()}
    return Labels(estimates)


def compute_exact_labels(
    problems: Sequence[Problem], pools: Mapping[str, list[Sample]], prompt: Prompt
) -> dict[tuple[str, int], list[bool]]:
    """(problem id, index) -> the truth of each step, for the samples whose truth is known."""
    exact = {}
    for problem in problems:
        for sample in pools[problem.id]:
            steps = truth.label_steps(problem, sample.text, prompt.split_steps)
            if steps is not None:
                exact[problem.id, sample.index] = steps
    return exact


def build_records(labels: LabelsByMethod, exact: Truth) -> Iterator[StepLabel]:
    for method, (by_sample, _) in labels.items():
        for (problem_id, index), estimates in by_sample.items():
            for step, estimate in estimates.items():
                yield StepLabel(problem_id=problem_id, index=index, step=step, method=method, **estimate._asdict())
    for (problem_id, index), steps in exact.items():
        for step, is_right in enumerate(steps):
            yield StepLabel(problem_id=problem_id, index=index, step=step, method="exact", value=float(is_right))


def measure_quality(labels: LabelsByMethod, exact: Truth, key: int) -> dict[str, Any]:
    """{method: number of labelled solutions; of those that are audited, which have a label at every step and a known
    truth; completions; and the figures of the audit}."""
    from stages.lib.labels import label_audit

    quality = {}
    for method, (by_sample, completions) in labels.items():
        cases = [
            label_audit.Case(at[0], [estimate.value for estimate in estimates.values()], exact[at])
            for at, estimates in by_sample.items()
            if at in exact and len(estimates) == len(exact[at])
        ]
        audit = label_audit.measure(cases, key, is_binary=method != "mc_soft")
        figures = audit.to_dict() if audit else {}
        names = ("auc", "brier", "micro_f1", "steps_right")
        quality[method] = {"solutions": len(by_sample), "audited": len(cases), "completions": completions}
        quality[method] |= {name: figures[name] for name in names if name in figures}
    return quality


def write_audit(
    run: StageRun[Params],
    solutions: list[Solution],
    exact: Truth,
    outcomes: Mapping[PrefixKey, Sequence[bool]],
) -> None:
    """Audit every method at N = 1, 2, 4, ... on the solutions whose truth is known: audit.json, audit.md, audit.png."""
    from stages.lib.core import files
    from stages.lib.display import terminal
    from stages.lib.labels import label_audit

    solutions = [solution for solution in solutions if (solution.problem.id, solution.index) in exact]
    correct = [exact[solution.problem.id, solution.index] for solution in solutions]
    largest = run.params.audit_completions
    ns = [n for n in (2**i for i in range(largest.bit_length())) if n < largest] + [largest]
    rows = label_audit.compare_to_truth(solutions, correct, outcomes, ns, seeds.key(run.seed, "labels", "audit"))
    files.write_json(run.out_dir / "audit.json", [row.to_dict() for row in rows])
    problems = len({solution.problem.id for solution in solutions})
    note = f"{len(solutions)} solutions of {problems} problems of dev whose truth is known.\n\n"
    files.write_text(run.out_dir / "audit.md", note + label_audit.format_report(rows))
    label_audit.plot(run.out_dir / "audit.png", rows, f"Step labels against the truth, {len(solutions)} solutions")
    if rows:
        header = label_audit.SUMMARY_HEADER
        _, table = label_audit.tabulate([row for row in rows if row.rollouts in (0, largest)])
        terminal.print_report({"Labels against the truth": (header, [row[: len(header)] for row in table])})


def write_labels(
    run: StageRun[Params],
    name: str,
    problems: list[Problem],
    pools: Mapping[str, list[Sample]],
    selected: Mapping[str, list[Solution]],
    prompt: Prompt,
) -> dict[str, Any]:
    """Write the labels of a set, and on dev the audit, once all processes have drawn their share. Returns its metrics."""
    from stages.lib.labels import label_audit
    from stages.lib.run import distributed

    rollouts = distributed.gather_records(run, name, selected, PrefixRollouts)
    outcomes = {(row.problem_id, row.prefix): row.correct for row in rollouts if row.prefix}
    solutions = [solution for group in selected.values() for solution in group]
    labels = estimate_labels(solutions, outcomes, run.params)
    if "pool" in run.params.methods:
        labels["pool"] = label_by_pool(problems, pools, prompt)
    exact = compute_exact_labels(problems, pools, prompt)
    rows = build_records(labels, exact if "exact" in run.params.methods else {})
    records.write_labels(run.out_dir / f"{name}.parquet", rows)
    if name == "dev":
        write_audit(run, solutions, exact, outcomes)
    correct = {(sample.problem_id, sample.index): bool(sample.correct) for pool in pools.values() for sample in pool}
    return {
        "completions": sum(len(row.correct) for row in rollouts),
        "tokens": sum(row.tokens for row in rollouts),
        "truth_known": len(exact) / max(1, len(correct)),
        "right_answer_wrong_step": label_audit.flawed_correct_rate([correct[at] for at in exact], list(exact.values())),
        **measure_quality(labels, exact, seeds.key(run.seed, "labels", name)),
    }


def load_completer(params: Params, seed: int, prompt: Prompt, path: Path, device: Any) -> Completer:
    from stages.lib.inference import engines
    from stages.lib.labels import rollouts
    from stages.lib.models.encoding import Encoder

    engine = engines.make_engine(params.engine, path, params.max_rows, params.dtype, device)
    encoder = Encoder.load(path, prompt)
    return rollouts.make_completer(engine, encoder, seed, params.distribution, params.max_new_tokens)


def draw_missing_rollouts(
    run: StageRun[Params], selected: Mapping[str, Mapping[str, list[Solution]]], workers: Workers[Completer]
) -> None:
    """Draw and save the rollouts that no run has drawn."""
    from stages.lib.run import distributed

    for name, by_problem in selected.items():
        draw, groups = partial(draw_rollouts, run.params, name), list(by_problem.values())
        distributed.make_records(run, workers, name, groups, draw, PrefixRollouts, lambda group: group[0].problem.id)


def import_labels(run: StageRun[Params], prompt: Prompt) -> dict[str, dict[str, int]]:
    """Write the published labels that `params.imported` names as records of this pipeline; the counts of each format."""
    from stages.lib.datasets import eval_sets
    from stages.lib.labels import imported_labels

    patterns = run.params.imported.model_dump()
    held_out_sets = eval_sets.SCORED if any(patterns.values()) else ()
    held_out = [problem for name in held_out_sets for problem in eval_sets.load_problems(run, name)]
    imported = imported_labels.read(run.root, patterns, prompt, held_out)
    for line in imported.reasons:
        print(f"labels: warning: {line}", file=sys.stderr)
    out = run.out_dir / "imported"
    records.write_problems(out / "problems.jsonl", imported.problems)
    records.write_samples(out / "samples.parquet", imported.samples)
    records.write_labels(out / "labels.parquet", imported.labels)
    return imported.counts


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.datasets import eval_sets
    from stages.lib.run import distributed

    state: Any = distributed.init_processes(run)
    model = run.root / run.params.completer
    if not model.is_dir():
        raise UserError(f"labels.completer: {run.params.completer} is not a folder; name one with a saved model")

    problems = {name: eval_sets.load_problems(run, name) for name in SPLITS}
    samples = {name: load_samples(run.input_path("samples", f"{name}.parquet"), problems[name]) for name in SPLITS}
    prompt = Prompt.read(run.input_path("generator", "prompt.json"))
    imported = import_labels(run, prompt) if run.is_main else {}  # before the rollouts, so that a bad file fails early
    counts = {"verifier": run.params.problems, "dev": run.params.audit_problems}
    selected = {
        name: select_solutions(problems[name][: counts[name]], samples[name], run.params, prompt) for name in SPLITS
    }
    load = partial(load_completer, run.params, run.seed, prompt)
    with distributed.open_workers(run, model, load, state.device) as workers:
        draw_missing_rollouts(run, selected, workers)
    state.wait_for_everyone()
    if not run.is_main:
        return {}
    metrics = {name: write_labels(run, name, problems[name], samples[name], selected[name], prompt) for name in SPLITS}
    run.count(tokens=sum(figures["tokens"] for figures in metrics.values()))
    return metrics | ({"imported": imported} if imported else {})


def main() -> None:
    run_stage("labels", Params, body, HEADLINE)


if __name__ == "__main__":
    main()
