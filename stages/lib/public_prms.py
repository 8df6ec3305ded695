"""Scoring with process reward models that others have published, in their three common forms.

classes     a token classifier with two labels, read at the last token of step + separator. TRL's PRMTrainer writes such
            models (Hugging Face's Qwen2.5-Math-PRM800K among them); label 1 is right.
words       a causal language model that says `+` or `-` at a tag after every step: Math-Shepherd (arXiv 2312.08935,
            peiyi9979/math-shepherd-mistral-7b-prm) writes `Step 1: .. ки` and is read at the tag itself, unshifted.
separator   Qwen2.5-Math-PRM (arXiv 2501.07301): a chat, `<extra_0>` after every step of the reply, and a two-layer head
            read at it; class 1 is right. Its hub page asks to run code from the checkpoint; here the same head is built
            from the weights alone, and no code is run.

Ids are concatenated, never a joined string tokenised, so that the number of scores is the number of steps. These models
know no end of a solution; what was cut off scores 0, as in every vote. Weights are read from safetensors only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import nn

from stages.lib import aggregation, continuations, models
from stages.lib.encoding import steps_of
from stages.lib.errors import UserError
from stages.lib.records import Problem, Sample, Score

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Form = Literal["classes", "words", "separator"]
SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."  # of Qwen2.5-Math-PRM's card


class Layout(NamedTuple):
    """How a form writes a solution down: ids of the prompt, and ids of each step, read at the last of them."""

    prompt: Callable[[str], list[int]]
    step: Callable[[int, str], list[int]]


class PublicPRM:
    """model: with a decoder behind `base_model`, or a decoder itself. probability: hidden states (.., width) -> (..)."""

    def __init__(
        self,
        name: str,
        model: Any,
        layout: Layout,
        probability: Callable[[torch.Tensor], torch.Tensor],
        aggregation: str = "min",
    ):
        self.name, self.model, self.layout = name, model.eval(), layout
        self.probability, self.aggregation = probability, aggregation

    def written(self, sample: Sample) -> tuple[list[int], list[int]]:
        """A solution's ids, and the place of each step's score."""
        ids, places = [], []
        for number, step in enumerate(steps_of(sample.text), 1):
            ids += self.layout.step(number, step)
            places.append(len(ids) - 1)
        return ids, places

    def length(self, problem: Problem, sample: Sample) -> int:
        """Tokens of a problem and its solution as they are read."""
        return len(self.layout.prompt(problem.prompt())) + len(self.written(sample)[0])

    @torch.inference_mode()
    def step_scores(self, problem: Problem, samples: Sequence[Sample]) -> list[list[float]]:
        """For each sample the probabilities that its steps are right; none for an empty solution."""
        rows = [self.written(sample) for sample in samples]
        scores: list[list[float]] = [[] for _ in rows]
        asked = [i for i, (ids, _) in enumerate(rows) if ids]
        prompt = self.layout.prompt(problem.prompt())
        for part, hidden in continuations.hidden_states(self.model, prompt, [rows[i][0] for i in asked]):
            says = self.probability(hidden).double()
            for row, i in enumerate(asked[k] for k in part):
                scores[i] = says[row, rows[i][1]].tolist()
        return scores

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """score: the aggregation of the step scores, 0 for a solution that is empty or was cut off."""
        found = []
        for sample, steps in zip(samples, self.step_scores(problem, samples), strict=True):
            whole = bool(steps) and sample.finish == "stop"
            value = aggregation.aggregate(self.aggregation, steps) if whole else 0.0
            found.append(
                Score(problem_id=sample.problem_id, index=sample.index, verifier=self.name, score=value,
                      step_scores=steps, tokens=len(self.written(sample)[0]))
            )  # fmt: skip
        return found


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a text that goes on after other text. SentencePiece tokenizers put a space in front of whatever they are
    given; theirs are those that follow a line break, without the break."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not tokenizer.convert_ids_to_tokens(tokenizer("\n", add_special_tokens=False)["input_ids"])[0].startswith("▁"):
        return ids
    lead, whole = (tokenizer(x, add_special_tokens=False)["input_ids"] for x in ("\n", f"\n{text}"))
    return whole[len(lead) :] if whole[: len(lead)] == lead else ids


def classes(
    name: str, model: Any, tokenizer: PreTrainedTokenizerBase, separator: str = "\n", aggregation: str = "min"
) -> PublicPRM:
    """model: of an AutoModelForTokenClassification class with two labels. Raises UserError for another number."""
    if model.config.num_labels != 2:
        raise UserError(f"{name}: the classifier has {model.config.num_labels} labels; a process verifier has 2")
    head = model.score if hasattr(model, "score") else model.classifier
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]

    def own(text: str) -> list[int]:  # as TRL tokenises: each part by itself
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    layout = Layout(lambda question: start + own(question), lambda number, step: own(step) + own(separator))
    return PublicPRM(name, model, layout, lambda hidden: head(hidden).float().softmax(-1)[..., 1], aggregation)


def words(
    name: str,
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    tag: str = " ки",
    good: str = " +",
    bad: str = " -",
    aggregation: str = "min",
) -> PublicPRM:
    """model: a causal language model. The tag's last token is where the last of `good` is weighed against that of `bad`.
    In Math-Shepherd's own tokenizer these are 12902, 648 and 387, as its card says."""
    ids = [_ids(tokenizer, word)[-1] for word in (good, bad)]
    if ids[0] == ids[1]:
        raise UserError(f"{name}: {good!r} and {bad!r} end with the same token; choose words that do not")
    output = model.get_output_embeddings()
    layout = Layout(
        lambda question: tokenizer(question)["input_ids"],
        lambda number, step: (
            _ids(tokenizer, (" Step 1: " if number == 1 else f"\nStep {number}: ") + step) + _ids(tokenizer, tag)
        ),
    )
    return PublicPRM(name, model, layout, lambda hidden: output(hidden)[..., ids].float().softmax(-1)[..., 0],
                     aggregation)  # fmt: skip


def separator(
    name: str,
    model: Any,
    head: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    token: str = "<extra_0>",
    aggregation: str = "product",
) -> PublicPRM:
    """model: a Qwen2Model; head: (.., width) -> (.., 2). Raises UserError when `token` is not one of the tokenizer's."""
    place = _ids(tokenizer, token)
    if len(place) != 1:
        raise UserError(f"{name}: {token!r} is {len(place)} tokens of this tokenizer; it must be a single one")

    def prompt(question: str) -> list[int]:
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        return _ids(tokenizer, tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    layout = Layout(prompt, lambda number, step: _ids(tokenizer, step) + place)
    return PublicPRM(name, model, layout, lambda hidden: head(hidden).float().softmax(-1)[..., 1], aggregation)


def load(form: Form, path: Path, name: str, dtype: str = "float32", **options: str) -> PublicPRM:
    """A published model from a local folder (`models.snapshot` downloads one at a pinned commit). options: separator;
    tag, good, bad; token; and aggregation. Raises UserError for a folder that is not of this form."""
    path = Path(path)
    if form == "words":
        return words(name, models.load_causal_lm(path, dtype), models.load_tokenizer(path), **options)
    if form == "separator":
        model, head = _two_layers(path, dtype)
        return separator(name, model, head, models.load_tokenizer(path), **options)
    from transformers import AutoModelForTokenClassification

    models.check(path)
    models.quiet()
    model = AutoModelForTokenClassification.from_pretrained(
        path, dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True, trust_remote_code=False
    )
    return classes(name, model, models.load_tokenizer(path), **options)


def _two_layers(path: Path, dtype: str) -> tuple[nn.Module, nn.Module]:
    """Qwen2ForProcessRewardModel without its code: a Qwen2Model, and `score` = Linear, ReLU, Linear to 2.

    The folder's `auto_map` and its Python files are ignored: classes are named here, and only weights are read."""
    from safetensors import safe_open
    from transformers import Qwen2Config, Qwen2Model

    files = sorted(path.glob("*.safetensors"))
    config_file = path / "config.json"
    if not files or not config_file.is_file():
        raise UserError(f"{path}: needs config.json and .safetensors weights")
    kind = json.loads(config_file.read_text(encoding="utf-8")).get("model_type")
    if kind != "qwen2":
        raise UserError(f"{path}/config.json: model_type {kind!r}; the form `separator` reads qwen2")
    tensors = {}
    for file in files:
        with safe_open(file, framework="pt") as opened:
            tensors |= {key: opened.get_tensor(key) for key in opened.keys() if key.startswith("score.")}  # noqa: SIM118
    wanted = {"score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias"}
    if set(tensors) != wanted:
        raise UserError(f"{path}: head weights {sorted(tensors)}, expected {sorted(wanted)}")
    models.quiet()
    config = Qwen2Config.from_pretrained(path, local_files_only=True)
    model = Qwen2Model.from_pretrained(
        path, config=config, dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True
    )
    width, classes_ = tensors["score.0.weight"].shape[1], tensors["score.2.weight"].shape[0]
    head = nn.Sequential(nn.Linear(width, tensors["score.0.weight"].shape[0]), nn.ReLU(),
                         nn.Linear(tensors["score.2.weight"].shape[1], classes_))  # fmt: skip
    head.load_state_dict({key.removeprefix("score."): tensor for key, tensor in tensors.items()})
    return model, head.to(getattr(torch, dtype)).eval()
