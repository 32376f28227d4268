"""Loop and Scan: their body is written out, iteration after iteration, with what does not change in it computed once.

A ``Loop`` whose end a computed condition tells runs as often as it may: beyond its end its values stay as they are.
That is right as long as iterations that do not count can be computed at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.onnx.evaluate import RANDOM
from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    MOST_REPEATED,
    Node,
    Refused,
    Value,
    as_expression,
    converter,
    dtype_of,
    shape_of,
)
from tvm_farm.tracker.tuning.models.importers.onnx.operators.control import chosen

#: Operators that a position beyond all bounds breaks, and those that an integer of 0 does.
_LOOKUPS = {"Gather", "GatherElements", "GatherND", "Scatter", "ScatterElements", "ScatterND"}
_DIVISIONS = {"Div", "Mod"}
#: Tensors that one kernel puts together: it asks for every element which of them it comes from.
_STACKED = 16


@dataclass(frozen=True)
class _Body:
    """A body in two parts: ``varying`` takes the body's inputs, then ``invariant``, which is computed once."""

    node: Node
    varying: onnx.GraphProto
    invariant: tuple[Value, ...]

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        """Outputs of one iteration."""
        return self.node.subgraph(self.varying, [*inputs, *self.invariant], repeated=True)


def _body(node: Node) -> _Body:
    graph: onnx.GraphProto = node.attribute("body")
    varies = {value.name for value in graph.input}
    constants = onnx.GraphProto(initializer=graph.initializer, sparse_initializer=graph.sparse_initializer)
    varying = onnx.GraphProto(input=graph.input, output=graph.output)
    names = [tensor.name for tensor in graph.initializer] + [each.values.name for each in graph.sparse_initializer]
    for each in graph.node:
        if varies.isdisjoint(_reads(each)) and each.op_type not in RANDOM:
            constants.node.append(each)
            names.extend(filter(None, each.output))
        else:
            varying.node.append(each)
            varies.update(each.output)
    for name in names:
        constants.output.add().name = name
        varying.input.add().name = name
    return _Body(node, varying, tuple(node.subgraph(constants)))


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names that ``node`` uses, itself or in its inner graphs."""
    yield from node.input
    for graph in _graphs(node):
        for each in graph.node:
            yield from _reads(each)
        yield from (output.name for output in graph.output)


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _operators(graph: onnx.GraphProto) -> set[str]:
    inner = (_operators(each) for node in graph.node for each in _graphs(node))
    return {node.op_type for node in graph.node}.union(*inner)


@converter("Loop")
def loop(node: Node) -> list[Value]:
    trips = int(node.constant(0, "its iterations").reshape(-1)[0]) if node.has(0) else None
    goes_on = node.value(1) if node.has(1) else np.array(True)
    body, state = _body(node), [node.value(at) for at in range(2, len(node.inputs))]
    collected: list[list[Value]] = [[] for _ in body.varying.output[1 + len(state) :]]
    iteration = 0
    while (trips is None or iteration < trips) and not _is(goes_on, False):
        if not isinstance(goes_on, np.ndarray):
            _check_masked(node, goes_on, state, trips)
        told, *results = body.run([np.array(iteration, np.int64), np.array(True), *state])
        new, iteration = results[: len(state)], iteration + 1
        state = new if _is(goes_on, True) else [chosen(node, goes_on, *each) for each in zip(new, state, strict=True)]
        for values, value in zip(collected, results[len(state) :], strict=True):
            values.append(value)
        if node.has(1):
            goes_on = _both(node, goes_on, told)
    if not iteration and collected:
        # Their shape is that of an iteration which nobody uses.
        results = body.run([np.array(0, np.int64), np.array(True), *state])[1 + len(state) :]
        return [*state, *(np.zeros((0, *shape_of(value)), dtype_of(value)) for value in results)]
    return [*state, *(_stacked(node, values, 0) for values in collected)]


def _is(condition: Value, known: bool) -> bool:
    return isinstance(condition, np.ndarray) and bool(condition.all()) is known


def _both(node: Node, goes_on: Value, told: Value) -> Value:
    if isinstance(goes_on, np.ndarray) or _is(told, False):
        return told
    if isinstance(told, np.ndarray):
        return goes_on
    before, after = (node.emit(relax.op.reshape(each, ())) for each in (goes_on, told))
    return node.emit(relax.op.logical_and(before, after))


def _check_masked(node: Node, goes_on: relax.Expr, state: Sequence[Value], trips: int | None) -> None:
    """Raises Refused where iterations beyond the end cannot be computed and dropped."""
    told = "when it ends depends on the values of the model's inputs"
    if trips is None:
        raise Refused(f"{told}, and it has no highest trip count", goes_on)
    if any(node.outputs[len(state) :]):
        raise Refused(f"{told}, and so does the shape of what it collects", goes_on)
    operators = _operators(node.attribute("body"))
    if found := sorted(operators & _LOOKUPS):
        raise Refused(f"{told}, and its {found[0]} may reach beyond its data after that", goes_on)
    integers = "Cast" in operators or any("int" in dtype_of(value) for value in state)
    if integers and (found := sorted(operators & _DIVISIONS)):
        raise Refused(f"{told}, and its {found[0]} may divide an integer by 0 after that", goes_on)


@converter("Scan")
def scan(node: Node) -> list[Value]:
    if node.opset < 9:
        return _batched(node)
    count = int(node.attribute("num_scan_inputs"))
    given = [node.value(at) for at in range(len(node.inputs))]
    state, sequences = given[:-count], given[-count:]
    body, zeros = _body(node), (0,) * len(given)
    axes = [
        axis % len(shape_of(value))
        for axis, value in zip(node.attribute("scan_input_axes", zeros[:count]), sequences, strict=True)
    ]
    outputs = len(body.varying.output) - len(state)
    final, collected = _scanned(body, state, sequences, axes, node.attribute("scan_input_directions", zeros[:count]))
    places = node.attribute("scan_output_axes", (0,) * outputs)
    turned = node.attribute("scan_output_directions", (0,) * outputs)
    stacks = zip(collected, places, turned, strict=True)
    return [*final, *(_stacked(node, values[::-1] if back else values, axis) for values, axis, back in stacks)]


def _batched(node: Node) -> list[Value]:
    """Version 8: all has a batch in front, and the lengths of its sequences come first."""
    given = [node.value(at) for at in range(1, len(node.inputs))]
    count = int(node.attribute("num_scan_inputs"))
    batch, steps = shape_of(given[-1])[:2]
    lengths = node.constant(0, "its sequence lengths") if node.has(0) else np.full(batch, steps)
    if np.any(lengths != steps):
        raise Refused(f"its sequences of lengths {lengths.tolist()} are shorter than the {steps} steps of its input")
    directions = node.attribute("directions", (0,) * count)
    body, rows = _body(node), []
    for each in zip(*(_split(node, value, 0) for value in given), strict=True):
        final, collected = _scanned(body, each[:-count], each[-count:], [0] * count, directions)
        rows.append([*final, *(_stacked(node, values, 0) for values in collected)])
    return [_stacked(node, column, 0) for column in zip(*rows, strict=True)]


def _scanned(
    body: _Body, state: Sequence[Value], sequences: Sequence[Value], axes: Sequence[int], directions: Sequence[int]
) -> tuple[list[Value], list[list[Value]]]:
    """The last state, and what each scan output collected."""
    steps = {shape_of(value)[axis] for value, axis in zip(sequences, axes, strict=True)}
    if len(steps) != 1:
        raise Refused(f"its inputs have {' and '.join(map(str, sorted(steps)))} steps")
    (count,) = steps
    if not count:
        raise Refused("its inputs have no steps")
    if count * len(body.varying.node) > MOST_REPEATED:
        size = len(body.varying.node)
        raise Refused(f"written out, its {count} steps of {size} nodes are more than {MOST_REPEATED} nodes")
    columns = [
        _split(body.node, value, axis)[:: -1 if back else 1]
        for value, axis, back in zip(sequences, axes, directions, strict=True)
    ]
    now = list(state)
    collected: list[list[Value]] = [[] for _ in body.varying.output[len(state) :]]
    for elements in zip(*columns, strict=True):
        results = body.run([*now, *elements])
        now = results[: len(now)]
        for values, value in zip(collected, results[len(now) :], strict=True):
            values.append(value)
    return now, collected


def _split(node: Node, value: Value, axis: int) -> list[Value]:
    """Slices of ``value`` along ``axis``, which they have not."""
    size = shape_of(value)[axis]
    if isinstance(value, np.ndarray):
        return [np.asarray(np.take(value, at, axis)) for at in range(size)]
    # One kernel with an output a step: slices of their own would all be unlike kernels.
    parts = [value]
    if size > 1:
        whole = node.emit(relax.op.split(value, size, axis))
        parts = [node.emit(relax.TupleGetItem(whole, at)) for at in range(size)]
    return [node.emit(relax.op.squeeze(part, axis)) for part in parts]


def _stacked(node: Node, values: Sequence[Value], axis: int) -> Value:
    """``values`` along a new ``axis``."""
    known = [value for value in values if isinstance(value, np.ndarray)]
    if len(known) == len(values):
        return np.stack(known, axis)
    parts = [as_expression(value) for value in values]
    stacks = [node.emit(relax.op.stack(parts[at : at + _STACKED], axis)) for at in range(0, len(parts), _STACKED)]
    while len(stacks) > 1:
        groups = [stacks[at : at + _STACKED] for at in range(0, len(stacks), _STACKED)]
        stacks = [node.emit(relax.op.concat(each, axis)) if len(each) > 1 else each[0] for each in groups]
    return stacks[0]
