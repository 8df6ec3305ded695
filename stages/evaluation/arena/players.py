"""Players: a model at a temperature that draws one solution, or a policy that chooses among a pool of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, field_validator

from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params
from stages.lib.core.records import Problem, Sample, Score

if TYPE_CHECKING:
    from stages.lib.run.execution import StageRun

VERSION = 1  # part of every key
POLICIES = ("sampled", "majority", "best_orm", "best_prm", "best_genrm")
Policy = Literal["sampled", "majority", "best_orm", "best_prm", "best_genrm"]


MODELS = {  # of the players that draw a solution: where each lies in data/
    "base": ("base", "model"),
    "generator": ("generator", "model"),
    "preference": ("preference", "model"),
    "r_tuning": ("honesty", "models", "r_tuning"),
    "certain": ("honesty", "models", "certain"),
}


class Drawn(Params):
    """A player that draws a solution of its own."""

    model: str  # of MODELS (the last two: what honesty taught to refuse), or a folder, which has a / and DVC does not watch
    temperature: float = Field(ge=0)  # 0: greedy

    @field_validator("model")
    @classmethod
    def _check_model(cls, model: str) -> str:
        if model not in MODELS and "/" not in model:
            raise ValueError(f"must be one of {', '.join(MODELS)}, or the path of a model folder, such as ./{model}")
        return model


def find_model(run: StageRun[Any], model: str) -> Path:
    """The folder of `Drawn.model`. Raises UserError where there is none."""
    from stages.lib.models import loading

    if model in MODELS:
        return run.input_path(*MODELS[model])
    folder = run.root / model
    if not folder.is_dir():
        raise UserError(
            f"arena.drawn: {model}: not a folder; name one that `save_pretrained` wrote, or one of {', '.join(MODELS)}"
        )
    loading.check_folder(folder)
    return folder


class Entry(NamedTuple):
    """A player's solution of a problem, and the score that each verifier gives it."""

    sample: Sample
    scores: Mapping[str, float]


def select_problems(problems: Sequence[Problem], n: int, seed: int) -> list[Problem]:
    """n problems, the same whatever their order, sorted by id; a larger n adds to them."""
    ranked = sorted(problems, key=lambda problem: seeds.key(seed, "arena", VERSION, problem.id, "select"))
    return sorted(ranked[:n], key=lambda problem: problem.id)


def get_root(problem: Problem) -> str:
    """What intervals resample: the problem that a variant was made from, else the problem itself."""
    return problem.parent or problem.id


def collect_pool(samples: Sequence[Sample], scores: Mapping[tuple[str, int], Mapping[str, float]]) -> list[Entry]:
    """The entries of one problem's samples. scores: (problem id, index) -> score by verifier."""
    return [Entry(sample, scores.get((sample.problem_id, sample.index), {})) for sample in samples]


def group_scores(scores: Sequence[Score]) -> dict[tuple[str, int], dict[str, float]]:
    """(problem id, index) -> score by verifier."""
    groups: dict[tuple[str, int], dict[str, float]] = {}
    for score in scores:
        groups.setdefault((score.problem_id, score.index), {})[score.verifier] = score.score
    return groups


def group_answers(problem: Problem, samples: Sequence[Sample]) -> list[int]:
    """An id for each sample's answer, equal for equal answers; -1 for none, and for a solution that was cut off."""
    from stages.lib.grading import answers, program_behaviour

    finished = [sample.answer if sample.finish == "stop" else None for sample in samples]
    if problem.answer_type == "code":
        return program_behaviour.group(problem, finished)
    return answers.group(finished, problem.answer_type)


def choose(policy: str, problem: Problem, pool: Sequence[Entry]) -> Entry:
    """What a policy takes from a problem's pool; of equals the first."""
    if policy == "sampled":
        return pool[0]
    if policy == "majority":
        ids = group_answers(problem, [entry.sample for entry in pool])
        votes = Counter(x for x in ids if x >= 0)
        return pool[ids.index(votes.most_common(1)[0][0])] if votes else pool[0]
    verifier = policy.removeprefix("best_")
    return max(pool, key=lambda entry: entry.scores[verifier])
