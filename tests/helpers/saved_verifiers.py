"""Small verifiers of every kind in folders, as the stages and the hub leave them."""

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, Qwen2Config

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling
from stages.lib.verifiers.outcome import OutcomeVerifier
from stages.lib.verifiers.process import ProcessVerifier
from tests.helpers import tiny_models
from tests.lib.verifiers.test_published_models import SHAPE


def save_all(root: Path, reward_weight: float | None = None) -> Path:
    """`orm`, `prm`, `genrm` of this project and a published reward model, `reward`. reward_weight: all weights of its
    head, random by default."""
    tokenizer = build_tokenizer()
    model, encoder = tiny_models.make_model("lfm2", len(tokenizer), seed=3), Encoder(tokenizer)
    verifiers = [
        OutcomeVerifier("orm", model, encoder, "bce"),
        ProcessVerifier("prm", model, encoder, "scalar", ["Right", "Wrong"]),
        GenerativeVerifier("genrm", model, encoder, RationaleSampling(), "direct"),
    ]
    for verifier in verifiers:
        if verifier.head is not None:
            torch.nn.init.normal_(verifier.head.weight)
        verifier.save(root / verifier.name)
    torch.manual_seed(1)
    config = Qwen2Config(vocab_size=len(tokenizer), num_labels=1, pad_token_id=0, **SHAPE)
    reward = AutoModelForSequenceClassification.from_config(config)
    if reward_weight is not None:
        torch.nn.init.constant_(reward.score.weight, reward_weight)
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    loading.save(reward.eval(), tokenizer, root / "reward")
    return root
