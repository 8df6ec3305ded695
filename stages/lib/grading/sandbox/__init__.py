"""The sandbox: one Python program with its standard input, run apart, within limits.

A program that a model wrote, or that stood in a benchmark, runs in a process of its own: a fresh interpreter that sees
neither the user's environment nor their packages' start-up files, in an empty folder that is removed afterwards.

What is covered, each by a test that tries to break it (tests/lib/grading/test_sandbox.py):
  time       processor seconds, ended by the kernel; and wall-clock seconds, for one that sleeps
  memory     bytes of address space; output in bytes; no core dumps
  processes  none but its own: no fork, no signals to others, no look into them; threads are allowed
             (64 where namespaces are allowed and no administrator runs this, else what memory holds)
  network    no sockets at all, not even local ones
  writing    no file is made, changed or removed anywhere; what goes to /dev/null is gone
  reading    only the interpreter's own files, the system's libraries and the program itself
  secrets    no environment variable and no open file of the caller is passed on

Three layers of the Linux kernel keep these promises, each tried, none needing an administrator: a filter of system calls
(seccomp; x86_64 and aarch64), Landlock (5.13), and new user and network namespaces where a container allows them. Where
a promise cannot be kept by any layer, nothing is run and UserError says which, unless the caller does without it.

What is not covered: faults of the kernel and of the processor (a virtual machine is the answer to those), how long the
machine is busy within the limits, and honesty: a program that shares its process with its tests can fake their passing.
It keeps accidents and ordinary malice in; do not run the code of someone who attacks you in particular.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from stages.lib.core.errors import UserError
from stages.lib.grading.sandbox import seccomp

MAX_THREADS = 64
LAYERS = ("filter", "landlock", "namespaces")
_SYSTEM_PATHS = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/dev/urandom",
)
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONINTMAXSTRDIGITS": "0",  # integers of any length are read and printed, as by a judge
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Limits(NamedTuple):
    """What a program may use."""

    cpu_seconds: int = 10  # of the processor
    memory: int = 1 << 30  # bytes of address space
    output: int = 16 << 20  # bytes on standard output, and as many on standard error
    wall_seconds: float = 60.0  # wall-clock seconds: a busy machine must not turn a right program into a slow one


DEFAULT_LIMITS = Limits()


class Outcome(NamedTuple):
    """How a run ended. Bytes that are no UTF-8 come back as surrogate escapes."""

    status: Literal["ok", "error", "time", "memory", "output"]
    stdout: str
    stderr: str
    wall_seconds: float  # wall-clock
    is_conclusive: bool = (
        True  # False where it was the machine, perhaps, that ended the program: it was busy or had no memory
    )

    @property
    def reason(self) -> str:
        """Why a program did not end well, in a few words; empty where it did."""
        last = self.stderr.strip().rpartition("\n")[2][:200]
        return {"ok": "", "time": "time limit", "memory": "memory limit", "output": "output limit"}.get(
            self.status, f"error: {last}" if last else "error"
        )


def run(
    source: str,
    stdin: str = "",
    limits: Limits = DEFAULT_LIMITS,
    without: tuple[str, ...] = (),
    layers: tuple[str, ...] = LAYERS,
) -> Outcome:
    """Run a program. `without`: promises (network, writing, reading, processes) that the caller can do without.

    `layers` are those tried. Raises UserError where this machine cannot keep another promise.
    """
    _check_platform()
    with (
        tempfile.TemporaryDirectory(prefix="assay-") as folder,
        _make_sealed_file(stdin) as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        program = Path(folder) / "prog.py"
        program.write_text(source, encoding="utf-8", errors="surrogatepass", newline="")
        # Python without the user's packages, start-up files and variables, in a folder that nothing is imported from:
        # what -I means, and hashing fixed besides, so that a run can be repeated.
        command = [sys.executable, "-P", "-s", "-B", str(program)]
        orders = {
            "parent": os.getpid(),
            "command": command,
            "environment": _ENVIRONMENT,
            "layers": layers,
            "without": without,
            "filter": {
                name: (seccomp.build_filter(opening) or b"").hex()
                for name, opening in (("alone", False), ("beside", True))
            },
            "limits": {
                "CPU": limits.cpu_seconds,
                "AS": limits.memory,
                "FSIZE": limits.output,
                "NOFILE": 64,
                "CORE": 0,
                "STACK": -1,  # as deep as its memory
            },
            "threads": MAX_THREADS,
            "readable": [folder, *_list_library_paths(), *_SYSTEM_PATHS],
            "writable": [os.devnull],
        }
        start = time.monotonic()
        code, timed_out, used = _run_jailed(orders, folder, (given, out, err), limits.wall_seconds)
        seconds = time.monotonic() - start
        written = [os.fstat(file.fileno()).st_size for file in (out, err)]
        stdout, stderr = (_read_text(file) for file in (out, err))
        if max(written) >= limits.output:
            return Outcome("output", stdout, stderr, seconds)
        if timed_out:
            return Outcome("time", stdout, stderr, seconds, is_conclusive=False)
        if code == -signal.SIGKILL and used < limits.cpu_seconds - 1:  # no program can do this to itself
            return Outcome("memory", stdout, stderr, seconds, is_conclusive=False)
        if code in (-signal.SIGKILL, -signal.SIGXCPU):
            return Outcome("time", stdout, stderr, seconds)
        if code and stderr.rstrip().rpartition("\n")[2].startswith("MemoryError"):
            return Outcome("memory", stdout, stderr, seconds)
        return Outcome("error" if code else "ok", stdout, stderr, seconds)


def _make_sealed_file(stdin: str) -> IO[bytes]:
    """A file in memory that nobody can change. /dev/stdin opens it again, which is refused for one in a folder."""
    file = os.fdopen(os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "r+b")
    file.write(stdin.encode("utf-8", "surrogateescape"))
    file.seek(0)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file


_running_pids: set[int] = set()  # programs of all threads; a number is nobody else's before it is waited for


def stop_all() -> None:
    """End the programs of all threads now, as where their results are no longer wanted."""
    for process in tuple(_running_pids):
        os.kill(process, signal.SIGKILL)


def _read_text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "surrogateescape")


def _list_library_paths() -> list[str]:
    paths = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sysconfig.get_paths().values()}
    return sorted(paths - {"/"})


def _run_jailed(
    orders: dict[str, Any], folder: str, streams: tuple[IO[bytes], ...], patience: float
) -> tuple[int, bool, float]:
    """(exit status, whether the wall clock ran out, seconds of the processor) of the program.

    Raises UserError where it must not run here.
    """
    from stages.lib.grading.sandbox import jail

    with tempfile.TemporaryFile() as told:
        marshal.dump(orders, told)  # for the same Python, which then imports less than for JSON
        told.seek(0)
        heard, report = os.pipe()
        try:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", jail.__file__, str(told.fileno()), str(report)],
                stdin=streams[0],
                stdout=streams[1],
                stderr=streams[2],
                cwd=folder,
                env={},
                pass_fds=(told.fileno(), report),
                start_new_session=True,
            )
        finally:
            os.close(report)
        with open(heard, encoding="utf-8") as file:
            said, _, failed = file.read().partition("\n")  # until the program starts
        _running_pids.add(child.pid)
        try:
            timed_out = not _wait_for_exit(child.pid, patience)
        except BaseException:  # interrupted: leave nothing behind
            child.kill()
            child.wait()
            raise
        finally:
            _running_pids.discard(child.pid)
        if timed_out:
            os.kill(child.pid, signal.SIGKILL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if not said:
        raise UserError(f"the sandbox did not start; the limits may be too small ({orders['limits']})")
    lacking = sorted({*said.split()} - {*orders["without"], "standing"})
    if lacking:
        raise UserError(
            f"this machine cannot keep a program to its limits ({', '.join(lacking)}), so none is run; "
            "it takes Linux 5.13 with seccomp and Landlock"
        )
    if failed:
        raise UserError(f"the sandbox cannot start {orders['command'][0]} ({failed})")
    return child.returncode, timed_out, usage.ru_utime + usage.ru_stime


def _wait_for_exit(process: int, patience: float) -> bool:
    """Whether a process ends in this time. `Popen.wait` looks only every 50 milliseconds; most programs take less."""
    with open(os.pidfd_open(process), "rb") as descriptor:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(1000 * patience))


def _check_platform() -> None:
    if not sys.platform.startswith("linux"):
        raise UserError("programs run only on Linux, whose kernel keeps them from the network and from files")
