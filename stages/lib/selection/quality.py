"""Models of quality: `score(rows) -> (rows,) float64`, higher is better.

RevisionQuality   the probability that a row is the better one of a pair (`revision_pairs.py`): a logistic regression of an
                  embedding and six surface features. CaR's IQS (Ge et al. 2024, arXiv 2402.18191) is a fine-tuned regressor
                  of a 550M encoder on the same pairs; this one fits on a CPU in seconds, and its figures are its own.
RewardQuality     a verifier of this project, or a published reward model.
length            characters of the answer: the baseline that any model must beat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.selection import pair_accuracy
from stages.lib.selection.embeddings import tfidf
from stages.lib.selection.pair_accuracy import PairAccuracy
from stages.lib.selection.revision_pairs import Pair, Part, plain
from stages.lib.selection.rows import Row

VERSION = 1  # part of every key
REGULARISATIONS = (0.01, 0.1, 1.0)  # inverse strengths, chosen on dev
MIN_SPREAD = 1e-3  # of a feature over the pairs: with less it is rounding, which scaling would blow up in other rows

Embed = Callable[[Sequence[str]], np.ndarray]
Features = Literal["both", "surface", "embedding"]

_WORD = re.compile(r"\w+")


def score_length(rows: Sequence[Row]) -> np.ndarray:
    return np.array([len(row.answer) for row in rows], float)


def compute_surface(rows: Sequence[Row]) -> np.ndarray:
    """(rows, 6): log words of the answer and of the question, log lines of the answer, its share of distinct words, the
    share of the question's words that it takes up, whether it ends as a sentence does."""
    features = np.zeros((len(rows), 6))
    for i, row in enumerate(rows):
        answer, question = (_WORD.findall(plain(text).lower()) for text in (row.answer, row.question))
        distinct, asked = set(answer), set(question)
        features[i] = (
            np.log1p(len(answer)),
            np.log1p(len(question)),
            np.log1p(plain(row.answer).strip().count("\n")),
            len(distinct) / max(1, len(answer)),
            len(asked & distinct) / max(1, len(asked)),
            plain(row.answer).rstrip().endswith((".", "!", "?", '"')),
        )
    return features


def make_texts(rows: Sequence[Row]) -> list[str]:
    """Question and answer, each made plain by itself: together they have a line end, as if nothing were escaped."""
    return [f"{plain(row.question)}\n{plain(row.answer)}" for row in rows]


class RevisionQuality:
    """The probability that a row is the better one of its pair.

    embed: texts -> (texts, width), of a model that is already there; None: the n-grams of `embeddings/tfidf.py`, fitted to
    the pairs. features: what the regression reads, for ablations."""

    def __init__(self, embed: Embed | None = None, features: Features = "both"):
        self.embed, self.features = embed, features
        self._embed_texts: Embed | None = embed  # once fitted
        self.regression: Pipeline | None = None
        self.regularisation: float | None = None  # inverse strength

    def fit(self, parts: dict[Part, list[Pair]], seed: int) -> None:
        """Fit on `train`; the strength of the regularisation is the one with the best pair accuracy on `dev`.

        Raises UserError where either has no pair."""
        for part in ("train", "dev"):
            if not parts[part]:
                raise UserError(f"quality: no pair in part {part}; more pairs are needed, some thirty at least")
        rows = [row for pair in parts["train"] for row in (pair.worse, pair.better)]
        with threadpool_limits(1):
            if self.embed is None and self.features != "surface":
                self._embed_texts = tfidf.NgramSpace(make_texts(tfidf.draw_for_fit(rows, seed)), seed).embed
            inputs, is_better = self._compute_inputs(rows), np.tile([False, True], len(parts["train"]))
            dev = self._compute_inputs([row for pair in parts["dev"] for row in (pair.worse, pair.better)])
            scaler: Any = StandardScaler().fit(inputs)
            scaler.scale_ = np.maximum(scaler.scale_, MIN_SPREAD)
            best = -1.0
            for strength in REGULARISATIONS:
                logistic = LogisticRegression(C=strength, max_iter=1000).fit(scaler.transform(inputs), is_better)
                regression = make_pipeline(scaler, logistic)
                scores = regression.decision_function(dev)
                accuracy = float(np.mean((scores[1::2] > scores[::2]) + 0.5 * (scores[1::2] == scores[::2])))
                if accuracy > best:
                    best, self.regression, self.regularisation = accuracy, regression, strength

    def _compute_inputs(self, rows: Sequence[Row]) -> np.ndarray:
        surface = compute_surface(rows)
        if self.features == "surface":
            return surface
        assert self._embed_texts is not None
        vectors = np.asarray(self._embed_texts(make_texts(rows)), float)
        return vectors if self.features == "embedding" else np.hstack([surface, vectors])

    def score(self, rows: Sequence[Row]) -> np.ndarray:
        """(rows,) probabilities; of a text in another form than the pairs' (a whole chat, code) they mean less."""
        if self.regression is None:
            raise ValueError("fit comes before score")
        with threadpool_limits(1):
            return self.regression.predict_proba(self._compute_inputs(rows))[:, 1] if rows else np.zeros(0)


class RewardQuality:
    """The score that a verifier gives a row: one of this project, else a sequence classifier (form `reward`).

    A row longer than the model reads scores 0. Raises UserError for what cannot be loaded."""

    def __init__(self, folder: Path, device: str = "auto", batch: int = 8):
        from stages.lib.verifiers import registry, saving

        form = "assay" if (folder / saving.CONFIG_FILE).is_file() else "reward"
        self.verifier = registry.load_any(str(folder), None, form, None, "auto", device, batch)

    def score(self, rows: Sequence[Row]) -> np.ndarray:
        from stages.lib.verifiers import registry
        from stages.lib.verifiers.base import make_pool

        scores, context, pools = np.zeros(len(rows)), self.verifier.model.config.max_position_embeddings, []
        for i, row in enumerate(rows):
            problem, samples = make_pool(str(i), row.question, [row.answer])
            if registry.count_tokens(self.verifier, problem, samples[0]) <= context:
                pools.append((problem, samples))
        for (problem, _), results in zip(pools, self.verifier.score_many(pools), strict=True):
            scores[int(problem.id)] = results[0].score
        return scores


def measure(score: Callable[[Sequence[Row]], np.ndarray], pairs: Sequence[Pair], seed: int) -> dict[str, PairAccuracy]:
    """How well scores tell the better rows of pairs, for each kind of pair and, where there are several, for `all`."""
    better, worse = (score([getattr(pair, side) for pair in pairs]) for side in ("better", "worse"))
    kinds = list(dict.fromkeys(pair.kind for pair in pairs))
    key = seeds.key(seed, "quality", VERSION, "bootstrap")
    results = {}
    for kind in [*kinds, "all"] if len(kinds) > 1 else kinds:
        places = [i for i, pair in enumerate(pairs) if kind in ("all", pair.kind)]
        groups = [pairs[i].group for i in places]
        results[kind] = pair_accuracy.measure(worse[places], better[places], groups, key)
    return results
