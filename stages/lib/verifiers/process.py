"""The process verifier: one score for every step of a solution and one for its end, all from a single forward pass.

The score of a step is read at its last token, where the label stands in training, unshifted. Two readings (stages/lib/
heads.py): a scalar head, or two words of the vocabulary. After a step, the mark that a right one gets (`Right.`) may be
written down before the solution goes on, as in work that a teacher has marked. Each score then answers the question that
a language model met in its pretraining, is this line right where all before it are, and their product is the chance that
all lines are right. Marks are appended as token ids; the text is never tokenised anew.

**The end.** A solution that stops early is right in every step it has, so a verifier of steps alone prefers it. The last
score is therefore read at the end token, and its label is the outcome. A solution that was cut off has no end: that
score is 0 by definition, as cut off is wrong in every vote.

Sources: Wang et al. 2023 (Math-Shepherd, arXiv 2312.08935), Lightman et al. 2023 (arXiv 2305.20050).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from stages.lib.core import files
from stages.lib.core.records import Problem, Sample, Score
from stages.lib.inference import prefix_forward
from stages.lib.models import heads, loading
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoder
from stages.lib.models.objectives import VerificationObjective
from stages.lib.verifiers import aggregation
from stages.lib.verifiers.outcome import encode_sample


class MarkedSample(NamedTuple):
    """A sample as the process verifier reads it. steps: place of each step's last token. end: place of the end token,
    None for a solution that was cut off. written: 1 for the tokens that the generator wrote, 0 for prompt and marks."""

    ids: list[int]
    prompt_length: int
    step_ends: list[int]
    end_position: int | None
    generated_mask: list[float]


def encode_with_markers(encoder: Encoder, problem: Problem, sample: Sample, step_marker: Sequence[int]) -> MarkedSample:
    """mark: token ids that follow every step; they come after the place where the step is judged."""
    found = encode_sample(encoder, problem, sample)
    first = found.prompt_length
    ids, written, steps = found.ids[:first], [0.0] * first, []
    for last in found.step_ends:
        ids = ids + found.ids[first : last + 1]
        steps.append(len(ids) - 1)
        ids = ids + list(step_marker)
        written += [1.0] * (last + 1 - first) + [0.0] * len(step_marker)
        first = last + 1
    ids = ids + found.ids[first:]
    written += [1.0] * (len(found.ids) - first)
    return MarkedSample(ids, found.prompt_length, steps, len(ids) - 1 if sample.finish == "stop" else None, written)


def make_example(
    read: MarkedSample, labels: Mapping[int, float], outcome: bool | None, learn_after_first_error: bool, lm: bool
) -> Example:
    """A labelled sample. labels: step number -> value in [0, 1]; a step without one is not learnt from, nor is an end whose
    outcome nobody knows (None).

    past_error: also learn from what follows the first step of value 0, the end included; without, the solution counts up
    to there, for the marks say that all before a step is right. lm: the generator's tokens also count as language.
    Raises ValueError for a label of a step that the sample does not have.
    """
    if any(not 0 <= step < len(read.step_ends) for step in labels):
        raise ValueError(f"a label for step {max(labels)}, but the sample has {len(read.step_ends)} steps")
    value, weight = [0.0] * len(read.ids), [0.0] * len(read.ids)
    wrong = False
    for step, place in enumerate(read.step_ends):
        if step in labels and (learn_after_first_error or not wrong):
            value[place], weight[place] = float(labels[step]), 1.0
            wrong = wrong or labels[step] == 0
    if read.end_position is not None and outcome is not None and (learn_after_first_error or not wrong):
        value[read.end_position], weight[read.end_position] = float(outcome), 1.0
    return Example(read.ids, [float(lm) * w for w in read.generated_mask], value, weight)


class ProcessVerifier:
    """model: a causal LM. form `head`: a scalar head on the last hidden state; `words`: the logit of words[0] against
    words[1] in the vocabulary. mark: text after each step, or "". aggregation: how step scores become the score."""

    def __init__(
        self,
        name: str,
        model: Any,
        encoder: Encoder,
        head_type: Literal["scalar", "token_logits"],
        head_init_tokens: Sequence[str] = (),
        step_marker: str = "",
        aggregation: str = "min",
    ):
        self.name, self.model, self.encoder = name, model, encoder
        self.head_type, self.head_init_tokens, self.step_marker, self.aggregation = (
            head_type,
            list(head_init_tokens),
            step_marker,
            aggregation,
        )
        self.step_marker_ids: list[int] = encoder.encode_texts([step_marker])[0] if step_marker else []
        if head_type == "token_logits":
            tokens = heads.get_first_tokens(encoder, *head_init_tokens)
            self.head: nn.Module = heads.TokenLogitHead(model.get_output_embeddings(), *tokens, model.config)
        else:
            self.head = heads.make_zero_head(model.config.hidden_size, "bce")
            if head_init_tokens:
                heads.init_from_tokens(self.head, model, encoder, *head_init_tokens)

    def make_objective(self, lm_weight: float = 1.0) -> VerificationObjective:
        """What `loop.train` trains: this model and head themselves, not copies."""
        return VerificationObjective(self.model, self.head, "bce", lm_weight)

    def to(self, device: Any) -> ProcessVerifier:
        self.model.to(device)
        self.head.to(device)
        return self

    def encode_sample(self, problem: Problem, sample: Sample) -> MarkedSample:
        return encode_with_markers(self.encoder, problem, sample, self.step_marker_ids)

    def count_tokens(self, problem: Problem, sample: Sample) -> int:
        """Tokens of a problem and its solution as they are read."""
        return len(self.encode_sample(problem, sample).ids)

    @classmethod
    def load(cls, path: Path, dtype: str = "float32") -> ProcessVerifier:
        from safetensors.torch import load_file

        facts = json.loads((path / "verifier.json").read_text(encoding="utf-8"))
        model, encoder = loading.load_causal_lm(path, dtype), Encoder.load(path)
        verifier = cls(
            facts["name"],
            model,
            encoder,
            facts["head"],
            facts["head_init_tokens"],
            facts["step_marker"],
            facts["aggregation"],
        )
        if facts["head"] == "scalar":
            verifier.head.load_state_dict(load_file(path / "head" / "head.safetensors"))
        return verifier

    def save(self, path: Path) -> None:
        """Model, tokenizer, prompt, verifier.json, and the head, if it has weights, in a folder of its own."""
        from safetensors.torch import save_file

        facts = {
            "name": self.name,
            "kind": "steps",
            "head": self.head_type,
            "head_init_tokens": self.head_init_tokens,
            "step_marker": self.step_marker,
            "aggregation": self.aggregation,
        }
        with files.atomic_write_dir(path) as folder:
            loading.write_files(self.model, self.encoder.tokenizer, folder)
            self.encoder.save(folder)
            if self.head_type == "scalar":
                (folder / "head").mkdir()
                weights = {k: v.detach().cpu().contiguous() for k, v in self.head.state_dict().items()}
                save_file(weights, folder / "head" / "head.safetensors")
            files.write_json(folder / "verifier.json", facts)

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """step_scores: one a step, then the end's; score: their aggregation."""
        found = [self.encode_sample(problem, sample) for sample in samples]
        return [
            Score(
                problem_id=sample.problem_id,
                index=sample.index,
                verifier=self.name,
                score=aggregation.aggregate(self.aggregation, steps),
                step_scores=steps,
                tokens=len(read.ids) - read.prompt_length,
            )
            for sample, read, steps in zip(samples, found, self._score_steps(found), strict=True)
        ]

    def score_steps(self, problem: Problem, samples: Sequence[Sample]) -> list[list[float]]:
        """For each sample the probabilities that its steps are right, and that its end is. The prompt is read once."""
        return self._score_steps([self.encode_sample(problem, sample) for sample in samples])

    @torch.inference_mode()
    def _score_steps(self, found: Sequence[MarkedSample]) -> list[list[float]]:
        scores = [[0.0] * (len(read.step_ends) + 1) for read in found]
        asked = [i for i, read in enumerate(found) if read.step_ends or read.end_position is not None]
        if not asked:
            return scores
        start = found[0].prompt_length
        passes = prefix_forward.compute_hidden_states(
            self.model, found[0].ids[:start], [found[i].ids[start:] for i in asked]
        )
        for rows, hidden in passes:
            says = heads.compute_logits(self.head, hidden).double().sigmoid()
            for row, i in enumerate(asked[k] for k in rows):
                read = found[i]
                places = read.step_ends if read.end_position is None else [*read.step_ends, read.end_position]
                scores[i][: len(places)] = says[row, [place - start for place in places]].tolist()
        return scores
