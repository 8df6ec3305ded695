"""`python -m stages preset NAME`: switch params.yaml to a whole set of parameters that ships in stages/presets/.

A preset is a complete params.yaml. What you wrote beside the values stays: comments of keys that both files have are
kept. The result is checked against every stage's parameters before anything is written.
"""

from __future__ import annotations

import difflib
import importlib
import io
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.lib.errors import UserError

if TYPE_CHECKING:
    from stages.lib.params import Params

FOLDER = Path("stages/presets")


def preset(
    name: Annotated[str, typer.Argument(help="Without a name, the presets are listed.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the change without writing it.")] = False,
) -> None:
    """Switch params.yaml to a preset, keeping your comments, and show what changed."""
    from stages.lib import files, params

    known = presets()
    if not name:
        for label, text in known.items():
            first = text.splitlines()[0] if text else ""
            print(f"{label:<16}{first.removeprefix('#').strip() if first.startswith('#') else ''}".rstrip())
        return
    if name not in known:
        raise UserError(f"preset {name!r}: not found; there are {', '.join(known)}")
    check(FOLDER / f"{name}.yaml")
    old = params.PATH.read_text(encoding="utf-8") if params.PATH.exists() else ""
    new = merged(old, known[name], untouched=old in known.values())
    show(old, new)
    if old == new:
        print(f"{params.PATH}: holds preset {name} already")
    elif dry_run:
        print(f"{params.PATH}: not changed (dry run)")
    else:
        files.write_text(params.PATH, new)
        print(f"{params.PATH}: now preset {name}; `python -m stages` shows what is stale")


def presets() -> dict[str, str]:
    """Name -> text of every preset."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml"))}


def check(path: Path) -> None:
    """A whole parameter set: each stage's section and the top keys, checked. Raises UserError listing every fault."""
    from stages.lib import params

    models = stage_params()
    document = params.read(path)
    faults = []
    unknown = [key for key in document if key not in models and key not in params.Top.model_fields]
    if unknown:
        faults.append(f"{path}: unknown section {', '.join(unknown)}; stages are {', '.join(models)}")
    try:
        launch = params.load_top(path).launch
        if not Path(f"stages/launch/{launch}.yaml").exists():
            faults.append(f"{path} launch: stages/launch/{launch}.yaml not found")
    except UserError as error:
        faults.append(str(error))
    for stage, model in models.items():
        try:
            params.load(stage, model, path)
        except UserError as error:
            faults.append(str(error))
    if faults:
        raise UserError("\n".join(faults))


def stage_params() -> dict[str, type[Params]]:
    """Stage -> its parameters' model, in the order of dvc.yaml."""
    from stages.lib import params

    names = list(params.read(Path("dvc.yaml"))["stages"])
    found = {}
    for name in names:
        spec = find_spec(f"stages.{name}")
        if spec is None:
            raise UserError(f"dvc.yaml {name}: no module stages.{name}")
        module = f"stages.{name}.__main__" if spec.submodule_search_locations else f"stages.{name}"
        found[name] = importlib.import_module(module).Params
    return found


def merged(old: str, new: str, untouched: bool = False) -> str:
    """`new`'s values with the comments of `old`. `untouched`: old is a preset as it shipped, so it holds no one's."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not old.strip() or untouched:
        return new
    yaml = YAML(typ="rt")
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        document = yaml.load(old)
    except YAMLError:
        return new  # a file that cannot be read has nothing to keep
    if not isinstance(document, dict):
        return new
    target = yaml.load(new)
    _overlay(document, target)
    stream = io.StringIO()
    yaml.dump(document, stream)
    text = stream.getvalue()
    return text if _equal(yaml.load(text), target) else new


def _overlay(document: Any, target: Any) -> None:
    for key in [key for key in document if key not in target]:
        del document[key]
    for place, (key, value) in enumerate(target.items()):
        if key not in document:
            document.insert(place, key, value)
        elif isinstance(value, dict) and isinstance(document[key], dict):
            _overlay(document[key], value)
        elif document[key] != value or type(document[key]) is not type(value):
            document[key] = value


def _equal(one: Any, other: Any) -> bool:
    from stages.lib import params

    return repr(_sorted(params.plain(one))) == repr(_sorted(params.plain(other)))  # repr tells 1 from 1.0 and True


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def show(old: str, new: str) -> None:
    """The difference, in colour on a terminal."""
    colours = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"} if sys.stdout.isatty() else {}
    for line in difflib.unified_diff(
        old.splitlines(), new.splitlines(), "params.yaml", "params.yaml", lineterm="", n=1
    ):
        colour = colours.get(line[:1], "")
        print(f"{colour}{line}{chr(27) + '[0m' if colour else ''}")
