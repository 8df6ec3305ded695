"""`python -m stages export-prm DIR`: the process verifier as a plain token classifier of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.verifiers.process import ProcessVerifier

LABELS = {0: "wrong", 1: "right"}  # as TRL's PRMTrainer numbers them


def export_prm(
    out: Annotated[Path, typer.Argument(help="A new folder for the token classifier.")],
    model: Annotated[Path, typer.Option(help="The process verifier.")] = Path("data/prm/model"),
) -> None:
    """Write the process verifier for others to load: `AutoModelForTokenClassification`, or vLLM's token_classify.

    The softmax of a token's two logits is the probability of `wrong` and `right`; read it at the last token of each step
    and at the end token. format.json says how the ids of a solution are put together.
    """
    from stages.lib.core import files
    from stages.lib.models import loading
    from stages.lib.verifiers.process import ProcessVerifier

    if out.exists():
        raise UserError(f"{out}: exists already; name a new folder")
    files.check_output("DIR", out, is_folder=True)
    verifier = ProcessVerifier.load(model)
    classifier, prompt = make_classifier(verifier), verifier.encoder.prompt
    with files.atomic_write_dir(out) as folder:
        loading.write_files(classifier, verifier.encoder.tokenizer, folder)
        files.write_json(
            folder / "format.json",
            {
                "prompt_ids_of_example": verifier.encoder.prompt_ids("What is 1 + 1?"),
                "example": "What is 1 + 1?",
                "prompt_style": prompt.style,
                "after_step": prompt.step_separator,
                "after_step_is_scored": verifier.step_marker,
                "end_token_id": verifier.encoder.end_id,
                "tokenised": "prompt, each step with what follows it, and marker apart; their ids are put in a row",
                "aggregation": verifier.aggregation,
            },
        )
    print(f"{out}: {type(classifier).__name__}, {loading.count_parameters(classifier):,} weights, label 1 is right")
    if verifier.concentration_head is not None:
        print(f"{out}: its scores are the means of beta_binomial; its concentration is not exported")


def make_classifier(verifier: ProcessVerifier) -> Any:
    """The token classifier whose probability of label 1 is the verifier's score. Raises UserError for a model type without
    one in transformers, and for a head that is not linear in the hidden state."""
    import torch
    from transformers import AutoModelForTokenClassification
    from transformers.models.auto.modeling_auto import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING

    from stages.lib.models import heads

    config = verifier.model.config
    if type(config) not in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
        raise UserError(
            f"{config.model_type}: transformers has no token classifier of this type of model (it has of Llama, Mistral, "
            f"Qwen2, Qwen3 and others); train the verifier from one of those"
        )
    weight, bias = verifier.head.state_dict().get("weight"), verifier.head.state_dict().get("bias")
    if isinstance(verifier.head, heads.TokenLogitHead):
        if getattr(config, "final_logit_softcapping", None):
            raise UserError(
                f"{config.model_type}: bounds its logits, so two tokens are no linear head; use head: scalar"
            )
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
