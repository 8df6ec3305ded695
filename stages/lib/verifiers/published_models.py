"""Scoring with verifiers that others have published, in their common forms.

classes     a token classifier with two labels, read at the last token of step + separator. TRL's PRMTrainer writes such
            models (Hugging Face's Qwen2.5-Math-PRM800K among them); label 1 is right.
words       a causal language model that says `+` or `-` at a tag after every step: Math-Shepherd (arXiv 2312.08935,
            peiyi9979/math-shepherd-mistral-7b-prm) writes `Step 1: .. ки` and is read at the tag itself, unshifted.
separator   Qwen2.5-Math-PRM (arXiv 2501.07301): a chat, `<extra_0>` after every step of the reply, and a two-layer head
            read at it; class 1 is right. Its hub page asks to run code from the checkpoint; here the same head is built
            from the weights alone, and no code is run.
reward      a sequence classifier with one label that rates a whole reply in a chat, as the Skywork-Reward models do (arXiv
            2410.18451). Its score is the sigmoid of the reward: the order is the reward's, a probability it is not.

Ids are concatenated, never a joined string tokenised, so that the number of scores is the number of steps. These models
know no end of a solution; what was cut off scores 0, as in every vote, and so does what is longer than they read. Models
whose layers look ahead are refused, and heads that read anything but the last hidden state. Weights are read from
safetensors only. Heads are read in float32 whatever the model is in.

By its sizes Qwen2.5-Math-PRM-7B takes 15.2 GB in bfloat16, and 2 GB more for 8 solutions of 2,000 tokens: one GPU of
24 GB. In float32 it takes 30.5 GB; a CPU needs about 15 GFLOP a token. ProcessBench with it:

    python -m stages processbench gsm8k.json math.json --model Qwen/Qwen2.5-Math-PRM-7B --revision <commit> \\
        --form separator --threshold 0.5
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Sample, Score
from stages.lib.models import forward, heads, loading
from stages.lib.models.encoding import split_steps
from stages.lib.verifiers import aggregation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Form = Literal["classes", "words", "separator", "reward"]
SYSTEM_PROMPT = r"Please reason step by step, and put your final answer within \boxed{}."  # of Qwen2.5-Math-PRM's card
Layout = Callable[[str, Sequence[str]], tuple[list[int], list[int]]]  # question and steps -> ids, and places of scores


class PublicPRM:
    """model: with a decoder behind `base_model`, or a decoder itself. head: hidden states (.., width) -> (.., classes).

    right: the class that means right; None for a head with one output, which is read as a logit. stepwise: whether there
    is a score a step, or one of the whole. split: the steps of a solution, or the whole of it for a verifier of outcomes.
    batch: solutions in a forward pass; changes speed and memory, and scores by no more than rounding does.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        layout: Layout,
        head: nn.Module,
        right: int | None,
        aggregation: str = "min",
    ):
        self.name, self.model, self.layout = name, model.eval(), layout
        self.head, self.correct_class, self.aggregation = copy.deepcopy(head).float().eval(), right, aggregation
        self.split_steps: Callable[[str], Sequence[str]] = split_steps
        self.has_step_scores = True
        self.batch_size = 8

    def to(self, device: Any) -> PublicPRM:
        self.model.to(device)
        self.head.to(device)
        return self

    def count_tokens(self, question: str, steps: Sequence[str]) -> int:
        """Tokens of a question and its solution as they are read."""
        return len(self.layout(question, steps)[0])

    @torch.inference_mode()
    def score_solutions(self, solutions: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """(question, steps) -> the probabilities that the steps are right; none for an empty solution. Solutions of about
        one length are read together, padded at the right, where causal layers never look."""
        rows = [self.layout(question, steps) if any(steps) else ([], []) for question, steps in solutions]
        found: list[list[float]] = [[] for _ in rows]
        order = sorted((i for i, (ids, _) in enumerate(rows) if ids), key=lambda i: (len(rows[i][0]), rows[i][0]))
        device = next(self.model.parameters()).device
        for part in (order[first : first + self.batch_size] for first in range(0, len(order), self.batch_size)):
            ids = torch.zeros(len(part), len(rows[part[-1]][0]), dtype=torch.long)
            for row, i in enumerate(part):
                ids[row, : len(rows[i][0])] = torch.tensor(rows[i][0])
            hidden = forward.get_decoder(self.model)(input_ids=ids.to(device), use_cache=False).last_hidden_state
            for row, i in enumerate(part):
                logits = self.head(hidden[row, rows[i][1]].float()).double()
                says = (
                    logits[:, 0].sigmoid() if self.correct_class is None else logits.softmax(-1)[:, self.correct_class]
                )
                found[i] = says.tolist()
        return found

    def score_steps(self, problem: Problem, samples: Sequence[Sample]) -> list[list[float]]:
        return self.score_solutions([(problem.format_prompt(), self.split_steps(sample.text)) for sample in samples])

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """score: the aggregation of the step scores, 0 for a solution that is empty, was cut off or is longer than the
        model reads; the last has no step scores, []."""
        question, found = problem.format_prompt(), []
        start, longest = self.count_tokens(question, []), self.model.config.max_position_embeddings
        tokens = [self.count_tokens(question, self.split_steps(sample.text)) for sample in samples]
        fits = [sample for sample, read in zip(samples, tokens, strict=True) if read <= longest]
        known = iter(self.score_steps(problem, fits))
        for sample, read in zip(samples, tokens, strict=True):
            steps = next(known) if read <= longest else []
            whole = bool(steps) and sample.finish == "stop"
            value = aggregation.aggregate(self.aggregation, steps) if whole else 0.0
            found.append(
                Score(
                    problem_id=sample.problem_id,
                    index=sample.index,
                    verifier=self.name,
                    score=value,
                    step_scores=steps if self.has_step_scores or read > longest else None,
                    tokens=max(0, read - start),
                )
            )
        return found


@torch.inference_mode()
def check_model(verifier: PublicPRM, tokens: Sequence[int] = ()) -> None:
    """Raises UserError where a text's end changes how its beginning is read, as in an encoder; and where the model's own
    forward pass says otherwise than the head on the last hidden states does, as where a pooled state is read. tokens: of
    the vocabulary, that the head weighs against each other. A few tokens tell."""
    model, name = verifier.model, verifier.name
    config = model.config.get_text_config()
    ids = torch.tensor([i for i in range(1, 18) if i != config.pad_token_id][:16]).view(2, 8) % config.vocab_size
    ids[1, 0] = ids[0, 0]
    hidden = forward.get_decoder(model)(input_ids=ids, use_cache=False).last_hidden_state.float()
    near = torch.finfo(model.dtype).eps ** 0.5
    if (hidden[0, 0] - hidden[1, 0]).abs().max() > near * hidden[0, 0].abs().max():
        raise UserError(
            f"{name}: its {type(model).__name__} reads a step by what follows it; only causal models are read"
        )
    own = model(input_ids=ids[:1], use_cache=False).logits.float()
    own, here = own[0, -1] if own.dim() == 3 else own[0], verifier.head(hidden[0, -1])
    if tokens:
        own = own[tokens[0], None] - own[tokens[1], None]
    if own.shape != here.shape or (own - here).abs().max() > near * max(1.0, float(own.abs().max())):
        raise UserError(
            f"{name}: its {type(model).__name__} does not say what its output layer makes of the last hidden "
            f"state, which is all that is read here; name a model that does"
        )


def _get_head(name: str, model: Any) -> nn.Module:
    head = getattr(model, "score", None) or getattr(model, "classifier", None)
    if head is None:
        raise UserError(f"{name}: its {type(model).__name__} has no output layer `score` or `classifier`")
    return head


def _tokenize(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a text that goes on after other text. SentencePiece tokenizers put a space in front of whatever they are
    given; theirs are those that follow a line break, without the break."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not tokenizer.convert_ids_to_tokens(tokenizer("\n", add_special_tokens=False)["input_ids"])[0].startswith("▁"):
        return ids
    lead, whole = (tokenizer(x, add_special_tokens=False)["input_ids"] for x in ("\n", f"\n{text}"))
    return whole[len(lead) :] if whole[: len(lead)] == lead else ids


def _make_step_layout(prompt: Callable[[str], list[int]], step: Callable[[int, str], list[int]]) -> Layout:
    """The layout of a prompt and steps, each read at its last token."""

    def layout(question: str, steps: Sequence[str]) -> tuple[list[int], list[int]]:
        ids, places = list(prompt(question)), []
        for number, text in enumerate(steps, 1):
            ids += step(number, text)
            places.append(len(ids) - 1)
        return ids, places

    return layout


def build_token_classifier(
    name: str, model: Any, tokenizer: PreTrainedTokenizerBase, tag: str = "\n", aggregation: str = "min"
) -> PublicPRM:
    """model: of an AutoModelForTokenClassification class with two labels. Raises UserError for another number."""
    if model.config.num_labels != 2:
        raise UserError(f"{name}: the classifier has {model.config.num_labels} labels; a process verifier has 2")
    head = _get_head(name, model)
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]

    def own(text: str) -> list[int]:  # as TRL tokenises: each part by itself
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    layout = _make_step_layout(lambda question: start + own(question), lambda number, step: own(step) + own(tag))
    verifier = PublicPRM(name, model, layout, head, 1, aggregation)
    check_model(verifier)
    return verifier


def build_token_logits(
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
    ids = [_tokenize(tokenizer, word)[-1] for word in (good, bad)]
    if ids[0] == ids[1]:
        raise UserError(f"{name}: {good!r} and {bad!r} end with the same token; choose words that do not")
    output = model.get_output_embeddings()
    rows = nn.Linear(output.weight.shape[1], 2, bias=output.bias is not None)
    rows.load_state_dict({key: tensor[ids] for key, tensor in output.state_dict().items()})
    head = heads.TokenLogitHead(rows, 0, 1, model.config)
    layout = _make_step_layout(
        lambda question: tokenizer(question)["input_ids"],
        lambda number, step: (
            _tokenize(tokenizer, (" Step 1: " if number == 1 else f"\nStep {number}: ") + step)
            + _tokenize(tokenizer, tag)
        ),
    )
    verifier = PublicPRM(name, model, layout, head, None, aggregation)
    check_model(verifier, ids)
    return verifier


def build_separator(
    name: str,
    model: Any,
    head: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    tag: str = "<extra_0>",
    aggregation: str = "product",
) -> PublicPRM:
    """model: a Qwen2Model; head: (.., width) -> (.., 2). Raises UserError when `tag` is not one of the tokenizer's."""
    place = _tokenize(tokenizer, tag)
    if len(place) != 1:
        raise UserError(f"{name}: {tag!r} is {len(place)} tokens of this tokenizer; it must be a single one")

    def prompt(question: str) -> list[int]:
        turns = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": question}]
        return _tokenize(tokenizer, tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    layout = _make_step_layout(prompt, lambda number, step: _tokenize(tokenizer, step) + place)
    return PublicPRM(name, model, layout, head, 1, aggregation)


def build_reward_model(name: str, model: Any, tokenizer: PreTrainedTokenizerBase) -> PublicPRM:
    """model: of an AutoModelForSequenceClassification class with one label, read at the last token of the chat. Raises
    UserError for another number of labels, or a tokenizer without a chat template."""
    if model.config.num_labels != 1:
        raise UserError(f"{name}: the classifier has {model.config.num_labels} labels; a reward model has 1")
    if not tokenizer.chat_template:
        raise UserError(f"{name}: its tokenizer has no chat template, in which a reward model reads a solution")

    def layout(question: str, steps: Sequence[str]) -> tuple[list[int], list[int]]:
        turns = [{"role": "user", "content": question}, *({"role": "assistant", "content": text} for text in steps)]
        ids = _tokenize(tokenizer, tokenizer.apply_chat_template(turns, tokenize=False))
        return ids, [len(ids) - 1] if steps else []

    verifier = PublicPRM(name, model, layout, _get_head(name, model), None, "last")
    verifier.has_step_scores = False
    verifier.split_steps = lambda text: [text.strip()] if text.strip() else []
    check_model(verifier)
    return verifier


def load(form: Form, path: Path, name: str, dtype: str = "float32", **options: str) -> PublicPRM:
    """A published model from a local folder (`models.snapshot` downloads one at a pinned commit). options: tag, what
    follows every step; good and bad, of `build_token_logits`; aggregation. Raises UserError for a folder that is not of this form, or an
    option that it does not have."""
    import inspect

    build = {
        "classes": build_token_classifier,
        "words": build_token_logits,
        "separator": build_separator,
        "reward": build_reward_model,
    }[form]
    if unknown := sorted(options.keys() - inspect.signature(build).parameters):
        raise UserError(f"{name}: the form {form} has no {unknown[0]}")
    path = Path(path)
    if form == "words":
        return build_token_logits(name, loading.load_causal_lm(path, dtype), loading.load_tokenizer(path), **options)
    if form == "separator":
        model, head = _load_two_layer_head(path, dtype)
        return build_separator(name, model, head, loading.load_tokenizer(path), **options)
    import transformers

    loading.check_folder(path)
    kind = {"classes": "AutoModelForTokenClassification", "reward": "AutoModelForSequenceClassification"}[form]
    model = loading.load_pretrained(getattr(transformers, kind), path, dtype)
    return build(name, model, loading.load_tokenizer(path), **options)


def _load_two_layer_head(path: Path, dtype: str) -> tuple[nn.Module, nn.Module]:
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
        raise UserError(f"{path}/config.json: model_type {kind!r}; the form `build_separator` reads qwen2")
    tensors = {}
    for file in files:
        with safe_open(file, framework="pt") as opened:
            tensors |= {key: opened.get_tensor(key) for key in opened.keys() if key.startswith("score.")}  # noqa: SIM118
    wanted = {"score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias"}
    if set(tensors) != wanted:
        raise UserError(f"{path}: head weights {sorted(tensors)}, expected {sorted(wanted)}")
    model = loading.load_pretrained(
        Qwen2Model, path, dtype, config=Qwen2Config.from_pretrained(path, local_files_only=True)
    )
    width, classes_ = tensors["score.0.weight"].shape[1], tensors["score.2.weight"].shape[0]
    head = nn.Sequential(
        nn.Linear(width, tensors["score.0.weight"].shape[0]),
        nn.ReLU(),
        nn.Linear(tensors["score.2.weight"].shape[1], classes_),
    )
    head.load_state_dict({key.removeprefix("score."): tensor for key, tensor in tensors.items()})
    return model, head
