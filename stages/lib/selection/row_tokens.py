"""A row as token ids, exactly as a generator is trained on it."""

from __future__ import annotations

from typing import Any

from stages.lib.core.errors import UserError
from stages.lib.models.encoding import Encoder
from stages.lib.selection.rows import Row


def encode_row(encoder: Encoder, model: Any, row: Row) -> tuple[list[int], int]:
    """Token ids of prompt, answer and end, and the length of the prompt. Raises UserError for one that is too long."""
    encoded = encoder.encode(row.question, encoder.prompt.split_steps(row.answer))
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is not None and len(encoded.ids) > limit:
        raise UserError(
            f"row {row.id}: {len(encoded.ids)} tokens exceed the {limit} tokens that the model reads; drop the row, or "
            f"take another embedding or model"
        )
    return encoded.ids, encoded.prompt_length
