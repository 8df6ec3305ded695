"""Published process reward models: tiny random models of the same classes, each score against the form's own recipe.

The recipe is written out here by hand, whole rows at a time: where the tag stands, which logits are read, and how.
"""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, normalizers
from tokenizers import models as vocabularies
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Model,
)

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.errors import UserError
from stages.lib.models import loading
from stages.lib.models.encoding import split_steps
from stages.lib.verifiers import published_models
from tests.helpers import tiny_models

TEMPLATE = (
    "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SHAPE = dict(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=512,
    initializer_range=0.1,
)


def sentencepiece():
    """As Math-Shepherd's: a space in front of every text, bytes for what has no token, `▁ки` in two pieces."""
    pieces = [f"<0x{i:02X}>" for i in range(256)] + ["<unk>", "</s>", "▁", "ки", "▁+", "▁-"]
    pieces += [chr(c) for c in range(33, 127)]
    merges = [("▁", "+"), ("▁", "-")]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    vocabulary |= {"к": len(vocabulary), "и": len(vocabulary) + 1}
    tokenizer = Tokenizer(
        vocabularies.BPE(vocabulary, [*merges, ("к", "и")], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.ByteFallback()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")


def chat():
    tokenizer = build_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<extra_0>", "<|im_start|>", "<|im_end|>"]})
    tokenizer.split_special_tokens = False
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def classifier():
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    config = Qwen2Config(vocab_size=len(tokenizer), num_labels=2, **SHAPE)
    return AutoModelForTokenClassification.from_config(config).eval(), tokenizer


def two_layers(tokenizer):
    torch.manual_seed(1)
    model = Qwen2Model(Qwen2Config(vocab_size=len(tokenizer), **SHAPE)).eval()
    return model, nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)).eval()


def make_verifier(form):
    """(the verifier, the form's own recipe: problem and sample -> probabilities of the steps)."""
    if form == "classes":
        model, tokenizer = classifier()

        def recipe(problem, sample):
            ids, places = tokenizer(problem.format_prompt())["input_ids"], []
            for step in split_steps(sample.text):
                ids = ids + tokenizer(step)["input_ids"] + tokenizer("\n")["input_ids"]
                places.append(len(ids) - 1)
            return model(torch.tensor([ids])).logits[0].softmax(-1)[places, 1]

        return published_models.build_token_classifier("theirs", model, tokenizer), recipe
    if form == "words":
        tokenizer = sentencepiece()
        model = tiny_models.make_model("mistral", len(tokenizer))
        plus, minus, tag = (tokenizer.convert_tokens_to_ids(piece) for piece in ("▁+", "▁-", "ки"))

        def recipe(problem, sample):
            lines = [f"Step {i}: {step} ки" for i, step in enumerate(split_steps(sample.text), 1)]
            ids = torch.tensor([tokenizer(f"{problem.format_prompt()} " + "\n".join(lines))["input_ids"]])
            return model(ids).logits[:, :, [plus, minus]].softmax(-1)[..., 0][ids == tag]

        return published_models.build_token_logits("theirs", model, tokenizer), recipe
    tokenizer = chat()
    model, head = two_layers(tokenizer)

    def recipe(problem, sample):
        turns = [
            {"role": "system", "content": published_models.SYSTEM_PROMPT},
            {"role": "user", "content": problem.format_prompt()},
        ]
        reply = "".join(f"{step}<extra_0>" for step in split_steps(sample.text))
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) + reply
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        places = ids[0] == tokenizer.convert_tokens_to_ids("<extra_0>")
        return head(model(ids).last_hidden_state)[0].softmax(-1)[places, 1]

    return published_models.build_separator("theirs", model, head, tokenizer), recipe


FORMS = ("classes", "words", "separator")


def pool(problem):
    return [tiny_models.make_sample(problem, i, i % 2) for i in range(5)]


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_every_step_has_the_score_of_the_recipe(form):
    verifier, recipe = make_verifier(form)
    problem = tiny_models.make_problem(3)
    for sample, score in zip(pool(problem), verifier.score(problem, pool(problem)), strict=True):
        assert len(score.step_scores) == len(split_steps(sample.text)) == 2
        assert score.step_scores == pytest.approx(recipe(problem, sample).tolist(), abs=1e-5)
        product = score.step_scores[0] * score.step_scores[1]
        assert score.score == pytest.approx(product if form == "separator" else min(score.step_scores))
    assert len({round(score.score, 6) for score in verifier.score(problem, pool(problem))}) == 5


@pytest.mark.parametrize("form", FORMS)
def test_one_at_a_time_and_order_change_nothing(form):
    verifier, _ = make_verifier(form)
    problem = tiny_models.make_problem(3)
    verifier.batch_size = 3
    together = verifier.score_steps(problem, pool(problem))
    assert verifier.score_steps(problem, pool(problem)[::-1]) == together[::-1]
    for sample, row in zip(pool(problem), together, strict=True):
        assert verifier.score_steps(problem, [sample])[0] == pytest.approx(row, abs=1e-5)


@torch.no_grad()
def test_a_reward_model_rates_the_whole_chat():
    """By the classifier's own forward pass on the chat as its template writes it, one at a time."""
    tokenizer, problem = chat(), tiny_models.make_problem(3)
    config = Qwen2Config(vocab_size=len(tokenizer), num_labels=1, pad_token_id=0, **SHAPE)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    verifier = published_models.build_reward_model("theirs", model, tokenizer)
    for sample, score in zip(pool(problem), verifier.score(problem, pool(problem)), strict=True):
        turns = [
            {"role": "user", "content": problem.format_prompt()},
            {"role": "assistant", "content": sample.text.strip()},
        ]
        ids = tokenizer(tokenizer.apply_chat_template(turns, tokenize=False))["input_ids"]
        assert score.score == pytest.approx(model(torch.tensor([ids])).logits[0, 0].sigmoid().item(), abs=1e-5)
        assert score.step_scores is None
    cut, empty = (
        tiny_models.make_sample(problem, 1, 0, "length"),
        tiny_models.make_sample(problem, 2, 0).model_copy(update={"text": "\n"}),
    )
    assert [score.score for score in verifier.score(problem, [cut, empty])] == [0.0, 0.0]
    with pytest.raises(UserError, match="2 labels; a reward model has 1"):
        published_models.build_reward_model("theirs", classifier()[0], tokenizer)
    with pytest.raises(UserError, match="no chat template"):
        published_models.build_reward_model("theirs", model, build_tokenizer())


@pytest.mark.parametrize("form", FORMS)
def test_heads_are_read_in_float32_and_go_where_the_model_goes(form):
    verifier, _ = make_verifier(form)
    problem = tiny_models.make_problem(3)
    whole = [score for steps in verifier.score_steps(problem, pool(problem)) for score in steps]
    verifier.model.to(torch.bfloat16)
    rough = [score for steps in verifier.score_steps(problem, pool(problem)) for score in steps]
    assert rough == pytest.approx(whole, abs=0.05) and len(set(rough)) > len(rough) / 2, (
        "in bfloat16 scores near 1 are ties"
    )
    assert verifier.to("meta") is verifier
    assert {p.device.type for p in [*verifier.model.parameters(), *verifier.head.parameters()]} == {"meta"}


def test_a_solution_that_the_model_cannot_read_scores_zero_and_leaves_the_others_alone():
    verifier, _ = make_verifier("classes")
    problem = tiny_models.make_problem(3)
    long, *rest = verifier.score(problem, [tiny_models.make_sample(problem, 600, 0), *pool(problem)])
    assert (
        (long.score, long.step_scores) == (0.0, [])
        and long.tokens > 512
        and rest == verifier.score(problem, pool(problem))
    )


def test_cut_off_and_empty_solutions_score_zero():
    verifier, _ = make_verifier("classes")
    problem = tiny_models.make_problem(3)
    cut, empty = (
        tiny_models.make_sample(problem, 1, 0, "length"),
        tiny_models.make_sample(problem, 2, 0).model_copy(update={"text": "\n"}),
    )
    scores = verifier.score(problem, [cut, empty])
    assert [score.score for score in scores] == [0.0, 0.0]
    assert len(scores[0].step_scores) == 2 and scores[1].step_scores == []


def test_a_sentencepiece_text_goes_on_without_another_space():
    """Math-Shepherd's tag is `▁` and `ки`, its words `▁+` and `▁-`: what its card finds by encoding whole strings."""
    tokenizer = sentencepiece()
    pieces = {
        text: tokenizer.convert_ids_to_tokens(published_models._tokenize(tokenizer, text))
        for text in (" ки", " +", "\nS")
    }
    assert pieces == {" ки": ["▁", "ки"], " +": ["▁+"], "\nS": ["<0x0A>", "S"]}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_loads_from_a_folder(form, tmp_path):
    verifier, _ = make_verifier(form)
    problem = tiny_models.make_problem(3)
    if form == "separator":
        tokenizer = chat()
        model, head = two_layers(tokenizer)
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        weights = {f"model.{k}": v for k, v in load_file(tmp_path / "model.safetensors").items()}
        weights |= {f"score.{k}": v for k, v in head.state_dict().items()}
        save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
        config = json.loads((tmp_path / "config.json").read_text())
        code = {"AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel"}
        config |= {"auto_map": code, "architectures": ["Qwen2ForProcessRewardModel"]}
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "modeling_qwen2_rm.py").write_text("raise SystemExit('code of a checkpoint was run')")
    else:
        model, tokenizer = (
            classifier()
            if form == "classes"
            else (tiny_models.make_model("mistral", len(sentencepiece())), sentencepiece())
        )
        loading.save(model, tokenizer, tmp_path / "m")
        tmp_path = tmp_path / "m"
    rough = published_models.load(form, tmp_path, "theirs", "bfloat16")
    assert rough.model.dtype == torch.bfloat16 and {p.dtype for p in rough.head.parameters()} == {torch.float32}
    loaded = published_models.load(form, tmp_path, "theirs")
    for mine, theirs in zip(
        loaded.score_steps(problem, pool(problem)), verifier.score_steps(problem, pool(problem)), strict=True
    ):
        assert mine == pytest.approx(theirs, abs=1e-6)


def test_a_folder_of_another_form_is_refused(tmp_path):
    model, tokenizer = classifier()
    loading.save(model, tokenizer, tmp_path / "m")
    with pytest.raises(UserError, match="head weights"):
        published_models.load("separator", tmp_path / "m", "theirs")
    with pytest.raises(UserError, match="single one"):
        published_models.build_separator("theirs", None, None, tokenizer)
    with pytest.raises(UserError, match="end with the same token"):
        published_models.build_token_logits("theirs", None, tokenizer, good="+", bad="+")
    three = AutoModelForTokenClassification.from_config(Qwen2Config(vocab_size=99, **SHAPE, num_labels=3))
    with pytest.raises(UserError, match="3 labels"):
        published_models.build_token_classifier("theirs", three, tokenizer)


@pytest.mark.parametrize("form", ["classes", "reward"])
def test_a_language_model_is_no_classifier(form, tmp_path):
    """Its head would be drawn at random, and by default have two labels."""
    loading.save(tiny_models.make_model("qwen2", len(build_tokenizer())), chat(), tmp_path / "m")
    with pytest.raises(UserError, match=r"/m: has no weights score\."):
        published_models.load(form, tmp_path / "m", "theirs")


@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        (AutoModelForTokenClassification, 2, "BertForTokenClassification reads a step by what follows it"),
        (AutoModelForSequenceClassification, 1, "BertForSequenceClassification does not say what its output layer"),
    ],
)
def test_encoders_and_pooled_states_are_refused(kind, labels, message):
    """A BERT; and one whose attention is causal, but whose head reads a pooled state."""
    tokenizer = chat()
    config = BertConfig(
        vocab_size=len(tokenizer),
        num_labels=labels,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        is_decoder=labels == 1,
    )
    torch.manual_seed(0)
    model = kind.from_config(config).eval()
    with pytest.raises(UserError, match=message):
        {1: published_models.build_reward_model, 2: published_models.build_token_classifier}[labels](
            "theirs", model, tokenizer
        )
