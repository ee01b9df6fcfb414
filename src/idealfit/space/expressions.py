"""Small arithmetic over keys, by a whitelist of the syntax tree, never by `eval`: `max(1, 10 * optimizer.lr)`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from idealfit.spec import SpaceError, nearest

Number = int | float

MAX_LENGTH = 300
MAX_RESULT = 1e100
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "exp": math.exp,
    "float": float,
    "int": int,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "round": round,
    "sqrt": math.sqrt,
}


@dataclass(frozen=True)
class Expression:
    """Arithmetic over numbers and dotted keys, checked when it is read.

    Attributes:
        text: As written.
        where: What it belongs to, for messages: `study.derive.scheduler.max_lr`.
    """

    text: str
    where: str

    def __post_init__(self) -> None:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                self._check_call(node)
        self.names  # noqa: B018 - walks it, and refuses what is no arithmetic

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The keys it names, in the order of their first use."""
        return tuple(dict.fromkeys(self._names(self._tree)))

    def value(self, values: Mapping[str, Any]) -> Number:
        """What it comes to.

        Args:
            values: The value of each key that it names.

        Raises:
            SpaceError: A key is missing or holds no number, or the result is not a finite number.
        """
        try:
            result: Number = self._value(self._tree, values)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise SpaceError(f"{self.where}: {self.text!r} can't be computed{self._with(values)}: {error}.") from error
        if not math.isfinite(result) or abs(result) > MAX_RESULT:
            raise SpaceError(f"{self.where}: {self.text!r} is {result}{self._with(values)}, no number to use.")
        return result

    def replaced(self, values: Mapping[str, Number]) -> Expression:
        """The same with some keys replaced by their values."""
        return Expression(ast.unparse(_Replace(values).visit(ast.parse(self.text, mode="eval"))), self.where)

    def __str__(self) -> str:
        return self.text

    @cached_property
    def _tree(self) -> ast.expr:
        if len(self.text) > MAX_LENGTH:
            raise SpaceError(f"{self.where}: an expression has at most {MAX_LENGTH} characters, got {len(self.text)}.")
        try:
            return ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise SpaceError(
                f"{self.where}: can't read {self.text!r}. Write arithmetic over keys, e.g. 10 * optimizer.lr."
            ) from None

    def _check_call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self._not_arithmetic()
        if node.func.id not in FUNCTIONS:
            raise SpaceError(
                f"{self.where}: {self.text!r} calls {node.func.id!r}. {nearest(node.func.id, FUNCTIONS)}".strip()
            )

    def _names(self, node: ast.expr) -> Iterator[str]:
        match node:
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                pass
            case ast.Name() | ast.Attribute():
                yield self._dotted(node)
            case ast.BinOp(op=op) if type(op) in OPERATORS or isinstance(op, ast.Pow):
                yield from self._names(node.left)
                yield from self._names(node.right)
            case ast.UnaryOp(op=op) if type(op) in OPERATORS:
                yield from self._names(node.operand)
            case ast.Call():
                for argument in node.args:
                    yield from self._names(argument)
            case _:
                raise self._not_arithmetic()

    def _dotted(self, node: ast.expr) -> str:
        match node:
            case ast.Name():
                return node.id
            case ast.Attribute():
                return f"{self._dotted(node.value)}.{node.attr}"
        raise self._not_arithmetic()

    def _value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.BinOp(op=ast.Pow()):
                return _power(self._value(node.left, values), self._value(node.right, values))
            case ast.BinOp():
                return OPERATORS[type(node.op)](self._value(node.left, values), self._value(node.right, values))
            case ast.UnaryOp():
                return OPERATORS[type(node.op)](self._value(node.operand, values))
            case ast.Call():
                assert isinstance(node.func, ast.Name)  # noqa: S101
                return FUNCTIONS[node.func.id](*(self._value(argument, values) for argument in node.args))
            case _:
                return self._number(self._dotted(node), values)

    def _number(self, name: str, values: Mapping[str, Any]) -> Number:
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            got = repr(value) if name in values else "nothing"
            raise SpaceError(f"{self.where}: {self.text!r} needs a number for {name}, got {got}.")
        return value

    def _with(self, values: Mapping[str, Any]) -> str:
        named = [f"{name}={values[name]}" for name in self.names if name in values]
        return f" with {' '.join(named)}" if named else ""

    def _not_arithmetic(self) -> SpaceError:
        return SpaceError(
            f"{self.where}: {self.text!r} is no arithmetic over keys. Use numbers, keys, + - * / // % ** and "
            f"{', '.join(FUNCTIONS)}."
        )


def _power(base: Number, exponent: Number) -> Number:
    """A power of integers is one where that is short: it may have more digits than there is memory."""
    if isinstance(base, int) and isinstance(exponent, int) and 0 <= exponent <= 64 and abs(base) <= 1000:
        return int(base**exponent)
    return math.pow(base, exponent)


class _Replace(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, Number]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._replaced(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._replaced(node)

    def _replaced(self, node: ast.expr) -> ast.expr:
        value = self._values.get(ast.unparse(node))
        return node if value is None else ast.Constant(value)
