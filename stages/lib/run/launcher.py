"""What a process knows of its launcher: its place among the processes, FSDP settings, and whether the launcher still runs.

torchrun, and with it accelerate, tells the processes that it starts their place in the variables of `_PLACE`. Clusters set
the same variables for all that runs in a container, so they count only beside `TORCHELASTIC_RUN_ID`, which torchrun alone
sets.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from stages.lib.core.errors import UserError

_PLACE = {
    "RANK": 0,
    "WORLD_SIZE": 1,
    "LOCAL_RANK": 0,
    "LOCAL_WORLD_SIZE": 1,
}  # variable -> its value for one process alone
_TORCHRUN = "TORCHELASTIC_RUN_ID"
_LAUNCHERS = {"accelerate", "accelerate-launch", "torchrun", "accelerate.commands.launch", "torch.distributed.run"}

# Variable -> (the value that is supported, what to set instead of another).
_REQUIRED_SETTINGS = {
    "FSDP_VERSION": ("2", "fsdp_version: 2"),
    "FSDP_OFFLOAD_PARAMS": ("false", "fsdp_offload_params: false"),
    "FSDP_ACTIVATION_CHECKPOINTING": ("false", "gradient_checkpointing: true in params.yaml"),
    # transformers would otherwise read weights in the first process only, wherever a stage reads a model.
    "FSDP_CPU_RAM_EFFICIENT_LOADING": ("false", "fsdp_cpu_ram_efficient_loading: false"),
}


def fsdp_enabled() -> bool:
    """Whether the launcher's configuration asks for FSDP. Raises UserError for a setting that is not supported."""
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return False
    for name, (value, instead) in _REQUIRED_SETTINGS.items():
        setting = os.environ.get(name, value)
        if setting.lower() != value:
            raise UserError(f"{name.lower()}: {setting} is not supported; set {instead} (see stages/launch/fsdp.yaml)")
    return True


def read_place() -> tuple[int, int]:
    """(rank, number of processes) of this process. Raises UserError for variables that no launcher has set."""
    for name in _PLACE:
        if not os.environ.get(name, "1").strip():
            del os.environ[name]  # accelerate would read a number from it
    values = {name: os.environ[name] for name in _PLACE if name in os.environ}
    if _TORCHRUN in os.environ:
        return int(values["RANK"]), int(values["WORLD_SIZE"])
    if foreign := {name: value for name, value in values.items() if value != str(_PLACE[name])}:
        settings = ", ".join(f"{name}={value}" for name, value in foreign.items())
        raise UserError(
            f"environment: {settings} makes this process one of several, but no launcher started it; `unset "
            f"{' '.join(foreign)}`, or start the stage by `python -m stages launch`"
        )
    drop_place()
    return 0, 1


def drop_place() -> None:
    """Forget the place in another launch, which accelerate would take for that in this one."""
    for name in (*_PLACE, _TORCHRUN):
        os.environ.pop(name, None)


def find_program(command: Sequence[str]) -> tuple[str, ...]:
    """(program, first argument) of a command line; of Python the module or the script that it runs."""
    words = list(command) or [""]
    program = Path(words.pop(0)).name
    while program.startswith("python") and words:
        word = words.pop(0)
        if word == "-m" and words:
            program = words.pop(0)
        elif word in ("-W", "-X") and words:
            words.pop(0)
        elif word.startswith("-c"):
            break
        elif not word.startswith("-"):
            program = Path(word).name
    return program, *words[:1]


def is_launcher(command: Sequence[str]) -> bool:
    """Whether a command line starts stages and must outlive them: accelerate, torchrun, `python -m stages launch`; DVC,
    where it is what runs this process."""
    program, *arguments = find_program(command)
    return (
        program in _LAUNCHERS
        or (program == "stages" and arguments == ["launch"])
        or (program == "dvc" and "DVC_STAGE" in os.environ)
    )


def exit_with_launcher() -> None:
    """Watch the launcher or `dvc repro` that started this process, and end the process when that has ended.

    A killed launcher cannot pass a signal on, and the stage would keep writing into outputs that the next run owns.
    """
    import psutil

    guardians = []
    for ancestor in psutil.Process().parents():
        with suppress(psutil.Error):  # it has ended, or is another user's
            if is_launcher(ancestor.cmdline()):
                guardians.append(ancestor)
    if not guardians:
        return

    def watch() -> None:
        while all(guardian.is_running() and guardian.status() != psutil.STATUS_ZOMBIE for guardian in guardians):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        os._exit(128 + signal.SIGTERM)  # still here: stuck in native code that does not return to Python

    threading.Thread(target=watch, name="launcher-watch", daemon=True).start()
