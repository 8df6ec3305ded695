"""The benchmark's problems as an episode: four arms that differ in what a shot shows.

gold          question and published solution
reinforced    question and the generator's own solution, whose answer is right; one a question
unsupervised  the question alone; a few answered examples at the end show the form
answers       question and answer line

Source: Agarwal et al. 2024, Many-Shot In-Context Learning (arXiv 2404.11018, sections 2 and 3). Shots come from the split
`verifier`, queries from `test`, so no shot was chosen by what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from stages.evaluation.many_shot.episodes import VERSION, Episode, Form, Item, drop_leaks
from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Sample
from stages.lib.models.prompts import PLAIN_TEMPLATE, Prompt, build_instruction, format_answer

Arm = Literal["gold", "reinforced", "unsupervised", "answers"]
WORLD = "benchmark"


def select(problems: Iterable[Problem], count: int, seed: int, field: str) -> list[Problem]:
    """`count` problems in keyed order; more add to them."""
    return sorted(problems, key=lambda problem: seeds.key(seed, "many_shot", VERSION, problem.id, field))[:count]


def choose_own(pools: Mapping[str, Sequence[Sample]], seed: int) -> dict[str, str]:
    """problem id -> one of its right and finished samples, by key; problems without one are left out."""
    own = {}
    for problem_id, samples in pools.items():
        if texts := sorted({sample.text for sample in samples if sample.is_right}):
            own[problem_id] = min(texts, key=lambda text: seeds.key(seed, "many_shot", VERSION, problem_id, text))
    return own


def make_episode(
    pool: Sequence[Problem],
    queries: Sequence[Problem],
    arms: Sequence[Arm],
    own: Mapping[str, str],
    prompt: Prompt,
    examples: int,
) -> Episode:
    """own: of `choose_own`. examples: of the unsupervised arm, taken from the end of the pool; these are then no shots.
    Raises UserError where an arm has no items."""
    instruction = build_instruction(queries[0], prompt.steps) if prompt.instruct else ""
    form = Form(f"{instruction}\n\n" if instruction else "", PLAIN_TEMPLATE, "", "\n\n")

    def make_item(problem: Problem, solution: str) -> Item:
        return Item(problem.id, problem.format_prompt(), solution.rstrip("\n"), problem.answer)

    def write_gold(problem: Problem) -> str:
        steps = [prompt.format_gold_step(step.text) for step in problem.steps or ()]
        return prompt.join_steps(steps) if steps else format_answer(problem)

    writers: dict[Arm, Callable[[Problem], str | None]] = {
        "gold": write_gold,
        "reinforced": lambda problem: own.get(problem.id),
        "unsupervised": write_gold,
        "answers": format_answer,
    }
    asked = [make_item(problem, write_gold(problem)) for problem in queries]
    clean = {item.id for item in drop_leaks([make_item(problem, "") for problem in pool], asked)}
    left = [problem for problem in pool if problem.id in clean]
    kept, shown = (left[:-examples], left[-examples:]) if examples else (left, [])
    pools: dict[str, list[Item]] = {}
    for arm in arms:
        pools[arm] = [make_item(problem, text) for problem in kept if (text := writers[arm](problem)) is not None]
        if not pools[arm]:
            raise UserError(
                f"many_shot.arms: {arm} has no items among {len(kept)} problems; raise many_shot.pool, or leave it out"
            )
    answered = [make_item(problem, write_gold(problem)) for problem in shown]
    return Episode(WORLD, "all", form, pools, asked, answered, len(pool) - len(left))
