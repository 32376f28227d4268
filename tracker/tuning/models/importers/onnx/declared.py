"""What ONNX infers for a node, and whether that is something a worker has room for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper, shape_inference

from tvm_farm.tracker.tuning.models.importers.onnx.evaluate import tensor_kind
from tvm_farm.tracker.tuning.models.importers.onnx.node import OWN_SHAPES, Node, Refused, Value, dtype_of, shape_of

__all__ = ["MOST_BYTES", "check_room", "check_shape", "declared", "numpy_dtype", "type_of"]

#: Bytes of one value. A few numbers in a file are enough to ask for terabytes.
MOST_BYTES = 4 << 30
#: Known inputs up to this size take part in ONNX's type inference: axes, shapes, pads.
_MAX_INFERRED_BYTES = 4096


def check_room(types: Sequence[onnx.TypeProto | None]) -> None:
    """Raises Refused where one of the ``types`` is a tensor of more than ``MOST_BYTES``."""
    for each in types:
        tensor = each.tensor_type if each is not None else onnx.TypeProto.Tensor()
        if tensor.elem_type and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
            check_shape([dim.dim_value for dim in tensor.shape.dim], dtype.name)


def check_shape(shape: Sequence[int], dtype: str) -> None:
    """Raises Refused for a tensor of more than ``MOST_BYTES``."""
    if math.prod(shape) * numpy_dtype(dtype).itemsize > MOST_BYTES:
        told = ",".join(map(str, shape))
        raise Refused(f"its output of shape ({told}) takes more than {MOST_BYTES >> 30} GiB, the most for one value")


def declared(node: Node, opsets: Mapping[str, onnx.OperatorSetIdProto]) -> list[onnx.TypeProto | None]:
    """What ONNX infers for each output, None where it says nothing."""
    silent: list[onnx.TypeProto | None] = [None] * max(1, len(node.proto.output))
    try:
        schema = defs.get_schema(node.op, node.opset, node.proto.domain)
        names = [name for name, value in zip(node.proto.input, node.inputs, strict=True) if value is not None]
        given = [value for value in node.inputs if value is not None]
        small = {
            name: numpy_helper.from_array(value, name)
            for name, value in zip(names, given, strict=True)
            if isinstance(value, np.ndarray) and value.nbytes <= _MAX_INFERRED_BYTES
        }
        types = {name: type_of(value) for name, value in zip(names, given, strict=True)}
        found = shape_inference.infer_node_outputs(
            schema, _whole(node.proto, schema), types, small, opset_imports=list(opsets.values()), ir_version=10
        )
    except Exception:  # noqa: BLE001 - an operator without schema, an inference stricter than the runtime
        return silent
    if ("", node.op) in OWN_SHAPES:
        for kind in found.values():
            kind.tensor_type.ClearField("shape")
    return [found.get(name) if name else None for name in node.proto.output]


def _whole(proto: onnx.NodeProto, schema: defs.OpSchema) -> onnx.NodeProto:
    """``proto`` with its defaults written out: ONNX's inference has some of its own (onesided of STFT)."""
    named = {attribute.name for attribute in proto.attribute}
    absent = [a.default_value for name, a in schema.attributes.items() if name not in named and a.default_value.name]
    if not absent:
        return proto
    whole = onnx.NodeProto()
    whole.CopyFrom(proto)
    whole.attribute.extend(absent)
    return whole


def type_of(value: Value | None) -> onnx.TypeProto | None:
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        return helper.make_tensor_type_proto(tensor_kind(value), value.shape)
    kind = helper.np_dtype_to_tensor_dtype(numpy_dtype(dtype_of(value)))
    return helper.make_tensor_type_proto(kind, shape_of(value))


def numpy_dtype(dtype: str) -> np.dtype:
    import ml_dtypes  # noqa: F401 - teaches numpy names such as bfloat16

    return np.dtype(dtype)
