"""A graph looked at to its end: a refused node is taken for one that gives what ONNX says it gives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from tvm import relax

from tvm_farm.tracker.domain import TensorOutline
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.onnx.node import Value, dtype_of, shape_of
from tvm_farm.tracker.tuning.models.importers.survey import Fate, Survey
from tvm_farm.tracker.tuning.models.importers.wording import operator_name, where

__all__ = ["UNKNOWN", "GraphSurvey", "Unjudged"]

#: In place of a value of which not even the shape is known.
UNKNOWN: Any = object()
_DTYPES = set(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}


class Unjudged(Exception):
    """A node has an input of which nothing is known, and nothing can be said of it."""


class GraphSurvey(Survey):
    """Survey of an ONNX file."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._declared: dict[str, onnx.TypeProto] = {}

    def begin(self, model: onnx.ModelProto) -> None:
        """What is known before any node is looked at. The functions of ``model`` are inlined."""
        graph = model.graph
        self._declared = {
            value.name: value.type for each in _graphs(graph) for value in (*each.value_info, *each.output)
        }
        self.outputs = tuple(TensorOutline(value.name, *_outline(value.type)) for value in graph.output)
        for tensor in (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)):
            if tensor.data_type in _DTYPES and tensor.data_type != onnx.TensorProto.STRING:
                size = math.prod(tensor.dims)
                self.parameters += size
                self.parameter_bytes += size * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        if self.obstacles:  # an input is open
            for node in graph.node:
                self.unjudged(node)
            self.stop()

    def input_refused(self, value: onnx.ValueInfoProto, error: InputError) -> None:
        self.inputs += (TensorOutline(value.name, *_outline(value.type)),)
        self.obstacle("", "", str(error))

    def converted(self, node: onnx.NodeProto, fate: Fate, values: Sequence[Value] = ()) -> None:
        known = bool(values) and all(isinstance(value, np.ndarray) for value in values)
        self.met(_key(node), operator_name(node), Fate.FOLDED if known else fate)

    def unjudged(self, node: onnx.NodeProto) -> list[Value]:
        """Values in place of its outputs."""
        self.met(_key(node), operator_name(node), Fate.UNKNOWN)
        return [UNKNOWN] * len(node.output)

    def refused(
        self,
        node: onnx.NodeProto,
        number: int,
        reason: str,
        inputs: Sequence[Value | None],
        inferred: Sequence[onnx.TypeProto | None],
    ) -> list[Value]:
        """Values in place of its outputs, ``inferred`` by ONNX. ``number``: its place in its graph."""
        self.met(_key(node), operator_name(node), Fate.REFUSED)
        self.obstacle(where(node, number), operator_name(node), reason.removeprefix(f"{where(node, number)}: "))
        if not any(isinstance(value, relax.Expr) for value in inputs):
            # It would have been computed, and others may need the numbers.
            return [UNKNOWN] * len(node.output)
        return [
            _placeholder(name, kind or self._declared.get(name))
            for name, kind in zip(node.output, inferred, strict=False)
        ]

    def gave(self, values: Mapping[str, Value]) -> None:
        """Shapes of outputs, as far as the walk knows them now. Raises InputError where something is in the way."""
        self.outputs = tuple(
            TensorOutline(each.name, tuple(map(str, shape_of(value))), dtype_of(value))
            if (value := values.get(each.name, UNKNOWN)) is not UNKNOWN
            else each
            for each in self.outputs
        )
        self.stop()


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """It and those of its branches and bodies."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _graphs(inner)


def _key(node: onnx.NodeProto) -> tuple[object, ...]:
    return node.domain, node.op_type, node.name, tuple(node.input), tuple(node.output)


def _placeholder(name: str, kind: onnx.TypeProto | None) -> Value:
    dims, dtype = _outline(kind) if kind is not None else ((), "")
    if not dtype or dtype == "string" or not all(size.isdigit() for size in dims):
        return UNKNOWN
    return relax.Var(name or "left_out", relax.TensorType([int(size) for size in dims], dtype))


def _outline(kind: onnx.TypeProto) -> tuple[tuple[str, ...], str]:
    """Dims and dtype as of a TensorOutline."""
    tensor = kind.tensor_type
    if tensor.elem_type not in _DTYPES:
        return ("...",), ""
    strings = tensor.elem_type == onnx.TensorProto.STRING
    dtype = "string" if strings else np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    if not tensor.HasField("shape"):
        return ("...",), dtype
    sizes = (str(dim.dim_value) if dim.dim_value > 0 else dim.dim_param or "?" for dim in tensor.shape.dim)
    return tuple(sizes), dtype
