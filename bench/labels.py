"""Completions that binary search needs to find the first wrong step, compared with completing every step.

One run on problems whose truth is known, with the generator (or --model) as completer: a pool of solutions is drawn, and
the first of them are labelled in two ways.

full    N completions from every step of every solution, hard labels (Math-Shepherd)
ours    the stage's binary search: equal prefixes share rollouts, the search starts after the last step that a right
        solution of the pool shares, and stops drawing at a prefix as soon as one rollout succeeds

    python -m bench.labels [--problems 40] [--completions 8] [--model FOLDER]

The last line is JSON. ratio: completions of full / ours. f1, f1_full: micro F1 of the first error against the truth.
ratio_shared: the same, with full completing equal prefixes only once. ratio_search, f1_search: binary search alone
(OmegaPRM), each solution by itself. seconds, seconds_full: drawing time, both with sharing.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

SEED = 20


def main() -> None:
    from stages.lib.core import seeds
    from stages.lib.grading.draws import make_samples
    from stages.lib.inference import engines, sampling
    from stages.lib.labels import label_audit, label_methods, rollouts, truth
    from stages.lib.models import encoding
    from stages.lib.procedural import gradeschool

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--pool", type=int, default=16, help="solutions a problem")
    parser.add_argument("--labelled", type=int, default=6, help="of these, the number to label")
    parser.add_argument("--completions", type=int, default=8)
    parser.add_argument("--model", type=Path, default=Path("data/generator/model"))
    arguments = parser.parse_args()

    distribution = sampling.Distribution(0.7)
    engine, encoder = engines.make_engine("native", arguments.model, 1024), encoding.Encoder.load(arguments.model)
    problems = gradeschool.generate_problems("dev", arguments.problems, SEED, steps=(3, 5), max_value=60)
    prompts = [encoder.prompt_ids(problem) for problem in problems]
    keys = [[seeds.key(SEED, "bench", problem.id, i) for i in range(arguments.pool)] for problem in problems]
    solutions, correct = [], []
    stream = engine.stream(prompts, keys, distribution, 320, encoder.stops)
    pools = {pool[0].problem_id: pool for pool in make_samples(stream, encoder, problems)}
    for problem in problems:
        pool = pools[problem.id]
        pairs = [
            (solution, truth.label_steps(problem, pool[solution.index].text))
            for solution in label_methods.build_solutions(problem, pool)[: arguments.labelled]
        ]
        solutions += [solution for solution, steps in pairs if steps is not None]
        correct += [steps for _, steps in pairs if steps is not None]

    complete, n = rollouts.make_completer(engine, encoder, SEED, distribution, 320), arguments.completions

    def run(search, complete, solutions=solutions, outcomes=None):
        jobs = [(solution.problem, solution.steps, search(solution, n)) for solution in solutions]
        return rollouts.run_searches(jobs, complete, outcomes)

    def audit(labels):
        cases = [
            label_audit.Case(solution.problem.id, [estimate.value for estimate in estimates], steps)
            for solution, estimates, steps in zip(solutions, labels, correct, strict=True)
        ]
        return label_audit.measure(cases, SEED)

    def search_alone(solution, n):
        return label_methods.binary_search(label_audit.without_pool(solution), n)

    outcomes: dict = {}
    start = time.monotonic()
    soft, full_shared = run(label_methods.mc_soft, complete, outcomes=outcomes)
    seconds_full = time.monotonic() - start
    start = time.monotonic()
    ours, cost = run(label_methods.binary_search, complete)
    seconds = time.monotonic() - start
    cached = rollouts.make_cached_completer(outcomes)
    alone = [run(search_alone, cached, [solution]) for solution in solutions]
    full = sum(n * (len(solution.steps) - 1) for solution in solutions if solution.steps)
    cost_alone = sum(cost.completions for _, cost in alone)
    hard = audit([label_methods.harden(estimates) for estimates in soft])
    rows = {
        "full, hard": (full, hard),
        "full, equal prefixes once": (full_shared.completions, hard),
        "binary search alone": (cost_alone, audit([estimates for labels, _ in alone for estimates in labels])),
        "ours": (cost.completions, audit(ours)),
    }
    print(f"{len(problems)} problems, {len(solutions)} solutions, {sum(s.correct for s in solutions)} right, N = {n}")
    for name, (completions, figures) in rows.items():
        f1 = figures.micro_f1
        print(
            f"{name:26} {completions:7,} completions   precision {figures.precision:.3f}   recall {figures.recall:.3f}   "
            f"micro F1 {f1.value:.3f} ({f1.low:.3f} to {f1.high:.3f})"
        )
    figures = {
        "ratio": full / max(1, cost.completions),
        "f1": rows["ours"][1].micro_f1.value,
        "f1_full": rows["full, hard"][1].micro_f1.value,
        "ratio_shared": full_shared.completions / max(1, cost.completions),
        "ratio_search": full / max(1, cost_alone),
        "f1_search": rows["binary search alone"][1].micro_f1.value,
        "seconds": seconds,
        "seconds_full": seconds_full,
        "solutions": len(solutions),
        "completions": n,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
