"""Stage base: the pretrained model from which generator and verifiers start.

Reads data/raw/base/ (source: bundled), nothing (scratch), a hub repository at a pinned commit (hub), a folder or .gguf file
(path), or one that an installed Python package carries (package). `path` is a dependency in dvc.yaml, so DVC notices when
its content changes. Writes data/base/model/ (safetensors, config, tokenizer, origin.json), history.csv and metrics.json.

`bundled` is an LFM2 with 1.2 million weights (short convolutions alternating with attention; Liquid AI 2025, arXiv
2511.23404), trained by `scratch` on the procedural text of stages/generators/base/pretraining.py: solutions contain
modelled mistakes, verdicts on them are always correct. `scratch` trains it again, 72 minutes on two cores. The others
take any transformers causal LM.

    python -m stages.generators.base
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from stages.generators.base.pretraining import Document
    from stages.lib.models.batch import Example


class Params(TrainingParams):
    """Below `licence` everything describes `source: scratch` and is ignored by the other sources."""

    source: Literal["bundled", "scratch", "hub", "path", "package"]  # where the model comes from
    path: str = Field(
        min_length=1
    )  # of bundled: a model folder; of path: that, or a .gguf file. A dependency in any case
    repo: str  # of the hub, as owner/name
    revision: str  # full commit hash
    package: str  # of source package: an installed Python package that carries a model, as name==version
    file: str  # in that package: a .gguf file, or a model folder
    sha256: str  # of path or package: the file's, or that of a folder's files one after another; "": any
    licence: str  # of path or package: of the weights, kept beside them
    num_documents: int = Field(gt=0)  # pretraining documents
    num_layers: int = Field(gt=0, multiple_of=2)  # convolution, attention, convolution, ...
    hidden_size: int = Field(gt=0)  # width of the residual stream
    intermediate_size: int = Field(gt=0)  # width of the gated feed-forward part
    num_heads: int = Field(gt=0)  # attention heads
    conv_kernel: int = Field(gt=1)  # tokens a convolution sees

    @model_validator(mode="after")
    def _check_heads(self) -> Params:
        if self.source == "scratch" and self.hidden_size % (2 * self.num_heads):
            raise ValueError(f"hidden_size {self.hidden_size} must be a multiple of 2 x num_heads {self.num_heads}")
        return self

    @model_validator(mode="after")
    def _check_source(self) -> Params:
        needed = {"hub": ["repo", "revision"], "package": ["package", "file"]}
        if missing := [key for key in needed.get(self.source, []) if not getattr(self, key)]:
            raise ValueError(f"source: {self.source} needs {' and '.join(missing)}, which must not be empty")
        return self


def main() -> None:
    run_stage("base", Params, body)


def body(run: StageRun[Params]) -> dict[str, float]:
    from stages.lib.core import files
    from stages.lib.models import loading, sources

    history, origin = "", {}
    if run.params.source == "scratch":
        model, tokenizer, history = train(run)
    else:
        path, origin = resolve_source(run.params)
        model, tokenizer = sources.read(path)
    if run.is_main:
        with files.atomic_write_dir(run.out_dir / "model") as folder:
            loading.write_files(model, tokenizer, folder)
            if origin:
                files.write_json(folder / "origin.json", origin)
        files.write_text(run.out_dir / "history.csv", history)
    return {"weights": loading.count_parameters(model), "vocabulary": len(tokenizer)}


def resolve_source(params: Params) -> tuple[Path, dict[str, str]]:
    """(the model folder or .gguf file to read, where it comes from). Raises UserError for one that is missing or not what
    the parameters pin."""
    from stages.lib.models import loading, sources

    if params.source == "hub":
        origin = {"repo": params.repo, "revision": params.revision}
        return loading.download_snapshot(params.repo, params.revision), origin
    if params.source == "bundled":
        loading.check_folder(Path(params.path))
        return Path(params.path), {}
    if params.source == "package":
        path, origin = sources.find("base", package=params.package, file=params.file, sha256=params.sha256)
    else:
        path, origin = sources.find("base", path=params.path, sha256=params.sha256)
    return path, origin | {"licence": params.licence}


def train(run: StageRun[Params]) -> tuple[Any, Any, str]:
    """Train the model from scratch: (model, tokenizer, history as CSV)."""
    from stages.generators.base import pretraining, tokenizer
    from stages.lib.models import objectives
    from stages.lib.training import loop

    params, vocabulary = run.params, tokenizer.build_tokenizer()
    items = run.track_progress(range(params.num_documents), params.num_documents, "writing text")
    documents = (pretraining.generate_document(f"pretraining/{i:07d}", run.seed) for i in items)
    examples = [encode_document(vocabulary, document) for document in documents]
    model = build_model(params, len(vocabulary), run.seed)
    history = loop.train(run, objectives.LanguageModelingObjective(model), examples, params)
    return model, vocabulary, history.to_csv()


def build_model(params: Params, vocabulary_size: int, seed: int) -> Any:
    """An untrained LFM2. It is deep and narrow: layers above the one where the prediction of a token has formed can
    compare it with the token that was written, which is what a verifier needs."""
    from stages.lib.core import seeds
    from stages.lib.models.lfm2 import make_lfm2

    return make_lfm2(
        seeds.key(seed, "base", "weights"),
        vocabulary=vocabulary_size,
        width=params.hidden_size,
        feed_forward=params.intermediate_size,
        layers=params.num_layers,
        heads=params.num_heads,
        conv_kernel=params.conv_kernel,
    )


def encode_document(tokenizer: Any, document: Document) -> Example:
    """The token ids of a document and the weight of the loss on each."""
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
