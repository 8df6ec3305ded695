"""The interface of every verifier, and how each reads a sample.

A verifier gives every sample of a problem a `Score`, its probability of being right. Encoding lives here once, so that a
score is read exactly where the label stood in training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import torch
from torch import nn

from stages.lib.core.records import AnswerType, Problem, Sample, Score, Source
from stages.lib.inference import prefix_forward
from stages.lib.models import heads
from stages.lib.models.encoding import Encoded, Encoder

Pool = tuple[Problem, list[Sample]]  # a problem and its samples


class Verifier:
    """Base class. name: written into every Score. head: None if the language model itself says the score."""

    name: str
    model: Any
    head: Any

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """One Score for each sample, in the order of the samples."""
        raise NotImplementedError

    def score_many(self, pools: Iterable[Pool]) -> Iterator[list[Score]]:
        """`score` for each pool, in any order of pools. Equal solutions of a problem are scored once."""
        for problem, samples in pools:
            firsts: dict[tuple[str, str], Sample] = {}
            for sample in samples:
                firsts.setdefault((sample.text, sample.finish), sample)
            scores = dict(zip(firsts, self.score(problem, list(firsts.values())), strict=True))
            yield [scores[s.text, s.finish].model_copy(update={"index": s.index}) for s in samples]

    def score_texts(self, question: str, texts: Sequence[str], answer_type: AnswerType = "latex") -> list[Score]:
        """Judge whole solutions of one question, each with a step a line, in their order.

        Score.score is the probability that the solution is right. A process verifier also gives Score.step_scores: the
        probability of each step, and those trained here a last one for the end. answer_type: for prompts that ask for the
        form of the answer. Raises UserError for a solution longer than a generative verifier reads."""
        return next(iter(self.score_many([make_pool("-", question, texts, answer_type)])), [])

    def make_score(self, sample: Any, score: float, tokens: int, **details: Any) -> Score:
        """The Score of a sample, or of anything else with a problem_id and an index.

        tokens: read and generated after the problem. details: step_scores, rationales.
        """
        key = {"problem_id": sample.problem_id, "index": sample.index, "verifier": self.name}
        return Score(**key, score=score, tokens=tokens, **details)

    def to(self, device: torch.device | str) -> Self:
        """Move model and head to a device, in place."""
        self.model.to(device)
        if self.head is not None:
            self.head.to(device)
        return self


def make_pool(problem_id: str, question: str, texts: Sequence[str], answer_type: AnswerType = "latex") -> Pool:
    """A question from elsewhere and its solutions, which count as finished; what a verifier does not read is empty."""
    origin = {"benchmark": "pool", "split": "pool", "licence": "not stated", "source": Source(url="-")}
    problem = Problem(id=problem_id, question=question, answer="", answer_type=answer_type, **origin)
    unknown: dict[str, Any] = {"answer": None, "correct": None, "logprob": 0.0, "min_logprob": 0.0, "tokens": 0}
    at = {"problem_id": problem_id, "finish": "stop", **unknown}
    return problem, [Sample(index=index, text=text, **at) for index, text in enumerate(texts)]


def encode_sample(encoder: Encoder, problem: Problem, sample: Sample) -> Encoded:
    """Problem and solution as token ids. The end token follows only where the generator wrote it."""
    return encoder.encode(problem, encoder.prompt.split_steps(sample.text), finished=sample.finish == "stop")


@torch.inference_mode()
def compute_last_logits(
    model: Any, head: nn.Module, prompt: Sequence[int], continuations: Sequence[Sequence[int]]
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """The head's logit at the last token of each continuation of a prompt, which is read once.

    Yields (indices of continuations, their logits in float64), one forward pass at a time.
    """
    for indices, hidden in prefix_forward.compute_hidden_states(model, prompt, continuations):
        last = torch.tensor([len(continuations[i]) - 1 for i in indices], device=hidden.device)
        rows = torch.arange(len(indices), device=hidden.device)
        yield indices, heads.compute_logits(head, hidden[rows, last]).double()
