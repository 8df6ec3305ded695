"""The Ray cluster of a stage: the one at RAY_ADDRESS, else one of this machine that ends with the stage.

RAY_ADDRESS is `host:port` on one of the cluster's nodes, or `ray://host:port` from anywhere. The cluster of this machine
listens on loopback, asks for a token, and has no dashboard. Nothing is reported to anyone.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from stages.lib.core import cpus
from stages.lib.core.errors import UserError
from stages.lib.run import ray_cleanup

PACKAGE = Path(__file__).parents[2]  # what goes to the workers as their code
CONNECT_TIMEOUT = 10.0  # seconds; Ray itself would try for ever

_cleanups: list[subprocess.Popen] = []  # kept until this process ends


def connect() -> Any:
    """The module `ray`, once this process has joined or started a cluster. Raises UserError without Ray, for an address
    where no cluster answers, and for one of another version."""
    address = os.environ.get("RAY_ADDRESS", "")
    if "ray" not in sys.modules:  # it reads these at its import
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        if not address:
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's switch for loopback alone, on every system
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
    except ImportError:
        raise UserError("launch: ray needs Ray, which is not installed; `pip install 'ray[client]'`") from None
    if ray.is_initialized():
        return ray
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if address:
            check_answer(address)
            _init(ray, address=address)
        else:
            _start_cluster(ray)
    except (RuntimeError, ConnectionError, ValueError) as error:
        name = f"at {address}" if address else "of this machine"
        hint = "; if it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" if address else ""
        raise UserError(f"the Ray cluster {name} cannot be used: {' '.join(str(error).split())}{hint}") from None
    signal.signal(signal.SIGTERM, handler)  # Ray puts its own in place, with another exit status
    return ray


def _start_cluster(ray: Any) -> None:
    """A cluster of this machine, and the process that cleans up after it."""
    folder = tempfile.mkdtemp(prefix="assay-ray-")
    command = [sys.executable, "-m", ray_cleanup.__name__, folder]
    cleanup = subprocess.Popen(command, cwd=PACKAGE.parent, stdin=subprocess.PIPE, text=True, start_new_session=True)
    _cleanups.append(cleanup)
    before = set(psutil.Process().children(recursive=True))
    _init(ray, address="local", num_cpus=cpus.count_usable(), include_dashboard=False, _temp_dir=folder)
    started = set(psutil.Process().children(recursive=True)) - before
    print(*(process.pid for process in started), file=cleanup.stdin, flush=True)


def _init(ray: Any, **options: Any) -> None:
    ray.init(**options, runtime_env={"py_modules": [str(PACKAGE)]}, log_to_driver=False, logging_level="ERROR")


def check_answer(address: str) -> None:
    """Raises UserError unless something listens at `host:port`."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"RAY_ADDRESS: nothing answers at {address!r} ({error}); give ray://HOST:10001, HOST:6379 on a node of the "
            f"cluster, or unset it for a cluster of this machine alone"
        ) from None
