import resource
import subprocess
import sys

import pytest

SCRIPT = """
import resource, torch
from stages.lib.training import heap
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
