"""Stop criteria of sampling: tokens, and texts that tokens spell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
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
        """Whether each of these tokens may complete a text."""
        return look_up(self._may_complete_by_id, ids)

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
        return mark_tokens(self.tokenizer, lambda piece: not last_characters.isdisjoint(piece))


def mark_tokens(tokenizer: Any, is_marked: Callable[[str], bool]) -> np.ndarray:
    """(vocabulary,) whether the text of each token is marked."""
    pieces = tokenizer.batch_decode([[token] for token in range(len(tokenizer))], clean_up_tokenization_spaces=False)
    return np.array([is_marked(piece) for piece in pieces])


def look_up(marks: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The mark of each id; False beyond them, since a model may have more outputs than its tokenizer has tokens."""
    is_known = ids < len(marks)
    return is_known & marks[ids * is_known]
