"""Python processes that start at once: forks of a server that has imported torch and transformers, which takes seconds.

They are processes of their own otherwise, with their own environment, and can be killed. What a user's command starts
(`python -m stages launch`, `dvc repro`) is tested with real commands in tests/test_repro.py and tests/commands.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import socket
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTEXT = multiprocessing.get_context("forkserver")
# Of other people's packages alone: `stages` comes from the folder that a process runs in.
CONTEXT.set_forkserver_preload(["torch", "transformers.modeling_utils", "accelerate"])


def start_module(module: str, *arguments: str, cwd: Path = ROOT, output: Path, **env: str) -> ForkServerProcess:
    """Start `python -m module arguments` in `cwd`. What it prints goes to `output`."""
    variables = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    variables |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **env}
    process = CONTEXT.Process(target=_run_module, args=(module, arguments, cwd, output, variables))
    process.start()
    return process


def _run_module(module: str, arguments: tuple[str, ...], cwd: Path, output: Path, env: Mapping[str, str]) -> None:
    with open(output, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def run_module(count: int, module: str, *arguments: str, cwd: Path = ROOT) -> None:
    """Run `python -m module arguments` on `count` CPU processes joined by gloo."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output.txt"
        processes = []
        for rank in range(count):
            env = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
            env["TORCHELASTIC_RUN_ID"] = "test"  # without it a stage does not believe them
            env = {**{k: str(v) for k, v in env.items()}, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            processes.append(start_module(module, *arguments, cwd=cwd, output=output, **(env if count > 1 else {})))
        try:
            while alive := [process for process in processes if process.is_alive()]:
                wait([process.sentinel for process in alive])
                assert not any(process.exitcode for process in processes), output.read_text(errors="replace")
        finally:
            for process in processes:
                process.kill()
                process.join()
        assert not any(process.exitcode for process in processes), output.read_text(errors="replace")
