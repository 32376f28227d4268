"""Channels in blocks: convolutional networks for CPUs in NCHW[x]c layout, with weights packed to match.

A vector of one pixel's channels is contiguous then, whatever the width of the image: innermost
loops have the length of a register instead of 13 or 55. Georganas et al., "Anatomy of
High-Performance Deep Learning Convolutions on SIMD Architectures", SC 2018; ONNX Runtime's MLAS
does the same. The walk below goes through a model once: what can work on blocks does, and where
an operator cannot, its arguments are put back into NCHW.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax, te, topi

__all__ = ["block_channels"]

_FLOAT_BITS = 32
_SMALLEST_BLOCK = 4
_ELEMENTWISE = frozenset(
    f"relax.{name}"
    for name in (
        "abs", "clip", "exp", "log", "negative", "nn.gelu", "nn.leakyrelu", "nn.relu", "nn.relu6", "nn.silu",
        "rsqrt", "sigmoid", "sqrt", "tanh",
    )
)  # fmt: skip
_BROADCAST = frozenset(f"relax.{name}" for name in ("add", "divide", "maximum", "minimum", "multiply", "subtract"))
#: What the ONNX importer calls directly for the limits of a Clip, each with a tensor and a scalar.
_LIMITS = frozenset(("maximum", "minimum"))
_POOLS = {"relax.nn.max_pool2d": "max", "relax.nn.avg_pool2d": "avg"}
_OVER_IMAGE = frozenset(("relax.mean", "relax.max", "relax.sum"))


def block_channels(module: tvm.ir.IRModule, target: tvm.target.Target) -> tvm.ir.IRModule:
    """``module`` with its float32 convolutions on blocks of channels where ``target`` is a CPU.

    ``main`` is not legalized yet. A module with other Relax functions, with control flow or without a convolution
    that fits is returned as it is. Inputs and results keep their layout.
    """
    kernels = {variable: module[variable] for variable in module.get_global_vars() if variable.name_hint != "main"}
    if str(target.kind.name) != "llvm" or any(isinstance(kernel, relax.Function) for kernel in kernels.values()):
        return module
    main = module["main"]
    bindings = [binding for block in main.body.blocks for binding in block.bindings]
    if not all(isinstance(b, relax.VarBinding) and not isinstance(b.value, relax.If) for b in bindings):
        return module
    lanes = max(8, int(tvm.get_global_func("target.llvm_get_vector_width")(target)) // _FLOAT_BITS)
    walk = _Walk(tvm.IRModule(kernels), lanes)
    with walk.builder.function("main", list(main.params)):
        with walk.builder.dataflow():
            for binding in bindings:
                walk.take(binding)
            result = walk.builder.emit_output(walk.plain(main.body.body))
        walk.builder.emit_func_output(result)
    if not walk.convolutions:
        return module
    rewritten = walk.builder.finalize()
    rewritten["main"] = rewritten["main"].with_attrs(dict(main.attrs) if main.attrs else {})
    return rewritten


class _Walk:
    """The new function while it grows. A value of the old one is known plain, blocked, or both."""

    def __init__(self, kernels: tvm.ir.IRModule, lanes: int) -> None:
        self.builder = relax.BlockBuilder(kernels)
        self.convolutions = 0
        self._lanes = lanes
        self._plain: dict[relax.Var, relax.Expr] = {}
        self._blocked: dict[relax.Var, relax.Var] = {}

    def take(self, binding: relax.VarBinding) -> None:
        blocked = self._on_blocks(binding.value) if isinstance(binding.value, relax.Call) else None
        if blocked is not None:
            self._blocked[binding.var] = blocked
        else:
            self._plain[binding.var] = self.builder.emit(self.plain(binding.value))

    def plain(self, value: relax.Expr) -> relax.Expr:
        """``value`` of the old function in terms of the new one, in its own layout."""
        if isinstance(value, relax.Var):
            if value in self._plain:
                return self._plain[value]
            if value not in self._blocked:
                return value  # a parameter
            blocked = self._blocked[value]
            rows = self.builder.emit(relax.op.permute_dims(blocked, [0, 1, 4, 2, 3]))
            self._plain[value] = self.builder.emit(relax.op.reshape(rows, _shape(value)))
            return self._plain[value]
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self.plain(field) for field in value.fields])
        if isinstance(value, relax.TupleGetItem):
            return relax.TupleGetItem(self.plain(value.tuple_value), value.index)
        if isinstance(value, relax.Call):
            arguments = [self.plain(argument) for argument in value.args]
            return relax.Call(value.op, arguments, value.attrs, value.ty_args)
        return value

    def _on_blocks(self, call: relax.Call) -> relax.Var | None:
        """``call`` emitted on blocks; None where it does not work on them."""
        name = call.op.name if isinstance(call.op, tvm.ir.Op) else ""
        if name == "relax.nn.conv2d":
            return self._convolution(call)
        if name == "relax.concat":
            return self._concatenation(call)
        first = self._blocked.get(call.args[0]) if call.args and isinstance(call.args[0], relax.Var) else None
        if name in _BROADCAST:
            return self._broadcast(call.op, call.args)
        if name == "relax.call_tir" and call.args[0].name_hint in _LIMITS:
            return self._broadcast(tvm.ir.Op.get(f"relax.{call.args[0].name_hint}"), call.args[1].fields)
        if first is None:
            return None
        if name in _ELEMENTWISE:
            return self.builder.emit(relax.Call(call.op, [first, *call.args[1:]], call.attrs))
        if name in _POOLS:
            return self._pool(call, first, _POOLS[name])
        if name in _OVER_IMAGE:
            return self._over_image(call, first)
        return None

    def _convolution(self, call: relax.Call) -> relax.Var | None:
        data, weight = call.args
        attributes = call.attrs
        layouts = (str(attributes.data_layout), str(attributes.kernel_layout), str(attributes.out_layout))
        if layouts != ("NCHW", "OIHW", "NCHW") or not isinstance(weight, tvm.ir.GenericConst) or not _static(data):
            return None
        values: NDArray[Any] = weight.value.numpy()
        shape, channels = _shape(data), values.shape[0]
        block = next((b for b in self._sizes() if channels % b == 0), 0)
        depthwise = values.shape[1] == 1 and int(attributes.groups) == shape[1] == channels
        given = self._blocked.get(data)
        if values.dtype != np.float32 or not block:
            return None
        if depthwise:
            if given is None or _shape(given)[4] != block:
                return None
            packed = values.reshape(channels // block, block, *values.shape[2:]).transpose(0, 2, 3, 1)
        elif int(attributes.groups) != 1:
            return None
        elif given is None:
            packed = values.reshape(channels // block, block, *values.shape[1:]).transpose(0, 2, 3, 4, 1)
        else:
            inner = _shape(given)[4]
            packed = values.reshape(channels // block, block, values.shape[1] // inner, inner, *values.shape[2:])
            packed = packed.transpose(0, 2, 4, 5, 3, 1)
        compute = _depthwise if depthwise else _from_plain if given is None else _from_blocks
        self.convolutions += 1
        return self.builder.emit_te(
            compute,
            self.plain(data) if given is None else given,
            relax.const(np.ascontiguousarray(packed)),
            [int(stride) for stride in attributes.strides],
            [int(pad) for pad in attributes.padding],
            [int(dilation) for dilation in attributes.dilation],
            primfunc_name_hint="conv2d",
        )

    def _sizes(self) -> list[int]:
        sizes = [self._lanes]
        while sizes[-1] // 2 >= _SMALLEST_BLOCK:
            sizes.append(sizes[-1] // 2)
        return sizes

    def _broadcast(self, operator: tvm.ir.Op, values: Sequence[relax.Expr]) -> relax.Var | None:
        blocks = {_shape(self._blocked[v])[4] for v in values if isinstance(v, relax.Var) and v in self._blocked}
        if len(blocks) != 1:
            return None
        (block,) = blocks
        arguments = [self._operand(value, block) for value in values]
        if any(argument is None for argument in arguments):
            return None
        return self.builder.emit(relax.Call(operator, arguments))

    def _operand(self, value: relax.Expr, block: int) -> relax.Expr | None:
        if isinstance(value, relax.Var):
            return self._blocked.get(value)
        if not isinstance(value, tvm.ir.GenericConst):
            return None
        array: NDArray[Any] = value.value.numpy()
        if array.size == 1:
            return relax.const(array.reshape(()))
        shape = (1,) * (4 - array.ndim) + array.shape
        if len(shape) == 4 and shape[1] == 1:
            return relax.const(array.reshape(*shape, 1))
        if len(shape) != 4 or shape[1] % block:
            return None
        blocked = array.reshape(shape[0], shape[1] // block, block, *shape[2:]).transpose(0, 1, 3, 4, 2)
        return relax.const(np.ascontiguousarray(blocked))

    def _concatenation(self, call: relax.Call) -> relax.Var | None:
        fields = list(call.args[0].fields) if isinstance(call.args[0], relax.Tuple) else []
        blocked = [self._blocked.get(field) for field in fields]
        if not blocked or any(field is None for field in blocked) or int(call.attrs.axis) != 1:
            return None
        if len({_shape(field)[4] for field in blocked}) != 1:
            return None
        return self.builder.emit(relax.op.concat(blocked, axis=1))

    def _pool(self, call: relax.Call, data: relax.Var, kind: str) -> relax.Var | None:
        attributes = call.attrs
        if str(attributes.layout) != "NCHW":
            return None
        return self.builder.emit_te(
            topi.nn.pool2d,
            data,
            [int(size) for size in attributes.pool_size],
            [int(stride) for stride in attributes.strides],
            [int(dilation) for dilation in attributes.dilation],
            [int(pad) for pad in attributes.padding],
            kind,
            bool(attributes.ceil_mode),
            f"NCHW{_shape(data)[4]}c",
            bool(attributes.count_include_pad),
            primfunc_name_hint=f"{kind}_pool2d",
        )

    def _over_image(self, call: relax.Call, data: relax.Var) -> relax.Var | None:
        axes = [int(axis) for axis in call.attrs.axis] if call.attrs.axis is not None else []
        if not axes or not set(axes) <= {2, 3} or not bool(call.attrs.keepdims):
            return None
        return self.builder.emit(relax.Call(call.op, [data], call.attrs))


def _shape(value: relax.Expr) -> list[int]:
    return [int(size) for size in value.ty.shape]


def _static(value: relax.Expr) -> bool:
    shape = value.ty.shape
    return shape is not None and all(isinstance(size, tvm.tirx.IntImm) for size in shape)


Sizes = Sequence[int]


def _padded(data: te.Tensor, padding: Sizes) -> te.Tensor:
    """``data`` [n, c, h, w, ...] with ``padding`` (top, left, bottom, right) of zeros around its image."""
    if not any(padding):
        return data
    rest = [0] * (len(data.shape) - 4)
    before, after = [0, 0, padding[0], padding[1], *rest], [0, 0, padding[2], padding[3], *rest]
    return topi.nn.pad(data, before, after, name="pad")


def _image(data: te.Tensor, kernel: Sizes, strides: Sizes, dilation: Sizes) -> list[int]:
    """Height and width of what a convolution over ``data``, already padded, gives."""
    sizes = [int(size) for size in data.shape[2:4]]
    return [(sizes[i] - (kernel[i] - 1) * dilation[i] - 1) // strides[i] + 1 for i in range(2)]


def _at(strides: Sizes, dilation: Sizes) -> Callable[..., tuple[Any, Any]]:
    return lambda h, w, kh, kw: (h * strides[0] + kh * dilation[0], w * strides[1] + kw * dilation[1])


def _from_blocks(data: te.Tensor, weight: te.Tensor, strides: Sizes, padding: Sizes, dilation: Sizes) -> te.Tensor:
    """``data`` [n, I, h, w, i], ``weight`` [O, I, kh, kw, i, o] -> [n, O, h, w, o]."""
    outer, chunks, height, width, inner, block = (int(size) for size in weight.shape)
    image = _padded(data, padding)
    at = _at(strides, dilation)
    rows = te.reduce_axis((0, height), "kh")
    columns = te.reduce_axis((0, width), "kw")
    chunk, channel = te.reduce_axis((0, chunks), "ic"), te.reduce_axis((0, inner), "ib")
    return te.compute(
        [data.shape[0], outer, *_image(image, [height, width], strides, dilation), block],
        lambda n, o, h, w, b: te.sum(
            image(n, chunk, *at(h, w, rows, columns), channel) * weight[o, chunk, rows, columns, channel, b],
            axis=[chunk, rows, columns, channel],
        ),
        name="conv2d_blocked",
    )


def _from_plain(data: te.Tensor, weight: te.Tensor, strides: Sizes, padding: Sizes, dilation: Sizes) -> te.Tensor:
    """``data`` [n, I, h, w], ``weight`` [O, I, kh, kw, o] -> [n, O, h, w, o]."""
    outer, channels, height, width, block = (int(size) for size in weight.shape)
    image = _padded(data, padding)
    at = _at(strides, dilation)
    rows = te.reduce_axis((0, height), "kh")
    columns = te.reduce_axis((0, width), "kw")
    channel = te.reduce_axis((0, channels), "ic")
    return te.compute(
        [data.shape[0], outer, *_image(image, [height, width], strides, dilation), block],
        lambda n, o, h, w, b: te.sum(
            image(n, channel, *at(h, w, rows, columns)) * weight[o, channel, rows, columns, b],
            axis=[channel, rows, columns],
        ),
        name="conv2d_to_blocked",
    )


def _depthwise(data: te.Tensor, weight: te.Tensor, strides: Sizes, padding: Sizes, dilation: Sizes) -> te.Tensor:
    """``data`` [n, C, h, w, c], ``weight`` [C, kh, kw, c] -> [n, C, h, w, c]."""
    chunks, height, width, block = (int(size) for size in weight.shape)
    image = _padded(data, padding)
    at = _at(strides, dilation)
    rows = te.reduce_axis((0, height), "kh")
    columns = te.reduce_axis((0, width), "kw")
    return te.compute(
        [data.shape[0], chunks, *_image(image, [height, width], strides, dilation), block],
        lambda n, c, h, w, b: te.sum(
            image(n, c, *at(h, w, rows, columns), b) * weight[c, rows, columns, b], axis=[rows, columns]
        ),
        name="depthwise_conv2d_blocked",
    )
