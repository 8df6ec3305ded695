"""What a best-of-N evaluation reads, loaded once: problems, samples, scores and pools of every scored set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Sample, Score
from stages.lib.datasets import eval_sets
from stages.lib.reports import ensembles
from stages.lib.reports.ensembles import Ensemble
from stages.lib.reports.pools import (
    LIKELIHOOD_SCORES,
    TRAINING_FREE,
    UNTRAINED_VERIFIERS,
    Pool,
    from_records,
    sort_score_names,
)

SINGLE_SAMPLE_METHODS = ("greedy", "options")  # one sample a test problem: at temperature 0, and the likeliest option


class EvalSet(NamedTuple):
    """One set; pools: one per problem, in the order of the problems."""

    problems: list[Problem]
    samples: list[Sample]
    scores: list[Score]
    pools: list[Pool]


class Evaluation(NamedTuple):
    """sets: by name, as in `eval_sets.SCORED`; single_samples: {method: one sample per test problem}, if there are all;
    ensembles: those that could be fitted, whose scores the pools contain."""

    sets: Mapping[str, EvalSet]
    single_samples: Mapping[str, list[Sample]]
    ensembles: Sequence[Ensemble] = ()

    @property
    def dev(self) -> list[Pool]:
        return self.sets["dev"].pools

    @property
    def test(self) -> list[Pool]:
        return self.sets["test"].pools

    @property
    def trained_verifiers(self) -> list[str]:
        """Ensembles among them: dev's answers trained these."""
        return [name for name in sort_score_names(self.test[0].scores) if name not in TRAINING_FREE]

    @property
    def verifiers(self) -> list[str]:
        """The trained verifiers, then the untrained ones."""
        names = [name for name in self.test[0].scores if name not in LIKELIHOOD_SCORES]
        return sorted(sort_score_names(names), key=lambda name: name in UNTRAINED_VERIFIERS)

    def group_pools(self) -> dict[str, list[Pool]]:
        """{group: pools} of the test set and the sets out of distribution, the groups of the test set first."""
        groups: dict[str, list[Pool]] = {}
        for name in ("test", *eval_sets.OOD):
            for problem, pool in zip(self.sets[name].problems, self.sets[name].pools, strict=True):
                groups.setdefault(eval_sets.get_group_name(problem), []).append(pool)
        return groups

    def group_samples(self, verifier: str) -> Iterator[tuple[str, dict[str, Problem], list[Sample], list[Score]]]:
        """(group, problems by id, samples, the verifier's scores) of dev, and of the groups of all other sets."""
        for set_name, data in self.sets.items():
            problems = {problem.id: problem for problem in data.problems}
            scores = [score for score in data.scores if score.verifier == verifier]
            groups: dict[str, list[Sample]] = {"dev": data.samples} if set_name == "dev" else {}
            for sample in data.samples if set_name != "dev" else ():
                groups.setdefault(eval_sets.get_group_name(problems[sample.problem_id]), []).append(sample)
            for group, samples in groups.items():
                yield group, problems, samples, scores

    def reported_problems(self) -> list[Problem]:
        return [problem for name in ("test", *eval_sets.OOD) for problem in self.sets[name].problems]

    def map_parents(self) -> dict[str, str]:
        """Problem id -> id of the problem it was made from, for those that have one."""
        return {problem.id: problem.parent for problem in self.reported_problems() if problem.parent}


def load_set(run: eval_sets.StageRun, name: str) -> EvalSet:
    """Read one set. Raises UserError for a problem without samples and for a sample without a verifier's score."""
    problems = eval_sets.load_problems(run, name)
    samples = records.read_samples(run.input_path("samples", f"{name}.parquet"))
    scores = records.read_scores(run.input_path("scores", f"{name}.parquet"))
    return EvalSet(problems, samples, scores, from_records(problems, samples, scores))


def load(run: eval_sets.StageRun) -> Evaluation:
    """Read all sets, and add the ensembles' scores. Raises UserError as `load_set` does, and where dev or test is empty."""
    sets = {name: load_set(run, name) for name in eval_sets.SCORED}
    for name, use in (("dev", "chosen on"), ("test", "reported")):
        if not sets[name].problems:
            raise UserError(
                f"data/benchmarks/{name}.jsonl: no problems, so nothing can be {use}; raise benchmarks.sizes.{name}, "
                f"benchmarks.shares.{name} or benchmarks.max_question_chars"
            )
    singles = {
        name: records.read_samples(run.input_path("samples", f"test_{name}.parquet")) for name in SINGLE_SAMPLE_METHODS
    }
    complete = {name: rows for name, rows in singles.items() if len(rows) == len(sets["test"].problems)}
    pools, fitted = ensembles.add(
        {name: some.pools for name, some in sets.items()}, {name: some.scores for name, some in sets.items()}
    )
    return Evaluation({name: some._replace(pools=pools[name]) for name, some in sets.items()}, complete, fitted)
