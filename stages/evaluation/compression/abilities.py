"""What a checkpoint can do: gold steps that it writes, results that it predicts, problems that it solves.

Steps and results are predicted in one forward pass, each from the question and all gold text before it. Accuracy counts the
steps whose every token is the likeliest one: greedy decoding would write the step, word for word. Such a count stays at its
floor until a model is good enough (Schaeffer et al. 2023, arXiv 2304.15004), so beside it stands the log-probability of the
results, the numbers that steps calculate. Lines that only repeat the answer count for neither.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stages.lib.compression.bits import Piece, score_pieces
from stages.lib.core import seeds
from stages.lib.grading.draws import grade_draws
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.inference.sampling import GREEDY
from stages.lib.models import encoding
from stages.lib.models.encoding import Encoder
from stages.lib.training import sft

if TYPE_CHECKING:
    from stages.evaluation.compression.__main__ import Params
    from stages.lib.core.records import Problem
    from stages.lib.run.execution import StageRun


class Task(NamedTuple):
    """A problem with its gold solution. steps, results: the tokens [start, end) of each in ids."""

    ids: list[int]
    steps: list[tuple[int, int]]
    results: list[tuple[int, int]]


def make_tasks(encoder: Encoder, problems: Sequence[Problem]) -> list[Task]:
    """Of all problems with a gold solution. Its last line, the answer, is no step unless it is alone, and it is the result
    where no step calculates one."""
    tasks = []
    for problem in problems:
        if steps := sft.get_steps(problem, encoder.prompt):
            encoded = encoder.encode(problem, steps)
            starts = [encoded.prompt_length, *(end + 1 for end in encoded.step_ends)]
            spans = list(zip(starts, starts[1:], strict=False))
            results = [
                (start + found[0], start + found[1])
                for step, value, (start, end) in zip(steps, _list_values(problem, steps), spans, strict=True)
                if value and (found := _find_result(encoder, step, value, end - start))
            ]
            tasks.append(Task(encoded.ids, spans[:-1] or spans, results or spans[-1:]))
    return tasks


def _list_values(problem: Problem, steps: Sequence[str]) -> list[str | None]:
    """What each step calculates, None where that is unknown."""
    known = problem.steps or []
    return [step.value for step in known] if len(known) == len(steps) else [None] * len(steps)


def _find_result(encoder: Encoder, step: str, value: str, count: int) -> tuple[int, int] | None:
    """The tokens [first, end) of the last `= value` in a step of `count` tokens; None where a step has none, and where the
    tokenizer does not say where its tokens lie."""
    matches = list(re.finditer(rf"=\s*({re.escape(value)})(?![\d.]*\d)", step))
    if not matches or not encoder.tokenizer.is_fast:
        return None
    start, end = matches[-1].span(1)
    options = {"add_special_tokens": False, "split_special_tokens": True, "return_offsets_mapping": True}
    lead = encoding.find_lead_ids(encoder.tokenizer)
    shift = len("\n" if lead else "")
    text = "\n" * shift + step + encoder.prompt.step_separator
    places = encoder.tokenizer(text, **options)["offset_mapping"][len(lead) :]
    inside = [i for i, (a, b) in enumerate(places) if max(a, start + shift) < min(b, end + shift)]
    return (inside[0], inside[-1] + 1) if inside and len(places) == count else None


def measure_gold(model: Any, tasks: Sequence[Task]) -> tuple[float, float]:
    """(share of steps written word for word, log-probability of a result in nats): means over problems of the means over
    their steps and results. Raises ValueError without tasks."""
    if not tasks:
        raise ValueError("no problem has a gold solution")
    right, logprobs = [0.0] * len(tasks), [0.0] * len(tasks)
    for i, scores in score_pieces(model, [Piece(task.ids, 1) for task in tasks]):
        steps, results = ([slice(a - 1, b - 1) for a, b in some] for some in (tasks[i].steps, tasks[i].results))
        right[i] = float(np.mean([scores.likeliest[span].all() for span in steps]))
        logprobs[i] = -float(np.mean([scores.nlls[span].sum() for span in results]))
    return math.fsum(right) / len(tasks), math.fsum(logprobs) / len(tasks)


def measure_solved(run: StageRun[Params], model: Any, encoder: Encoder, problems: Sequence[Problem]) -> float:
    """The share of problems that the greedy solution solves; one that is cut off does not."""
    params, engine = run.params, NativeEngine(model, run.params.max_rows)
    prompts = encoding.encode_prompts(encoder, problems, params.max_new_tokens, engine.context_length, "compression")
    keys = [[seeds.key(run.seed, "compression", problem.id)] for problem in problems]
    stream = engine.stream(prompts, keys, GREEDY, params.max_new_tokens, encoder.stops, encoder.calculator)
    return sum(draw.correct for _, (draw,) in grade_draws(stream, encoder, problems)) / len(problems)
