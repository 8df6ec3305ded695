"""The calculator of GSM8K: once a model has written `<<48/2=`, the value and `>>` are written for it.

Cobbe et al. 2021 (arXiv 2110.14168, appendix C) train on solutions with such annotations and override what the model
would draw after the equals sign. Whether one is due is seen in the text, not in token ids, because tokenizers merge `=`
with its neighbours. Where a token holds the sign and more (`=2`), the model has begun to write the value and goes on.
Nothing is written for what is no arithmetic, a division by zero included: then the model goes on by itself, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from stages.lib.core import expressions
from stages.lib.models.stops import MARGIN_TOKENS, look_up, mark_tokens

MAX_CHARS = 100  # of an expression; GSM8K's longest has 30
TAIL_TOKENS = MAX_CHARS + len("<<=") + MARGIN_TOKENS  # an expression lies within the last so many tokens
_DUE = re.compile(rf"<<([^<>=\n]{{1,{MAX_CHARS}}})=\Z")


class Calculator:
    """encode: the ids of each text as a continuation of other text."""

    def __init__(self, tokenizer: Any, encode: Callable[[Sequence[str]], list[list[int]]]):
        self.tokenizer = tokenizer

        def encode_value(expression: str) -> list[int]:
            value = expressions.compute_text(expression)
            return [] if value is None else encode([f"{value}>>"])[0]

        self._encode_value = lru_cache(maxsize=4096)(encode_value)  # the samples of a problem share expressions

    def may_be_due(self, ids: np.ndarray) -> np.ndarray:
        """Whether each of these tokens may be the last of `<<expression=`."""
        return look_up(self._ends_with_equals, ids)

    def complete(self, ids: Sequence[int]) -> list[int]:
        """What is written after these tokens: value and `>>` where their text ends with `<<expression=`, else []."""
        tail = self.tokenizer.decode(ids[-TAIL_TOKENS:], clean_up_tokenization_spaces=False)
        due = _DUE.search(tail)
        return self._encode_value(due[1]) if due else []

    @cached_property
    def _ends_with_equals(self) -> np.ndarray:
        return mark_tokens(self.tokenizer, lambda piece: piece.endswith("="))
