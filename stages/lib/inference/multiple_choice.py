"""Multiple choice by log-probability: the letter that the model finds likeliest as the answer, without reasoning.

The usual second way to measure a base model on MMLU (Hendrycks et al. 2021, arXiv 2009.03300, and the evaluation harnesses
since): it needs no generation, and no answer is ever unreadable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from stages.lib.core.records import Problem, Sample
from stages.lib.inference import prefix_forward
from stages.lib.models import heads
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import format_options


def predict_choice(model: Any, encoder: Encoder, problem: Problem) -> Sample:
    """The likeliest of the lines `The answer is X.` as a sample; of equal ones the first. logprob is that of the line."""
    lines = format_options(problem)
    prompt, texts = encoder.prompt_ids(problem, shots=True), encoder.encode_texts(lines)
    logprobs = compute_logprobs(model, prompt, texts)
    best = max(range(len(lines)), key=lambda i: (sum(logprobs[i]), -i))
    letter = chr(ord("A") + best)
    return Sample(
        problem_id=problem.id,
        index=0,
        text=lines[best],
        answer=letter,
        correct=letter == problem.answer,
        finish="stop",
        logprob=sum(logprobs[best]),
        min_logprob=min(logprobs[best]),
        tokens=len(texts[best]),
    )


@torch.inference_mode()
def compute_logprobs(model: Any, prompt: Sequence[int], texts: Sequence[Sequence[int]]) -> list[list[float]]:
    """The natural log-probability of each token of each text after the prompt, which is read once."""
    rows = [[prompt[-1], *text] for text in texts]
    logprobs: list[list[float]] = [[] for _ in texts]
    for indices, hidden in prefix_forward.compute_hidden_states(model, prompt[:-1], rows):
        for row, i in enumerate(indices):
            logits = heads.scale_logits(model.get_output_embeddings()(hidden[row, : len(texts[i])]), model.config)
            ids = torch.tensor(texts[i], device=logits.device)
            logprobs[i] = logits.double().log_softmax(-1).gather(1, ids[:, None])[:, 0].tolist()
    return logprobs
