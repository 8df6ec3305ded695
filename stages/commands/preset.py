"""`python -m stages preset NAME...`: switch params.yaml to parameters that ship in stages/presets/.

A preset is a whole params.yaml, or names another one that it lies over (`over: tiny`) and only the values that differ; null
takes a mapping of the lower one away. One that can lie over several (`over: [a, b]`) lies over the first, or over the one
that leads to a preset named beside it: `preset mmlu nano`. What you wrote beside the values stays: comments of keys that
both files have are kept. The result is checked against every stage's parameters before anything is written.
"""

from __future__ import annotations

import copy
import difflib
import functools
import importlib
import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.core.params import Params

PRESETS_DIR = Path("stages/presets")
STACK_HEADER = "# python -m stages preset "  # the first line of what was stacked


def preset(
    names: Annotated[list[str] | None, typer.Argument(help="One or more. Without, the presets are listed.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the change without writing it.")] = False,
) -> None:
    """Switch params.yaml to a preset, or to some that stack, keeping your comments, and show what changed."""
    from stages.lib.core import files, params

    known = load_presets()
    if not names:
        for label, text in known.items():
            print(f"{label:<20}{next(iter(_get_header(text)), '#').removeprefix('#').strip()}".rstrip())
        return
    new = stack_presets(names)
    old = params.PARAMS_FILE.read_text(encoding="utf-8") if params.PARAMS_FILE.exists() else ""
    new = merge(old, new, untouched=_is_shipped(old))
    print_diff(old, new)
    label = " ".join(names)
    if old == new:
        print(f"{params.PARAMS_FILE}: holds preset {label} already")
    elif dry_run:
        print(f"{params.PARAMS_FILE}: not changed (dry run)")
    else:
        files.write_text(params.PARAMS_FILE, new)
        print(f"{params.PARAMS_FILE}: now preset {label}; `python -m stages` shows what is stale")


def load_presets() -> dict[str, str]:
    """Name -> text of every preset."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(PRESETS_DIR.glob("*.yaml"))}


def stack_presets(names: list[str]) -> str:
    """The text of a whole parameter set: the presets named, over those that they name. Raises UserError."""
    (path, base), *overlays = layers = _resolve_layers(names)
    document = copy.deepcopy(base)
    for _, overlay in overlays:
        apply_overlay(document, overlay)
    validate(document, layers[::-1])
    text = path.read_text(encoding="utf-8")
    if not overlays:
        return text
    named = [_get_header((PRESETS_DIR / f"{name}.yaml").read_text(encoding="utf-8")) for name in names]
    header = [STACK_HEADER + " ".join(names), *(line for lines in named for line in lines)]
    return "\n".join([*header, *_dump(document).splitlines()[len(_get_header(text)) :]]) + "\n"


def _resolve_layers(names: list[str]) -> list[tuple[Path, Any]]:
    """(file, mapping) of the presets and of those below them, the lowest first."""
    from stages.lib.core import params

    known = {name: PRESETS_DIR / f"{name}.yaml" for name in load_presets()}
    read = functools.cache(params.read_yaml)

    def chains(name: str, above: tuple[str, ...] = ()) -> list[list[str]]:
        """The ways down from a preset, the usual one first, each from the lowest up."""
        if name not in known or name in above:
            where = f"{known[above[-1]]} over: " if above else ""
            fault = "lies over itself" if name in above else "not found"
            raise UserError(f"{where}preset {name!r}: {fault}; there are {', '.join(known)}")
        over = read(known[name]).get("over", [])
        below = [chain for one in ([over] if isinstance(over, str) else over) for chain in chains(one, (*above, name))]
        return [[*chain, name] for chain in below or [[]]]

    ways = max((chains(name) for name in names), key=lambda ways: len(ways[0]))
    fitting = [way for way in ways if set(names) <= set(way)]
    if not fitting or (len(names) > 1 and len(fitting) == len(ways) > 1):
        choices = " or ".join(dict.fromkeys(way[-2] for way in ways if len(way) > 1)) or "nothing"
        raise UserError(f"presets {' '.join(names)}: do not say what to stack; {ways[0][-1]} lies over {choices}")
    return [(known[name], read(known[name])) for name in fitting[0]]


def apply_overlay(document: Any, overlay: Any) -> None:
    """Put an overlay's values, and what it says beside them, into the document."""
    for key, value in overlay.items():
        known = document.get(key)
        if key == "over" or (value is None and key not in document):
            continue
        if value is None and isinstance(known, dict):
            del document[key]
            continue
        if isinstance(value, dict) and isinstance(known, dict):
            apply_overlay(known, value)
        elif key in document:
            document[key] = value
        else:  # before the last key, whose comment holds the blank line that ends the section
            document.insert(max(0, len(document) - 1), key, value)
        _copy_comment(document, key, overlay)


def _copy_comment(document: Any, key: str, overlay: Any) -> None:
    """Give a key the comment that the overlay has beside it, if any; what follows on later lines stays."""
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    beside, own = (tree.ca.items.get(key, [None] * 4)[2] for tree in (overlay, document))
    said = beside.value.partition("\n")[0] if beside else ""
    kept, _, rest = own.value.partition("\n") if own else ("", "", "")
    if said or own:
        token = CommentToken(f"{said or kept}\n{rest}", CommentMark(0))
        document.ca.items.setdefault(key, [None] * 4)[2] = token


def _create_yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _dump(document: Any) -> str:
    stream = io.StringIO()
    _create_yaml().dump(document, stream)
    return stream.getvalue()


def _get_header(text: str) -> list[str]:
    """The lines of comment at the top."""
    return re.match(r"(?:#.*\n)*", text)[0].splitlines()


def _is_shipped(text: str) -> bool:
    """Whether the text is a preset, or a stack of them, as it ships: it then holds nobody's comments."""
    if text in load_presets().values():
        return True
    try:
        return text.startswith(STACK_HEADER) and text == stack_presets(
            text.splitlines()[0].removeprefix(STACK_HEADER).split()
        )
    except UserError:
        return False


def validate(document: Any, layers: Any) -> None:
    """A whole parameter set: each stage's section and the top keys, checked. Raises UserError listing every fault, with
    the file of `layers` (the highest first) in which it stands."""
    from stages.lib.core import params

    models = load_stage_params()
    faults = []
    for key in document:
        if key not in models and key not in params.TopLevel.model_fields:
            path = next(path for path, layer in layers if key in layer)
            faults.append(f"{path}: unknown section {key}; stages are {', '.join(models)}")
    try:
        launch = params.validate_top_level(document, layers).launch
        if not Path(f"stages/launch/{launch}.yaml").exists():
            path = next(path for path, layer in layers if "launch" in layer)
            faults.append(f"{path} launch: stages/launch/{launch}.yaml not found")
    except UserError as error:
        faults.append(str(error))
    for stage, model in models.items():
        try:
            params.validate_section(stage, model, document, layers)
        except UserError as error:
            faults.append(str(error))
    if faults:
        raise UserError("\n".join(faults))


@functools.cache
def load_stage_params() -> dict[str, type[Params]]:
    """Stage -> its parameters' model, in the order of dvc.yaml."""
    from stages.lib.core import params
    from stages.lib.workspace import chapters

    names = list(params.read_yaml(Path("dvc.yaml"))["stages"])
    found = {}
    for name in names:
        found[name] = importlib.import_module(chapters.find_module(name)).Params
    return found


def merge(old: str, new: str, untouched: bool = False) -> str:
    """`new`'s values with the comments of `old`. `untouched`: old is a preset as it shipped, so it holds no one's."""
    from ruamel.yaml.error import YAMLError

    if not old.strip() or untouched:
        return new
    yaml = _create_yaml()
    if old.startswith(STACK_HEADER) or any(_get_header(old) == _get_header(text) for text in load_presets().values()):
        old = (
            "\n".join([*_get_header(new), *old.splitlines()[len(_get_header(old)) :]]) + "\n"
        )  # it names another preset
    try:
        document = yaml.load(old)
    except YAMLError:
        return new  # a file that cannot be read has nothing to keep
    if not isinstance(document, dict):
        return new
    target = yaml.load(new)
    _merge_values(document, target)
    text = _dump(document)
    return text if _is_equal(yaml.load(text), target) else new


def _merge_values(document: Any, target: Any) -> None:
    for key in [key for key in document if key not in target]:
        del document[key]
    for place, (key, value) in enumerate(target.items()):
        if key not in document:
            document.insert(place, key, value)
        elif isinstance(value, dict) and isinstance(document[key], dict):
            _merge_values(document[key], value)
        elif document[key] != value or type(document[key]) is not type(value):
            document[key] = value


def _is_equal(one: Any, other: Any) -> bool:
    from stages.lib.core import params

    return repr(_sort_keys(params.to_plain(one))) == repr(
        _sort_keys(params.to_plain(other))
    )  # repr tells 1 from 1.0 and True


def _sort_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sort_keys(value[key]) for key in sorted(value)}
    return [_sort_keys(item) for item in value] if isinstance(value, list) else value


def print_diff(old: str, new: str) -> None:
    """The difference, in colour on a terminal."""
    colours = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"} if sys.stdout.isatty() else {}
    for line in difflib.unified_diff(
        old.splitlines(), new.splitlines(), "params.yaml", "params.yaml", lineterm="", n=1
    ):
        colour = colours.get(line[:1], "")
        print(f"{colour}{line}{chr(27) + '[0m' if colour else ''}")
