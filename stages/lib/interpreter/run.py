"""Run a program and keep what it prints: its true trace.

The interpreter walks the syntax tree. Fuel, sizes and printed characters are bounded, so every program ends within about a
second, whatever it says. Unlike in Python numbers are exact (values.py), functions are no values, and sets, which have no
fixed order, do not exist.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from stages.lib.interpreter import values
from stages.lib.interpreter.language import OutsideLanguageError, ProgramError, find_assigned, parse_program

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
    return Execution(lines, error, machine.globals, fuel - max(0, machine.meter.fuel), is_outside)


class _Leave(Exception):
    """A loop or a function is left. kind: break, continue or return."""

    def __init__(self, kind: str, value: Any = None):
        self.kind, self.value = kind, value


class _Machine:
    def __init__(self, names: dict[str, Any], fuel: int):
        self.globals, self.meter, self.line = names, values.Meter(fuel), 1
        self.names, self._locals = names, frozenset[str]()  # of the function that runs, else of the program
        self.printed: list[str] = []
        self._room, self._calls = MAX_OUTPUT, 0
        self._functions: dict[str, tuple[ast.FunctionDef, frozenset[str]]] = {}  # with the names that it assigns

    def run(self, tree: ast.Module) -> None:
        """Raises ProgramError."""
        try:
            self._run_block(tree.body)
        except _Leave as leave:
            raise ProgramError(f"{leave.kind} outside of a loop or function") from None
        except RecursionError:
            raise ProgramError("nested too deeply") from None
        except _FAULTS as error:
            raise ProgramError(f"{type(error).__name__}: {error}") from None

    # Statements.

    def _run_block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.line = statement.lineno
            self.meter.spend()
            getattr(self, f"_run_{type(statement).__name__}")(statement)

    def _run_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions[node.name] = node, find_assigned(node)

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
        for item in values.iterate(self.get(node.iter), self.meter):
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
        value = self.get(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _run_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Subscript):
            owner, key = self.get(node.target.value), self.get(node.target.slice)
            self.meter.weigh_key(key)
            self._store(owner, key, values.calculate(node.op, owner[key], self.get(node.value), self.meter))
            return
        before, value = self.get(node.target), self.get(node.value)
        if isinstance(before, list) and isinstance(node.op, ast.Add):  # changed in place, as in Python
            values.call_method(before, "extend", [list(values.iterate(value, self.meter))], self.meter)
        else:
            self._assign(node.target, values.calculate(node.op, before, value, self.meter))

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.names[target.id] = value
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
        if not isinstance(owner, list | dict) or isinstance(key, slice):
            raise ProgramError("only items of a list or dictionary can be assigned")
        self.meter.weigh_key(key)
        owner[key] = value
        values.check_length(len(owner))

    # Expressions.

    def get(self, node: ast.expr) -> Any:
        """The value of an expression."""
        self.meter.spend()
        return getattr(self, f"_get_{type(node).__name__}")(node)

    def _get_Constant(self, node: ast.Constant) -> Any:
        return values.read_constant(node.value)

    def _get_Name(self, node: ast.Name) -> Any:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in self._locals:
            raise ProgramError(
                f"the name {node.id} has no value yet: the function assigns it, so it is the function's own"
            )
        if node.id not in self.globals:
            raise OutsideLanguageError(f"the name {node.id} has no value")
        return self.globals[node.id]

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
            right = self.get(part)
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
        owner = self.get(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = node.slice.lower, node.slice.upper, node.slice.step
            part = owner[slice(*(None if bound is None else self.get(bound) for bound in bounds))]
            self.meter.spend(len(part) // (values.CHARACTERS if isinstance(part, str) else 1))
            return part
        key = self.get(node.slice)
        self.meter.weigh_key(key)
        return owner[key]

    def _get_JoinedStr(self, node: ast.JoinedStr) -> str:
        text = "".join(self._format(self.get(part)) for part in node.values)
        values.check_length(len(text))
        return text

    def _get_FormattedValue(self, node: ast.FormattedValue) -> Any:
        return self._format(self.get(node.value))

    def _get_ListComp(self, node: ast.ListComp) -> list[Any]:
        outer, made = self.names, []
        self.names = dict(outer)  # names of a comprehension are its own
        self._collect(node.elt, node.generators, made)
        self.names = outer
        return made

    def _get_GeneratorExp(self, node: Any) -> list[Any]:
        return self._get_ListComp(node)

    def _collect(self, element: ast.expr, loops: Sequence[ast.comprehension], made: list[Any]) -> None:
        if not loops:
            made.append(self.get(element))
            return
        for item in values.iterate(self.get(loops[0].iter), self.meter):
            self._assign(loops[0].target, item)
            if all(self.get(test) for test in loops[0].ifs):
                self._collect(element, loops[1:], made)

    # Calls.

    def _get_Call(self, node: ast.Call) -> Any:
        options = {str(word.arg): self.get(word.value) for word in node.keywords}
        if isinstance(node.func, ast.Attribute):
            owner, arguments = self.get(node.func.value), [self.get(argument) for argument in node.args]
            if options:
                raise OutsideLanguageError(f"{node.func.attr} takes no options here")
            return values.call_method(owner, node.func.attr, arguments, self.meter)
        assert isinstance(node.func, ast.Name)
        name, arguments = node.func.id, [self.get(argument) for argument in node.args]
        if name in self._functions and not options:
            return self._call_function(*self._functions[name], arguments)
        if name == "print":
            if unknown := sorted(options.keys() - {"sep", "end"}):
                raise OutsideLanguageError(f"print takes no option {unknown[0]} here")
            return self._print(arguments, **options)
        return self._call_builtin(name, arguments, options)

    def _call_function(self, function: ast.FunctionDef, own: frozenset[str], arguments: list[Any]) -> Any:
        names = [argument.arg for argument in function.args.args]
        if len(names) != len(arguments):
            raise TypeError(f"{function.name} takes {len(names)} values, not {len(arguments)}")
        if self._calls >= MAX_CALLS:
            raise ProgramError(f"more than {MAX_CALLS} calls inside one another")
        outer, line = (self.names, self._locals), self.line
        self.names, self._locals = dict(zip(names, arguments, strict=True)), own
        self._calls += 1
        try:
            self._run_block(function.body)
        except _Leave as leave:
            if leave.kind == "return":
                return leave.value
            raise ProgramError(f"{leave.kind} outside of a loop") from None
        finally:
            (self.names, self._locals), self._calls, self.line = outer, self._calls - 1, line
        return None

    def _print(self, arguments: list[Any], sep: str = " ", end: str = "\n") -> None:
        text = sep.join(self._format(argument) for argument in arguments) + end
        self._room -= len(text)
        if self._room < 0:
            raise ProgramError(f"prints more than {MAX_OUTPUT:,} characters")
        self.printed.append(text)

    def _format(self, value: Any) -> str:
        self.meter.weigh(value)
        return values.format_value(value)

    def _call_builtin(self, name: str, arguments: list[Any], options: dict[str, Any]) -> Any:
        if name not in BUILTINS:
            raise OutsideLanguageError(f"the function {name} is not known here")
        if options.keys() - ({"reverse"} if name == "sorted" else set()):
            raise OutsideLanguageError(f"{name} takes no such option here")
        return BUILTINS[name](self, *arguments, **options)

    def list_items(self, value: Any) -> list[Any]:
        items = list(values.iterate(value, self.meter))
        self.meter.weigh(items)
        return items

    def add_up(self, items: Any, start: Any = 0) -> Any:
        for item in values.iterate(items, self.meter):
            start = values.calculate(ast.Add(), start, item, self.meter)
        return start

    def choose(self, best: Any, *arguments: Any) -> Any:
        return best(self.list_items(arguments[0] if len(arguments) == 1 else list(arguments)))

    def pair_up(self, *columns: Any) -> list[tuple[Any, ...]]:
        return list(zip(*(self.list_items(column) for column in columns), strict=False))


BUILTINS: dict[str, Any] = {
    "len": lambda m, x: len(x),
    "range": lambda m, *x: range(*x),
    "int": lambda m, *x: m.meter.weigh(*x) or values.read_number(*x),
    "str": lambda m, x="": m._format(x),
    "bool": lambda m, x=False: bool(x),
    "abs": lambda m, x: abs(x),
    "round": lambda m, x: round(x),
    "list": lambda m, x=(): m.list_items(x),
    "tuple": lambda m, x=(): tuple(m.list_items(x)),
    "dict": lambda m: {},
    "sum": lambda m, *x: m.add_up(*x),
    "min": lambda m, *x: m.choose(min, *x),
    "max": lambda m, *x: m.choose(max, *x),
    "any": lambda m, x: any(m.list_items(x)),
    "all": lambda m, x: all(m.list_items(x)),
    "sorted": lambda m, x, reverse=False: sorted(m.list_items(x), reverse=reverse),
    "reversed": lambda m, x: m.list_items(x)[::-1],
    "enumerate": lambda m, x, start=0: list(enumerate(m.list_items(x), start)),
    "zip": lambda m, *x: m.pair_up(*x),
    "sqrt": lambda m, x: values.take_root(x),
}
