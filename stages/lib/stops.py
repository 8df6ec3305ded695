"""What ends a sample: a token, or a text that its tokens spell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

MARGIN = 4  # tokens more than a text has bytes: enough to spell it, whatever stands before


class Stops:
    """ids: tokens that end a sample, the last of it. texts: a sample ends with the token that completes one of them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None, ids: Collection[int], texts: Sequence[str] = ()):
        self.tokenizer, self.ids, self.texts = tokenizer, sorted(set(ids)), tuple(texts)
        self._window = max((len(text.encode()) for text in self.texts), default=0) + MARGIN

    def may_complete(self, ids: np.ndarray) -> np.ndarray:
        """Which of these tokens may complete a text. A model may have more outputs than its tokenizer has tokens."""
        known = ids < len(self._completing)
        return known & self._completing[ids * known]

    def complete(self, ids: Sequence[int]) -> bool:
        """Whether the last of these tokens completes a text."""
        tail = ids[-self._window :]
        if self._ascii:  # decoding costs a hundred times as much as joining pieces, which lack nothing but white space
            joined = "".join(self._pieces[token] for token in tail if token < len(self._pieces))
            if not any("".join(text.split()) in joined for text in self.texts):
                return False
        text = self.tokenizer.decode(tail, clean_up_tokenization_spaces=False)
        return any(stop in text for stop in self.texts)

    @cached_property
    def _ascii(self) -> bool:
        """Whether no character of a text can be spread over several tokens."""
        return all(text.isascii() for text in self.texts)

    @cached_property
    def _decoded(self) -> list[str]:
        """Each token's own text."""
        tokens = [[token] for token in range(len(self.tokenizer))]
        return self.tokenizer.batch_decode(tokens, clean_up_tokenization_spaces=False)

    @cached_property
    def _pieces(self) -> list[str]:
        return ["".join(piece.split()) for piece in self._decoded]

    @cached_property
    def _completing(self) -> np.ndarray:
        """(vocabulary,) whether a token holds the last character of a text. Few do, so that few samples are looked at."""
        import numpy as np

        if not self._ascii:
            return np.ones(len(self.tokenizer), bool)
        last = {text[-1] for text in self.texts}
        return np.array([any(character in piece for character in last) for piece in self._decoded])
