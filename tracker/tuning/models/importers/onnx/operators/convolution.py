"""Convolutions and transposed ones, of one to three axes of space.

A transposed convolution with stride s is s plain convolutions, one for each remainder of the output's position, whose
channels are then shuffled into space (Shi et al., "Is the deconvolution layer the same as a convolutional layer?",
2016): no product with an inserted zero, and the same kernels to tune as any convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax, te

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, as_expression, converter, dtype_of
from tvm_farm.tracker.tuning.models.importers.onnx.operators.window import spread, window_of

_LAYOUTS = {1: ("NCW", "OIW"), 2: ("NCHW", "OIHW"), 3: ("NCDHW", "OIDHW")}
_SHORT = ("float16", "bfloat16")


@converter("Conv")
def convolution(node: Node) -> Value:
    weight, groups = node.shape(1), int(node.attribute("group", 1))
    _hold_shapes(node, weight[1] * groups, weight[0], groups)
    windows = window_of(node, weight[2:])
    wanted = (node.shape(0)[0], weight[0], *(window.wanted for window in windows))
    if 0 in wanted:
        return np.zeros(wanted, np.dtype(node.dtype(0)))
    return _convolved(
        node,
        node.value(1),
        node.value(2) if node.has(2) else None,
        strides=[window.stride for window in windows],
        padding=[window.before for window in windows] + [window.after for window in windows],
        dilation=[window.dilation for window in windows],
        groups=groups,
    )


def _hold_shapes(node: Node, channels: int, outputs: int, groups: int) -> None:
    data, weight = node.shape(0), node.shape(1)
    if len(data) - 2 not in _LAYOUTS:
        raise Refused(f"TVM has no convolution over {len(data) - 2} axes of space")
    if len(weight) != len(data) or data[1] != channels or outputs % groups:
        raise Refused(f"its weights {list(weight)} in {groups} groups do not fit its input {list(data)}")
    kernel = node.attribute("kernel_shape")
    if kernel is not None and tuple(kernel) != weight[2:]:
        raise Refused(f"its kernel_shape {list(kernel)} is not that of its weights {list(weight)}")


def _convolved(
    node: Node,
    weight: Value,
    bias: Value | None,
    *,
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> relax.Expr:
    """Input 0 of ``node`` convolved. Short floats are summed in single precision, as ONNX Runtime does."""
    axes = len(strides)
    data_layout, kernel_layout = _LAYOUTS[axes]
    dtype = node.dtype(0)
    found = node.emit(
        getattr(relax.op.nn, f"conv{axes}d")(
            node.tensor(0),
            as_expression(weight),
            strides=list(strides),
            padding=list(padding),
            dilation=list(dilation),
            groups=groups,
            data_layout=data_layout,
            kernel_layout=kernel_layout,
            out_dtype="float32" if dtype in _SHORT else dtype,
        )
    )
    if bias is not None:
        found = node.emit(relax.op.add(found, _by_channel(node, bias, axes, str(found.ty.dtype))))
    return node.emit(relax.op.astype(found, dtype)) if dtype in _SHORT else found


def _by_channel(node: Node, bias: Value, axes: int, dtype: str) -> relax.Expr:
    if isinstance(bias, np.ndarray):
        return as_expression(bias.astype(dtype).reshape(1, -1, *(1,) * axes))
    shaped = node.emit(relax.op.reshape(bias, (1, -1, *(1,) * axes)))
    return shaped if dtype_of(shaped) == dtype else node.emit(relax.op.astype(shaped, dtype))


@dataclass(frozen=True)
class _Transposed:
    """One axis of a transposed convolution. ``before``: cut off in front of its full result."""

    given: int
    kernel: int
    stride: int
    dilation: int
    before: int
    wanted: int

    @property
    def taps(self) -> int:
        """Length of the kernel of each remainder: dilation stays the convolution's own where the stride is 1."""
        return self.kernel if self.stride == 1 else -(-((self.kernel - 1) * self.dilation + 1) // self.stride)

    @property
    def reach(self) -> int:
        return (self.kernel - 1) * self.dilation + 1 if self.stride == 1 else self.taps

    @property
    def first(self) -> int:
        """Position of the convolution's first output, in strides."""
        return min(self.before // self.stride, self.reach - 1)

    @property
    def padding(self) -> tuple[int, int]:
        front = self.reach - 1 - self.first
        count = (self.before + self.wanted - 1) // self.stride - self.first + 1
        return front, max(0, count - 1 + self.reach - self.given - front)


# ONNX infers too few axes from some output shapes.
@converter("ConvTranspose", own_shapes=True)
def transposed(node: Node) -> Value:
    groups = int(node.attribute("group", 1))
    outputs = node.shape(1)[1] * groups
    _hold_shapes(node, node.shape(1)[0], outputs, groups)
    axes = _transposed_axes(node)
    wanted = (node.shape(0)[0], outputs, *(axis.wanted for axis in axes))
    if 0 in wanted:
        return np.zeros(wanted, np.dtype(node.dtype(0)))
    if node.shape(0)[1] % groups:
        raise Refused(f"its {node.shape(0)[1]} channels do not divide into {groups} groups")
    phases = prod(axis.stride for axis in axes)
    padding = [axis.padding for axis in axes]
    found = _convolved(
        node,
        _gathered(node, node.value(1), _packing(node.shape(1), axes, groups)),
        _gathered(node, node.value(2), np.repeat(np.arange(outputs), phases)) if node.has(2) else None,
        strides=[1] * len(axes),
        padding=[front for front, _ in padding] + [behind for _, behind in padding],
        dilation=[axis.dilation if axis.stride == 1 else 1 for axis in axes],
        groups=groups,
    )
    if tuple(int(size) for size in found.ty.shape) == wanted and phases == 1:
        return found
    return node.te(lambda data: _shuffled(data, outputs, axes), found, name="shuffle_channels")


def _transposed_axes(node: Node) -> list[_Transposed]:
    space, kernel = node.shape(0)[2:], node.shape(1)[2:]
    strides, dilations, extra = (
        spread(node, n, d) for n, d in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    pads = list(node.attribute("pads") or [0] * (2 * len(space)))
    auto = node.attribute("auto_pad", "NOTSET")
    asked = node.attribute("output_shape")
    if len(pads) != 2 * len(space) or (asked is not None and len(asked) < len(space)) or min(pads) < 0:
        raise Refused("its pads or its output shape do not fit its axes of space")
    found = []
    for axis, given in enumerate(space):
        full = (given - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 + extra[axis]
        if asked is not None or auto.startswith("SAME"):
            # ONNX Runtime and ONNX's inference cut to so many strides, but do not fill up to them.
            same = min(given * strides[axis], full)
            wanted = same if asked is None else int(list(asked)[-len(space) :][axis])
            total = max(0, full - wanted)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
        else:
            before = 0 if auto == "VALID" else pads[axis]
            wanted = full - before - (0 if auto == "VALID" else pads[axis + len(space)])
        if wanted < 0:
            raise Refused(f"its pads {pads} are more than its result has")
        found.append(_Transposed(given, kernel[axis], strides[axis], dilations[axis], before, wanted))
    return found


def _packing(shape: tuple[int, ...], axes: Sequence[_Transposed], groups: int) -> NDArray[np.int64]:
    """Weights [C, M / groups, k...] as those of a plain convolution [M * phases, C / groups, taps...]: the flat
    position of each, -1 where there is none."""
    inner, outputs, kernel = shape[0] // groups, shape[1], shape[2:]
    flat = np.arange(prod(shape)).reshape(groups, inner, outputs, prod(kernel))
    strides = [axis.stride for axis in axes]
    packed = np.full((groups, outputs, *strides, inner, *(axis.taps for axis in axes)), -1, np.int64)
    for number, where in enumerate(product(*(range(size) for size in kernel))):
        remainders, taps = [], []
        for axis, k in zip(axes, where, strict=True):
            step = k if axis.stride == 1 else k * axis.dilation
            tap, remainder = (step, 0) if axis.stride == 1 else divmod(step, axis.stride)
            remainders.append(remainder)
            taps.append(axis.taps - 1 - tap)
        place: tuple[Any, ...] = (slice(None), slice(None), *remainders, slice(None), *taps)
        packed[place] = flat[..., number].transpose(0, 2, 1)
    return packed.reshape(groups * outputs * prod(strides), inner, *(axis.taps for axis in axes))


def _gathered(node: Node, value: Value, where: NDArray[np.int64]) -> Value:
    """Elements of ``value`` by their flat position, 0 for -1."""
    if isinstance(value, np.ndarray):
        picked: NDArray[Any] = np.append(value.reshape(-1), np.zeros(1, value.dtype))[where]
        return picked
    flat = node.emit(relax.op.reshape(value, (-1,)))
    zero = relax.op.zeros((1,), dtype_of(flat))
    longer = node.emit(relax.op.concat([flat, node.emit(zero)], axis=0))
    last = np.where(where < 0, int(longer.ty.shape[0]) - 1, where).reshape(-1)
    picks = node.emit(relax.op.take(longer, as_expression(last), axis=0))
    return node.emit(relax.op.reshape(picks, where.shape))


def _shuffled(data: te.Tensor, outputs: int, axes: Sequence[_Transposed]) -> te.Tensor:
    """Phases [n, outputs * phases, positions...] in their places [n, outputs, wanted...]."""

    def element(n: Any, channel: Any, *at: Any) -> Any:
        where = []
        for axis, i in zip(axes, at, strict=True):
            position = i + axis.before
            channel = channel * axis.stride + position % axis.stride
            where.append(position // axis.stride - axis.first)
        return data(n, channel, *where)

    return te.compute([data.shape[0], outputs, *(axis.wanted for axis in axes)], element, name="shuffled")
