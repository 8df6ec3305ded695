"""What ends a sample: a token, or a text that its tokens spell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

MARGIN_TOKENS = 4  # tokens more than a text has bytes: enough to spell it, whatever stands before


class StopCriteria:
    """ids: tokens that end a sample, the last of it. texts: a sample ends with the token that completes one of them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None, ids: Collection[int], texts: Sequence[str] = ()):
        self.tokenizer, self.token_ids, self.texts = tokenizer, sorted(set(ids)), tuple(texts)
        self._tail_tokens = max((len(text.encode()) for text in self.texts), default=0) + MARGIN_TOKENS

    def may_complete(self, ids: np.ndarray) -> np.ndarray:
        """Which of these tokens may complete a text. A model may have more outputs than its tokenizer has tokens."""
        known = ids < len(self._may_complete_by_id)
        return known & self._may_complete_by_id[ids * known]

    def is_complete(self, ids: Sequence[int]) -> bool:
        """Whether the last of these tokens completes a text."""
        tail = self.tokenizer.decode(ids[-self._tail_tokens :], clean_up_tokenization_spaces=False)
        return any(text in tail for text in self.texts)

    @cached_property
    def _may_complete_by_id(self) -> np.ndarray:
        """(vocabulary,) whether a token holds the last character of a text. Few do, so that few samples are looked at."""
        import numpy as np

        size, last = len(self.tokenizer), {text[-1] for text in self.texts}
        if not all(text.isascii() for text in self.texts):
            return np.ones(size, bool)  # a character may be spread over several tokens
        pieces = self.tokenizer.batch_decode([[token] for token in range(size)], clean_up_tokenization_spaces=False)
        return np.array([any(character in piece for character in last) for piece in pieces])
