"""`adversarial`: the rows that a classifier tells best from what is there already (adversarial validation).

A logistic regression on embeddings learns to tell existing rows (1) from candidates (0), with balanced weights of the two.
Each row is judged by a model of other folds, and all rows of a group are in one fold: a variant of a problem would give its
siblings away. Candidates of the lowest probability are least like what is there. Where the area under the ROC curve says
that the two cannot be told apart, the probabilities are noise, and the method refuses.

Existing rows are examples of what is covered, candidates are unlabelled. So the probability that a candidate is covered is
p(existing) / c with c the mean of p over existing rows (Elkan & Noto 2008, section 2), where p has the odds of the two
sets as they are, that is without the balanced weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from stages.lib.core import params as core_params
from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.selection import budgets, inputs
from stages.lib.selection.rows import NO_VALUES, VERSION, Budget, Choice, Labelled, Row, Values

CHANCE = 0.55  # up to this AUC, existing rows and candidates count as indistinguishable
SHORTCUT = 0.02  # an AUC of length or source alone that is not further below the whole one explains it


class Params(core_params.Params):
    """The folds."""

    folds: int = Field(default=5, ge=2)


DEFAULTS = Params()


class Audit(NamedTuple):
    """What the classifier found. auc: of telling existing rows from candidates, out of fold; auc_length, auc_source: of
    models that see the length of a row alone, or its source alone. One near `auc` means that the selection is mostly by
    that. probabilities: (candidates,) out-of-fold p of being an existing row, under balanced weights; covered:
    (candidates,) the probability of being covered by existing rows, at most 1. Both in the order of the candidates."""

    auc: float
    auc_length: float
    auc_source: float
    probabilities: np.ndarray
    covered: np.ndarray


def select(
    rows: Sequence[Row],
    embeddings: np.ndarray | None,
    budget: Budget,
    labelled: Labelled | None,
    seed: int,
    params: Params = DEFAULTS,
    values: Values = NO_VALUES,
) -> list[Choice]:
    """Candidates from the lowest out-of-fold probability to the highest until the budget is spent; it is the value.

    Raises UserError as `measure`, where existing rows and candidates cannot be told apart, and for a budget that fits no
    row."""
    given = inputs.sort_inputs("adversarial", rows, embeddings, budget, values, ["embeddings"])
    if not given.rows or 0 in budget:
        return []
    audit = measure(given.rows, given.vectors, labelled, seed, params)
    return choose(given.rows, audit, budget)


def choose(rows: Sequence[Row], audit: Audit, budget: Budget) -> list[Choice]:
    """The choice, given the audit of the same rows in the same order."""
    if audit.auc <= CHANCE:
        raise UserError(
            f"method adversarial: existing rows and candidates are indistinguishable (AUC {audit.auc:.2f}, more than "
            f"{CHANCE} is needed), so the least likely candidates would be random; choose another method"
        )
    order = budgets.rank(rows, lambda i: -audit.probabilities[i])
    taken = budgets.take_in_order(rows, order, budget)
    return [Choice(rows[i].id, "unlike the existing rows", float(audit.probabilities[i])) for i in taken]


def describe(audit: Audit) -> list[str]:
    """The audit in sentences: how well the rows are told apart, whether length or source alone does as well, and how many
    candidates are covered."""
    shortcuts = {"length": audit.auc_length, "source": audit.auc_source}
    enough = [name for name, auc in shortcuts.items() if auc >= audit.auc - SHORTCUT]
    return [
        f"existing rows are told from candidates with AUC {audit.auc:.3f}; by their length alone with "
        f"{audit.auc_length:.3f}, by their source alone with {audit.auc_source:.3f}",
        *(f"{name} alone tells them apart as well, so the choice may be one by {name}" for name in enough),
        f"a candidate is covered by existing rows with a mean probability of {audit.covered.mean():.2f}",
    ]


def measure(
    rows: Sequence[Row],
    embeddings: np.ndarray,
    labelled: Labelled | None,
    seed: int,
    params: Params = DEFAULTS,
) -> Audit:
    """How well existing rows (labelled) are told from candidates (rows), by what, and which candidates are covered.

    Raises UserError without existing rows, and for fewer groups of either kind than folds."""
    given = inputs.sort_inputs("adversarial", rows, embeddings, needs=["embeddings"])
    existing = inputs.sort_labelled("adversarial", labelled, ["embeddings"], given.vectors.shape[1])
    everything = [*existing.rows, *given.rows]
    is_existing = np.arange(len(everything)) < len(existing.rows)
    folds = assign_folds(everything, is_existing, seed, params.folds)
    vectors = np.concatenate([np.asarray(existing.embeddings), given.vectors])
    lengths = np.log1p([[len(row.question), len(row.answer)] for row in everything])
    sources = {source: i for i, source in enumerate(sorted({row.source for row in everything}))}
    one_hot = np.eye(len(sources))[[sources[row.source] for row in everything]]
    with threadpool_limits(limits=1):
        p, p_length, p_source = (
            predict_out_of_fold(features, is_existing, folds) for features in (vectors, lengths, one_hot)
        )
    auc, auc_length, auc_source = (float(roc_auc_score(is_existing, scores)) for scores in (p, p_length, p_source))
    odds = p / (1 - p) * is_existing.sum() / (~is_existing).sum()  # without the balanced weights
    prior = odds / (1 + odds)
    covered = np.minimum(prior[~is_existing] / prior[is_existing].mean(), 1.0)
    in_order = np.argsort(given.places)  # from the order of ids to that of the caller
    return Audit(auc, auc_length, auc_source, p[~is_existing][in_order], covered[in_order])


def assign_folds(rows: Sequence[Row], is_existing: np.ndarray, seed: int, folds: int) -> np.ndarray:
    """(rows,) the fold of each row. A group is in one fold, and the groups with existing rows, those with candidates and
    those with both are each spread evenly. Raises UserError for fewer groups of existing rows or candidates than folds."""
    groups: dict[str, set[bool]] = {}
    for row, existing in zip(rows, is_existing.tolist(), strict=True):
        groups.setdefault(row.group, set()).add(existing)
    for name, existing in {"existing rows": True, "candidates": False}.items():
        count = sum(existing in kinds for kinds in groups.values())
        if count < folds:
            raise UserError(f"method adversarial: {count} groups of {name} are fewer than folds={folds}; add rows")
    order = sorted(
        groups, key=lambda group: (sorted(groups[group]), seeds.key(seed, "selection", VERSION, group, "fold"))
    )
    numbers = {group: place % folds for place, group in enumerate(order)}
    return np.array([numbers[row.group] for row in rows])


def predict_out_of_fold(features: np.ndarray, is_existing: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """(rows,) the probability of each row of being an existing one, by a model that saw no row of its fold."""
    probabilities = np.empty(len(features))
    for fold in np.unique(folds):
        is_out = folds == fold
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
        model.fit(features[~is_out], is_existing[~is_out])
        probabilities[is_out] = model.predict_proba(features[is_out])[:, 1]
    return np.clip(probabilities, 1e-12, 1 - 1e-12)
