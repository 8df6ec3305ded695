"""Python processes that start at once: forks of a server that has imported torch and transformers, which takes seconds.

They are processes of their own otherwise, with their own environment, and can be killed. What a user's command starts
(`python -m stages launch`, `dvc repro`) is tested with real commands in tests/test_repro.py, tests/test_faults.py and
tests/commands/test_cli.py.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONTEXT = multiprocessing.get_context("forkserver")
# Of other people's packages alone: `stages` comes from the folder that a process runs in.
CONTEXT.set_forkserver_preload(
    ["torch", "transformers.modeling_utils", "accelerate", "pydantic", "typer", "rich.console", "ruamel.yaml", "psutil"]
)


def start_module(module: str, *arguments: str, cwd: Path = ROOT, output: Path, **env: str) -> ForkServerProcess:
    """Start `python -m module arguments` in `cwd`. What it prints goes to `output`."""
    variables = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    variables |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **env}
    process = CONTEXT.Process(target=_run_module, args=(module, arguments, cwd, (output, output), variables))
    process.start()
    return process


def _run_module(
    module: str, arguments: tuple[str, ...], cwd: Path, outputs: tuple[Path, Path], env: Mapping[str, str]
) -> None:
    for descriptor, output in enumerate(outputs, start=1):
        with open(output, "ab") as file:
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out


def _run_command(cwd: Path, *rest: Any) -> None:
    """As `_run_module`, without the sources of this checkout: `stages` is that of `cwd` alone."""
    sys.path[:] = [path for path in sys.path if path and Path(path) != ROOT]
    module, arguments, outputs, env = rest
    _run_module(module, arguments, cwd, outputs, env)


def run_command(
    module: str, *arguments: str, cwd: Path, env: Mapping[str, str], timeout: float = 900
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` of `python -m module arguments` gives, in this environment. The variables of Python itself
    (PYTHONPATH) and what a process has from its parent (standard input, threads of OMP) have no effect. What the command
    starts and leaves behind is not waited for. Raises subprocess.TimeoutExpired after `timeout` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = (Path(folder) / "stdout", Path(folder) / "stderr")
        process = CONTEXT.Process(target=_run_command, args=(cwd, module, arguments, outputs, dict(env)))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([module, *arguments], timeout)
        out, err = (path.read_text(encoding="utf-8", errors="replace") for path in outputs)
    return subprocess.CompletedProcess([module, *arguments], process.exitcode, out, err)


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
