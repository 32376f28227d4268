"""What an integer input must be, so that random values of it mean something: within the table that they are looked up
in, and not 0 where they divide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx

from tvm_farm.tracker.tuning.models.importers.onnx.node import Value, shape_of

__all__ = ["index_bounds"]

#: Operators whose first input comes out with the same values, elsewhere or of another dtype.
_MOVES = {
    *("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Expand", "Slice", "Tile"),
    *("Gather", "Concat", "Split", "Pad", "Clip"),
}
#: By their second input. Random divisors end below ten.
_DIVIDES, _DIVISOR_END = {"Div", "Mod"}, 10
#: com.microsoft: positions of the indices, and of the table whose rows they name.
_EMBEDDED = {"EmbedLayerNormalization": ((0, 2), (1, 4))}


def index_bounds(graph: onnx.GraphProto, values: Mapping[str, Value], inputs: Sequence[str]) -> dict[str, range]:
    """For inputs that look something up in the main graph, up to the end of the smallest table, or divide."""
    origins = {name: name for name in inputs}
    bounds: dict[str, int] = {}
    divisors: set[str] = set()
    for node in graph.node:
        if node.op_type in _DIVIDES and len(node.input) > 1 and node.input[1] in origins:
            divisors.add(origins[node.input[1]])
        for indices, end in _looked_up(node, values):
            origin = origins.get(indices)
            if origin is not None and end > 0:
                bounds[origin] = min(end, bounds.get(origin, end))
        if node.op_type in _MOVES and node.input and node.input[0] in origins:
            origins.update(dict.fromkeys(node.output, origins[node.input[0]]))
    ends = {name: bounds.get(name, _DIVISOR_END) for name in {*bounds, *divisors}}
    return {name: range(int(name in divisors and end > 1), end) for name, end in ends.items()}


def _looked_up(node: onnx.NodeProto, values: Mapping[str, Value]) -> Iterator[tuple[str, int]]:
    """Names of indices, and the end of what they index."""
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type in ("Gather", "GatherElements", "ScatterElements") and len(node.input) > 1:
        shape = shape_of(values[node.input[0]]) if node.input[0] in values else ()
        axis = attributes.get("axis", 0)
        if -len(shape) <= axis < len(shape):
            yield node.input[1], shape[axis]
    elif node.op_type == "OneHot" and node.input[1] in values:
        depth = values[node.input[1]]
        if isinstance(depth, np.ndarray):
            yield node.input[0], int(depth.reshape(-1)[0])
    for indices, table in _EMBEDDED.get(node.op_type, ()):
        if table < len(node.input) and node.input[table] in values and node.input[indices]:
            yield node.input[indices], shape_of(values[node.input[table]])[0]
