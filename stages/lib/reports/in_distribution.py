"""Best-of-N in distribution: settings chosen on dev, curves and comparisons measured on test, and their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stages.lib.core.records import Problem, Sample
from stages.lib.display.tables import Table
from stages.lib.metrics import ranking
from stages.lib.reports import auc_table, curves, leaderboard, vote_settings
from stages.lib.reports.curves import Curve
from stages.lib.reports.evaluation import Evaluation
from stages.lib.reports.pools import Pool, sort_score_names
from stages.lib.reports.vote_settings import VoteSettings
from stages.lib.reports.votes import WeightedVote

Comparisons = dict[str, dict[str, float]]  # {method: {difference, low, high, p, detectable}}


class Results(NamedTuple):
    """k: that of the table. settings, best_free, likelihood (its best use), single (the best use of one trained verifier)
    and the k of `peaks` come from dev, all other numbers from test. versus_single: of the ensemble. powers: {score:
    {power: accuracy of its weighted vote}}."""

    k: int
    settings: dict[str, VoteSettings]
    dev_curves: dict[str, Curve]
    curves: dict[str, Curve]
    intervals: dict[str, dict[int, dict[str, float]]]
    best_free: str
    likelihood: str
    versus_majority: Comparisons
    versus_free: Comparisons
    single: str | None
    versus_single: dict[str, float] | None
    power_1: Comparisons
    powers: dict[str, dict[float, float]]
    peaks: Comparisons
    aucs: dict[str, dict[str, Any]]

    def to_metrics(self) -> dict[str, Any]:
        at_n = {name: curve[self.curves[name].floor_k(self.k)] for name, curve in self.intervals.items()}
        return {
            "n": self.k,
            "pass_1": {part: self.intervals["pass"][1][part] for part in ("mean", "low", "high")},
            "at_n": {name: {key: x for key, x in point.items() if key != "problems"} for name, point in at_n.items()},
            "versus_majority": self.versus_majority,
            "versus_free": self.versus_free,
            "best_single": self.single,
            "ensemble_versus_single": self.versus_single,
            "power_1": self.power_1,
            "best_free": self.best_free,
            "best_likelihood": self.likelihood,
            "auc": self.aucs,
            "turning": self.peaks,
            "chosen_on_dev": {name: {"power": s.power, "share": s.share} for name, s in self.settings.items()},
        }


def compute(
    data: Evaluation, powers: Sequence[float], shares: Sequence[float], draws: int, resamples: int, seed: int
) -> Results:
    """draws: Monte Carlo subsets per problem and k; resamples: bootstrap resamples of the problems."""
    dev, test = data.dev, data.test
    k, settings = curves.median_k(test), curves.choose(dev, powers, shares, seed)
    dev_curves = curves.evaluate(dev, settings, draws, seed)
    test_curves = {
        **{name: evaluate_single_samples(data.sets["test"].problems, x) for name, x in data.single_samples.items()},
        **curves.evaluate(test, settings, draws, seed),
    }
    best_free = leaderboard.select_best_use(dev_curves, k)
    likelihood = leaderboard.select_best_likelihood(dev_curves, k)
    single, versus_single = leaderboard.select_best_single(dev_curves, k), None
    if single and leaderboard.ENSEMBLE_VOTE in test_curves:
        versus_single = leaderboard.compare_to(single, test_curves, k, seed)[leaderboard.ENSEMBLE_VOTE]
    family = leaderboard.order_methods(test_curves, best_free, likelihood)
    return Results(
        k,
        settings,
        dev_curves,
        test_curves,
        curves.compute_intervals(test_curves, seed, resamples),
        best_free,
        likelihood,
        leaderboard.add_holm(leaderboard.compare_to("majority", test_curves, k, seed), family),
        leaderboard.compare_to(best_free, test_curves, k, seed),
        single,
        versus_single,
        evaluate_unit_power(test, k, test_curves["majority"], draws, seed),
        evaluate_powers(test, k, powers, seed),
        leaderboard.measure_overoptimisation(dev_curves, test_curves, k, seed),
        auc_table.measure(dev, test, seed, resamples),
    )


def evaluate_single_samples(problems: Sequence[Problem], samples: Sequence[Sample]) -> Curve:
    """The curve, of k = 1 alone, of a method that draws one sample per problem."""
    is_right = {sample.problem_id: float(bool(sample.correct and sample.finish == "stop")) for sample in samples}
    return Curve(np.array([1]), np.array([[is_right[problem.id]] for problem in problems]), np.zeros(1))


def evaluate_unit_power(test: Sequence[Pool], k: int, majority: Curve, draws: int, seed: int) -> Comparisons:
    """{score: {mean, difference, low, high, ...}}: its weighted vote at power 1, where nothing is chosen on dev."""
    names = sorted(test[0].scores)
    votes = curves.compute_votes(test, {name: WeightedVote(name, 1.0) for name in names}, [k], draws, seed)
    gaps = leaderboard.compare_to("majority", {"majority": majority} | votes, k, seed)
    return {name: {"mean": float(np.nanmean(votes[name].accuracy_at(k)))} | gaps[name] for name in names}


def evaluate_powers(test: Sequence[Pool], k: int, powers: Sequence[float], seed: int) -> dict[str, dict[float, float]]:
    """{score: {power: accuracy}}: what each candidate would have had on test; it shows what the choice on dev decides."""
    names, powers = sort_score_names(test[0].scores), sorted(powers)
    votes = {(name, power): WeightedVote(name, power) for name in names for power in powers}
    at_k = curves.compute_votes(test, votes, [k], curves.DEV_DRAWS, seed)
    return {name: {power: float(np.nanmean(at_k[name, power].accuracy_at(k))) for power in powers} for name in names}


def compute_reliability(data: Evaluation) -> dict[str, list[tuple[float, float, int]]]:
    """{verifier: `ranking.reliability_bins` on the test set}."""
    correct = np.concatenate([pool.correct for pool in data.test]) > 0
    scores = {name: np.concatenate([pool.scores[name] for pool in data.test]) for name in data.verifiers}
    return {name: ranking.reliability_bins(values, correct) for name, values in scores.items()}


def tabulate(results: Results, test: Sequence[Pool]) -> tuple[dict[str, Table], list[str]]:
    """({title: table}, notes) of the report in distribution, the leaderboard first."""
    r = results
    order = leaderboard.order_methods(r.curves, r.best_free, r.likelihood)
    rows = leaderboard.format_rows(r.intervals, r.versus_majority, order, r.k, r.versus_free, r.likelihood)
    tables: Mapping[str, Table] = {
        f"Best of N: {len(test)} test problems, N = {r.k}": (leaderboard.HEADER + leaderboard.OVER_FREE_HEADER, rows),
        auc_table.format_heading(r.aucs): (auc_table.HEADER, auc_table.format_rows(r.aucs)),
        "Weighted votes on dev, accuracy %, and how the other powers differ from the chosen one (± standard error)": (
            vote_settings.format_table(r.settings, "powers")
        ),
        "Weighted votes on test at every power, accuracy %, * chosen on dev": vote_settings.format_accuracies(
            r.settings, r.powers
        ),
        "Top votes on dev, likewise": vote_settings.format_table(r.settings, "shares"),
    }
    notes = leaderboard.write_notes(r.settings, test, r.peaks, r.best_free)
    if r.single and r.versus_single:
        notes.append(leaderboard.format_versus_single(r.versus_single, r.single, "on test"))
    return dict(tables), [*notes, "Peaks were found on dev; the fall is measured on test."]
