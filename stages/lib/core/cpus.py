"""How many CPU cores this process may use."""

import os


def count_usable() -> int:
    """Cores that the scheduler allows this process, or those of the machine where that is unknown."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_per_process() -> int:
    """Cores for each of the processes that were launched together on this machine."""
    return max(1, count_usable() // int(os.environ.get("LOCAL_WORLD_SIZE") or 1))
