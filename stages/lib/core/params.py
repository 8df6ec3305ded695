"""params.yaml, read strictly: one section per stage, unknown keys refused, every error with its line.

YAML 1.2 by ruamel, as DVC reads it: in YAML 1.1 `1e-5` is a string and `on` a boolean, and a stage that read the file
otherwise than DVC would train with other numbers than DVC recorded.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.lib.core.errors import UserError

PARAMS_FILE = Path("params.yaml")


class Params(BaseModel):
    """Base of every section: frozen, strict types, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TopLevel(Params):
    """The keys beside the sections."""

    seed: int = Field(ge=0)
    launch: str = Field(pattern=r"^[a-z0-9_]+$")


P = TypeVar("P", bound=Params)
Layers = list[tuple[Path, Any]]  # (file, its mapping), the one that counts most first; one alone for params.yaml


def read_yaml(path: Path = PARAMS_FILE) -> Any:
    """The whole file as a ruamel mapping that knows its lines. Raises UserError when it is missing or not YAML."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        yaml = YAML(typ="rt")
        yaml.preserve_quotes = True
        document = yaml.load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: not found; run from the repository's root, or `python -m stages preset tiny`"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start + 1}); save the file as UTF-8") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML: {error.problem or error.context}") from None
    except YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: found {_describe_type(document)}; expected one section per stage")
    return document


def load_section(section: str, model: type[P], path: Path = PARAMS_FILE) -> P:
    """The section of one stage, checked. Raises UserError naming file, line, key, the value and what is allowed."""
    document = read_yaml(path)
    return validate_section(section, model, document, [(path, document)])


def load_top_level(path: Path = PARAMS_FILE) -> TopLevel:
    """seed and launch."""
    document = read_yaml(path)
    return validate_top_level(document, [(path, document)])


def validate_section(section: str, model: type[P], document: Any, layers: Layers) -> P:
    """As `load_section`, of a document that was put together of several files: a fault is told of the file that it stands in."""
    if section not in document:
        raise UserError(f"{layers[-1][0]}: section {section!r} is missing; found {', '.join(document)}")
    return _validate(document[section] if document[section] is not None else {}, model, (section,), layers)


def validate_top_level(document: Any, layers: Layers) -> TopLevel:
    """seed and launch of such a document."""
    return _validate({k: document[k] for k in TopLevel.model_fields if k in document}, TopLevel, (), layers)


def _validate(values: Any, model: type[P], prefix: tuple[str, ...], layers: Layers) -> P:
    try:
        return model.model_validate(to_plain(values))
    except ValidationError as error:
        raise UserError("\n".join(_format_fault(fault, model, prefix, layers) for fault in error.errors())) from None


def to_plain(value: Any) -> Any:
    """ruamel's subclasses (ScalarFloat, CommentedMap) as the plain types that strict validation asks for."""
    if isinstance(value, dict):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [to_plain(v) for v in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _format_fault(fault: Any, model: type[Params], prefix: tuple[str, ...], layers: Layers) -> str:
    # A discriminated union adds its tag to `loc`; only parts that exist in the file are kept as the key.
    where = prefix + tuple(fault["loc"])
    key = ".".join(str(part) for part in where)
    path, document = max(
        layers, key=lambda layer: _count_known_parts(layer[1], where)
    )  # the first of those that hold most of it
    line = _find_line(document, where)
    at = f"{path}:{line} {key}" if line else f"{path} {key}"
    kind, context, found = fault["type"], fault.get("ctx", {}), fault.get("input")
    if kind == "extra_forbidden":
        return f"{at}: unknown key; allowed here: {', '.join(_list_allowed_keys(model, fault['loc']))}"
    if kind == "missing":
        return f"{at}: missing; add it"
    return f"{at}: {_format_rule(kind, context, fault['msg'], _format_bounds(model, fault['loc']))}, got {_format_value(found, kind)}"


_BOUND_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_BOUND_ERRORS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_TYPE_MESSAGES = {
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
}


def _format_bounds(model: type[BaseModel], location: tuple) -> str:
    """The limits of a number's field, as `> 0 and <= 1`; empty when it has none."""
    field = None
    for part in location:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            field = fields[part]
            model = field.annotation
    rules = [
        (getattr(rule, name, None), sign)
        for rule in getattr(field, "metadata", ())
        for name, sign in _BOUND_SIGNS.items()
    ]
    return " and ".join(f"{sign} {limit}" for limit, sign in rules if limit is not None)


def _format_rule(kind: str, context: dict, message: str, bounds: str) -> str:
    if kind in _BOUND_ERRORS:
        return f"must be {bounds or f'{_BOUND_SIGNS[_BOUND_ERRORS[kind]]} {context[_BOUND_ERRORS[kind]]}'}"
    if kind == "float_type" and bounds:
        return f"must be {bounds}"
    if kind in _TYPE_MESSAGES:
        return f"{_TYPE_MESSAGES[kind]} {bounds}".rstrip()
    if kind == "literal_error":
        return f"must be one of {context['expected']}"
    if kind in ("model_type", "dict_type"):
        return "must be a mapping"
    if kind == "finite_number":
        return "must be a finite number"
    text = (
        message.removeprefix("Value error, ")
        .removeprefix("Input ")
        .replace("should be", "must be")
        .replace("should", "must")
    )
    return text[0].lower() + text[1:]


def _describe_type(value: Any) -> str:
    if value is None:
        return "nothing"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a single value"


def _format_value(found: Any, kind: str) -> str:
    if isinstance(found, str) and kind in ("float_type", "int_type"):
        try:
            number = float(found)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            return f"{found!r} (a string)"
        # YAML 1.2's core schema reads 1e-5 as a float; a quoted number, or 1_000, arrives as a string.
        mantissa, _, exponent = f"{number:e}".partition("e")
        digits = f"{float(mantissa):.10g}"
        digits = digits if "." in digits else digits + ".0"
        written = f"{digits}e{int(exponent)}" if abs(int(exponent)) > 3 and kind == "float_type" else f"{number:.10g}"
        return f"{found!r} (a string; write {written})"
    if found is None or isinstance(found, dict | list):
        return _describe_type(found)
    return repr(found)


def _list_allowed_keys(model: type[BaseModel], location: tuple) -> list[str]:
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            break
        model = field.annotation
    return list(model.model_fields)


def _count_known_parts(node: Any, where: tuple) -> int:
    """How many parts of `where` stand in the file."""
    for depth, part in enumerate(where):
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return depth
    return len(where)


def _find_line(document: Any, where: tuple) -> int | None:
    """1-based line of the deepest part of `where` that stands in the file."""
    line, node = None, document
    for part in where:
        try:
            mark = node.lc.key(part) if isinstance(node, dict) else node.lc.item(part)
            line, node = mark[0] + 1, node[part]
        except (KeyError, IndexError, AttributeError, TypeError):
            break
    return line


def interpolate(value: Any, variables: Any) -> Any:
    """A part of dvc.yaml with ${a.b} of params.yaml filled in, as DVC's templates are."""
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{([\w.]+)\}", lambda found: str(_get_by_path(variables, found[1])), value)
    return value


def _get_by_path(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree
