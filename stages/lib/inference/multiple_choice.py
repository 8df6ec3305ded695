"""Multiple choice by log-probability: the letter that the model finds likeliest as the answer, with no reasoning before it.

The usual second way to measure a base model on MMLU (Hendrycks et al. 2021, arXiv 2009.03300, and the evaluation harnesses
since): it needs no generation, and no answer is ever unreadable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from stages.lib.core.records import Problem, Sample
from stages.lib.inference import prefix_forward
from stages.lib.models import heads
from stages.lib.models.prompts import format_answer

if TYPE_CHECKING:
    from stages.lib.models.encoding import Encoder


def predict_choice(model: Any, encoder: Encoder, problem: Problem) -> Sample:
    """The likeliest of the lines `The answer is X.` as a sample; the first of equal ones. logprob is that of the line."""
    letters = [chr(ord("A") + i) for i in range(len(problem.choices or ()))]
    lines = [format_answer(problem.model_copy(update={"answer": letter})) for letter in letters]
    prompt, texts = encoder.prompt_ids(problem, shots=True), encoder.encode_texts(lines)
    found = compute_logprobs(model, prompt, texts)
    best = max(range(len(letters)), key=lambda i: (sum(found[i]), -i))
    return Sample(
        problem_id=problem.id,
        index=0,
        text=lines[best],
        answer=letters[best],
        correct=letters[best] == problem.answer,
        finish="stop",
        logprob=sum(found[best]),
        min_logprob=min(found[best]),
        tokens=len(texts[best]),
    )


@torch.inference_mode()
def compute_logprobs(model: Any, prompt: list[int], texts: list[list[int]]) -> list[list[float]]:
    """The natural log-probability of each token of each text after the prompt, which is read once."""
    rows = [[prompt[-1], *text] for text in texts]
    found: list[list[float]] = [[] for _ in texts]
    for part, hidden in prefix_forward.compute_hidden_states(model, prompt[:-1], rows):
        for row, i in enumerate(part):
            raw = model.get_output_embeddings()(hidden[row, : len(texts[i])])
            says = heads.scale_logits(raw, model.config).double().log_softmax(-1)
            wanted = torch.tensor(texts[i], device=says.device)
            found[i] = says.gather(1, wanted[:, None])[:, 0].tolist()
    return found
