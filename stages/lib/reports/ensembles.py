"""Verifier ensembles: one score from several, stacked by a logistic regression that is fitted on dev.

ensemble        the trained verifiers, oracles left out, with the generator's likelihood
ensemble_free   the untrained base in each of its forms, with the likelihood: what stacking alone is worth

The inputs of a solution are the logit of every verifier's score, of a process verifier also those of the lowest, mean and
last step and the log of the steps' product, and the three likelihoods, each in standard deviations on dev. Solutions
without an answer are left out of the fit, since nothing elects them. Dev itself is scored by cross-fitting, each problem by
a fit on the other folds, so that what is then chosen on dev never sees a score that was fitted on its own answers.

The share of votes is no input: it depends on all solutions drawn, and a score that contains it is not that of a smaller
draw. Votes join in the weighted vote, by a power that is chosen on dev. Measured on one run of the default: as an input it
took 3.2 points from the ensemble on test and 1.9 out of distribution.

Source: Wolpert 1992 (stacked generalization).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from stages.lib.core.records import Score
from stages.lib.display.tables import ORACLE_SCORES, format_score_name
from stages.lib.reports.pools import (
    ENSEMBLE,
    FREE_ENSEMBLE,
    LIKELIHOOD_SCORES,
    TRAINING_FREE,
    UNTRAINED_VERIFIERS,
    Pool,
)

FOLDS = 5  # of dev's problems
INVERSE_PENALTY = 0.1  # the inputs are many views of few scores; on dev better than 1
SMALLEST_PROBABILITY = 1e-6  # a logit has no bound at 0 and 1

Steps = Mapping[str, Mapping[tuple[str, int], Sequence[float]]]  # verifier -> (problem id, index) -> step scores


class Ensemble(NamedTuple):
    """verifiers: whose scores it reads; weights: change of the log-odds per standard deviation of an input on dev."""

    name: str
    verifiers: list[str]
    weights: dict[str, float]


def add(
    pools: Mapping[str, Sequence[Pool]], scores: Mapping[str, Sequence[Score]]
) -> tuple[dict[str, list[Pool]], list[Ensemble]]:
    """The pools with the scores of `ENSEMBLES`, and how these were made. Both arguments by name of the set, with `dev`.
    An ensemble is left out where a fold of dev has no right or no wrong answer, so that nothing can be fitted."""
    names = sorted(pools["dev"][0].scores)
    trained = [name for name in names if name not in (*TRAINING_FREE, *ORACLE_SCORES)]
    members = {FREE_ENSEMBLE: [name for name in names if name in UNTRAINED_VERIFIERS], ENSEMBLE: trained}
    steps: dict[str, dict[tuple[str, int], list[float]]] = {}
    for score in (score for some in scores.values() for score in some if score.step_scores):
        steps.setdefault(score.verifier, {})[score.problem_id, score.index] = score.step_scores or []
    result, ensembles = {name: list(some) for name, some in pools.items()}, []
    for name, verifiers in members.items():
        inputs = {key: [collect_inputs(pool, verifiers, steps) for pool in some] for key, some in pools.items()}
        labels = list(inputs["dev"][0])
        arrays = {key: [np.column_stack(list(x.values())) for x in some] for key, some in inputs.items()}
        if stacked := stack(pools["dev"], arrays):
            ensembles.append(Ensemble(name, verifiers, dict(zip(labels, stacked[1], strict=True))))
            for key, values in stacked[0].items():
                result[key] = [_add_score(pool, name, x) for pool, x in zip(result[key], values, strict=True)]
    return result, ensembles


def collect_inputs(pool: Pool, verifiers: Sequence[str], steps: Steps) -> dict[str, np.ndarray]:
    """(N,) values of every input, by its name in reports."""
    inputs: dict[str, np.ndarray] = {}
    for name in verifiers:
        label = format_score_name(name)
        inputs[label] = _logit(pool.scores[name])
        if known := steps.get(name):  # a solution that was not read counts as one with a wrong step
            rows = [_clip(np.array(known.get((pool.problem_id, i), [0.0]))) for i in range(pool.size)]
            inputs[f"{label} lowest step"] = _logit(np.array([row.min() for row in rows]))
            inputs[f"{label} mean step"] = _logit(np.array([row.mean() for row in rows]))
            inputs[f"{label} last step"] = _logit(np.array([row[-1] for row in rows]))
            inputs[f"{label} product"] = np.array([np.log(row).sum() for row in rows])
    return inputs | {format_score_name(name): pool.scores[name] for name in LIKELIHOOD_SCORES}


def stack(
    dev: Sequence[Pool], inputs: Mapping[str, Sequence[np.ndarray]]
) -> tuple[dict[str, list[np.ndarray]], list[float]] | None:
    """({set: probabilities (N,) of each problem}, weights (inputs,)); None where dev does not suffice.

    inputs: {set: (N, inputs) of each problem}, with `dev`."""
    correct = np.concatenate([pool.correct for pool in dev])
    problem = np.repeat(np.arange(len(dev)), [pool.size for pool in dev])
    has_answer = np.concatenate([pool.answer_ids for pool in dev]) >= 0
    values = np.concatenate(inputs["dev"])
    folds = list(GroupKFold(min(FOLDS, len(dev))).split(values, groups=problem)) if len(dev) > 1 else []
    parts = [train[has_answer[train]] for train, _ in folds]
    if not folds or any(len(np.unique(correct[part])) < 2 for part in parts):
        return None
    mean, scale = values[has_answer].mean(axis=0), values[has_answer].std(axis=0)
    scale[scale == 0] = 1.0

    def fit(rows: np.ndarray) -> LogisticRegression:
        model = LogisticRegression(C=INVERSE_PENALTY, tol=1e-8, max_iter=1000)
        return model.fit((values[rows] - mean) / scale, correct[rows])

    def predict(model: LogisticRegression, rows: np.ndarray) -> np.ndarray:
        return model.predict_proba((rows - mean) / scale)[:, 1]

    crossed = np.empty(len(values))
    for part, (_, held_out) in zip(parts, folds, strict=True):
        crossed[held_out] = predict(fit(part), values[held_out])
    model = fit(np.flatnonzero(has_answer))
    predictions = {name: [predict(model, rows) for rows in some] for name, some in inputs.items()}
    predictions["dev"] = [crossed[problem == i] for i in range(len(dev))]
    return predictions, model.coef_[0].tolist()


def write_notes(ensembles: Sequence[Ensemble]) -> list[str]:
    """What each ensemble is made of, the largest weight first."""
    notes = []
    for ensemble in ensembles:
        ordered = sorted(ensemble.weights.items(), key=lambda item: -abs(item[1]))
        weights = ", ".join(f"{name} {weight:+.2f}" for name, weight in ordered)
        name = format_score_name(ensemble.name)
        notes.append(f"{name}: logistic regression fitted on dev, log-odds per standard deviation: {weights}.")
    return notes


def _add_score(pool: Pool, name: str, values: np.ndarray) -> Pool:
    return pool._replace(scores={**pool.scores, name: values}, score_kinds={**pool.score_kinds, name: "probability"})


def _clip(values: np.ndarray) -> np.ndarray:
    return np.clip(values, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)


def _logit(values: np.ndarray) -> np.ndarray:
    return np.log(_clip(values)) - np.log1p(-_clip(values))
