"""The part of a recurrent layer that is sequential, as one kernel that loops over time.

What the input gives to the gates is projected before, all steps at once: a matrix product that is tuned as any other.
Here stays a product of a vector and a matrix a step. Its sums are held in registers over all of the hidden state for
some units of every gate at a time, so that the gates are applied where their sums are; the weights lie in the order in
which they are read. Directions and blocks of the batch do not know of each other and run in parallel. MetaSchedule has
nothing to choose in it, and ``tirx.is_scheduled`` says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tvm
from tvm import te, tirx
from tvm.ir import Expr
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

__all__ = ["Cell", "Layer", "Phase", "Row", "recurrence"]

#: Rows of the batch that share a reading of the weights, at most.
_MOST_ROWS = 4
#: Sums of one row that are held at a time, alone and beside others: half the vector registers of AVX2 and of NEON, and
#: all of them. Weights that do not fit into a cache gain more from the rows than they lose.
_SUMS_ALONE, _SUMS = 64, 32


@dataclass(frozen=True)
class Layer:
    """Sizes of a recurrent layer, and which of its values are there."""

    steps: int
    batch: int
    hidden: int
    directions: int
    dtype: str
    #: Whether the first direction, if it is the only one, goes from the end; a second one always does.
    reverse: bool
    #: Whether the batch comes before the steps (and directions) in the input and in all outputs.
    batch_first: bool

    @property
    def rows(self) -> int:
        """Rows of a block of the batch."""
        return next(rows for rows in range(_MOST_ROWS, 0, -1) if self.batch % rows == 0)

    def lanes(self, gates: int) -> int:
        """Units that a tile of ``gates`` sums has: a whole vector of them even for three."""
        return min(self.hidden, (_SUMS_ALONE if self.rows == 1 else _SUMS) // (4 if gates == 3 else gates))

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an output: ``Y``, ``Y_h`` or ``Y_c``."""
        state = (self.batch, self.directions) if self.batch_first else (self.directions, self.batch)
        if name != "Y":
            return (*state, self.hidden)
        if self.batch_first:
            return (self.batch, self.steps, self.directions, self.hidden)
        return (self.steps, self.directions, self.batch, self.hidden)

    def place(self, step: Expr, direction: Expr, row: Expr) -> tuple[Expr, ...]:
        """Where in ``Y`` the units of one row lie."""
        return (row, step, direction) if self.batch_first else (step, direction, row)

    def state(self, direction: Expr, row: Expr) -> tuple[Expr, ...]:
        """Where in a state the units of one row lie."""
        return (row, direction) if self.batch_first else (direction, row)


@dataclass(frozen=True)
class Phase:
    """One pass over the units of a step."""

    #: Positions of the gates that it sums, among those of the projected input.
    gates: tuple[int, ...]
    #: Name of its weights among the kernel's inputs: (direction, tile, hidden, gate, ``layer.lanes``).
    weights: str
    #: Name of the state that they are multiplied with.
    source: str


class Cell(ABC):
    """What one step does with the sums of its gates. ``phases``: in their order."""

    phases: Sequence[Phase]
    #: States beside ``h`` that go from step to step.
    carried: tuple[str, ...] = ()
    #: What lives for a step alone.
    passing: tuple[str, ...] = ()

    def start(self, row: Row, phase: Phase, gate: int) -> Expr:
        """Where the sum of a gate begins: what the input gives."""
        return row.given(gate)

    @abstractmethod
    def finish(self, row: Row, phase: Phase, sums: Gates) -> None:
        """Apply the gates of ``phase`` to one vector of units: writes the states by ``row``."""


class Gates:
    """Sums of one row in registers. Each can be read, and written to keep what has been made of it."""

    def __init__(self, buffer: Any, row: int, unit: Expr) -> None:
        self._buffer = buffer
        self._row = row
        self._unit = unit

    def __getitem__(self, gate: int) -> Expr:
        return self._buffer[self._row, gate, self._unit]

    def __setitem__(self, gate: int, value: Expr) -> None:
        T.buffer_store(self._buffer, value, [self._row, gate, self._unit])


@dataclass
class Row:
    """A vector of units of one row of the batch at one step."""

    kernel: _Kernel
    #: In the kernel's block, and in the batch.
    place: int
    row: Expr
    direction: Expr
    step: Expr
    unit: Expr

    def given(self, gate: int) -> Expr:
        """What the input gives to ``gate``."""
        layer, time = self.kernel.layer, self.kernel.time(self.direction, self.row, self.step)
        first, second = (self.row, time) if layer.batch_first else (time, self.row)
        return self.kernel.inputs["X"][first, second, self.direction, gate, self.unit]

    def input(self, name: str, *at: Expr | int) -> Expr:
        """An input by direction and unit, with ``at`` between."""
        where = (self.direction, *at, self.unit)
        return self.kernel.inputs[name][where]

    def __getitem__(self, state: str) -> Expr:
        """A state as the step found it."""
        return self.kernel.states[state][self._at(state, self.step % 2)]

    def __setitem__(self, state: str, value: Expr) -> None:
        """A state as the step leaves it. ``h`` is the output too."""
        kernel = self.kernel
        active = kernel.active(self.row, self.step)
        if state in kernel.kept and active is not None:
            value = T.Select(active, value, self[state])
        at = self._at(state, (self.step + 1) % 2)
        T.buffer_store(kernel.states[state], value, list(at))
        if state == "h" and "Y" in kernel.outputs:
            value = kernel.states[state][at]
            if active is not None:
                value = T.Select(active, value, tirx.const(0, kernel.layer.dtype))
            time = kernel.time(self.direction, self.row, self.step)
            where = kernel.layer.place(time, self.direction, self.row)
            T.buffer_store(kernel.outputs["Y"], value, [*where, self.unit])

    def _at(self, state: str, half: Expr) -> tuple[Expr | int, ...]:
        # Every unit of the next h depends on all of this one: it has two halves that take turns.
        return (half if state == "h" else 0, self.place, self.unit)


@dataclass
class _Kernel:
    layer: Layer
    cell: Cell
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.states: dict[str, Any] = {}

    @cached_property
    def kept(self) -> tuple[str, ...]:
        return ("h", *self.cell.carried)

    def active(self, row: Expr, step: Expr) -> Expr | None:
        """Whether ``step`` is within the sequence of ``row``; None where all are as long as they can be."""
        return None if "lengths" not in self.inputs else step < self.inputs["lengths"][row]

    def time(self, direction: Expr, row: Expr, step: Expr) -> Expr:
        """Where in the sequence of ``row`` a direction's ``step`` lies; the padding is read in its own order."""
        layer = self.layer
        if layer.directions == 1 and not layer.reverse:
            return step
        if "lengths" in self.inputs:
            # A length comes from outside: whatever it is, no step may leave the sequence.
            length = T.min(self.inputs["lengths"][row], layer.steps)
            back = T.if_then_else(step < length, length - 1 - step, step)
        else:
            back = layer.steps - 1 - step
        return back if layer.directions == 1 else T.if_then_else(direction == 1, back, step)

    def body(self) -> Any:
        """The whole kernel."""
        blocks = self.layer.batch // self.layer.rows
        with IRBuilder() as builder:
            parts = self.layer.directions * blocks
            with (T.parallel if parts > 1 else T.serial)(0, parts) as part:
                self._block(part // blocks, part % blocks * self.layer.rows)
            return builder.get()

    def _block(self, direction: Expr, first: Expr) -> None:
        layer = self.layer
        for name in (*self.kept, *self.cell.passing):
            shape = (2 if name == "h" else 1, layer.rows, layer.hidden)
            self.states[name] = T.alloc_buffer(shape, layer.dtype)
        self._each(
            lambda name, r, u: T.buffer_store(
                self.states[name], self._initial(name, direction, first + r, u), [0, r, u]
            )
        )
        with T.serial(0, layer.steps) as step:
            for phase in self.cell.phases:
                self._phase(phase, direction, first, step)
        self._each(lambda name, r, u: self._final(name, direction, first + r, r, u))

    def _each(self, store: Callable[[str, int, Expr], None]) -> None:
        for name in self.kept:
            for row in range(self.layer.rows):
                with T.serial(0, self.layer.hidden) as unit:
                    store(name, row, unit)

    def _initial(self, name: str, direction: Expr, row: Expr, unit: Expr) -> Expr:
        given = self.inputs.get(f"initial_{name}")
        if given is None:
            return tirx.const(0, self.layer.dtype)
        where = (*self.layer.state(direction, row), unit)
        return given[where]

    def _final(self, name: str, direction: Expr, row: Expr, place: int, unit: Expr) -> None:
        if (output := self.outputs.get(f"Y_{name}")) is not None:
            half = self.layer.steps % 2 if name == "h" else 0
            T.buffer_store(output, self.states[name][half, place, unit], [*self.layer.state(direction, row), unit])

    def _phase(self, phase: Phase, direction: Expr, first: Expr, step: Expr) -> None:
        width = self.layer.lanes(len(phase.gates))
        whole, rest = divmod(self.layer.hidden, width)
        if whole:
            with T.serial(0, whole) as tile:
                self._tile(phase, tile, width, Row(self, 0, first, direction, step, tile * width))
        if rest:
            self._tile(phase, whole, rest, Row(self, 0, first, direction, step, whole * width))

    def _tile(self, phase: Phase, tile: Expr | int, width: int, at: Row) -> None:
        """``width`` units from ``at`` on, all rows."""
        layer, cell, gates = self.layer, self.cell, range(len(phase.gates))
        weights, source = self.inputs[phase.weights], self.states[phase.source]
        half = at.step % 2 if phase.source == "h" else 0
        sums = T.alloc_buffer((layer.rows, len(gates), width), layer.dtype, scope="local")

        def vector(place: int, unit: Expr) -> Row:
            return Row(self, place, at.row + place, at.direction, at.step, at.unit + unit)

        for row in range(layer.rows):
            for gate in gates:
                with T.vectorized(0, width) as u:
                    T.buffer_store(sums, cell.start(vector(row, u), phase, phase.gates[gate]), [row, gate, u])
        with T.serial(0, layer.hidden) as k:
            for row in range(layer.rows):
                for gate in gates:
                    with T.vectorized(0, width) as u:
                        product = source[half, row, k] * weights[at.direction, tile, k, gate, u]
                        T.buffer_store(sums, sums[row, gate, u] + product, [row, gate, u])
        for row in range(layer.rows):
            with T.vectorized(0, width) as u:
                cell.finish(vector(row, u), phase, Gates(sums, row, u))


def recurrence(
    layer: Layer, cell: Cell, inputs: Mapping[str, tuple[tuple[int, ...], str]], outputs: Sequence[str], name: str
) -> tvm.tirx.PrimFunc:
    """The kernel: takes ``inputs`` (shape and dtype of each) in order, then gives ``outputs`` in order.

    ``X``: (step, row, direction, gate, unit), or row before step where the batch comes first. ``initial_NAME``: a
    state, by ``layer.state``. ``lengths``: int32, by row; steps beyond are padding, in which ``Y`` is 0.
    """
    given = {key: te.placeholder(shape, dtype, key) for key, (shape, dtype) in inputs.items()}
    buffers = [tirx.decl_buffer(tensor.shape, tensor.dtype, key) for key, tensor in given.items()]
    made = [tirx.decl_buffer(layer.shape(key), layer.dtype, key) for key in outputs]

    def body(ins: Sequence[Any], outs: Sequence[Any]) -> Any:
        read = dict(zip(inputs, map(T.buffer_proxy, ins), strict=True))
        written = dict(zip(outputs, outs, strict=True))
        return _Kernel(layer, cell, read, written).body()

    result = te.extern(
        [buffer.shape for buffer in made],
        list(given.values()),
        body,
        in_buffers=buffers,
        out_buffers=made,
        dtype=[layer.dtype] * len(made),
        name=name,
    )
    results = [result] if len(made) == 1 else list(result)
    function = te.create_prim_func([*given.values(), *results])
    return function.with_attr({"global_symbol": name, "tirx.is_scheduled": True})
