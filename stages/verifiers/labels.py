"""labels: is each step of a solution right? By exact truth where a program knows it, and by Monte Carlo.

Reads data/generator/{model, prompt.json} (the completer, unless another is named), data/samples/{verifier,dev}.parquet,
data/benchmarks/{verifier,dev,test}.jsonl and what `import_labels` names in data/raw/labels/. Writes data/labels/{verifier,dev}.
parquet, what was imported (imported/{problems.jsonl, samples.parquet, labels.parquet}), and the audit of Monte-Carlo
labels against the truth: audit.json, audit.md, audit.png.

Math-Shepherd (Wang et al. 2023, arXiv 2312.08935) completes a solution N times from every step and calls the step right if
one completion (hard), or to the share that (soft), reaches the answer; OmegaPRM (Luo et al. 2024, arXiv 2406.06592) finds
the first wrong step by binary search. Here every rollout is a pure function of (seed, problem, prefix, number): solutions
that begin alike share theirs, and a thrifty method looks at the first few of the rollouts that a lavish one draws. So the
processes draw rollouts and keep them a problem at a time; the labels of every method, and the audit at every N, are then
read off them.

    python -m stages.verifiers.labels
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from stages.lib.core import params, records, seeds
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Record, Sample, StepLabel
from stages.lib.labels import step_labels, truth
from stages.lib.labels.rollouts import Completer, PrefixKey, Search, make_cached_completer, run_searches
from stages.lib.labels.step_labels import Estimate, Solution
from stages.lib.models.prompts import Prompt
from stages.lib.run.execution import StageRun, run_stage

if TYPE_CHECKING:
    from pathlib import Path

SPLITS = ("verifier", "dev")
CHUNK_PROBLEMS = 64  # problems whose rollouts are drawn together; a kill costs at most these

Method = Literal["exact", "mc_hard", "mc_soft", "binary_search"]
LabelsByMethod = dict[str, list[tuple[Solution, list[Estimate]]]]  # by method


class ImportParams(params.Params):
    """Files of published labels, or patterns of them, in data/raw/labels/ (lib/labels/imported_labels.py)."""

    prm800k: list[str]  # files of PRM800K
    math_shepherd: list[str]  # files of Math-Shepherd


class Params(params.Params):
    imported: ImportParams  # what prm.labels: imported trains on, in place of this pipeline's samples and labels
    methods: list[Method] = Field(min_length=1)  # how steps are labelled; exact needs a program that knows the truth
    completer: str = Field(min_length=1)  # folder of the model that completes prefixes
    engine: Literal["native", "vllm"]  # what decodes: the engine of this repository, or vLLM
    completions: int = Field(ge=1)  # N, rollouts after a step at most
    problems: int = Field(
        ge=0
    )  # of verifier, for the Monte-Carlo methods: the first so many; `compute_exact_labels` labels all
    audit_problems: int = Field(ge=0)  # of dev, for the same and for the audit
    audit_completions: int = Field(ge=1)  # largest N of the audit
    samples_per_problem: int = Field(ge=1)  # the first so many of the pool
    temperature: float = Field(gt=0)  # of completions
    max_new_tokens: int = Field(ge=1)  # of a completion
    hard_rule: Literal[
        "any_success", "progress", "agreed"
    ]  # mc_hard: any success; relative progress; solutions where both agree
    progress_threshold: float = Field(gt=0)  # threshold of relative progress (GenPRM: 0.8)
    use_pool: bool  # binary search starts where the right samples of the problem leave off
    skip_uniform_problems: bool  # no Monte Carlo for problems whose samples are all right or all wrong
    max_rows: int = Field(ge=16)  # completions decoded at a time on each process; changes speed and memory, no label
    dtype: Literal["float32", "bfloat16", "float16"]  # number format of the completer's weights


class PrefixRollouts(Record):
    """The outcomes of the rollouts of one prefix of a problem's solutions, in the order of their numbers."""

    problem_id: str
    prefix: str
    correct: list[bool]
    tokens: int  # of all rollouts of the problem; on the row with the empty prefix


def build_searches(params: Params) -> dict[str, Callable[[Solution], Search[Any]]]:
    """The Monte-Carlo methods that were asked for."""
    n, threshold = params.completions, params.progress_threshold
    hard = {
        "any_success": lambda of: step_labels.mc_hard(of, n),
        "progress": lambda of: step_labels.relative_progress(of, n, threshold),
        "agreed": lambda of: step_labels.consensus(of, n, threshold),
    }
    known = {  # the most lavish first: what it drew, the others only look at
        "mc_soft": lambda of: step_labels.mc_soft(of, n),
        "mc_hard": hard[params.hard_rule],
        "binary_search": lambda of: step_labels.binary_search(of, n),
    }
    return {method: known[method] for method in known if method in params.methods}


def load_samples(path: Path, problems: Sequence[Problem]) -> dict[str, list[Sample]]:
    """problem id -> its samples. Raises UserError for a sample of a problem that is not there."""
    found: dict[str, list[Sample]] = {problem.id: [] for problem in problems}
    for sample in records.read_samples(path):
        if sample.problem_id not in found:
            raise UserError(
                f"{path}: a sample of {sample.problem_id}, which is no problem of this set; run samples again"
            )
        found[sample.problem_id].append(sample)
    return found


def select_solutions(
    problems: Sequence[Problem], pools: Mapping[str, list[Sample]], params: Params, prompt: Prompt
) -> dict[str, list[Solution]]:
    """problem id -> the solutions that Monte Carlo labels."""
    found = {}
    for problem in problems if build_searches(params) else ():
        pool = pools[problem.id]
        if pool and (
            not params.skip_uniform_problems or step_labels.is_mixed([bool(sample.correct) for sample in pool])
        ):
            found[problem.id] = step_labels.build_solutions(problem, pool, params.use_pool, prompt.split_steps)[
                : params.samples_per_problem
            ]
    return found


def draw_rollouts(
    run: StageRun[Params], groups: list[list[Solution]], name: str, complete: Completer
) -> Iterator[list[PrefixRollouts]]:
    """The rollouts of each problem's solutions that the methods look at and, on dev, the audit."""
    wanted = list(build_searches(run.params).values())
    if name == "dev":
        wanted.insert(0, lambda of: step_labels.mc_soft(of, run.params.audit_completions))
    chunks = [groups[first : first + CHUNK_PROBLEMS] for first in range(0, len(groups), CHUNK_PROBLEMS)]
    for chunk in run.track_progress(chunks, len(chunks), name):
        outcomes: dict[PrefixKey, list[bool]] = {}
        tokens: dict[str, int] = {}

        def counted(requests: Sequence[Any], tokens: dict[str, int] = tokens) -> list[Any]:
            replies = complete(requests)
            for request, reply in zip(requests, replies, strict=True):
                tokens[request.problem.id] = tokens.get(request.problem.id, 0) + reply.tokens
            return replies

        for search in wanted:
            run_searches([(of.problem, of.steps, search(of)) for group in chunk for of in group], counted, outcomes)
        for group in chunk:
            problem = group[0].problem.id
            own = [(prefix, right) for (of, prefix), right in sorted(outcomes.items()) if of == problem]
            yield [
                PrefixRollouts(problem_id=problem, prefix="", correct=[], tokens=tokens.get(problem, 0)),
                *(PrefixRollouts(problem_id=problem, prefix=prefix, correct=right, tokens=0) for prefix, right in own),
            ]


def estimate_labels(
    solutions: Sequence[Solution], outcomes: Mapping[PrefixKey, Sequence[bool]], params: Params
) -> tuple[LabelsByMethod, dict[str, int]]:
    """The labels of each method, and the completions that it alone would have made."""
    labels, costs = {}, {}
    for method, search in build_searches(params).items():
        found, cost = run_searches(
            [(one.problem, one.steps, search(one)) for one in solutions], make_cached_completer(outcomes)
        )
        labels[method] = [
            (one, estimates) for one, estimates in zip(solutions, found, strict=True) if estimates is not None
        ]
        costs[method] = cost.completions
    return labels, costs


def compute_exact_labels(
    problems: Sequence[Problem], pools: Mapping[str, list[Sample]], prompt: Prompt
) -> dict[tuple[str, int], list[bool]]:
    """(problem id, index) -> the truth of each step of each sample of which it is known."""
    found = {
        (problem.id, sample.index): truth.label_steps(problem, sample.text, prompt.split_steps)
        for problem in problems
        for sample in pools[problem.id]
    }
    return {at: right for at, right in found.items() if right is not None}


def build_records(labels: LabelsByMethod, right: Mapping[tuple[str, int], list[bool]]) -> Iterator[StepLabel]:
    for method, found in labels.items():
        for of, estimates in found:
            for step, each in enumerate(estimates):
                yield StepLabel(
                    problem_id=of.problem.id,
                    index=of.index,
                    step=step,
                    method=method,
                    value=each.value,
                    rollouts=each.rollouts,
                    successes=each.successes,
                )
    for (problem, index), steps in right.items():
        for step, so in enumerate(steps):
            yield StepLabel(problem_id=problem, index=index, step=step, method="exact", value=float(so))


def measure_quality(
    labels: LabelsByMethod, costs: Mapping[str, int], right: Mapping[tuple[str, int], list[bool]], key: int
) -> dict[str, Any]:
    """What was labelled with each method, at what cost, and how well by the truth where that is known."""
    from stages.lib.labels import label_audit

    numbers = {}
    for method, found in labels.items():
        at = [(of.problem.id, of.index) for of, _ in found]
        cases = [
            label_audit.Case(name[0], [each.value for each in estimates], right[name])
            for name, (_, estimates) in zip(at, found, strict=True)
            if name in right
        ]
        judged = label_audit.measure(cases, key, is_binary=method != "mc_soft")
        figures = judged.to_dict() if judged else {}
        numbers[method] = {"solutions": len(found), "completions": costs[method]} | {
            name: figures[name] for name in ("auc", "brier", "micro_f1", "steps_right") if name in figures
        }
    return numbers


def write_audit(
    run: StageRun[Params],
    solutions: list[Solution],
    right: Mapping[tuple[str, int], list[bool]],
    outcomes: Mapping[PrefixKey, Sequence[bool]],
) -> None:
    """Every kind of label at N = 1, 2, 4, ... against the truth, where it is known; written as JSON, table and picture."""
    from stages.lib.core import files
    from stages.lib.display import charts
    from stages.lib.labels import label_audit

    solutions = [one for one in solutions if (one.problem.id, one.index) in right]
    largest = run.params.audit_completions
    ns = [n for n in (2**i for i in range(largest.bit_length())) if n < largest] + [largest]
    found = label_audit.compare_to_truth(
        solutions,
        [right[one.problem.id, one.index] for one in solutions],
        outcomes,
        ns,
        seeds.key(run.seed, "labels", "audit"),
    )
    plain = [
        {"labels": row.method, "n": row.rollouts, "completions": row.completions, **row.audit.to_dict()}
        for row in found
    ]
    files.write_json(run.out_dir / "audit.json", plain)
    note = f"{len(solutions)} solutions of {len({one.problem.id for one in solutions})} problems of dev whose truth is known.\n\n"
    files.write_text(run.out_dir / "audit.md", note + label_audit.format_markdown(found))
    label_audit.plot(run.out_dir / "audit.png", found, f"Step labels against the truth, {len(solutions)} solutions")
    if found:
        header = ("labels", "N", "completions", "AUC", "95% interval", "Brier", "micro F1")
        shown = [row for row in found if row.rollouts in (0, largest)]
        charts.print_table(
            "Labels against the truth",
            header,
            [
                (
                    row.method,
                    str(row.rollouts or ""),
                    f"{row.completions:.1f}",
                    *label_audit.format_interval(row.audit.auc),
                    f"{row.audit.brier:.3f}",
                    label_audit.format_interval(row.audit.micro_f1)[0],
                )
                for row in shown
            ],
        )


def write_labels(
    run: StageRun[Params],
    name: str,
    problems: list[Problem],
    pools: Mapping[str, list[Sample]],
    wanted: Mapping[str, list[Solution]],
    prompt: Prompt,
) -> dict[str, Any]:
    """Write the labels of a set, and on dev the audit; the stage's metrics of it. All processes have drawn their share."""
    from stages.lib.labels import label_audit
    from stages.lib.run import distributed

    kept = distributed.gather_records(run, name, wanted, PrefixRollouts)
    outcomes = {(row.problem_id, row.prefix): row.correct for row in kept if row.prefix}
    of = [one for group in wanted.values() for one in group]
    labels, costs = estimate_labels(of, outcomes, run.params)
    right = compute_exact_labels(problems, pools, prompt)
    records.write_labels(
        run.out_dir / f"{name}.parquet", build_records(labels, right if "exact" in run.params.methods else {})
    )
    if name == "dev":
        write_audit(run, of, right, outcomes)
    samples = [sample for pool in pools.values() for sample in pool]
    known = [sample for sample in samples if (sample.problem_id, sample.index) in right]
    return {
        "completions": sum(len(row.correct) for row in kept),
        "tokens": sum(row.tokens for row in kept),
        "truth_known": len(known) / max(1, len(samples)),
        "right_answer_wrong_step": label_audit.flawed_correct_rate(
            [bool(sample.correct) for sample in known],
            [right[sample.problem_id, sample.index] for sample in known],
        ),
        **measure_quality(labels, costs, right, seeds.key(run.seed, "labels", name)),
    }


def draw_missing_rollouts(
    run: StageRun[Params], wanted: Mapping[str, Mapping[str, list[Solution]]], load: Callable[[], Completer]
) -> None:
    """Draw and keep what of the rollouts is this process's to draw and nobody has drawn; `load` only if there is any."""
    from stages.lib.run import distributed

    complete = None
    for name, groups in wanted.items():
        done = distributed.load_finished(run.checkpoint_dir, name, PrefixRollouts)
        mine = distributed.select_shard(run, list(groups.values()), done, lambda group: group[0].problem.id)
        if mine:
            complete = complete or load()
            distributed.append_records(run, name, draw_rollouts(run, mine, name, complete))


def import_labels(run: StageRun[Params], prompt: Prompt) -> dict[str, dict[str, int]]:
    """Write what was published elsewhere in our form; the counts of each format."""
    from stages.lib.datasets import eval_sets
    from stages.lib.labels import imported_labels

    wanted = run.params.imported.model_dump()
    held_out = [
        problem for name in eval_sets.SCORED if any(wanted.values()) for problem in eval_sets.load_problems(run, name)
    ]
    found = imported_labels.read(run.root, wanted, prompt, held_out)
    for line in found.reasons:
        print(f"labels: warning: {line}", file=sys.stderr)
    out = run.out_dir / "imported"
    records.write_problems(out / "problems.jsonl", found.problems)
    records.write_samples(out / "samples.parquet", found.samples)
    records.write_labels(out / "labels.parquet", found.labels)
    return found.counts


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.inference import engines
    from stages.lib.labels import rollouts
    from stages.lib.models.encoding import Encoder
    from stages.lib.run import distributed

    state = distributed.init_processes(run)
    path = run.root / run.params.completer
    if not path.is_dir():
        raise UserError(f"labels.completer: {run.params.completer} is not a folder; name one with a saved model")

    def load() -> Completer:
        engine = engines.make_engine(run.params.engine, path, run.params.max_rows, run.params.dtype, state.device)
        encoder = Encoder.load(path, run.input_path("generator", "prompt.json"))
        return rollouts.make_completer(engine, encoder, run.seed, run.params.temperature, run.params.max_new_tokens)

    problems = {name: records.read_problems(run.input_path("benchmarks", f"{name}.jsonl")) for name in SPLITS}
    samples = {name: load_samples(run.input_path("samples", f"{name}.parquet"), problems[name]) for name in SPLITS}
    first = {"verifier": run.params.problems, "dev": run.params.audit_problems}
    prompt = Prompt.read(run.input_path("generator", "prompt.json"))
    # Before the hours of rollouts, so that a file which cannot be read is told at once.
    published = import_labels(run, prompt) if run.is_main else {}
    wanted = {
        name: select_solutions(problems[name][: first[name]], samples[name], run.params, prompt) for name in SPLITS
    }
    draw_missing_rollouts(run, wanted, load)
    state.wait_for_everyone()
    if not run.is_main:
        return {}
    metrics = {name: write_labels(run, name, problems[name], samples[name], wanted[name], prompt) for name in SPLITS}
    run.count(tokens=sum(each["tokens"] for each in metrics.values()))
    return metrics | ({"imported": published} if published else {})


def main() -> None:
    run_stage("labels", Params, body)


if __name__ == "__main__":
    main()
