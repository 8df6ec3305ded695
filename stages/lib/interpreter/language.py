"""What a program may say: a part of Python's syntax, checked before anything runs."""

from __future__ import annotations

import ast
import threading
import warnings

MAX_SOURCE = 20_000  # characters
MAX_DEPTH = 60  # levels of nesting in the syntax tree
MAX_LOOPS = 20  # inside one another, as in CPython

_SYNTAX = """
    Module Load Store Assign AugAssign For While If Expr Pass Break Continue FunctionDef Return arguments arg
    Name Constant BinOp UnaryOp BoolOp Compare IfExp Call keyword Attribute JoinedStr FormattedValue
    List Tuple Dict Subscript Slice ListComp GeneratorExp comprehension
    Add Sub Mult Div FloorDiv Mod Pow USub UAdd And Or Not Eq NotEq Lt LtE Gt GtE In NotIn Is IsNot
"""
_ALLOWED = frozenset(_SYNTAX.split())  # kinds of node
# CPython 3.11 counts the depth of a syntax tree for all threads together, and raises a SystemError where two build one.
_PARSING = threading.Lock()


class ProgramError(Exception):
    """A program says what it may not, exceeds a limit, or fails as it would in Python. The message is one sentence."""


class OutsideLanguageError(ProgramError):
    """A program says what Python may know and this language does not."""


def parse_program(source: str) -> ast.Module:
    """The syntax tree of a program of this language. Raises ProgramError, which names the line, for any other text."""
    if len(source) > MAX_SOURCE:
        raise ProgramError(f"the program has more than {MAX_SOURCE:,} characters")
    try:
        with _PARSING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice, such as on `1 is 1`, is of no use here
            tree = ast.parse(source)
    except SyntaxError as error:
        raise ProgramError(f"line {error.lineno or 1}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ProgramError("the program cannot be read: it is nested too deeply, or has a null character") from None
    _check(tree)
    return tree


def find_assigned(function: ast.FunctionDef) -> frozenset[str]:
    """The names that are the function's own, as in Python: its parameters, and all that it assigns but those of its
    comprehensions."""
    found, nodes = {argument.arg for argument in function.args.args}, list[ast.AST](function.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        nodes += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.comprehension)]
    return frozenset(found)


def find_targets(node: ast.ListComp | ast.GeneratorExp) -> frozenset[str]:
    """The names that are a comprehension's own: those of its loops."""
    parts = [part for loop in node.generators for part in ast.walk(loop.target) if isinstance(part, ast.Name)]
    return frozenset(part.id for part in parts if isinstance(part.ctx, ast.Store))


def _check(tree: ast.Module) -> None:
    stack: list[tuple[ast.AST, tuple[ast.AST, ...], int]] = [(tree, (), 1)]
    while stack:
        node, above, line = stack.pop()
        line = getattr(node, "lineno", line)
        fault = f"nested more than {MAX_DEPTH} deep" if len(above) > MAX_DEPTH else _find_fault(node, above)
        if fault:
            raise OutsideLanguageError(f"line {line}: {fault}")
        stack += ((child, (*above, node), line) for child in ast.iter_child_nodes(node))


def _find_fault(node: ast.AST, above: tuple[ast.AST, ...]) -> str | None:
    """Why a node is not of the language, None where it is. above: what it stands in, the module first."""
    if type(node).__name__ not in _ALLOWED:
        return f"{type(node).__name__} is not allowed"
    for field in ("id", "name", "arg", "attr"):
        if str(getattr(node, field, None) or "").startswith("_") and getattr(node, field) != "_":
            return f"{getattr(node, field)}: a name that begins with _ is not allowed"
    if isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float | str | None):
        return f"{type(node.value).__name__} is not a kind of value here"
    if isinstance(node, ast.FunctionDef):
        return _find_function_fault(node, len(above))
    if isinstance(node, ast.Return | ast.Break | ast.Continue | ast.For | ast.While):
        return _find_place_fault(node, above)
    if isinstance(node, ast.FormattedValue) and (node.format_spec or node.conversion != -1):
        return "a format in a string is not allowed"
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name | ast.Attribute):
            return "only functions and methods can be called, by their name"
        if any(word.arg is None for word in node.keywords):
            return "** in a call is not allowed"
        if len({word.arg for word in node.keywords}) < len(node.keywords):
            return "an option is given twice"
    if isinstance(node, ast.Dict) and None in node.keys:
        return "** in a dictionary is not allowed"
    return None


def _find_place_fault(node: ast.stmt, above: tuple[ast.AST, ...]) -> str | None:
    loops = sum(isinstance(outer, ast.For | ast.While) for outer in above)
    if isinstance(node, ast.For | ast.While):
        if loops >= MAX_LOOPS:
            return f"more than {MAX_LOOPS} loops inside one another"
        return "else of a loop is not allowed" if node.orelse else None
    has_place = any(isinstance(outer, ast.FunctionDef) for outer in above) if isinstance(node, ast.Return) else loops
    return None if has_place else f"{type(node).__name__.lower()} outside of a loop or function"


def _find_function_fault(node: ast.FunctionDef, depth: int) -> str | None:
    arguments = node.args
    if depth != 1:
        return "a function inside another statement is not allowed"
    if node.decorator_list or node.returns or any(argument.annotation for argument in arguments.args):
        return "decorators and annotations are not allowed"
    if len({argument.arg for argument in arguments.args}) < len(arguments.args):
        return "two parameters have one name"
    others = arguments.posonlyargs, arguments.kwonlyargs, arguments.defaults, arguments.vararg, arguments.kwarg
    return "a function has plain parameters only" if any(others) else None
