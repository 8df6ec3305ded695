"""The processors that this process may use."""

import os


def count_usable() -> int:
    """As many as the scheduler allows it, where the system tells; else those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_per_process() -> int:
    """Of the usable ones those that fall to this process, beside the others of its launch on this machine."""
    return max(1, count_usable() // int(os.environ.get("LOCAL_WORLD_SIZE") or 1))
