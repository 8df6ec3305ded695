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
from stages.lib.models.objectives import LossModule
from stages.lib.verifiers import aggregation
from stages.lib.verifiers.outcome import encode_sample


class MarkedSample(NamedTuple):
    """A sample as the process verifier reads it. steps: place of each step's last token. end: place of the end token,
    None for a solution that was cut off. written: 1 for the tokens that the generator wrote, 0 for prompt and marks."""

    ids: list[int]
    prompt_length: int
    steps: list[int]
    end: int | None
    written: list[float]


def encode_with_markers(encoder: Encoder, problem: Problem, sample: Sample, mark: Sequence[int]) -> MarkedSample:
    """mark: token ids that follow every step; they come after the place where the step is judged."""
    found = encode_sample(encoder, problem, sample)
    first = found.prompt_length
    ids, written, steps = found.ids[:first], [0.0] * first, []
    for last in found.step_ends:
        ids = ids + found.ids[first : last + 1]
        steps.append(len(ids) - 1)
        ids = ids + list(mark)
        written += [1.0] * (last + 1 - first) + [0.0] * len(mark)
        first = last + 1
    ids = ids + found.ids[first:]
    written += [1.0] * (len(found.ids) - first)
    return MarkedSample(ids, found.prompt_length, steps, len(ids) - 1 if sample.finish == "stop" else None, written)


def make_example(
    read: MarkedSample, labels: Mapping[int, float], outcome: bool | None, past_error: bool, lm: bool
) -> Example:
    """A labelled sample. labels: step number -> value in [0, 1]; a step without one is not learnt from, nor is an end whose
    outcome nobody knows (None).

    past_error: also learn from what follows the first step of value 0, the end included; without, the solution counts up
    to there, for the marks say that all before a step is right. lm: the generator's tokens also count as language.
    Raises ValueError for a label of a step that the sample does not have.
    """
    if any(not 0 <= step < len(read.steps) for step in labels):
        raise ValueError(f"a label for step {max(labels)}, but the sample has {len(read.steps)} steps")
    value, weight = [0.0] * len(read.ids), [0.0] * len(read.ids)
    wrong = False
    for step, place in enumerate(read.steps):
        if step in labels and (past_error or not wrong):
            value[place], weight[place] = float(labels[step]), 1.0
            wrong = wrong or labels[step] == 0
    if read.end is not None and outcome is not None and (past_error or not wrong):
        value[read.end], weight[read.end] = float(outcome), 1.0
    return Example(read.ids, [float(lm) * w for w in read.written], value, weight)


class ProcessVerifier:
    """model: a causal LM. form `head`: a scalar head on the last hidden state; `words`: the logit of words[0] against
    words[1] in the vocabulary. mark: text after each step, or "". aggregation: how step scores become the score."""

    def __init__(
        self,
        name: str,
        model: Any,
        encoder: Encoder,
        form: Literal["head", "words"],
        words: Sequence[str] = (),
        mark: str = "",
        aggregation: str = "min",
    ):
        self.name, self.model, self.encoder = name, model, encoder
        self.form, self.words, self.mark, self.aggregation = form, list(words), mark, aggregation
        self.mark_ids: list[int] = encoder.texts([mark])[0] if mark else []
        if form == "words":
            tokens = heads.get_first_tokens(encoder, *words)
            self.head: nn.Module = heads.TokenLogitHead(model.get_output_embeddings(), *tokens, model.config)
        else:
            self.head = heads.make_zero_head(model.config.hidden_size, "bce")
            if words:
                heads.init_from_tokens(self.head, model, encoder, *words)

    def losses(self) -> LossModule:
        """What `training.train` trains: this very model and head."""
        return LossModule(self.model, self.head, "bce")

    def to(self, device: Any) -> ProcessVerifier:
        self.model.to(device)
        self.head.to(device)
        return self

    def read(self, problem: Problem, sample: Sample) -> MarkedSample:
        return encode_with_markers(self.encoder, problem, sample, self.mark_ids)

    def length(self, problem: Problem, sample: Sample) -> int:
        """Tokens of a problem and its solution as they are read."""
        return len(self.read(problem, sample).ids)

    @classmethod
    def load(cls, path: Path, dtype: str = "float32") -> ProcessVerifier:
        from safetensors.torch import load_file

        facts = json.loads((path / "verifier.json").read_text(encoding="utf-8"))
        model, encoder = loading.load_causal_lm(path, dtype), Encoder.load(path)
        verifier = cls(
            facts["name"], model, encoder, facts["form"], facts["words"], facts["mark"], facts["aggregation"]
        )
        if facts["form"] == "head":
            verifier.head.load_state_dict(load_file(path / "head" / "head.safetensors"))
        return verifier

    def save(self, path: Path) -> None:
        """Model, tokenizer, prompt, verifier.json, and the head, if it has weights, in a folder of its own."""
        from safetensors.torch import save_file

        facts = {
            "name": self.name,
            "kind": "steps",
            "form": self.form,
            "words": self.words,
            "mark": self.mark,
            "aggregation": self.aggregation,
        }
        with files.atomic_write_dir(path) as folder:
            loading.write_files(self.model, self.encoder.tokenizer, folder)
            self.encoder.save(folder)
            if self.form == "head":
                (folder / "head").mkdir()
                weights = {k: v.detach().cpu().contiguous() for k, v in self.head.state_dict().items()}
                save_file(weights, folder / "head" / "head.safetensors")
            files.write_json(folder / "verifier.json", facts)

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """step_scores: one a step, then the end's; score: their aggregation."""
        found = [self.read(problem, sample) for sample in samples]
        return [
            Score(
                problem_id=sample.problem_id,
                index=sample.index,
                verifier=self.name,
                score=aggregation.aggregate(self.aggregation, steps),
                step_scores=steps,
                tokens=len(read.ids) - read.prompt_length,
            )
            for sample, read, steps in zip(samples, found, self._step_scores(found), strict=True)
        ]

    def step_scores(self, problem: Problem, samples: Sequence[Sample]) -> list[list[float]]:
        """For each sample the probabilities that its steps are right, and that its end is. The prompt is read once."""
        return self._step_scores([self.read(problem, sample) for sample in samples])

    @torch.inference_mode()
    def _step_scores(self, found: Sequence[MarkedSample]) -> list[list[float]]:
        scores = [[0.0] * (len(read.steps) + 1) for read in found]
        asked = [i for i, read in enumerate(found) if read.steps or read.end is not None]
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
                places = read.steps if read.end is None else [*read.steps, read.end]
                scores[i][: len(places)] = says[row, [place - start for place in places]].tolist()
        return scores
