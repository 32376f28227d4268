"""TVM's own converters, watched: none may overlook an attribute that the file sets.

The importer of TVM 0.27 drops what it does not know (``antialias`` of Resize, ``output_shape`` of ConvTranspose). Here
an attribute that a converter never asked for refuses the node, unless it has the value that leaving it out means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import tvm
from onnx import defs
from tvm import relax
from tvm.relax.frontend.onnx import onnx_frontend

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, as_expression
from tvm_farm.tracker.tuning.models.importers.watched import WatchedDict

__all__ = ["SEQUENCES", "convert", "has_converter"]

_MAP: Mapping[str, Any] = onnx_frontend._get_convert_map()
#: Of com.microsoft those that TVM's importer means by these names.
_MICROSOFT = {"MatMulInteger16"}
#: Values that are no tensors: TVM's converters of these end the process.
SEQUENCES = {
    "ConcatFromSequence",
    "Optional",
    "OptionalGetElement",
    "OptionalHasElement",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceErase",
    "SequenceInsert",
    "SequenceLength",
    "SequenceMap",
    "SplitToSequence",
}
#: Wrong in TVM 0.27 whatever the attributes, and without a converter of the farm's own: refused or expanded.
DISTRUSTED = {
    # The attention of com.microsoft, asked for ONNX's.
    "Attention",
    "NonMaxSuppression",
    *SEQUENCES,
}
#: Operators whose second input holds places on an axis of the first.
_LOOKUPS = {"Gather", "GatherElements", "ScatterElements"}
#: Attributes without any bearing on the answer.
_MEANINGLESS = {"consumed_inputs", "doc_string"}


def has_converter(domain: str, operator: str) -> bool:
    """Whether TVM's importer has one that may be trusted."""
    if domain == "com.microsoft":
        return operator in _MICROSOFT
    return domain == "" and operator in _MAP and operator not in DISTRUSTED and operator not in _MICROSOFT


def convert(node: Node) -> list[Value]:
    """Outputs of ``node`` by TVM's converter. Raises Refused, and whatever TVM raises."""
    attributes = WatchedDict(onnx_frontend.ONNXGraphImporter({}, {})._parse_attr(node.proto.attribute))
    attributes.update(tvm_custom={"name": node.proto.name, "num_outputs": len(node.proto.output)})
    if node.op in _LOOKUPS:
        _check_indices(node)
    inputs = onnx_frontend.onnx_input()
    inputs.extend(None if value is None else as_expression(value) for value in node.inputs)
    run = _MAP[node.op].get_converter(node.opset)
    result = run(node.builder, inputs, attributes, [{}, {}])
    if (overlooked := _overlooked(node, attributes)) is not None:
        raise Refused(f"TVM {tvm.__version__} overlooks its attribute {overlooked}")
    if not isinstance(result, relax.Expr):
        raise Refused(f"TVM {tvm.__version__} makes no tensor of it")
    result = node.builder.normalize(result)
    if isinstance(result, relax.Tuple):
        return [_bound(node, field) for field in result.fields]
    if isinstance(result.ty, relax.TupleType):
        whole = node.emit(result)
        return [node.emit(relax.TupleGetItem(whole, at)) for at in range(len(result.ty.fields))]
    return [_bound(node, result)]


def _check_indices(node: Node) -> None:
    """Raises Refused where known indices lie beyond the data: a kernel would read or write somebody else's memory."""
    indices, size = node.known(1), node.shape(0)[int(node.attribute("axis", 0))]
    if indices is not None and (beyond := indices[(indices < -size) | (indices >= size)]).size:
        raise Refused(f"its index {beyond.flat[0]} lies beyond an axis of {size}")


def _overlooked(node: Node, attributes: WatchedDict) -> str | None:
    known = defs.get_schema(node.op, node.opset, node.proto.domain).attributes
    for attribute in node.proto.attribute:
        if attribute.name in attributes.asked or attribute.name in _MEANINGLESS:
            continue
        default = known[attribute.name].default_value if attribute.name in known else onnx.AttributeProto()
        if default.name and onnx.helper.get_attribute_value(default) == onnx.helper.get_attribute_value(attribute):
            continue
        return str(attribute.name)
    return None


def _bound(node: Node, value: relax.Expr) -> Value:
    """A variable, or a constant as it is known."""
    if isinstance(value, tvm.ir.GenericConst):
        return value.value.numpy()
    return value if isinstance(value, relax.Var) else node.emit(value)
