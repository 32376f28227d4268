"""Sequences of unlike lengths within a tensor."""

from __future__ import annotations

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, converter


@converter("ReverseSequence")
def reverse_sequence(node: Node) -> relax.Var:
    """What lies beyond a length keeps its place. A length that is not within the data counts as all of it."""
    shape, time, batch = node.shape(0), node.attribute("time_axis", 0), node.attribute("batch_axis", 1)
    if {time, batch} != {0, 1}:
        raise Refused(f"its time axis {time} and its batch axis {batch} are not 0 and 1")
    if node.shape(1) != (shape[batch],):
        raise Refused(f"its lengths have shape {node.shape(1)} for a batch of {shape[batch]}")
    known, steps = node.known(1), shape[time]
    if known is not None and np.any((known < 0) | (known > steps)):
        raise Refused(f"its lengths {known.tolist()} are not all between 0 and {steps}")

    def program(data: te.Tensor, lengths: te.Tensor) -> te.Tensor:
        def element(*at: tirx.Var) -> tirx.Expr:
            length = tirx.min(lengths[at[batch]], tirx.const(steps, node.dtype(1))).astype("int32")
            step = tirx.if_then_else(at[time] < length, length - 1 - at[time], at[time])
            first = (step, at[batch]) if time == 0 else (at[batch], step)
            return data(*first, *at[2:])

        return te.compute(shape, element, name="reverse_sequence")

    return node.te(program, node.tensor(0), node.tensor(1))
