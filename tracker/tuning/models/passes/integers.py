"""Quantized models compute in integers: products of dequantized tensors accumulate in int32 and are requantized.

Exporters write quantize, dequantize, float operator, quantize (the QDQ form of ONNX, TFLite's as well). One walk
follows each real tensor back to the integers that it stands for: a convolution or matrix product of two such becomes
one of integers, its sum times one factor is what it stands for in turn, and a quantize after bias and limits rounds
that sum at once. What only moves elements moves integers. The rest computes with reals as before, between operators
that fuse with it. Both forms agree but for the rounding of float sums: at most one quantum at a layer's output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import tvm
from tvm import relax

from tvm_farm.tracker.tuning.models.passes.dot_products import Dots
from tvm_farm.tracker.tuning.models.passes.products import Sliding, convolution, matrix_product
from tvm_farm.tracker.tuning.models.passes.quantized import constant, dequantized, dtype_of, quantized, rounded

__all__ = ["in_integers"]

_BYTES = {"int8", "uint8"}
_CONVOLUTIONS = {
    "relax.nn.conv1d": ("NCW", "OIW"), "relax.nn.conv2d": ("NCHW", "OIHW"), "relax.nn.conv3d": ("NCDHW", "OIDHW")
}  # fmt: skip
#: They put elements elsewhere, or choose the largest, which is the same one before scaling.
_MOVES = frozenset(
    f"relax.{name}"
    for name in (
        "broadcast_to", "expand_dims", "flatten", "nn.max_pool1d", "nn.max_pool2d", "nn.max_pool3d", "permute_dims",
        "reshape", "squeeze", "strided_slice", "take",
    )
)  # fmt: skip
_MARKS = frozenset(("relax.quantize", "relax.dequantize"))
#: How far a bias may be from a whole number of quanta of its sum and still be taken for one.
_NEARLY_WHOLE = 1e-3
#: Biases up to this, in quanta, leave the sum room in int32.
_LARGEST_BIAS = 1 << 30


@dataclass(frozen=True)
class _Standing:
    """Reals ``(integers - zero) * scale``; ``scale`` and ``zero`` are one number, or one a place of ``axis``."""

    integers: relax.Expr
    scale: np.ndarray
    zero: np.ndarray
    axis: int

    @property
    def known(self) -> np.ndarray | None:
        return _array(self.integers)

    @property
    def uniform(self) -> bool:
        return self.scale.size == 1 and self.zero.size == 1


@dataclass(frozen=True)
class _Sum:
    """Reals ``total * factor + offset`` within limits. ``factor`` and ``offset`` broadcast against ``total``."""

    total: relax.Expr
    factor: np.ndarray
    offset: np.ndarray | None = None
    low: float = -np.inf
    high: float = np.inf


_Meaning: TypeAlias = "_Standing | _Sum | None"


def in_integers(module: tvm.ir.IRModule, dots: Dots | None = None) -> tvm.ir.IRModule:
    """``module`` with its relax.quantize and relax.dequantize replaced, products of integers where they were about.

    Bytes that the model makes are of the sign that ``dots`` multiply. ``main`` is not legalized yet. A module without
    either, with other Relax functions or with control flow is returned as it is.
    """
    kernels = {variable: module[variable] for variable in module.get_global_vars() if variable.name_hint != "main"}
    main = module["main"]
    bindings = [binding for block in main.body.blocks for binding in block.bindings]
    if any(isinstance(kernel, relax.Function) for kernel in kernels.values()):
        return module
    if not all(isinstance(b, relax.VarBinding) and not isinstance(b.value, relax.If) for b in bindings):
        return module
    if not any(_name(binding.value) in _MARKS for binding in bindings):
        return module
    walk = _Walk(tvm.IRModule(kernels), dots)
    with walk.builder.function("main", list(main.params)):
        with walk.builder.dataflow():
            for binding in bindings:
                walk.take(binding)
            result = walk.builder.emit_output(walk.new(main.body.body))
        walk.builder.emit_func_output(result)
    rewritten = walk.builder.finalize()
    rewritten["main"] = rewritten["main"].with_attrs(dict(main.attrs) if main.attrs else {})
    return relax.transform.DeadCodeElimination()(rewritten)


class _Walk:
    """The new function while it grows. Reals that nobody asks for in the end are dead code."""

    def __init__(self, kernels: tvm.ir.IRModule, dots: Dots | None) -> None:
        self.builder = relax.BlockBuilder(kernels)
        self._dots = dots
        #: By variable of the old function: what computes it in the new one, and what that means.
        self._new: dict[relax.Var, relax.Expr] = {}
        self._meaning: dict[relax.Var, _Standing | _Sum] = {}
        #: Bytes of the sign that is multiplied, by those of the new function that the model asked for.
        self._twins: dict[relax.Var, relax.Var] = {}

    def take(self, binding: relax.VarBinding) -> None:
        meaning = self._means(binding.value) if isinstance(binding.value, relax.Call) else None
        if isinstance(meaning, relax.Expr):
            self._new[binding.var] = meaning
            return
        if meaning is not None:
            self._meaning[binding.var] = meaning
        real = self._real(meaning)
        self._new[binding.var] = self.builder.emit(self.new(binding.value)) if real is None else real

    def new(self, value: relax.Expr) -> relax.Expr:
        """``value`` of the old function in terms of the new one."""
        if isinstance(value, relax.Var):
            return self._new.get(value, value)
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self.new(field) for field in value.fields])
        if isinstance(value, relax.TupleGetItem):
            return relax.TupleGetItem(self.new(value.tuple_value), value.index)
        if isinstance(value, relax.Call):
            return relax.Call(value.op, [self.new(argument) for argument in value.args], value.attrs, value.ty_args)
        return value

    def _means(self, call: relax.Call) -> _Meaning | relax.Expr:
        """What the result of ``call`` of the old function means, or itself where it is integers."""
        name = _name(call)
        if name == "relax.dequantize":
            return self._dequantize(call)
        if name == "relax.quantize":
            return self._quantize(call)
        if name in _CONVOLUTIONS or name == "relax.matmul":
            return self._product(name, call)
        if name in _MOVES:
            return self._moved(call)
        first = self._meaning.get(call.args[0]) if call.args and isinstance(call.args[0], relax.Var) else None
        return self._adjusted(name, call, first) if isinstance(first, _Sum) else None

    def _real(self, meaning: _Meaning) -> relax.Expr | None:
        """The reals of ``meaning``; None for the limits of a sum, whose operators stay what they were."""
        if isinstance(meaning, _Standing):
            rank = len(meaning.integers.ty.shape)
            scale, zero = (_along(x, rank, meaning.axis) for x in (meaning.scale, meaning.zero))
            if (known := meaning.known) is not None:
                differences = known.astype(np.int32) - zero.astype(np.int32)
                return constant(np.asarray(differences.astype(np.float32) * scale))
            return dequantized(self.builder, meaning.integers, scale, zero)
        if meaning is None or meaning.offset is not None or (meaning.low, meaning.high) != (-np.inf, np.inf):
            return None
        return dequantized(self.builder, meaning.total, meaning.factor, None)

    def _dequantize(self, call: relax.Call) -> _Meaning | relax.Expr:
        integers, scale, zero = (self.new(argument) for argument in call.args)
        scales, zeros, rank = _array(scale), _array(zero), len(integers.ty.shape)
        dtype, axis = str(call.attrs.out_dtype), int(call.attrs.axis) % max(rank, 1)
        if scales is None or zeros is None:
            scale, zero = (_expression_along(self.builder, x, rank, axis) for x in (scale, zero))
            return dequantized(self.builder, integers, scale, zero, dtype)
        if dtype != "float32" or not dtype_of(integers).startswith(("int", "uint")):
            scales, zeros = (_along(x, rank, axis) for x in (scales, zeros))
            return dequantized(self.builder, integers, scales, zeros, dtype)
        if integers in self._twins:
            shift = _shift(dtype_of(integers))
            integers = self._twins[integers]
            zeros = np.asarray(zeros.astype(np.int32) + shift, dtype_of(integers))
        return _Standing(integers, scales, zeros, axis)

    def _quantize(self, call: relax.Call) -> relax.Expr:
        real, scale, zero = (self.new(argument) for argument in call.args)
        scales, zeros, rank = _array(scale), _array(zero), len(real.ty.shape)
        dtype, axis = str(call.attrs.out_dtype), int(call.attrs.axis) % max(rank, 1)
        if scales is None or zeros is None:
            scale, zero = (_expression_along(self.builder, x, rank, axis) for x in (scale, zero))
            return quantized(self.builder, real, scale, zero, dtype)
        meaning = self._meaning.get(call.args[0])
        if isinstance(meaning, _Standing) and np.array_equal(meaning.scale, scales):
            if dtype == dtype_of(meaning.integers) and np.array_equal(meaning.zero, zeros):
                return meaning.integers
            if self._shifted(dtype) == dtype_of(meaning.integers) and _equal(meaning.zero, zeros, _shift(dtype)):
                return self._asked(meaning.integers, dtype)
        scales, zeros = (_along(x, rank, axis) for x in (scales, zeros))
        whole: Callable[[np.ndarray, str], relax.Expr]
        if isinstance(meaning, _Sum) and (scales > 0).all():
            whole = partial(self._requantized, meaning, scales)
        else:
            whole = partial(quantized, self.builder, real, scales)
        shifted = self._shifted(dtype)
        if shifted is None:
            return whole(zeros, dtype)
        return self._asked(whole(np.asarray(zeros.astype(np.int32) + _shift(dtype), shifted), shifted), dtype)

    def _shifted(self, dtype: str) -> str | None:
        """The sign in which bytes of ``dtype`` are made, where that is the other one."""
        return None if self._dots is None or dtype not in _BYTES or dtype == self._dots.dtype else self._dots.dtype

    def _asked(self, twin: relax.Var, dtype: str) -> relax.Var:
        """Bytes of ``dtype`` as the model has them, made of those of the other sign: dead code if all go by these."""
        wide = self.builder.emit(relax.op.astype(twin, "int32"))
        wide = self.builder.emit(relax.op.subtract(wide, relax.const(_shift(dtype), "int32")))
        asked = self.builder.emit(relax.op.astype(wide, dtype))
        self._twins[asked] = twin
        return asked

    def _requantized(self, total: _Sum, scale: np.ndarray, zero: np.ndarray, dtype: str) -> relax.Expr:
        """One factor for sum and scale: as near to the quotient of the reals as float32 is."""
        limits, wide = np.iinfo(dtype), scale.astype(np.float64)
        real = self.builder.emit(relax.op.astype(total.total, "float32"))
        real = self.builder.emit(relax.op.multiply(real, constant((total.factor / wide).astype(np.float32))))
        if total.offset is not None:
            real = self.builder.emit(relax.op.add(real, constant((total.offset / wide).astype(np.float32))))
        low, high = np.asarray(total.low / wide), np.asarray(total.high / wide)
        # Limits that saturation sets anyway need no instructions.
        if np.any(low > limits.min - zero.astype(np.float64)):
            real = self.builder.emit(relax.op.maximum(real, constant(low.astype(np.float32))))
        if np.any(high < limits.max - zero.astype(np.float64)):
            real = self.builder.emit(relax.op.minimum(real, constant(high.astype(np.float32))))
        return rounded(self.builder, real, zero, dtype)

    def _product(self, name: str, call: relax.Call) -> _Sum | None:
        left, right = (self._meaning.get(x) if isinstance(x, relax.Var) else None for x in call.args)
        if not isinstance(left, _Standing) or not isinstance(right, _Standing) or not left.uniform:
            return None
        if not {dtype_of(left.integers), dtype_of(right.integers)} <= _BYTES or str(call.ty.dtype) != "float32":
            return None
        return self._matrix_product(left, right) if name == "relax.matmul" else self._convolution(call, left, right)

    def _matrix_product(self, left: _Standing, right: _Standing) -> _Sum | None:
        rank = len(right.integers.ty.shape)
        if not right.uniform and (rank < 2 or right.axis != rank - 1):
            return None
        b = right.integers if right.known is None else right.known
        total = matrix_product(self.builder, left.integers, left.zero.reshape(()), b, right.zero)
        return _Sum(total, np.asarray(left.scale.reshape(()) * right.scale, np.float32))

    def _convolution(self, call: relax.Call, left: _Standing, right: _Standing) -> _Sum | None:
        attributes, weight = call.attrs, right.known
        layouts = (str(attributes.data_layout), str(attributes.kernel_layout))
        if layouts != _CONVOLUTIONS[_name(call)] or weight is None or not (right.uniform or right.axis == 0):
            return None
        strides, pads, dilations = (
            tuple(int(size) for size in sizes)
            for sizes in (attributes.strides, attributes.padding, attributes.dilation)
        )
        sliding = Sliding(strides, pads, dilations, int(attributes.groups))
        total = convolution(self.builder, left.integers, left.zero.reshape(()), weight, right.zero, sliding)
        scale = right.scale if right.uniform else right.scale.reshape(-1, *[1] * (weight.ndim - 2))
        return _Sum(total, np.asarray(left.scale.reshape(()) * scale, np.float32))

    def _adjusted(self, name: str, call: relax.Call, total: _Sum) -> _Sum | None:
        """A sum with what an operator adds to it, or its limits."""
        if name == "relax.nn.relu":
            return _limited(total, 0.0, np.inf)
        if name == "relax.nn.relu6":
            return _limited(total, 0.0, 6.0)
        if name == "relax.clip":
            return _limited(total, *(float(argument.value) for argument in list(call.args)[1:3]))
        other = _array(call.args[1]) if len(call.args) == 2 else None
        if other is None:
            return None
        if name == "relax.maximum" and other.size == 1:
            return _limited(total, float(other.reshape(())), np.inf)
        if name == "relax.minimum" and other.size == 1:
            return _limited(total, -np.inf, float(other.reshape(())))
        if name == "relax.add" and (total.low, total.high) == (-np.inf, np.inf) and _fits(other, total.total):
            return self._with_bias(total, other)
        return None

    def _with_bias(self, total: _Sum, bias: np.ndarray) -> _Sum:
        """Exporters quantize biases in quanta of the sum: those are added before it is scaled."""
        if total.offset is not None:
            return replace(total, offset=np.asarray(total.offset + bias))
        quanta = bias.astype(np.float64) / total.factor
        whole = np.rint(quanta)
        if (
            np.all(np.abs(quanta - whole) <= _NEARLY_WHOLE + 1e-6 * np.abs(whole))
            and np.abs(whole).max() < _LARGEST_BIAS
        ):
            return _Sum(self.builder.emit(relax.op.add(total.total, constant(whole.astype(np.int32)))), total.factor)
        return replace(total, offset=bias)

    def _moved(self, call: relax.Call) -> _Standing | None:
        meaning = self._meaning.get(call.args[0]) if isinstance(call.args[0], relax.Var) else None
        if not isinstance(meaning, _Standing):
            return None
        axis = 0
        if not meaning.uniform:
            if _name(call) != "relax.permute_dims":
                return None
            axis = _order(call).index(meaning.axis)
        elif meaning.scale.reshape(()) <= 0 and "pool" in _name(call):
            return None
        known = meaning.known
        if known is not None and _name(call) == "relax.permute_dims":
            integers: relax.Expr = relax.const(np.ascontiguousarray(known.transpose(_order(call))))
        else:
            rest = [self.new(argument) for argument in list(call.args)[1:]]
            integers = self.builder.emit(relax.Call(call.op, [meaning.integers, *rest], call.attrs))
        return _Standing(integers, meaning.scale, meaning.zero, axis)


def _name(value: relax.Expr) -> str:
    return str(value.op.name) if isinstance(value, relax.Call) and isinstance(value.op, tvm.ir.Op) else ""


def _array(value: relax.Expr) -> np.ndarray | None:
    if isinstance(value, tvm.tirx.FloatImm | tvm.tirx.IntImm):
        return np.asarray(value.value, str(value.ty.dtype))
    return np.asarray(value.value.numpy()) if isinstance(value, tvm.ir.GenericConst) else None


def _shift(dtype: str) -> int:
    """What makes bytes of the other sign of those of ``dtype``."""
    return 128 if dtype == "int8" else -128


def _equal(left: np.ndarray, right: np.ndarray, shift: int) -> bool:
    return np.array_equal(left.astype(np.int32), right.astype(np.int32) + shift)


def _along(value: np.ndarray, rank: int, axis: int) -> np.ndarray:
    """One number, or one a place of ``axis``, as it broadcasts against ``rank`` axes."""
    return value.reshape(()) if value.size == 1 else value.reshape([-1 if at == axis else 1 for at in range(rank)])


def _expression_along(builder: relax.BlockBuilder, value: relax.Expr, rank: int, axis: int) -> relax.Expr:
    sizes = [int(size) for size in value.ty.shape]
    if len(sizes) != 1 or sizes == [1]:
        return value
    return builder.emit(relax.op.reshape(value, [sizes[0] if at == axis else 1 for at in range(rank)]))


def _order(call: relax.Call) -> list[int]:
    rank = len(call.args[0].ty.shape)
    return list(range(rank))[::-1] if call.attrs.axes is None else [int(axis) % rank for axis in call.attrs.axes]


def _limited(total: _Sum, low: float, high: float) -> _Sum | None:
    """Limits after those that it has already; None where they would empty the range."""
    low, high = max(total.low, low), min(total.high, high)
    return replace(total, low=low, high=high) if low <= high else None


def _fits(bias: np.ndarray, total: relax.Expr) -> bool:
    """Whether adding ``bias`` leaves the shape of ``total``."""
    shape = tuple(int(size) for size in total.ty.shape)
    try:
        return np.broadcast_shapes(bias.shape, shape) == shape
    except ValueError:
        return False
