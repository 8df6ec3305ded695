"""Prefetching: the jobs of coming items run in threads while the caller works on the present one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from stages.lib.core import cpus
from stages.lib.grading import sandbox

K = TypeVar("K", bound=Hashable)  # the name of a job
T = TypeVar("T")
V = TypeVar("V")
MAX_AHEAD = 64  # items whose jobs may run or wait


def run_ahead(
    items: Iterable[tuple[T, Mapping[K, Callable[[], V]]]], ahead: int = MAX_AHEAD
) -> Iterator[tuple[T, dict[K, V]]]:
    """Each item with the results of its jobs by name, in order. Up to `ahead` items are taken before the first is done.

    Jobs wait for programs in the sandbox, so there are as many threads as cores. Jobs with equal names are run once while
    they overlap. At the first exception, and when the caller stops asking, running programs are killed.
    """
    executor = ThreadPoolExecutor(cpus.count_per_process())
    running: dict[K, Future[V]] = {}
    queue: deque[tuple[T, dict[K, Future[V]]]] = deque()

    def start(name: K, job: Callable[[], V]) -> Future[V]:
        if name not in running:
            running[name] = executor.submit(job)
        return running[name]

    def finish() -> tuple[T, dict[K, V]]:
        item, futures = queue.popleft()
        results = {name: future.result() for name, future in futures.items()}
        for name in results:
            running.pop(name, None)
        return item, results

    try:
        for item, jobs in items:
            queue.append((item, {name: start(name, job) for name, job in jobs.items()}))
            while queue and (len(queue) > ahead or all(future.done() for future in queue[0][1].values())):
                yield finish()
        while queue:
            yield finish()
    except BaseException:  # GeneratorExit and KeyboardInterrupt, too
        executor.shutdown(wait=False, cancel_futures=True)
        sandbox.stop_all()
        raise
    finally:
        executor.shutdown()
