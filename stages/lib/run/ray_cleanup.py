"""Ends what is left of a local Ray cluster once its driver has ended: `python -m stages.lib.run.ray_cleanup FOLDER`.

Ray's servers and workers end with a driver that is killed, but its agents wait another minute for an answer from them, and
the cluster's folder stays. The driver writes the processes' ids, one line, into this process's standard input, which closes
with the driver's last breath.
"""

import shutil
import sys
from contextlib import suppress

import psutil


def main(folder: str) -> None:
    processes = []
    for pid in sys.stdin.readline().split():
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(int(pid)))
    sys.stdin.read()
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # also where another process has the id by now
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
