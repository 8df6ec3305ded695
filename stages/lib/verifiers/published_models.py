"""Verifiers that others have published, scored by the recipe of their authors. Four forms:

classes     a token classifier with two labels, read at the last token of step + separator. TRL's PRMTrainer writes such
            models (for example Hugging Face's Qwen2.5-Math-PRM800K); label 1 means right.
words       a causal language model that predicts `+` or `-` at a tag after every step: Math-Shepherd (arXiv 2312.08935,
            peiyi9979/math-shepherd-mistral-7b-prm) writes `Step 1: .. ки` and is read at the tag itself, unshifted.
separator   Qwen2.5-Math-PRM (arXiv 2501.07301): a chat with `<extra_0>` after every step of the reply, and a two-layer
            head read there; class 1 means right. Its hub page asks to run code from the checkpoint. Here the same head
            is built from the weights alone, and no such code runs.
reward      a sequence classifier with one label that rates a whole reply in a chat, as the Skywork-Reward models do
            (arXiv 2410.18451). The score is the sigmoid of the reward: it keeps the order, but is not calibrated.

Token ids are concatenated, never tokenised as one string, so there is exactly one score per step. These models know no
end of a solution: a solution that was cut off scores 0, and so does one longer than the context. Only causal models whose
head reads the last hidden state are accepted, and only safetensors weights. Heads always compute in
float32.

Memory: Qwen2.5-Math-PRM-7B takes 15.2 GB in bfloat16 and 2 GB more for 8 solutions of 2,000 tokens, so one GPU of 24 GB;
in float32 it takes 30.5 GB. A CPU needs about 15 GFLOP per token. ProcessBench with it:

    python -m stages processbench gsm8k.json math.json --model Qwen/Qwen2.5-Math-PRM-7B --revision <commit> \\
        --form separator --threshold 0.5
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import transformers
from safetensors import safe_open
from torch import nn

from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Sample, Score
from stages.lib.models import encoding, forward, heads, loading
from stages.lib.verifiers import aggregation
from stages.lib.verifiers.base import Verifier

Form = Literal["classes", "words", "separator", "reward"]
Layout = Callable[[str, Sequence[str]], tuple[list[int], list[int]]]  # question, steps -> ids, positions of scores
SYSTEM_PROMPT = r"Please reason step by step, and put your final answer within \boxed{}."  # of Qwen2.5-Math-PRM's card


@dataclass(eq=False)
class PublicPRM(Verifier):
    """A published verifier.

    model: has a decoder behind `base_model`, or is a decoder. head: hidden states (.., width) -> (.., classes).
    correct_class: the class that means right; None for a head with one output, which is a logit. split_steps: the steps
    of a solution, or the whole of it as one. has_step_scores: one score per step, or one for the whole solution.
    batch_size: solutions per forward pass; changes speed and memory, and scores by rounding only.
    """

    name: str
    model: Any
    layout: Layout
    head: Any
    correct_class: int | None
    aggregation: str = "min"
    split_steps: Callable[[str], Sequence[str]] = encoding.split_steps
    has_step_scores: bool = True
    batch_size: int = 8

    def __post_init__(self) -> None:
        self.model.eval()
        self.head = copy.deepcopy(self.head).float().eval()

    def count_tokens(self, question: str, steps: Sequence[str]) -> int:
        """Number of tokens that are read for a question and its solution."""
        return len(self.layout(question, steps)[0])

    @torch.inference_mode()
    def score_solutions(self, solutions: Sequence[tuple[str, Sequence[str]]], raw: bool = False) -> list[list[float]]:
        """(question, steps) -> the probability that each step is right; [] for an empty solution. raw: of a head with one
        output the output itself, which tells rewards apart whose sigmoid is 1.

        Solutions of similar length form a batch. Padding is on the right, where causal models never look.
        """
        rows = [self.layout(question, steps) if any(steps) else ([], []) for question, steps in solutions]
        scores: list[list[float]] = [[] for _ in rows]
        order = sorted((i for i, (ids, _) in enumerate(rows) if ids), key=lambda i: (len(rows[i][0]), rows[i][0]))
        device = next(self.model.parameters()).device
        for batch in (order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)):
            ids = torch.zeros(len(batch), len(rows[batch[-1]][0]), dtype=torch.long)
            for row, i in enumerate(batch):
                ids[row, : len(rows[i][0])] = torch.tensor(rows[i][0])
            hidden = forward.get_decoder(self.model)(input_ids=ids.to(device), use_cache=False).last_hidden_state
            for row, i in enumerate(batch):
                logits = self.head(hidden[row, rows[i][1]].float()).double()
                if self.correct_class is None:
                    scores[i] = (logits[:, 0] if raw else logits[:, 0].sigmoid()).tolist()
                else:
                    scores[i] = logits.softmax(-1)[:, self.correct_class].tolist()
        return scores

    def score_steps(self, problem: Problem, samples: Sequence[Sample]) -> list[list[float]]:
        return self.score_solutions([(problem.format_prompt(), self.split_steps(sample.text)) for sample in samples])

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """Score.score is the aggregation of the step scores; 0 for a solution that is empty, was cut off, or is too long
        for the model. A solution that is too long has no step scores, []."""
        question, context = problem.format_prompt(), self.model.config.max_position_embeddings
        prompt_length = self.count_tokens(question, [])
        lengths = [self.count_tokens(question, self.split_steps(sample.text)) for sample in samples]
        fitting = [sample for sample, length in zip(samples, lengths, strict=True) if length <= context]
        step_scores, scores = iter(self.score_steps(problem, fitting)), []
        for sample, length in zip(samples, lengths, strict=True):
            steps = next(step_scores) if length <= context else []
            is_whole = bool(steps) and sample.finish == "stop"
            score = aggregation.aggregate(self.aggregation, steps) if is_whole else 0.0
            step_details = steps if self.has_step_scores or length > context else None
            scores.append(self.make_score(sample, score, max(0, length - prompt_length), step_scores=step_details))
        return scores


@torch.inference_mode()
def check_model(verifier: PublicPRM, token_ids: Sequence[int] = ()) -> None:
    """Run a few tokens through the model to see that it can be scored here.

    Raises UserError if later tokens change earlier hidden states, as in an encoder, or if the model's own output differs
    from the head on the last hidden state, as when a pooled state is read. token_ids: the two tokens of the vocabulary
    that the head compares, if it does.
    """
    model, name = verifier.model, verifier.name
    config = model.config.get_text_config()
    ids = torch.tensor([i for i in range(1, 18) if i != config.pad_token_id][:16]).view(2, 8) % config.vocab_size
    ids[1, 0] = ids[0, 0]
    hidden = forward.get_decoder(model)(input_ids=ids, use_cache=False).last_hidden_state.float()
    tolerance = torch.finfo(model.dtype).eps ** 0.5
    if (hidden[0, 0] - hidden[1, 0]).abs().max() > tolerance * hidden[0, 0].abs().max():
        raise UserError(
            f"{name}: its {type(model).__name__} reads a step by what follows it; only causal models are read"
        )
    output = model(input_ids=ids[:1], use_cache=False).logits.float()
    output, expected = output[0, -1] if output.dim() == 3 else output[0], verifier.head(hidden[0, -1])
    if token_ids:
        output = output[token_ids[0], None] - output[token_ids[1], None]
    if output.shape != expected.shape or (output - expected).abs().max() > tolerance * max(1.0, output.abs().max()):
        raise UserError(
            f"{name}: its {type(model).__name__} does not say what its output layer makes of the last hidden "
            f"state, which is all that is read here; name a model that does"
        )


def _get_head(name: str, model: Any) -> nn.Module:
    head = getattr(model, "score", None) or getattr(model, "classifier", None)
    if head is None:
        raise UserError(f"{name}: its {type(model).__name__} has no output layer `score` or `classifier`")
    return head


def _tokenize(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text that follows other text."""
    return encoding.encode_continuations(tokenizer, [text], encoding.find_lead_ids(tokenizer))[0]


def _make_step_layout(prompt: Callable[[str], list[int]], step: Callable[[int, str], list[int]]) -> Layout:
    """The layout of a prompt and numbered steps, each scored at its last token."""

    def layout(question: str, steps: Sequence[str]) -> tuple[list[int], list[int]]:
        ids, positions = list(prompt(question)), []
        for number, text in enumerate(steps, 1):
            ids += step(number, text)
            positions.append(len(ids) - 1)
        return ids, positions

    return layout


def build_token_classifier(
    name: str, model: Any, tokenizer: Any, tag: str = "\n", aggregation: str = "min"
) -> PublicPRM:
    """model: of an AutoModelForTokenClassification class. Raises UserError unless it has two labels."""
    if model.config.num_labels != 2:
        raise UserError(f"{name}: the classifier has {model.config.num_labels} labels; a process verifier has 2")
    bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]

    def tokenize(text: str) -> list[int]:  # as TRL tokenises: each part by itself
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    layout = _make_step_layout(
        lambda question: bos + tokenize(question), lambda _, step: tokenize(step) + tokenize(tag)
    )
    verifier = PublicPRM(name, model, layout, _get_head(name, model), 1, aggregation)
    check_model(verifier)
    return verifier


def build_token_logits(
    name: str, model: Any, tokenizer: Any, tag: str = " ки", good: str = " +", bad: str = " -", aggregation: str = "min"
) -> PublicPRM:
    """model: a causal language model. At the tag's last token, the last token of `good` is compared with that of `bad`.
    In Math-Shepherd's own tokenizer these are 12902, 648 and 387, as its card says."""
    ids = [_tokenize(tokenizer, word)[-1] for word in (good, bad)]
    if ids[0] == ids[1]:
        raise UserError(f"{name}: {good!r} and {bad!r} end with the same token; choose words that do not")
    output = model.get_output_embeddings()
    rows = nn.Linear(output.weight.shape[1], 2, bias=output.bias is not None)
    rows.load_state_dict({key: tensor[ids] for key, tensor in output.state_dict().items()})
    layout = _make_step_layout(
        lambda question: tokenizer(question)["input_ids"],
        lambda number, step: [
            *_tokenize(tokenizer, (" Step 1: " if number == 1 else f"\nStep {number}: ") + step),
            *_tokenize(tokenizer, tag),
        ],
    )
    head = heads.TokenLogitHead(rows, 0, 1, model.config)
    verifier = PublicPRM(name, model, layout, head, None, aggregation)
    check_model(verifier, ids)
    return verifier


def build_separator(
    name: str, model: Any, head: nn.Module, tokenizer: Any, tag: str = "<extra_0>", aggregation: str = "product"
) -> PublicPRM:
    """model: a Qwen2Model. head: (.., width) -> (.., 2). Raises UserError unless `tag` is a single token."""
    tag_ids = _tokenize(tokenizer, tag)
    if len(tag_ids) != 1:
        raise UserError(f"{name}: {tag!r} is {len(tag_ids)} tokens of this tokenizer; it must be a single one")

    def prompt(question: str) -> list[int]:
        turns = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": question}]
        return _tokenize(tokenizer, tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    layout = _make_step_layout(prompt, lambda _, step: _tokenize(tokenizer, step) + tag_ids)
    return PublicPRM(name, model, layout, head, 1, aggregation)


def build_reward_model(name: str, model: Any, tokenizer: Any) -> PublicPRM:
    """model: of an AutoModelForSequenceClassification class, read at the last token of the chat. Raises UserError unless
    it has one label and the tokenizer a chat template."""
    if model.config.num_labels != 1:
        raise UserError(f"{name}: the classifier has {model.config.num_labels} labels; a reward model has 1")
    if not tokenizer.chat_template:
        raise UserError(f"{name}: its tokenizer has no chat template, in which a reward model reads a solution")

    def split_whole(text: str) -> list[str]:
        return [text.strip()] if text.strip() else []

    def layout(question: str, steps: Sequence[str]) -> tuple[list[int], list[int]]:
        turns = [{"role": "user", "content": question}, *({"role": "assistant", "content": text} for text in steps)]
        ids = _tokenize(tokenizer, tokenizer.apply_chat_template(turns, tokenize=False))
        return ids, [len(ids) - 1] if steps else []

    head = _get_head(name, model)
    verifier = PublicPRM(name, model, layout, head, None, "last", split_whole, has_step_scores=False)
    check_model(verifier)
    return verifier


def load(form: Form, path: Path, name: str, dtype: str = "float32", **options: str) -> PublicPRM:
    """A published model from a local folder (`loading.download_snapshot` fetches one at a pinned commit).

    options: of the form's build function, such as tag, aggregation, good and bad. Raises UserError for a folder that is
    not of this form, or an option that the form does not have.
    """
    builders = build_token_classifier, build_token_logits, build_separator, build_reward_model
    build: dict[str, Callable[..., PublicPRM]] = dict(zip(get_args(Form), builders, strict=True))
    if unknown := sorted(options.keys() - inspect.signature(build[form]).parameters):
        raise UserError(f"{name}: the form {form} has no {unknown[0]}")
    if form == "separator":
        parts = _load_two_layer_head(path, dtype)
    elif form == "words":
        parts = (loading.load_causal_lm(path, dtype),)
    else:
        loading.check_folder(path)
        task = {"classes": "Token", "reward": "Sequence"}[form]
        parts = (loading.load_pretrained(getattr(transformers, f"AutoModelFor{task}Classification"), path, dtype),)
    return build[form](name, *parts, loading.load_tokenizer(path), **options)


def _load_two_layer_head(path: Path, dtype: str) -> tuple[Any, nn.Module]:
    """Qwen2ForProcessRewardModel without its code: a Qwen2Model, and its `score` layers Linear, ReLU, Linear to 2.

    The folder's `auto_map` and Python files are ignored: the classes are named here, and only weights are read.
    """
    weight_files, config_file = sorted(path.glob("*.safetensors")), path / "config.json"
    if not weight_files or not config_file.is_file():
        raise UserError(f"{path}: needs config.json and .safetensors weights")
    model_type = json.loads(config_file.read_text(encoding="utf-8")).get("model_type")
    if model_type != "qwen2":
        raise UserError(f"{path}/config.json: model_type {model_type!r}; the form separator reads qwen2")
    tensors: dict[str, torch.Tensor] = {}
    for file in weight_files:
        with safe_open(file, framework="pt") as weights:
            tensors |= {key: weights.get_tensor(key) for key in weights.keys() if key.startswith("score.")}  # noqa: SIM118
    expected = {"score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias"}
    if set(tensors) != expected:
        raise UserError(f"{path}: head weights {sorted(tensors)}, expected {sorted(expected)}")
    config = transformers.Qwen2Config.from_pretrained(path, local_files_only=True)
    model = loading.load_pretrained(transformers.Qwen2Model, path, dtype, config=config)
    first, second = tensors["score.0.weight"].shape, tensors["score.2.weight"].shape
    head = nn.Sequential(nn.Linear(first[1], first[0]), nn.ReLU(), nn.Linear(second[1], second[0]))
    head.load_state_dict({key.removeprefix("score."): tensor for key, tensor in tensors.items()})
    return model, head
