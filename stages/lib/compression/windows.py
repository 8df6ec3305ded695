"""Windows over a document that is longer than a model's context: every token is scored exactly once.

The first window scores all that it holds. Each later one begins `block` tokens before its end and scores its last `stride`
tokens, so a token is predicted from at least `block - stride` tokens before it (Huang et al. 2024, arXiv 2404.09937,
section 3.2). The last window holds what is left and may score fewer. The published code rounds the number of windows down,
so the end of a text is not scored but its characters count.
"""

from __future__ import annotations

from typing import NamedTuple


class Window(NamedTuple):
    """Tokens [start, end) of a document go into the model; [first, end) are scored, each given those before it."""

    start: int
    first: int
    end: int


def plan_windows(count: int, first: int, block: int, stride: int) -> list[Window]:
    """The windows that score tokens [first, count), each once.

    count: tokens of the document, with its begin token if it has one. first: how many at its start are only read. block:
    tokens of a window at most; stride: tokens that a later window scores. Raises ValueError unless
    1 <= first and 1 <= stride < block.
    """
    if first < 1 or not 1 <= stride < block:
        raise ValueError(f"first {first}, block {block}, stride {stride}: need 1 <= first and 1 <= stride < block")
    windows: list[Window] = []
    while first < count:
        end = min(count, max(block, first + 1)) if not windows else min(count, first + stride)
        windows.append(Window(max(0, end - block), first, end))
        first = end
    return windows
