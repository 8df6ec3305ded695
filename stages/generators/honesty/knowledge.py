"""What a model knows, and which items it may learn to refuse: the training data of two arms.

R-Tuning (Zhang et al. 2024, 2311.09677) asks once: an item is known where that answer is right, and unknown items are
taught with a refusal (its variant "unknown"). Here the answer is the first sample, where the paper takes the greedy one.

The certainty-filtered arm follows CRaFT (Zhu et al. 2025, 2410.06913). It asks m times and leaves out what teaches refusing
what is known: items between known and unknown; near-duplicates, in the model's own representation, with opposite labels
(static conflicts); and items that training itself makes known or unknown (dynamic conflicts). CRaFT sees the last by a
rehearsal on what is known; here the R-Tuning arm is the rehearsal, and its samples are not drawn anew: those of the start
are weighed by how much likelier it is to draw each, at their temperature (self-normalised importance sampling). The share
of samples that were cut off is taken to stay, since their likelihood is that of a part. So an item whose finished samples
are all right, or all wrong, keeps its c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from stages.generators.honesty.items import Item
from stages.generators.honesty.refusals import draw_phrase
from stages.lib.core.records import Record, Sample
from stages.lib.inference import prefix_forward
from stages.lib.inference.sampling import Distribution
from stages.lib.models import heads
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoder
from stages.lib.training import sft


class Candidate(NamedTuple):
    """An item that may be learned from, and what the start answered: the samples that its c is of."""

    item: Item
    samples: Sequence[Sample]


class Flow(Record):
    """c of an item before and after the rehearsal."""

    problem_id: str
    before: float
    after: float


def label_by_first(samples: Sequence[Sample]) -> bool:
    """R-Tuning: known where the one answer is right."""
    return min(samples, key=lambda sample: sample.index).is_right


def label_by_certainty(c: float, known_at: float, unknown_at: float) -> bool | None:
    """Known from `known_at` on, unknown up to `unknown_at`, None between them."""
    return True if c >= known_at else False if c <= unknown_at else None


def find_static_conflicts(features: np.ndarray, known: Sequence[bool], similarity: float) -> np.ndarray:
    """(items,) whether an item of the opposite label is as near as `similarity`, by the cosine of features less their mean.

    features: (items, width). They are centred first, because all hidden states of a model share one large direction."""
    if not len(features):
        return np.zeros(0, bool)
    centred = features - features.mean(0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(norms > 0, norms, 1.0)
    labels = np.asarray(known, bool)
    return ((unit @ unit.T >= similarity) & (labels[:, None] != labels[None, :])).any(1)


def embed(model: Any, encoder: Encoder, items: Sequence[Item]) -> np.ndarray:
    """(items, width): the last hidden state at the end of each prompt, from which the model decides what to say."""
    rows = []
    for item in items:
        ids = encoder.prompt_ids(item.problem, shots=True)
        [(_, hidden)] = prefix_forward.compute_hidden_states(model, ids[:-1], [ids[-1:]])
        rows.append(hidden[0, 0].float().cpu().numpy().astype(np.float64))
    return np.array(rows)


def reweigh(right: Sequence[bool], log_ratios: Sequence[float]) -> float:
    """c under another policy, from samples of this one: the share of right ones, each weighted by the ratio of its
    probabilities. log_ratios: log(new / old) of each sample. Where the other draws none of them, c stays."""
    ratios = np.asarray(log_ratios, float)
    if np.isneginf(ratios).all():
        return float(np.mean(right))
    weights = np.exp(ratios - ratios.max())
    return float((weights * np.asarray(right, float)).sum() / weights.sum())


@torch.inference_mode()
def compute_draw_logprobs(
    model: Any, prompt: Sequence[int], texts: Sequence[Sequence[int]], distribution: Distribution
) -> list[float]:
    """The log-probability with which each text is drawn after the prompt: of its tokens by this distribution, not by the
    model's own at temperature 1. -inf where the distribution leaves a token out."""
    logprobs = [0.0] * len(texts)
    for indices, hidden in prefix_forward.compute_hidden_states(model, prompt[:-1], [[prompt[-1], *x] for x in texts]):
        for row, i in enumerate(indices):
            states = hidden[row, : len(texts[i])]
            logits = heads.scale_logits(model.get_output_embeddings()(states), model.config).double()
            drawn = distribution.compute_probabilities(logits, logits.softmax(-1))
            logprobs[i] = float(drawn.gather(1, torch.tensor(texts[i], device=drawn.device)[:, None]).log().sum())
    return logprobs


def measure_flow(
    candidate: Candidate, start: Any, rehearsed: Any, encoder: Encoder, distribution: Distribution
) -> Flow:
    """c before and after the rehearsal. Before, it is the c by which the item is labelled, in which a sample that was cut
    off is wrong. Finished samples are weighed anew; only where some are right and some wrong must a model read them."""
    samples = [sample for sample in candidate.samples if sample.finish == "stop"]
    right = [sample.is_right for sample in samples]
    before = sum(right) / len(candidate.samples)
    if sum(right) in (0, len(right)):
        return Flow(problem_id=candidate.item.id, before=before, after=before)
    prompt = encoder.prompt_ids(candidate.item.problem, shots=True)
    texts = []
    for sample in samples:
        encoded = encoder.encode(candidate.item.problem, encoder.prompt.split_steps(sample.text), shots=True)
        texts.append(encoded.ids[encoded.prompt_length :])
    old, new = (compute_draw_logprobs(model, prompt, texts, distribution) for model in (start, rehearsed))
    ratios = [b - a if a > -math.inf else -math.inf for a, b in zip(old, new, strict=True)]
    after = reweigh(right, ratios) * len(samples) / len(candidate.samples)
    return Flow(problem_id=candidate.item.id, before=before, after=after)


def make_target(encoder: Encoder, item: Item, refuses: bool, seed: int) -> list[str]:
    """The steps that an item is taught with: its solution, or a refusal."""
    return [draw_phrase(seed, item.id)] if refuses else sft.get_steps(item.problem, encoder.prompt)


def encode_target(encoder: Encoder, item: Item, refuses: bool, seed: int) -> Example:
    """The item with its target as an example. The loss is on the target alone, and all targets weigh alike: by tokens, a
    refusal would count a tenth of a solution and would not be learned."""
    encoded = encoder.encode(item.problem, make_target(encoder, item, refuses, seed), shots=True)
    length = len(encoded.ids) - encoded.prompt_length
    return Example(encoded.ids, [0.0] * encoded.prompt_length + [1.0 / length] * length)
