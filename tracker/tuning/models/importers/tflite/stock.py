"""TVM's own converters, where they were found to answer as LiteRT does.

They read the file's tables, so they are given one of the model as it is after ``read_graph``: with the shapes that
LiteRT found, every name once, and what is known as constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np
import tflite
import tvm
from tvm import relax
from tvm.relax.frontend.tflite import tflite_frontend

from tvm_farm.tracker.tuning.models.importers.tflite.graph import Graph, Tensor
from tvm_farm.tracker.tuning.models.importers.tflite.node import Node
from tvm_farm.tracker.tuning.models.importers.values import Refused, Value, as_expression

__all__ = ["TRUSTED", "Stock"]

#: On numbers as they are. tests/system/importers/test_tflite.py holds each against LiteRT.
TRUSTED = frozenset(
    {
        "CONV_3D", "DILATE", "FAKE_QUANT", "RIGHT_SHIFT", "SEGMENT_SUM", "UNSORTED_SEGMENT_MAX",
        "UNSORTED_SEGMENT_MIN", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_SUM",
    }
)  # fmt: skip


class Stock:
    """TVM's converters for one walk. ``value``: of a tensor by its number."""

    def __init__(self, graph: Graph, builder: relax.BlockBuilder, value: Callable[[int], Value]) -> None:
        self._model = tflite.Model.GetRootAs(_packed(graph), 0)
        subgraph = self._model.Subgraphs(0)
        self._converter = _Converter(self._model, subgraph, tflite_frontend.ExprTable(), builder)
        self._converter.value = value
        self._operators = {id(each): subgraph.Operators(at) for at, each in enumerate(graph.operators)}

    def convert(self, node: Node) -> list[Value]:
        """Outputs of ``node``. Raises Refused, and whatever TVM raises."""
        result = self._converter.convert_map[node.op](op=self._operators[id(node.operator)])
        if not isinstance(result, relax.Expr):
            raise Refused(f"TVM {tvm.__version__} makes no tensor of it")
        result = node.builder.normalize(result)
        if isinstance(result, relax.Tuple):
            return [node.emit(field) for field in result.fields]
        if isinstance(result.ty, relax.TupleType):
            whole = node.emit(result)
            return [node.emit(relax.TupleGetItem(whole, at)) for at in range(len(result.ty.fields))]
        return [node.emit(result)]


class _Converter(tflite_frontend.OperatorConverter):  # type: ignore[misc]
    """Values come from the walk, by number: the frontend's own table goes by names, which a file may use twice."""

    value: Callable[[int], Value]

    def get_expr(self, input_tensor_idx: int) -> relax.Expr:
        return as_expression(self.value(int(input_tensor_idx)))

    def has_expr(self, input_tensor_idx: int) -> bool:
        return not isinstance(self.value(int(input_tensor_idx)), np.ndarray)

    def get_tensor_expr(self, tensor: Any, is_sparse: bool = False) -> relax.Expr:
        return self.get_expr(tensor.tensor_idx)

    def get_tensor_value(self, tensor_wrapper: Any, is_sparse: bool = False) -> np.ndarray:
        value = self.value(int(tensor_wrapper.tensor_idx))
        if not isinstance(value, np.ndarray):
            raise Refused(f"TVM {tvm.__version__} needs its inputs beyond the first while importing")
        return value


def _packed(graph: Graph) -> bytes:
    """``graph`` in a file again, without data: values come from elsewhere."""
    codes: dict[str, int] = {}
    operators = []
    for each in graph.operators:
        at = codes.setdefault(each.op, len(codes))
        proto = each.proto
        operators.append(
            schema.OperatorT(
                opcodeIndex=at,
                inputs=list(each.inputs),
                outputs=list(each.outputs),
                builtinOptionsType=proto.builtinOptionsType,
                builtinOptions=proto.builtinOptions,
            )
        )
    subgraph = schema.SubGraphT(
        tensors=[_tensor(each) for each in graph.tensors],
        inputs=list(graph.inputs),
        outputs=list(graph.outputs),
        operators=operators,
        name="main",
    )
    model = schema.ModelT(
        version=3,
        operatorCodes=[_code(op) for op in codes],
        subgraphs=[subgraph],
        buffers=[schema.BufferT()],
        description="",
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _code(op: str) -> Any:
    known: Mapping[str, int] = vars(schema.BuiltinOperator)
    code = known.get(op, schema.BuiltinOperator.CUSTOM)
    return schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), customCode=op, version=1)


def _tensor(tensor: Tensor) -> Any:
    kind = getattr(schema.TensorType, tensor.dtype.upper(), schema.TensorType.FLOAT32)
    return schema.TensorT(shape=list(tensor.shape), type=kind, name=f"t{tensor.number}", hasRank=True)
