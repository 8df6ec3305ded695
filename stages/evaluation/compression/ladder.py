"""The ladder: checkpoints of known training compute, snapshots of small models and of the base while it learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.lib.core import seeds
from stages.lib.models import loading, objectives
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoder
from stages.lib.training import loop, sft

if TYPE_CHECKING:
    from stages.evaluation.compression.__main__ import Params
    from stages.lib.core.records import Problem
    from stages.lib.run.execution import StageRun

TUNED = "base, tuned"
UNTUNED = "base"


class Rung(NamedTuple):
    """A checkpoint. flops: of all its training by the usual estimate, None where that is unknown. fitted: whether the law
    is fitted on it; one that is not shows what the law says of a model from elsewhere. Of such a model: tokens, of its
    training, 0 where unknown; origin, where it comes from."""

    name: str
    family: str
    path: Path
    flops: float | None
    fitted: bool = True
    tokens: int = 0
    origin: Mapping[str, str] = MappingProxyType({})


def encode_text(encoder: Encoder, problem: Problem) -> Example:
    """Question and gold solution as text to learn, every token alike. A generator learns the solution alone and so does
    not get better at compressing problems."""
    example = sft.make_sft_example(encoder, problem)
    return Example(example.ids, [1.0] * len(example.ids))


def climb(run: StageRun[Params], base: Path, encoder: Encoder, problems: Sequence[Problem]) -> list[Rung]:
    """Train every model of the ladder on the problems' text and keep it after every epoch. Without problems there is the
    base alone."""
    loading.silence_transformers()
    examples = [encode_text(encoder, problem) for problem in problems]
    rungs: list[Rung] = []
    for width in run.params.widths if examples else ():
        model = build_model(run.params, width, encoder, run.seed)
        params = run.params.model_copy(update={"lora_rank": 0})
        rungs += train(run, f"width {width}", model, encoder, examples, params, 0.0)
    weights, before = loading.count_stored_parameters(base), run.params.base_tokens
    flops = loading.estimate_flops(weights, before, training=True) if before else None
    rungs.append(Rung(UNTUNED, TUNED, base, flops))
    if run.params.tune_lr and examples:
        params = run.params.model_copy(update={"lr": run.params.tune_lr})
        key = seeds.key(run.seed, run.name, "adapters")
        model = loading.add_lora(loading.load_causal_lm(base), params.lora_rank, key)
        rungs += train(run, TUNED, model, encoder, examples[: params.tune_problems], params, flops)
    return rungs


def train(
    run: StageRun[Params],
    name: str,
    model: Any,
    encoder: Encoder,
    examples: Sequence[Example],
    params: Params,
    flops_before: float | None,
) -> list[Rung]:
    """The snapshots of one training, one an epoch."""
    weights, tokens = loading.count_parameters(model), sum(len(example.ids) for example in examples)
    own = replace(run, key=f"{run.key}/{name}", journal_entry=None)
    folder = run.checkpoint_dir / "snapshots" / name

    def keep(epoch: int, objective: Any) -> dict[str, float]:
        if run.is_main:
            loading.save(objective.model, encoder.tokenizer, folder / str(epoch))
        return {}

    loop.train(own, objectives.LanguageModelingObjective(model), examples, params, on_epoch=keep)
    return [
        Rung(
            f"{name}, epoch {epoch}",
            name if name == TUNED else "from nothing",
            folder / str(epoch),
            None
            if flops_before is None
            else flops_before + loading.estimate_flops(weights, epoch * tokens, training=True),
        )
        for epoch in range(1, int(params.epochs) + 1)
    ]


def build_model(params: Params, width: int, encoder: Encoder, seed: int) -> Any:
    """An untrained LFM2 of this width that reads the base's tokens."""
    from stages.lib.models.lfm2 import make_lfm2

    return make_lfm2(
        seeds.key(seed, "compression", "weights", width),
        vocabulary=len(encoder.tokenizer),
        width=width,
        feed_forward=2 * width,
        layers=params.num_layers,
        heads=2,
        conv_kernel=4,
        bos_token_id=encoder.tokenizer.bos_token_id,
        eos_token_id=encoder.tokenizer.eos_token_id,
    )
