"""Stop criteria of sampling: tokens, and texts that tokens spell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

import numpy as np

MARGIN_TOKENS = 4  # a text of n bytes always lies within the last n + MARGIN_TOKENS tokens


class StopCriteria:
    """token_ids: tokens that end a sample. texts: a sample ends with the token that completes one of them; they need a
    tokenizer."""

    def __init__(self, tokenizer: Any, token_ids: Collection[int], texts: Sequence[str] = ()):
        self.tokenizer, self.token_ids, self.texts = tokenizer, sorted(set(token_ids)), tuple(texts)
        self._tail_tokens = max((len(text.encode()) for text in self.texts), default=0) + MARGIN_TOKENS

    def may_complete(self, ids: np.ndarray) -> np.ndarray:
        """Whether each of these tokens may complete a text. A model may have more outputs than its tokenizer has tokens."""
        is_known = ids < len(self._may_complete_by_id)
        return is_known & self._may_complete_by_id[ids * is_known]

    def is_complete(self, ids: Sequence[int]) -> bool:
        """Whether the last of these tokens completes a text."""
        tail = self.tokenizer.decode(ids[-self._tail_tokens :], clean_up_tokenization_spaces=False)
        return any(text in tail for text in self.texts)

    @cached_property
    def _may_complete_by_id(self) -> np.ndarray:
        """(vocabulary,) whether a token holds the last character of a text. Few do, so few samples have to be decoded."""
        size, last_characters = len(self.tokenizer), {text[-1] for text in self.texts}
        if not all(text.isascii() for text in self.texts):
            return np.ones(size, bool)  # the bytes of a character may be spread over several tokens
        pieces = self.tokenizer.batch_decode([[token] for token in range(size)], clean_up_tokenization_spaces=False)
        return np.array([any(character in piece for character in last_characters) for piece in pieces])
