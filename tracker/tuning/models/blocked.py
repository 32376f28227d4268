"""Channels in blocks: convolutional networks for CPUs in NCHW[x]c layout, with weights packed to match.

A vector of one pixel's channels is contiguous then, whatever the width of the image: innermost
loops have the length of a register instead of 13 or 55. Georganas et al., "Anatomy of
High-Performance Deep Learning Convolutions on SIMD Architectures", SC 2018; ONNX Runtime's MLAS
does the same. The walk below goes through a model once: what can work on blocks does, and where
an operator cannot, its arguments are put back into the layout of the model, NCHW or NHWC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax, te, topi

from tvm_farm.tracker.tuning.models.passes.blocked_convolutions import (
    depthwise_on_blocks,
    from_blocks,
    from_plain,
    packed,
    packed_depthwise,
    packed_plain,
)
from tvm_farm.tracker.tuning.models.passes.blocks import Blocks, Border, border_of, constant_beside, shape_of
from tvm_farm.tracker.tuning.models.passes.dot_products import DEPTH, Dots, dots_from_blocks, dots_of, packed_for_dots
from tvm_farm.tracker.tuning.models.passes.relaid import on_blocks

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
_BROADCAST = frozenset(
    f"relax.{name}"
    for name in (
        "add", "divide", "equal", "greater", "greater_equal", "less", "less_equal", "maximum", "minimum", "multiply",
        "not_equal", "power", "subtract", "where",
    )
)  # fmt: skip
#: Data, weights and result of a convolution; its second form of weights is that of depthwise ones.
_LAYOUTS = {
    ("NCHW", "OIHW", "NCHW"): (0, 1, 2, 3),
    ("NHWC", "HWIO", "NHWC"): (3, 2, 0, 1),
    ("NHWC", "HWOI", "NHWC"): (2, 3, 0, 1),
}
_POOLS = {"relax.nn.max_pool2d": "max", "relax.nn.avg_pool2d": "avg"}
_OVER_IMAGE = {"relax.mean": relax.op.mean, "relax.max": relax.op.max, "relax.sum": relax.op.sum}


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
        self._blocked: dict[relax.Var, Blocks] = {}
        #: Bytes of the other sign, by those that were shifted.
        self._shifted: dict[relax.Var, relax.Var] = {}
        #: Borders of one number around blocks, which a convolution makes for itself.
        self._borders: dict[relax.Var, Border] = {}

    def take(self, binding: relax.VarBinding) -> None:
        blocked = self._on_blocks(binding.value) if isinstance(binding.value, relax.Call) else None
        if isinstance(blocked, Border):
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
            order = [0, 2, 3, 1, 4] if blocked.last else [0, 1, 4, 2, 3]
            rows = self.builder.emit(relax.op.permute_dims(blocked.value, order))
            self._plain[value] = self.builder.emit(relax.op.reshape(rows, shape_of(value)))
            return self._plain[value]
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self.plain(field) for field in value.fields])
        if isinstance(value, relax.TupleGetItem):
            return relax.TupleGetItem(self.plain(value.tuple_value), value.index)
        if isinstance(value, relax.Call):
            arguments = [self.plain(argument) for argument in value.args]
            return relax.Call(value.op, arguments, value.attrs, value.ty_args)
        return value

    def _on_blocks(self, call: relax.Call) -> Blocks | Border | None:
        """``call`` emitted on blocks, or a border to be made later; None where it does not work on them."""
        name = call.op.name if isinstance(call.op, tvm.ir.Op) else ""
        if name == "relax.nn.conv2d":
            return self._convolution(call)
        if name == "relax.concat":
            return self._concatenation(call)
        if name in _BROADCAST:
            return self._broadcast(call.op, call.args)
        if name == "relax.call_tir":
            return self._kernel(call)
        first = self._blocked.get(call.args[0]) if call.args and isinstance(call.args[0], relax.Var) else None
        if first is None:
            return None
        if name in _ELEMENTWISE:
            return Blocks(self.builder.emit(relax.Call(call.op, [first.value, *call.args[1:]], call.attrs)), first.last)
        if name == "relax.nn.pad":
            return border_of(call, first.last)
        if name in _POOLS:
            return self._pool(call, first, _POOLS[name])
        if name in _OVER_IMAGE:
            return self._over_image(call, first)
        return None

    def _convolution(self, call: relax.Call) -> Blocks | None:
        data, weight = call.args
        attributes = call.attrs
        layouts = (str(attributes.data_layout), str(attributes.kernel_layout), str(attributes.out_layout))
        if layouts not in _LAYOUTS or not isinstance(weight, tvm.ir.GenericConst) or not _static(data):
            return None
        last = layouts[0] == "NHWC"
        values: NDArray[Any] = weight.value.numpy().transpose(_LAYOUTS[layouts])
        given_channels, channels = shape_of(data)[3 if last else 1], values.shape[0]
        block = next((b for b in self._sizes() if channels % b == 0), 0)
        depthwise = values.shape[1] == 1 and int(attributes.groups) == given_channels == channels
        if not block or not (depthwise or int(attributes.groups) == 1):
            return None
        if values.dtype == np.int8 and str(call.ty.dtype) == "int32":
            value = self._integer_convolution(call, values, block, depthwise, last)
        elif values.dtype == np.float32:
            value = self._float_convolution(call, values, block, depthwise, last)
        else:
            value = None
        return None if value is None else Blocks(value, last)

    def _float_convolution(
        self, call: relax.Call, values: NDArray[np.float32], block: int, depthwise: bool, last: bool
    ) -> relax.Var | None:
        attributes, given = call.attrs, self._blocked.get(call.args[0])
        places = [
            [int(stride) for stride in attributes.strides],
            [int(pad) for pad in attributes.padding],
            [int(dilation) for dilation in attributes.dilation],
        ]
        if depthwise:
            if given is None or given.block != block:
                return None
            return self._emitted(depthwise_on_blocks, given.value, packed_depthwise(values, block), *places)
        if given is not None:
            return self._emitted(from_blocks, given.value, packed(values, given.block, block), *places)
        data = self.plain(call.args[0])
        if last:
            # Channels that lie last are one block of them all.
            whole = self.builder.emit(relax.op.expand_dims(data, 1))
            return self._emitted(from_blocks, whole, packed(values, values.shape[1], block), *places)
        return self._emitted(from_plain, data, packed_plain(values, block), *places)

    def _integer_convolution(
        self, call: relax.Call, values: NDArray[np.int8], block: int, depthwise: bool, last: bool
    ) -> relax.Var | None:
        attributes, border = call.attrs, self._borders.get(call.args[0])
        source = call.args[0] if border is None else border.source
        blocks = self._blocked.get(source)
        padding = [int(pad) for pad in attributes.padding]
        if border is not None and any(padding):
            return None
        padding, value = (padding, 0) if border is None else (border.padding, border.value)
        places = [[int(stride) for stride in attributes.strides], padding, [int(d) for d in attributes.dilation]]
        if depthwise:
            if blocks is None or blocks.block != block:
                return None
            return self._emitted(depthwise_on_blocks, blocks.value, packed_depthwise(values, block), *places, value)
        given: relax.Var | None
        if blocks is None:
            given, values = self._channels_last(self.plain(source), values, last)
            if given is None:
                return None
        else:
            given = blocks.value
        inner = shape_of(given)[4]
        if self._dots is None or block % self._dots.lanes or inner % DEPTH:
            return self._emitted(from_blocks, given, packed(values, inner, block), *places, value)
        shift = 0
        if str(given.ty.dtype) != self._dots.dtype:
            shift = 128 if self._dots.dtype == "uint8" else -128
            given = self._shifted_by(given, shift)
        weights, lanes = packed_for_dots(values, inner, block), self._dots.lanes
        total = self._emitted(dots_from_blocks, given, weights, lanes, *places, value + shift)
        if not shift:
            return total
        sums = values.sum(axis=(1, 2, 3), dtype=np.int32).reshape(1, -1, 1, 1, block) * np.int32(shift)
        return self.builder.emit(relax.op.subtract(total, relax.const(sums)))

    def _emitted(
        self, compute: Callable[..., te.Tensor], data: relax.Expr, weights: NDArray[Any], *rest: Any
    ) -> relax.Var:
        self.convolutions += 1
        weight = relax.const(np.ascontiguousarray(weights))
        return self.builder.emit_te(compute, data, weight, *rest, primfunc_name_hint="conv2d")

    def _channels_last(
        self, data: relax.Expr, values: NDArray[np.int8], last: bool
    ) -> tuple[relax.Var | None, NDArray[np.int8]]:
        """``data`` as one block of all its channels, and weights to match; None where they are many and not last."""
        count = values.shape[1]
        missing = -count % DEPTH
        if count + missing > self._lanes and not last:
            return None, values
        if missing:
            data = self.builder.emit(
                relax.op.nn.pad(data, [0] * 7 + [missing] if last else [0, 0, 0, missing] + [0] * 4)
            )
            values = np.pad(values, [(0, 0), (0, missing), (0, 0), (0, 0)])
        rows = data if last else self.builder.emit(relax.op.permute_dims(data, [0, 2, 3, 1]))
        return self.builder.emit(relax.op.expand_dims(rows, 1)), values

    def _shifted_by(self, data: relax.Var, shift: int) -> relax.Var:
        if data not in self._shifted:
            wide = self.builder.emit(relax.op.astype(data, "int32"))
            moved = self.builder.emit(relax.op.add(wide, relax.const(shift, "int32")))
            self._shifted[data] = self.builder.emit(relax.op.astype(moved, "uint8" if shift > 0 else "int8"))
        return self._shifted[data]

    def _kernel(self, call: relax.Call) -> Blocks | None:
        """A kernel of the importer's or of TVM's own over values on blocks, beside constants."""
        if not isinstance(call.args[1], relax.Tuple) or not isinstance(call.ty, relax.TensorType) or len(call.args) > 2:
            return None
        arguments = list(call.args[1].fields)
        given = [self._blocked.get(x) if isinstance(x, relax.Var) else None for x in arguments]
        others = [x for x, blocks in zip(arguments, given, strict=True) if blocks is None]
        forms = {(blocks.block, blocks.last) for blocks in given if blocks is not None}
        shape = shape_of(call)
        if len(forms) != 1 or len(shape) != 4 or not all(isinstance(x, tvm.ir.GenericConst) for x in others):
            return None
        ((block, last),) = forms
        channel = 3 if last else 1
        if shape[channel] % block:
            return None
        relaid = on_blocks(self._kernels[call.args[0]], block, [blocks is not None for blocks in given], last)
        if relaid is None:
            return None
        kernel = self.builder.add_func(relaid[0], call.args[0].name_hint)
        chunks = shape.pop(channel) // block
        whole = relax.TensorType([shape[0], chunks, *shape[1:], block], str(call.ty.dtype))
        values = [
            relax.const(x.value.numpy().reshape(-1, block)) if by_channel else x if blocks is None else blocks.value
            for x, blocks, by_channel in zip(arguments, given, relaid[1], strict=True)
        ]
        return Blocks(self.builder.emit(relax.call_tir(kernel, values, whole)), last)

    def _sizes(self) -> list[int]:
        sizes = [self._lanes]
        while sizes[-1] // 2 >= _SMALLEST_BLOCK:
            sizes.append(sizes[-1] // 2)
        return sizes

    def _broadcast(self, operator: tvm.ir.Op, values: Sequence[relax.Expr]) -> Blocks | None:
        blocked = [self._blocked[v] for v in values if isinstance(v, relax.Var) and v in self._blocked]
        if len({(blocks.block, blocks.last) for blocks in blocked}) != 1:
            return None
        arguments = [self._operand(value, blocked[0]) for value in values]
        if any(argument is None for argument in arguments):
            return None
        return Blocks(self.builder.emit(relax.Call(operator, arguments)), blocked[0].last)

    def _operand(self, value: relax.Expr, beside: Blocks) -> relax.Expr | None:
        if isinstance(value, relax.Var):
            return self._blocked[value].value if value in self._blocked else None
        if not isinstance(value, tvm.ir.GenericConst):
            return None
        return constant_beside(value.value.numpy(), beside)

    def _concatenation(self, call: relax.Call) -> Blocks | None:
        fields = list(call.args[0].fields) if isinstance(call.args[0], relax.Tuple) else []
        found = [self._blocked.get(field) for field in fields]
        blocked = [blocks for blocks in found if blocks is not None]
        if not blocked or len(blocked) < len(found) or len({(x.block, x.last) for x in blocked}) != 1:
            return None
        last = blocked[0].last
        if int(call.attrs.axis) % 4 != (3 if last else 1):
            return None
        return Blocks(self.builder.emit(relax.op.concat([x.value for x in blocked], axis=1)), last)

    def _pool(self, call: relax.Call, data: Blocks, kind: str) -> Blocks | None:
        attributes = call.attrs
        if str(attributes.layout) != ("NHWC" if data.last else "NCHW"):
            return None
        pooled = self.builder.emit_te(
            topi.nn.pool2d,
            data.value,
            [int(size) for size in attributes.pool_size],
            [int(stride) for stride in attributes.strides],
            [int(dilation) for dilation in attributes.dilation],
            [int(pad) for pad in attributes.padding],
            kind,
            bool(attributes.ceil_mode),
            f"NCHW{data.block}c",
            bool(attributes.count_include_pad),
            primfunc_name_hint=f"{kind}_pool2d",
        )
        return Blocks(pooled, data.last)

    def _over_image(self, call: relax.Call, data: Blocks) -> Blocks | None:
        axes = {int(axis) % 4 for axis in call.attrs.axis} if call.attrs.axis is not None else set()
        if not axes or not axes <= ({1, 2} if data.last else {2, 3}) or not bool(call.attrs.keepdims):
            return None
        over = sorted(axis + data.last for axis in axes)
        return Blocks(self.builder.emit(_OVER_IMAGE[call.op.name](data.value, over, True)), data.last)


def _static(value: relax.Expr) -> bool:
    shape = value.ty.shape
    return shape is not None and all(isinstance(size, tvm.tirx.IntImm) for size in shape)
