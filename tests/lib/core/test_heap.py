import resource
import subprocess
import sys

import pytest

SCRIPT = """
import resource, torch
from stages.lib.core import heap
heap.keep_freed_memory()
def work():
    for _ in range(20):
        torch.ones(4_000_000), torch.ones(2_000_000)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_used_again():
    faults = int(subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True).stdout)
    assert faults < 16_000_000 / resource.getpagesize()  # without it, every round touches 24 MB of new pages


GROWING = """
import torch
from stages.lib.core import heap
heap.return_freed_memory()
torch.ones(8_000_000)  # from now on, glibc would take blocks of this size from the heap
blocks = {}
for size in range(1, 8):
    for i in range(20):
        blocks[i] = torch.ones(size * 600_000)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
blocks.clear()
print(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_blocks_that_grow_leave_no_holes():
    command = [sys.executable, "-c", GROWING]
    peak, end = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert peak - end > 0.9 * 20 * 7 * 600_000 * 4 / 1024  # without it, the heap keeps them
