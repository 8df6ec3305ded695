"""Are two formulas mathematically equal? sympy and Math-Verify decide, in worker processes.

Callers use `equal_many` and `find_candidates`, which take LaTeX as people and chat models write it (`latex.standardise`).
Only `worker` imports sympy and Math-Verify, which takes a second. An expression that takes a worker too long equals
nothing (`pool`).

Source: Math-Verify 0.9 (github.com/huggingface/Math-Verify). Its `verify(gold, prediction)` is asymmetric by design;
`equal_many` is symmetric: true if either order is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stages.lib.core import cpus
from stages.lib.grading.formulas import pool
from stages.lib.grading.formulas.fingerprint_filter import Fingerprint, may_equal
from stages.lib.grading.latex import standardise

MAX_CHARS = 20_000  # of a longer text only the end is read, where answers are
QUERIES_PER_THREAD = 32
CACHE_SIZE = 1 << 16

Pair = tuple[str, str]
T = TypeVar("T")
V = TypeVar("V")

_cache: OrderedDict[Pair, bool] = OrderedDict()


def equal_many(pairs: Sequence[Pair]) -> list[bool]:
    """Whether the two expressions of each pair are equal; False where that cannot be shown in time.

    Uses as many workers as this process has processors to itself.
    """
    standardised = [(standardise(left[-MAX_CHARS:]), standardise(right[-MAX_CHARS:])) for left, right in pairs]
    keys = [(left, right) if left < right else (right, left) for left, right in standardised]
    unknown = [(left, right) for left, right in dict.fromkeys(keys) if (left, right) not in _cache and left != right]
    verdicts = {key: True for key in keys if key[0] == key[1]} | dict(
        zip(unknown, _map_threads(lambda pair: bool(pool.query(*pair)), unknown), strict=True)
    )
    results = [verdicts[key] if key in verdicts else _cache[key] for key in keys]
    with pool.lock:
        _cache.update((key, verdict) for key, verdict in verdicts.items() if len(key[0]) + len(key[1]) < 2000)
        while len(_cache) > CACHE_SIZE:
            _cache.popitem(last=False)
    return results


def find_candidates(texts: Sequence[str]) -> Iterator[Pair]:
    """The pairs of expressions that may be equal; the fingerprints of all other pairs differ."""
    expressions = [standardise(text[-MAX_CHARS:]) for text in texts]
    fingerprints = _map_threads(_query_fingerprints, expressions)
    for i, text in enumerate(texts):
        for j, other in enumerate(texts[:i]):
            if expressions[i] == expressions[j] or may_equal(fingerprints[i], fingerprints[j]):
                yield text, other


def _query_fingerprints(expression: str) -> list[Fingerprint] | None:
    fingerprints = pool.query(expression)
    return [] if fingerprints is None and expression in pool.fatal_expressions else fingerprints


def _map_threads(function: Callable[[T], V], items: Sequence[T]) -> list[V]:
    """The results in order, from as many threads as this process has processors to itself, if there is enough work."""
    threads = min(-(-len(items) // QUERIES_PER_THREAD), cpus.count_per_process())
    if threads <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as executor:
        return list(executor.map(function, items))
