"""The solution browser's data: every problem with its solutions, their scores, and whom each method elects and why.

Votes are those of the curves at N: answers are grouped by equivalence, a solution without an answer has no vote, ties
split evenly. Equal solutions with equal scores stand once, with their number. What does not fit into the page is left
out, as many problems of every set as possible, and counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stages.lib.display.tables import format_score_name
from stages.lib.metrics.voting import count_votes, score_votes
from stages.lib.reports.pools import Pool, sort_score_names
from stages.lib.reports.votes import log_weights

MAX_TEXT = 20_000  # characters of a solution, a question or a rationale


class Solution(NamedTuple):
    """steps: the text by steps; step_scores and rationales: {score: values}; first_error: index of the first step that is
    truly wrong, -1 for none. None: unknown."""

    steps: Sequence[str]
    answer: str | None
    finished: bool | None = None
    tokens: int | None = None
    step_scores: Mapping[str, Sequence[float]] = {}
    first_error: int | None = None
    rationales: Mapping[str, Sequence[str]] = {}


class Question(NamedTuple):
    """gold: the worked solution by steps, if there is one; parent: id of the problem that it was made from."""

    id: str
    text: str
    answer: str
    gold: Sequence[str] = ()
    parent: str | None = None


def describe_scores(pool: Pool, powers: Mapping[str, float], with_steps: Sequence[str]) -> list[dict[str, Any]]:
    """What the verifier menu offers, in the order of every problem's lists. powers: of the weights, by score."""
    return [
        {
            "id": name,
            "label": format_score_name(name),
            "kind": pool.score_kinds.get(name, "probability"),
            "power": powers.get(name, 1.0),
            "steps": name in with_steps,
        }
        for name in sort_score_names(pool.scores)[::-1]
    ]


def describe_problem(
    question: Question, solutions: Sequence[Solution], pool: Pool, scores: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One problem as the browser reads it. solutions: in the order of the pool; scores: of `describe_scores`."""
    ids, names = pool.answer_ids, [score["id"] for score in scores]
    classes = [int(i) for i in np.unique(ids[ids >= 0])]
    groups = [_describe_group(solutions, pool, i) for i in classes]
    order = sorted(range(len(groups)), key=lambda i: (-groups[i]["votes"], classes[i]))
    groups, place = [groups[i] for i in order], {classes[old]: new for new, old in enumerate(order)}
    place[-1] = -1
    majority = _vote(pool, np.zeros(pool.size), place)
    elections = []
    for score in scores:
        weights = log_weights(pool.scores[score["id"]], score["kind"], score["power"])
        elections.append({**_vote(pool, weights, place), "best": _pick_best(pool, score["id"])})
    rows: dict[str, dict[str, Any]] = {}
    for i, solution in enumerate(solutions):
        row = _describe_solution(solution, pool, i, names, place)
        rows.setdefault(json.dumps(row), {**row, "i": []})["i"].append(i)
    return {
        "id": question.id,
        "question": _cut(question.text),
        "answer": _cut(question.answer),
        **({"gold": [_cut(step) for step in question.gold]} if question.gold else {}),
        **({"parent": question.parent} if question.parent else {}),
        "n": pool.size,
        "groups": groups,
        "majority": majority,
        "elections": elections,
        "solutions": list(rows.values()),
    }


def _describe_group(solutions: Sequence[Solution], pool: Pool, answer_id: int) -> dict[str, Any]:
    members = np.flatnonzero(pool.answer_ids == answer_id)
    answer = _cut(solutions[int(members[0])].answer or "")
    return {"answer": answer, "votes": len(members), "right": _round(pool.correct[members].mean())}


def _vote(pool: Pool, weights: np.ndarray, place: Mapping[int, int]) -> dict[str, Any]:
    """right: the probability that the vote is right; winners: places of the answers that win or tie; shares: of the weight,
    by place."""
    row = pool.answer_ids[None], pool.correct[None], weights[None]
    tally = count_votes(*row)
    in_place = sorted((answer_id for answer_id in place if answer_id >= 0), key=place.__getitem__)
    sums, winners = tally.votes[0, in_place], np.flatnonzero(tally.is_winner[0, in_place]).tolist()
    right = _round(score_votes(*row)[0])
    return {"right": right, "winners": winners, "shares": [_round(x) for x in sums / (sums.sum() or 1)]}


def _pick_best(pool: Pool, score: str) -> dict[str, Any]:
    """right: the probability that best-of-N is right; winners: the solutions with the highest score."""
    values = np.where(pool.answer_ids >= 0, pool.scores[score], -np.inf)
    winners = np.flatnonzero(values == values.max()) if (pool.answer_ids >= 0).any() else np.array([], int)
    return {"right": _round(pool.correct[winners].mean() if len(winners) else 0.0), "winners": winners.tolist()}


def _describe_solution(
    solution: Solution, pool: Pool, i: int, names: Sequence[str], place: Mapping[int, int]
) -> dict[str, Any]:
    steps, cut = [], MAX_TEXT
    for step in solution.steps:
        if cut > 0:
            steps.append(step[:cut] + ("..." if len(step) > cut else ""))
        cut -= len(step)
    row: dict[str, Any] = {
        "steps": steps,
        "group": place[int(pool.answer_ids[i])],
        "right": int(pool.correct[i] > 0),
        "scores": [_round(float(pool.scores[name][i])) for name in names],
    }
    if solution.finished is not None:
        row["finished"] = int(solution.finished)
    if solution.tokens is not None:
        row["tokens"] = solution.tokens
    if solution.first_error is not None:
        row["first_error"] = solution.first_error
    if step_scores := {names.index(name): x for name, x in solution.step_scores.items() if name in names}:
        row["step_scores"] = {str(k): [round(value, 2) for value in x] for k, x in step_scores.items()}
    if rationales := {names.index(name): x for name, x in solution.rationales.items() if name in names and x}:
        row["rationales"] = {str(k): [_cut(text) for text in x] for k, x in rationales.items()}
    return row


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


def _round(value: float) -> float:
    """Four significant digits and at most four decimals, a whole number as such."""
    value = round(float(f"{value:.4g}"), 4)
    return int(value) if value == int(value) else value


def fit(
    sets: Mapping[str, Sequence[Callable[[], dict[str, Any]]]], max_problems: int, max_bytes: int
) -> list[dict[str, Any]]:
    """[{name, problems, left_out}] of {set: makers of its problems}: the first problems of each set, in turn, while they
    fit into `max_bytes` of JSON."""
    selected: dict[str, list[dict[str, Any]]] = {name: [] for name in sets}
    size, turns = 0, range(min(max_problems, max(map(len, sets.values()), default=0)))
    for name, makers in ((name, makers) for turn in turns for name, makers in sets.items() if turn < len(makers)):
        problem = makers[len(selected[name])]()
        size += len(json.dumps(problem, separators=(",", ":")))
        if size > max_bytes:
            break
        selected[name].append(problem)
    return [
        {"name": name, "problems": problems, "left_out": len(sets[name]) - len(problems)}
        for name, problems in selected.items()
    ]
