"""LSTM, GRU and RNN: one product for the input of all steps, one kernel for the recurrence (``recurrence.py``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr
from tvm.script.ir_builder import tirx as T

from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    Node,
    Refused,
    Value,
    as_expression,
    converter,
    dtype_of,
    shape_of,
)
from tvm_farm.tracker.tuning.models.importers.onnx.operators.recurrence import (
    Cell,
    Gates,
    Layer,
    Phase,
    Row,
    recurrence,
)
from tvm_farm.tracker.tuning.models.importers.onnx.recurrent_activations import Activation, activations, clipped, const

#: Short floats are computed in this one, and rounded once at the end.
_WIDE = "float32"


@converter("LSTM")
def lstm(node: Node) -> list[Value]:
    read = _Read(node, gates=4, functions=("Sigmoid", "Tanh", "Tanh"))
    cell = _Lstm(read.functions, read.clip, bool(node.attribute("input_forget", 0)), node.has(7))
    states = {"initial_h": read.state(5), "initial_c": read.state(6)}
    if node.has(7):
        states["peepholes"] = _arranged(
            node, read.wide(7, (read.directions, 3 * read.hidden)), (read.directions, 3, read.hidden),
            lambda d, gate, j: (d, gate * read.hidden + j),
        )  # fmt: skip
    return _layer(node, read, cell, read.bias(added=4), states, ("Y", "Y_h", "Y_c"))


@converter("GRU")
def gru(node: Node) -> list[Value]:
    read = _Read(node, gates=3, functions=("Sigmoid", "Tanh"))
    late = bool(node.attribute("linear_before_reset", 0))
    cell = _LateGru(read.functions, read.clip, node.has(3)) if late else _Gru(read.functions, read.clip)
    states = {"initial_h": read.state(5)}
    if late and node.has(3):
        states["bias"] = _arranged(
            node, read.wide(3, (read.directions, 6 * read.hidden)), (read.directions, read.hidden),
            lambda d, j: (d, 5 * read.hidden + j),
        )  # fmt: skip
    return _layer(node, read, cell, read.bias(added=2 if late else 3), states, ("Y", "Y_h"))


@converter("RNN")
def rnn(node: Node) -> list[Value]:
    read = _Read(node, gates=1, functions=("Tanh",))
    return _layer(
        node, read, _Rnn(read.functions, read.clip), read.bias(added=1), {"initial_h": read.state(5)}, ("Y", "Y_h")
    )


@converter("DynamicQuantizeLSTM", domain="com.microsoft")
def quantized_lstm(node: Node) -> NoReturn:
    raise Refused("its hidden state is quantized anew at every step, which the farm's recurrence does not do")


class _Read:
    """What the three have in common: inputs X, W, R, B, sequence_lens and initial_h come first, in this order."""

    def __init__(self, node: Node, gates: int, functions: Sequence[str]) -> None:
        self._node = node
        self.gates = gates
        direction = node.attribute("direction", "forward")
        if direction not in ("forward", "reverse", "bidirectional"):
            raise Refused(f"ONNX has no direction {direction}")
        self.directions = 2 if direction == "bidirectional" else 1
        self.reverse = direction == "reverse"
        self.batch_first = bool(node.attribute("layout", 0))
        self.dtype = node.dtype(0)
        self.wide_dtype = "float64" if self.dtype == "float64" else _WIDE
        if len(node.shape(0)) != 3 or len(node.shape(2)) != 3:
            raise Refused("its X or its R has not three dimensions")
        first, second, self.size = node.shape(0)
        self.batch, self.steps = (first, second) if self.batch_first else (second, first)
        self.hidden = node.shape(2)[2]
        if node.attribute("hidden_size", self.hidden) != self.hidden:
            raise Refused(f"its hidden_size is {node.attribute('hidden_size')} and its R is made for {self.hidden}")
        self.functions = self._functions(functions)
        limit = node.attribute("clip")
        self.clip: float | None = None if limit is None else float(limit)

    def _functions(self, defaults: Sequence[str]) -> list[list[Activation]]:
        """By direction, in ONNX's order f, g, h."""
        node, count = self._node, len(defaults)
        names = node.attribute("activations") or tuple(defaults) * self.directions
        if len(names) != count * self.directions:
            raise Refused(f"it has {len(names)} activations in place of {count * self.directions}")
        alphas, betas = node.attribute("activation_alpha", ()), node.attribute("activation_beta", ())
        found = activations(names, alphas, betas)
        return [found[d * count : (d + 1) * count] for d in range(self.directions)]

    def wide(self, position: int, shape: tuple[int, ...]) -> Value:
        """Input at ``position`` in the dtype of the computation. Raises Refused where its shape is not ``shape``."""
        node, value = self._node, self._node.value(position)
        if shape_of(value) != shape:
            raise Refused(f"its input {position} has shape {shape_of(value)} where {shape} belongs to its other inputs")
        if dtype_of(value) == self.wide_dtype:
            return value
        if isinstance(value, np.ndarray):
            return value.astype(self.wide_dtype)
        return node.emit(relax.op.astype(value, self.wide_dtype))

    def state(self, position: int) -> Value | None:
        """An initial state, None where the file leaves it out: then it is 0."""
        if not self._node.has(position):
            return None
        shape = (self.batch, self.directions) if self.batch_first else (self.directions, self.batch)
        return self.wide(position, (*shape, self.hidden))

    def lengths(self) -> Value | None:
        """Lengths of the sequences, None where all are as long as X."""
        if not self._node.has(4):
            return None
        known = self._node.known(4)
        if self._node.shape(4) != (self.batch,):
            raise Refused(f"its sequence_lens have shape {self._node.shape(4)} for a batch of {self.batch}")
        if known is not None and np.any((known < 0) | (known > self.steps)):
            raise Refused(
                f"its sequence_lens {known.tolist()} are not all between 0 and {self.steps}, the steps of its X"
            )
        if known is not None and np.all(known == self.steps):
            return None
        return self._node.value(4)

    def bias(self, added: int) -> Value | None:
        """(direction x gate x unit): biases of the input, and of the state for the first ``added`` gates."""
        if not self._node.has(3):
            return None
        size, hidden = self.gates * self.hidden, self.hidden
        both = self.wide(3, (self.directions, 2 * size))
        shape = (self.directions, self.gates, hidden)
        of_input = _arranged(self._node, both, shape, lambda d, gate, j: (d, gate * hidden + j))
        of_state = _arranged(self._node, both, shape, lambda d, gate, j: (d, size + gate * hidden + j))
        chosen = (np.arange(self.gates) < added).astype(self.wide_dtype)[:, None]
        if isinstance(of_input, np.ndarray) and isinstance(of_state, np.ndarray):
            return of_input + chosen * of_state
        later = self._node.emit(relax.op.multiply(as_expression(of_state), as_expression(chosen)))
        return self._node.emit(relax.op.add(as_expression(of_input), later))

    def projected(self, bias: Value | None) -> relax.Expr:
        """What X gives to every gate at every step, as the kernel wants it."""
        node, width = self._node, self.directions * self.gates * self.hidden
        weights = self.wide(1, (self.directions, self.gates * self.hidden, self.size))
        rows = relax.op.reshape(as_expression(self.wide(0, node.shape(0))), (self.steps * self.batch, self.size))
        if isinstance(weights, np.ndarray):
            turned = as_expression(weights.reshape(width, self.size).T)
        else:
            turned = node.emit(relax.op.permute_dims(relax.op.reshape(weights, (width, self.size))))
        product = node.emit(relax.op.matmul(node.emit(rows), turned))
        if bias is not None:
            flat = node.emit(relax.op.reshape(as_expression(bias), (width,)))
            product = node.emit(relax.op.add(product, flat))
        shape = (*node.shape(0)[:2], self.directions, self.gates, self.hidden)
        return node.emit(relax.op.reshape(product, shape))


def _layer(
    node: Node, read: _Read, cell: Cell, bias: Value | None, extra: dict[str, Value | None], outputs: Sequence[str]
) -> list[Value]:
    """Outputs of ``node`` in order. Those that nobody wants are not computed."""
    wanted = [name for name, file in zip(outputs, node.outputs, strict=False) if file]
    layer = Layer(read.steps, read.batch, read.hidden, read.directions, read.wide_dtype, read.reverse, read.batch_first)
    if not all((layer.steps, layer.batch, layer.hidden, read.size)):
        raise Refused(f"its X of shape {node.shape(0)} or its hidden state is empty")
    given: dict[str, Value | None] = {"X": read.projected(bias)}
    for phase in cell.phases:
        given[phase.weights] = _packed(node, read, phase, layer.lanes(len(phase.gates)))
    given |= {"lengths": read.lengths(), **extra}
    inputs = {name: value for name, value in given.items() if value is not None}
    kernel = recurrence(
        layer,
        cell,
        {name: (shape_of(value), dtype_of(value)) for name, value in inputs.items()},
        wanted,
        node.op.lower(),
    )
    types = [relax.TensorType(layer.shape(name), layer.dtype) for name in wanted]
    called = relax.call_tir(
        node.builder.add_func(kernel, node.op.lower()),
        [as_expression(value) for value in inputs.values()],
        types if len(types) > 1 else types[0],
    )
    whole = node.emit(called)
    found = [node.emit(relax.TupleGetItem(whole, at)) for at in range(len(types))] if len(types) > 1 else [whole]
    if read.dtype != layer.dtype:
        found = [node.emit(relax.op.astype(value, read.dtype)) for value in found]
    computed = dict(zip(wanted, found, strict=True))
    # The place of an output that nobody names is kept by an empty array.
    return [computed.get(name, np.zeros(0, np.float32)) for name in outputs]


def _packed(node: Node, read: _Read, phase: Phase, width: int) -> Value:
    """R of the gates of ``phase``: (direction, tile, hidden, gate, lane). Lanes beyond the last unit are never read."""
    hidden, count = read.hidden, len(phase.gates)
    matrix = read.wide(2, (read.directions, read.gates * hidden, hidden))
    first = phase.gates[0]
    assert phase.gates == tuple(range(first, first + count))
    return _arranged(
        node,
        matrix,
        (read.directions, -(-hidden // width), hidden, count, width),
        lambda d, tile, k, gate, lane: (d, (first + gate) * hidden + (tile * width + lane) % hidden, k),
    )


def _arranged(node: Node, value: Value, shape: tuple[int, ...], index: Callable[..., tuple[Any, ...]]) -> Value:
    """An array of ``shape`` with the elements of ``value`` at ``index``; while importing where it is known."""
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value[index(*np.ix_(*map(np.arange, shape)))])
    return node.te(lambda t: te.compute(shape, lambda *at: t[index(*at)]), value, name="arrange")


@dataclass(frozen=True)
class _Gated(Cell):
    """``functions``: by direction, in ONNX's order f, g, h."""

    functions: Sequence[Sequence[Activation]]
    clip: float | None

    def apply(self, row: Row, number: int, x: Expr) -> Expr:
        """Activation ``number`` of the row's direction, of ``x`` within the limits of ``clip``."""
        return self.activated(row, number, x if self.clip is None else clipped(x, self.clip))

    def activated(self, row: Row, number: int, value: Expr) -> Expr:
        """The same without limits."""
        forward, *backward = (each[number] for each in self.functions)
        if not backward or backward[0] == forward:
            return forward(value)
        return T.Select(row.direction == 0, forward(value), backward[0](value))


@dataclass(frozen=True)
class _Rnn(_Gated):
    phases = (Phase((0,), "R", "h"),)

    def finish(self, row: Row, phase: Phase, sums: Gates) -> None:
        row["h"] = self.apply(row, 0, sums[0])


@dataclass(frozen=True)
class _Lstm(_Gated):
    coupled: bool
    peepholes: bool
    phases = (Phase((0, 1, 2, 3), "R", "h"),)
    carried = ("c",)

    def finish(self, row: Row, phase: Phase, sums: Gates) -> None:
        """Gates in ONNX's order: input, output, forget, cell. Peepholes: input, output, forget."""

        def peeped(gate: int) -> Expr:
            return sums[gate] + row.input("peepholes", gate) * row["c"] if self.peepholes else sums[gate]

        sums[0] = self.apply(row, 0, peeped(0))
        sums[2] = const(1, sums[0]) - sums[0] if self.coupled else self.apply(row, 0, peeped(2))
        sums[3] = self.apply(row, 1, sums[3])
        row["c"] = sums[2] * row["c"] + sums[0] * sums[3]
        sums[1] = self.apply(row, 0, peeped(1))
        row["h"] = sums[1] * self.activated(row, 2, row["c"])


@dataclass(frozen=True)
class _Gru(_Gated):
    """The reset gate takes from the state before its product, which is a second pass."""

    phases = (Phase((0, 1), "R_zr", "h"), Phase((2,), "R_h", "reset"))
    passing = ("z", "reset")

    def finish(self, row: Row, phase: Phase, sums: Gates) -> None:
        if phase.source == "h":
            row["z"] = self.apply(row, 0, sums[0])
            row["reset"] = self.apply(row, 0, sums[1]) * row["h"]
        else:
            row["h"] = _mixed(row["z"], self.apply(row, 1, sums[0]), row["h"])


@dataclass(frozen=True)
class _LateGru(_Gated):
    """The reset gate takes from the product (linear_before_reset)."""

    biased: bool
    phases = (Phase((0, 1, 2), "R", "h"),)

    def start(self, row: Row, phase: Phase, gate: int) -> Expr:
        if gate < 2:
            return row.given(gate)
        given = row.given(gate)
        return row.input("bias") if self.biased else tirx.const(0, str(given.ty.dtype))

    def finish(self, row: Row, phase: Phase, sums: Gates) -> None:
        sums[0] = self.apply(row, 0, sums[0])
        sums[1] = self.apply(row, 0, sums[1])
        sums[2] = self.apply(row, 1, row.given(2) + sums[1] * sums[2])
        row["h"] = _mixed(sums[0], sums[2], row["h"])


def _mixed(z: Expr, new: Expr, old: Expr) -> Expr:
    return (const(1, z) - z) * new + z * old
