"""Battles between players on the same problems, the judges' verdicts on them, and what the truth says of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from stages.evaluation.arena.players import VERSION, Entry, get_root
from stages.lib.arena import judges, report
from stages.lib.arena.battles import make_battles
from stages.lib.core import seeds
from stages.lib.core.records import Problem, Verdict
from stages.lib.metrics import intervals

TRUTH, RANDOM, LENGTH = "truth", "random", "length"  # judges that need no model
Judge = Callable[["Pair", bool], int | None]  # (pair, is the second player shown first) -> verdict on what is shown


class Pair(NamedTuple):
    """Two players' solutions of one problem. Their order is random, the same for every judge."""

    problem: Problem
    a: str
    b: str
    first: Entry
    second: Entry

    @property
    def is_identical(self) -> bool:
        return self.first.sample.text == self.second.sample.text

    @property
    def truth(self) -> int:
        """1: only the first is right, 2: only the second, 0: both or none."""
        return judges.compare_scores(*(float(x.sample.is_right) for x in (self.first, self.second)))

    @property
    def longer(self) -> int:
        return judges.compare_scores(self.first.sample.tokens, self.second.sample.tokens)


class Outcome(NamedTuple):
    """A judge on one set. figures: agreement with the truth and habits; ranking: of lib/arena/report.py, a row a player
    with its true solve rate; spearman: of ratings and solve rates, None where either is constant."""

    figures: dict[str, Any]
    ranking: report.Ranking
    spearman: float | None


def draw_pairs(
    problems: Sequence[Problem], entries: Mapping[str, Mapping[str, Entry]], per_problem: int, seed: int
) -> list[Pair]:
    """At most `per_problem` pairs of players for every problem. entries: player -> problem id -> its solution."""
    pairs = []
    for problem in problems:

        def key(pair: tuple[str, str], field: str, at: str = problem.id) -> int:
            return seeds.key(seed, "arena", VERSION, at, *pair, field)

        drawn = sorted(combinations(sorted(entries), 2), key=lambda pair: key(pair, "pair"))[:per_problem]
        for pair in sorted(drawn):
            a, b = pair if key(pair, "order") % 2 else pair[::-1]
            pairs.append(Pair(problem, a, b, entries[a][problem.id], entries[b][problem.id]))
    return pairs


def make_score_judge(verifier: str, margin: float) -> Judge:
    """A verifier as a pairwise judge. It reads each solution alone, so the order cannot matter to it."""

    def judge(pair: Pair, is_swapped: bool) -> int:
        scores = [entry.scores[verifier] for entry in (pair.first, pair.second)]
        first, second = reversed(scores) if is_swapped else scores
        return judges.compare_scores(first, second, margin)

    return judge


def judge_truth(pair: Pair, is_swapped: bool) -> int | None:
    return judges.SWAPPED[pair.truth] if is_swapped else pair.truth


def judge_length(pair: Pair, is_swapped: bool) -> int | None:
    """The longer solution is better."""
    return judges.SWAPPED[pair.longer] if is_swapped else pair.longer


def make_random_judge(seed: int) -> Judge:
    """A coin for every showing."""

    def judge(pair: Pair, is_swapped: bool) -> int:
        return 1 + seeds.key(seed, "arena", VERSION, pair.problem.id, pair.a, pair.b, is_swapped, "coin") % 2

    return judge


def ask(name: str, judge: Judge, pairs: Sequence[Pair]) -> list[Verdict]:
    """Both orders of every pair, the drawn one first. Pairs of one identical solution are not asked."""
    return [
        Verdict(
            problem_id=pair.problem.id,
            judge=name,
            first=pair.b if is_swapped else pair.a,
            second=pair.a if is_swapped else pair.b,
            verdict=judge(pair, is_swapped),
        )
        for pair in pairs
        if not pair.is_identical
        for is_swapped in (False, True)
    ]


def choose_margin(pools: Sequence[Sequence[Entry]], verifier: str) -> float:
    """The difference of two scores that is a tie: the one with the highest kappa over pairs of solutions of dev."""
    differences, truth = [], []
    for pool in pools:
        for first, second in combinations(pool, 2):
            if first.sample.text != second.sample.text:
                differences.append(first.scores[verifier] - second.scores[verifier])
                truth.append(judges.compare_scores(float(first.sample.is_right), float(second.sample.is_right)))
    return judges.choose_margin(np.array(differences), np.array(truth))


def compute_solve_rates(entries: Mapping[str, Mapping[str, Entry]]) -> dict[str, float]:
    return {
        player: float(np.mean([entry.sample.is_right for entry in solutions.values()]))
        for player, solutions in entries.items()
    }


def evaluate(
    pairs: Sequence[Pair], verdicts: Sequence[Verdict], rates: Mapping[str, float], seed: int, rounds: int
) -> Outcome:
    """One judge on one set. verdicts: of `ask`, in its order. Identical solutions tie in the ratings and are left out of
    the judge's figures."""
    said = [verdict.verdict for verdict in verdicts]
    forward, backward = said[::2], said[1::2]
    asked = [pair for pair in pairs if not pair.is_identical]
    final = [judges.merge_orders(*both) for both in zip(forward, backward, strict=True)]
    truth = [pair.truth for pair in asked]
    figures = judges.compare_with_truth(final, truth) | judges.measure_habits(
        forward, backward, [pair.longer for pair in asked]
    )
    figures |= {"pairs": len(asked), **_estimate_accuracy(asked, final, truth)}
    ranking = _rank(pairs, dict(zip(map(id, asked), final, strict=True)), seed, rounds)
    for row in ranking.rows:
        row["solve_rate"] = rates[row["player"]]
    return Outcome(figures, ranking, correlate(ranking.rows))


def _estimate_accuracy(
    pairs: Sequence[Pair], final: Sequence[int | None], truth: Sequence[int]
) -> dict[str, float | int | None]:
    """How often the judge is right where the truth decides, with its interval over problems; a tie counts half."""
    decided = [(p, v, t) for p, v, t in zip(pairs, final, truth, strict=True) if t and v is not None]
    if not decided:
        return {"accuracy": None, "accuracy_low": None, "accuracy_high": None, "decided": 0}
    values = np.array([0.5 if v == 0 else float(v == t) for _, v, t in decided])
    estimate = intervals.estimate_accuracy(values, [get_root(pair.problem) for pair, _, _ in decided])
    low, high = float(estimate.low), float(estimate.high)
    return {"accuracy": float(estimate.mean), "accuracy_low": low, "accuracy_high": high, "decided": len(decided)}


def _rank(pairs: Sequence[Pair], final: Mapping[int, int | None], seed: int, rounds: int) -> report.Ranking:
    games, prompts, lengths = [], [], []
    for pair in pairs:
        verdict = final.get(id(pair), 0)
        if verdict is None:
            continue
        first, second = pair.first.sample.tokens, pair.second.sample.tokens
        games.append((pair.a, pair.b, judges.POINTS[verdict]))
        prompts.append(get_root(pair.problem))
        lengths.append((first - second) / max(1, first + second))
    if not games:
        return report.Ranking([], ["The judge gave no verdict that can be read."])
    return report.rank(make_battles(games, prompts, lengths), seed, rounds)


def correlate(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Spearman's correlation of rating and true solve rate over players; None where either is constant."""
    ratings, rates = ([row[key] for row in rows] for key in ("rating", "solve_rate"))
    if len(set(ratings)) < 2 or len(set(rates)) < 2:
        return None
    return float(np.asarray(spearmanr(ratings, rates))[0])


def count_identical(pairs: Sequence[Pair]) -> int:
    return sum(pair.is_identical for pair in pairs)
