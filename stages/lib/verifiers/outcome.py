"""Verifiers behind one interface: `score(problem, samples)` gives one Score for each sample.

ScalarVerifier is a language model with a scalar head on its last hidden states: the outcome verifier of Cobbe et al.
2021 (arXiv 2110.14168, section 4.2), which reads the score at a solution's last token. `make_example` and `score` share
`encode`, so that a score means what was trained.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import nn

from stages.lib.core import files
from stages.lib.core.records import Problem, Sample, Score
from stages.lib.inference import prefix_forward
from stages.lib.models import heads, loading
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoded, Encoder
from stages.lib.models.forward import autocast
from stages.lib.models.objectives import VerificationObjective
from stages.lib.run import distributed

if TYPE_CHECKING:
    from stages.lib.run.execution import StageRun


class Verifier(Protocol):
    name: str

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """One Score for each sample, in their order."""
        ...

    def to(self, device: Any) -> Verifier:
        """Move to a device, in place."""
        ...


def score_pools(
    run: StageRun, verifier: Verifier, problems: Mapping[str, Problem], pools: Mapping[str, list[Sample]]
) -> dict[str, list[Score]]:
    """problem id -> the Score of each of its samples, in their order, computed in the precision of the training; the
    processes share the work."""

    def work(mine: list[str]) -> Iterator[list[Score]]:
        for item in run.track_progress(mine, len(mine), "scoring dev"):
            with autocast(verifier.model, run.params.precision):
                scores = verifier.score(problems[item], pools[item])
            yield scores

    return distributed.map_sharded(run, "scored", list(pools), work, Score)


def encode_sample(encoder: Encoder, problem: Problem, sample: Sample) -> Encoded:
    """A sample as every verifier reads it: the end token only where the generator ended it."""
    return encoder.encode(problem, encoder.prompt.split_steps(sample.text), finished=sample.finish == "stop")


def make_example(
    encoder: Encoder, problem: Problem, sample: Sample, predict_at: Literal["token", "solution"], lm: bool
) -> Example:
    """A labelled sample: the outcome at every solution token (level token) or at the last one (level solution).

    lm: its solution tokens also count as language. Raises ValueError for a sample that was not graded.
    """
    if sample.correct is None:
        raise ValueError(f"{sample.problem_id} sample {sample.index}: not graded")
    found = encode_sample(encoder, problem, sample)
    solution = len(found.ids) - found.prompt_length
    prompt = [0.0] * found.prompt_length
    weights = [1.0] * solution if predict_at == "token" else [0.0] * (solution - 1) + [1.0]
    if not solution:  # an empty solution is judged where it would have begun
        prompt[-1], weights = 1.0, []
    return Example(
        ids=found.ids,
        lm_weight=[0.0] * found.prompt_length + [float(lm)] * solution,
        target=[float(sample.is_right)] * len(found.ids),
        target_weight=prompt + weights,
    )


class OutcomeVerifier:
    """model: a causal LM; head: hidden width -> 1; loss: bce (the head is a logit) or mse (the head is the score)."""

    def __init__(self, name: str, model: Any, encoder: Encoder, loss: str, head: nn.Linear | None = None):
        self.name, self.model, self.encoder, self.loss = name, model, encoder, loss
        self.head = head or heads.make_zero_head(model.config.hidden_size, loss)

    def init_head_from_tokens(self, right: str, wrong: str) -> None:
        """Let the head begin as what the language model itself says of these two words (lib/models/heads.py)."""
        heads.init_from_tokens(self.head, self.model, self.encoder, right, wrong)

    def make_objective(self, lm_weight: float = 1.0) -> VerificationObjective:
        """What `loop.train` trains: this model and head themselves, not copies."""
        return VerificationObjective(self.model, self.head, self.loss, lm_weight)

    def to(self, device: Any) -> OutcomeVerifier:
        self.model.to(device)
        self.head.to(device)
        return self

    @classmethod
    def load(cls, path: Path, dtype: str = "float32") -> OutcomeVerifier:
        from safetensors.torch import load_file

        facts = json.loads((path / "verifier.json").read_text(encoding="utf-8"))
        model = loading.load_causal_lm(path, dtype)
        weights = load_file(path / "head" / "head.safetensors")
        head = nn.Linear(weights["weight"].shape[1], 1)
        head.load_state_dict(weights)
        return cls(facts["name"], model, Encoder.load(path), facts["loss"], head)

    def save(self, path: Path) -> None:
        """Model, tokenizer, prompt and head; the head in a folder where transformers does not look for weights."""
        from safetensors.torch import save_file

        with files.atomic_write_dir(path) as folder:
            loading.write_files(self.model, self.encoder.tokenizer, folder)
            self.encoder.save(folder)
            (folder / "head").mkdir()
            save_file(
                {k: v.detach().cpu().contiguous() for k, v in self.head.state_dict().items()},
                folder / "head" / "head.safetensors",
            )
            files.write_json(folder / "verifier.json", {"name": self.name, "kind": "scalar", "loss": self.loss})

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """Score.score is the head at the last token as a probability. The prompt is read once."""
        found = [encode_sample(self.encoder, problem, sample) for sample in samples]
        values = self._score_last_tokens(found) if found else []
        return [
            Score(
                problem_id=sample.problem_id,
                index=sample.index,
                verifier=self.name,
                score=value,
                tokens=len(read.ids) - read.prompt_length,
            )
            for sample, read, value in zip(samples, found, values, strict=True)
        ]

    @torch.inference_mode()
    def _score_last_tokens(self, found: list[Encoded]) -> list[float]:
        start = found[0].prompt_length - 1  # its last token is read with each row: an empty solution is judged there
        values = [0.0] * len(found)
        passes = prefix_forward.compute_hidden_states(
            self.model, found[0].ids[:start], [read.ids[start:] for read in found]
        )
        for part, hidden in passes:
            last = torch.tensor([len(found[i].ids) - start - 1 for i in part], device=hidden.device)
            head = heads.compute_logits(self.head, hidden[torch.arange(len(part), device=hidden.device), last]).double()
            says = head.sigmoid() if self.loss == "bce" else head.clamp(0, 1)
            for i, value in zip(part, says.tolist(), strict=True):
                values[i] = value
        return values
