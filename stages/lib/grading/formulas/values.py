"""The values of sympy expressions at fixed points, to 40 digits: expressions that agree there count as equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import sympy
from mpmath import isfinite, mp, mpc

mp.dps = 40
SAMPLE_POINTS = (
    (1, 1, 1),
    (3, 1, 1),
    (1, 3, 1),
    (-1, -1, -1),
    (-1, 1, -1),
    (1, -1, 1),
)  # signs and scales of variables


def has_value(expression: Any) -> bool:
    """Whether an expression is one number: a lone symbol may be a word, and a percentage equals two numbers."""
    return (
        isinstance(expression, sympy.Expr)
        and not isinstance(expression, sympy.Symbol)
        and not expression.has(sympy.UnevaluatedExpr)
    )


def substitute_i(expression: Any) -> Any:
    """The expression with the imaginary unit for every variable that is called i."""
    return expression.subs({symbol: sympy.I for symbol in expression.free_symbols if str(symbol) == "i"})


def evaluate_at(
    expression: Any, names: Sequence[str], scales: tuple[int, ...], fixed: Mapping[Any, Any] | None = None
) -> Any:
    """The complex value of an expression to 40 digits; None where it has none (infinity, f(x)).

    Every variable has its own value, which depends on its name, times the one of `scales` that its place in `names`
    gives. `fixed`: values for variables that stand elsewhere.
    """
    fixed = fixed or {}
    point = {
        symbol: scales[names.index(str(symbol)) % 3]
        * (sympy.Float("0.5", 40) + sympy.sqrt(sympy.Float(2 + 4 * (crc32(str(symbol).encode()) % 999_983), 40)) % 1)
        for symbol in expression.free_symbols - fixed.keys()
    } | {**fixed}
    try:
        parts = expression.evalf(40, subs=point, maxn=200).as_real_imag()
        value = mpc(*(part._to_mpmath(140) for part in parts))
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return None
    if not isfinite(value):
        return None
    return mpc(*(0 if abs(part) < 1e-120 else part for part in (value.real, value.imag)))
