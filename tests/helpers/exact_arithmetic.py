"""Plain arithmetic in a text, evaluated exactly."""

import ast
import operator
from fractions import Fraction

OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def evaluate(text: str) -> Fraction:
    """`2^3 * (4 + 5)` as a fraction."""

    def walk(node):
        if isinstance(node, ast.BinOp):
            return OPERATIONS[type(node.op)](walk(node.left), walk(node.right))
        if isinstance(node, ast.UnaryOp):
            return -walk(node.operand)
        return Fraction(node.value)

    return Fraction(walk(ast.parse(text.strip().replace("^", "**"), mode="eval").body))
