"""Every number of params.yaml has a lower bound, alone, in a list or in a mapping: no value is taken that means nothing."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel

import stages
from stages.lib.core.params import Params


def list_models() -> list[type[Params]]:
    """Every class of parameters in the program."""
    for module in pkgutil.walk_packages(stages.__path__, "stages."):
        if module.name != "stages.__main__":
            importlib.import_module(module.name)

    def list_subclasses(model: type[Params]) -> Iterator[type[Params]]:
        for subclass in model.__subclasses__():
            yield subclass
            yield from list_subclasses(subclass)

    found = {f"{model.__module__}.{model.__qualname__}": model for model in list_subclasses(Params)}
    return [found[name] for name in sorted(found) if name.startswith("stages.")]


def iter_numbers(annotation: Any, rules: list[Any]) -> Iterator[tuple[type, set[str]]]:
    """(type, names of its bounds) of each number in an annotation. rules: those that hold at this depth."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from iter_numbers(arguments[0], [*rules, *arguments[1:]])
    elif annotation in (int, float):
        parts = [part for rule in rules for part in (rule, *getattr(rule, "metadata", ()))]
        yield annotation, {name for name in ("gt", "ge", "lt", "le") for part in parts if hasattr(part, name)}
    elif not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        for argument in arguments:  # the rules of a list are on its length
            yield from iter_numbers(argument, [] if origin in (list, dict, tuple) else rules)


def test_a_rule_on_the_list_is_none_on_its_numbers():
    class Example(Params):
        a: list[int]
        b: Annotated[float | None, "text"]

    assert [bounds for field in Example.model_fields.values() for _, bounds in iter_numbers(field.annotation, [])] == [
        set(),
        set(),
    ]


@pytest.mark.parametrize("model", list_models(), ids=lambda model: f"{model.__module__}.{model.__qualname__}")
def test_every_number_has_a_lower_bound(model):
    for name, field in model.model_fields.items():
        for kind, bounds in iter_numbers(field.annotation, field.metadata):
            text = f"{name}: any {kind.__name__} is taken; give it a bound, in a list by Annotated[.., Field(ge=..)]"
            assert bounds & {"gt", "ge"}, text
