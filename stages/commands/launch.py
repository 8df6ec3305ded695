"""`python -m stages launch [CONFIG] STAGE`: `accelerate launch` with clean error output and exit codes.

accelerate and torchrun print their own traceback below a stage's error; this command removes it. It also takes a file with
a part `ray`, which accelerate does not know.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from stages.lib.core import cpus, files, params
from stages.lib.core.errors import UserError
from stages.lib.run import launcher, ray_cluster
from stages.lib.training.training_params import TrainingParams
from stages.lib.workspace import chapters


def launch(
    names: Annotated[
        list[str],
        typer.Argument(metavar="[CONFIG] STAGE", help="CONFIG: a file of stages/launch, such as gpu; STAGE: orm"),
    ],
) -> None:
    """Run a stage under accelerate in a configuration; default: `launch` of params.yaml."""
    if len(names) > 2:
        raise UserError(f"launch: expected [CONFIG] STAGE, got {' '.join(names)}")
    configuration, stage = names if len(names) == 2 else (params.load_top_level().launch, names[0])
    path = Path("stages/launch") / f"{configuration}.yaml"
    if "/" in configuration or not path.exists():
        there = ", ".join(sorted(file.stem for file in Path("stages/launch").glob("*.yaml")))
        source = "launch" if len(names) == 2 else "params.yaml launch"
        raise UserError(f"{source}: {path} not found; there are {there}")
    module = chapters.find_module(stage)
    with TemporaryDirectory() as folder:
        _run(split_off_ray(path, module, Path(folder)), module)


def split_off_ray(path: Path, module: str, folder: Path) -> Path:
    """The file for accelerate. The settings of Ray go to the stage by the environment. A stage that does not train is then
    one process without a GPU: its work is on the cluster."""
    document = params.to_plain(params.read_yaml(path))
    if "ray" not in document:
        return path
    settings = params.load_section("ray", ray_cluster.RaySettings, path)
    os.environ[ray_cluster.VARIABLE] = settings.model_dump_json()
    del document["ray"]
    if not issubclass(importlib.import_module(module).Params, TrainingParams):
        document |= {"distributed_type": "NO", "num_machines": 1, "num_processes": 1, "use_cpu": True}
    config = folder / path.with_suffix(".json").name
    files.write_json(config, document)
    return config


def _run(path: Path, module: str) -> None:
    machine = params.to_plain(params.read_yaml(path))
    if machine.get("use_cpu"):
        os.environ["ACCELERATE_USE_CPU"] = "true"  # accelerate does not pass it on to several processes
    threads = cpus.count_usable() * machine.get("num_machines", 1) // machine.get("num_processes", 1)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, threads)))  # torch reads it when it is imported

    from accelerate.commands import launch as accelerate
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    launcher.exit_with_launcher()  # the stage watches, too, but only after its start
    launcher.drop_place()
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    accelerate.simple_launcher = _run_here
    try:
        accelerate.launch_command(
            accelerate.launch_command_parser().parse_args(["--config_file", str(path), "-m", module])
        )
    except ChildFailedError as error:
        sys.exit(_to_exit_status(error.get_first_failure()[1].exitcode))
    except SignalException as error:
        sys.exit(128 + error.sigval)


def _run_here(arguments: Any) -> None:
    """Run the stage in this process, where accelerate would start one: that one would import torch again."""
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    os.environ.update(prepare_simple_launcher_cmd_env(arguments)[1])
    module = importlib.import_module(arguments.training_script)
    sys.argv = [str(module.__file__)]  # the journal keeps it
    module.main()


def _to_exit_status(code: int) -> int:
    """As in a shell: 128 + signal for a process that a signal ended."""
    return code if code >= 0 else 128 - code
