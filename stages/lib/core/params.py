"""params.yaml, read strictly: one section per stage, unknown keys refused, every error with its line.

A trained stage takes what its own section does not name from the section `training` (`Params.shared_section`).

YAML 1.2 by ruamel, as DVC reads it: in YAML 1.1 `1e-5` is a string and `on` a boolean, and a stage that read the file
otherwise than DVC would train with other numbers than DVC recorded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from stages.lib.core.errors import UserError

PARAMS_FILE = Path("params.yaml")
# Keys of earlier versions and what they are called now; `mapping.key` where two mappings had a key of one name.
RENAMED_KEYS = dict(
    re.findall(
        r"(\S+)=(\S+)",
        """
    start=init_from rows=max_rows mixed_only=skip_uniform_problems global_batch=global_batch_size
    device_batch=device_batch_size warmup=warmup_ratio clip=max_grad_norm layers=num_layers width=hidden_size
    hidden=intermediate_size heads=num_heads kernel=conv_kernel documents=num_documents
    generator.competition=selection.competition_problems generator.dyval_problems=selection.dyval_problems
    generator.competition_problems=selection.competition_problems n_shifted=n_ood orm.level=predict_at
    head_words=head_init_tokens
    prm.form=head prm.words=head_init_tokens mark=step_marker past_error=learn_after_first_error distinct=dedupe
    rationales=rationales_per_sample genrm.form=rationale_style emphasis=refutation_weight balance=balance_classes
    batch=batch_size hard=hard_rule progress=progress_threshold pool=use_pool powers=vote_powers
    top_shares=top_vote_shares largest=max_value inverse=inverse_share longest=max_question_chars
    unseen=unseen_families train_only=train_only_families compare_with=decontaminate_against parents=max_parents
    aime_parents=max_aime_parents wrong_golds=mislabelled tries=max_attempts dyval.problems=problems_per_task
    dyval.level=difficulty dyval.knobs=overrides base.bundled=path""",
    )
)
RENAMED_VALUES = {
    "hard_rule": "any is now any_success",
    "head": "head is now scalar, words is now token_logits",
    "rationale_style": "derived is now rederived, quoted is now annotated",
}


class Params(BaseModel):
    """Base of every section: frozen, strict types, no unknown keys, no NaN. Each field's comment explains it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    shared_section: ClassVar[str | None] = None  # the section with the values that the stage's section omits


class TopLevel(Params):
    """The keys beside the sections."""

    seed: int = Field(ge=0)  # every random choice derives from it, but for the problems of the tests
    test_seed: int = Field(ge=0)  # of the test problems and of the sets made from them
    launch: str = Field(pattern=r"^[a-z0-9_]+$")  # stages/launch/<launch>.yaml: processes and machines of stages


P = TypeVar("P", bound=Params)
Layers = list[tuple[Path, Any]]  # (file, its mapping), the one that counts most first; one alone for params.yaml


def read_yaml(path: Path = PARAMS_FILE) -> Any:
    """The whole file as a ruamel mapping that knows its lines. Raises UserError when it is missing or not YAML."""
    try:
        yaml = YAML(typ="rt")
        yaml.preserve_quotes = True
        document = yaml.load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = "not found; run from the repository's root, or `python -m stages preset default`"
        raise UserError(f"{path}: {message}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start + 1}); save the file as UTF-8") from None
    except RecursionError:
        raise UserError(f"{path}: not valid YAML: lists or mappings are nested too deep") from None
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: not valid YAML: {error.problem or error.context}") from None
    except YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    except ValueError:
        raise UserError(f"{path}: a number has thousands of digits; write fewer") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: found {_describe_type(document)}; expected one section per stage")
    return document


def load_section(section: str, model: type[P], path: Path = PARAMS_FILE) -> P:
    """The section of one stage, checked. Raises UserError naming file, line, key, the value and what is allowed."""
    document = read_yaml(path)
    return validate_section(section, model, document, [(path, document)])


def load_top_level(path: Path = PARAMS_FILE) -> TopLevel:
    """seed, test_seed and launch."""
    document = read_yaml(path)
    return validate_top_level(document, [(path, document)])


def validate_section(section: str, model: type[P], document: Any, layers: Layers) -> P:
    """As `load_section`, of a document merged from several files: an error names the file that holds the value."""
    if section not in document:
        raise UserError(f"{layers[-1][0]}: section {section!r} is missing; found {', '.join(document)}")
    values = {} if document[section] is None else document[section]
    shared = (document.get(model.shared_section) or {}) if model.shared_section else {}
    if not isinstance(values, dict) or not isinstance(shared, dict):
        values, where = (shared, model.shared_section) if isinstance(values, dict) else (values, section)
        return _validate(values, model, lambda loc: (where, *loc), layers)
    allowed = get_shared_model(model)
    if model.shared_section and not shared and not allowed.model_fields.keys() <= values.keys():
        raise UserError(f"{layers[-1][0]}: section {model.shared_section!r} is missing; it holds what stages share")
    faults = [
        _format_fault({"type": "extra_forbidden", "loc": (key,)}, allowed, (model.shared_section, key), layers)
        for key in shared
        if key not in allowed.model_fields
    ]
    if faults:
        raise UserError("\n".join(faults))

    def locate(loc: tuple) -> tuple:
        return (model.shared_section if loc and loc[0] in shared and loc[0] not in values else section, *loc)

    return _validate({**shared, **values}, model, locate, layers)


def get_shared_model(model: type[Params]) -> type[Params]:
    """The class whose fields the shared section may hold: the one that names it."""
    return next(base for base in model.__mro__ if issubclass(base, Params) and "shared_section" in vars(base))


def validate_top_level(document: Any, layers: Layers) -> TopLevel:
    """The same of a merged document."""
    return _validate({k: document[k] for k in TopLevel.model_fields if k in document}, TopLevel, tuple, layers)


def _validate(values: Any, model: type[P], locate: Callable[[tuple], tuple], layers: Layers) -> P:
    """`locate` turns a field's place in the model into its place in the file."""
    try:
        return model.model_validate(to_plain(values))
    except ValidationError as error:
        faults = [_format_fault(fault, model, locate(fault["loc"]), layers) for fault in error.errors()]
        raise UserError("\n".join(faults)) from None


def to_plain(value: Any) -> Any:
    """ruamel's subclasses (ScalarFloat, CommentedMap) as the plain types that strict validation needs."""
    if isinstance(value, dict):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [to_plain(v) for v in value]
    return next((kind(value) for kind in (bool, int, float, str) if isinstance(value, kind)), value)


def locate(key: str, layers: Layers) -> str:
    """`file:line key` of a dotted key, or of the part of it that a file holds."""
    return _locate(tuple(key.split(".")), layers)


def _locate(where: tuple, layers: Layers) -> str:
    path, document = max(layers, key=lambda layer: len(_trace(layer[1], where)))  # the first that holds most of it
    lines = _trace(document, where)
    return (f"{path}:{lines[-1]} " if lines else f"{path} ") + ".".join(map(str, where))


def _format_fault(fault: Any, model: type[Params], where: tuple, layers: Layers) -> str:
    at = _locate(where, layers)
    kind, (owner, field) = fault["type"], _find_field(model, fault["loc"])
    if kind == "extra_forbidden":
        old = str(where[-1])
        if new := RENAMED_KEYS.get(".".join(map(str, where[-2:])), RENAMED_KEYS.get(old)):
            return f"{at}: renamed to {new}" + (f" ({RENAMED_VALUES[new]})" if new in RENAMED_VALUES else "")
        return f"{at}: unknown key; allowed here: {', '.join(owner.model_fields)}"
    if kind == "missing":
        shared = len(where) == 2 and model.shared_section and where[-1] in get_shared_model(model).model_fields
        return f"{at}: missing; add it" + (f" here or in {model.shared_section}" if shared else "")
    rule = _format_rule(kind, fault.get("ctx", {}), fault["msg"], _format_bounds(field))
    if kind in ("too_short", "too_long"):
        return f"{at}: {rule}, got {fault['ctx']['actual_length']}"
    if kind == "value_error" and isinstance(fault.get("input"), dict | list):
        return f"{at}: {rule}"  # which says itself what it is about
    return f"{at}: {rule}, got {_format_value(fault.get('input'), kind)}"


def find_models(annotation: Any) -> list[type[BaseModel]]:
    """The classes of mappings in an annotation such as `dict[str, Model]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in find_models(argument)]


def _find_field(model: type[BaseModel], location: tuple) -> tuple[type[BaseModel], FieldInfo | None]:
    """The field at a place in the model and the class that has it. Tags of unions and positions in lists are skipped."""
    owner, field = model, None
    for part in location:
        field = model.model_fields.get(str(part), field)
        owner = model
        nested = find_models(field.annotation) if field else []
        if len(nested) == 1:  # of `Model`, `Model | None`, `dict[str, Model]`
            model = nested[0]
    return owner, field


_BOUND_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_TYPE_NAMES = {
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "a string",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "finite_number": "a finite number",
}


def _format_bounds(field: FieldInfo | None) -> str:
    """The limits of a number, as `> 0 and <= 1`; empty when it has none."""
    rules = [
        (getattr(rule, name, None), sign)
        for rule in getattr(field, "metadata", ())
        for name, sign in _BOUND_SIGNS.items()
    ]
    return " and ".join(f"{sign} {limit}" for limit, sign in rules if limit is not None)


def _format_rule(kind: str, context: dict, message: str, bounds: str) -> str:
    if kind.startswith(("greater_than", "less_than")):
        name, limit = next((name, limit) for name, limit in context.items() if name in _BOUND_SIGNS)
        return f"must be {bounds or f'{_BOUND_SIGNS[name]} {limit}'}"
    if kind == "float_type" and bounds:
        return f"must be {bounds}"
    if kind in _TYPE_NAMES:
        return f"must be {_TYPE_NAMES[kind]} {bounds if kind == 'int_type' else ''}".rstrip()
    if kind in ("too_short", "too_long"):
        sign, limit = (">=", "min_length") if kind == "too_short" else ("<=", "max_length")
        return f"must have {sign} {context[limit]} items"
    if kind == "literal_error":
        return f"must be one of {context['expected']}"
    text = re.sub("^(Value error, |Input )", "", message).replace("should be", "must be").replace("should", "must")
    return text[0].lower() + text[1:]


def _describe_type(value: Any) -> str:
    return (
        "nothing" if value is None else {dict: "a mapping", list: "a list"}.get(type(to_plain(value)), "a single value")
    )


def _format_value(value: Any, kind: str) -> str:
    if value is None or isinstance(value, dict | list):
        return _describe_type(value)
    if not isinstance(value, str) or kind not in ("float_type", "int_type"):
        return repr(value)
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        return f"{value!r} (a string)"
    # YAML 1.2's core schema reads 1e-5 as a float; a quoted number, or 1_000, arrives as a string.
    mantissa, _, exponent = f"{number:e}".partition("e")
    plain = abs(int(exponent)) <= 3 or kind == "int_type"
    return f"{value!r} (a string; write {f'{number:.10g}' if plain else f'{float(mantissa)}e{int(exponent)}'})"


def _trace(document: Any, where: tuple) -> list[int]:
    """1-based lines of the parts of `where` that occur in the file, from the outermost on."""
    lines, node = [], document
    for part in where:
        try:
            position: Any = node.lc  # ruamel's
            mark = position.key(part) if isinstance(node, dict) else position.item(part)
            node = node[part]
        except (KeyError, IndexError, AttributeError, TypeError):
            break
        lines.append(mark[0] + 1)
    return lines


def interpolate(value: Any, variables: Any) -> Any:
    """A part of dvc.yaml with ${a.b} of params.yaml filled in, as DVC's templates are."""
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{([\w.]+)\}", lambda match: str(get_by_path(variables, match[1])), value)
    return value


def get_by_path(tree: Any, key: str, default: Any = None) -> Any:
    """The value at `a.b.c` in nested mappings, else `default`."""
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return default
        tree = tree[part]
    return tree
