"""Run a program and keep what it prints: its true trace.

The interpreter walks the syntax tree. Fuel, sizes and printed characters are bounded, so every program ends within about a
second, whatever it says. Unlike in Python numbers are exact (values.py). All else is as in Python, or outside the language:
so are functions as values, sets, which have no fixed order, and generators, `zip` and the like (values.ITEMS) other than
where they are read at once.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

from stages.lib.interpreter import values
from stages.lib.interpreter.language import (
    OutsideLanguageError,
    ProgramError,
    find_assigned,
    find_targets,
    parse_program,
)

FUEL = 100_000  # operations of a program at most
MAX_OUTPUT = 10_000  # characters that a program may print
MAX_CALLS = 40  # calls of functions inside one another
_FAULTS = (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError, AttributeError, MemoryError)


class Execution(NamedTuple):
    """printed: the lines that were printed, also those before an error. error: one sentence, None where the program ended
    by itself. variables: the values of its names in the end. fuel: what was spent. is_outside: whether the error is that
    the program says what this language does not know, so that Python may run it."""

    printed: list[str]
    error: str | None
    variables: dict[str, Any]
    fuel: int
    is_outside: bool = False


def run_program(source: str, inputs: Mapping[str, Any] | None = None, fuel: int = FUEL) -> Execution:
    """Run a program in which the names of `inputs` have their values. Never raises on a text."""
    machine = _Machine(dict(inputs or {}), fuel)
    error, is_outside = None, False
    try:
        machine.run(parse_program(source))
    except ProgramError as fault:
        is_outside = isinstance(fault, OutsideLanguageError)
        error = str(fault) if str(fault).startswith("line ") else f"line {machine.line}: {fault}"
    lines = "".join(machine.printed).splitlines()
    variables = {name: value for name, value in machine.program.names.items() if not callable(value)}
    return Execution(lines, error, variables, fuel - max(0, machine.meter.fuel), is_outside)


class _Leave(Exception):
    """A loop or a function is left. kind: break, continue or return."""

    def __init__(self, kind: str, value: Any = None):
        self.kind, self.value = kind, value


class _Scope(NamedTuple):
    """Values and functions by name: those of Python, of the program, of a call or of a comprehension. own: names that are
    never those of `outer`, the scope around it."""

    names: dict[str, Any]
    own: frozenset[str] = frozenset()
    outer: _Scope | None = None

    def find(self, name: str) -> Any:
        """Raises KeyError for a name that is known nowhere."""
        if name in self.names:
            return self.names[name]
        if name in self.own:
            raise ProgramError(
                f"the name {name} has no value yet: the function assigns it, so it is the function's own"
            )
        if self.outer is None:
            raise KeyError(name)
        return self.outer.find(name)


class _Machine:
    def __init__(self, names: dict[str, Any], fuel: int):
        self.meter, self.line = values.Meter(fuel), 1
        self.program = _Scope(names, outer=_Scope({name: partial(self._call_builtin, name) for name in BUILTINS}))
        self.scope = self.program  # where names are looked up now
        self.printed: list[str] = []
        self._room, self._calls = MAX_OUTPUT, 0

    def run(self, tree: ast.Module) -> None:
        """Raises ProgramError."""
        try:
            self._run_block(tree.body)
        except RecursionError:
            raise OutsideLanguageError("nested too deeply") from None
        except _FAULTS as error:
            raise ProgramError(f"{type(error).__name__}: {error}") from None

    # Statements.

    def _run_block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.line = statement.lineno
            self.meter.spend()
            getattr(self, f"_run_{type(statement).__name__}")(statement)

    def _run_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.program.names[node.name] = partial(self._call_function, node, find_assigned(node))

    def _run_Pass(self, node: ast.Pass) -> None:
        pass

    def _run_Break(self, node: ast.Break) -> None:
        raise _Leave("break")

    def _run_Continue(self, node: ast.Continue) -> None:
        raise _Leave("continue")

    def _run_Return(self, node: ast.Return) -> None:
        raise _Leave("return", self.get(node.value) if node.value else None)

    def _run_Expr(self, node: ast.Expr) -> None:
        self.get(node.value)

    def _run_If(self, node: ast.If) -> None:
        self._run_block(node.body if self.get(node.test) else node.orelse)

    def _run_While(self, node: ast.While) -> None:
        while self.get(node.test):
            if not self._run_round(node.body):
                break

    def _run_For(self, node: ast.For) -> None:
        for item in values.iterate(self.evaluate(node.iter), self.meter):
            self._assign(node.target, item)
            if not self._run_round(node.body):
                break

    def _run_round(self, body: Sequence[ast.stmt]) -> bool:
        """One round of a loop; whether another may follow."""
        try:
            self._run_block(body)
        except _Leave as leave:
            if leave.kind == "return":
                raise
            return leave.kind == "continue"
        return True

    def _run_Assign(self, node: ast.Assign) -> None:
        value = self.evaluate(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _run_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Subscript):
            owner, key = self.get(node.target.value), self.get(node.target.slice)
            self.meter.weigh_key(key)
            self._store(owner, key, self._change(node.op, owner[key], node.value))
        else:
            self._assign(node.target, self._change(node.op, self.get(node.target), node.value))

    def _change(self, symbol: ast.operator, before: Any, operand: ast.expr) -> Any:
        """The value of `before symbol= operand`; a list stays the same one."""
        if not isinstance(before, list):
            return values.calculate(symbol, before, self.get(operand), self.meter)
        if isinstance(symbol, ast.Add):
            values.call_method(before, "extend", [self.evaluate(operand)], self.meter)
        else:
            before[:] = values.calculate(symbol, before, self.get(operand), self.meter)
        return before

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.scope.names[target.id] = values.keep(value)
        elif isinstance(target, ast.Tuple | ast.List):
            items = list(values.iterate(value, self.meter))
            if len(items) != len(target.elts):
                raise ValueError(f"{len(items)} values for {len(target.elts)} names")
            for part, item in zip(target.elts, items, strict=True):
                self._assign(part, item)
        elif isinstance(target, ast.Subscript):
            self._store(self.get(target.value), self.get(target.slice), value)
        else:
            raise OutsideLanguageError(f"assignment to {type(target).__name__} is not allowed")

    def _store(self, owner: Any, key: Any, value: Any) -> None:
        if not isinstance(owner, list | dict):
            raise TypeError("only items of a list or dictionary can be assigned")
        self.meter.weigh_key(key)
        if isinstance(owner, list) and isinstance(key, slice):
            self.meter.spend(len(owner))
            owner[key] = list(values.iterate(value, self.meter))
        else:
            owner[key] = values.keep(value)
        values.check_length(len(owner))

    # Expressions.

    def get(self, node: ast.expr) -> Any:
        """The value of an expression, which may be kept."""
        return values.keep(self.evaluate(node))

    def evaluate(self, node: ast.expr) -> Any:
        """The value of an expression, or items that are read where it stands (values.ITEMS)."""
        self.meter.spend()
        return getattr(self, f"_get_{type(node).__name__}")(node)

    def _get_Constant(self, node: ast.Constant) -> Any:
        return values.read_constant(node.value)

    def _get_Name(self, node: ast.Name) -> Any:
        try:
            value = self.scope.find(node.id)
        except KeyError:
            raise OutsideLanguageError(f"the name {node.id} has no value") from None
        if callable(value):
            raise OutsideLanguageError(f"the function {node.id} is no value here")
        return value

    def _get_BinOp(self, node: ast.BinOp) -> Any:
        return values.calculate(node.op, self.get(node.left), self.get(node.right), self.meter)

    def _get_UnaryOp(self, node: ast.UnaryOp) -> Any:
        value = self.get(node.operand)
        if isinstance(node.op, ast.Not):
            return not value
        if not isinstance(value, int | Fraction):
            raise TypeError(f"a sign before {values.name_type(value)}")
        return -value if isinstance(node.op, ast.USub) else +value

    def _get_BoolOp(self, node: ast.BoolOp) -> Any:
        value = None
        for part in node.values:
            value = self.get(part)
            if bool(value) == isinstance(node.op, ast.Or):
                break
        return value

    def _get_Compare(self, node: ast.Compare) -> bool:
        left = self.get(node.left)
        for symbol, part in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(part) if isinstance(symbol, ast.In | ast.NotIn) else self.get(part)
            if not values.compare(symbol, left, right, self.meter):
                return False
            left = right
        return True

    def _get_IfExp(self, node: ast.IfExp) -> Any:
        return self.get(node.body if self.get(node.test) else node.orelse)

    def _get_List(self, node: ast.List) -> list[Any]:
        return [self.get(item) for item in node.elts]

    def _get_Tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self.get(item) for item in node.elts)

    def _get_Dict(self, node: ast.Dict) -> dict[Any, Any]:
        pairs = [(self.get(key), self.get(value)) for key, value in zip(node.keys, node.values, strict=True) if key]
        self.meter.weigh_key([key for key, _ in pairs])
        return dict(pairs)

    def _get_Subscript(self, node: ast.Subscript) -> Any:
        owner, key = self.get(node.value), self.get(node.slice)
        self.meter.weigh_key(key)
        part = owner[key]
        if isinstance(key, slice):
            self.meter.spend(len(part) // (values.CHARACTERS if isinstance(part, str) else 1))
        return part

    def _get_Slice(self, node: ast.Slice) -> slice:
        return slice(*(None if bound is None else self.get(bound) for bound in (node.lower, node.upper, node.step)))

    def _get_Attribute(self, node: ast.Attribute) -> Any:
        raise OutsideLanguageError(f"{node.attr}: an attribute is no value here")

    def _get_JoinedStr(self, node: ast.JoinedStr) -> str:
        text = "".join(self.format(self.get(part)) for part in node.values)
        values.check_length(len(text))
        return text

    def _get_FormattedValue(self, node: ast.FormattedValue) -> Any:
        return self.format(self.get(node.value))

    def _get_ListComp(self, node: ast.ListComp) -> list[Any]:
        return list(self._get_GeneratorExp(node))

    def _get_GeneratorExp(self, node: ast.ListComp | ast.GeneratorExp) -> Iterator[Any]:
        items = values.iterate(self.evaluate(node.generators[0].iter), self.meter)  # at once, and outside, as in Python
        return self._generate(node, items, _Scope({}, find_targets(node), self.scope))

    def _generate(self, node: ast.ListComp | ast.GeneratorExp, items: Iterator[Any], scope: _Scope) -> Iterator[Any]:
        """The items of a comprehension, each worked out in its scope when it is read."""
        results = self._collect(node.elt, node.generators, items)
        while True:
            reader, self.scope = self.scope, scope
            try:
                result = next(results)
            except StopIteration:
                return
            finally:
                self.scope = reader
            yield result

    def _collect(self, element: ast.expr, loops: Sequence[ast.comprehension], items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            self._assign(loops[0].target, item)
            if not all(self.get(test) for test in loops[0].ifs):
                continue
            if len(loops) == 1:
                yield self.get(element)
            else:
                yield from self._collect(element, loops[1:], values.iterate(self.evaluate(loops[1].iter), self.meter))

    # Calls.

    def _get_Call(self, node: ast.Call) -> Any:
        call = self._find_method(node.func) if isinstance(node.func, ast.Attribute) else self._find_function(node.func)
        arguments = [self.evaluate(argument) for argument in node.args]
        return call(arguments, {str(word.arg): self.get(word.value) for word in node.keywords})

    def _find_method(self, node: ast.Attribute) -> Callable[..., Any]:
        owner = self.get(node.value)

        def call(arguments: list[Any], options: Mapping[str, Any]) -> Any:
            _check_options(node.attr, options)
            return values.call_method(owner, node.attr, arguments, self.meter)

        return call

    def _find_function(self, node: ast.expr) -> Callable[..., Any]:
        assert isinstance(node, ast.Name)
        try:
            function = self.scope.find(node.id)
        except KeyError:
            raise OutsideLanguageError(f"the function {node.id} is not known here") from None
        if not callable(function):
            raise TypeError(f"{node.id} is a {values.name_type(function)} and no function")
        return function

    def _call_function(self, node: ast.FunctionDef, own: frozenset[str], arguments: list[Any], options: Any) -> Any:
        _check_options(node.name, options)
        names = [argument.arg for argument in node.args.args]
        if len(names) != len(arguments):
            raise TypeError(f"{node.name} takes {len(names)} values, not {len(arguments)}")
        if self._calls >= MAX_CALLS:
            raise OutsideLanguageError(f"more than {MAX_CALLS} calls inside one another")
        outer, line = self.scope, self.line
        self.scope = _Scope(dict(zip(names, map(values.keep, arguments), strict=True)), own, self.program)
        self._calls += 1
        try:
            self._run_block(node.body)
        except _Leave as leave:
            return leave.value
        finally:
            self.scope, self._calls, self.line = outer, self._calls - 1, line
        return None

    def _call_builtin(self, name: str, arguments: list[Any], options: Mapping[str, Any]) -> Any:
        _check_options(name, options, OPTIONS.get(name, frozenset()))
        return BUILTINS[name](self, *arguments, **options)

    def print(self, *arguments: Any, sep: str | None = None, end: str | None = None) -> None:
        for mark in (sep, end):
            if not isinstance(mark, str | None):
                raise TypeError(f"sep and end must be texts, not {values.name_type(mark)}")
        text = (" " if sep is None else sep).join(map(self.format, arguments)) + ("\n" if end is None else end)
        self._room -= len(text)
        if self._room < 0:
            raise ProgramError(f"prints more than {MAX_OUTPUT:,} characters")
        self.printed.append(text)

    def format(self, value: Any) -> str:
        self.meter.weigh(value)
        return values.format_value(value)

    def list_items(self, value: Any) -> list[Any]:
        items = list(values.iterate(value, self.meter))
        self.meter.weigh(items)
        return items

    def add_up(self, items: Any, start: Any = 0) -> Any:
        if isinstance(start, str):
            raise TypeError("sum adds no texts")
        for item in values.iterate(items, self.meter):
            start = values.calculate(ast.Add(), start, item, self.meter)
        return start

    def choose(self, best: Any, *arguments: Any) -> Any:
        return best(self.list_items(arguments[0] if len(arguments) == 1 else list(arguments)))

    def round(self, value: Any, *digits: Any) -> Any:
        if digits:
            raise OutsideLanguageError("round to digits, which depends on how Python holds a number")
        return round(value)

    def make_dict(self, *sources: Any) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        values.update(made, sources, self.meter)
        return made


def _check_options(name: str, options: Mapping[str, Any], known: frozenset[str] = frozenset()) -> None:
    if unknown := sorted(options.keys() - known):
        raise OutsideLanguageError(f"{name} takes no option {unknown[0]} here")


# What each takes, by its place, is what Python's own takes: a TypeError of one of these is one in Python.
BUILTINS: dict[str, Callable[..., Any]] = {
    "print": _Machine.print,
    "len": lambda m, x: len(x),
    "range": lambda m, *x: range(*x),
    "int": lambda m, *x: m.meter.weigh(*x) or values.read_number(*x),
    "str": lambda m, x="": m.format(x),
    "bool": lambda m, x=False: bool(x),
    "abs": lambda m, x: abs(x),
    "round": _Machine.round,
    "list": lambda m, x=(): m.list_items(x),
    "tuple": lambda m, x=(): tuple(m.list_items(x)),
    "dict": _Machine.make_dict,
    "sum": _Machine.add_up,
    "min": lambda m, *x: m.choose(min, *x),
    "max": lambda m, *x: m.choose(max, *x),
    "any": lambda m, x: any(values.iterate(x, m.meter)),
    "all": lambda m, x: all(values.iterate(x, m.meter)),
    "sorted": lambda m, x, *, reverse=False: sorted(m.list_items(x), reverse=reverse),
    "reversed": lambda m, x: values.read_items(reversed(x), m.meter),
    "enumerate": lambda m, x, start=0: enumerate(values.iterate(x, m.meter), start),
    "zip": lambda m, *x: zip(*(values.iterate(column, m.meter) for column in x), strict=False),
    "sqrt": lambda m, x: values.take_root(x),
}
OPTIONS = {"print": frozenset(("sep", "end")), "sorted": frozenset(("reverse",)), "enumerate": frozenset(("start",))}
