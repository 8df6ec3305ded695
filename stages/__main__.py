"""`python -m stages`: the pipeline and the state of each stage. Subcommands are in stages/commands/, one per file.

A command is the function with the name of its file; its docstring is its help.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
import sys
from typing import Any

import typer
import typer.core

from stages import commands
from stages.lib.core import files
from stages.lib.core.errors import UserError

# The order of the help: the daily commands first.
COMMAND_ORDER = (
    "status",
    "plan",
    "preset",
    "params",
    "launch",
    "table",
    "show",
    "report",
    "compare",
    "variants",
    "seeds",
    "ui",
    "sync",
    "share",
    "verify",
    "lineage",
    "export",
    "doctor",
)

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


class Commands(typer.core.TyperGroup):
    """The commands; the name of a stage is told from an unknown one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        from stages.lib.workspace import chapters

        if args and args[0] not in self.commands and chapters.is_stage(args[0]):
            raise UserError(
                f"{args[0]} is a stage: `python -m stages launch {args[0]}` runs it alone, `dvc repro {args[0]}` with all "
                f"that it needs, `python -m stages params {args[0]}` explains its parameters"
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
)


@app.callback(invoke_without_command=True)
def show_pipeline(context: typer.Context) -> None:
    """Assay's pipeline. Without a command: the stages in order, each with its state, cost and main metric."""
    if context.invoked_subcommand is None:
        from stages.commands.status import status

        status()


def _rank(name: str) -> tuple[int, str]:
    return (COMMAND_ORDER.index(name) if name in COMMAND_ORDER else len(COMMAND_ORDER)), name


def _register_commands() -> None:
    for name in sorted((module.name for module in pkgutil.iter_modules(commands.__path__)), key=_rank):
        function = getattr(importlib.import_module(f"stages.commands.{name}"), name)
        app.command(name.replace("_", "-"), context_settings=HELP_OPTIONS)(function)


def main() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a terminal that is not UTF-8 shows \\xe9 for a letter it lacks
    _register_commands()
    try:
        app()
    except (UserError, OSError) as error:
        reason = files.explain_os_error(error) if isinstance(error, OSError) else error
        if reason is None:
            raise
        print(reason, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
