"""The process verifier (PRM): one score for every step of a solution and one for its end, from one forward pass.

The score of a step is read at the step's last token, exactly where its label is in training. Two kinds of head
(lib/models/heads.py): a scalar head, or the logits of two tokens of the vocabulary.

**Step markers.** After a step, the text that marks a right step (`Right.`) may be inserted before the solution goes on,
as a teacher marks work. Each score then answers a question that the language model has met in pretraining: is this line
right, given that all lines before it are? The product of the scores is the probability that all lines are right.
Markers are inserted as token ids; the text is never tokenised again.

**The end.** A solution that stops early may be right in every step it has, so a verifier of steps alone would prefer it.
The last score is therefore read at the end token, and its label is the outcome. A solution that was cut off has no end
token: its end score is 0 by definition.

Sources: Wang et al. 2023 (Math-Shepherd, arXiv 2312.08935), Lightman et al. 2023 (arXiv 2305.20050).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from stages.lib.core.records import Problem, Sample, Score
from stages.lib.inference import prefix_forward
from stages.lib.models import heads, loading
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoder
from stages.lib.models.objectives import BetaBinomialObjective, VerificationObjective
from stages.lib.verifiers import aggregation, saving
from stages.lib.verifiers.base import Verifier, encode_sample


class MarkedSample(NamedTuple):
    """An encoded sample with step markers.

    step_ends: position of each step's last token. end_position: position of the end token, None for a solution that was
    cut off. generated_mask: 1 for tokens that the generator wrote, 0 for prompt and markers.
    """

    ids: list[int]
    prompt_length: int
    step_ends: list[int]
    end_position: int | None
    generated_mask: list[float]

    @property
    def score_positions(self) -> list[int]:
        """Where scores are read: at each step's last token and, if there is one, at the end token."""
        return self.step_ends if self.end_position is None else [*self.step_ends, self.end_position]


def encode_with_markers(encoder: Encoder, problem: Problem, sample: Sample, step_marker: Sequence[int]) -> MarkedSample:
    """step_marker: token ids inserted after every step, behind the position where the step is scored."""
    encoded = encode_sample(encoder, problem, sample)
    start = encoded.prompt_length
    ids, mask, step_ends = encoded.ids[:start], [0.0] * start, []
    for last in encoded.step_ends:
        ids = ids + encoded.ids[start : last + 1]
        step_ends.append(len(ids) - 1)
        ids = ids + list(step_marker)
        mask += [1.0] * (last + 1 - start) + [0.0] * len(step_marker)
        start = last + 1
    ids = ids + encoded.ids[start:]
    mask += [1.0] * (len(encoded.ids) - start)
    end_position = len(ids) - 1 if sample.finish == "stop" else None
    return MarkedSample(ids, encoded.prompt_length, step_ends, end_position, mask)


def make_example(
    encoded: MarkedSample,
    labels: Mapping[int, float],
    outcome: bool | None,
    learn_after_first_error: bool,
    lm: bool,
    tries: Mapping[int, float] | None = None,
) -> Example:
    """A training example. labels: step number -> value in [0, 1]; a step without a label has no weight, nor has the end
    if `outcome` is None (unknown).

    learn_after_first_error: also learn from what follows the first step of value 0, the end included. Without it the
    example counts up to that step only, since markers claim that all earlier steps are right. lm: generated tokens also
    count in the language-model loss. tries: step number -> of how many tries its label is the share of successes; default
    1. Raises ValueError for a label of a step that the sample does not have.
    """
    if any(not 0 <= step < len(encoded.step_ends) for step in labels):
        raise ValueError(f"a label for step {max(labels)}, but the sample has {len(encoded.step_ends)} steps")
    target, weight = [0.0] * len(encoded.ids), [0.0] * len(encoded.ids)
    is_wrong = False
    for step, position in enumerate(encoded.step_ends):
        if step in labels and (learn_after_first_error or not is_wrong):
            target[position], weight[position] = float(labels[step]), 1.0
            is_wrong = is_wrong or labels[step] == 0
    if encoded.end_position is not None and outcome is not None and (learn_after_first_error or not is_wrong):
        target[encoded.end_position], weight[encoded.end_position] = float(outcome), 1.0
    example = Example(encoded.ids, [float(lm) * w for w in encoded.generated_mask], target, weight)
    if tries is None:
        return example
    target_tries = [1.0] * len(encoded.ids)
    for step, count in tries.items():
        target_tries[encoded.step_ends[step]] = float(count)
    return example._replace(target_tries=target_tries)


class ProcessVerifier(Verifier):
    """A causal language model that scores steps.

    head_type: `scalar`, a linear layer on the last hidden state; `token_logits`, the logit of the first of
    `head_init_tokens` against the second. step_marker: text inserted after each step, or "". aggregation: how step
    scores become the score of the solution. loss: with `beta_binomial` a score is the mean of a beta distribution, whose
    concentration a second head learns; it is saved, and no score depends on it.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        encoder: Encoder,
        head_type: Literal["scalar", "token_logits"],
        head_init_tokens: Sequence[str] = (),
        step_marker: str = "",
        aggregation: str = "min",
        loss: Literal["bce", "beta_binomial"] = "bce",
    ):
        self.name, self.model, self.encoder, self.head_type = name, model, encoder, head_type
        self.head_init_tokens, self.step_marker, self.aggregation = list(head_init_tokens), step_marker, aggregation
        self.loss = loss
        self.step_marker_ids: list[int] = encoder.encode_texts([step_marker])[0] if step_marker else []
        if head_type == "token_logits":
            tokens = heads.get_first_tokens(encoder, *head_init_tokens)
            self.head = heads.TokenLogitHead(model.get_output_embeddings(), *tokens, model.config)
        else:
            self.head = heads.make_zero_head(model.config.hidden_size, "bce")
            if head_init_tokens:
                heads.init_from_tokens(self.head, model, encoder, *head_init_tokens)

        is_beta = loss == "beta_binomial"
        self.concentration_head = heads.make_concentration_head(model.config.hidden_size) if is_beta else None

    def make_objective(self, lm_weight: float = 1.0, max_tries: int = 1) -> VerificationObjective:
        """What the training loop trains: this very model and its heads. max_tries: the most tries of any label."""
        if self.concentration_head is not None:
            return BetaBinomialObjective(self.model, self.head, self.concentration_head, max_tries, lm_weight)
        return VerificationObjective(self.model, self.head, "bce", lm_weight)

    def encode_sample(self, problem: Problem, sample: Sample) -> MarkedSample:
        return encode_with_markers(self.encoder, problem, sample, self.step_marker_ids)

    def count_tokens(self, problem: Problem, sample: Sample) -> int:
        """Number of tokens that are read for a sample, the prompt included."""
        return len(self.encode_sample(problem, sample).ids)

    @classmethod
    def load(cls, path: Path, dtype: str = "float32") -> ProcessVerifier:
        config = saving.read_config(path, "process")
        model, encoder = loading.load_causal_lm(path, dtype), Encoder.load(path)
        options = {key: config[key] for key in ("head_init_tokens", "step_marker", "aggregation")}
        verifier = cls(config["name"], model, encoder, config["head"], **options, loss=config.get("loss", "bce"))
        if verifier.head_type == "scalar":
            saving.load_head(verifier.head, path)
        if verifier.concentration_head is not None:
            saving.load_head(verifier.concentration_head, path, saving.CONCENTRATION_FILE)
        return verifier

    def save(self, path: Path) -> None:
        """The head is saved if it has weights; the loss, if it is another than bce."""
        config = {
            "kind": "process",
            "name": self.name,
            "head": self.head_type,
            "head_init_tokens": self.head_init_tokens,
            "step_marker": self.step_marker,
            "aggregation": self.aggregation,
            **({"loss": self.loss} if self.loss != "bce" else {}),
        }
        head = self.head if self.head_type == "scalar" else None
        saving.save_verifier(path, self.model, self.encoder, config, head, self.concentration_head)

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """Score.step_scores: one for each step, then the end's. Score.score: their aggregation."""
        encoded = [self.encode_sample(problem, sample) for sample in samples]
        scores = []
        for sample, e, steps in zip(samples, encoded, self._score_steps(encoded), strict=True):
            score = aggregation.aggregate(self.aggregation, steps)
            scores.append(self.make_score(sample, score, len(e.ids) - e.prompt_length, step_scores=steps))
        return scores

    def score_steps(self, problem: Problem, samples: Sequence[Sample]) -> list[list[float]]:
        """For each sample the probability that each step is right, then that of its end. The prompt is read once."""
        return self._score_steps([self.encode_sample(problem, sample) for sample in samples])

    @torch.inference_mode()
    def _score_steps(self, encoded: Sequence[MarkedSample]) -> list[list[float]]:
        scores = [[0.0] * (len(e.step_ends) + 1) for e in encoded]
        readable = [i for i, e in enumerate(encoded) if e.score_positions]
        if not readable:
            return scores
        start = encoded[0].prompt_length
        prompt, solutions = encoded[0].ids[:start], [encoded[i].ids[start:] for i in readable]
        for rows, hidden in prefix_forward.compute_hidden_states(self.model, prompt, solutions):
            probabilities = heads.compute_logits(self.head, hidden).double().sigmoid().cpu()
            for row, i in enumerate(readable[k] for k in rows):
                positions = [position - start for position in encoded[i].score_positions]
                scores[i][: len(positions)] = probabilities[row, positions].tolist()
        return scores
