"""Functions of a model's own are written out where they are called, by ONNX's inliner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx
import onnx.inliner

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.wording import sentence

__all__ = ["inlined"]

#: Nodes that a model may have once its functions are written out: functions that call others twice double each time.
_MOST_NODES = 200_000

_Key = tuple[str, str, str]


def inlined(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """``model`` without functions. Raises InputError where they call themselves or become too many nodes."""
    if not model.functions:
        return model
    functions = {(each.domain, each.name, each.overload): each for each in model.functions}
    sizes: dict[_Key, int] = {}

    def size(nodes: Iterable[onnx.NodeProto], callers: tuple[_Key, ...] = ()) -> int:
        total = 0
        for node in _within(nodes):
            key = (node.domain, node.op_type, node.overload)
            if key in callers:
                raise InputError(f"{name}: its function {key[1]} calls itself, which ONNX does not allow.")
            if key in functions and key not in sizes:
                sizes[key] = size(functions[key].node, (*callers, key))
            total += sizes.get(key, 1)
        return total

    try:
        if size(model.graph.node) > _MOST_NODES:
            raise InputError(f"{name}: its functions, written out, are more than {_MOST_NODES} nodes.")
        return onnx.inliner.inline_local_functions(model)
    except InputError:
        raise
    except Exception as error:  # what ONNX's checker and C++ raise at functions that are none
        raise InputError(f"{name}: its functions cannot be written out: {sentence(error)}.") from error


def _within(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """``nodes`` and those of their branches and bodies."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _within(graph.node)
