"""Channels in blocks: convolutional networks for CPUs in NCHW[x]c layout, with weights packed to match.

A vector of one pixel's channels is contiguous then, whatever the width of the image: innermost
loops have the length of a register instead of 13 or 55. Georganas et al., "Anatomy of
High-Performance Deep Learning Convolutions on SIMD Architectures", SC 2018; ONNX Runtime's MLAS
does the same. The walk below goes through a model once: what can work on blocks does, and where
an operator cannot, its arguments are put back into NCHW.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax, te, topi

from tracker.tuning.models.passes.blocked_convolutions import depthwise_on_blocks, from_blocks, from_plain
from tracker.tuning.models.passes.dot_products import DEPTH, Dots, dots_from_blocks, dots_of, packed_for_dots
from tracker.tuning.models.passes.relaid import on_blocks

__all__ = ["block_channels"]

_FLOAT_BITS = 32
_SMALLEST_BLOCK = 4
_ELEMENTWISE = frozenset(
    f"relax.{name}"
    for name in (
        "abs", "astype", "clip", "exp", "log", "negative", "nn.gelu", "nn.leakyrelu", "nn.relu", "nn.relu6", "nn.silu",
        "round", "rsqrt", "sigmoid", "sqrt", "tanh",
    )
)  # fmt: skip
_BROADCAST = frozenset(f"relax.{name}" for name in ("add", "divide", "maximum", "minimum", "multiply", "subtract"))
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
    walk = _Walk(tvm.IRModule(kernels), lanes, dots_of(target))
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

    def __init__(self, kernels: tvm.ir.IRModule, lanes: int, dots: Dots | None) -> None:
        self.builder = relax.BlockBuilder(kernels)
        self.convolutions = 0
        self._kernels = kernels
        self._lanes = lanes
        self._dots = dots
        self._plain: dict[relax.Var, relax.Expr] = {}
        self._blocked: dict[relax.Var, relax.Var] = {}
        #: Bytes of the other sign, by those that were shifted.
        self._shifted: dict[relax.Var, relax.Var] = {}
        #: Borders of one number around blocks, which a convolution makes for itself.
        self._borders: dict[relax.Var, _Border] = {}

    def take(self, binding: relax.VarBinding) -> None:
        blocked = self._on_blocks(binding.value) if isinstance(binding.value, relax.Call) else None
        if isinstance(blocked, _Border):
            self._borders[binding.var] = blocked
        elif blocked is not None:
            self._blocked[binding.var] = blocked
        else:
            self._plain[binding.var] = self.builder.emit(self.plain(binding.value))

    def plain(self, value: relax.Expr) -> relax.Expr:
        """``value`` of the old function in terms of the new one, in its own layout."""
        if isinstance(value, relax.Var):
            if value in self._plain:
                return self._plain[value]
            if value in self._borders:
                self._plain[value] = self.builder.emit(self.plain(self._borders[value].call))
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

    def _on_blocks(self, call: relax.Call) -> relax.Var | _Border | None:
        """``call`` emitted on blocks, or a border to be made later; None where it does not work on them."""
        name = call.op.name if isinstance(call.op, tvm.ir.Op) else ""
        if name == "relax.nn.conv2d":
            return self._convolution(call)
        if name == "relax.concat":
            return self._concatenation(call)
        first = self._blocked.get(call.args[0]) if call.args and isinstance(call.args[0], relax.Var) else None
        if name in _BROADCAST:
            return self._broadcast(call.op, call.args)
        if name == "relax.call_tir":
            return self._kernel(call)
        if first is None:
            return None
        if name in _ELEMENTWISE:
            return self.builder.emit(relax.Call(call.op, [first, *call.args[1:]], call.attrs))
        if name == "relax.nn.pad":
            return _border(call)
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
        if values.dtype == np.int8 and str(call.ty.dtype) == "int32" and block:
            return self._integer_convolution(call, values, block, depthwise)
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
            packed = _packed(values, _shape(given)[4], block)
        return self._emitted(
            depthwise_on_blocks if depthwise else from_plain if given is None else from_blocks,
            self.plain(data) if given is None else given,
            packed,
            [int(stride) for stride in attributes.strides],
            [int(pad) for pad in attributes.padding],
            [int(dilation) for dilation in attributes.dilation],
        )

    def _integer_convolution(
        self, call: relax.Call, values: NDArray[np.int8], block: int, depthwise: bool
    ) -> relax.Var | None:
        attributes, border = call.attrs, self._borders.get(call.args[0])
        data = call.args[0] if border is None else border.source
        given = self._blocked.get(data)
        padding = [int(pad) for pad in attributes.padding]
        if border is not None and any(padding):
            return None
        padding, value = (padding, 0) if border is None else (border.padding, border.value)
        places = [[int(stride) for stride in attributes.strides], padding, [int(d) for d in attributes.dilation]]
        channels = values.shape[0]
        if depthwise:
            if given is None or _shape(given)[4] != block:
                return None
            packed = values.reshape(channels // block, block, *values.shape[2:]).transpose(0, 2, 3, 1)
            return self._emitted(depthwise_on_blocks, given, packed, *places, value)
        if int(attributes.groups) != 1:
            return None
        if given is None:
            given, values = self._channels_last(self.plain(data), values)
        if given is None:
            return None
        inner = _shape(given)[4]
        if self._dots is None or block % self._dots.lanes or inner % DEPTH:
            return self._emitted(from_blocks, given, _packed(values, inner, block), *places, value)
        shift = 0
        if str(given.ty.dtype) != self._dots.dtype:
            shift = 128 if self._dots.dtype == "uint8" else -128
            given = self._shifted_by(given, shift)
        packed, lanes = packed_for_dots(values, inner, block), self._dots.lanes
        total = self._emitted(dots_from_blocks, given, packed, lanes, *places, value + shift)
        if not shift:
            return total
        sums = values.sum(axis=(1, 2, 3), dtype=np.int32).reshape(1, -1, 1, 1, block) * np.int32(shift)
        return self.builder.emit(relax.op.subtract(total, relax.const(sums)))

    def _emitted(self, compute: Callable[..., te.Tensor], data: relax.Expr, packed: Any, *rest: Any) -> relax.Var:
        self.convolutions += 1
        weight = relax.const(np.ascontiguousarray(packed))
        return self.builder.emit_te(compute, data, weight, *rest, primfunc_name_hint="conv2d")

    def _channels_last(self, data: relax.Expr, values: NDArray[np.int8]) -> tuple[relax.Var | None, NDArray[np.int8]]:
        """``data`` [n, c, h, w] as one block of all its channels, where they are few, and weights to match."""
        count = values.shape[1]
        missing = -count % DEPTH
        if count + missing > self._lanes:
            return None, values
        if missing:
            data = self.builder.emit(relax.op.nn.pad(data, [0, 0, 0, missing, 0, 0, 0, 0]))
            values = np.pad(values, [(0, 0), (0, missing), (0, 0), (0, 0)])
        rows = self.builder.emit(relax.op.permute_dims(data, [0, 2, 3, 1]))
        return self.builder.emit(relax.op.expand_dims(rows, 1)), values

    def _shifted_by(self, data: relax.Var, shift: int) -> relax.Var:
        if data not in self._shifted:
            wide = self.builder.emit(relax.op.astype(data, "int32"))
            moved = self.builder.emit(relax.op.add(wide, relax.const(shift, "int32")))
            self._shifted[data] = self.builder.emit(relax.op.astype(moved, "uint8" if shift > 0 else "int8"))
        return self._shifted[data]

    def _kernel(self, call: relax.Call) -> relax.Var | None:
        """A kernel of the importer's or of TVM's own over values on blocks, or these and single numbers."""
        if not isinstance(call.args[1], relax.Tuple) or not isinstance(call.ty, relax.TensorType) or len(call.args) > 2:
            return None
        arguments = list(call.args[1].fields)
        full = [isinstance(x, relax.Var) and x in self._blocked for x in arguments]
        blocks = {_shape(self._blocked[x])[4] for x, wanted in zip(arguments, full, strict=True) if wanted}
        others = [x for x, f in zip(arguments, full, strict=True) if not f]
        single = all(isinstance(x, tvm.ir.GenericConst) and len(x.value.shape) == 0 for x in others)
        shape = _shape(call)
        if len(blocks) != 1 or not single or len(shape) != 4:
            return None
        (block,) = blocks
        if shape[1] % block:
            return None
        relaid = on_blocks(self._kernels[call.args[0]], block, full)
        if relaid is None:
            return None
        kernel = self.builder.add_func(relaid, call.args[0].name_hint)
        given = [self._blocked[x] if f else x for x, f in zip(arguments, full, strict=True)]
        whole = relax.TensorType([shape[0], shape[1] // block, *shape[2:], block], str(call.ty.dtype))
        return self.builder.emit(relax.call_tir(kernel, given, whole))

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


@dataclass(frozen=True)
class _Border:
    """``call`` pads ``source`` (of the old function) with ``value``: top, left, bottom, right."""

    call: relax.Call
    source: relax.Expr
    padding: list[int]
    value: int


def _packed(values: NDArray[Any], inner: int, block: int) -> NDArray[Any]:
    """Weights [o, i, kh, kw] as [o / block, i / inner, kh, kw, inner, block]."""
    outputs, channels, *kernel = values.shape
    parts = values.reshape(outputs // block, block, channels // inner, inner, *kernel)
    return np.asarray(parts.transpose(0, 2, 4, 5, 3, 1))


def _border(call: relax.Call) -> _Border | None:
    widths = [int(width) for width in call.attrs.pad_width]
    value = float(call.attrs.pad_value)
    if str(call.attrs.pad_mode) != "constant" or len(widths) != 8 or any(widths[:4]) or not value.is_integer():
        return None
    return _Border(call, call.args[0], [widths[4], widths[6], widths[5], widths[7]], int(value))


def _shape(value: relax.Expr) -> list[int]:
    return [int(size) for size in value.ty.shape]


def _static(value: relax.Expr) -> bool:
    shape = value.ty.shape
    return shape is not None and all(isinstance(size, tvm.tirx.IntImm) for size in shape)
