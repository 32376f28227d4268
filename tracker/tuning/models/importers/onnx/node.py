"""One node of an ONNX graph as a converter sees it, and the table of converters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.values import (
    PACKED,
    Refused,
    Value,
    as_expression,
    dtype_of,
    shape_of,
    whole_bytes,
)

__all__ = [
    "CONVERTERS",
    "MOST_REPEATED",
    "OWN_SHAPES",
    "PACKED",
    "Converter",
    "Node",
    "Refused",
    "Value",
    "as_expression",
    "converter",
    "dtype_of",
    "shape_of",
    "whole_bytes",
]

#: Nodes that loops may become. Each takes milliseconds to import, and again to compile.
MOST_REPEATED = 5000


@dataclass(frozen=True)
class Node:
    """``inputs``: None where the file leaves an optional one out. ``opset``: version of the set of its domain."""

    proto: onnx.NodeProto
    opset: int
    inputs: tuple[Value | None, ...]
    builder: relax.BlockBuilder
    #: Outputs of a graph among the attributes, whose own inputs get the values given in order. ``repeated``: one more
    #: time of several; it raises Refused beyond ``MOST_REPEATED`` nodes of a model.
    subgraph: Callable[..., list[Value]]
    #: Tells whoever uses the model a sentence about this node, which begins where 'node N (Op): ' ends. The expression
    #: is one that it depends on, as in ``Refused``.
    note: Callable[[str, relax.Expr | None], None]

    @property
    def op(self) -> str:
        return str(self.proto.op_type)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of its outputs, "" where nobody wants one."""
        return tuple(self.proto.output)

    def attribute(self, name: str, default: Any = None) -> Any:
        """Value of an attribute as Python has it (text decoded, tensors as arrays, lists as tuples)."""
        for attribute in self.proto.attribute:
            if attribute.name == name:
                return _python(attribute)
        return default

    def has(self, position: int) -> bool:
        """Whether the file gives the input at ``position``. An empty constant counts where the operator takes it so."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def value(self, position: int) -> Value:
        """Input at ``position``. Raises Refused where the file leaves it out."""
        if not self.has(position):
            raise Refused(f"its input {position} is missing")
        found = self.inputs[position]
        assert found is not None
        return found

    def known(self, position: int) -> np.ndarray | None:
        """Input at ``position`` where it is known while importing, else None."""
        value = self.inputs[position] if self.has(position) else None
        return value if isinstance(value, np.ndarray) else None

    def constant(self, position: int, what: str) -> np.ndarray:
        """Input at ``position``, which must be known. Raises Refused, where ``what`` names it: "its axes"."""
        value = self.value(position)
        if not isinstance(value, np.ndarray):
            raise Refused(f"{what} depend on the values of the model's inputs", value)
        return value

    def tensor(self, position: int) -> relax.Expr:
        """Input at ``position`` as an expression, a constant where it is known."""
        return as_expression(self.value(position))

    def shape(self, position: int) -> tuple[int, ...]:
        """Static shape of the input at ``position``."""
        return shape_of(self.value(position))

    def dtype(self, position: int) -> str:
        """Name of the dtype of the input at ``position``."""
        return dtype_of(self.value(position))

    def emit(self, expression: relax.Expr) -> relax.Var:
        """``expression`` bound to a variable, its type inferred."""
        return self.builder.emit(expression)

    def te(self, function: Callable[..., Any], *arguments: Any, name: str = "") -> relax.Var:
        """A tensor program that ``function`` writes in TE. Arrays among ``arguments`` become constants."""
        given = [as_expression(x) if isinstance(x, np.ndarray) else x for x in arguments]
        return self.builder.emit_te(function, *given, primfunc_name_hint=name or self.op.lower())


Converter: TypeAlias = "Callable[[Node], Value | Sequence[Value]]"
#: By domain ("" is ONNX's own) and operator. They come before TVM's own converters.
CONVERTERS: dict[tuple[str, str], Converter] = {}
#: Operators for whose shapes ONNX's inference errs: only the dtype that it infers is held against a converter.
OWN_SHAPES: set[tuple[str, str]] = set()


def converter(*operators: str, domain: str = "", own_shapes: bool = False) -> Callable[[Converter], Converter]:
    """Registers a function for ``operators`` of ``domain``, of every version: ``node.opset`` tells which.

    ``own_shapes``: see ``OWN_SHAPES``.
    It returns the node's outputs in order, as many as the node names or more.
    """

    def register(function: Converter) -> Converter:
        for operator in operators:
            assert (domain, operator) not in CONVERTERS, f"{operator} has two converters"
            CONVERTERS[domain, operator] = function
            if own_shapes:
                OWN_SHAPES.add((domain, operator))
        return function

    return register


def _python(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    if attribute.type == onnx.AttributeProto.STRINGS:
        return tuple(text.decode(errors="replace") for text in value)
    return tuple(value) if isinstance(value, list) or hasattr(value, "append") else value
