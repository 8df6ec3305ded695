"""A discriminative verifier as a plain token classifier, which transformers and vLLM's token_classify load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForTokenClassification
from transformers.models.auto.modeling_auto import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING

from stages.lib.models import heads

if TYPE_CHECKING:
    from stages.lib.verifiers.outcome import OutcomeVerifier
    from stages.lib.verifiers.process import ProcessVerifier

LABELS = {0: "wrong", 1: "right"}  # as TRL's PRMTrainer numbers them


def explain_misfit(verifier: OutcomeVerifier | ProcessVerifier) -> str | None:
    """Why the verifier cannot be a token classifier; None when it can."""
    config = verifier.model.config
    if type(config) not in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
        return f"transformers has no token classifier of model type {config.model_type}"
    if getattr(config, "final_logit_softcapping", None) and isinstance(verifier.head, heads.TokenLogitHead):
        return f"{config.model_type} bounds its logits, so two tokens are no linear head"
    if verifier.loss == "mse":
        return "its head was trained by squared error and is the score itself, not a logit"
    return None


def make_classifier(verifier: OutcomeVerifier | ProcessVerifier) -> Any:
    """The token classifier whose probability of label 1 is the verifier's score; for a verifier that fits."""
    config = verifier.model.config
    weight, bias = verifier.head.state_dict().get("weight"), verifier.head.state_dict().get("bias")
    if isinstance(verifier.head, heads.TokenLogitHead):
        output, (good, bad) = verifier.head.output, verifier.head.tokens
        scale = heads.get_logit_scale(config) or 1.0
        weight = (output.weight[good] - output.weight[bad])[None] * scale
        bias = None if output.bias is None else (output.bias[good] - output.bias[bad])[None] * scale
    config = type(config).from_dict(config.to_dict() | {"classifier_dropout": 0.0, "tie_word_embeddings": False})
    config.id2label, config.label2id = LABELS, {name: i for i, name in LABELS.items()}
    classifier: Any = AutoModelForTokenClassification.from_config(config).eval()
    classifier.base_model.load_state_dict(verifier.model.base_model.state_dict())
    with torch.no_grad():
        for tensor, row in ((classifier.score.weight, weight), (classifier.score.bias, bias)):
            tensor.zero_()
            if row is not None:
                tensor[1].copy_(row[0])
    return classifier
