"""Sizes of dynamic dimensions: formulas such as `Mul(Integer(2), Symbol('s77', integer=True))`, read without `eval`."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping

#: Characters of a formula at most: it comes from a file that anybody may have written.
LONGEST = 1000


def value(formula: str, symbols: Mapping[str, int]) -> int:
    """The size, given the symbols in it. Raises ValueError for anything but sums and products, KeyError for a symbol
    that is not given."""
    if len(formula) > LONGEST:
        raise ValueError("a formula that is too long")
    try:
        return _value(ast.parse(formula.strip(), mode="eval").body, symbols)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("a formula that is not read here") from None


def _value(node: ast.expr, symbols: Mapping[str, int]) -> int:
    match node:
        case ast.Constant(value=int(number)) if type(number) is int and abs(number) < 2**63:
            return number
        case ast.Name(id=name) | ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(name))]):
            return symbols[name]
        case ast.Call(func=ast.Name(id="Integer"), args=[number], keywords=[]):
            return _value(number, symbols)
        case ast.Call(func=ast.Name(id="Add"), args=parts, keywords=[]):
            return sum(_value(part, symbols) for part in parts)
        case ast.Call(func=ast.Name(id="Mul"), args=parts, keywords=[]):
            return math.prod(_value(part, symbols) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, symbols) + _value(right, symbols)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left, symbols) * _value(right, symbols)
    raise ValueError("a formula that is not read here")


class _Any(dict[str, int]):
    """Symbols that all have one value; it remembers those that were asked for."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def __missing__(self, name: str) -> int:
        self[name] = self.number
        return self.number


def symbols_in(formula: str) -> set[str]:
    """The names of the symbols. Raises ValueError as `value` does."""
    asked = _Any(1)
    value(formula, asked)
    return set(asked)


def solved(formula: str, size: int) -> tuple[str, int] | None:
    """The one symbol of a formula, and what it must be to make this size; None where there is no answer."""
    try:
        (symbol,) = symbols_in(formula)
        at_0, at_1, at_2 = (value(formula, {symbol: number}) for number in (0, 1, 2))
    except ValueError:
        return None
    slope = at_1 - at_0
    if slope <= 0 or at_2 - at_1 != slope or (size - at_0) % slope or size < at_0:
        return None
    return symbol, (size - at_0) // slope
