"""Operators that ONNX's own schema writes as a function of simpler ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx import defs

__all__ = ["body_of"]


def body_of(
    node: onnx.NodeProto, opset: int, input_types: Sequence[onnx.TypeProto | None]
) -> tuple[onnx.FunctionProto, list[onnx.NodeProto]] | None:
    """The function that computes ``node``, and its nodes with the attributes of ``node`` put in; None without one."""
    try:
        schema = defs.get_schema(node.op_type, opset, node.domain)
    except defs.SchemaError:
        return None
    function = onnx.FunctionProto()
    if schema.has_context_dependent_function:
        types = [(kind or onnx.TypeProto()).SerializeToString() for kind in input_types]
        version = _version(schema.context_dependent_function_opset_versions, opset)
        text = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
        function.ParseFromString(text)
    elif schema.has_function:
        text = schema.get_function_with_opset_version(_version(schema.function_opset_versions, opset))
        function.ParseFromString(text if isinstance(text, bytes) else text.SerializeToString())
    if not function.node:
        return None
    given = {attribute.name: attribute for attribute in node.attribute}
    for name, attribute in schema.attributes.items():
        if name not in given and attribute.default_value.name:
            given[name] = attribute.default_value
    return function, [_bound(each, given) for each in function.node]


def _version(versions: Sequence[int], opset: int) -> int:
    """The newest body for ``opset``."""
    older = [version for version in versions if version <= opset]
    return max(older) if older else min(versions)


def _bound(node: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto]) -> onnx.NodeProto:
    bound = onnx.NodeProto()
    bound.CopyFrom(node)
    del bound.attribute[:]
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            for graph in [attribute.g, *attribute.graphs] if attribute.HasField("g") or attribute.graphs else ():
                inner = [_bound(each, given) for each in graph.node]
                del graph.node[:]
                graph.node.extend(inner)
            bound.attribute.add().CopyFrom(attribute)
        elif attribute.ref_attr_name in given:
            put = bound.attribute.add()
            put.CopyFrom(given[attribute.ref_attr_name])
            put.name = attribute.name
    return bound
