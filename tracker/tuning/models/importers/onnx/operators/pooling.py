"""Pools: Relax's own where they say the same, else sums and maxima over windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax, te, tirx, topi

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, converter
from tvm_farm.tracker.tuning.models.importers.onnx.operators.window import Window, spread, window_of

_SHORT = ("float16", "bfloat16")
#: Most axes of space for which Relax has pools.
_RELAX_AXES = 3


# A window of ``ceil_mode`` that would start behind the padding is none: ONNX's reference and ONNX Runtime leave it
# out, its inference does not always.
@converter("MaxPool", own_shapes=True)
def max_pool(node: Node) -> list[Value]:
    windows, wanted = _windows(node)
    if 0 in wanted:
        return [np.zeros(wanted, np.dtype(node.dtype(0))), np.zeros(wanted, np.int64)]
    if len(node.outputs) > 1 and node.outputs[1]:
        columns = bool(node.attribute("storage_order", 0))
        both = node.te(lambda data: _largest(data, windows, columns), node.tensor(0), name="max_pool_indices")
        return [node.emit(relax.TupleGetItem(both, at)) for at in range(2)]
    if len(windows) <= _RELAX_AXES:
        return [node.emit(_relax_pool("max", node.tensor(0), windows))]
    low = tirx.min_value(node.dtype(0))
    return [node.te(lambda data: _over_windows(data, windows, te.max, lambda x: x, low), node.tensor(0))]


@converter("AveragePool", own_shapes=True)
def average_pool(node: Node) -> Value:
    windows, wanted = _windows(node)
    if 0 in wanted:
        return np.zeros(wanted, np.dtype(node.dtype(0)))
    padded = bool(node.attribute("count_include_pad", 0))
    counts = [_counts(window, padded) for window in windows]
    whole = all((count == window.kernel).all() for count, window in zip(counts, windows, strict=True))
    dilated = any(window.dilation > 1 for window in windows)
    data = _single(node)
    # TVM counts without regard to dilation, and what is behind the declared padding as well.
    if len(windows) <= _RELAX_AXES and not dilated and (whole or not padded):
        return _back(node, node.emit(_relax_pool("avg", data, windows, count_include_pad=whole)))

    def average(data: te.Tensor, *counts: te.Tensor) -> te.Tensor:
        total = _over_windows(data, windows, te.sum, lambda x: x, tirx.const(0, data.dtype))

        def element(*at: Any) -> Any:
            return total(*at) / reduce(lambda a, b: a * b, (c(i) for c, i in zip(counts, at[2:], strict=True)))

        return te.compute(total.shape, element, name="average")

    return _back(node, node.te(average, data, *(count.astype(str(data.ty.dtype)) for count in counts)))


@converter("LpPool", own_shapes=True)
def lp_pool(node: Node) -> Value:
    windows, wanted = _windows(node)
    if 0 in wanted:
        return np.zeros(wanted, np.dtype(node.dtype(0)))
    power = float(node.attribute("p", 2))

    def norm(data: te.Tensor) -> te.Tensor:
        total = _over_windows(data, windows, te.sum, lambda x: _raised(x, power), tirx.const(0, data.dtype))
        return te.compute(total.shape, lambda *at: _rooted(total(*at), power), name="norm")

    return _back(node, node.te(norm, _single(node)))


@converter("GlobalLpPool")
def global_lp_pool(node: Node) -> Value:
    power = float(node.attribute("p", 2))
    axes = list(range(2, len(node.shape(0))))
    data = node.emit(relax.op.abs(_single(node)))
    exponent = relax.const(power, data.ty.dtype)
    total = node.emit(relax.op.sum(node.emit(relax.op.power(data, exponent)), axis=axes, keepdims=True))
    return _back(node, node.emit(relax.op.power(total, relax.const(1 / power, data.ty.dtype))))


@converter("MaxUnpool")
def max_unpool(node: Node) -> Value:
    """What the file gives as output shape is filled from its corner, as in ONNX's reference and node tests."""
    shape, kernel = node.shape(0), list(node.attribute("kernel_shape"))
    strides = spread(node, "strides", 1)
    pads = list(node.attribute("pads") or [0] * (2 * len(kernel)))
    space = [
        (shape[axis + 2] - 1) * strides[axis] - pads[axis] - pads[axis + len(kernel)] + kernel[axis]
        for axis in range(len(kernel))
    ]
    inferred = [*shape[:2], *space]
    wanted = inferred
    if node.has(2):
        wanted = [int(size) for size in node.constant(2, "its output shape").reshape(-1)]
        if len(wanted) != len(inferred) or any(w < i for w, i in zip(wanted, inferred, strict=True)):
            raise Refused(f"its output shape {wanted} does not hold the {inferred} that its windows make")
    flat = [node.emit(relax.op.reshape(node.tensor(position), [-1])) for position in range(2)]
    zeros = relax.op.zeros([int(np.prod(inferred))], node.dtype(0))
    filled = node.emit(relax.op.scatter_elements(node.emit(zeros), flat[1], flat[0], axis=0))
    result = node.emit(relax.op.reshape(filled, inferred))
    if wanted == inferred:
        return result
    after = [w - i for w, i in zip(wanted, inferred, strict=True)]
    return node.te(lambda data: topi.nn.pad(data, [0] * len(wanted), after, 0.0), result)


def _windows(node: Node) -> tuple[list[Window], tuple[int, ...]]:
    windows = window_of(node)
    return windows, node.shape(0)[:2] + tuple(window.wanted for window in windows)


def _single(node: Node) -> relax.Expr:
    """Input 0; short floats in single precision, as ONNX Runtime sums them."""
    data = node.tensor(0)
    return node.emit(relax.op.astype(data, "float32")) if node.dtype(0) in _SHORT else data


def _back(node: Node, value: relax.Expr) -> relax.Expr:
    return node.emit(relax.op.astype(value, node.dtype(0))) if node.dtype(0) in _SHORT else value


def _relax_pool(kind: str, data: relax.Expr, windows: Sequence[Window], **more: bool) -> relax.Expr:
    pool = getattr(relax.op.nn, f"{kind}_pool{len(windows)}d")
    return pool(
        data,
        pool_size=[window.kernel for window in windows],
        strides=[window.stride for window in windows],
        dilation=[window.dilation for window in windows],
        padding=[window.before for window in windows] + [window.after for window in windows],
        **more,
    )


def _counts(window: Window, padded: bool) -> NDArray[np.int64]:
    """How many elements of each window [wanted] an average divides by."""
    start = np.arange(window.wanted)[:, None] * window.stride - window.before
    where = start + np.arange(window.kernel) * window.dilation
    if padded:
        inside = (where >= -window.before) & (where < window.given + window.declared)
    else:
        inside = (where >= 0) & (where < window.given)
    found: NDArray[np.int64] = inside.sum(axis=1)
    return np.maximum(found, 1)


def _padded(data: te.Tensor, windows: Sequence[Window], fill: Any) -> te.Tensor:
    before, after = [window.before for window in windows], [window.after for window in windows]
    return topi.nn.pad(data, [0, 0, *before], [0, 0, *after], fill) if any(before + after) else data


def _at(windows: Sequence[Window], at: Sequence[Any], steps: Sequence[Any]) -> list[Any]:
    """Where the elements ``steps`` of the windows ``at`` lie in the padded input."""
    return [i * w.stride + step * w.dilation for w, i, step in zip(windows, at, steps, strict=True)]


def _over_windows(
    data: te.Tensor, windows: Sequence[Window], combine: Callable[..., Any], each: Callable[[Any], Any], fill: Any
) -> te.Tensor:
    image = _padded(data, windows, fill)
    steps = [te.reduce_axis((0, window.kernel), f"k{axis}") for axis, window in enumerate(windows)]
    return te.compute(
        [*data.shape[:2], *(window.wanted for window in windows)],
        lambda n, c, *at: combine(each(image(n, c, *_at(windows, at, steps))), axis=steps),
        name="pooled",
    )


def _largest(data: te.Tensor, windows: Sequence[Window], columns: bool) -> list[te.Tensor]:
    """Largest elements, and where the first of each lies in the flat tensor; ``columns``: the first axis runs fastest
    within an image."""
    low, far = tirx.min_value(data.dtype), tirx.const(np.iinfo(np.int64).max, "int64")
    image = _padded(data, windows, low)
    space = [window.given for window in windows]
    strides = list(accumulate(space[:0:-1], lambda a, b: a * b, initial=1))[::-1]
    steps = [te.reduce_axis((0, window.kernel), f"k{axis}") for axis, window in enumerate(windows)]
    channels, whole = int(data.shape[1]), int(np.prod(space))

    def best(a: Any, b: Any) -> Any:
        first = tirx.any(a[0] > b[0], tirx.all(a[0] == b[0], a[1] < b[1]))
        return tirx.Select(first, a[0], b[0]), tirx.Select(first, a[1], b[1])

    reducer = te.comm_reducer(best, lambda value, index: (low, far), name="largest")

    def element(n: Any, c: Any, *at: Any) -> Any:
        where = _at(windows, at, steps)
        real = [i - window.before for i, window in zip(where, windows, strict=True)]
        inside = tirx.all(*(tirx.all(i >= 0, i < window.given) for i, window in zip(real, windows, strict=True)))
        flat = (n * channels + c) * whole + sum(i * stride for i, stride in zip(real, strides, strict=True))
        return reducer((image(n, c, *where), tirx.Select(inside, flat.astype("int64"), far)), axis=steps)

    wanted = [*data.shape[:2], *(window.wanted for window in windows)]
    value, index = te.compute(wanted, element, name="largest")
    if not columns:
        return [value, index]

    def turned(*at: Any) -> Any:
        left, stride = tirx.floormod(index(*at), whole), 1
        total = index(*at) - left
        for size, step in zip(space, strides, strict=True):
            total = total + tirx.floordiv(left, step) * stride
            left, stride = tirx.floormod(left, step), stride * size
        return total

    return [value, te.compute(wanted, turned, name="turned")]


def _raised(value: Any, power: float) -> Any:
    value = tirx.abs(value)
    return (
        value if power == 1 else value * value if power == 2 else tirx.power(value, tirx.const(power, value.ty.dtype))
    )


def _rooted(value: Any, power: float) -> Any:
    if power == 1:
        return value
    return tirx.sqrt(value) if power == 2 else tirx.power(value, tirx.const(1 / power, value.ty.dtype))
