"""Work that is done ahead of who waits for it: jobs of coming items run in threads while an item is being made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from stages.lib.core import cpus
from stages.lib.grading import sandbox

T, V = TypeVar("T"), TypeVar("V")
MAX_AHEAD = 64  # items whose jobs may wait


def run_ahead(
    items: Iterable[tuple[T, Mapping[Hashable, Callable[[], V]]]], ahead: int = MAX_AHEAD
) -> Iterator[tuple[T, dict[Any, V]]]:
    """Each item with what its jobs gave, in order. Up to `ahead` items are taken before the first of them is done.

    Jobs wait for programs in the sandbox, so there are as many threads as cores. Jobs of equal names are one, as long as
    one of them runs. The first exception ends it, and so does who stops asking; what runs then is ended.
    """
    pool, running = ThreadPoolExecutor(cpus.count_per_process()), {}
    waiting: deque[tuple[T, dict[Hashable, Future[V]]]] = deque()

    def start(name: Hashable, job: Callable[[], V]) -> Future[V]:
        if name not in running:
            running[name] = pool.submit(job)
        return running[name]

    def finish() -> tuple[T, dict[Hashable, V]]:
        item, futures = waiting.popleft()
        done = {name: future.result() for name, future in futures.items()}
        for name in done:
            running.pop(name, None)
        return item, done

    try:
        for item, jobs in items:
            waiting.append((item, {name: start(name, job) for name, job in jobs.items()}))
            while waiting and (len(waiting) > ahead or all(future.done() for future in waiting[0][1].values())):
                yield finish()
        while waiting:
            yield finish()
    except BaseException:  # a fault, an interruption, or nobody asks any more
        pool.shutdown(wait=False, cancel_futures=True)
        sandbox.stop_all()
        raise
    finally:
        pool.shutdown()
