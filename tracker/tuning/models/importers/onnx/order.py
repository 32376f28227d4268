"""Nodes come after what they take. ONNX asks files for that, and ONNX Runtime runs those that do not heed it."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import onnx

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.onnx.cut import uses
from tvm_farm.tracker.tuning.models.importers.wording import where

__all__ = ["put_in_order"]


def put_in_order(graph: onnx.GraphProto, name: str) -> None:
    """Sort the nodes of ``graph`` where one takes what only a later one gives.

    Raises InputError, which names a node, where they wait for each other.
    """
    makers = {output: number for number, node in enumerate(graph.node) for output in node.output if output}
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    needs = [{makers[each] for each in uses(node) - known if each in makers} for node in graph.node]
    if all(max(needed, default=-1) < number for number, needed in enumerate(needs)):
        return
    try:
        order = list(TopologicalSorter(dict(enumerate(needs))).static_order())
    except CycleError as error:
        number = error.args[1][0]
        told = where(graph.node[number], number)
        raise InputError(f"{name}: {told}: it takes what is computed of its own output.") from error
    nodes = [graph.node[number] for number in order]
    copies = [onnx.NodeProto() for _ in nodes]
    for copy, node in zip(copies, nodes, strict=True):
        copy.CopyFrom(node)
    del graph.node[:]
    graph.node.extend(copies)
