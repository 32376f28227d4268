"""One operator of a TFLite graph as a converter sees it, and the table of converters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.tflite.graph import Operator, Tensor
from tvm_farm.tracker.tuning.models.importers.values import Refused, Value, as_expression

__all__ = ["CONVERTERS", "QUANTIZED", "Converter", "Node", "converter"]


@dataclass(frozen=True)
class Node:
    """``inputs``, and ``given``, the tensors that they are in the file: None where it leaves an optional one out."""

    operator: Operator
    inputs: tuple[Value | None, ...]
    given: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    builder: relax.BlockBuilder

    @property
    def op(self) -> str:
        return self.operator.op

    @property
    def quantized(self) -> bool:
        """Whether any tensor that it computes with is."""
        return any(each is not None and each.scale is not None for each in (*self.given[:1], *self.outputs))

    def option(self, name: str, default: Any = 0) -> Any:
        """Of the operator's table of options; ``default`` where the file has none."""
        found = getattr(self.operator.options, name, None)
        return default if found is None else found

    def has(self, position: int) -> bool:
        """Whether the file gives the input at ``position``."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def value(self, position: int) -> Value:
        """Input at ``position``. Raises Refused where the file leaves it out."""
        found = self.inputs[position] if self.has(position) else None
        if found is None:
            raise Refused(f"its input {position} is missing")
        return found

    def tensor(self, position: int) -> relax.Expr:
        """Input at ``position`` as an expression, a constant where it is known."""
        return as_expression(self.value(position))

    def constant(self, position: int, what: str) -> np.ndarray:
        """Input at ``position``, which must be known. Raises Refused, where ``what`` names it: "its axes"."""
        value = self.value(position)
        if not isinstance(value, np.ndarray):
            raise Refused(f"{what} depend on the values of the model's inputs")
        return value

    def source(self, position: int) -> Tensor:
        """The tensor that is input ``position``. Raises Refused where the file leaves it out."""
        found = self.given[position] if position < len(self.given) else None
        if found is None:
            raise Refused(f"its input {position} is missing")
        return found

    def emit(self, expression: relax.Expr) -> relax.Var:
        """``expression`` bound to a variable, its type inferred."""
        return self.builder.emit(expression)

    def te(self, function: Callable[..., Any], *arguments: Any, name: str = "") -> relax.Var:
        """A tensor program that ``function`` writes in TE. Arrays among ``arguments`` become constants."""
        given = [as_expression(x) if isinstance(x, np.ndarray) else x for x in arguments]
        return self.builder.emit_te(function, *given, primfunc_name_hint=name or self.op.lower())


Converter: TypeAlias = "Callable[[Node], Value | Sequence[Value]]"
#: By operator, for tensors of numbers as they are. They come before TVM's own converters.
CONVERTERS: dict[str, Converter] = {}
#: By operator, for tensors that are quantized.
QUANTIZED: dict[str, Converter] = {}


def converter(*operators: str, quantized: bool | None = False) -> Callable[[Converter], Converter]:
    """Registers a function for ``operators`` on numbers as they are, on quantized tensors, or (None) on both.

    It returns the operator's outputs in order.
    """

    def register(function: Converter) -> Converter:
        tables = {False: [CONVERTERS], True: [QUANTIZED], None: [CONVERTERS, QUANTIZED]}[quantized]
        for table in tables:
            for operator in operators:
                assert operator not in table, f"{operator} has two converters"
                table[operator] = function
        return function

    return register
