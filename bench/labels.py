"""How few completions find the first wrong step as well as completing every step does.

In one run, on problems whose truth is known, with the generator (or --model) as completer, too: a pool of
solutions is drawn, and the first of them are labelled in two ways.

full    N completions from every step of every solution, hard labels (Math-Shepherd)
ours    the stage's binary search: equal prefixes share their rollouts, the search starts where the pool's right solutions
        leave off, and looks at no more rollouts of a prefix than it takes to see one succeed

    python -m bench.labels [--problems 40] [--completions 8] [--model FOLDER]

Last line JSON. ratio: completions of full / ours. f1, f1_full: F1 of the first error against the truth, ours and full.
ratio_shared: the same with full, too, completing equal prefixes only once. ratio_search, f1_search: binary search alone
(OmegaPRM), every solution by itself. seconds, seconds_full: drawing, both with sharing.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

SEED = 20


def main() -> None:
    from stages.generators.samples import make_samples
    from stages.lib.core import seeds
    from stages.lib.inference import engines
    from stages.lib.labels import label_audit, rollouts, step_labels, truth
    from stages.lib.models import encoding
    from stages.lib.procedural import gradeschool

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--pool", type=int, default=16, help="solutions a problem")
    parser.add_argument("--labelled", type=int, default=6, help="of them, the first so many")
    parser.add_argument("--completions", type=int, default=8)
    parser.add_argument("--model", type=Path, default=Path("data/generator/model"))
    arguments = parser.parse_args()

    engine, encoder = engines.make_engine("native", arguments.model, 1024), encoding.Encoder.load(arguments.model)
    problems = gradeschool.generate_problems("dev", arguments.problems, SEED, steps=(3, 5), max_value=60)
    prompts = [encoder.prompt_ids(problem) for problem in problems]
    keys = [[seeds.key(SEED, "bench", problem.id, i) for i in range(arguments.pool)] for problem in problems]
    solutions, right = [], []
    stream = engine.stream(prompts, keys, 0.7, 320, encoder.stops)
    pools = {pool[0].problem_id: pool for pool in make_samples(stream, encoder, problems)}
    for problem in problems:
        pool = pools[problem.id]
        known = [
            (of, truth.label_steps(problem, pool[of.index].text)) for of in step_labels.build_solutions(problem, pool)
        ]
        known = [(of, steps) for of, steps in known[: arguments.labelled] if steps is not None]
        solutions += [of for of, _ in known]
        right += [steps for _, steps in known]

    complete, n = rollouts.make_completer(engine, encoder, SEED, 0.7, 320), arguments.completions

    def labelled(search, complete, of=solutions):
        began = time.monotonic()
        found, cost = rollouts.run_searches([(one.problem, one.steps, search(one, n)) for one in of], complete)
        return found, cost.completions, time.monotonic() - began

    def f1(labels):
        values = [[each.value for each in estimates] for estimates in labels]
        cases = [label_audit.Case(of.problem.id, *case) for of, *case in zip(solutions, values, right, strict=True)]
        return label_audit.measure(cases, SEED)

    outcomes: dict = {}
    began = time.monotonic()
    jobs = [(one.problem, one.steps, step_labels.mc_soft(one, n)) for one in solutions]
    soft, full_shared = rollouts.run_searches(jobs, complete, outcomes)
    seconds_full = time.monotonic() - began
    ours, cost, seconds = labelled(step_labels.binary_search, complete)
    replay = rollouts.make_cached_completer(outcomes)
    alone = [
        labelled(lambda of, n: step_labels.binary_search(label_audit.without_pool(of), n), replay, [of])
        for of in solutions
    ]
    full = sum(n * (len(of.steps) - 1) for of in solutions if of.steps)
    cost_alone = sum(each[1] for each in alone)
    rows = {
        "full, hard": (full, f1([step_labels.harden(each) for each in soft])),
        "full, equal prefixes once": (full_shared.completions, f1([step_labels.harden(each) for each in soft])),
        "binary search alone": (cost_alone, f1([found for each in alone for found in each[0]])),
        "ours": (cost, f1(ours)),
    }
    print(f"{len(problems)} problems, {len(solutions)} solutions, {sum(of.correct for of in solutions)} right, N = {n}")
    for name, (completions, found) in rows.items():
        print(
            f"{name:26} {completions:7,} completions   precision {found.precision:.3f}   recall {found.recall:.3f}   "
            f"micro F1 {found.micro_f1.value:.3f} ({found.micro_f1.low:.3f} to {found.micro_f1.high:.3f})"
        )
    figures = {
        "ratio": full / max(1, cost),
        "f1": rows["ours"][1].micro_f1.value,
        "f1_full": rows["full, hard"][1].micro_f1.value,
        "ratio_shared": full_shared.completions / max(1, cost),
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
