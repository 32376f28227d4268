"""Pad of every version and mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, as_expression, converter


@converter("Pad")
def pad(node: Node) -> Value:
    """Negative pads cut first: what is reflected or repeated is what they leave, as in ONNX Runtime."""
    shape = node.shape(0)
    before, after = _pads(node, len(shape))
    mode = str(node.attribute("mode", "constant"))
    if mode not in _INDICES and mode != "constant":
        raise Refused(f"ONNX has no mode {mode}")
    kept = [(max(0, -b), size - max(0, -a)) for b, a, size in zip(before, after, shape, strict=True)]
    wanted = [size + b + a for size, b, a in zip(shape, before, after, strict=True)]
    if min([*wanted, *(stop - start for start, stop in kept)], default=0) < 0:
        raise Refused(f"its pads {before + after} cut more than its input {list(shape)} has")
    if 0 in wanted:
        return np.zeros(wanted, np.dtype(node.dtype(0)))
    if wanted == list(shape) and not any(before):
        return node.value(0)
    empty = any(start == stop for start, stop in kept)
    if empty and mode != "constant":
        raise Refused(f"there is nothing in its input {list(shape)} to fill with")
    value = _fill(node)
    if empty:
        return node.emit(relax.op.full(wanted, as_expression(value.reshape(())), node.dtype(0)))
    given = [] if isinstance(value, np.ndarray) else [node.emit(relax.op.reshape(value, ()))]

    def padded(data: te.Tensor, *scalar: te.Tensor) -> te.Tensor:
        fill = scalar[0]() if scalar else tirx.const(value.reshape(-1)[0].item(), data.dtype)

        def element(*at: Any) -> Any:
            where = [i - b if b else i for i, b in zip(at, before, strict=True)]
            if mode != "constant":
                moves = zip(where, kept, before, after, strict=True)
                return data(*(_INDICES[mode](i, *range_) if max(b, a) > 0 else i for i, range_, b, a in moves))
            inside = [
                condition
                for i, (start, stop), b, a in zip(where, kept, before, after, strict=True)
                for condition, needed in ((i >= start, b > 0), (i < stop, a > 0))
                if needed
            ]
            return tirx.if_then_else(tirx.all(*inside), data(*where), fill) if inside else data(*where)

        return te.compute(wanted, element, name="padded")

    return node.te(padded, node.tensor(0), *given)


def _pads(node: Node, rank: int) -> tuple[list[int], list[int]]:
    """Elements before and after each axis."""
    if node.opset < 11:
        pads = list(node.attribute("paddings" if node.opset < 2 else "pads") or ())
    else:
        pads = [int(pad) for pad in node.constant(1, "its pads").reshape(-1)]
    axes = [int(axis) % rank for axis in node.constant(3, "its axes").reshape(-1)] if node.has(3) else list(range(rank))
    if len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        raise Refused(f"its pads {pads} are not two for each of its axes {axes}")
    before, after = [0] * rank, [0] * rank
    for number, axis in enumerate(axes):
        before[axis], after[axis] = pads[number], pads[number + len(axes)]
    return before, after


def _fill(node: Node) -> Value:
    if node.opset < 11:
        return np.array(node.attribute("value", 0.0)).astype(np.dtype(node.dtype(0)))
    return node.value(2) if node.has(2) and node.shape(2) != (0,) else np.zeros((), np.dtype(node.dtype(0)))


def _reflected(i: Any, start: int, stop: int) -> Any:
    period = 2 * (stop - start - 1)
    if not period:
        return start
    place = tirx.floormod(i - start, period)
    return start + tirx.min(place, period - place)


def _wrapped(i: Any, start: int, stop: int) -> Any:
    return start + tirx.floormod(i - start, stop - start)


def _clamped(i: Any, start: int, stop: int) -> Any:
    return tirx.max(tirx.min(i, stop - 1), start)


#: Position in the input of a position outside of [start, stop).
_INDICES: dict[str, Callable[[Any, int, int], Any]] = {"reflect": _reflected, "edge": _clamped, "wrap": _wrapped}
