"""The C heap: whether a process keeps what it has freed. It changes time and memory, no result, and nothing without glibc.

Training asks for the same blocks in every step. glibc gives large ones back to the kernel, which then fills each page with
zeros: a sixth to a third of a step on CPU (measured: 16 sequences of 220 tokens, 1.2 million weights; 27,000 page faults a
step without this, none with it).

Sampling holds keys and values that grow. glibc learns from the first large blocks that are freed to take such blocks from
the heap, where those that grow leave holes that the next, larger ones do not fit into.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # the numbers of the options in glibc's malloc.h


def keep_freed_memory() -> None:
    """Reuse freed blocks of any size from now on. Memory stays at its peak until the process ends."""
    _set_options({_TRIM_THRESHOLD: 2**31 - 1, _MMAP_THRESHOLD: 2**30})


def return_freed_memory() -> None:
    """Give blocks of 2 MB and more back to the kernel when they are freed, from now on."""
    _set_options({_MMAP_THRESHOLD: 2**21})


def _set_options(values: dict[int, int]) -> None:
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, value in values.items():
            mallopt(option, value)
