"""Draws of a model, what they say of slices, and what the arms are worth on the report stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stages.generators.adaptation.world import VERSION
from stages.lib.adaptation.slices import Attributes, Slice
from stages.lib.core import seeds
from stages.lib.core.problem_ids import get_root
from stages.lib.core.records import Problem, Record
from stages.lib.datasets import eval_sets
from stages.lib.grading.draws import grade_draws
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.metrics import intervals
from stages.lib.models import encoding, forward, loading
from stages.lib.models.encoding import Encoder
from stages.lib.run import distributed

if TYPE_CHECKING:
    from stages.generators.adaptation.__main__ import Params
    from stages.lib.run.execution import StageRun

START = "start"  # the generator, before the first round
WHOLE = ("ood", "test")  # sets of the report stream that are compared at any size


def split_name(name: str) -> tuple[str, int]:
    """The arm and the round of a model's name: `targeted-2` -> (targeted, 2). The generator is round 0."""
    arm, _, number = name.partition("-")
    return arm, int(number or 0)


class Solved(Record):
    """How many of a problem's solutions are right and finished, and the tokens of all."""

    problem_id: str
    right: int
    tokens: int


def measure(
    run: StageRun[Params], name: str, folder: Path, encoder: Encoder, problems: Sequence[Problem], n: int
) -> np.ndarray:
    """(problems,) the share of right ones among n solutions by the model in a folder.

    Keys name the problem and the number of the solution, not the model: models are compared on the same random numbers,
    which makes their differences smaller by chance and no mean other."""
    params = run.params

    def work(engine: NativeEngine, shard: list[Problem]) -> Iterator[list[Solved]]:
        prompts = encoding.encode_prompts(encoder, shard, params.max_new_tokens, engine.context_length, "adaptation")
        keys = [[seeds.key(run.seed, "adaptation", VERSION, problem.id, i) for i in range(n)] for problem in shard]
        stream = engine.stream(
            prompts, keys, params.distribution, params.max_new_tokens, encoder.stops, encoder.calculator
        )
        with forward.autocast(engine.model, params.precision):
            for i, graded in grade_draws(stream, encoder, shard):
                right = sum(each.correct and each.draw.finish == "stop" for each in graded)
                yield [Solved(problem_id=shard[i].id, right=right, tokens=sum(len(each.draw.ids) for each in graded))]

    def load() -> NativeEngine:
        model = loading.load_causal_lm(folder).to(distributed.init_processes(run).device)
        return NativeEngine(model, params.max_rows)

    workers = distributed.LocalWorkers(load)
    rows = distributed.map_sharded(run, workers, name, list(problems), work, Solved, lambda problem: problem.id)
    workers.close()
    run.count(tokens=sum(row.tokens for [row] in rows.values()))
    return np.array([rows[problem.id][0].right / n for problem in problems])


class Report(NamedTuple):
    """The report stream: its problems with their attributes, and the sets that are looked at, a mask of problems each."""

    problems: list[Problem]
    attributes: list[Attributes]
    sets: dict[str, np.ndarray]

    @property
    def units(self) -> list[str]:
        """The problem that each comes from."""
        return [get_root(problem.parent or problem.id) for problem in self.problems]


def divide_report(
    test: Sequence[Problem],
    ood: Sequence[Problem],
    test_attributes: Sequence[Attributes],
    ood_attributes: Sequence[Attributes],
    weak: Sequence[Slice],
    kinds: Sequence[str],
) -> Report:
    """ood: all problems out of distribution. weak: those of them in a slice that was confirmed in any round; untouched: the
    others, where there are weak ones. unmade: of kinds that no ladder makes. test: in distribution."""
    attributes = [*test_attributes, *ood_attributes]
    is_ood = np.arange(len(attributes)) >= len(test)
    is_weak = is_ood & np.array([any(each.holds(row) for each in weak) for row in attributes], bool)
    is_unmade = is_ood & np.array([row["kind"] not in kinds for row in attributes], bool)
    is_untouched = is_ood & ~is_weak & is_weak.any()
    sets = {"ood": is_ood, "weak": is_weak, "untouched": is_untouched, "unmade": is_unmade, "test": ~is_ood}
    return Report([*test, *ood], attributes, {name: mask for name, mask in sets.items() if mask.any()})


def summarize(report: Report, values: np.ndarray) -> dict[str, dict[str, float]]:
    """set -> accuracy and its interval, problems of one origin together."""
    units = np.asarray(report.units, str)
    results = {}
    for name, mask in report.sets.items():
        mean, low, high = intervals.estimate_accuracy(values[mask], list(units[mask]))
        results[name] = {"problems": int(mask.sum()), "accuracy": float(mean), "low": float(low), "high": float(high)}
    return results


def compare(
    report: Report, values: Mapping[str, np.ndarray], pairs: Sequence[tuple[str, str]], seed: int
) -> list[dict[str, Any]]:
    """A row for each pair of models and set: first minus second, paired by problem, problems of one origin together, with p
    corrected for all rows (Holm). A part of the sets out of distribution that is too small for a row has none."""
    units, rows = np.asarray(report.units, str), []
    for first, second in pairs:
        for name, mask in report.sets.items():
            if name not in WHOLE and mask.sum() < eval_sets.MIN_PROBLEMS:
                continue
            key = seeds.key(seed, "adaptation", VERSION, first, second, name, "interval")
            each = intervals.compare(values[first][mask], values[second][mask], key, units=list(units[mask]))
            rows.append({"first": first, "second": second, "set": name, **each._asdict()})
    adjusted = intervals.holm([row["p"] for row in rows])
    return [{**row, "p_holm": p} for row, p in zip(rows, adjusted, strict=True)]


def compare_dev(
    problems: Sequence[Problem], start: np.ndarray, targeted: np.ndarray, number: int, seed: int
) -> dict[str, float]:
    """Accuracies of the generator and of the targeted arm after a round, and the loss with its interval, paired by problem.
    start, targeted: (problems,)."""
    key = seeds.key(seed, "adaptation", VERSION, number, "dev", "interval")
    each = intervals.compare(
        start, targeted, key, units=[get_root(problem.parent or problem.id) for problem in problems]
    )
    means = {"start": float(start.mean()), "targeted": float(targeted.mean())}
    return {**means, "loss": means["start"] - means["targeted"], "low": float(each.low), "high": float(each.high)}


def format_loss(dev: Mapping[str, float]) -> str:
    """The loss of `compare_dev` in points, with its interval."""
    return f"{100 * dev['loss']:.1f} [{100 * dev['low']:+.1f}, {100 * dev['high']:+.1f}]"


def summarize_kinds(report: Report, values: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """kind -> the number of its problems, and the accuracy of each model; without kinds that are too small for a row."""
    kinds = np.array([row["kind"] for row in report.attributes])
    return {
        kind: {"problems": int((kinds == kind).sum())}
        | {name: float(own[kinds == kind].mean()) for name, own in values.items()}
        for kind in sorted(set(kinds.tolist()))
        if (kinds == kind).sum() >= eval_sets.MIN_PROBLEMS
    }
