"""`python -m stages preset NAME...`: switch params.yaml to a shipped set of parameters.

stages/presets/default.yaml is the whole default. Every other preset is an overlay: it names only what differs from the
preset that it extends (`over: nano`; else the default), and null removes a mapping. An overlay that fits several presets
(`over: [a, b]`) extends the first, or the one whose chain leads to another preset that you name: `preset mmlu
nano`. Your comments stay beside keys that both files have. The result is checked against every stage before it is
written.
"""

from __future__ import annotations

import copy
import difflib
import functools
import importlib
import io
import sys
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.lib.core.errors import UserError
from stages.lib.core.settings import STACK_HEADER

if TYPE_CHECKING:
    from stages.lib.core.params import Layers, Params

PRESETS_DIR = Path("stages/presets")
DEFAULT = "default"


def preset(
    names: Annotated[list[str] | None, typer.Argument(help="One or more presets; default: list them.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the change without writing it.")] = False,
) -> None:
    """Switch params.yaml to one or more presets; keep your comments and show what changed."""
    from stages.lib.core import files, params
    from stages.lib.display import terminal

    if not names:
        headers = {name: next(iter(_get_header(text)), "#") for name, text in load_presets().items()}
        terminal.print_table(
            ["preset", "what it is"], [[x, text.removeprefix("#").strip()] for x, text in headers.items()]
        )
        return
    names = list(dict.fromkeys(names))
    try:
        old = params.PARAMS_FILE.read_text(encoding="utf-8") if params.PARAMS_FILE.exists() else ""
    except UnicodeDecodeError:
        raise UserError(f"{params.PARAMS_FILE}: not UTF-8; save it as UTF-8, or remove it") from None
    new = merge(old, stack_presets(names), untouched=_is_shipped(old))
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
    """The text of a whole params.yaml: these presets over those that they name. Raises UserError."""
    (path, default), *overlays = layers = _resolve_layers(names)
    document = copy.deepcopy(default)
    for _, overlay in overlays:
        apply_overlay(document, overlay)
    validate(document, layers[::-1])
    text = path.read_text(encoding="utf-8")
    if not overlays:
        return text
    presets = load_presets()
    header = [STACK_HEADER + " ".join(names), *(line for name in names for line in _get_header(presets[name]))]
    return "\n".join([*header, *_dump(document).splitlines()[len(_get_header(text)) :]]) + "\n"


def _resolve_layers(names: list[str]) -> Layers:
    """(file, mapping) of the presets and of those below them, the default first."""
    from stages.lib.core import params

    paths = {name: PRESETS_DIR / f"{name}.yaml" for name in load_presets()}
    read = functools.cache(params.read_yaml)

    def list_chains(name: str, above: tuple[str, ...] = ()) -> list[list[str]]:
        """The chains from the default up to a preset; the one that it extends by default first."""
        if name not in paths or name in above:
            where = f"{paths[above[-1]]} over: " if above else ""
            fault = "extends itself" if name in above else "not found"
            raise UserError(f"{where}preset {name!r}: {fault}; there are {', '.join(paths)}")
        if name == DEFAULT:
            return [[DEFAULT]]
        over = read(paths[name]).get("over", DEFAULT)
        lower = [over] if isinstance(over, str) else over
        return [[*chain, name] for below in lower for chain in list_chains(below, (*above, name))]

    chains = max((list_chains(name) for name in names), key=lambda chains: len(chains[0]))
    fitting = [chain for chain in chains if set(names) <= set(chain)]
    if not fitting or (len(names) > 1 and len(fitting) == len(chains) > 1):
        choices = " or ".join(dict.fromkeys(chain[-2] for chain in chains if len(chain) > 1))
        raise UserError(f"presets {' '.join(names)}: do not stack; {chains[0][-1]} extends {choices}")
    return [(paths[name], read(paths[name])) for name in fitting[0]]


def apply_overlay(document: Any, overlay: Any) -> None:
    """Put an overlay's values and comments into the document."""
    for key, value in overlay.items():
        current = document.get(key)
        if key == "over" or (value is None and key not in document):
            continue
        if value is None and isinstance(current, dict):
            del document[key]
            continue
        if isinstance(value, dict) and isinstance(current, dict):
            apply_overlay(current, value)
        elif key in document:
            document[key] = value
        else:  # before the last key, whose comment holds the blank line that ends the section
            document.insert(max(0, len(document) - 1), key, value)
        _copy_comment(document, key, overlay)


def _copy_comment(document: Any, key: str, overlay: Any) -> None:
    """Give a key the comment that the overlay has beside it, if any; what follows on later lines stays."""
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    new, old = (tree.ca.items.get(key, [None] * 4)[2] for tree in (overlay, document))
    beside, _, rest = old.value.partition("\n") if old else ("", "", "")
    comment = new.value.partition("\n")[0] if new else ""
    if comment or old:
        token = CommentToken(f"{comment or beside}\n{rest}", CommentMark(0))
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
    return list(takewhile(lambda line: line.startswith("#"), text.splitlines()))


def _is_shipped(text: str) -> bool:
    """Whether a params.yaml is the default or a stack of presets as it ships: it then holds no comments of a user."""
    if text in load_presets().values():
        return True
    names = text.partition("\n")[0].removeprefix(STACK_HEADER).split()
    try:
        return text.startswith(STACK_HEADER) and text == stack_presets(names)
    except UserError:
        return False


def validate(document: Any, layers: Layers) -> None:
    """Check every stage's section and the top keys. Raises UserError with all faults, each with the file of `layers`
    (highest priority first) that contains it."""
    from stages.lib.core import conflicts, params

    models = load_stage_params()
    shared = {model.shared_section for model in models.values()} - {None}
    faults = []
    for key in document:
        if key not in {*models, *shared, *params.TopLevel.model_fields}:
            path, layer = next((path, layer) for path, layer in layers if key in layer)
            line = layer.lc.key(key)[0] + 1
            faults.append(f"{path}:{line} {key}: unknown section; stages are {', '.join(models)}")
    try:
        launch = params.validate_top_level(document, layers).launch
        if not Path(f"stages/launch/{launch}.yaml").exists():
            path, layer = next((path, layer) for path, layer in layers if "launch" in layer)
            there = ", ".join(sorted(file.stem for file in Path("stages/launch").glob("*.yaml")))
            at = f"{path}:{layer.lc.key('launch')[0] + 1} launch"
            raise UserError(f"{at}: stages/launch/{launch}.yaml not found; there are {there}")
    except UserError as error:
        faults.append(str(error))
    for stage, model in models.items():
        try:
            params.validate_section(stage, model, document, layers)
        except UserError as error:
            faults += str(error).splitlines()
    try:
        conflicts.check(document, layers, Path.cwd())
    except UserError as error:
        faults += str(error).splitlines()
    if faults:
        raise UserError("\n".join(dict.fromkeys(faults)))  # stages that share a faulty value report it alike


@functools.cache
def load_stage_params() -> dict[str, type[Params]]:
    """Stage -> its parameters' model, in the order of dvc.yaml."""
    from stages.lib.core import params
    from stages.lib.workspace import chapters

    stages = params.read_yaml(Path("dvc.yaml"))["stages"]
    return {stage: importlib.import_module(chapters.find_module(stage)).Params for stage in stages}


def merge(old: str, new: str, untouched: bool = False) -> str:
    """`new`'s values with the comments of `old`. `untouched`: old is as shipped, so no comment is the user's."""
    from ruamel.yaml.error import YAMLError

    from stages.lib.core import params

    if not old.strip() or untouched:
        return new
    header = _get_header(old)
    shipped = old.startswith((STACK_HEADER, "# The tiny preset:"))  # the second by earlier versions
    if shipped or any(header == _get_header(text) for text in load_presets().values()):
        old = "\n".join([*_get_header(new), *old.splitlines()[len(header) :]]) + "\n"  # it named another preset
    try:
        document = _create_yaml().load(old)
    except YAMLError:
        return new  # a file that cannot be read has nothing to keep
    if not isinstance(document, dict):
        return new
    target = _create_yaml().load(new)
    _merge_values(document, target)
    merged = _dump(document)
    # repr tells 1 from 1.0 and True
    same = repr(_sort_keys(params.to_plain(_create_yaml().load(merged)))) == repr(_sort_keys(params.to_plain(target)))
    return merged if same else new


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


def _sort_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sort_keys(value[key]) for key in sorted(value)}
    return [_sort_keys(item) for item in value] if isinstance(value, list) else value


def print_diff(old: str, new: str) -> None:
    """The difference, in colour on a terminal."""
    colours = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"} if sys.stdout.isatty() else {}
    name = "params.yaml"
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), name, name, lineterm="", n=1):
        colour = colours.get(line[:1], "")
        print(f"{colour}{line}{chr(27) + '[0m' if colour else ''}")
