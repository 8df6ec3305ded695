"""A model small enough to be trained here that does learn from its prompt: LFM2 with a convolution and an attention layer,
trained on episodes whose function is drawn anew (Garg et al. 2022, arXiv 2208.01066), with a loss on every value.

Its tokenizer knows whole numbers up to 99 and the labels, and skips every other character, so it reads the prompts that any
other model is given. One head, because LFM2 normalises queries and keys: the wider a head, the sharper it can look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, model_validator

from stages.evaluation.many_shot import worlds
from stages.evaluation.many_shot.episodes import VERSION
from stages.evaluation.many_shot.worlds import World
from stages.lib.core import seeds
from stages.lib.core.params import Params as Section
from stages.lib.run.execution import StageRun

MAX_NUMBER = 99


class EpisodeTraining(Section):
    """How one kind of world is learned. Worlds of the same kind that are not named here are held out."""

    kind: worlds.Kind
    sizes: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1
    )  # dimensions, moduli or digits, drawn anew for every episode
    prior: float = Field(0.5, ge=0, le=1)  # of linear, as in a world
    max_value: int = Field(10, ge=2, le=100)  # of linear
    steps: int = Field(ge=1)  # optimizer steps
    batch: int = Field(ge=1)  # episodes a step
    shots: int = Field(ge=1, le=512)  # values an episode
    width: int = Field(64, ge=8, multiple_of=2)  # of the residual stream
    layers: int = Field(2, ge=2, multiple_of=2)  # convolution, attention, ...
    lr: float = Field(5.0e-3, gt=0)  # of AdamW
    matrix_lr: float = Field(2.0e-2, gt=0)  # of Muon

    @model_validator(mode="after")
    def _check_sizes(self) -> EpisodeTraining:
        for size in self.sizes:
            World(kind=self.kind, size=size, prior=self.prior, max_value=self.max_value)
        return self


def build_tokenizer() -> Any:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<end>", *worlds.LABELS, *map(str, range(MAX_NUMBER + 1))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    known = Regex(r"\b(?:\d{1,2}|[AB])\b")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(known, "removed", invert=True)  # type: ignore[assignment]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", unk_token="<pad>")


def build_model(settings: EpisodeTraining, vocabulary: int, seed: int) -> Any:
    from stages.lib.models.lfm2 import make_lfm2

    return make_lfm2(
        seeds.key(seed, "many_shot", VERSION, settings.kind, "weights"),
        vocabulary=vocabulary,
        width=settings.width,
        feed_forward=2 * settings.width,
        layers=settings.layers,
        heads=1,
        conv_kernel=3,
    )


def make_examples(settings: EpisodeTraining, tokenizer: Any, seed: int) -> list[Any]:
    """One example an episode: all its shots, with a weight on each value."""
    from stages.lib.models.batch import Example

    ids = tokenizer.get_vocab()
    examples = []
    for i in range(settings.steps * settings.batch):
        random = seeds.rng(seed, "many_shot", VERSION, settings.kind, "training", i)
        size = random.choice(settings.sizes)
        world = World(kind=settings.kind, size=size, prior=settings.prior, max_value=settings.max_value)
        function = worlds.draw_function(world, random)
        tokens: list[int] = []
        weights: list[float] = []
        for item in worlds.draw_items(world, function, "", settings.shots, random, set()):
            point = item.question.split()
            tokens += [ids[word] for word in (*point, item.gold)]
            weights += [*(0.0 for _ in point), 1.0]
        examples.append(Example(tokens, weights))
    return examples


def train(run: StageRun[Any], settings: EpisodeTraining) -> tuple[Any, Any, list[dict[str, float]]]:
    """(model, tokenizer, a row of numbers for each step). Killed and run again, it continues."""
    from stages.lib.models.objectives import LanguageModelingObjective
    from stages.lib.training import loop
    from stages.lib.training.training_params import make_training_params

    tokenizer = build_tokenizer()
    model = build_model(settings, len(tokenizer), run.seed)
    share = max(1, settings.batch // run.world_size)  # of a step's episodes, for each process
    params = make_training_params(
        global_batch_size=share * run.world_size,
        device_batch_size=share,
        optimizer="muon",
        lr=settings.lr,
        matrix_lr=settings.matrix_lr,
        warmup_ratio=0.05,
    )
    own = replace(run, key=f"{run.key}/{settings.kind}")  # checkpoints of its own, removed with those of the stage
    history = loop.train(own, LanguageModelingObjective(model), make_examples(settings, tokenizer, run.seed), params)
    return model, tokenizer, history.rows


def get_last_loss(rows: Sequence[dict[str, float]]) -> float:
    """The mean over the last tenth of the steps, in nats a value."""
    last = rows[-max(1, len(rows) // 10) :]
    return sum(row["lm_loss"] for row in last) / len(last)


def is_held_out(known: Iterable[EpisodeTraining], world: World) -> bool:
    """Whether no training has functions of this size."""
    return not any(world.kind == each.kind and world.size in each.sizes for each in known)
