"""The child process of the sandbox: a fresh interpreter that gives up its rights, then becomes the program.

It runs as `python -I -S jail.py CONFIG REPORT`: it reads its configuration (marshalled) from one file descriptor and
writes to the other which promises no layer keeps. It imports nothing of this project, which it cannot reach, and little
else: programs are many and short, and most of their time is this start.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import resource
import struct
import sys

# The layers that keep each promise. One is enough, but all are set up.
LAYERS_BY_PROMISE = {
    "network": ("filter", "namespaces"),
    "writing": ("filter", "landlock"),
    "reading": ("landlock",),
    "processes": ("filter",),
}
SET_UP = "set-up"  # starts the report
_NEW_USER, _NEW_NET, _NEW_IPC = 0x10000000, 0x40000000, 0x08000000  # sched.h
_DEATH_SIGNAL, _SET_SECCOMP, _DROP_CAPABILITY, _NO_NEW_PRIVILEGES = 1, 22, 24, 38  # prctl(2)
_FILTER_MODE = 2
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # landlock(7): the same numbers on every processor
_PATH_BENEATH, _O_PATH = 1, 0o10000000
_EVERY_RIGHT = (1 << 13) - 1  # in the first version of Landlock: execute, read, write, list, make, remove
_READ_FILE, _READ_FOLDER, _WRITE_FILE = 1 << 0 | 1 << 2, 1 << 3, 1 << 1  # execute and read; write


def set_limits(config: dict) -> None:
    """Set the resource limits, which the program inherits: at most the hard limits of this process."""
    for name, value in config["limits"].items():
        resource_id = getattr(resource, f"RLIMIT_{name}")
        _, hard_limit = resource.getrlimit(resource_id)
        if hard_limit != resource.RLIM_INFINITY:
            value = hard_limit if value == resource.RLIM_INFINITY else min(value, hard_limit)
        resource.setrlimit(resource_id, (value, value))


def enter_namespaces(libc: ctypes.CDLL, config: dict) -> bool:
    """Enter a network without interfaces, as a user without rights; False if that is refused, as in many containers."""
    if libc.unshare(_NEW_USER | _NEW_NET | _NEW_IPC) != 0:
        return False
    resource.setrlimit(resource.RLIMIT_NPROC, (config["threads"],) * 2)  # counted in the namespace only
    return True


def apply_landlock(libc: ctypes.CDLL, config: dict) -> bool:
    """Allow only `readable` paths to be read and `writable` ones to be written; False without Landlock (Linux 5.13)."""
    attributes = struct.pack("=Q", _EVERY_RIGHT)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    for path in config["readable"] + config["writable"]:
        try:
            beneath = os.open(path, _O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not on this system
        rights = _READ_FILE | (_READ_FOLDER if os.path.isdir(path) else 0)
        rights |= _WRITE_FILE if path in config["writable"] else 0
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, beneath), 0)
        os.close(beneath)
    is_applied = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return is_applied


def apply_seccomp(libc: ctypes.CDLL, code: str) -> bool:
    """Apply the filter of system calls (`seccomp.py`), as hex digits; False if there is none, or the kernel refuses it."""
    if not code:
        return False
    buffer = ctypes.create_string_buffer(bytes.fromhex(code))
    program = struct.pack("@HP", (len(buffer) - 1) // 8, ctypes.addressof(buffer))
    return libc.prctl(_SET_SECCOMP, ctypes.c_ulong(_FILTER_MODE), program, 0, 0) == 0


def imprison(config: dict) -> list[str]:
    """Set up every layer that the kernel offers. Returns the promises that none of them keeps."""
    libc = ctypes.CDLL(None, use_errno=True)
    set_limits(config)
    layers = set()
    if "namespaces" in config["layers"] and enter_namespaces(libc, config):
        layers.add("namespaces")
    for capability in range(64):  # in case an administrator runs this
        libc.prctl(_DROP_CAPABILITY, ctypes.c_ulong(capability), 0, 0, 0)
    libc.prctl(_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), 0, 0, 0)
    libc.prctl(_DEATH_SIGNAL, ctypes.c_ulong(9), 0, 0, 0)  # die with the parent
    if os.getppid() != config["parent"]:
        os._exit(1)
    if "landlock" in config["layers"] and apply_landlock(libc, config):
        layers.add("landlock")
    code = config["filter_beside_landlock" if "landlock" in layers else "filter"]
    if "filter" in config["layers"] and apply_seccomp(libc, code):
        layers.add("filter")
    return [promise for promise, keepers in LAYERS_BY_PROMISE.items() if not layers & {*keepers}]


def main() -> None:
    config_file, report = map(int, sys.argv[1:])
    with open(config_file, "rb") as file:
        config = marshal.load(file)
    os.set_inheritable(report, False)  # closes when the program starts
    broken = imprison(config)
    os.write(report, " ".join([SET_UP, *broken]).encode())
    if set(broken) <= set(config["without"]):
        try:
            os.execve(config["command"][0], config["command"], config["environment"])
        except OSError as error:
            os.write(report, f"\n{errno.errorcode.get(error.errno or 0, error.errno)}".encode())
    os._exit(1)


if __name__ == "__main__":
    main()
