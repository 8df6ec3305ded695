"""base: the pretrained model that generator and verifiers start from.

reads   data/raw/base/ (source: bundled), nothing (scratch), or a hub repository at a pinned commit (hub)
writes  data/base/model/ (safetensors, config, tokenizer), history.csv and metrics.json

`bundled` is a 1.2-million-weight LFM2 (short convolutions alternating with attention; Liquid AI 2025, arXiv 2511.23404)
trained by `scratch` on the procedural text of stages/generators/base/pretraining.py: fallible writers and faultless
checkers. `scratch` trains it again, about 20 minutes on two cores. `hub` takes any transformers causal LM.

    python -m stages.generators.base
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from stages.generators.base.pretraining import Document
    from stages.lib.models.batch import Example


class Params(TrainingParams):
    """Below `repo` and `revision` everything describes `source: scratch` and is ignored by the other sources."""

    source: Literal["bundled", "scratch", "hub"]  # bundled, trained from scratch, or fetched from the hub
    bundled: str  # folder of the bundled model
    repo: str  # of the hub, as owner/name
    revision: str  # full commit hash
    num_documents: int = Field(gt=0)  # pretraining documents
    num_layers: int = Field(gt=0, multiple_of=2)  # convolution, attention, convolution, ...
    hidden_size: int = Field(gt=0)  # width of the residual stream
    intermediate_size: int = Field(gt=0)  # width of the gated feed-forward part
    num_heads: int = Field(gt=0)  # attention heads
    conv_kernel: int = Field(gt=1)  # tokens a convolution sees


def main() -> None:
    run_stage("base", Params, body)


def body(execution: StageRun[Params]) -> dict[str, float]:
    from stages.lib.models import loading

    if execution.params.source == "scratch":
        model, tokenizer, history = train(execution)
    else:
        path = resolve_source(execution.params)
        model, tokenizer, history = loading.load_causal_lm(path), loading.load_tokenizer(path), ""
    if execution.is_main:
        from stages.lib.core import files

        loading.save(model, tokenizer, execution.out_dir / "model")
        files.write_text(execution.out_dir / "history.csv", history)
    return {"weights": loading.count_parameters(model), "vocabulary": len(tokenizer)}


def resolve_source(params: Params) -> Path:
    """The folder to copy. Raises UserError for a missing folder or an unpinned revision."""
    from stages.lib.models import loading

    if params.source == "hub":
        return loading.download_snapshot(params.repo, params.revision)
    loading.check_folder(Path(params.bundled))
    return Path(params.bundled)


def train(execution: StageRun[Params]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, str]:
    """The model from nothing: (model, tokenizer, history as CSV)."""
    from stages.generators.base import pretraining, tokenizer
    from stages.lib.models import objectives
    from stages.lib.training import loop

    params, words = execution.params, tokenizer.build_tokenizer()
    items = execution.track_progress(range(params.num_documents), params.num_documents, "writing text")
    examples = [
        encode_document(words, pretraining.generate_document(f"pretraining/{i:07d}", execution.seed)) for i in items
    ]
    model = build_model(params, len(words), execution.seed)
    history = loop.train(execution, objectives.LossModule(model), examples, params)
    return model, words, history.to_csv()


def build_model(params: Params, vocabulary: int, seed: int) -> PreTrainedModel:
    """An untrained LFM2. A deep and narrow one leaves layers, after the prediction of a token has formed, to compare it
    with the token that was written; that comparison is what a verifier lives on."""
    import torch
    from transformers import Lfm2Config, Lfm2ForCausalLM

    from stages.lib.core import seeds

    torch.manual_seed(seeds.key(seed, "base", "weights") >> 1)
    config = Lfm2Config(
        vocab_size=vocabulary,
        hidden_size=params.hidden_size,
        intermediate_size=params.intermediate_size,
        block_auto_adjust_ff_dim=False,
        num_hidden_layers=params.num_layers,
        layer_types=["conv", "full_attention"] * (params.num_layers // 2),
        num_attention_heads=params.num_heads,
        num_key_value_heads=params.num_heads,
        conv_L_cache=params.conv_kernel,
        initializer_range=0.05,  # 0.02 is for wide models; narrow ones then hardly see their inputs
        max_position_embeddings=2048,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    return Lfm2ForCausalLM(config)


def encode_document(tokenizer: PreTrainedTokenizerBase, document: Document) -> Example:
    """Token ids of a document and the weight of learning each of them."""
    from stages.lib.models.batch import Example
    from stages.lib.models.encoding import Encoder

    ids = Encoder(tokenizer).prompt_ids(document.question)
    weights = [0.0] * len(ids)
    for text, weight in document.segments:
        piece = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = ids + piece
        weights += [float(weight)] * len(piece)
    return Example([*ids, tokenizer.eos_token_id], [*weights, 1.0])


if __name__ == "__main__":
    main()
