"""The worker process of `pool`: reads expressions from standard input and says what they are worth.

Each line of standard input is a JSON list of one or two expressions; each line of the answer is JSON: the fingerprints of
one, whether two are equal. The kernel ends the process when a question exceeds its processor time.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
from collections.abc import Iterator

from stages.lib.grading.formulas import equality, fingerprints, parsing

MEMORY_LIMIT = 2 << 30  # bytes of address space


def serve(parent: int, seconds: float) -> None:
    """Answer questions until standard input closes or the process `parent` has ended; `seconds` of processor time each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT if hard_limit == resource.RLIM_INFINITY else min(MEMORY_LIMIT, hard_limit)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parsing.configure_math_verify()
    for line in _read_lines(parent):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        expressions = json.loads(line)
        for expression in expressions:
            answer = fingerprints.fingerprint_text(expression)
            os.write(1, b" ")  # tells the pool which expressions this process has survived
        if len(expressions) == 2:
            answer = equality.equal_texts(*expressions)
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(1, json.dumps(answer).encode() + b"\n")


def _read_lines(parent: int) -> Iterator[bytes]:
    """Lines of standard input, until it closes or the parent has ended.

    Both are needed: a fork of the parent may hold the pipe open after the parent itself was killed.
    """
    buffer = b""
    while True:
        if not select.select([0], [], [], 1.0)[0]:
            if os.getppid() != parent:
                return
            continue
        block = os.read(0, 1 << 16)
        if not block:
            return
        buffer += block
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            yield line


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
