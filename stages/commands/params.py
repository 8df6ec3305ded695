"""`python -m stages params [KEY]`: what every parameter means, its value, its default and what is allowed.

The meaning of a key is the comment beside its field in the stage's `Params` class. Keys of a mapping without comments,
such as the splits of `benchmarks.sizes`, take the first line of the docstring of its class.
"""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer
from pydantic import BaseModel

from stages.lib.core.errors import UserError
from stages.lib.core.params import RENAMED_KEYS, find_models


class Key(NamedTuple):
    """One parameter: its path (`orm.lr`), what is allowed and what it means; shared if its value is in `training`."""

    path: str
    allowed: str
    meaning: str
    is_shared: bool = False


def params(
    key: Annotated[str | None, typer.Argument(help="A section or key, such as orm or orm.lr; default: all.")] = None,
) -> None:
    """Explain parameters: the value in params.yaml, a differing default, the allowed values and the meaning."""
    from stages.commands import preset
    from stages.lib.core.params import PARAMS_FILE, get_by_path, read_yaml
    from stages.lib.display import terminal

    document, default = read_yaml(PARAMS_FILE), read_yaml(preset.PRESETS_DIR / f"{preset.DEFAULT}.yaml")

    def find_value(item: Key, tree: Any) -> str:
        shared = get_by_path(tree, f"training.{item.path.partition('.')[2]}", ...) if item.is_shared else ...
        value = get_by_path(tree, item.path, shared)
        return "" if value is ... else "(below)" if isinstance(value, dict) and value else _format_value(value)

    rows = []
    for item in list_keys():
        is_asked = key is None or item.path == key or item.path.startswith(f"{key}.")
        if not is_asked or (key is None and item.is_shared and get_by_path(document, item.path, ...) is ...):
            continue  # the list of all keys shows a shared value once, under training
        value, shipped = find_value(item, document), find_value(item, default)
        rows.append([item.path, value, "" if value == shipped else shipped, item.allowed, item.meaning])
    if not rows:
        similar = _find_similar(str(key))
        hint = f"do you mean {' or '.join(similar)}? " if similar else ""
        raise UserError(f"params {key}: no such key; {hint}`python -m stages params` lists all of them")
    if len(rows) > 1:
        terminal.print_table(["key", "value", "default", "allowed", "meaning"], rows)
        return
    for title, text in zip(("key", "value", "default", "allowed", "meaning"), rows[0], strict=True):
        print(f"{title:<9}{text or rows[0][1] or '(not set)'}")
    section, _, name = rows[0][0].partition(".")
    if section == "training":
        own = {f"{stage}.{name}": get_by_path(document, f"{stage}.{name}", ...) for stage in preset.load_stage_params()}
        if own := [f"{path} {_format_value(value)}" for path, value in own.items() if value is not ...]:
            print(f"{'except':<9}{', '.join(own)}")
    elif get_by_path(document, rows[0][0], ...) is ... and get_by_path(document, f"training.{name}", ...) is not ...:
        print(f"{'from':<9}training.{name}")


def _find_similar(key: str) -> list[str]:
    """Up to five keys that end like this one, else those that are spelled most like it."""
    paths, last = [item.path for item in list_keys()], key.split(".")[-1]
    ending = [path for path in paths if path.split(".")[-1] in (last, RENAMED_KEYS.get(last))]
    return ending[:5] or difflib.get_close_matches(key, paths, n=3)


def list_keys() -> list[Key]:
    """Every key of params.yaml: the top level, then `training`, then each stage's section in the order of dvc.yaml."""
    from stages.commands import preset
    from stages.lib.core.params import TopLevel, get_shared_model

    models = preset.load_stage_params()
    shared = {model.shared_section: get_shared_model(model) for model in models.values() if model.shared_section}
    keys = list(_list_fields(TopLevel, ""))
    for name, owner in shared.items():
        keys += _list_fields(owner, f"{name}.")
    for stage, model in models.items():
        inherited = get_shared_model(model).model_fields if model.shared_section else {}
        for item in _list_fields(model, f"{stage}."):
            keys.append(item._replace(is_shared=item.path.split(".")[1] in inherited))
    return keys


def _list_fields(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    comments, schema = read_comments(model), model.model_json_schema()
    fallback = (model.__doc__ or "").partition("\n")[0] if prefix.count(".") > 1 else ""
    for name, field in model.model_fields.items():
        path = prefix + name
        yield Key(path, describe_schema(schema["properties"][name]), comments[name] or fallback)
        for nested in find_models(field.annotation):
            yield from _list_fields(nested, f"{path}.NAME." if "dict" in str(field.annotation) else f"{path}.")


@functools.cache
def read_comments(model: type[BaseModel]) -> dict[str, str]:
    """Field -> the comment beside it in the source; a field of a parent class has the parent's."""
    comments = {}
    for owner in reversed(model.__mro__):
        if not issubclass(owner, BaseModel) or owner is BaseModel:
            continue
        source = textwrap.dedent(inspect.getsource(owner))
        (body,) = ast.parse(source).body
        for node in ast.iter_child_nodes(body):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                line = source.splitlines()[(node.end_lineno or 1) - 1].encode()
                rest = line[node.end_col_offset :].decode().strip()
                comments[node.target.id] = rest.removeprefix("#").strip()
    return comments


def describe_schema(schema: dict[str, Any]) -> str:
    """What a JSON schema allows, in words: `a whole number >= 1`, `one of bce, mse`."""
    if "anyOf" in schema:
        return " or ".join(map(describe_schema, schema["anyOf"]))
    if "const" in schema:
        return _format_value(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(map(_format_value, schema['enum']))}"
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    bounds = " and ".join(f"{sign} {schema[name]}" for name, sign in signs.items() if name in schema)
    match schema.get("type"):
        case "array":
            sizes = [schema.get("minItems", 0), schema.get("maxItems")]
            size = {(0, None): "a list", (1, None): "a list, not empty"}.get(tuple(sizes))
            size = size or f"a list of length {' to '.join(str(n) for n in dict.fromkeys(sizes) if n is not None)}"
            return f"{size}; each: {describe_schema(schema['items'])}" if schema.get("items") else size
        case "number" | "integer" as kind:
            return f"{'a number' if kind == 'number' else 'a whole number'} {bounds}".strip()
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case "string":
            return "a string" + (f" matching {schema['pattern']}" if "pattern" in schema else "")
    return "a mapping"


def _format_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_format_value, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return value if value.isprintable() and value.strip() and value != "no" else repr(str(value)).replace("'", '"')
    return str(value)
