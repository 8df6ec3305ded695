"""The outcome verifier (ORM) of Cobbe et al. 2021 (arXiv 2110.14168, section 4.2).

A language model with a scalar head on its last hidden states. In training the head predicts at solution tokens whether
the final answer is right; in scoring it is read at the last token of the solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from stages.lib.core.records import Problem, Sample, Score
from stages.lib.models import heads, loading
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoder
from stages.lib.models.objectives import VerificationObjective
from stages.lib.verifiers import saving
from stages.lib.verifiers.base import Verifier, compute_last_logits, encode_sample


def make_example(
    encoder: Encoder, problem: Problem, sample: Sample, predict_at: Literal["token", "solution"], lm: bool
) -> Example:
    """A training example: the outcome as the target at every solution token, or at the last one alone.

    lm: solution tokens also count in the language-model loss. Raises ValueError for a sample that was not graded.
    """
    if sample.correct is None:
        raise ValueError(f"{sample.problem_id} sample {sample.index}: not graded")
    encoded = encode_sample(encoder, problem, sample)
    length = len(encoded.ids) - encoded.prompt_length
    prompt = [0.0] * encoded.prompt_length
    weights = [1.0] * length if predict_at == "token" else [0.0] * (length - 1) + [1.0]
    if not length:  # an empty solution is judged at the last token of the prompt
        prompt[-1], weights = 1.0, []
    return Example(
        ids=encoded.ids,
        lm_weight=[0.0] * encoded.prompt_length + [float(lm)] * length,
        target=[float(sample.is_right)] * len(encoded.ids),
        target_weight=prompt + weights,
    )


class OutcomeVerifier(Verifier):
    """model: a causal language model. loss: bce (the head's output is a logit) or mse (it is the score itself)."""

    def __init__(self, name: str, model: Any, encoder: Encoder, loss: str):
        self.name, self.model, self.encoder, self.loss = name, model, encoder, loss
        self.head = heads.make_zero_head(model.config.hidden_size, loss)
        self.head_init_tokens: list[str] = []

    def init_head_from_tokens(self, right: str, wrong: str) -> None:
        """Start the head as the difference of two tokens' logits (lib/models/heads.py)."""
        heads.init_from_tokens(self.head, self.model, self.encoder, right, wrong)
        self.head_init_tokens = [right, wrong]

    def make_objective(self, lm_weight: float = 1.0) -> VerificationObjective:
        """What the training loop trains: this very model and head."""
        return VerificationObjective(self.model, self.head, self.loss, lm_weight)

    def count_tokens(self, problem: Problem, sample: Sample) -> int:
        """Number of tokens that are read for a sample, the prompt included."""
        return len(encode_sample(self.encoder, problem, sample).ids)

    @classmethod
    def load(cls, path: Path, dtype: str = "float32") -> OutcomeVerifier:
        config = saving.read_config(path, "outcome")
        verifier = cls(config["name"], loading.load_causal_lm(path, dtype), Encoder.load(path), config["loss"])
        saving.load_head(verifier.head, path)
        verifier.head_init_tokens = config["head_init_tokens"]
        return verifier

    def save(self, path: Path) -> None:
        config = {"kind": "outcome", "name": self.name, "loss": self.loss, "head_init_tokens": self.head_init_tokens}
        saving.save_verifier(path, self.model, self.encoder, config, self.head)

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """Score.score is the head at the solution's last token, as a probability. The prompt is read once."""
        if not samples:
            return []
        encoded = [encode_sample(self.encoder, problem, sample) for sample in samples]
        start = encoded[0].prompt_length - 1  # its last token is read with each solution: an empty one is judged there
        prompt, solutions = encoded[0].ids[:start], [e.ids[start:] for e in encoded]
        scores = [0.0] * len(encoded)
        for indices, logits in compute_last_logits(self.model, self.head, prompt, solutions):
            probabilities = logits.sigmoid() if self.loss == "bce" else logits.clamp(0, 1)
            for i, probability in zip(indices, probabilities.tolist(), strict=True):
                scores[i] = probability
        return [
            self.make_score(sample, score, len(e.ids) - e.prompt_length)
            for sample, e, score in zip(samples, encoded, scores, strict=True)
        ]
